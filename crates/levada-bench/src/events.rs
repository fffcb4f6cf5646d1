//! Synthetic events in the shape of a page change, of any size, and their stream and schema.

use std::fmt::Write;

/// The stream, declared as production streams are.
pub const STREAMS: &str = "\
streams:
  bench.page_change:
    schema_title: bench/page_change
    message_key_fields: {wiki_id: wiki_id, page_id: page.page_id}
    levada: {partitions: 1}
";

/// A schema of the size and kind of mediawiki/page/change: required fields, patterns with bounds,
/// formats, enumerations, nested objects.
pub const SCHEMA: &str = include_str!("page_change.yaml");

/// One event of about `bytes` bytes; `number` makes it distinct.
pub fn event(number: u64, bytes: usize, mark: u128) -> String {
    let mut text = format!(
        concat!(
            r#"{{"$schema":"/bench/page_change/1.0.0","meta":{{"uri":"https://en.wikipedia.org/wiki/Page_{n}","#,
            r#""request_id":"b5e5f01d-ff2a-4e41-93ca-{n:012x}","id":"691b5e43-dd18-4d8a-aa27-{n:012x}","dt":"2026-11-20T18:33:10.123Z","#,
            r#""domain":"en.wikipedia.org","stream":"bench.page_change"}},"dt":"2026-11-20T18:33:10Z","wiki_id":"enwiki","#,
            r#""page_change_kind":"edit","changelog_kind":"update","comment":"copyedit, see talk","mark":{mark},"#,
            r#""page":{{"page_id":{page},"page_title":"Page_{n}","namespace_id":0,"is_redirect":false}},"#,
            r#""performer":{{"user_text":"Example user","user_id":{n},"groups":["*","user","autoconfirmed"],"is_bot":false,"edit_count":1234,"registration_dt":"2012-05-01T10:11:12Z"}},"#,
            r#""revision":{{"rev_id":{rev},"rev_parent_id":{n},"rev_dt":"2026-11-20T18:33:09Z","rev_size":4321,"rev_sha1":"abcdefghijklmnopqrstuvwxyz01234","is_minor_edit":false,"#,
            r#""content_slots":{{"main":{{"slot_role":"main","content_model":"wikitext","content_format":"text/x-wiki","content_size":4321}}}}}},"text":""#
        ),
        n = number,
        page = number % 100_000,
        rev = 1_300_000_000 + number,
        mark = mark,
    );
    while text.len() + 3 < bytes {
        // Words with the odd escape, as wikitext has them.
        let _ = write!(text, "lorem ipsum \\\"dolor\\\" sit amet {}, ", text.len());
    }
    text.push_str("\"}");
    text
}

/// The stream of articles, declared as the reference tells to.
pub const ARTICLES: &str = "\
streams:
  articles:
    schema_title: levada/article
    message_key_fields: {project: is_part_of.identifier, page_id: identifier}
    levada: {partitions: 50, splice: event}
";

/// One article of about `bytes` bytes, every second one in English, with the fields of an update in the
/// order in which the reference emits them (contract realtime §4.1): `event` stands behind the body.
pub fn article(number: u64, bytes: usize) -> String {
    let language = if number.is_multiple_of(2) { "en" } else { "de" };
    let mut text = format!(
        concat!(
            r#"{{"name":"Page {n}","identifier":{n},"abstract":"Page {n} is a synthetic page of the benchmark.","#,
            r#""date_created":"2012-05-01T10:11:12Z","date_modified":"2026-11-20T18:33:10Z","#,
            r#""version":{{"identifier":{rev},"comment":"copyedit, see talk","is_minor_edit":true,"#,
            r#""editor":{{"identifier":{n},"name":"Example user","edit_count":1234}},"size":{{"value":{bytes},"unit_text":"B"}}}},"#,
            r#""url":"https://{lang}.wikipedia.org/wiki/Page_{n}","namespace":{{"identifier":0}},"in_language":{{"identifier":"{lang}"}},"#,
            r#""is_part_of":{{"identifier":"{lang}wiki","url":"https://{lang}.wikipedia.org"}},"article_body":{{"html":""#
        ),
        n = number,
        rev = 1_300_000_000 + number,
        bytes = bytes,
        lang = language,
    );
    let end = r#""},"license":[{"identifier":"CC-BY-SA-4.0"}],"event":{"type":"update","date_created":"2026-11-20T18:33:11.5Z"}}"#;
    while text.len() + end.len() < bytes {
        // As many escapes as the HTML of real pages has: one for every twenty bytes or so.
        let _ = write!(
            text,
            r#"<p id=\"mw{}\">lorem ipsum <a href=\"./Dolor\">dolor</a></p>\n"#,
            text.len()
        );
    }
    text.push_str(end);
    text
}

/// An array of articles.
pub fn articles(first: u64, count: u64, bytes: usize) -> Vec<u8> {
    let articles: Vec<String> = (first..first + count).map(|n| article(n, bytes)).collect();
    format!("[{}]", articles.join(",")).into_bytes()
}

/// An array of events.
pub fn batch(first: u64, count: u64, bytes: usize) -> Vec<u8> {
    let events: Vec<String> = (first..first + count).map(|n| event(n, bytes, 0)).collect();
    format!("[{}]", events.join(",")).into_bytes()
}

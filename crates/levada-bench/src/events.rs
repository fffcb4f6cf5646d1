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

/// An array of events.
pub fn batch(first: u64, count: u64, bytes: usize) -> Vec<u8> {
    let events: Vec<String> = (first..first + count).map(|n| event(n, bytes, 0)).collect();
    format!("[{}]", events.join(",")).into_bytes()
}

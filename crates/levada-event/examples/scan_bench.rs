//! How fast events are filtered, projected and given their added fields, on one core.
//!
//! `cargo run --release -p levada-event --example scan_bench [-- <rounds>]` prints a table: GB of stored text per second of
//! elapsed time, the best of many short rounds over 2 MB of synthetic events (in a server they come from buffers just read).
//! Articles have the shape of the Realtime API, once in documented order (the body before `event`) and once with the body
//! last; the HTML in them has escaped quotes as dense as real pages have. Half of the articles are English.

use std::hint::black_box;
use std::time::Instant;

use levada_event::filter::Filter;
use levada_event::project::Projection;
use levada_event::select::{Selection, SelectionSpec, Separators, Verdict};
use levada_event::splice::{Dialect, Origin, find_splice};
use levada_event::{Flags, RecordRef, Splice, Timestamp};

/// Bytes of each set of events.
const SET: usize = 2 << 20;

/// A small generator of numbers, so that every run sees the same events.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn words(&mut self, count: usize) -> String {
        const WORDS: [&str; 16] = [
            "river",
            "of",
            "the",
            "mountain",
            "was",
            "Stra\u{df}e",
            "built",
            "in",
            "1874",
            "by",
            "a",
            "and",
            "water",
            "\u{201c}open\u{201d}",
            "channel",
            "island",
        ];
        let words: Vec<&str> = (0..count).map(|_| WORDS[self.roll(WORDS.len())]).collect();
        words.join(" ")
    }

    /// Sentences with markup: an escaped quote about every 40 bytes.
    fn html(&mut self, bytes: usize) -> String {
        let mut out = String::with_capacity(bytes + 200);
        while out.len() < bytes {
            let (id, count) = (self.roll(9999), 5 + self.roll(12));
            out.push_str(&format!(
                r#"<p id=\"mw{id}\" class=\"x\"><a rel=\"mw:WikiLink\" href=\"./Page_{id}\">{}<\/a>{{ok}}, {}.<\/p>\n"#,
                self.words(2),
                self.words(count)
            ));
        }
        out
    }
}

/// An article of about `size` bytes; `ordered` puts the body where the documented order has it.
fn article(dice: &mut Dice, number: usize, size: usize, ordered: bool) -> String {
    let (language, code) = [
        ("en", "enwiki"),
        ("de", "dewiki"),
        ("en", "enwiki"),
        ("fr", "frwiki"),
    ][number % 4];
    let id = 1_000_000 + dice.roll(90_000_000);
    let list = |dice: &mut Dice, kind: &str, count: usize| {
        let items: Vec<String> = (0..count)
            .map(|_| {
                let n = dice.roll(9999);
                format!(r#"{{"name":"{kind}:Thing {n}","url":"https://{language}.wikipedia.org/wiki/{kind}:Thing_{n}"}}"#)
            })
            .collect();
        format!("[{}]", items.join(","))
    };
    let lists = if size > 4000 { 12 } else { 1 };
    let head = format!(
        r#"{{"name":"Page {id}","identifier":{id},"abstract":"{}","date_modified":"2026-01-02T03:04:05Z","version":{{"identifier":{id}1,"comment":"copy edit","tags":["mobile edit"],"is_minor_edit":true,"editor":{{"identifier":42,"name":"Ex","edit_count":123,"groups":["*","user"]}},"size":{{"value":{size},"unit_text":"B"}}}},"url":"https://{language}.wikipedia.org/wiki/Page_{id}","namespace":{{"identifier":0}},"in_language":{{"identifier":"{language}"}},"categories":{},"templates":{},"is_part_of":{{"identifier":"{code}","url":"https://{language}.wikipedia.org"}}"#,
        dice.words(if size > 4000 { 60 } else { 8 }),
        list(dice, "Category", lists),
        list(dice, "Template", lists),
    );
    let tail = format!(
        r#","license":[{{"name":"CC BY-SA 4.0","identifier":"CC-BY-SA-4.0"}}],"event":{{"identifier":"7f0c{id:08}","type":"update","date_created":"2026-01-02T03:04:06.120001Z","date_published":"2026-01-02T03:04:06.9Z"}}"#
    );
    let left = size.saturating_sub(head.len() + tail.len() + 40);
    let (html, text) = (dice.html(left * 3 / 4), dice.words(left / 28));
    let body = format!(r#","article_body":{{"html":"{html}","wikitext":"{text}"}}"#);
    if ordered {
        format!("{head}{body}{tail}}}")
    } else {
        format!("{head}{tail}{body}}}")
    }
}

fn page_change(dice: &mut Dice, number: usize) -> String {
    let domain = ["en.wikipedia.org", "de.wikipedia.org"][number % 2];
    let id = dice.roll(90_000_000);
    format!(
        r#"{{"$schema":"/mediawiki/page/change/1.2.0","meta":{{"uri":"https://{domain}/wiki/Page_{id}","id":"0f{id:08}-aaaa-4bbb-8ccc-0123456789ab","domain":"{domain}","stream":"mediawiki.page_change.v1","dt":"2026-01-02T03:04:05.678Z","request_id":"11{id:08}"}},"changelog_kind":"update","page_change_kind":"edit","dt":"2026-01-02T03:04:05Z","wiki_id":"enwiki","page":{{"page_id":{id},"page_title":"Page_{id}","namespace_id":0,"is_redirect":false}},"performer":{{"user_text":"Example","groups":["*","user","autoconfirmed"],"is_bot":false,"user_id":{id},"registration_dt":"2010-01-01T00:00:00Z","edit_count":1234}},"revision":{{"rev_id":{id}9,"rev_dt":"2026-01-02T03:04:05Z","is_minor_edit":false,"rev_sha1":"hibjhw86r10063ykde3st2mz7suwuq0","rev_size":2373,"comment":"{}","editor":{{"user_text":"Example"}},"content_slots":{{"main":{{"slot_role":"main","content_model":"wikitext","content_size":2373}}}}}},"prior_state":{{"revision":{{"rev_id":{id}8}}}}}}"#,
        dice.words(6)
    )
}

struct Set {
    name: &'static str,
    stored: Dialect,
    events: Vec<(Vec<u8>, Splice)>,
    bytes: usize,
}

fn set(name: &'static str, stored: Dialect, mut make: impl FnMut(&mut Dice, usize) -> String) -> Set {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut events, mut bytes) = (Vec::new(), 0);
    while bytes < SET {
        let text = make(&mut dice, events.len()).into_bytes();
        bytes += text.len();
        let splice = find_splice(&text, stored);
        events.push((text, splice));
    }
    Set {
        name,
        stored,
        events,
        bytes,
    }
}

fn measure(set: &Set, what: &str, spec: SelectionSpec, flags: Flags, splice: bool, rounds: usize) {
    let selection = match Selection::new(spec) {
        Ok(selection) => selection,
        Err(error) => {
            eprintln!("{what}: {error}");
            return;
        }
    };
    let origin = Origin::new("eqiad.example", 7, set.stored);
    let mut out = Vec::with_capacity(1 << 20);
    let (mut best, mut sent, mut written) = (f64::INFINITY, 0, 0);
    for _ in 0..rounds {
        (sent, written) = (0, 0);
        let start = Instant::now();
        for (offset, (value, at)) in set.events.iter().enumerate() {
            let record = RecordRef {
                offset: offset as u64,
                timestamp: Timestamp::from_millis(0),
                splice: if splice { *at } else { Splice::UNKNOWN },
                flags,
                key: None,
                value,
            };
            if selection.apply(record, &origin, &mut out) == Verdict::Sent {
                sent += 1;
            }
            if out.len() > 256 << 10 {
                written += black_box(&out).len();
                out.clear();
            }
        }
        best = best.min(start.elapsed().as_secs_f64());
        written += out.len();
        out.clear();
    }
    let events = set.events.len();
    println!(
        "| {:<22} | {what:<44} | {:>6.2} | {:>7.0} | {:>4.0} % | {:>5.1} % |",
        set.name,
        set.bytes as f64 / best / 1e9,
        best / events as f64 * 1e9,
        sent as f64 / events as f64 * 100.0,
        written as f64 / set.bytes as f64 * 100.0,
    );
}

fn spec(
    filter: Option<&str>,
    fields: Option<&str>,
    dialect: Dialect,
    separators: Separators,
) -> SelectionSpec {
    SelectionSpec {
        filter: filter.and_then(|f| Filter::parse_query(f).ok()),
        projection: fields.and_then(|f| Projection::parse(f).ok()),
        dialect,
        separators,
        redaction: None,
    }
}

fn main() {
    let rounds = std::env::args()
        .nth(1)
        .and_then(|a| a.parse().ok())
        .unwrap_or(200);
    let only = std::env::args().nth(2).unwrap_or_default();
    println!("| events | work | GB/s | ns/event | sent | written |\n|---|---|---|---|---|---|");
    let articles = [
        ("article 1 KB ordered", 1100, true),
        ("article 1 KB body last", 1100, false),
        ("article 20 KB ordered", 20_480, true),
        ("article 20 KB body last", 20_480, false),
    ];
    // Given as a second argument, only sets whose name contains it are run.
    let wanted = |name: &str| name.contains(&only);
    let (raw, escaped) = (Separators::Raw, Separators::Escaped);
    for (name, size, ordered) in articles.into_iter().filter(|a| wanted(a.0)) {
        let set = set(name, Dialect::Event, |dice, n| article(dice, n, size, ordered));
        let english = Some("in_language.identifier:en");
        let fields = Some("name,abstract,event.*");
        let run = |what: &str, spec, splice| measure(&set, what, spec, Flags::CHECKED, splice, rounds);
        run(
            "fields, filter keeps half",
            spec(english, fields, Dialect::Event, raw),
            true,
        );
        run(
            "same, escaped",
            spec(english, fields, Dialect::Event, escaped),
            true,
        );
        run("fields", spec(None, fields, Dialect::Event, raw), true);
        run(
            "filter keeps half, whole",
            spec(english, None, Dialect::Event, raw),
            true,
        );
        run(
            "filter on event.type, whole",
            spec(Some("event.type:delete"), None, Dialect::Event, raw),
            true,
        );
        run("known position", spec(None, None, Dialect::Event, raw), true);
        run(
            "known position, escaped",
            spec(None, None, Dialect::Event, escaped),
            true,
        );
        run("unknown position", spec(None, None, Dialect::Event, raw), false);
    }
    if !wanted("page_change 1 KB") {
        return;
    }
    let set = set("page_change 1 KB", Dialect::Meta, page_change);
    let domain = Some("meta.domain:en.wikipedia.org");
    let run = |what: &str, spec, splice| measure(&set, what, spec, Flags::CHECKED, splice, rounds);
    run(
        "domain keeps half, whole",
        spec(domain, None, Dialect::Meta, raw),
        true,
    );
    run(
        "domain, fields meta.*,page.page_title",
        spec(domain, Some("meta.*,page.page_title"), Dialect::Meta, raw),
        true,
    );
    run(
        "revision.rev_size > 1000, whole",
        spec(Some("revision.rev_size:>1000"), None, Dialect::Meta, raw),
        true,
    );
    run("known position", spec(None, None, Dialect::Meta, raw), true);
    run("unknown position", spec(None, None, Dialect::Meta, raw), false);
    measure(
        &set,
        "not checked by intake",
        spec(domain, None, Dialect::Meta, raw),
        Flags::NONE,
        false,
        rounds,
    );
}

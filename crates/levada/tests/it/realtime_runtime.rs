//! The Realtime API as time passes (contract realtime §8, cases 99, 101, 106): a limit of events a second, a
//! remembered time, an end in order.

use std::collections::BTreeSet;
use std::io::Read;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::articles::{article, open, publish, publish_json, site};
use crate::client::{self, Stream};

const LINES: [(&str, &str); 1] = [("accept", "application/x-ndjson")];

/// How long these many lines take to come.
fn time_of(stream: &mut Stream, lines: usize) -> Duration {
    stream.line().unwrap();
    let begun = Instant::now();
    for _ in 1..lines {
        stream.line().unwrap();
    }
    begun.elapsed()
}

#[test]
fn events_a_second_are_limited_where_that_is_wanted_and_parts_share_them() {
    let parameters = |parts: &[u32]| {
        let since: serde_json::Map<String, Value> = (0..50)
            .map(|partition| (partition.to_string(), json!("2020-01-01T00:00:00Z")))
            .collect();
        json!({"parts": parts, "since_per_partition": since})
    };
    let limited = site("[realtime]\nevents_per_second = 20\n");
    let server = limited.start();
    publish(&server, &[], 0..200, 10);
    // Slots of 50 ms; the few milliseconds that a timer may be early are the margin.
    let mut all = open(&server, &LINES, &parameters(&[])).stream();
    assert!(time_of(&mut all, 7) >= Duration::from_millis(270));
    // Two tenths of the parts: two tenths of the events, 250 ms apart.
    let mut two = open(&server, &LINES, &parameters(&[0, 1])).stream();
    assert!(time_of(&mut two, 3) >= Duration::from_millis(470));
    assert!(server.stop().success());

    let original = site("[compat]\nrealtime = true\n");
    let server = original.start();
    publish(&server, &[], 0..200, 10);
    // 50 a second, and a tenth of it for one part.
    let mut one = open(&server, &LINES, &parameters(&[3])).stream();
    assert!(time_of(&mut one, 3) >= Duration::from_millis(370));
    let mut all = open(&server, &LINES, &json!({"since": "2020-01-01T00:00:00Z"})).stream();
    assert!(time_of(&mut all, 11) >= Duration::from_millis(180));
    assert!(server.stop().success());

    let whole = site("[realtime]\nevents_per_second = 20\nper_part = false\n");
    let server = whole.start();
    publish(&server, &[], 0..200, 10);
    let mut one = open(&server, &LINES, &parameters(&[3])).stream();
    let took = time_of(&mut one, 5);
    assert!(took >= Duration::from_millis(170), "{took:?}");
}

#[test]
fn large_numbers_and_floats_match_nothing_in_the_manner_of_the_original() {
    let site = site("[compat]\nrealtime = true\n");
    let server = site.start();
    let mut page = article(12_345_678, 10);
    page["version"] = json!({"size": {"value": 2.0, "unit_text": "B"}});
    assert_eq!(publish_json(&server, &[], &page).status, 201);
    let open = |filter: Value| {
        let parameters = json!({"since": "2020-01-01T00:00:00Z", "filters": [filter]});
        open(&server, &[("accept", "text/event-stream")], &parameters).stream()
    };
    let mut never = [
        open(json!({"field": "identifier", "value": 12_345_678})),
        open(json!({"field": "version.sizes.value", "value": 2})),
    ];
    let mut name = open(json!({"field": "name", "value": "Page 12345678"}));
    assert_eq!(name.event().event()["identifier"], 12_345_678);
    assert!(server.stop().success());
    for stream in &mut never {
        while let Some(frame) = stream.frame() {
            assert!(!frame.has_event(), "{frame:?}");
        }
    }
}

#[test]
fn a_remembered_time_of_publishing_brings_the_article_again() {
    let site = site("");
    let server = site.start();
    let mut live = open(&server, &LINES, &json!({})).stream();
    let mut times = Vec::new();
    for round in 0..20 {
        // What the publisher says of the time does not count, be it early or late.
        let mut page = article(7, 10);
        page["event"]["date_published"] = json!(["1999-01-01T00:00:00Z", "2999-01-01T00:00:00Z"][round % 2]);
        page["name"] = json!(format!("round {round}"));
        assert_eq!(publish_json(&server, &[], &page).status, 201);
        let line: Value = serde_json::from_str(&live.line().unwrap()).unwrap();
        let event = &line["event"];
        times.push((
            event["partition"].to_string(),
            event["offset"].clone(),
            event["date_published"].clone(),
        ));
    }
    for (partition, offset, time) in times {
        let parameters = json!({
            "parts": [partition.parse::<u32>().unwrap() / 5],
            "since_per_partition": {partition: time},
        });
        let mut again = open(&server, &LINES, &parameters).stream();
        let first: Value = serde_json::from_str(&again.line().unwrap()).unwrap();
        assert!(
            first["event"]["offset"].as_u64() <= offset.as_u64(),
            "{time}: {first} is later than {offset}"
        );
    }
}

#[test]
fn a_server_that_stops_ends_every_stream_between_two_events() {
    let site = site("");
    let server = site.start();
    publish(&server, &[], 0..40, 2000);
    let since = json!({"since": "2020-01-01T00:00:00Z"});
    let mut lines = open(&server, &LINES, &since).stream();
    let mut frames = open(&server, &[], &since).stream();
    let gzip = open(&server, &[LINES[0], ("accept-encoding", "gzip")], &since);
    // Never reads until the server has begun to stop.
    let late = open(&server, &LINES, &json!({}));
    let mut seen = BTreeSet::new();
    for _ in 0..40 {
        lines.line().unwrap();
        seen.insert(name(&frames.event().event()));
    }
    publish(&server, &[], 40..80, 2000);
    let stopping = std::thread::spawn(move || server.stop());
    while let Some(line) = lines.line() {
        serde_json::from_str::<Value>(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    // The last frame says where to go on, with an event or without one.
    let mut id = None;
    while let Some(frame) = frames.frame() {
        id = frame.field("id").map(str::to_owned).or(id);
        if frame.has_event() {
            seen.insert(name(&frame.event()));
        }
    }
    let body = gzip.bytes();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*body)
        .read_to_string(&mut text)
        .unwrap();
    let whole = |text: &str| text.is_empty() || text.ends_with('\n');
    assert!(
        text.lines().count() >= 40 && whole(&text),
        "{} lines",
        text.lines().count()
    );
    let late = late.text();
    assert!(whole(&late), "{late}");
    assert!(stopping.join().unwrap().success());

    // With that id a later process goes on exactly there.
    let server = site.start();
    publish(&server, &[], 80..81, 10);
    let id = id.unwrap();
    let headers = [("last-event-id", &*id)];
    let mut frames = client::request(server.address, "GET", "/v2/articles", &headers, b"").stream();
    let missing: BTreeSet<String> = (0..81)
        .map(|number| format!("Page {number}"))
        .filter(|name| !seen.contains(name))
        .collect();
    let rest: BTreeSet<String> = missing.iter().map(|_| name(&frames.event().event())).collect();
    assert_eq!(rest, missing);
}

fn name(article: &Value) -> String {
    article["name"].as_str().unwrap().to_owned()
}

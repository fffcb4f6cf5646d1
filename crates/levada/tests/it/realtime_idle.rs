//! Open responses of the Realtime API while little happens (contract realtime §8, cases 34, 38, 107): what keeps
//! them alive is no line, and the next event comes at once and whole.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::articles::{article, open, publish_json, site};

/// From commit to arrival; the quickest of several must do, because machines are busy.
const AT_ONCE: Duration = Duration::from_millis(100);

const ROUNDS: usize = 10;

#[test]
fn heartbeats_are_no_lines_and_the_next_event_comes_whole() {
    let site = site("[streams]\nheartbeat = \"1s\"\n");
    let server = site.start();
    for (number, accept) in ["application/x-ndjson", "text/event-stream"].iter().enumerate() {
        let mut response = open(&server, &[("accept", accept)], &json!({}));
        let is_lines = *accept == "application/x-ndjson";
        let mut beats = Vec::new();
        while beats.iter().filter(|beat| **beat != b":ok\n\n").count() < 3 {
            beats.push(response.next_chunk().unwrap());
        }
        for beat in &beats {
            let text = std::str::from_utf8(beat).unwrap();
            if is_lines {
                assert_eq!(text, " ", "{accept}");
            } else {
                assert!(
                    text.starts_with(':') && text.ends_with("\n\n"),
                    "{accept}: {text:?}"
                );
            }
        }
        let page = article(number, 3000);
        assert_eq!(publish_json(&server, &[], &page).status, 201);
        let mut stream = response.stream();
        let read = if is_lines {
            let line = stream.line().unwrap();
            serde_json::from_str(line.trim_start_matches(' ')).unwrap()
        } else {
            stream.event().event()
        };
        assert_eq!(
            (&read["name"], &read["abstract"]),
            (&page["name"], &page["abstract"]),
            "{accept}"
        );
    }
}

#[test]
fn every_event_is_sent_for_itself_as_soon_as_it_is_stored() {
    let site = site("");
    let server = site.start();
    for accept in ["application/x-ndjson", "text/event-stream"] {
        let response = open(&server, &[("accept", accept)], &json!({}));
        assert_eq!(response.header("cache-control"), Some("no-cache"), "{accept}");
        assert_eq!(response.header("transfer-encoding"), Some("chunked"), "{accept}");
        assert_eq!(response.header("content-length"), None, "{accept}");
        let mut stream = response.stream();
        let mut quickest = Duration::MAX;
        for number in 0..ROUNDS {
            assert_eq!(publish_json(&server, &[], &article(number, 10)).status, 201);
            let stored = Instant::now();
            // The next one is not published before this one is here.
            let read: Value = if accept == "application/x-ndjson" {
                serde_json::from_str(&stream.line().unwrap()).unwrap()
            } else {
                stream.event().event()
            };
            quickest = quickest.min(stored.elapsed());
            assert_eq!(read["name"], format!("Page {number}"));
        }
        assert!(quickest < AT_ONCE, "{accept}: {quickest:?}");
    }
}

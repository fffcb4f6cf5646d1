//! Compressed responses of the Realtime API: each event can be read before the next one comes, and
//! heartbeats are bytes that decode to nothing.

use std::io::Read;

use serde_json::{Value, json};

use crate::articles::{article, open, publish_json, site};
use crate::client::Response;

/// What can be decoded of an unfinished body.
fn decoded(coding: &str, bytes: &[u8]) -> String {
    let mut reader: Box<dyn Read + '_> = match coding {
        "gzip" => Box::new(flate2::read::GzDecoder::new(bytes)),
        _ => Box::new(zstd::stream::read::Decoder::new(bytes).unwrap()),
    };
    let (mut out, mut buffer) = (Vec::new(), [0; 4096]);
    // The end of what there is shows as an error.
    while let Ok(read @ 1..) = reader.read(&mut buffer) {
        out.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8(out).unwrap()
}

/// Reads chunks until the decoded text is as `done` wants it.
fn read_until(
    response: &mut Response,
    coding: &str,
    all: &mut Vec<u8>,
    done: impl Fn(&str) -> bool,
) -> String {
    loop {
        let text = decoded(coding, all);
        if done(&text) {
            return text;
        }
        all.extend(response.next_chunk().expect("the stream goes on"));
    }
}

#[test]
fn every_event_can_be_decoded_before_the_next_one_comes() {
    let site = site("[streams]\nheartbeat = \"1s\"\n");
    let server = site.start();
    for coding in ["gzip", "zstd"] {
        for accept in ["application/x-ndjson", "text/event-stream"] {
            let headers = [("accept", accept), ("accept-encoding", coding)];
            let mut response = open(&server, &headers, &json!({}));
            assert_eq!(response.header("content-encoding"), Some(coding));
            assert!(response.header("vary").unwrap().contains("accept-encoding"));
            let mut all = Vec::new();
            let is_lines = accept == "application/x-ndjson";
            if is_lines {
                // The first heartbeat stands before any line, and is nothing.
                all.extend(response.next_chunk().unwrap());
                assert!(!all.is_empty());
                assert_eq!(decoded(coding, &all), "", "{coding}");
            }
            for number in 0..3 {
                let answer = publish_json(&server, &[], &article(number, 3000));
                assert_eq!(answer.status, 201);
                let name = format!("\"Page {number}\"");
                let text = read_until(&mut response, coding, &mut all, |text| {
                    text.contains(&name) && text.ends_with('\n')
                });
                let events = if is_lines {
                    text.lines()
                        .filter(|line| serde_json::from_str::<Value>(line).is_ok())
                        .count()
                } else {
                    text.matches("\ndata: {").count()
                };
                assert_eq!(events, number + 1, "{coding} {accept}: {text}");
            }
            if is_lines {
                let before = decoded(coding, &all);
                let beat = response.next_chunk().unwrap();
                assert!(!beat.is_empty());
                all.extend(beat);
                assert_eq!(decoded(coding, &all), before, "{coding}: a heartbeat is nothing");
            }
        }
    }
    // Who asks for neither gets neither, and a space for a heartbeat.
    let mut plain = open(
        &server,
        &[
            ("accept", "application/x-ndjson"),
            ("accept-encoding", "br, gzip;q=0"),
        ],
        &json!({}),
    );
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(plain.next_chunk().unwrap(), b" ");
}

//! Offsets and times older than what is kept (contract realtime §8, cases 84, 89).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::articles::{article, open, publish_json};
use crate::client;
use crate::server::Site;

/// Removing old segments happens every ten seconds.
const WAIT_MAX: Duration = Duration::from_secs(45);

#[test]
fn an_expired_position_starts_at_the_oldest_event_and_says_so() {
    let site = Site::new("[catalog]\nstream_config = [\"@/streams.yaml\"]\n");
    site.file(
        "streams.yaml",
        "streams:\n  articles:\n    schema_title: levada/article\n    levada: {partitions: 1, splice: event, retention: {age: 1s}}\n",
    );
    let server = site.start();
    let begun = Instant::now();
    let mut number = 0;
    let earliest = loop {
        assert_eq!(publish_json(&server, &[], &article(number, 10)).status, 201);
        number += 1;
        let text = client::get(server.address, "/v2/articles/positions").text();
        let row = serde_json::from_str::<Value>(&text).unwrap()["partitions"][0].clone();
        match row["earliest"].as_u64() {
            Some(earliest @ 1..) => break earliest,
            _ => assert!(begun.elapsed() < WAIT_MAX, "nothing expired: {row}"),
        }
        std::thread::sleep(Duration::from_millis(250));
    };
    let long_ago = json!({"parts": [0], "since_per_partition": {"0": "2020-01-01T00:00:00Z"}});
    for (accept, asked, parameters) in [
        (
            "application/x-ndjson",
            "0",
            json!({"parts": [0], "offsets": {"0": 0}}),
        ),
        (
            "text/event-stream",
            "0",
            json!({"parts": [0], "offsets": {"0": 0}}),
        ),
        (
            "application/x-ndjson",
            "-",
            json!({"since": "2020-01-01T00:00:00Z"}),
        ),
        ("text/event-stream", "-", long_ago),
    ] {
        let response = open(&server, &[("accept", accept)], &parameters);
        assert_eq!(response.status, 200);
        let gap = response.header("levada-gap").unwrap().to_owned();
        let told = gap.split(';').map(str::trim).collect::<Vec<_>>();
        assert_eq!(told[..3], ["articles/0", "expired", asked], "{gap}");
        let mut stream = response.stream();
        let first = if accept == "text/event-stream" {
            assert_eq!(stream.frame().unwrap().lines, [":ok"]);
            let comment = stream.frame().unwrap();
            assert!(comment.lines[0].starts_with(": gap {"), "{comment:?}");
            assert!(comment.lines[0].contains("\"reason\":\"expired\""), "{comment:?}");
            assert_eq!(
                comment.lines[0].contains("\"asked\":0"),
                asked == "0",
                "{comment:?}"
            );
            stream.event().event()
        } else {
            serde_json::from_str(&stream.line().unwrap()).unwrap()
        };
        // Retention may have gone on since.
        assert!(first["event"]["offset"].as_u64() >= Some(earliest), "{first}");
    }
}

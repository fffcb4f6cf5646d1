//! Clients of the Realtime API that never read: memory stays flat, and nobody else notices.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::articles::{assert_dense, open, place, publish, site};
use crate::client;

/// Clients that never read. Were everything kept for them, it would be 50 times what is published.
const DEAF: usize = 50;

const ARTICLES: usize = 600;
const ARTICLE_BYTES: usize = 20 * 1024;

/// What the server may grow by: a few buffers for each, and the log's own.
const GROWTH_MAX: u64 = 200 * 1024 * 1024;

#[test]
fn clients_that_never_read_cost_little_and_disturb_nobody() {
    let site = site("");
    let server = site.start();
    publish(&server, &[], 0..10, ARTICLE_BYTES);
    let before = server.memory();
    publish(&server, &[], 10..ARTICLES / 2, ARTICLE_BYTES);
    let deaf: Vec<TcpStream> = (0..DEAF)
        .map(|number| {
            let accept = ["application/x-ndjson", "text/event-stream"][number % 2];
            let coding = ["identity", "gzip", "zstd"][number % 3];
            let since = if number % 4 == 0 { "" } else { "?since=2020-01-01T00:00:00Z" };
            let mut socket = TcpStream::connect(server.address).unwrap();
            let head = format!(
                "GET /v2/articles{since} HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\naccept-encoding: {coding}\r\n\r\n"
            );
            socket.write_all(head.as_bytes()).unwrap();
            socket
        })
        .collect();
    let lines = [("accept", "application/x-ndjson")];
    let mut reader = open(&server, &lines, &json!({"since": "2020-01-01T00:00:00Z"})).stream();
    let mut seen = Vec::new();
    let mut peak = 0;
    for round in 0..10 {
        let share = ARTICLES / 20;
        let from = ARTICLES / 2 + round * share;
        publish(&server, &[], from..from + share, ARTICLE_BYTES);
        while seen.len() < from + share {
            seen.push(place(&reader.line().unwrap()));
        }
        peak = peak.max(server.memory());
    }
    assert_eq!(seen.len(), ARTICLES);
    assert_dense(seen, "the reader");
    let grown = peak.saturating_sub(before);
    let published = ARTICLES * ARTICLE_BYTES;
    println!("{DEAF} deaf clients, {published} bytes published: {before} + {grown} bytes of memory");
    assert!(grown < GROWTH_MAX, "{before} bytes grew by {grown}");
    // 104: who goes away is forgotten soon.
    let open_now = || {
        let metrics = client::get(server.address, "/metrics").text();
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("levada_delivery_sessions_open "))
            .unwrap_or_else(|| panic!("{metrics}"));
        line.parse::<f64>().unwrap()
    };
    assert_eq!(open_now(), (DEAF + 1) as f64);
    drop(deaf);
    let begun = Instant::now();
    while open_now() > 1.0 {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{} are still open",
            open_now()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    // 108: what operators look at is there.
    let metrics = client::get(server.address, "/metrics").text();
    for name in [
        "levada_delivery_deliveries_total",
        "levada_log_partition_next_offset{",
    ] {
        assert!(metrics.contains(name), "{name}: {metrics}");
    }
}

#[test]
fn positions_tell_where_every_partition_begins_and_ends() {
    let site = site("");
    let server = site.start();
    let look = || -> Vec<Value> {
        let text = client::get(server.address, "/v2/articles/positions").text();
        serde_json::from_str::<Value>(&text).unwrap()["partitions"]
            .as_array()
            .unwrap()
            .clone()
    };
    publish(&server, &[], 0..300, 10);
    let rows = look();
    assert_eq!(rows.len(), 50);
    let mut ends = serde_json::Map::new();
    let mut total = 0;
    for (number, row) in rows.iter().enumerate() {
        assert_eq!(
            (&row["partition"], &row["earliest"]),
            (&json!(number), &json!(0)),
            "{row}"
        );
        let next = row["next"].as_u64().unwrap();
        total += next;
        assert_eq!(
            row.get("latest").and_then(Value::as_u64),
            next.checked_sub(1),
            "{row}"
        );
        if next > 0 {
            assert!(row["earliest_dt"].as_str() <= row["latest_dt"].as_str(), "{row}");
            assert!(row["latest_dt"].as_str().unwrap().starts_with("20"), "{row}");
        } else {
            assert!(row.get("latest_dt").is_none(), "{row}");
        }
        ends.insert(number.to_string(), json!(next));
    }
    assert_eq!(total, 300);
    // A filter that matches nothing leaves nothing to keep; the positions are where to go on.
    publish(&server, &[], 300..310, 10);
    let lines = [("accept", "application/x-ndjson")];
    let parts: Vec<u32> = (0..10).collect();
    let mut reader = open(&server, &lines, &json!({"parts": parts, "offsets": ends})).stream();
    let mut names: Vec<String> = (0..10)
        .map(|_| {
            let line: Value = serde_json::from_str(&reader.line().unwrap()).unwrap();
            line["event"]["identifier"].as_str().unwrap().to_owned()
        })
        .collect();
    names.sort();
    let expected: Vec<String> = (300..310).map(|number| number.to_string()).collect();
    assert_eq!(names, expected);
}

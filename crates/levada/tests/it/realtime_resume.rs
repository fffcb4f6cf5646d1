//! `levada tail` over parallel Realtime connections against a server that is killed: every event
//! once, and ten connections see what one sees.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::accounts::{ask, reader_and_publisher};
use crate::server::{Server, Site, binary, free_port};

pub const STREAMS: &str = "streams:\n  articles: {schema_title: article, message_key_fields: {id: identifier}, levada: {partitions: 50, splice: event}}\n";
pub const SCHEMA: &str = "title: article\n$id: /article/1.0.0\ntype: object\nproperties:\n  meta: {type: object, properties: {id: {type: string}, dt: {type: string}}}\n  event: {type: object}\n  identifier: {type: integer}\n";

/// Each round publishes this many articles.
pub const ROUND: usize = 400;

fn publish(server: &Server, key: &str, round: usize) {
    let headers = [("content-type", "application/json"), ("x-api-key", key)];
    let answer = ask(server.address, "POST", "/v1/events", &headers, &articles(round));
    assert_eq!(answer.status, 201, "{answer:?}");
}

/// The body with the articles of a round.
pub fn articles(round: usize) -> String {
    let article = |number: usize| {
        let event = json!({"identifier": number.to_string(), "type": "update", "date_published": "2026-01-01T00:00:00.5Z"});
        json!({"$schema": "/article/1.0.0", "meta": {"stream": "articles"}, "identifier": number, "event": event})
    };
    let articles: Vec<Value> = (round * ROUND..(round + 1) * ROUND).map(article).collect();
    json!(articles).to_string()
}

/// `levada tail` of the articles from the last hour on.
pub fn tail(url: &str, arguments: &[&str]) -> Command {
    let mut command = binary();
    command
        .args([
            "tail",
            "articles",
            "--since",
            "1h",
            "--timeout",
            "60s",
            "--url",
            url,
        ])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn tail_as_ann(url: &str, arguments: &[&str]) -> Command {
    let mut command = tail(url, arguments);
    command
        .args(["--username", "ann"])
        .env("LEVADA_PASSWORD", "correct horse");
    command
}

/// Partition and offset of each line, in the order of the lines.
pub fn places(child: Child) -> Vec<(u64, u64)> {
    let out = child.wait_with_output().unwrap();
    assert_eq!(
        out.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let text = String::from_utf8(out.stdout).unwrap();
    let place = |line: &str| {
        let event = &serde_json::from_str::<Value>(line).unwrap()["event"];
        (
            event["partition"].as_u64().unwrap(),
            event["offset"].as_u64().unwrap(),
        )
    };
    text.lines().map(place).collect()
}

#[test]
fn parallel_connections_read_every_event_once_over_a_killed_server() {
    let port = free_port();
    let site = Site::new(
        "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n[auth]\nmode = \"required\"\n",
    );
    site.file("streams.yaml", STREAMS);
    site.file("schemas/article/1.0.0", SCHEMA);
    let key = &*reader_and_publisher(&site);
    let start = || site.start_at(port);
    let server = start();
    let url = server.url();
    publish(&server, key, 0);
    let all = (3 * ROUND).to_string();
    let file = site.path().join("offsets");
    let file = file.to_str().unwrap();
    let half = tail_as_ann(&url, &["--connections", "7", "--resume", file, "-n", "600"])
        .spawn()
        .unwrap();
    let one = tail_as_ann(&url, &["--parts", "0,1,2,3,4,5,6,7,8,9", "-n", &all])
        .spawn()
        .unwrap();
    publish(&server, key, 1);
    let first = places(half);
    server.kill();
    let server = start();
    publish(&server, key, 2);
    let rest = (3 * ROUND - 600).to_string();
    let second = places(
        tail_as_ann(&url, &["--connections", "3", "--resume", file, "-n", &rest])
            .spawn()
            .unwrap(),
    );
    let one = places(one);

    let resumed: Vec<(u64, u64)> = first.into_iter().chain(second).collect();
    let expected: BTreeSet<(u64, u64)> = one.iter().copied().collect();
    assert_eq!(expected.len(), 3 * ROUND);
    assert_eq!(resumed.iter().copied().collect::<BTreeSet<_>>(), expected);
    for seen in [&one, &resumed] {
        let mut next = std::collections::BTreeMap::new();
        for (partition, offset) in seen {
            let expected = next.entry(partition).or_insert(0);
            assert_eq!(offset, expected, "partition {partition}");
            *expected += 1;
        }
    }
    // Ten connections, a part each, see the same.
    let parts: Vec<Child> = (0..10)
        .map(|part: u64| {
            let count = one.iter().filter(|(partition, _)| partition / 5 == part).count();
            let (part, count) = (part.to_string(), count.to_string());
            tail_as_ann(&url, &["--parts", &part, "-n", &count])
                .spawn()
                .unwrap()
        })
        .collect();
    let together: Vec<(u64, u64)> = parts.into_iter().flat_map(places).collect();
    assert_eq!(together.len(), one.len());
    assert_eq!(together.into_iter().collect::<BTreeSet<_>>(), expected);
}

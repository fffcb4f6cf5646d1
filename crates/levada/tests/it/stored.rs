//! What the log may hold that this server did not take itself, and what it may have lost: records of other
//! producers, positions that are gone, topics that come later, damage in the middle of a stream.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use levada_event::{Flags, Record, Splice, Timestamp, TopicName, TopicPartition};
use levada_log::embedded::{Embedded, EmbeddedOptions};
use levada_log::{Log, Retention, TopicSpec};

use crate::client;
use crate::server::{Site, binary};

const CONFIG: &str = "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n";
const SCHEMA: &str = "{title: test, type: object, properties: {$schema: {type: string}, meta: {type: object, properties: {stream: {type: string}}}, n: {type: integer}}}";

fn site() -> Site {
    site_with("")
}

fn site_with(more: &str) -> Site {
    let site = Site::new(&format!("{CONFIG}{more}"));
    site.file(
        "streams.yaml",
        "streams:\n  a: {schema_title: test, topics: [a]}\n  new: {schema_title: test, topics: [first, second]}\n",
    );
    site.file("schemas/test/1.0.0", SCHEMA);
    site
}

/// Appends values to the topic `a` of the data folder as another program would; one segment for each
/// `per_segment` bytes.
async fn store(data: &Path, values: &[&str], segment_bytes: u64) -> Arc<Embedded> {
    let mut options = EmbeddedOptions::new(data);
    options.segment_bytes = segment_bytes;
    options.maintain_every = None;
    let log = Embedded::open(options).unwrap();
    let topic = spec("a", None);
    log.topic(&topic).await.unwrap();
    for (n, value) in values.iter().enumerate() {
        let record = Record {
            key: None,
            value: (*value).to_owned().into(),
            timestamp: Timestamp::from_millis(1_500_000_000_000 + n as i64),
            splice: Splice::UNKNOWN,
            flags: Flags::NONE,
        };
        let to = TopicPartition::new(topic.name.clone(), 0);
        log.append(&to, vec![record]).await.unwrap();
    }
    log
}

fn spec(name: &str, bytes: Option<u64>) -> TopicSpec {
    TopicSpec {
        name: TopicName::new(name).unwrap(),
        partitions: 1,
        retention: Retention { age: None, bytes },
    }
}

/// Cases 37 and 38 of the contract eventstreams.
#[tokio::test]
async fn records_that_are_no_events_are_passed_over_and_counted() {
    let site = site();
    let values = [
        r#"{"meta":{"stream":"a"},"n":0}"#,
        "not JSON",
        "",
        "null",
        "\"text\"",
        "{\"n\":",
        r#"{"n":1}"#,
        r#"{"meta":{"domain":"canary","stream":"a"},"n":2}"#,
        r#"{"meta":{"stream":"a","topic":"elsewhere","offset":1},"n":3}"#,
    ];
    store(&site.path().join("data"), &values, 1 << 20)
        .await
        .close()
        .await;
    let server = site.start();
    let mut stream = client::get(server.address, "/v2/stream/a?since=1970-01-01").stream();
    let mut text = || stream.event().field("data").unwrap().to_owned();
    assert_eq!(
        text(),
        r#"{"meta":{"stream":"a","topic":"a","partition":0,"offset":0},"n":0}"#
    );
    assert_eq!(text(), r#"{"n":1,"meta":{"topic":"a","partition":0,"offset":6}}"#);
    assert!(text().contains("canary"));
    assert_eq!(
        text(),
        r#"{"meta":{"stream":"a","topic":"a","partition":0,"offset":8},"n":3}"#
    );
    let mut tame = client::get(server.address, "/v2/stream/a?since=1970-01-01&canary=false").stream();
    let seen: Vec<_> = (0..3)
        .map(|_| tame.event().event()["n"].as_u64().unwrap())
        .collect();
    assert_eq!(seen, [0, 1, 3]);
    assert_eq!(server.metric("levada_delivery_skipped_total"), 2 * 5);
}

/// Case 73.
#[tokio::test]
async fn a_position_before_the_oldest_record_starts_there_and_says_so() {
    let site = site();
    let values: Vec<_> = (0..40)
        .map(|n| format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(400)))
        .collect();
    let values: Vec<_> = values.iter().map(String::as_str).collect();
    let log = store(&site.path().join("data"), &values, 4096).await;
    log.topic(&spec("a", Some(8192))).await.unwrap();
    log.maintain();
    let earliest = log.stats().partitions[0].bounds.earliest;
    assert!((1..39).contains(&earliest), "{earliest}");
    log.close().await;
    let server = site.start();
    let id = r#"[{"topic":"a","partition":0,"offset":0}]"#;
    let response = client::request(
        server.address,
        "GET",
        "/v2/stream/a",
        &[("last-event-id", id)],
        b"",
    );
    assert_eq!(response.status, 200);
    assert_eq!(
        response.header("levada-gap"),
        Some(&*format!("a/0;expired;0;{earliest}"))
    );
    let mut stream = response.stream();
    let gap = (0..9).find_map(|_| stream.frame().filter(|f| f.lines[0].starts_with(": gap ")));
    let want = format!(
        ": gap {{\"topic\":\"a\",\"partition\":0,\"reason\":\"expired\",\"asked\":0,\"resumed\":{earliest}}}"
    );
    assert_eq!(gap.expect("a comment tells of the gap").lines, [want]);
    assert_eq!(stream.event().event()["n"], earliest);
    assert_eq!(server.metric("levada_delivery_gaps_total"), 1);
}

/// Case 86.
#[test]
fn topics_that_do_not_exist_yet_are_waited_for() {
    let site = site();
    let server = site.start();
    let response = client::get(server.address, "/v2/stream/new");
    assert_eq!(response.status, 200);
    let mut stream = response.stream();
    assert_eq!(stream.take(5), b":ok\n\n");
    let event = r#"{"$schema":"/test/1.0.0","meta":{"stream":"new"},"n":5}"#;
    assert_eq!(client::post(server.address, event).status, 201);
    let frame = stream.event();
    assert_eq!(frame.event()["n"], 5);
    let id: serde_json::Value = serde_json::from_str(frame.field("id").unwrap()).unwrap();
    assert_eq!(
        id[1]["topic"], "second",
        "the topic that is still missing has its place: {id}"
    );
}

/// The files of the first partition, in order.
fn segments(site: &Site) -> Vec<PathBuf> {
    let mut segments: Vec<_> = std::fs::read_dir(site.path().join("data/topics/a/0"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "seg"))
        .collect();
    segments.sort();
    segments
}

#[tokio::test]
async fn a_damaged_beginning_keeps_nobody_from_the_positions() {
    let site = site_with("[streams]\npass_damage = true\n");
    let values: Vec<_> = (0..60)
        .map(|n| format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(400)))
        .collect();
    let values: Vec<_> = values.iter().map(String::as_str).collect();
    store(&site.path().join("data"), &values, 4096)
        .await
        .close()
        .await;
    let first = &segments(&site)[0];
    let mut bytes = std::fs::read(first).unwrap();
    bytes[300] ^= 0x40;
    std::fs::write(first, bytes).unwrap();
    let server = site.start();
    let response = client::get(server.address, "/v2/streams/a/positions");
    assert_eq!(response.status, 200);
    let told: serde_json::Value = serde_json::from_str(&response.text()).unwrap();
    let row = &told["partitions"][0];
    assert_eq!(
        (&row["earliest"], &row["next"]),
        (&0.into(), &60.into()),
        "{told}"
    );
    assert!(
        row.get("earliest_dt").is_none() && row["latest_dt"].is_string(),
        "{told}"
    );
    let out = binary()
        .args(["tail", "a", "--url", &server.url()])
        .args([
            "--connections",
            "2",
            "--since",
            "1970-01-01",
            "-n",
            "1",
            "--timeout",
            "20s",
        ])
        .output()
        .unwrap();
    let (said, came) = (
        String::from_utf8_lossy(&out.stderr),
        String::from_utf8_lossy(&out.stdout),
    );
    assert!(
        came.contains("\"n\":") && !came.contains("\"n\":0,"),
        "{came}\n{said}"
    );
}

/// Case 87.
#[tokio::test]
async fn damage_in_the_middle_ends_the_stream_with_an_error_at_its_place() {
    let site = site();
    let values: Vec<_> = (0..60)
        .map(|n| format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(400)))
        .collect();
    let values: Vec<_> = values.iter().map(String::as_str).collect();
    store(&site.path().join("data"), &values, 4096)
        .await
        .close()
        .await;
    let segments = segments(&site);
    let sealed = &segments[segments.len() / 2];
    let mut bytes = std::fs::read(sealed).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(sealed, bytes).unwrap();
    let server = site.start();
    let mut stream = client::get(server.address, "/v2/stream/a?since=1970-01-01").stream();
    let mut next = 0;
    let error = loop {
        let frame = stream.event();
        if frame.lines[0] == "event: error" {
            break frame;
        }
        assert_eq!(frame.event()["n"], next, "everything before the damage, in order");
        next += 1;
    };
    assert!((1..59).contains(&next), "{next}");
    let id: serde_json::Value = serde_json::from_str(error.field("id").unwrap()).unwrap();
    assert_eq!(id[0]["topic"], "a", "{id}");
    let text = error.field("data").unwrap();
    assert!(text.contains("damaged") && error.event().is_object(), "{text}");
    assert_eq!(stream.frame(), None, "the stream ends");
    // What is not damaged is served, and new events are taken.
    let id = format!("[{{\"topic\":\"a\",\"partition\":0,\"offset\":{}}}]", 59);
    let response = client::request(
        server.address,
        "GET",
        "/v2/stream/a",
        &[("last-event-id", &id)],
        b"",
    );
    let mut rest = response.stream();
    assert_eq!(rest.event().event()["n"], 59);
    let event = r#"{"$schema":"/test/1.0.0","meta":{"stream":"a"},"n":60}"#;
    assert_eq!(client::post(server.address, event).status, 201);
    assert_eq!(rest.event().event()["n"], 60);
}

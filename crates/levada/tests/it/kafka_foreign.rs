//! Producers and consumers that know nothing of Levada: kcat reads what Levada wrote, and Levada reads
//! what kcat wrote.

use std::collections::BTreeMap;
use std::time::SystemTime;

use levada_event::Timestamp;
use serde_json::{Value, json};

use crate::client;
use crate::kafka::{Record, consume, create_topics, flags, kcat, unique};
use crate::server::Site;

const PARTITIONS: u32 = 50;

const SCHEMA: &str = "\
title: foreign
$id: /foreign/1.0.0
$schema: https://json-schema.org/draft-07/schema#
type: object
required: [$schema, meta, wiki, number]
properties:
  $schema: {type: string}
  meta:
    type: object
    required: [stream]
    properties:
      id: {type: string}
      request_id: {type: string}
      stream: {type: string}
      dt: {type: string, format: date-time, maxLength: 64}
  wiki: {type: string}
  number: {type: integer}
";

/// A site with these streams, each with 50 partitions and the key `{\"wiki\": …}`.
fn site(address: &str, streams: &[&str], flags_more: &[&str]) -> Site {
    let mut all = flags(address);
    all.extend(flags_more.iter().map(ToString::to_string));
    let site =
        Site::new("[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n");
    let declared: String = streams
        .iter()
        .map(|name| {
            format!(
                "  {name}: {{schema_title: foreign, message_key_fields: {{wiki: wiki}}, levada: {{partitions: {PARTITIONS}}}}}\n"
            )
        })
        .collect();
    site.file("streams.yaml", &format!("streams:\n{declared}"));
    site.file("schemas/foreign/1.0.0", SCHEMA);
    site.with_flags(&all)
}

/// Event number `n` of its time, with nothing left for the intake to fill in.
fn event(stream: &str, n: u32, millis: i64) -> String {
    let dt = Timestamp::from_millis(millis);
    format!(
        r#"{{"$schema":"/foreign/1.0.0","number":{n},"meta":{{"dt":"{dt}","stream":"{stream}","request_id":"r{n}","id":"i{n}"}},"wiki":"wiki ü {}"}}"#,
        n % 37,
    )
}

#[test]
fn a_foreign_consumer_sees_what_the_contract_promises() {
    let Some(address) = levada_kafka_broker::shared("a_foreign_consumer_sees_what_the_contract_promises")
    else {
        return;
    };
    for partitioner in ["consistent_random", "murmur2_random"] {
        let (stream, foreign) = (unique("seen"), unique("placed"));
        let setting = format!("log.partitioner={partitioner}");
        let site = site(&address, &[&stream, &foreign], &["--set", &setting]);
        let server = site.start();
        // A while ago, but not longer than the topic keeps its records, and not in order.
        let now = Timestamp::from_system(SystemTime::now()).as_millis();
        let millis = |n: u32| now - 3_600_000 + i64::from(n * 7919 % 100_003);
        let events: Vec<String> = (0..200).map(|n| event(&stream, n, millis(n))).collect();
        let posted = client::post(server.address, &format!("[{}]", events.join(",")));
        let (status, text) = (posted.status, posted.text());
        assert_eq!(status, 201, "{text}");

        let mut seen = consume(&address, &stream, None, 200);
        seen.sort_by_key(|record| serde_json::from_str::<Value>(&record.value).unwrap()["number"].as_u64());
        assert_eq!(seen.len(), 200);
        for (n, record) in (0_u32..).zip(&seen) {
            assert_eq!(record.value, events[n as usize], "the value is what was posted");
            assert_eq!(record.timestamp, millis(n), "the timestamp is meta.dt");
            assert_eq!(record.key, format!("{{\"wiki\":\"wiki ü {}\"}}", n % 37));
        }

        // A producer of librdkafka's that partitions by itself puts each key where Levada put it.
        create_topics(&site, &flags(&address));
        let lines: String = seen.iter().map(|record| format!("{}|x\n", record.key)).collect();
        let by = format!("partitioner={partitioner}");
        kcat(&address, &["-P", "-t", &foreign, "-K", "|", "-X", &by], &lines);
        let place = |records: Vec<Record>| -> BTreeMap<String, u32> {
            let records = records.into_iter();
            records.map(|record| (record.key, record.partition)).collect()
        };
        let (ours, theirs) = (place(seen), place(consume(&address, &foreign, None, 200)));
        assert_eq!(ours.len(), 37);
        assert_eq!(ours, theirs, "{partitioner}");
        assert!(
            ours.values().collect::<std::collections::BTreeSet<_>>().len() > 10,
            "keys are spread: {ours:?}"
        );
    }
}

#[test]
fn what_a_foreign_producer_wrote_is_served() {
    let Some(address) = levada_kafka_broker::shared("what_a_foreign_producer_wrote_is_served") else {
        return;
    };
    let stream = unique("filled");
    let site = site(&address, &[&stream], &[]);
    let server = site.start();
    create_topics(&site, &flags(&address));
    let since = format!("/v2/stream/{stream}?since=1970-01-01");
    let mut live = client::get(server.address, &since).stream();
    let good = |n: u32| json!({"$schema": "/foreign/1.0.0", "meta": {"stream": stream, "dt": "2026-01-01T00:00:00Z"}, "number": n});
    // No key, no headers; among good events nulls, texts that are no JSON, scalars, broken UTF-8.
    let mut input = format!("k|{}\nk|\nk|not json\nk|17\nk|{{\"cut\":\n", good(1));
    input.push_str(&format!("k|{}\n", good(2)));
    kcat(
        &address,
        &["-P", "-t", &stream, "-p", "7", "-K", "|", "-Z"],
        &input,
    );
    kcat(
        &address,
        &["-P", "-t", &stream, "-p", "7", "-z", "zstd"],
        &format!("{}\n", good(3)),
    );
    let mut replay = client::get(server.address, &since).stream();
    for reader in [&mut live, &mut replay] {
        for (number, offset) in [(1, 0), (2, 5), (3, 6)] {
            let event = reader.event().event();
            assert_eq!(event["number"], number, "{event}");
            assert_eq!(event["meta"]["topic"], stream.as_str());
            assert_eq!(event["meta"]["partition"], 7);
            assert_eq!(event["meta"]["offset"], offset);
        }
    }
    let metrics = client::get(server.address, "/metrics").text();
    let skipped = metrics
        .lines()
        .find(|line| line.starts_with("levada_delivery_skipped_total"));
    assert!(
        skipped.is_some_and(|line| !line.ends_with(" 0")),
        "what was skipped is counted: {skipped:?}"
    );
}

//! From one server to another: `levada log export`, then `levada produce`.

use crate::client;
use crate::kafka;
use crate::server::{Site, binary};

const CONFIG: &str = "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n";
const STREAMS: &str = "\
streams:
  moved:
    schema_title: moved
    message_key_fields: {user: user}
    levada: {partitions: 3}
";
const SCHEMA: &str = "\
title: moved
$id: /moved/1.0.0
$schema: https://json-schema.org/draft-07/schema#
type: object
required: [$schema, meta, user, number]
properties:
  $schema: {type: string}
  meta:
    type: object
    required: [stream, dt]
    properties:
      id: {type: string}
      request_id: {type: string}
      stream: {type: string}
      dt: {type: string, format: date-time, maxLength: 64}
  user: {type: string}
  number: {type: integer}
";

fn site() -> Site {
    let site = Site::new(CONFIG);
    site.file("streams.yaml", STREAMS);
    site.file("schemas/moved/1.0.0", SCHEMA);
    site
}

/// Runs `levada log` on the data of a site and answers what it prints.
fn log(site: &Site, args: &[&str]) -> String {
    let mut command = binary();
    command
        .args(["log", args[0]])
        .arg(site.path().join("data"))
        .args(&args[1..]);
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    String::from_utf8(output.stdout).unwrap()
}

/// Key and value of each record of a partition, in order.
fn records(site: &Site, partition: &str) -> Vec<(String, String)> {
    let printed = log(site, &["inspect", "--partition", partition, "--from", "0"]);
    let objects = printed
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("none").to_owned();
    objects
        .map(|object| (text(&object["key"]), text(&object["value"]).replace('\n', " ")))
        .collect()
}

/// A site whose server has taken 200 events, and is stopped.
fn filled() -> Site {
    let first = site();
    let server = first.start();
    for batch in 0..10 {
        let events: Vec<_> = (0..20)
            .map(|i| {
                let number = batch * 20 + i;
                format!(
                    "{{\n \"$schema\":\"/moved/1.0.0\",\"meta\":{{\"stream\":\"moved\"}},\"user\":\"u{}\",\"number\":{number}}}",
                    number * 7 % 11
                )
            })
            .collect();
        let posted = client::post(server.address, &format!("[{}]", events.join(",")));
        assert_eq!(posted.status, 201);
    }
    assert!(server.stop().success());
    first
}

/// Loads what the first site has into a server of the second, and stops it.
fn load(first: &Site, second: &Site) {
    second.file("events.ndjson", &log(first, &["export"]));
    let server = second.start();
    let mut produce = binary();
    produce.arg("produce").arg(second.path().join("events.ndjson"));
    let output = produce.args(["--url", &server.url()]).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(server.stop().success());
}

#[test]
fn events_keep_text_order_and_keys_on_the_way_to_another_server() {
    let (first, second) = (filled(), site());
    load(&first, &second);
    let mut count = 0;
    for partition in ["0", "1", "2"] {
        let (before, after) = (records(&first, partition), records(&second, partition));
        assert!(before.len() > 10, "every partition has events");
        assert!(before[0].0.contains('u'), "{:?}", before[0]);
        assert_eq!(before, after);
        count += before.len();
    }
    assert_eq!(count, 200);
}

#[test]
fn events_keep_text_order_keys_and_partitions_on_the_way_to_kafka() {
    let Some(address) =
        levada_kafka_broker::shared("events_keep_text_order_keys_and_partitions_on_the_way_to_kafka")
    else {
        return;
    };
    let (topic, first) = (kafka::unique("moved"), filled());
    let second = site().with_flags(&kafka::flags(&address));
    // The same stream in a topic of its own: others use the cluster too.
    second.file(
        "streams.yaml",
        &STREAMS.replace("    levada:", &format!("    topics: [{topic}]\n    levada:")),
    );
    kafka::create_topics(&second, &kafka::flags(&address));
    load(&first, &second);
    for partition in ["0", "1", "2"] {
        let before = records(&first, partition);
        let read = kafka::consume(&address, &topic, Some(partition), before.len());
        let pair = |record: kafka::Record| (record.key, record.value.replace('\n', " "));
        let after: Vec<_> = read.into_iter().map(pair).collect();
        assert_eq!(before, after, "partition {partition}");
    }
}

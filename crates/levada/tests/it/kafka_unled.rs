//! A restart while nobody leads a partition: what was stored before must not be forgotten, or producers
//! that send it again have it stored twice. The cluster is librdkafka's mock, because one broker alone does
//! not leave its partitions; so this does not count as a test on Kafka.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;

use crate::client;
use crate::kafka::flags;
use crate::server::{Server, Site};

const CONFIG: &str = "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n[kafka]\ncreate_topics = false\nrequest_timeout = \"2s\"\n";

const SCHEMA: &str = "title: any\n$id: /any/1.0.0\ntype: object\nproperties:\n  meta: {type: object}\n";

fn post(server: &Server, id: &str) -> (u16, String) {
    let event = format!(r#"{{"$schema":"/any/1.0.0","meta":{{"stream":"once","id":"{id}"}}}}"#);
    let answer = client::post(server.address, &event);
    (answer.status, answer.text())
}

#[test]
fn nothing_is_stored_twice_because_nobody_led_its_partition_when_the_server_began() {
    let mock = MockCluster::new(2).unwrap();
    mock.create_topic("once", 1, 2).unwrap();
    mock.partition_leader("once", 0, Some(1)).unwrap();
    let site = Site::new(CONFIG);
    let stream = "streams:\n  once: {schema_title: any, levada: {dedupe_window: 1h}}\n";
    site.file("streams.yaml", stream);
    site.file("schemas/any/1.0.0", SCHEMA);
    let site = site.with_flags(&flags(&mock.bootstrap_servers()));
    let server = site.start();
    assert_eq!(post(&server, "before").0, 201);
    server.kill();
    mock.partition_leader("once", 0, None).unwrap();
    let server = site.start();
    // For longer than a topic is taken for one that is only just being created.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(8) {
        let (status, text) = post(&server, "before");
        assert_eq!(status, 503, "{text}");
    }
    let (_, text) = post(&server, "before");
    assert!(text.contains("once/0 has no leader"), "{text}");
    mock.partition_leader("once", 0, Some(2)).unwrap();
    for id in ["before", "after"] {
        let begun = Instant::now();
        while post(&server, id).0 != 201 {
            assert!(begun.elapsed() < client::PATIENCE, "there is a leader");
            thread::sleep(Duration::from_millis(50));
        }
    }
    let mut stored = client::request(
        server.address,
        "GET",
        "/v2/stream/once?since=1970-01-01",
        &[("accept", "text/event-stream")],
        b"",
    )
    .stream();
    let ids = [stored.event(), stored.event()].map(|frame| frame.event()["meta"]["id"].clone());
    assert_eq!(ids, ["before", "after"]);
}

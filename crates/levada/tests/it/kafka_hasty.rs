//! A flood of hasty events for a broker that is away, as a server with little memory meets it. The
//! cluster is librdkafka's mock, so this does not count as a test on Kafka.

use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;

use crate::client;
use crate::kafka::flags;
use crate::server::Site;

const CONFIG: &str = "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n[intake]\nin_flight_bytes_max = \"256KiB\"\n[kafka]\nproduce_bytes_max = \"64KiB\"\ncreate_topics = false\n";

const SCHEMA: &str = "title: any\n$id: /any/1.0.0\ntype: object\nproperties:\n  meta: {type: object}\n  text: {type: string}\n";

#[test]
fn a_flood_of_hasty_events_does_not_shut_out_those_that_somebody_waits_for() {
    let mock = MockCluster::new(2).unwrap();
    for (topic, leader) in [("away", 1), ("well", 2)] {
        mock.create_topic(topic, 1, 2).unwrap();
        mock.partition_leader(topic, 0, Some(leader)).unwrap();
    }
    let site = Site::new(CONFIG);
    site.file(
        "streams.yaml",
        "streams:\n  away: {schema_title: any}\n  well: {schema_title: any}\n",
    );
    site.file("schemas/any/1.0.0", SCHEMA);
    let site = site.with_flags(&flags(&mock.bootstrap_servers()));
    let server = site.start();
    let event = |stream: &str, bytes: usize| {
        let text = "t".repeat(bytes);
        format!(r#"{{"$schema":"/any/1.0.0","meta":{{"stream":"{stream}"}},"text":"{text}"}}"#)
    };
    for stream in ["away", "well"] {
        assert_eq!(client::post(server.address, &event(stream, 1)).status, 201);
    }
    mock.broker_down(1).unwrap();
    // Some fill their share of what waits for delivery, others what may be in work; the last stand in line.
    let address = server.address;
    let large = event("away", 8 * 1024);
    let flood: Vec<_> = (0..48)
        .map(|_| {
            let large = large.clone();
            std::thread::spawn(move || {
                let json = [("content-type", "application/json")];
                client::request(address, "POST", "/v1/events?hasty=true", &json, large.as_bytes()).status
            })
        })
        .collect();
    let began = Instant::now();
    while flood.iter().filter(|request| request.is_finished()).count() < 12 {
        assert!(began.elapsed() < client::PATIENCE, "hasty events are taken");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    for _ in 0..3 {
        assert_eq!(client::post(server.address, &event("well", 8 * 1024)).status, 201);
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    mock.broker_up(1).unwrap();
    for request in flood {
        assert_eq!(request.join().unwrap(), 202);
    }
}

//! Leaders of partitions that move, as clients over HTTP meet them. The cluster is librdkafka's mock,
//! because one broker alone has nowhere to move a leader; so this does not count as a test on Kafka.

use std::thread;
use std::time::Duration;

use rdkafka::mocking::MockCluster;

use crate::client::{self, Stream};
use crate::kafka::flags;
use crate::server::Site;

const CONFIG: &str = "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n[streams]\nheartbeat = \"250ms\"\n[kafka]\ncreate_topics = false\n";

const SCHEMA: &str = "title: any\n$id: /any/1.0.0\ntype: object\nproperties:\n  meta: {type: object}\n  number: {type: integer}\n";

const EVENTS: u64 = 60;

/// The numbers of all events as a subscriber gets them, and how many heartbeats came between. An error
/// ends it.
fn read(mut stream: Stream) -> thread::JoinHandle<(Vec<u64>, usize)> {
    thread::spawn(move || {
        let (mut numbers, mut heartbeats) = (Vec::new(), 0);
        while numbers.last() != Some(&(EVENTS - 1)) {
            let frame = stream.frame().expect("the stream goes on");
            if frame.has_event() {
                numbers.push(frame.event()["number"].as_u64().expect("a number"));
            } else {
                assert!(
                    !frame.lines.iter().any(|line| line == "event: error"),
                    "{frame:?}"
                );
                heartbeats += usize::from(frame.lines[0].starts_with(':'));
            }
        }
        (numbers, heartbeats)
    })
}

#[test]
fn leaders_that_move_are_nothing_to_clients_but_a_pause() {
    let mock = MockCluster::new(3).unwrap();
    mock.create_topic("moved", 1, 3).unwrap();
    let lead = |broker| mock.partition_leader("moved", 0, Some(broker)).unwrap();
    lead(1);
    let site = Site::new(CONFIG);
    site.file("streams.yaml", "streams:\n  moved: {schema_title: any}\n");
    site.file("schemas/any/1.0.0", SCHEMA);
    let site = site.with_flags(&flags(&mock.bootstrap_servers()));
    let (intake, one, other) = (site.start(), site.start(), site.start());
    let post = |number| {
        let event = format!(r#"{{"$schema":"/any/1.0.0","meta":{{"stream":"moved"}},"number":{number}}}"#);
        let answer = client::post(intake.address, &event);
        let (status, text) = (answer.status, answer.text());
        assert_eq!(status, 201, "{number}: {text}");
    };
    let sse = [("accept", "text/event-stream")];
    let subscribe = |target: &str| client::request(one.address, "GET", target, &sse, b"").stream();
    let live = [
        read(subscribe("/v2/stream/moved")),
        read(subscribe("/v2/streams/moved")),
    ];
    let mut reader = subscribe("/v2/stream/moved");
    let mut resumed = None;
    for number in 0..EVENTS {
        match number {
            // The leader is told to go while its broker is well.
            10 => lead(2),
            20 => lead(3),
            // It goes with its broker, and another is chosen a while later.
            30 => {
                mock.broker_down(3).unwrap();
                thread::sleep(Duration::from_secs(1));
                lead(1);
            }
            // A client goes to another server with what it has read here, and the leader moves again.
            40 => {
                let ids = (0..40).map(|number| {
                    let frame = reader.event();
                    assert_eq!(frame.event()["number"], number);
                    frame.field("id").unwrap().to_owned()
                });
                let id = ids.last().unwrap();
                lead(2);
                let headers = [("last-event-id", id.as_str())];
                let again = client::request(other.address, "GET", "/v2/stream/moved", &headers, b"");
                resumed = Some(read(again.stream()));
            }
            50 => {
                mock.broker_up(3).unwrap();
                lead(3);
            }
            _ => {}
        }
        post(number);
    }
    let all: Vec<u64> = (0..EVENTS).collect();
    for live in live {
        let (numbers, heartbeats) = live.join().unwrap();
        assert_eq!(numbers, all);
        assert!(heartbeats > 0, "a second without a leader is told by heartbeats");
    }
    let (numbers, _) = resumed.unwrap().join().unwrap();
    assert_eq!(numbers, all[40..]);
    // And who comes later reads all of it from the leader of now.
    let past = client::get(other.address, "/v2/stream/moved?since=1970-01-01").stream();
    assert_eq!(read(past).join().unwrap().0, all);
}

//! Leaders of partitions that move, as clients over HTTP meet them. The cluster is librdkafka's mock,
//! because one broker alone has nowhere to move a leader; so this does not count as a test on Kafka.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use crate::client::{self, Stream};
use crate::kafka::flags;
use crate::server::Site;

const CONFIG: &str = "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n[streams]\nheartbeat = \"250ms\"\n[kafka]\ncreate_topics = false\n";

const SCHEMA: &str = "title: any\n$id: /any/1.0.0\ntype: object\nproperties:\n  meta: {type: object}\n  number: {type: integer}\n";

const EVENTS: u64 = 60;

/// The numbers of all events as a subscriber gets them, and how many heartbeats came while `unled` said
/// that there was no leader. An error ends it.
fn read(mut stream: Stream, unled: &Arc<AtomicBool>) -> thread::JoinHandle<(Vec<u64>, usize)> {
    let unled = unled.clone();
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
                let heartbeat = frame.lines[0].starts_with(':');
                heartbeats += usize::from(heartbeat && unled.load(Ordering::SeqCst));
            }
        }
        (numbers, heartbeats)
    })
}

/// A cluster of three brokers, of which the first leads the topic; and the files of a server that streams it.
fn site(topic: &str) -> (MockCluster<'static, DefaultProducerContext>, Site) {
    let mock = MockCluster::new(3).expect("a mock cluster");
    mock.create_topic(topic, 1, 3).expect("a topic");
    mock.partition_leader(topic, 0, Some(1)).expect("a leader");
    let site = Site::new(CONFIG);
    let streams = format!("streams:\n  {topic}: {{schema_title: any}}\n");
    site.file("streams.yaml", &streams);
    site.file("schemas/any/1.0.0", SCHEMA);
    let flags = flags(&mock.bootstrap_servers());
    (mock, site.with_flags(&flags))
}

fn event(topic: &str, number: u64) -> String {
    format!(r#"{{"$schema":"/any/1.0.0","meta":{{"stream":"{topic}"}},"number":{number}}}"#)
}

#[test]
fn leaders_that_move_are_nothing_to_clients_but_a_pause() {
    let (mock, site) = site("moved");
    let lead = |broker| mock.partition_leader("moved", 0, Some(broker)).unwrap();
    let (intake, one, other) = (site.start(), site.start(), site.start());
    let post = |number| {
        let answer = client::post(intake.address, &event("moved", number));
        let (status, text) = (answer.status, answer.text());
        assert_eq!(status, 201, "{number}: {text}");
    };
    let sse = [("accept", "text/event-stream")];
    let subscribe = |target: &str| client::request(one.address, "GET", target, &sse, b"").stream();
    let unled = Arc::default();
    let live = [
        read(subscribe("/v2/stream/moved"), &unled),
        read(subscribe("/v2/streams/moved"), &unled),
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
                unled.store(true, Ordering::SeqCst);
                thread::sleep(Duration::from_secs(2));
                unled.store(false, Ordering::SeqCst);
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
                resumed = Some(read(again.stream(), &unled));
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
        assert!(
            heartbeats > 2,
            "{heartbeats} heartbeats in two seconds without a leader"
        );
    }
    let (numbers, _) = resumed.unwrap().join().unwrap();
    assert_eq!(numbers, all[40..]);
    // And who comes later reads all of it from the leader of now.
    let past = client::get(other.address, "/v2/stream/moved?since=1970-01-01").stream();
    assert_eq!(read(past, &unled).join().unwrap().0, all);
}

#[test]
fn a_leader_that_is_gone_for_long_ends_streams_with_a_cursor_that_loses_nothing() {
    let (mock, site) = site("gone");
    let (intake, streamer) = (site.start(), site.start());
    let post = |number| client::post(intake.address, &event("gone", number)).status;
    let sse = [("accept", "text/event-stream")];
    let open = || client::request(streamer.address, "GET", "/v2/stream/gone", &sse, b"");
    let mut live = open().stream();
    for number in 0..5 {
        assert_eq!(post(number), 201);
        assert_eq!(live.event().event()["number"], number);
    }
    mock.broker_down(1).unwrap();
    mock.partition_leader("gone", 0, None).unwrap();
    let begun = Instant::now();
    let mut heartbeats = 0;
    let error = loop {
        let frame = live.frame().expect("an error before the end");
        if frame.field("event") == Some("error") {
            break frame;
        }
        assert!(frame.lines[0].starts_with(':'), "{frame:?}");
        heartbeats += 1;
    };
    // The grace is fifteen seconds; four heartbeats a second, on a machine that may be busy.
    assert!(begun.elapsed() > Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(heartbeats > 20, "{heartbeats} heartbeats");
    let id = error.field("id").expect("where to go on").to_owned();
    assert_eq!(live.frame(), None, "the stream ends");
    // Who comes now is told to come again.
    let refused = open();
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some());
    mock.partition_leader("gone", 0, Some(2)).unwrap();
    for number in 5..10 {
        assert_eq!(post(number), 201);
    }
    let resume = [sse[0], ("last-event-id", id.as_str())];
    let begun = Instant::now();
    let mut resumed = loop {
        let answer = client::request(streamer.address, "GET", "/v2/stream/gone", &resume, b"");
        if answer.status == 200 {
            break answer.stream();
        }
        assert_eq!(answer.status, 503);
        assert!(begun.elapsed() < client::PATIENCE, "there is a leader");
        thread::sleep(Duration::from_millis(200));
    };
    for number in 5..10 {
        assert_eq!(resumed.event().event()["number"], number);
    }
}

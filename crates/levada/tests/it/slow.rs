//! Clients that do not read, or are gone: they cost the server next to nothing, others are not disturbed,
//! and what retention takes away from under a slow one is told to it and counted.

use serde_json::json;

use crate::client::{self, Stream};
use crate::server::{Server, Site, eventually};

const CONFIG: &str = "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n[log]\nsegment_bytes = \"1MiB\"\ndurability = \"os\"\n";
const STREAMS: &str = "streams:\n  kept: {schema_title: test}\n  short: {schema_title: test, levada: {retention: {bytes: 2MiB}}}\n";
const SCHEMA: &str = "{title: test, type: object, properties: {$schema: {type: string}, meta: {type: object, properties: {stream: {type: string}}}, n: {type: integer}}}";

const EVENTS: u64 = 4000;
const EVENT_BYTES: usize = 8000;
const SLOW: usize = 30;

/// What the server may need more while the slow clients hang on it: recent blocks of the log (64 MiB), a
/// ring of frames, and little per client. If what they have not taken were kept for each of them, it were
/// 30 times 25 MB or so: the kernel's buffers hold the rest.
const GROWTH_MAX: u64 = 250 << 20;

fn site() -> Site {
    let site = Site::new(CONFIG);
    site.file("streams.yaml", STREAMS);
    site.file("schemas/test/1.0.0", SCHEMA);
    site
}

fn post(server: &Server, stream: &str, events: u64) {
    let pad = "x".repeat(EVENT_BYTES);
    for first in (0..events).step_by(100) {
        let event = |n| json!({"$schema": "/test/1.0.0", "meta": {"stream": stream}, "n": n, "pad": pad});
        let batch: Vec<_> = (first..first + 100).map(event).collect();
        assert_eq!(
            client::post(server.address, &json!(batch).to_string()).status,
            201
        );
    }
}

fn open(server: &Server, stream: &str) -> Stream {
    client::get(server.address, &format!("/v2/stream/{stream}?since=1970-01-01")).stream()
}

/// Case 39 of the contract eventstreams, and 40 for many at once.
#[test]
fn clients_that_do_not_read_cost_only_themselves() {
    let site = site();
    let server = site.start();
    let mut slow: Vec<_> = (0..SLOW).map(|_| open(&server, "kept")).collect();
    let mut live = open(&server, "kept");
    let before = server.memory();
    std::thread::scope(|scope| {
        scope.spawn(|| post(&server, "kept", EVENTS));
        for n in 0..EVENTS {
            assert_eq!(live.event().event()["n"], n, "a live reader is not held up");
        }
    });
    let grown = server.memory().saturating_sub(before);
    assert!(
        grown < GROWTH_MAX,
        "{SLOW} clients that do not read: {} MiB more",
        grown >> 20
    );
    // One that reads after all gets everything, once and in order.
    let mut late = slow.pop().unwrap();
    for n in 0..EVENTS {
        assert_eq!(late.event().event()["n"], n);
    }
    // The others vanish, and leave nothing behind.
    drop(slow);
    eventually("the gauge falls", || {
        server.metric("levada_delivery_sessions_open") == 2
    });
}

#[test]
fn what_a_slow_client_loses_to_retention_is_told_and_counted() {
    let site = site();
    let server = site.start();
    let mut slow = open(&server, "short");
    post(&server, "short", EVENTS);
    // Only what the client's socket took is safe from retention.
    eventually("retention has removed segments", || {
        let text = client::get(server.address, "/metrics").text();
        let line = text.lines().find_map(|line| {
            line.strip_prefix("levada_log_partition_earliest_offset{topic=\"short\",partition=\"0\"} ")
        });
        line.is_some_and(|value| value.parse::<u64>().unwrap() > EVENTS * 3 / 4)
    });
    let (mut next, mut gap) = (0, None);
    while next < EVENTS {
        let frame = slow.frame().expect("the stream goes on");
        if let Some(told) = frame.lines[0].strip_prefix(": gap ") {
            let told: serde_json::Value = serde_json::from_str(told).unwrap();
            assert_eq!(told["reason"], "expired", "{told}");
            assert_eq!(told["asked"], next, "{told}");
            next = told["resumed"].as_u64().unwrap();
            gap = Some(told);
        } else if frame.has_event() {
            assert_eq!(
                frame.event()["n"],
                next,
                "nothing is missing but what the gap told of: {gap:?}"
            );
            next += 1;
        }
    }
    assert!(gap.is_some(), "there was a gap");
    assert!(server.metric("levada_delivery_gaps_total") >= 1);
}

//! A disk that takes no more: events are refused with what to do, everything acknowledged stays and can be
//! read, and the server goes on by itself when there is room again.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::browser::program;
use crate::client;
use crate::server::{Server, Site, eventually};

const CONFIG: &str = "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n";
const SCHEMA: &str = "{title: test, type: object, properties: {$schema: {type: string}, meta: {type: object, properties: {stream: {type: string}}}, n: {type: integer}}}";

/// Bytes to which each file is limited. Less than what the server tries out to see whether it can write
/// again.
const ROOM: u64 = 300_000;

/// Posts batches of three until one is refused; acknowledged numbers go to `stored`.
fn fill(server: &Server, next: &mut u64, stored: &mut Vec<u64>) -> client::Response {
    loop {
        let event =
            |n| json!({"$schema": "/test/1.0.0", "meta": {"stream": "a"}, "n": n, "pad": "x".repeat(3000)});
        let numbers = *next..*next + 3;
        *next += 3;
        let response = client::post(
            server.address,
            &json!(numbers.clone().map(event).collect::<Vec<_>>()).to_string(),
        );
        if response.status != 201 {
            return response;
        }
        stored.extend(numbers);
        assert!(stored.len() < 1000, "the disk is never full");
    }
}

fn ready(server: &Server, path: &str) -> u16 {
    client::get(server.address, path).status
}

fn read(server: &Server, count: usize) -> Vec<u64> {
    let mut stream = client::get(server.address, "/v2/stream/a?since=1970-01-01").stream();
    (0..count)
        .map(|_| stream.event().event()["n"].as_u64().unwrap())
        .collect()
}

#[test]
fn a_full_disk_refuses_events_and_loses_none() {
    let Some(prlimit) = program(&["prlimit"]) else {
        return;
    };
    let site = Site::new(CONFIG);
    site.file("streams.yaml", "streams:\n  a: {schema_title: test}\n");
    site.file("schemas/test/1.0.0", SCHEMA);
    let server = site.start_limited(&prlimit, ROOM);
    let (mut next, mut stored) = (0, Vec::new());
    assert_eq!(ready(&server, "/readyz"), 200);
    let refused = fill(&server, &mut next, &mut stored);
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("levada-error-code"), Some("storage_unavailable"));
    let body: Value = serde_json::from_str(&refused.text()).unwrap();
    assert_eq!(body["error"].as_array().unwrap().len(), 3, "{body}");
    assert!(
        body["error"][0]["context"]["message"]
            .as_str()
            .unwrap()
            .contains("writing failed"),
        "{body}"
    );
    assert!(stored.len() > 30, "{stored:?}");
    // Not ready to take events, ready to give them out, and alive.
    let unready = client::get(server.address, "/readyz");
    assert_eq!(unready.status, 503);
    let text = unready.text();
    assert!(text.contains("\"log\":\"the disk refuses writes: "), "{text}");
    assert_eq!(ready(&server, "/readyz/intake"), 503);
    assert_eq!(ready(&server, "/readyz/streams"), 200);
    assert_eq!(ready(&server, "/livez"), 200);
    assert_eq!(server.metric("levada_log_refuses_writes"), 1);
    assert_eq!(read(&server, stored.len()), stored);
    // There is room again. Nobody posts, as with a balancer that looks at /readyz.
    give_room(&prlimit, server.pid());
    eventually("the server is ready again", || ready(&server, "/readyz") == 200);
    assert_eq!(server.metric("levada_log_refuses_writes"), 0);
    let event = json!({"$schema": "/test/1.0.0", "meta": {"stream": "a"}, "n": next});
    assert_eq!(client::post(server.address, &event.to_string()).status, 201);
    stored.push(next);
    next += 1;
    assert_eq!(read(&server, stored.len()), stored);
    server.kill();
    // Full again at once, and killed while it is.
    let server = site.start_limited(&prlimit, ROOM);
    let refused = fill(&server, &mut next, &mut stored);
    assert_eq!(refused.status, 503);
    server.kill();
    let server = site.start();
    assert_eq!(
        read(&server, stored.len()),
        stored,
        "everything acknowledged is there, in order"
    );
    assert_eq!(
        server.metric("levada_log_partition_next_offset"),
        stored.len() as u64,
        "and nothing that was refused"
    );
}

fn give_room(prlimit: &Path, pid: u32) {
    let status = Command::new(prlimit)
        .args(["--fsize=unlimited:unlimited", "--pid", &pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

//! The dedupe window over a kill: an event that was acknowledged and is sent again is acknowledged again
//! and stored once.

use serde_json::{Value, json};

use crate::client;
use crate::server::{Server, Site, eventually};

const CONFIG: &str = "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n";
const STREAMS: &str = "streams:
  once: {schema_title: test, levada: {dedupe_window: 1h, partitions: 3}}
  shared: {schema_title: test, topics: [once], levada: {dedupe_window: 1h, partitions: 3}}
  twice: {schema_title: test}
";
const SCHEMA: &str = "{title: test, type: object, properties: {$schema: {type: string}, meta: {type: object, properties: {stream: {type: string}, id: {type: string}, dt: {type: string}, domain: {type: string}}}, n: {type: integer}}}";

fn event(stream: &str, id: &str, more: Value) -> Value {
    let mut event = json!({"$schema": "/test/1.0.0", "meta": {"stream": stream, "id": id}});
    let meta = event["meta"].as_object_mut().unwrap();
    meta.extend(more.as_object().unwrap().clone());
    event
}

fn events() -> Vec<Value> {
    let old = json!({"dt": "2017-07-14T02:40:00Z"});
    let mut all: Vec<_> = (0..20)
        .map(|n| event("once", &format!("new{n}"), json!({})))
        .collect();
    all.extend((0..20).map(|n| event("once", &format!("old{n}"), old.clone())));
    all.push(event("shared", "new0", json!({})));
    all.push(event("once", "canary", json!({"domain": "canary"})));
    all.push(event("twice", "x", json!({})));
    all
}

fn stored(server: &Server) -> u64 {
    server.metric("levada_log_partition_next_offset")
}

#[test]
fn what_is_sent_again_after_a_kill_is_stored_once() {
    let site = Site::new(CONFIG);
    site.file("streams.yaml", STREAMS);
    site.file("schemas/test/1.0.0", SCHEMA);
    let mut server = site.start();
    let body = json!(events()).to_string();
    assert_eq!(client::post(server.address, &body).status, 201);
    assert_eq!(stored(&server), 43);
    // Canaries repeat their ids on purpose, and a stream without a window takes everything.
    let again = 2;
    for round in 1..=2 {
        server.kill();
        server = site.start();
        assert_eq!(client::post(server.address, &body).status, 201);
        assert_eq!(stored(&server), 43 + again * round);
        assert_eq!(server.metric("levada_intake_duplicates_total"), 41);
    }
    // An id that another stream of the topic has is another id.
    let other = event("shared", "new1", json!({})).to_string();
    assert_eq!(client::post(server.address, &other).status, 201);
    assert_eq!(stored(&server), 43 + again * 2 + 1);
}

#[test]
fn a_window_that_was_switched_off_for_a_while_knows_what_was_stored_meanwhile() {
    let site = Site::new(&format!("{CONFIG}ttl = \"50ms\"\n"));
    site.file("streams.yaml", STREAMS);
    site.file("schemas/test/1.0.0", SCHEMA);
    let server = site.start();
    let post = |id: &str| {
        let body = event("once", id, json!({})).to_string();
        assert_eq!(client::post(server.address, &body).status, 201);
    };
    let mut reloads = 0;
    let mut reload = |text: &str| {
        site.file("streams.yaml", text);
        reloads += 1;
        eventually("it is reloaded", || {
            server.log().matches("configuration was reloaded").count() == reloads
        });
    };
    post("before");
    reload(&STREAMS.replace("dedupe_window: 1h, ", ""));
    post("between");
    post("between");
    reload(STREAMS);
    post("between");
    post("before");
    post("behind");
    post("behind");
    assert_eq!(stored(&server), 4);
    assert_eq!(server.metric("levada_intake_duplicates_total"), 3);
}

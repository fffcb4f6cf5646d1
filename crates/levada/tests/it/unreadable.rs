//! A partition whose file cannot be opened: who is told, and who is served nevertheless.

use serde_json::json;

use crate::client;
use crate::server::{Server, Site};

const SCHEMA: &str = "{title: test, type: object, properties: {$schema: {type: string}, meta: {type: object, properties: {stream: {type: string}}}, n: {type: integer}}}";

fn site(more: &str) -> Site {
    let site = Site::new(&format!(
        "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n{more}"
    ));
    site.file(
        "streams.yaml",
        "streams:\n  a: {schema_title: test}\n  b: {schema_title: test}\n",
    );
    site.file("schemas/test/1.0.0", SCHEMA);
    site
}

fn post(server: &Server, stream: &str) -> u16 {
    let event = json!({"$schema": "/test/1.0.0", "meta": {"stream": stream}, "n": 1});
    client::post(server.address, &event.to_string()).status
}

#[test]
fn readers_are_told_or_led_past_it() {
    for (more, passes) in [("", false), ("[streams]\npass_damage = true\n", true)] {
        let site = site(more);
        let server = site.start();
        for stream in ["a", "b"] {
            assert_eq!(post(&server, stream), 201);
        }
        server.stop();
        // A folder in the place of the file: not even root can read it.
        let segment = site.path().join("data/topics/a/0/00000000000000000000.seg");
        std::fs::remove_file(&segment).unwrap();
        std::fs::create_dir(&segment).unwrap();
        let server = site.start();
        let get = |target: &str| client::get(server.address, target);
        assert_eq!(get("/readyz").status, 503);
        assert_eq!(get("/readyz/intake").status, 503);
        let streams = get("/readyz/streams");
        assert_eq!(streams.status, if passes { 200 } else { 503 });
        assert!(passes || streams.text().contains("a/0: the partition in "));
        assert_eq!(post(&server, "b"), 201);
        let both = client::get(server.address, "/v2/stream/a,b?since=1970-01-01");
        match passes {
            false => assert_eq!(both.status, 500),
            true => {
                assert_eq!(both.header("levada-gap"), Some("a/0;damaged;-;0"));
                let mut both = both.stream();
                for _ in 0..2 {
                    assert_eq!(both.event().event()["meta"]["topic"], "b");
                }
            }
        }
    }
}

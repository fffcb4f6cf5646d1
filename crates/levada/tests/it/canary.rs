//! `levada canary` from outside: which intakes get what, and what it says and answers (contract
//! eventstreams §4, cases 89 to 92).

use std::process::Output;

use serde_json::Value;

use crate::client;
use crate::scripted::{Scripted, response};
use crate::server::{Server, Site, binary};

const STREAMS: &str = "default_settings: {canary_events_enabled: true, destination_event_service: main, topic_prefixes: [east., west.]}
streams:
  a: {schema_title: test}
  b: {schema_title: test}
  c: {schema_title: test}
  off: {schema_title: test, canary_events_enabled: false}
  other: {schema_title: test, destination_event_service: elsewhere}
  nowhere: {schema_title: test, destination_event_service: null}
  /^p/: {schema_title: test}
";
const SCHEMA: &str = "
title: test
$id: /test/1.0.0
type: object
properties: {$schema: {type: string}, meta: {type: object, properties: {stream: {type: string}, dt: {type: string}, domain: {type: string}}}, n: {type: integer}}
examples: [{$schema: /test/1.0.0, meta: {dt: '2020-01-01T00:00:00Z', stream: x}, n: 1}]
";

fn site(prefix: &str) -> Site {
    let site = Site::new(&format!(
        "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n[intake]\nservice = \"main\"\ntopic_prefix = \"{prefix}\"\n"
    ));
    site.file("streams.yaml", STREAMS);
    site.file("schemas/test/1.0.0", SCHEMA);
    site.file("schemas/test/latest", SCHEMA);
    site
}

fn canary(site: &Site, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = binary();
    command
        .arg("canary")
        .arg("--config")
        .arg(site.path().join("levada.toml"));
    let Output {
        status,
        stdout,
        stderr,
    } = command.args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn first_event(server: &Server, stream: &str) -> Value {
    let target = format!("/v2/stream/{stream}?since=1970-01-01");
    client::get(server.address, &target).stream().event().event()
}

#[test]
fn each_intake_of_a_service_gets_one_event_per_stream() {
    let (east_site, west_site) = (site("east."), site("west."));
    let (east, west) = (east_site.start(), west_site.start());
    let to_east = format!("main-east={}/v1/events", east.url());
    let to_west = format!("main-west={}", west.url());
    let to_again = format!("main={}", east.url());
    let args = ["--to", &to_east, "--to", &to_west, "--to", &to_again];
    let (code, out, err) = canary(&east_site, &args);
    // A service for which no intake is named is a failure; no service at all is none of its business.
    assert_eq!((code, err.lines().count()), (Some(1), 1), "{out}{err}");
    assert!(
        err.contains("other: no --to says where elsewhere takes events"),
        "{err}"
    );
    assert_eq!(out.matches("accepted ").count(), 6, "{out}");
    assert!(
        out.contains("skipped nowhere: it has no destination_event_service"),
        "{out}"
    );
    for (server, topic) in [(&east, "east.a"), (&west, "west.a")] {
        let event = first_event(server, "a");
        assert_eq!(event["meta"]["topic"], topic);
        assert_eq!(event["meta"]["domain"], "canary");
        assert!(event["meta"]["dt"].as_str().unwrap() > "2021", "{event}");
        assert_eq!(
            server.metric("levada_log_partition_next_offset"),
            3,
            "one for each of a, b and c"
        );
    }
    // One intake is gone: the other still gets its events.
    drop(west);
    let (code, out, err) = canary(
        &east_site,
        &["a", "--to", &to_west, "--to", &to_east, "--deadline", "1s"],
    );
    assert_eq!(
        (code, out.matches("accepted a at ").count()),
        (Some(1), 1),
        "{out}{err}"
    );
    assert!(err.starts_with("levada: a at http://"), "{err}");
    // Streams that get none say why.
    let (code, _, err) = canary(&east_site, &["off", "none", "p1x", "--dry-run"]);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("off: canary_events_enabled is false") && err.contains("none: there is no such stream"),
        "{err}"
    );
}

#[test]
fn only_201_and_202_count() {
    let refused = r#"{"invalid":[{"status":"invalid","event":{},"context":{"errors":[],"errorsText":"bad"}}],"error":[]}"#;
    let intake = Scripted::start(vec![response(201, ""), response(207, refused), response(202, "")]);
    let (code, out, err) = canary(&site(""), &["a", "b", "c", "--url", &intake.url]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(
        out.contains("accepted a") && out.contains("accepted c") && !out.contains("accepted b"),
        "{out}"
    );
    assert!(err.contains("levada: b at "), "{err}");
    let asked = intake.asked();
    assert_eq!(asked.len(), 3, "one POST for each stream");
    for (request, stream) in asked.iter().zip(["a", "b", "c"]) {
        assert!(
            request.head.starts_with("POST /v1/events HTTP/1.1"),
            "{}",
            request.head
        );
        let want = format!(
            r#"[{{"$schema":"/test/1.0.0","meta":{{"stream":"{stream}","domain":"canary"}},"n":1}}]"#
        );
        assert_eq!(request.body, want);
    }
    // What would be posted, and nothing is.
    let (code, out, _) = canary(&site(""), &["a", "--url", &intake.url, "--dry-run"]);
    assert_eq!(code, Some(0));
    assert!(
        out.starts_with(&format!("a to {}", intake.url)) && out.contains("\"domain\":\"canary\""),
        "{out}"
    );
    assert!(intake.asked().is_empty());
}

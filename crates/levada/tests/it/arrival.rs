//! The ways in which requests arrive: in absolute form, over HTTP/2 without TLS, and slowly or never whole.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::browser::program;
use crate::client::{self, PATIENCE, Response};
use crate::server::{Server, Site};

const EVENT: &str = r#"{"$schema":"/test/1.0.0","meta":{"stream":"a"},"n":1}"#;

fn site(more: &str) -> Site {
    let site = Site::new(&format!(
        "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n{more}"
    ));
    site.file("streams.yaml", "streams:\n  a: {schema_title: test}\n");
    site.file(
        "schemas/test/1.0.0",
        "{title: test, type: object, properties: {$schema: {type: string}, meta: {type: object, properties: {stream: {type: string}}}, n: {type: integer}}}",
    );
    site
}

fn connect(server: &Server) -> TcpStream {
    let socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

#[test]
fn targets_may_be_absolute() {
    let site = site("");
    let server = site.start();
    let json = [("content-type", "application/json")];
    let target = "http://levada.test/v1/events";
    let posted = client::request(server.address, "POST", target, &json, EVENT.as_bytes());
    assert_eq!(posted.status, 201);
    let target = "http://levada.test/v2/stream/a?since=1970-01-01";
    let mut stream = client::request(server.address, "GET", target, &[], b"").stream();
    assert_eq!(stream.event().event()["n"], 1);
}

#[test]
fn http_2_is_spoken_without_tls() {
    let Some(curl) = program(&["curl"]) else {
        return;
    };
    let site = site("");
    let server = site.start();
    let ask = |args: &[&str], path: &str| {
        let mut command = Command::new(&curl);
        command
            .args(["-s", "-N", "--http2-prior-knowledge", "--max-time", "30"])
            .args(args)
            .arg(format!("{}{path}", server.url()))
            .stdout(Stdio::piped());
        command
    };
    let shown = "%{http_version} %{http_code}";
    let post = [
        "-o",
        "/dev/null",
        "-w",
        shown,
        "-H",
        "content-type: application/json",
        "-d",
        EVENT,
    ];
    let posted = ask(&post, "/v1/events").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&posted.stdout), "2 201");
    let mut reading = ask(&["-i"], "/v2/stream/a?since=1970-01-01").spawn().unwrap();
    let mut text = Vec::new();
    let mut out = reading.stdout.take().unwrap();
    let mut some = [0; 4096];
    while !String::from_utf8_lossy(&text).contains("\"n\":1") {
        let count = out.read(&mut some).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&some[..count]);
    }
    reading.kill().unwrap();
    reading.wait().unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.starts_with("HTTP/2 200") && text.contains("\r\n\r\n:ok\n\nretry: 2000\n\nevent: message\nid: "),
        "{text}"
    );
}

#[test]
fn who_sends_too_slowly_is_not_waited_for() {
    let site = site(
        "[http]\nheader_timeout = \"200ms\"\n[intake]\ndeadline = \"200ms\"\nin_flight_bytes_max = \"1KiB\"\n",
    );
    let server = site.start();
    // Half a head: the connection ends.
    let mut half = connect(&server);
    half.write_all(b"GET /livez HTTP/1.1\r\nhost: le").unwrap();
    let mut rest = Vec::new();
    let _ = half.read_to_end(&mut rest);
    assert!(!rest.starts_with(b"HTTP/1.1 200"), "{rest:?}");
    // Half a body, which takes all of the budget: it is told, and the budget is free again.
    let mut stuck = connect(&server);
    let head = "POST /v1/events HTTP/1.1\r\nhost: levada.test\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n";
    stuck.write_all(head.as_bytes()).unwrap();
    stuck.write_all(&EVENT.as_bytes()[..20]).unwrap();
    let answer = Response::read(stuck, false);
    assert_eq!(answer.status, 408);
    assert_eq!(answer.header("levada-error-code"), Some("request_timeout"));
    assert_eq!(client::post(server.address, EVENT).status, 201);
    // Half a body and gone: nothing of it is stored.
    let mut gone = connect(&server);
    gone.write_all(head.as_bytes()).unwrap();
    gone.write_all(EVENT.as_bytes()).unwrap();
    drop(gone);
    assert_eq!(client::post(server.address, EVENT).status, 201);
    assert_eq!(server.metric("levada_log_partition_next_offset"), 2);
}

#[test]
fn every_metric_is_explained() {
    let site = site("[canary]\ninterval = \"1h\"\n[auth]\nmode = \"optional\"\n");
    let server = site.start();
    assert_eq!(client::post(server.address, EVENT).status, 201);
    assert_eq!(client::post(server.address, "[1]").status, 400);
    let mut stream = client::get(server.address, "/v2/stream/a?since=1970-01-01").stream();
    assert_eq!(stream.event().event()["n"], 1);
    let page = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/metrics.md"
    ))
    .unwrap();
    let metrics = client::get(server.address, "/metrics").text();
    let names: Vec<_> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .filter(|name| !name.starts_with("levada_accounts_"))
        .collect();
    assert!(names.len() > 25, "{names:?}");
    for name in names {
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end));
        let name = family.unwrap_or(name);
        assert!(
            page.contains(&format!("`{name}`")) || page.contains(&format!("`{name}{{")),
            "{name} is not explained"
        );
    }
}

//! Ways of asking that clients of the Realtime API have (contract client-rules): HTTP/2 without TLS,
//! HTTP/1.0, targets with scheme and host, several requests on one connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::articles::{publish, site};
use crate::browser::program;
use crate::client::{PATIENCE, Response, request};

#[test]
fn http_2_without_tls_streams_too() {
    let Some(curl) = program(&["curl"]) else {
        return;
    };
    let site = site("");
    let server = site.start();
    publish(&server, &[], 0..3, 10);
    for body in [None, Some("{\"since\":\"2020-01-01T00:00:00Z\"}")] {
        let mut command = Command::new(&curl);
        command.args(["--http2-prior-knowledge", "-N", "-s", "-i", "--max-time", "30"]);
        command.args(["-H", "accept: application/x-ndjson"]);
        match body {
            // As the Go SDK: a GET with a body.
            Some(body) => command
                .args(["-X", "GET", "-H", "content-type: application/json", "-d", body])
                .arg(format!("{}/v2/articles", server.url())),
            None => command.arg(format!("{}/v2/articles?since=2020-01-01T00:00:00Z", server.url())),
        };
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (mut text, mut byte) = (String::new(), [0]);
        let mut out = child.stdout.take().unwrap();
        while text.matches("\n{").count() < 3 || !text.ends_with('\n') {
            out.read_exact(&mut byte)
                .unwrap_or_else(|error| panic!("{error}: {text}"));
            text.push(char::from(byte[0]));
        }
        let _ = child.kill();
        let _ = child.wait();
        assert!(text.starts_with("HTTP/2 200"), "{text}");
        // It would be an error in HTTP/2.
        assert!(!text.to_lowercase().contains("\nconnection:"), "{text}");
    }
}

#[test]
fn http_1_0_and_targets_with_a_host_are_served() {
    let site = site("");
    let server = site.start();
    publish(&server, &[], 0..1, 10);
    let lines = [("accept", "application/x-ndjson")];
    let target = format!("{}/v2/articles?since=2020-01-01T00:00:00Z", server.url());
    let mut absolute = request(server.address, "GET", &target, &lines, b"").stream();
    assert!(absolute.line().unwrap().contains("\"Page 0\""));
    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = "GET /v2/articles?since=2020-01-01T00:00:00Z HTTP/1.0\r\naccept: application/x-ndjson\r\n\r\n";
    socket.write_all(head.as_bytes()).unwrap();
    let (mut text, mut byte) = (String::new(), [0]);
    while !text.ends_with("}\n") {
        socket.read_exact(&mut byte).unwrap();
        text.push(char::from(byte[0]));
    }
    assert!(
        text.contains(" 200 OK\r\n") && text.contains("\"Page 0\""),
        "{text}"
    );
    assert!(!text.to_lowercase().contains("chunked"), "{text}");
}

#[test]
fn a_connection_is_used_again_after_a_refusal() {
    let site = site("");
    let server = site.start();
    publish(&server, &[], 0..1, 10);
    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    for target in ["/v2/articles?fields=nope", "/v2/nope", "/v2/articles/positions"] {
        let head = format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n");
        socket.write_all(head.as_bytes()).unwrap();
        let answer = Response::read(socket.try_clone().unwrap(), false);
        assert!(answer.status != 200 || target.ends_with("positions"), "{target}");
        assert!(answer.text().ends_with("}\n"), "{target}");
    }
}

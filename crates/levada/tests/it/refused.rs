//! Bodies that are too much: the client hears so even if it is still writing, and what a small body may
//! inflate to counts before it does.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::client::{self, PATIENCE, Response};
use crate::server::{Server, Site};

const SCHEMA: &str = "{title: test, type: object, properties: {$schema: {type: string}, meta: {type: object, properties: {stream: {type: string}}}}}";

fn site(intake: &str) -> Site {
    let site = Site::new(&format!(
        "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n[intake]\n{intake}"
    ));
    site.file("streams.yaml", "streams:\n  a: {schema_title: test}\n");
    site.file("schemas/test/1.0.0", SCHEMA);
    site
}

/// Writes a whole request before it reads anything, as simple clients do.
fn write_all(server: &Server, target: &str, headers: &str, body: &[u8]) -> Response {
    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    let head = format!("POST {target} HTTP/1.1\r\nhost: levada.test\r\n{headers}\r\n");
    socket.write_all(head.as_bytes()).unwrap();
    for part in body.chunks(64 * 1024) {
        socket
            .write_all(part)
            .expect("the server reads on while the client writes");
    }
    Response::read(socket, false)
}

#[test]
fn a_client_that_is_still_writing_hears_that_it_is_too_much() {
    let site = site("body_bytes_max = \"64KiB\"\n");
    let server = site.start();
    // More than the sockets hold between them.
    let body = vec![b'x'; 24 << 20];
    let json = "content-type: application/json\r\n";
    let length = format!("content-length: {}\r\n", body.len());
    let response = write_all(&server, "/v1/events", &format!("{json}{length}"), &body);
    assert_eq!(response.status, 413);
    assert_eq!(response.header("levada-error-code"), Some("body_too_large"));
    assert!(response.text().contains("the limit is 65536 bytes"));
    // Of unknown length, of the wrong kind, and where nothing takes a body at all.
    let chunked: Vec<u8> = body
        .chunks(1 << 20)
        .flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat())
        .chain(*b"0\r\n\r\n")
        .collect();
    let response = write_all(
        &server,
        "/v1/events",
        &format!("{json}transfer-encoding: chunked\r\n"),
        &chunked,
    );
    assert_eq!(response.status, 413);
    let response = write_all(
        &server,
        "/v1/events",
        &format!("content-type: image/png\r\n{length}"),
        &body,
    );
    assert_eq!(response.status, 415);
    let response = write_all(&server, "/nowhere", &length, &body);
    assert_eq!(response.status, 404);
    let response = write_all(&server, "/w/api.php?action=streamconfigs", &length, &body);
    assert_eq!(response.status, 413);
    let text = response.text();
    assert!(
        text.starts_with(
            "{\"error\":{\"code\":\"unreadableform\",\"info\":\"The form has more than 1048576 bytes."
        ),
        "{text}"
    );
    // Who asks first is told before it sends anything.
    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: levada.test\r\n{json}{length}expect: 100-continue\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).unwrap();
    assert_eq!(Response::read(socket, false).status, 413);
    assert_eq!(client::get(server.address, "/livez").status, 200);
}

/// A client that never ends its body is not read for ever.
#[test]
fn a_body_without_end_is_cut_off() {
    let site = site("body_bytes_max = \"64KiB\"\n");
    let server = site.start();
    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = "POST /v1/events HTTP/1.1\r\nhost: levada.test\r\ncontent-type: application/json\r\ncontent-length: 100000000000\r\n\r\n";
    socket.write_all(head.as_bytes()).unwrap();
    let part = vec![b'x'; 1 << 20];
    let written = (0..1000).take_while(|_| socket.write_all(&part).is_ok()).count();
    assert!((16..1000).contains(&written), "{written} MiB were taken");
}

/// Bodies that inflate to many times their size, all at once, under a budget of 4 MiB.
#[test]
fn many_bodies_that_inflate_stay_within_the_budget() {
    const BOMBS: usize = 100;
    let site = site("body_bytes_max = \"4MiB\"\nin_flight_bytes_max = \"4MiB\"\n");
    let server = site.start();
    // Large enough to be inflated on a thread of its own.
    let mut text = noise(100 << 10);
    text.resize(64 << 20, b' ');
    let bomb = gzip(&text);
    assert!((65 << 10..1 << 20).contains(&bomb.len()), "{}", bomb.len());
    let event = json!({"$schema": "/test/1.0.0", "meta": {"stream": "a"}, "pad": "x".repeat(3 << 20)});
    let large = gzip(event.to_string().as_bytes());
    let send = |body: &[u8]| {
        let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
        client::request(server.address, "POST", "/v1/events", &headers, body).status
    };
    // One of each, alone: what handling them takes.
    assert_eq!((send(&large), send(&bomb)), (201, 413));
    let before = server.memory();
    let mut peak = 0;
    std::thread::scope(|scope| {
        let bombs: Vec<_> = (0..BOMBS).map(|_| scope.spawn(|| send(&bomb))).collect();
        let others: Vec<_> = (0..2).map(|_| scope.spawn(|| send(&large))).collect();
        while !bombs.iter().chain(&others).all(|client| client.is_finished()) {
            peak = peak.max(server.memory());
        }
        assert!(bombs.into_iter().all(|client| client.join().unwrap() == 413));
        assert!(others.into_iter().all(|client| client.join().unwrap() == 201));
    });
    // One body at a time is inflated; without the budget it is all of them, 4 MiB each and more.
    let grown = peak.saturating_sub(before) >> 20;
    println!("{BOMBS} bodies at once took {grown} MiB");
    assert!(grown < 90, "{BOMBS} bodies at once took {grown} MiB");
}

/// Bytes that do not compress.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        // Knuth's generator; its high bits are good enough for this.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..count).map(|_| next()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::read::GzEncoder::new(bytes, flate2::Compression::best());
    let mut out = Vec::new();
    encoder.read_to_end(&mut out).unwrap();
    out
}

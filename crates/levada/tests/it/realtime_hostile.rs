//! Requests to the Realtime API that are too much or make no sense: answered at once, in its error
//! shape, at no cost that lasts.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::articles::{open, publish, site};
use crate::client::{self, PATIENCE};
use crate::server::Server;

/// Longest time for one of these requests, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Status and message of a refusal.
fn refused(server: &Server, content_type: &str, body: &[u8]) -> (u16, String) {
    let begun = Instant::now();
    let headers = [("content-type", content_type)];
    let answer = client::request(server.address, "POST", "/v2/articles", &headers, body);
    let status = answer.status;
    // A stream would not end.
    let begin = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
    assert_ne!(status, 200, "{begin}");
    let text = answer.text();
    assert!(begun.elapsed() < AT_ONCE, "{status} took {:?}", begun.elapsed());
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(body["status"], status, "{text}");
    (status, body["message"].as_str().unwrap().to_owned())
}

#[test]
fn requests_as_large_as_they_may_be_are_served_and_larger_ones_refused() {
    let site = site("");
    let server = site.start();
    publish(&server, &[], 0..1, 10);
    let refused = |body: &Value| refused(&server, "application/json", body.to_string().as_bytes());
    // 31, 69: as many fields and filters as may be.
    let names = ["name", "identifier", "abstract", "event.*", "version.editor.name"];
    let fields: Vec<&str> = names.iter().copied().cycle().take(255).collect();
    let filter = json!({"field": "event.type", "value": "update"});
    let mut largest =
        json!({"since": "2020-01-01T00:00:00Z", "fields": fields, "filters": vec![&filter; 255]});
    let mut stream = open(&server, &[("accept", "application/x-ndjson")], &largest).stream();
    let line: Value = serde_json::from_str(&stream.line().unwrap()).unwrap();
    assert_eq!(
        (&line["name"], &line["is_part_of"]),
        (&json!("Page 0"), &Value::Null)
    );
    largest["fields"].as_array_mut().unwrap().push(json!("name"));
    let (status, message) = refused(&largest);
    assert_eq!(
        (status, &*message),
        (
            422,
            "Key: 'Model.Fields' Error:Field validation for 'Fields' failed on the 'max' tag"
        )
    );
    let (status, message) = refused(&json!({"filters": vec![&filter; 256]}));
    assert_eq!(
        (status, &*message),
        (
            422,
            "Key: 'Model.Filters' Error:Field validation for 'Filters' failed on the 'max' tag"
        )
    );
    // 32: a long name; one of 255 is only unknown.
    let (status, message) = refused(&json!({"fields": ["x".repeat(256)]}));
    assert!(status == 422 && message.contains("'max' tag"), "{message}");
    let (status, message) = refused(&json!({"fields": ["x".repeat(255)]}));
    assert!(status == 422 && message.contains("not found"), "{message}");
    // 87: positions are counted before those of other parts are dropped.
    let offsets: serde_json::Map<String, Value> = (0..51).map(|p| (p.to_string(), json!(0))).collect();
    let (status, message) = refused(&json!({"parts": [0], "offsets": offsets}));
    assert_eq!(
        (status, &*message),
        (
            422,
            "the query param offsets has length 51, max allowed length 50"
        )
    );
    let times: serde_json::Map<String, Value> = (0..51)
        .map(|p| (p.to_string(), json!("2020-01-01T00:00:00Z")))
        .collect();
    let (status, message) = refused(&json!({"parts": [0], "since_per_partition": times}));
    assert_eq!(
        (status, &*message),
        (
            422,
            "the query param since_per_partition has length 51, max allowed length 50"
        )
    );
}

#[test]
fn hostile_requests_are_refused_and_leave_nothing_behind() {
    let site = site("");
    let server = site.start();
    publish(&server, &[], 0..10, 10);
    let deep_filter = (0..10_000).fold("{\"field\":\"name\",\"value\":1}".to_owned(), |inner, _| {
        format!("{{\"not\":{inner}}}")
    });
    let long_list: Vec<usize> = (0..20_000).collect();
    let wide: Vec<Value> = (0..255).map(|n| json!({"any": (0..40).map(|m| json!({"field": "name", "prefix": format!("{n} {m}")})).collect::<Vec<_>>()})).collect();
    let bodies: Vec<(&str, Vec<u8>, u16)> = vec![
        ("application/json", b"{".to_vec(), 422),
        ("application/json", b"[1,2".to_vec(), 422),
        ("application/json", b"\"text\"".to_vec(), 422),
        ("application/json", b"{\"fields\":[\"na\0me\"]}".to_vec(), 422),
        ("application/json", b"{\"fields\":[\"\xff\xfe\"]}".to_vec(), 422),
        ("application/json", b"\xef\xbb\xbf\x00".to_vec(), 422),
        ("application/json", b"[".repeat(900_000), 422),
        (
            "application/json",
            format!("{{\"filters\":[{}]}}", "[".repeat(300_000)).into_bytes(),
            422,
        ),
        (
            "application/json",
            format!("{{\"filters\":[{deep_filter}]}}").into_bytes(),
            422,
        ),
        (
            "application/json",
            json!({"filters": [{"field": "identifier", "in": long_list}]})
                .to_string()
                .into_bytes(),
            422,
        ),
        (
            "application/json",
            json!({"filters": wide}).to_string().into_bytes(),
            422,
        ),
        (
            "application/json",
            json!({"filters": [{"field": "name", "value": "v".repeat(400_000)}]})
                .to_string()
                .into_bytes(),
            422,
        ),
        (
            "application/json",
            json!({"filters": [{"field": "a.".repeat(200_000), "value": 1}]})
                .to_string()
                .into_bytes(),
            422,
        ),
        (
            "application/json",
            json!({"filters": [{"field": "name", "regex": "(a+)+$"}]})
                .to_string()
                .into_bytes(),
            422,
        ),
        (
            "application/json",
            json!({"filters": [{"field": "name", "value": "a", "any": []}]})
                .to_string()
                .into_bytes(),
            422,
        ),
        (
            "application/json",
            b"{\"parts\":[18446744073709551616]}".to_vec(),
            422,
        ),
        ("application/json", b"{\"parts\":[1e999]}".to_vec(), 422),
        (
            "application/json",
            b"{\"since\":\"9999999999999-01-01T00:00:00Z\"}".to_vec(),
            422,
        ),
        (
            "application/json",
            b"{\"since\":\"-0001-01-01T00:00:00Z\"}".to_vec(),
            422,
        ),
        (
            "application/x-www-form-urlencoded",
            b"parts=%ff%fe&offsets={&filters=%".to_vec(),
            422,
        ),
        (
            "application/x-www-form-urlencoded",
            b"fields=&".repeat(100_000),
            422,
        ),
        ("multipart/form-data; boundary=x", b"--x\r\n".repeat(100_000), 422),
        ("application/json", b" ".repeat(1024 * 1024 + 1), 413),
    ];
    let count = bodies.len();
    let all_of_them = || {
        for (content_type, body, wanted) in &bodies {
            let (status, message) = refused(&server, content_type, body);
            let begin = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            assert_eq!(status, *wanted, "{begin}: {message}");
            assert!(
                !message.is_empty() && message.len() < 70_000,
                "{begin}: {} bytes",
                message.len()
            );
        }
    };
    all_of_them();
    let before = server.memory();
    for _ in 0..2 {
        all_of_them();
    }
    let after = server.memory();
    println!("{count} hostile bodies, 2 rounds: {before} bytes of memory, then {after}");
    assert!(
        after < before + 64 * 1024 * 1024,
        "{before} bytes grew to {after}"
    );
    // In the query and in headers.
    for target in [
        "/v2/articles?filters=%7B",
        "/v2/articles?parts=a",
        "/v2/articles?offsets=[1]",
        "/v2/articles?since_per_partition=%7B%220%22:5%7D",
        "/v2/articles?filters=%7B%22field%22:%22name%22%7D",
    ] {
        assert_eq!(client::get(server.address, target).status, 422, "{target}");
    }
    for id in [
        "nope",
        "[{}]",
        "c1:",
        "c1:00000000:0:0:articles:gggggggggg:",
        "[{\"topic\":\"other\",\"partition\":0,\"offset\":0}]",
    ] {
        let answer = client::request(
            server.address,
            "GET",
            "/v2/articles",
            &[("last-event-id", id)],
            b"",
        );
        assert_eq!(answer.status, 422, "{id}");
        assert!(answer.text().contains("Last-Event-ID"), "{id}");
    }
    let large = "x".repeat(1 << 20);
    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    // The server may close while the header is still being written.
    let _ = socket.write_all(
        format!("GET /v2/articles HTTP/1.1\r\nhost: x\r\nlast-event-id: {large}\r\n\r\n").as_bytes(),
    );
    let mut answer = [0; 12];
    if socket.read_exact(&mut answer).is_ok() {
        assert_eq!(&answer[9..], b"431");
    }
    // Whoever behaves is served as ever.
    let mut stream = open(
        &server,
        &[("accept", "application/x-ndjson")],
        &json!({"since": "2020-01-01T00:00:00Z"}),
    )
    .stream();
    for _ in 0..10 {
        assert!(stream.line().unwrap().contains("\"Page "));
    }
}

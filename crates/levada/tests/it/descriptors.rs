//! Open files: the limit is raised as far as it may be, and clients that open sockets leave the log enough.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::browser::program;
use crate::client;
use crate::server::{Site, eventually};

const CONFIG: &str = "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n";
const SCHEMA: &str = "{title: test, type: object, properties: {$schema: {type: string}, meta: {type: object, properties: {stream: {type: string}}}}}";

#[test]
fn sockets_do_not_take_the_files_of_the_log() {
    let Some(prlimit) = program(&["prlimit"]) else {
        return;
    };
    let site = Site::new(CONFIG);
    let streams: Vec<_> = (0..40)
        .map(|n| format!("  s{n}: {{schema_title: test}}\n"))
        .collect();
    site.file("streams.yaml", &format!("streams:\n{}", streams.concat()));
    site.file("schemas/test/1.0.0", SCHEMA);
    // As customary: little at first, more on request.
    let server = site.start_under(&prlimit, "--nofile=120:400");
    assert!(
        server.log().contains("http.connections_max = 20000"),
        "{}",
        server.log()
    );
    // Clients that say nothing, until one is turned away.
    let mut idle = Vec::new();
    loop {
        let mut socket = TcpStream::connect(server.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let mut said = [0; 12];
        if socket.read(&mut said).is_ok_and(|bytes| bytes > 0) {
            assert_eq!(&said, b"HTTP/1.1 503");
            break;
        }
        idle.push(socket);
        assert!(idle.len() < 1000, "nobody is turned away");
    }
    assert!(idle.len() > 120, "the limit was raised: {}", idle.len());
    // The first are sure to have a place.
    idle.drain(..2);
    let post = |stream: &str| {
        let event = json!({"$schema": "/test/1.0.0", "meta": {"stream": stream}}).to_string();
        std::panic::catch_unwind(|| client::post(server.address, &event).status).ok()
    };
    eventually("there is room for one more", || post("s0") == Some(201));
    // Each stream needs files of its own.
    for n in 1..40 {
        let stream = format!("s{n}");
        eventually("it is stored", || {
            post(&stream).inspect(|status| assert_ne!(*status, 500)) == Some(201)
        });
    }
    assert_eq!(server.metric("levada_log_refuses_writes"), 0);
    assert_eq!(client::get(server.address, "/readyz").status, 200);
}

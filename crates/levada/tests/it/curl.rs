//! `curl -N` reads a live stream as it comes.

use std::io::Read;
use std::process::{Child, Command, Stdio};

use crate::browser::{post, program, site};

#[test]
fn curl_shows_events_as_they_come() {
    let Some(curl) = program(&["curl"]) else {
        return;
    };
    let site = site();
    let server = site.start();
    let mut child = Command::new(curl)
        .args(["-N", "-s", "--max-time", "60"])
        .arg(format!("{}/v2/stream/a", server.url()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let _curl = Running(child);
    // The greeting is there before any event is, so that what is posted now is live.
    let opening = ":ok\n\nretry: 2000\n\n";
    assert_eq!(take(&mut out, opening.len()), opening);
    for (offset, test) in ["first", "second"].into_iter().enumerate() {
        post(&server, test);
        let start =
            "event: message\nid: [{\"topic\":\"a\",\"partition\":0,\"timestamp\":1500000000001,\"at\":\"";
        assert_eq!(take(&mut out, start.len()), start);
        let log = take(&mut out, 8);
        assert!(log.bytes().all(|b| b.is_ascii_hexdigit()), "{log}");
        let next = offset + 1;
        let rest = format!(
            ":{next}\"}}]\ndata: {{\"$schema\":\"/test/1.0.0\",\"meta\":{{\"stream\":\"a\",\"id\":\"{test}\",\"dt\":\"2017-07-14T02:40:00Z\",\"topic\":\"a\",\"partition\":0,\"offset\":{offset}}},\"test\":\"{test}\"}}\n\n"
        );
        assert_eq!(take(&mut out, rest.len()), rest);
    }
}

#[test]
fn a_long_id_comes_back_over_either_protocol() {
    let Some(curl) = program(&["curl"]) else {
        return;
    };
    let site = site();
    let server = site.start();
    // Elements as the server writes them, for more partitions than there are, and room between them.
    let element =
        |p| format!(r#"{{"topic":"a","partition":{p},"timestamp":1500000000001,"at":"00000000:7"}}"#);
    let elements: Vec<_> = (0..512).map(element).collect();
    let elements = elements.join(",");
    // curl sends no more than 64 KiB over HTTP/2.
    for (protocol, bytes) in [("--http1.1", 450 << 10), ("--http2-prior-knowledge", 60 << 10)] {
        let id = format!("[{elements}{}]", " ".repeat(bytes - elements.len()));
        site.file("id", &format!("Last-Event-ID: {id}\n"));
        let output = Command::new(&curl)
            .args([
                protocol,
                "-N",
                "-s",
                "-o",
                "-",
                "-w",
                "%{http_code}",
                "--max-time",
                "2",
            ])
            .arg("-H")
            .arg(format!("@{}", site.path().join("id").display()))
            .arg(format!("{}/v2/stream/a", server.url()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            said.starts_with(":ok") && said.ends_with("200"),
            "{protocol}: {said}"
        );
    }
}

fn take(from: &mut impl Read, count: usize) -> String {
    let mut bytes = vec![0; count];
    from.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Ends the process when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

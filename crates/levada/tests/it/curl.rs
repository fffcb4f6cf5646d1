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

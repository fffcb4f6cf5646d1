//! A soak: events are published all the while, the server is stopped half way and killed later, and in
//! the end every reader has exactly what the log has.
//!
//! `SOAK_SECONDS` makes it longer.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::articles::{article, open, site};
use crate::client;
use crate::server::{Server, free_port};

const SECONDS: u64 = 10;

/// How long readers may take to finish when nothing is published any more.
const REST: Duration = Duration::from_secs(60);

/// Next offsets by partition.
type Ends = BTreeMap<u64, u64>;

/// What a reader sees, and where it is.
struct Reader {
    at: SocketAddr,
    /// Reads this part as NDJSON by offsets; without one everything as SSE by ids.
    part: Option<u64>,
    /// Partition, offset and the article's identifier.
    seen: Vec<(u64, u64, u64)>,
    next: Ends,
    id: Option<String>,
    connections: usize,
}

impl Reader {
    fn new(at: SocketAddr, part: Option<u64>) -> Self {
        Self {
            at,
            part,
            seen: Vec::new(),
            next: Ends::new(),
            id: None,
            connections: 0,
        }
    }

    fn partitions(&self) -> std::ops::Range<u64> {
        self.part.map_or(0..50, |part| part * 5..part * 5 + 5)
    }

    /// Reads, over as many connections as it takes, until everything before `ends` is there.
    fn follow(mut self, ends: &OnceLock<Ends>) -> Self {
        let mut since_ends = None;
        while !self.is_done(ends) {
            if let Ok(socket) = TcpStream::connect(self.at) {
                self.connections += 1;
                // However the connection ends, the next one goes on.
                let _ = self.read(socket, ends);
            }
            if ends.get().is_some() {
                let begun: &mut Instant = since_ends.get_or_insert_with(Instant::now);
                assert!(
                    begun.elapsed() < REST,
                    "part {:?} is not done: {:?}",
                    self.part,
                    self.next
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
        self
    }

    fn is_done(&self, ends: &OnceLock<Ends>) -> bool {
        let next = |partition: u64| self.next.get(&partition).copied().unwrap_or(0);
        ends.get().is_some_and(|ends| {
            self.partitions()
                .all(|partition| next(partition) >= ends.get(&partition).copied().unwrap_or(0))
        })
    }

    /// An HTTP/1.0 request, so that the body comes as it is.
    fn request(&self) -> String {
        let Some(part) = self.part else {
            let id = self.id.as_ref().map(|id| format!("last-event-id: {id}\r\n"));
            return format!(
                "GET /v2/articles{} HTTP/1.0\r\naccept: text/event-stream\r\n{}\r\n",
                if id.is_some() {
                    ""
                } else {
                    "?since=1990-01-01T00:00:00Z"
                },
                id.unwrap_or_default()
            );
        };
        let mut parameters = json!({"parts": [part], "offsets": {}, "since_per_partition": {}});
        for partition in self.partitions() {
            let key = partition.to_string();
            match self.next.get(&partition) {
                Some(next) => parameters["offsets"][key] = json!(next),
                None => parameters["since_per_partition"][key] = json!("1990-01-01T00:00:00Z"),
            }
        }
        let body = parameters.to_string();
        format!(
            "POST /v2/articles HTTP/1.0\r\naccept: application/x-ndjson\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn read(&mut self, mut socket: TcpStream, ends: &OnceLock<Ends>) -> std::io::Result<()> {
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        socket.write_all(self.request().as_bytes())?;
        let (mut pending, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
        let (mut in_head, mut id) = (true, None);
        while !self.is_done(ends) {
            match socket.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => pending.extend_from_slice(&buffer[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(error) => return Err(error),
            }
            // What is no whole line yet may never become one.
            while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = pending.drain(..=end).collect();
                let line = String::from_utf8(line).unwrap();
                let line = line.trim_end();
                if in_head {
                    assert!(
                        !line.starts_with("HTTP/1.") || line.contains(" 200 ") || line.contains(" 503 "),
                        "{line}"
                    );
                    in_head = !line.is_empty();
                } else if self.part.is_some() {
                    if line.starts_with('{') || line.trim_start().starts_with('{') {
                        self.take(line);
                    }
                } else if let Some(text) = line.strip_prefix("id: ") {
                    id = Some(text.to_owned());
                } else if let Some(data) = line.strip_prefix("data: ") {
                    self.take(data);
                } else if line.is_empty() && id.is_some() {
                    self.id = id.take();
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, text: &str) {
        let article: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{text}"));
        let (partition, offset) = (
            number(&article["event"]["partition"]),
            number(&article["event"]["offset"]),
        );
        self.seen
            .push((partition, offset, number(&article["identifier"])));
        self.next.insert(partition, offset + 1);
    }
}

/// Publishes until told to stop; returns what was acknowledged. Where the outcome is not known, the
/// articles are left as they are and the next ones follow.
fn publish_on(at: SocketAddr, stop: &AtomicBool) -> Vec<u64> {
    let (mut acknowledged, mut number) = (Vec::new(), 0);
    while !stop.load(Ordering::Relaxed) {
        let numbers: Vec<usize> = (number..number + 25).collect();
        number += 25;
        let body = json!(
            numbers
                .iter()
                .map(|number| article(*number, 200))
                .collect::<Vec<_>>()
        )
        .to_string();
        let post = || -> std::io::Result<String> {
            let mut socket = TcpStream::connect(at)?;
            socket.set_read_timeout(Some(client::PATIENCE))?;
            let head = format!(
                "POST /v1/events?stream=articles HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            socket.write_all(head.as_bytes())?;
            socket.write_all(body.as_bytes())?;
            let mut answer = String::new();
            socket.read_to_string(&mut answer)?;
            Ok(answer)
        };
        if post().is_ok_and(|answer| answer.contains(" 201 ")) {
            acknowledged.extend(numbers.iter().map(|number| *number as u64));
        }
        thread::sleep(Duration::from_millis(15));
    }
    acknowledged
}

fn ends(server: &Server) -> Ends {
    let text = client::get(server.address, "/v2/articles/positions").text();
    let positions: Value = serde_json::from_str(&text).unwrap();
    let rows = positions["partitions"].as_array().unwrap().iter();
    rows.map(|row| (row["partition"].as_u64().unwrap(), row["next"].as_u64().unwrap()))
        .collect()
}

#[test]
fn every_reader_ends_with_what_the_log_has() {
    let seconds = std::env::var("SOAK_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let length = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let port = free_port();
    let site = site("[streams]\nheartbeat = \"1s\"\n");
    let start = || site.start_at(port);
    let server = start();
    let at = server.address;
    let (stop, known) = (Arc::new(AtomicBool::new(false)), Arc::new(OnceLock::new()));
    let publisher = {
        let stop = stop.clone();
        thread::spawn(move || publish_on(at, &stop))
    };
    let readers: Vec<_> = (0..10)
        .map(Some)
        .chain([None, None])
        .map(|part| {
            let known = known.clone();
            thread::spawn(move || Reader::new(at, part).follow(&known))
        })
        .collect();
    thread::sleep(length / 2);
    assert!(server.stop().success());
    let server = start();
    thread::sleep(length / 4);
    server.kill();
    let server = start();
    thread::sleep(length / 4);
    stop.store(true, Ordering::Relaxed);
    let acknowledged = publisher.join().unwrap();
    let last = ends(&server);
    let total: u64 = last.values().sum();
    known.set(last.clone()).unwrap();

    // The log itself, read over one connection.
    let mut log = Reader::new(at, None);
    let since = json!({"since": "1990-01-01T00:00:00Z"});
    let mut all = open(&server, &[("accept", "application/x-ndjson")], &since).stream();
    for _ in 0..total {
        let line = all.line().unwrap();
        log.take(line.trim_start());
    }
    assert_eq!(log.next, last);
    let mut published: Vec<u64> = log.seen.iter().map(|(.., identifier)| *identifier).collect();
    published.sort_unstable();
    let lost: Vec<&u64> = acknowledged
        .iter()
        .filter(|number| published.binary_search(number).is_err())
        .collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    log.seen.sort_unstable();
    let mut together = Vec::new();
    let mut connections = Vec::new();
    for reader in readers {
        let mut reader = reader.join().unwrap();
        connections.push(reader.connections);
        let mut next = Ends::new();
        for (partition, offset, _) in &reader.seen {
            let expected = next.entry(*partition).or_insert(0);
            assert_eq!(offset, expected, "part {:?}, partition {partition}", reader.part);
            *expected += 1;
        }
        if reader.part.is_some() {
            together.append(&mut reader.seen);
        } else {
            reader.seen.sort_unstable();
            assert!(
                reader.seen == log.seen,
                "a reader of everything has something else"
            );
        }
    }
    together.sort_unstable();
    assert!(together == log.seen, "the ten parts together have something else");
    assert!(
        connections.iter().all(|count| *count >= 3),
        "everyone was cut twice: {connections:?}"
    );
    println!(
        "{total} events in {length:?}, {} acknowledged",
        acknowledged.len()
    );
}

//! Kill -9 under load, again and again: nothing acknowledged is lost or reordered, and a reader that
//! resumes with its last id sees every event exactly once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::client::{self, Stream};
use crate::server::{Server, Site};

const ROUNDS: u64 = 8;

const CONFIG: &str = "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n";
const STREAMS: &str = "streams:\n  load: {schema_title: load}\n";
const SCHEMA: &str = "\
title: load
$id: /load/1.0.0
$schema: https://json-schema.org/draft-07/schema#
type: object
required: [$schema, meta, number]
properties:
  $schema: {type: string}
  meta:
    type: object
    required: [stream, dt]
    properties:
      stream: {type: string}
      dt: {type: string, format: date-time, maxLength: 64}
  number: {type: integer}
";

#[test]
fn kills_under_load_lose_nothing() {
    let site = Site::new(CONFIG);
    site.file("streams.yaml", STREAMS);
    site.file("schemas/load/1.0.0", SCHEMA);
    let next = Arc::new(AtomicU64::new(0));
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let mut reader = Reader::default();
    for round in 0..ROUNDS {
        let server = site.start();
        let stop = Arc::new(AtomicBool::new(false));
        let producer = produce(&server, &next, &acknowledged, &stop);
        let mut stream = reader.connect(&server);
        // Reading paces the rounds: each kill comes after a different number of events.
        let until = reader.seen.len() + 20 + usize::try_from(round * 37 % 90).unwrap();
        while reader.seen.len() < until {
            reader.read(&mut stream);
        }
        server.kill();
        // What was under way is still read, down to the cut.
        reader.read_to_the_cut(stream);
        stop.store(true, Ordering::SeqCst);
        producer.join().unwrap();
    }
    let server = site.start();
    let stored = everything(&server);
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(acknowledged.len() > 100, "there was load: {}", acknowledged.len());
    assert!(
        stored.is_sorted_by(|a, b| a < b),
        "in order, none twice: {stored:?}"
    );
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|number| stored.binary_search(number).is_err())
        .collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let mut stream = reader.connect(&server);
    while reader.seen.len() < stored.len() {
        reader.read(&mut stream);
    }
    assert_eq!(
        reader.seen, stored,
        "the resuming reader saw each event exactly once"
    );
    println!(
        "{ROUNDS} kills, {} acknowledged, {} stored",
        acknowledged.len(),
        stored.len()
    );
}

#[test]
fn two_servers_on_one_folder_are_refused() {
    let site = Site::new(CONFIG);
    site.file("streams.yaml", STREAMS);
    let _first = site.start();
    let second = crate::server::binary()
        .args(["serve", "--config"])
        .arg(site.path().join("levada.toml"))
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(6), "{second:?}");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("levada: log:"), "{said}");
}

/// Posts batches of three until the server is gone. A number is never sent twice, so what is not
/// acknowledged may be stored or not.
fn produce(
    server: &Server,
    next: &Arc<AtomicU64>,
    acknowledged: &Arc<Mutex<Vec<u64>>>,
    stop: &Arc<AtomicBool>,
) -> std::thread::JoinHandle<()> {
    let (address, next, acknowledged, stop) =
        (server.address, next.clone(), acknowledged.clone(), stop.clone());
    std::thread::spawn(move || {
        while !stop.load(Ordering::SeqCst) {
            let first = next.fetch_add(3, Ordering::SeqCst);
            let events: Vec<String> = (first..first + 3)
                .map(|n| {
                    format!("{{\"$schema\":\"/load/1.0.0\",\"meta\":{{\"stream\":\"load\"}},\"number\":{n}}}")
                })
                .collect();
            let body = format!("[{}]", events.join(","));
            match std::panic::catch_unwind(|| client::post(address, &body).status) {
                Ok(201) => acknowledged.lock().unwrap().extend(first..first + 3),
                Ok(other) => panic!("the server answered {other}"),
                Err(_) => return,
            }
        }
    })
}

/// A reader that keeps the last id, as `EventSource` does.
#[derive(Default)]
struct Reader {
    seen: Vec<u64>,
    last_id: Option<String>,
}

impl Reader {
    fn connect(&self, server: &Server) -> Stream {
        let headers: Vec<(&str, &str)> = self
            .last_id
            .iter()
            .map(|id| ("last-event-id", id.as_str()))
            .collect();
        let target = "/v2/stream/load?since=1970-01-01";
        client::request(server.address, "GET", target, &headers, b"").stream()
    }

    fn read(&mut self, stream: &mut Stream) {
        let frame = stream.event();
        self.seen.push(frame.event()["number"].as_u64().unwrap());
        self.last_id = Some(frame.field("id").unwrap().to_owned());
    }

    fn read_to_the_cut(&mut self, mut stream: Stream) {
        let rest = std::panic::AssertUnwindSafe(|| {
            loop {
                self.read(&mut stream);
            }
        });
        // The cut shows as a failed read; a frame that did not come whole does not count.
        let _ = std::panic::catch_unwind(rest);
    }
}

/// Numbers of all stored events in their order: as many as the log's own metric says there are.
fn everything(server: &Server) -> Vec<u64> {
    let metrics = client::get(server.address, "/metrics").text();
    let line = metrics
        .lines()
        .find(|l| l.starts_with("levada_log_partition_next_offset{topic=\"load\""))
        .unwrap();
    let count: usize = line.rsplit(' ').next().unwrap().parse().unwrap();
    let mut stream = client::get(server.address, "/v2/stream/load?since=1970-01-01").stream();
    (0..count)
        .map(|_| stream.event().event()["number"].as_u64().unwrap())
        .collect()
}

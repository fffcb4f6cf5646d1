//! Kill -9 under load, again and again: nothing acknowledged is lost or reordered, and a reader that
//! resumes with its last id sees every event exactly once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::client::{self, Stream};
use crate::server::{Server, Site};

const ROUNDS: u64 = 8;
const PRODUCERS: usize = 4;
const PARTITIONS: usize = 3;

/// Segments so small, and events so large, that kills meet segments being sealed and begun.
const CONFIG: &str = "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n\
    [log]\nsegment_bytes = \"1MiB\"\n";
/// What one producer sends stays in one partition, and so in its order.
const STREAMS: &str =
    "streams:\n  load: {schema_title: load, message_key_fields: {by: by}, levada: {partitions: 3}}\n";
const SCHEMA: &str = "\
title: load
$id: /load/1.0.0
$schema: https://json-schema.org/draft-07/schema#
type: object
required: [$schema, meta, by, number]
properties:
  $schema: {type: string}
  meta:
    type: object
    required: [stream, dt]
    properties:
      stream: {type: string}
      dt: {type: string, format: date-time, maxLength: 64}
  by: {type: string}
  number: {type: integer}
";

/// Numbers by the producer that sent them, in the order in which they were met.
type Numbers = BTreeMap<String, Vec<u64>>;

#[test]
fn kills_under_load_lose_nothing() {
    let site = Site::new(CONFIG);
    site.file("streams.yaml", STREAMS);
    site.file("schemas/load/1.0.0", SCHEMA);
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|number| Producer::new(&format!("p{number}")))
        .collect();
    let mut reader = Reader::default();
    for round in 0..ROUNDS {
        let server = site.start();
        let stop = Arc::new(AtomicBool::new(false));
        let running: Vec<_> = producers.iter().map(|one| one.run(&server, &stop)).collect();
        let mut stream = reader.connect(&server);
        // Reading paces the rounds: each kill comes after a different number of events.
        let until = reader.count + 60 + usize::try_from(round * 37 % 90).unwrap();
        while reader.count < until {
            reader.read(&mut stream);
        }
        server.kill();
        // What was under way is still read, down to the cut.
        reader.read_to_the_cut(stream);
        stop.store(true, Ordering::SeqCst);
        running.into_iter().for_each(|producer| producer.join().unwrap());
    }
    let server = site.start();
    let stored = everything(&server);
    let segments = segments(&site.path().join("data"));
    assert!(
        segments > PARTITIONS * 2,
        "segments were sealed under load: {segments}"
    );
    let mut total = (0, 0);
    for producer in &producers {
        let stored = stored.get(&producer.name).cloned().unwrap_or_default();
        let acknowledged = producer.acknowledged.lock().unwrap().clone();
        assert!(
            acknowledged.len() > 20,
            "{} had its share: {acknowledged:?}",
            producer.name
        );
        assert!(
            stored.is_sorted_by(|a, b| a < b),
            "in order, none twice: {stored:?}"
        );
        let lost: Vec<_> = acknowledged
            .iter()
            .filter(|number| stored.binary_search(number).is_err())
            .collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        total = (total.0 + acknowledged.len(), total.1 + stored.len());
    }
    let mut stream = reader.connect(&server);
    while reader.count < total.1 {
        reader.read(&mut stream);
    }
    assert_eq!(
        reader.seen, stored,
        "the resuming reader saw each event exactly once"
    );
    println!(
        "{ROUNDS} kills, {} acknowledged, {} stored, {segments} segments",
        total.0, total.1
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

/// A producer with numbers of its own. None is ever sent twice, so what is not acknowledged may be stored
/// or not.
struct Producer {
    name: String,
    next: Arc<AtomicU64>,
    acknowledged: Arc<Mutex<Vec<u64>>>,
}

impl Producer {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            next: Arc::default(),
            acknowledged: Arc::default(),
        }
    }

    /// Posts batches of three until the server is gone.
    fn run(&self, server: &Server, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
        let (address, name, stop) = (server.address, self.name.clone(), stop.clone());
        let (next, acknowledged) = (self.next.clone(), self.acknowledged.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let first = next.fetch_add(3, Ordering::SeqCst);
                let event = |n: u64| {
                    let pad = "x".repeat(usize::try_from(n * 7919 % 40_000).unwrap());
                    format!(
                        r#"{{"$schema":"/load/1.0.0","meta":{{"stream":"load"}},"by":"{name}","number":{n},"pad":"{pad}"}}"#
                    )
                };
                let events: Vec<String> = (first..first + 3).map(event).collect();
                let body = format!("[{}]", events.join(","));
                match std::panic::catch_unwind(|| client::post(address, &body).status) {
                    Ok(201) => acknowledged.lock().unwrap().extend(first..first + 3),
                    Ok(other) => panic!("the server answered {other}"),
                    Err(_) => return,
                }
            }
        })
    }
}

/// A reader that keeps the last id, as `EventSource` does.
#[derive(Default)]
struct Reader {
    seen: Numbers,
    count: usize,
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
        note(&mut self.seen, &frame.event());
        self.count += 1;
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

fn note(numbers: &mut Numbers, event: &serde_json::Value) {
    let by = event["by"].as_str().unwrap().to_owned();
    numbers
        .entry(by)
        .or_default()
        .push(event["number"].as_u64().unwrap());
}

/// Numbers of all stored events in their order: as many as the log's own metric says there are.
fn everything(server: &Server) -> Numbers {
    let count = server.metric("levada_log_partition_next_offset");
    let mut stream = client::get(server.address, "/v2/stream/load?since=1970-01-01").stream();
    let mut numbers = Numbers::new();
    for _ in 0..count {
        note(&mut numbers, &stream.event().event());
    }
    numbers
}

fn segments(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.is_dir() {
            true => segments(&path),
            false => usize::from(path.extension().is_some_and(|kind| kind == "seg")),
        })
        .sum()
}

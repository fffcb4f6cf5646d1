//! Two intakes and two streamers over one broker. A producer and ten subscribers hop between them,
//! processes are killed at random, the broker is stopped and started: nothing acknowledged is lost,
//! nothing comes twice, subscribers resume with the cursors they were given by either streamer.
//!
//! Fault model: SIGKILL of a server at any time, and a restart on another port; a stop of the broker of
//! 20 seconds. The broker's disk does not lie and the machine keeps its power. A number is never sent
//! twice, so what was refused or cut off may be stored or not, but not twice.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use levada_kafka_broker::Broker;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::client::{self, Stream};
use crate::kafka::flags;
use crate::server::{Server, Site};

const SUBSCRIBERS: u64 = 10;
const PARTITIONS: u64 = 5;

/// Kills before the broker stops, and as many after it came back. One more falls while it is away.
const KILLS: usize = 5;

/// How long the broker is away.
const AWAY: Duration = Duration::from_secs(20);

/// Longest that everything may take to arrive when all faults are over.
const RECOVERY: Duration = Duration::from_secs(90);

const CONFIG: &str = "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n[intake]\ndeadline = \"5s\"\n[streams]\nheartbeat = \"1s\"\n[kafka]\nrequest_timeout = \"4s\"\n";
const SCHEMA: &str = "title: load\n$id: /load/1.0.0\ntype: object\nproperties:\n  meta: {type: object}\n  number: {type: integer}\n";

#[test]
fn killed_processes_and_a_broker_that_goes_away_lose_nothing() {
    let Some(jars) = levada_kafka_broker::jars("killed_processes_and_a_broker_that_goes_away_lose_nothing")
    else {
        return;
    };
    let seed = std::env::var("CHAOS_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| u64::from(std::process::id()) * 7919 + Instant::now().elapsed().as_nanos() as u64);
    println!("CHAOS_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut broker = Broker::start(&jars, "").unwrap();
    let sites: Vec<Site> = (0..4)
        .map(|_| {
            let site = Site::new(CONFIG).with_flags(&flags(&broker.address()));
            site.file(
                "streams.yaml",
                &format!("streams:\n  load: {{schema_title: load, levada: {{partitions: {PARTITIONS}}}}}\n"),
            );
            site.file("schemas/load/1.0.0", SCHEMA);
            site
        })
        .collect();
    let mut servers: Vec<Option<Server>> = sites.iter().map(|site| Some(site.start())).collect();
    let addresses: Addresses = Arc::new(Mutex::new(
        servers.iter().flatten().map(|server| server.address).collect(),
    ));
    let stop = Arc::new(AtomicBool::new(false));
    let over = Ending(Arc::new(AtomicBool::new(false)));
    let _ending = Ending(stop.clone());
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let producer = produce(&addresses, &acknowledged, &stop);
    let subscribers: Vec<Subscriber> = (0..SUBSCRIBERS)
        .map(|number| Subscriber::start(&addresses, &over.0, StdRng::seed_from_u64(seed + 1 + number)))
        .collect();

    let mut restart = |which: usize, meanwhile: &mut dyn FnMut()| {
        servers[which].take().unwrap().kill();
        meanwhile();
        let server = sites[which].start();
        addresses.lock().unwrap()[which] = server.address;
        servers[which] = Some(server);
    };
    let pause = |random: &mut StdRng| {
        std::thread::sleep(Duration::from_millis(random.random_range(50..1500)));
    };
    for _ in 0..KILLS {
        pause(&mut random);
        restart(random.random_range(0..4), &mut || ());
    }
    wait_for(&acknowledged, 100);
    let before = acknowledged.lock().unwrap().len();
    broker.stop().unwrap();
    std::thread::sleep(AWAY / 2);
    restart(random.random_range(0..4), &mut || {
        std::thread::sleep(AWAY / 2);
        broker.start_again().unwrap();
    });
    for _ in 0..KILLS {
        pause(&mut random);
        restart(random.random_range(0..4), &mut || ());
    }
    // The producer gets through again before it stops.
    wait_for(&acknowledged, before + 100);
    stop.store(true, Ordering::SeqCst);
    producer.join().unwrap();

    let acknowledged = acknowledged.lock().unwrap().clone();
    let mut hops = 0;
    let mut stored: Option<BTreeMap<u64, Vec<(u64, u64)>>> = None;
    for subscriber in subscribers {
        let (seen, hopped) = subscriber.finish(&acknowledged);
        hops += hopped;
        for events in seen.values() {
            assert!(
                events.is_sorted_by(|(a, _), (b, _)| a < b),
                "offsets go up: nothing comes twice, nothing out of order"
            );
        }
        // All saw the same events at the same offsets, up to where each stopped.
        let known = stored.get_or_insert_with(|| seen.clone());
        for (partition, events) in &seen {
            let common = events.len().min(known[partition].len());
            assert_eq!(
                events[..common],
                known[partition][..common],
                "partition {partition}"
            );
        }
    }
    let stored = stored.unwrap();
    let numbers: Vec<u64> = stored.values().flatten().map(|(_, number)| *number).collect();
    let distinct: HashSet<u64> = numbers.iter().copied().collect();
    assert_eq!(numbers.len(), distinct.len(), "no number is stored twice");
    assert!(hops > SUBSCRIBERS, "subscribers hopped: {hops}");
    println!(
        "{} acknowledged, {} stored, {hops} hops of {SUBSCRIBERS} subscribers",
        acknowledged.len(),
        numbers.len()
    );
}

/// Waits until so many events are acknowledged.
fn wait_for(acknowledged: &Mutex<Vec<u64>>, count: usize) {
    let began = Instant::now();
    while acknowledged.lock().unwrap().len() < count {
        assert!(began.elapsed() < RECOVERY, "intake does not work");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Ends the threads of the test when it fails.
struct Ending(Arc<AtomicBool>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Where the servers listen now: two intakes, then two streamers.
type Addresses = Arc<Mutex<Vec<SocketAddr>>>;

/// Events in a request.
const BATCH: u64 = 10;

/// Posts batches to one intake after the other until told to stop.
fn produce(
    addresses: &Addresses,
    acknowledged: &Arc<Mutex<Vec<u64>>>,
    stop: &Arc<AtomicBool>,
) -> JoinHandle<()> {
    let (addresses, acknowledged, stop) = (addresses.clone(), acknowledged.clone(), stop.clone());
    std::thread::spawn(move || {
        let mut first = 0;
        while !stop.load(Ordering::SeqCst) {
            let to = addresses.lock().unwrap()[(first / BATCH % 2) as usize];
            let events: Vec<String> = (first..first + BATCH)
                .map(|n| format!(r#"{{"$schema":"/load/1.0.0","meta":{{"stream":"load"}},"number":{n}}}"#))
                .collect();
            let body = format!("[{}]", events.join(","));
            // A cut connection and a 503 say the same: maybe stored, never sent again.
            if let Ok(201) = catch_unwind(|| client::post(to, &body).status) {
                acknowledged.lock().unwrap().extend(first..first + BATCH);
            } else {
                std::thread::sleep(Duration::from_millis(20));
            }
            first += BATCH;
            std::thread::sleep(Duration::from_millis(5));
        }
    })
}

/// Offset and number of each event, by partition.
type Seen = BTreeMap<u64, Vec<(u64, u64)>>;

/// Reads from one of the streamers, leaves it at random or when it is cut off, and goes on with its
/// last id at either of them.
struct Subscriber {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Subscriber {
    fn start(addresses: &Addresses, over: &Arc<AtomicBool>, mut random: StdRng) -> Self {
        let seen = Arc::new(Mutex::new(Seen::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (addresses, sink) = (addresses.clone(), seen.clone());
        let (stopped, over) = (stop.clone(), over.clone());
        let thread = std::thread::spawn(move || {
            let mut last_id = None;
            let mut hops = 0;
            while !stopped.load(Ordering::SeqCst) && !over.load(Ordering::SeqCst) {
                let to = addresses.lock().unwrap()[random.random_range(2..4)];
                let events = random.random_range(1..200);
                let visit = || visit(to, &mut last_id, &sink, events, &stopped);
                // Cut off, refused or told to come back: the next one.
                if catch_unwind(AssertUnwindSafe(visit)).is_err() {
                    std::thread::sleep(Duration::from_millis(20));
                }
                hops += 1;
            }
            hops
        });
        Self { seen, stop, thread }
    }

    /// Waits until everything acknowledged was seen.
    fn finish(self, acknowledged: &[u64]) -> (Seen, u64) {
        let began = Instant::now();
        loop {
            let seen: HashSet<u64> = {
                let seen = self.seen.lock().unwrap();
                seen.values().flatten().map(|(_, number)| *number).collect()
            };
            let lost: Vec<_> = acknowledged
                .iter()
                .filter(|number| !seen.contains(number))
                .collect();
            if lost.is_empty() {
                break;
            }
            assert!(
                began.elapsed() < RECOVERY,
                "{} acknowledged events did not come, such as {:?}",
                lost.len(),
                &lost[..lost.len().min(10)]
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        self.stop.store(true, Ordering::SeqCst);
        let hops = self.thread.join().unwrap();
        let seen = self.seen.lock().unwrap().clone();
        (seen, hops)
    }
}

/// Reads up to `events` events from a streamer.
fn visit(
    to: SocketAddr,
    last_id: &mut Option<String>,
    seen: &Mutex<Seen>,
    events: u32,
    stopped: &AtomicBool,
) {
    let headers: Vec<(&str, &str)> = last_id.iter().map(|id| ("last-event-id", id.as_str())).collect();
    let response = client::request(to, "GET", "/v2/stream/load?since=1970-01-01", &headers, b"");
    assert_eq!(response.status, 200);
    let mut stream: Stream = response.stream();
    let mut read = 0;
    while read < events && !stopped.load(Ordering::SeqCst) {
        let frame = stream.frame().expect("a stream ends with its connection");
        if frame.field("event") != Some("message") {
            continue;
        }
        let event = frame.event();
        let place = |name: &str| event["meta"][name].as_u64().unwrap();
        // Both or neither: an event counts when its id is there.
        let id = frame.field("id").unwrap().to_owned();
        seen.lock()
            .unwrap()
            .entry(place("partition"))
            .or_default()
            .push((place("offset"), event["number"].as_u64().unwrap()));
        *last_id = Some(id);
        read += 1;
    }
}

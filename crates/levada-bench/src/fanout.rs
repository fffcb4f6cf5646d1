//! Fan-out: one event to many subscribers, and what a silent subscriber costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use tokio::io::AsyncReadExt;
use tokio::task::JoinHandle;

use crate::connection::{Connection, post};
use crate::events;
use crate::server::{Server, configure, folder};
use crate::table::{Table, percentile};

const SUBSCRIBERS: usize = 1000;
/// Of how many subscribers one measures latency; the others only count, to spare the client's CPU.
const SAMPLED: usize = 20;
const SECONDS: u64 = 8;
const STREAM: &str = "/v2/stream/bench.page_change";

/// 1,000 subscribers: 50 events a second one by one, then in tens.
pub async fn run(table: &mut Table) -> Result<()> {
    let folder = folder()?;
    configure(folder.path(), "fsync")?;
    let server = Server::start(folder.path())?;
    measure(
        table,
        &server,
        "the embedded log",
        ["≤ 9 µs, p99 < 10 ms", "≤ 1.5 µs"],
    )
    .await
}

/// Measures fan-out on a running server; `log` names what it keeps its events in.
pub(crate) async fn measure(table: &mut Table, server: &Server, log: &str, goals: [&str; 2]) -> Result<()> {
    let seen = Arc::new(Seen::default());
    let _subscribers = subscribe(server, &seen, STREAM, SUBSCRIBERS).await?;
    for (group, goal) in [(1_u64, goals[0]), (10, goals[1])] {
        // Posts alone cost CPU too: measured first, then taken off.
        let rate = 50;
        seen.clear();
        let cpu = server.cpu()?;
        let mut connection = Connection::open(server.address).await?;
        let mut ticks = tokio::time::interval(Duration::from_millis(1000 / rate));
        for number in 0..rate * SECONDS {
            ticks.tick().await;
            let body = batch(number * group, group);
            connection.exchange(&post(&body)).await?;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let deliveries = seen.events.load(Ordering::Relaxed);
        let expected = rate * SECONDS * group * SUBSCRIBERS as u64;
        anyhow::ensure!(
            deliveries == expected,
            "{deliveries} deliveries instead of {expected}"
        );
        let spent = (server.cpu()? - cpu).as_secs_f64() * 1e6 / deliveries as f64;
        let mut latencies = seen.take_latencies();
        let (p50, p99) = (percentile(&mut latencies, 0.5), percentile(&mut latencies, 0.99));
        table.row(
            &format!(
                "fan-out to 1,000 subscribers from {log}, {} deliveries/s, {group} events per write",
                rate * group * 1000
            ),
            goal,
            format!("{spent:.2} µs of CPU per delivery, p50 {p50:.1} ms, p99 {p99:.1} ms"),
            "CPU includes taking in and storing the events".into(),
        );
    }
    Ok(())
}

/// What 1,000 silent subscribers add to the memory of the server.
pub async fn idle(table: &mut Table) -> Result<()> {
    let folder = folder()?;
    configure(folder.path(), "fsync")?;
    let server = Server::start(folder.path())?;
    let seen = Arc::new(Seen::default());
    let mut connection = Connection::open(server.address).await?;
    connection.exchange(&post(&batch(0, 1))).await?;
    let before = server.resident()?;
    let _subscribers = subscribe(&server, &seen, STREAM, SUBSCRIBERS).await?;
    let each = (server.resident()? - before) as f64 / SUBSCRIBERS as f64 / 1024.0;
    table.row(
        "memory per idle subscriber",
        "≤ 15 KiB",
        format!("{each:.1} KiB"),
        format!("{SUBSCRIBERS} subscribers, resident set"),
    );
    Ok(())
}

/// What subscribers saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) events: AtomicU64,
    latencies: std::sync::Mutex<Vec<f64>>,
}

impl Seen {
    fn clear(&self) {
        self.events.store(0, Ordering::Relaxed);
        self.take_latencies();
    }

    /// Milliseconds from posting to arrival, of the sampled subscribers.
    pub(crate) fn take_latencies(&self) -> Vec<f64> {
        self.latencies
            .lock()
            .map(|mut all| std::mem::take(&mut *all))
            .unwrap_or_default()
    }
}

pub(crate) fn now_micros() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_micros())
}

fn batch(first: u64, count: u64) -> Vec<u8> {
    let mark = now_micros();
    let events: Vec<String> = (first..first + count)
        .map(|n| events::event(n, 1024, mark))
        .collect();
    format!("[{}]", events.join(",")).into_bytes()
}

/// Opens `count` subscriptions of `path`, of which a few note the age of events.
pub(crate) async fn subscribe(
    server: &Server,
    seen: &Arc<Seen>,
    path: &str,
    count: usize,
) -> Result<Vec<JoinHandle<()>>> {
    let mut tasks = Vec::with_capacity(count);
    let ready = Arc::new(AtomicU64::new(0));
    for number in 0..count {
        let mut socket = Connection::get(server.address, path, "").await?;
        let (seen, ready) = (seen.clone(), ready.clone());
        tasks.push(tokio::spawn(async move {
            let mut buffer = vec![0; 16 * 1024];
            let finder = memchr::memmem::Finder::new(b"\ndata: ");
            // A read may end inside the mark; the tail of one read is looked at again with the next.
            let mut kept = 0;
            let mut greeted = false;
            while let Ok(read @ 1..) = socket.read(&mut buffer[kept..]).await {
                let filled = kept + read;
                if !greeted {
                    greeted = true;
                    ready.fetch_add(1, Ordering::Relaxed);
                }
                let mut found = 0;
                for at in finder.find_iter(&buffer[..filled]) {
                    found += 1;
                    if number % (count / SAMPLED) == 0 {
                        note_latency(&seen, &buffer[at..filled]);
                    }
                }
                seen.events.fetch_add(found, Ordering::Relaxed);
                kept = filled.min(6);
                buffer.copy_within(filled - kept..filled, 0);
            }
        }));
    }
    while ready.load(Ordering::Relaxed) < count as u64 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(tasks)
}

fn note_latency(seen: &Seen, event: &[u8]) {
    let Some(at) = memchr::memmem::find(event, b"\"mark\":") else {
        return;
    };
    let digits = &event[at + 7..];
    let end = digits
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(digits.len());
    let mark: u128 = std::str::from_utf8(&digits[..end])
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    if let Ok(mut all) = seen.latencies.lock() {
        all.push(now_micros().saturating_sub(mark) as f64 / 1000.0);
    }
}

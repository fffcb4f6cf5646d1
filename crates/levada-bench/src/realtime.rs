//! The Realtime API: catching up with and without fields and filters, over one connection and over
//! ten, and live latency.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::connection::{Connection, post, post_to};
use crate::events;
use crate::fanout::{Seen, now_micros, subscribe};
use crate::intake::fill_with;
use crate::replay::{QUIET, read_all};
use crate::server::{Server, configure, folder};
use crate::table::{Table, median, percentile};

const PATH: &str = "/v2/streams/bench.page_change";
const ARTICLES: &str = "/v2/articles";
const PUBLISH: &str = "/v1/events?stream=articles&schema_uri=/levada/article/1.0.0";
const NDJSON: &str = "accept: application/x-ndjson\r\n";

const ROUNDS: usize = 3;

/// `fields=[name, abstract, event.*]` and a filter by language that keeps half.
const HALF: &str = "&fields=name&fields=abstract&fields=event.*&filters=%7B%22field%22:%22in_language.identifier%22,%22value%22:%22en%22%7D";

/// A server whose stream has fifty partitions.
fn start(folder: &std::path::Path, durability: &str) -> Result<Server> {
    configure(folder, durability)?;
    let streams = events::STREAMS.replace("partitions: 1", "partitions: 50");
    std::fs::write(folder.join("streams.yaml"), streams)?;
    Server::start(folder)
}

/// Catching up on `total` bytes of articles of `bytes` bytes.
pub async fn catch_up(table: &mut Table, bytes: usize, total: u64) -> Result<()> {
    let folder = folder()?;
    configure(folder.path(), "os")?;
    std::fs::write(folder.path().join("streams.yaml"), events::ARTICLES)?;
    let server = Server::start(folder.path())?;
    let articles = |first, count| post_to(PUBLISH, &events::articles(first, count, bytes));
    let events = fill_with(&server, bytes, total, articles).await?;
    let stored = (events * bytes as u64) as f64 / 1e9;
    let kind = format!("{} KB articles", bytes / 1024);
    let (mut plain, mut filtered, mut ten) = (Vec::new(), Vec::new(), Vec::new());
    let (mut plain_cpu, mut filtered_cpu) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let since = format!("{ARTICLES}?since=1970-01-01T00:00:00Z");
        let spent = server.cpu()?;
        let (received, seconds) = read_all(&server, NDJSON, &since).await?;
        plain_cpu.push((server.cpu()? - spent).as_secs_f64() / stored);
        ensure!(
            received as f64 / 1e9 > stored,
            "{received} bytes came, fewer than were stored"
        );
        plain.push(stored / seconds);
        let spent = server.cpu()?;
        let (received, seconds) = read_all(&server, NDJSON, &(since + HALF)).await?;
        ensure!(received > 0, "nothing passed the filter");
        filtered.push(stored / seconds);
        filtered_cpu.push(stored / (server.cpu()? - spent).as_secs_f64());
        let begin = Instant::now();
        let parts: Vec<String> = (0..10).map(part_of).collect();
        let readers = parts.iter().map(|part| read_all(&server, NDJSON, part));
        let mut all = 0;
        for outcome in futures_util::future::join_all(readers).await {
            all += outcome?.0;
        }
        let seconds = begin.elapsed().saturating_sub(QUIET).as_secs_f64();
        ensure!(all as f64 / 1e9 > stored, "ten connections saw less than one");
        ten.push(seconds / (stored / plain[plain.len() - 1]));
    }
    let goal = if bytes > 4096 { "≥ 2.5 GB/s" } else { "none" };
    table.row(
        &format!("Realtime catch-up, {kind}, one connection"),
        goal,
        format!("{:.2} GB/s", median(plain)),
        format!(
            "{events} articles in 50 partitions, server CPU {:.2} s/GB",
            median(plain_cpu)
        ),
    );
    let goal = if bytes > 4096 {
        "≥ 2.5 GB/s"
    } else {
        "≥ 1.2 GB/s"
    };
    table.row(
        &format!("Realtime catch-up, {kind}, fields and a filter that keeps half"),
        goal,
        format!("{:.2} GB/s", median(filtered)),
        format!("{:.2} GB scanned per second of server CPU", median(filtered_cpu)),
    );
    table.row(
        &format!("Realtime catch-up, {kind}, ten connections of one part each"),
        "≤ 1.3 times one connection",
        format!("{:.2} times", median(ten)),
        String::new(),
    );
    Ok(())
}

/// 1,000 events a second, one by one, to 100 subscribers.
pub async fn live(table: &mut Table) -> Result<()> {
    const SUBSCRIBERS: usize = 100;
    const RATE: u64 = 1000;
    const SECONDS: u64 = 6;
    let folder = folder()?;
    let server = start(folder.path(), "fsync")?;
    let seen = Arc::new(Seen::default());
    let _subscribers = subscribe(&server, &seen, PATH, SUBSCRIBERS).await?;
    let lanes = 10;
    let mut tasks = Vec::new();
    for lane in 0..lanes {
        let address = server.address;
        tasks.push(tokio::spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut ticks = tokio::time::interval(Duration::from_millis(1000 * lanes / RATE));
            for number in 0..RATE * SECONDS / lanes {
                ticks.tick().await;
                let event = events::event(number * lanes + lane, 1024, now_micros());
                let status = connection.exchange(&post(event.as_bytes())).await?;
                ensure!(status == 201, "the server answered {status}");
            }
            anyhow::Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let deliveries = seen.events.load(Ordering::Relaxed);
    let expected = RATE * SECONDS * SUBSCRIBERS as u64;
    ensure!(
        deliveries == expected,
        "{deliveries} deliveries instead of {expected}"
    );
    let mut latencies = seen.take_latencies();
    let (p50, p99) = (percentile(&mut latencies, 0.5), percentile(&mut latencies, 0.99));
    table.row(
        "Realtime, POST to subscriber, 1,000 events/s, 100 subscribers, fsync",
        "p50 < 8 ms, p99 < 30 ms",
        format!("p50 {p50:.1} ms, p99 {p99:.1} ms"),
        String::new(),
    );
    Ok(())
}

/// One part from its beginning.
fn part_of(part: u32) -> String {
    let offsets: Vec<String> = (part * 5..part * 5 + 5).map(|p| format!("%22{p}%22:0")).collect();
    format!("{ARTICLES}?parts={part}&offsets=%7B{}%7D", offsets.join(","))
}

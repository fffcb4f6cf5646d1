//! Intake: events acknowledged durable per second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::connection::{Connection, post};
use crate::events;
use crate::server::{Server, configure, folder};
use crate::table::{Table, median};

/// Length of one round.
const ROUND: Duration = Duration::from_secs(4);
const ROUNDS: usize = 5;

/// Batches of 100 events of 1 KB.
pub async fn batches(table: &mut Table) -> Result<()> {
    let bodies = (0..16)
        .map(|i| post(&events::batch(i * 100, 100, 1024)))
        .collect();
    let (rate, cpu) = run(8, bodies, 100).await?;
    table.row(
        "intake, 1 KB page changes, batches of 100, 8 connections, fsync",
        "≥ 200,000 events/s",
        format!("{rate:.0} events/s"),
        format!("server CPU {cpu:.2} µs per event"),
    );
    Ok(())
}

/// Single events on 64 connections.
pub async fn singles(table: &mut Table) -> Result<()> {
    let bodies = (0..256)
        .map(|i| post(events::event(i, 1024, 0).as_bytes()))
        .collect();
    let (rate, cpu) = run(64, bodies, 1).await?;
    table.row(
        "intake, single 1 KB events, 64 connections, fsync",
        "≥ 60,000 events/s",
        format!("{rate:.0} events/s"),
        format!("server CPU {cpu:.2} µs per event"),
    );
    Ok(())
}

async fn run(connections: usize, bodies: Vec<Vec<u8>>, events: u64) -> Result<(f64, f64)> {
    let folder = folder()?;
    configure(folder.path(), "fsync")?;
    let server = Server::start(folder.path())?;
    load(&server, connections, bodies, events).await
}

/// Posts bodies of so many events in turn on each connection; events acknowledged per second, and
/// microseconds of server CPU per event.
pub(crate) async fn load(
    server: &Server,
    connections: usize,
    bodies: Vec<Vec<u8>>,
    events: u64,
) -> Result<(f64, f64)> {
    let bodies = Arc::new(bodies);
    let done = Arc::new(AtomicU64::new(0));
    let stop = Instant::now() + ROUND * (ROUNDS as u32 + 1);
    let mut tasks = Vec::new();
    for number in 0..connections {
        let (bodies, done, address) = (bodies.clone(), done.clone(), server.address);
        tasks.push(tokio::spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut at = number;
            while Instant::now() < stop {
                let status = connection.exchange(&bodies[at % bodies.len()]).await?;
                ensure!(status == 201, "the server answered {status}");
                done.fetch_add(events, Ordering::Relaxed);
                at += 1;
            }
            anyhow::Ok(())
        }));
    }
    // The first round warms up.
    tokio::time::sleep(ROUND).await;
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (before, cpu, begin) = (done.load(Ordering::Relaxed), server.cpu()?, Instant::now());
        tokio::time::sleep(ROUND - Duration::from_millis(50)).await;
        let events = (done.load(Ordering::Relaxed) - before) as f64;
        rates.push(events / begin.elapsed().as_secs_f64());
        costs.push((server.cpu()? - cpu).as_secs_f64() * 1e6 / events);
    }
    for task in tasks {
        task.await??;
    }
    Ok((median(rates), median(costs)))
}

/// Fills the server's stream with about `total` bytes of events of `bytes` bytes; how many.
pub async fn fill(server: &Server, bytes: usize, total: u64) -> Result<u64> {
    fill_with(server, bytes, total, |first, count| {
        post(&events::batch(first, count, bytes))
    })
    .await
}

/// The same with what `request` makes of so many events from a first one on.
pub async fn fill_with(
    server: &Server,
    bytes: usize,
    total: u64,
    request: impl Fn(u64, u64) -> Vec<u8>,
) -> Result<u64> {
    let count = (256 * 1024 / bytes as u64).max(1);
    let bodies: Arc<Vec<Vec<u8>>> = Arc::new((0..32).map(|i| request(i * count, count)).collect());
    let requests = total / (count * bytes as u64);
    let mut tasks = Vec::new();
    for lane in 0..4 {
        let (bodies, address) = (bodies.clone(), server.address);
        tasks.push(tokio::spawn(async move {
            let mut connection = Connection::open(address).await?;
            for at in (lane..requests).step_by(4) {
                let status = connection.exchange(&bodies[at as usize % bodies.len()]).await?;
                ensure!(status == 201, "the server answered {status}");
            }
            anyhow::Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(requests * count)
}

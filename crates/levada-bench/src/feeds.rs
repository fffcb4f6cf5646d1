//! The feeds over a replayed wiki, beside the figures of the service that they replace: cold (page
//! parsed, every summary fetched), warm, what is asked upstream, memory.
//!
//! The original's figures are medians on the same kind of machine, with an upstream on the same machine
//! that answers at once; it keeps nothing, so all its answers are cold.

mod pages;
mod upstream;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::connection::Connection;
use crate::server::{Server, folder};
use crate::table::{Table, median, percentile};
use upstream::Upstream;

/// Fresh servers, each of which is asked for everything once.
const ROUNDS: usize = 15;
/// Connections that ask for warm feeds.
const CONNECTIONS: usize = 16;
const SECONDS: u64 = 6;

/// What is asked for below `/en.wikipedia.org/v1/`, the goal, and the original's median in milliseconds.
/// No two share a day, a date or a page, so that each is cold.
const COLD: [(&str, &str, u32); 10] = [
    ("feed/onthisday/events/12/01", "p50 ≤ 60 ms", 327),
    ("feed/onthisday/births/12/02", "p50 ≤ 150 ms", 371),
    ("feed/onthisday/all/12/03", "p50 ≤ 150 ms", 875),
    ("aggregated/onthisday/all/12/04", "p50 ≤ 150 ms", 965),
    ("page/featured/2026/11/15", "p50 ≤ 100 ms", 15),
    ("media/image/featured/2026/11/15", "p50 ≤ 250 ms", 3),
    ("page/most-read/2026/11/15", "p50 ≤ 200 ms", 5),
    ("page/news", "p50 ≤ 100 ms", 37),
    ("page/random/title", "p50 ≤ 100 ms", 11),
    ("feed/availability", "p50 ≤ 100 ms", 2),
];

/// On a server of its own, because it has parts in common with the others.
const COMPOSED: (&str, &str, u32) = ("aggregated/featured/2026/11/20", "p50 ≤ 100 ms", 30);

/// Everything that is asked for when it is warm.
const WARM: [&str; 16] = [
    "feed/onthisday/selected/12/01",
    "feed/onthisday/events/12/01",
    "feed/onthisday/births/12/01",
    "feed/onthisday/deaths/12/01",
    "feed/onthisday/holidays/12/01",
    "feed/onthisday/all/12/01",
    "aggregated/onthisday/all/12/01",
    "aggregated/featured/2026/11/20",
    "page/featured/2026/11/20",
    "media/image/featured/2026/11/20",
    "page/most-read/2026/11/19",
    "page/news",
    "feed/did-you-know",
    "feed/announcements",
    "feed/availability",
    "feed/configuration",
];

/// Cold answers, and what they cost upstream.
pub async fn cold(table: &mut Table) -> Result<()> {
    let (page, origin) = pages::day();
    let upstream = Upstream::start(page).await?;
    let mut times = vec![Vec::new(); COLD.len() + 1];
    let mut asked = (0, 0, 0);
    for _ in 0..ROUNDS {
        let (_folder, server) = start(&upstream, "")?;
        let mut connection = warmed_up(&server).await?;
        for (at, (path, ..)) in COLD.iter().enumerate() {
            upstream.asked();
            times[at].push(timed(&mut connection, path).await?);
            let (all, distinct) = upstream.asked();
            ensure!(
                all == distinct as u64,
                "{path}: {all} upstream requests for {distinct} pages"
            );
            if path.starts_with("feed/onthisday/all") {
                timed(&mut connection, path).await?;
                asked = (all, distinct, upstream.asked().0);
            }
        }
        let (_folder, server) = start(&upstream, "")?;
        let mut connection = warmed_up(&server).await?;
        times[COLD.len()].push(timed(&mut connection, COMPOSED.0).await?);
    }
    for ((path, goal, node), times) in COLD.iter().chain([&COMPOSED]).zip(&times) {
        let (mut all, middle) = (times.clone(), median(times.clone()));
        table.row(
            &format!("{path}, cold"),
            goal,
            format!("{middle:.1} ms (slowest {:.1})", percentile(&mut all, 1.0)),
            format!("node {node} ms; {ROUNDS} rounds, {origin}"),
        );
    }
    table.row(
        "upstream requests of onthisday/all, cold / warm",
        "each page once / none",
        format!("{} for {} pages / {}", asked.0, asked.1, asked.2),
        "node about 500 / 500".into(),
    );
    Ok(())
}

/// Warm answers: one after the other, then as many as go.
pub async fn warm(table: &mut Table) -> Result<()> {
    let (page, _) = pages::day();
    let upstream = Upstream::start(page).await?;
    let (_folder, server) = start(&upstream, "")?;
    let mut connection = warmed_up(&server).await?;
    for path in WARM {
        timed(&mut connection, path).await?;
    }
    upstream.asked();
    let (mut worst, mut slowest) = (0.0, "");
    for path in WARM {
        let mut times = Vec::new();
        for _ in 0..500 {
            times.push(timed(&mut connection, path).await?);
        }
        let middle = median(times);
        if middle > worst {
            (worst, slowest) = (middle, path);
        }
    }
    table.row(
        "every feed, warm",
        "p50 ≤ 1 ms",
        format!("p50 {worst:.2} ms of the slowest"),
        format!("{slowest}, gzip; node as cold"),
    );
    let count = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + Duration::from_secs(SECONDS);
    let began = Instant::now();
    let mut tasks = Vec::new();
    for number in 0..CONNECTIONS {
        let (address, count) = (server.address, count.clone());
        tasks.push(tokio::spawn(async move {
            let mut connection = Connection::open(address).await?;
            let requests: Vec<Vec<u8>> = WARM.iter().map(|path| request(path)).collect();
            for request in requests.iter().cycle().skip(number) {
                if Instant::now() >= end {
                    break;
                }
                let status = connection.exchange(request).await?;
                ensure!(status == 200, "a warm feed answered {status}");
                count.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    let rate = count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    ensure!(upstream.asked().0 == 0, "warm feeds asked upstream");
    table.row(
        "warm feeds in all",
        "≥ 10,000/s",
        format!("{rate:.0}/s"),
        format!(
            "{CONNECTIONS} connections, {} feeds in turn, gzip; no upstream request",
            WARM.len()
        ),
    );
    Ok(())
}

/// Requests of the measurement of memory, and how many of them pass between two looks.
const MIXED: usize = 300_000;
const LOOK_EVERY: usize = 50_000;

/// Memory while three hundred thousand requests pass, a hundredth of them for feeds that have to be made: what is warmed
/// up by the first hundred thousand does not grow in the two hundred thousand after.
pub async fn memory(table: &mut Table) -> Result<()> {
    let upstream = Upstream::start(pages::day().0).await?;
    // Small, so that all caches are full early and only a leak can make the process grow.
    let caches = "[feeds.cache]\nresults_bytes = 8388608\nreplies_bytes = 8388608\npages_bytes = 8388608\nsummaries_bytes = 8388608\nanswers_bytes = 8388608\ndisk_bytes = 67108864\n";
    let (folder, server) = start(&upstream, caches)?;
    let mut connection = warmed_up(&server).await?;
    let lists = ["events", "births", "deaths", "holidays"];
    let (mut sizes, mut file) = (Vec::new(), 0);
    for number in 0..MIXED {
        if number % 100 == 0 {
            // 1,344 lists, none of which is still in memory when its turn comes again.
            let cold = number / 100;
            let (list, day) = (lists[cold % 4], cold / 4);
            let path = format!("feed/onthisday/{list}/{}/{}", day / 28 % 12 + 1, day % 28 + 1);
            timed(&mut connection, &path).await?;
        } else {
            timed(&mut connection, WARM[number % WARM.len()]).await?;
        }
        if number % LOOK_EVERY == LOOK_EVERY - 1 {
            sizes.push(server.resident()? as f64 / f64::from(1 << 20));
            file = file.max(std::fs::metadata(folder.path().join("data/feeds.redb"))?.len() >> 20);
        }
    }
    let shown: Vec<String> = sizes.iter().map(|size| format!("{size:.0}")).collect();
    let warm = sizes[MIXED / LOOK_EVERY / 3 - 1];
    let grown = (sizes[sizes.len() - 1] / warm - 1.0) * 100.0;
    table.row(
        "memory after 50,000, 100,000 … 300,000 mixed requests",
        "flat from 100,000 on (±10 %)",
        format!("{} MiB ({grown:+.0} %)", shown.join(", ")),
        format!(
            "3,000 of them cold; caches of 8 MiB each, file {file} of 64 MiB; node leaks 108 MB in 3,000"
        ),
    );
    Ok(())
}

fn start(upstream: &Upstream, more: &str) -> Result<(TempDir, Server)> {
    let folder = folder()?;
    let text = format!(
        "listen = \"127.0.0.1:0\"\ndata = \"{}/data\"\n{}{more}",
        folder.path().display(),
        upstream.config()
    );
    std::fs::write(folder.path().join("levada.toml"), text)?;
    let server = Server::start(folder.path())?;
    Ok((folder, server))
}

/// A connection to a server that has answered for another day already, as one in service has.
async fn warmed_up(server: &Server) -> Result<Connection> {
    let mut connection = Connection::open(server.address).await?;
    for day in 1..=3 {
        timed(&mut connection, &format!("feed/onthisday/all/1/{day}")).await?;
    }
    Ok(connection)
}

fn request(path: &str) -> Vec<u8> {
    format!("GET /en.wikipedia.org/v1/{path} HTTP/1.1\r\nhost: bench\r\naccept-encoding: gzip\r\n\r\n")
        .into_bytes()
}

/// Milliseconds that an answer takes, to its last byte.
async fn timed(connection: &mut Connection, path: &str) -> Result<f64> {
    let request = request(path);
    let began = Instant::now();
    let status = connection.exchange(&request).await?;
    ensure!(status == 200, "{path} answered {status}");
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

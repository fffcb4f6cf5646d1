//! Measures the embedded log: appends, replay, reopening. Prints a table of medians.
//!
//! `cargo run --release -p levada-log --example log_bench -- [DIRECTORY] [GIGABYTES TO RETAIN] [ROUNDS] [PART]`
//!
//! The directory (default: one under the system's temporary directory) should lie on the disk in
//! question; what the run writes there is removed at the end. A part is `append`, `replay`, `wake` or `reopen`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use levada_event::{Flags, Record, Splice, Timestamp, TopicName, TopicPartition};
use levada_log::embedded::{Embedded, EmbeddedOptions};
use levada_log::{Durability, Log, ReadLimit, Retention, TopicSpec};

const LIMIT: ReadLimit = ReadLimit {
    bytes: 1 << 20,
    wait: Duration::ZERO,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().map_or_else(
        || std::env::temp_dir().join(format!("log-bench-{}", std::process::id())),
        |dir| PathBuf::from(dir).join(format!("log-bench-{}", std::process::id())),
    );
    let gigabytes: usize = args.next().map_or(Ok(4), |text| text.parse())?;
    let rounds: usize = args.next().map_or(Ok(5), |text| text.parse())?;
    println!("{:<64} {:>12} {:>12} {:>12}", "what", "median", "least", "most");
    let part = args.next().unwrap_or_default();
    let outcome = run(&dir, gigabytes, rounds.max(1), &part).await;
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    outcome
}

async fn run(dir: &Path, gigabytes: usize, rounds: usize, part: &str) -> Result<(), Failure> {
    let wanted = |name| part.is_empty() || part == name;
    if wanted("append") {
        appends(dir, rounds).await?;
    }
    if wanted("replay") {
        replays(dir, rounds).await?;
    }
    if wanted("wake") {
        wake_ups(dir, rounds).await?;
    }
    if wanted("reopen") {
        reopen(dir, gigabytes, rounds).await?;
    }
    Ok(())
}

async fn appends(dir: &Path, rounds: usize) -> Result<(), Failure> {
    for durability in [Durability::Fsync, Durability::Os] {
        for partitions in [1, 50] {
            let mut batches = Vec::new();
            let mut singles = Vec::new();
            let mut costs = Vec::new();
            let mut sync_times = Vec::new();
            for round in 0..rounds {
                let log = open(
                    &dir.join(format!("append-{durability:?}-{partitions}-{round}")),
                    durability,
                )?;
                let to = declare(&log, "append", partitions).await?;
                let (bytes, seconds, _) = append(&log, &to, 16, 400, 100, 1000).await?;
                batches.push(bytes / seconds / 1e6);
                let (_, seconds, cpu) = append(&log, &to, 64, 4000, 1, 1000).await?;
                singles.push(64.0 * 4000.0 / seconds);
                costs.push(cpu * 1e6 / (64.0 * 4000.0));
                let syncs = log.stats().syncs;
                sync_times.push(syncs.micros as f64 / syncs.count.max(1) as f64);
                log.close().await;
                drop(log);
                std::fs::remove_dir_all(dir)?;
            }
            let what = format!("{durability:?}, {partitions} partition(s)");
            report(
                &format!("append 16 x batches of 100 x 1 KB, {what}, MB/s"),
                batches,
            );
            report(&format!("append 64 x single 1 KB, {what}, /s"), singles);
            report("  CPU of these, microseconds per append", costs);
            if durability == Durability::Fsync {
                report("  mean time of a sync, microseconds", sync_times);
            }
        }
    }
    Ok(())
}

async fn replays(dir: &Path, rounds: usize) -> Result<(), Failure> {
    for (name, size) in [("1 KB", 1000), ("20 KB", 20_000)] {
        let path = dir.join(format!("replay-{size}"));
        let log = open(&path, Durability::Os)?;
        let to = declare(&log, "replay", 1).await?;
        append(&log, &to, 16, 1000, 100_000 / size, size).await?;
        log.close().await;
        let log = open(&path, Durability::Os)?;
        let mut rates = Vec::new();
        for _ in 0..rounds {
            rates.push(replay(&log, &to[0]).await?);
        }
        report(&format!("replay {name} records, page cache, GB/s"), rates);
        drop(log);
        std::fs::remove_dir_all(dir)?;
    }
    Ok(())
}

/// Fills a log with many segments and opens it again and again, also without a clean end.
async fn reopen(dir: &Path, gigabytes: usize, rounds: usize) -> Result<(), Failure> {
    let path = dir.join("reopen");
    let log = open(&path, Durability::Os)?;
    let to = declare(&log, "reopen", 50).await?;
    append(&log, &to, 16, gigabytes * 1000 / 16 * 10, 100, 1000).await?;
    log.close().await;
    drop(log);
    let mut clean = Vec::new();
    let mut unclean = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        let log = open(&path, Durability::Fsync)?;
        clean.push(start.elapsed().as_secs_f64() * 1e3);
        append(&log, &to, 16, 100, 100, 1000).await?;
        // A killed process leaves the sidecars as they were last saved.
        let saved = sidecars(&path)?;
        log.close().await;
        drop(log);
        for (file, content) in saved {
            std::fs::write(file, content)?;
        }
        let start = Instant::now();
        let log = open(&path, Durability::Fsync)?;
        unclean.push(start.elapsed().as_secs_f64() * 1e3);
        log.close().await;
    }
    report(&format!("open {gigabytes} GB in 50 partitions, clean, ms"), clean);
    report(
        &format!("open {gigabytes} GB in 50 partitions, killed, ms"),
        unclean,
    );
    Ok(())
}

fn sidecars(path: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, Failure> {
    let mut saved = Vec::new();
    for partition in std::fs::read_dir(path.join("topics/reopen"))? {
        let partition = partition?.path();
        if !partition.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(partition)? {
            let file = file?.path();
            if file.extension().is_some_and(|extension| extension == "idx") {
                saved.push((file.clone(), std::fs::read(file)?));
            }
        }
    }
    Ok(saved)
}

/// How long a waiting reader needs from the acknowledgement's start to its records.
async fn wake_ups(dir: &Path, rounds: usize) -> Result<(), Failure> {
    let log = open(&dir.join("wake"), Durability::Os)?;
    let to = declare(&log, "wake", 1).await?.swap_remove(0);
    let mut times = Vec::new();
    for _ in 0..rounds * 200 {
        let from = to.at(log.bounds(&to).await?.next);
        let waiter = {
            let log = log.clone();
            let limit = ReadLimit {
                wait: Duration::from_secs(5),
                ..LIMIT
            };
            tokio::spawn(async move {
                log.read(&from, limit)
                    .await
                    .map(|batch| (batch.len(), Instant::now()))
            })
        };
        tokio::time::sleep(Duration::from_millis(1)).await;
        let start = Instant::now();
        log.append(&to, vec![record(&payload(1000))]).await?;
        let (_, woken) = waiter.await??;
        times.push(woken.duration_since(start).as_secs_f64() * 1e6);
    }
    report("append to a waiting reader (os), microseconds", times);
    log.close().await;
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

fn open(path: &Path, durability: Durability) -> Result<Arc<Embedded>, Failure> {
    let mut options = EmbeddedOptions::new(path);
    options.durability = durability;
    Ok(Embedded::open(options)?)
}

async fn declare(log: &Embedded, name: &str, partitions: u32) -> Result<Vec<TopicPartition>, Failure> {
    let name = TopicName::new(name)?;
    let spec = TopicSpec {
        name: name.clone(),
        partitions,
        retention: Retention {
            age: None,
            bytes: None,
        },
    };
    let partitions = log.topic(&spec).await?.partitions;
    Ok((0..partitions)
        .map(|partition| TopicPartition::new(name.clone(), partition))
        .collect())
}

/// Lets `tasks` tasks append `appends` times `records` records of `size` bytes, each waiting for its
/// acknowledgement. Answers bytes, seconds and CPU seconds.
async fn append(
    log: &Arc<Embedded>,
    to: &[TopicPartition],
    tasks: usize,
    appends: usize,
    records: usize,
    size: usize,
) -> Result<(f64, f64, f64), Failure> {
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let mut running = tokio::task::JoinSet::new();
    for task in 0..tasks {
        let (log, to) = (log.clone(), to.to_vec());
        running.spawn(async move {
            let batch = vec![record(&payload(size)); records];
            for i in 0..appends {
                let to = &to[(task * 7 + i * 13) % to.len()];
                log.append(to, batch.clone()).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    for outcome in running.join_all().await {
        outcome?;
    }
    let bytes = (tasks * appends * records * size) as f64;
    Ok((bytes, start.elapsed().as_secs_f64(), cpu_seconds() - cpu))
}

async fn replay(log: &Embedded, of: &TopicPartition) -> Result<f64, Failure> {
    let start = Instant::now();
    let bounds = log.bounds(of).await?;
    let (mut position, mut bytes, mut sum) = (of.at(bounds.earliest), 0, 0_u64);
    while position.offset < bounds.next {
        let batch = log.read(&position, LIMIT).await?;
        for record in batch.iter() {
            bytes += record.value.len();
            sum = sum.wrapping_add(u64::from(record.value[0]));
        }
        position.offset = batch.next();
    }
    std::hint::black_box(sum);
    Ok(bytes as f64 / start.elapsed().as_secs_f64() / 1e9)
}

fn payload(size: usize) -> Bytes {
    let mut text = Vec::with_capacity(size);
    let mut state = 88_172_645_463_325_252_u64;
    while text.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.extend_from_slice(format!("{{\"title\":\"{state:x}\"}}").as_bytes());
    }
    text.truncate(size);
    text.into()
}

fn record(value: &Bytes) -> Record {
    Record {
        key: None,
        value: value.clone(),
        timestamp: Timestamp::from_millis(1_700_000_000_000),
        splice: Splice::UNKNOWN,
        flags: Flags::CHECKED,
    }
}

/// CPU time of this process so far, where the system tells.
fn cpu_seconds() -> f64 {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else {
        return 0.0;
    };
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |index: usize| {
        let field = after_name.split_whitespace().nth(index);
        field.and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / 100.0
}

fn report(what: &str, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    let (Some(first), Some(last)) = (values.first(), values.last()) else {
        return;
    };
    let show = |value: f64| {
        if value >= 1000.0 {
            format!("{value:.0}")
        } else {
            format!("{value:.2}")
        }
    };
    println!(
        "{what:<64} {:>12} {:>12} {:>12}",
        show(values[values.len() / 2]),
        show(*first),
        show(*last)
    );
}

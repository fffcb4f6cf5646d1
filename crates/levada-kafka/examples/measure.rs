//! Measures the adapter alone, without HTTP: appends, replay and live reading on a cluster.
//!
//! `cargo run --release -p levada-kafka --example measure -- BOOTSTRAP_SERVERS [RECORDS [BYTES [TOPIC]]]`
//!
//! Makes a topic of 50 partitions of its own; delete it when you are done. With the name of such a
//! topic it only replays that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use levada_event::{Flags, Record, Splice, Timestamp, TopicName, TopicPartition};
use levada_kafka::{KafkaLog, Settings};
use levada_log::{Log, ReadLimit, Retention, TopicSpec};
use tokio::task::JoinSet;

const PARTITIONS: u32 = 50;
const BATCH: usize = 100;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments
        .next()
        .ok_or("usage: measure BOOTSTRAP_SERVERS [RECORDS [BYTES]]")?;
    let records: usize = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    let bytes: usize = arguments.next().map_or(Ok(1024), |text| text.parse())?;
    let log = Arc::new(KafkaLog::open(Settings::new(servers)).await?);
    if let Some(topic) = arguments.next() {
        let topic = TopicName::new(&topic)?;
        let partitions: Vec<_> = (0..PARTITIONS)
            .map(|p| TopicPartition::new(topic.clone(), p))
            .collect();
        replay(&log, &partitions).await?;
        log.close().await;
        return Ok(());
    }
    let name = format!(
        "measure-{:x}",
        SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis()
    );
    let spec = TopicSpec {
        name: TopicName::new(&name)?,
        partitions: PARTITIONS,
        retention: Retention {
            age: Some(Duration::from_secs(3600)),
            bytes: None,
        },
    };
    log.topic(&spec).await?;
    let partitions: Vec<_> = (0..PARTITIONS)
        .map(|p| TopicPartition::new(spec.name.clone(), p))
        .collect();
    println!("topic {name}: {PARTITIONS} partitions, {records} records of {bytes} bytes");
    singles(&log, &partitions, bytes).await?;
    batches(&log, &partitions, records, bytes).await?;
    replay(&log, &partitions).await?;
    replay(&log, &partitions).await?;
    live(&log, &partitions, bytes).await?;
    log.close().await;
    Ok(())
}

/// Text that compresses about as well as events do.
fn value(n: usize, bytes: usize) -> Bytes {
    let mut text = format!(
        "{{\"$schema\":\"/test/event/1.0.0\",\"meta\":{{\"stream\":\"measure\"}},\"n\":{n},\"text\":\""
    );
    let mut state = n as u64 + 1;
    while text.len() < bytes.saturating_sub(2) {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        text.push_str(
            ["the ", "levada ", "carries ", "water ", "over ", "stone "][(state >> 33) as usize % 6],
        );
        text.push((b'a' + ((state >> 40) % 26) as u8) as char);
    }
    text.push_str("\"}");
    Bytes::from(text)
}

fn record(n: usize, bytes: usize) -> Record {
    Record {
        key: Some(Bytes::from(format!("{{\"page_id\":{n}}}"))),
        value: value(n, bytes),
        timestamp: Timestamp::from_system(SystemTime::now()),
        splice: Splice::UNKNOWN,
        flags: Flags::CHECKED,
    }
}

/// One record per append, 64 at a time.
async fn singles(log: &Arc<KafkaLog>, partitions: &[TopicPartition], bytes: usize) -> Result<(), Failure> {
    let appended = Arc::new(AtomicU64::new(0));
    let until = Instant::now() + Duration::from_secs(3);
    let mut writers = JoinSet::new();
    for writer in 0..64 {
        let (log, appended) = (log.clone(), appended.clone());
        let to = partitions[writer % partitions.len()].clone();
        let record = record(writer, bytes);
        writers.spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < until {
                let begun = Instant::now();
                log.append(&to, vec![record.clone()]).await?;
                times.push(begun.elapsed());
                appended.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, levada_log::LogError>(times)
        });
    }
    let mut times = Vec::new();
    while let Some(written) = writers.join_next().await {
        times.extend(written??);
    }
    times.sort();
    println!(
        "singles, 64 at a time: {:.0}/s, p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms",
        appended.load(Ordering::Relaxed) as f64 / 3.0,
        times[times.len() / 2].as_secs_f64() * 1e3,
        times[times.len() * 9 / 10].as_secs_f64() * 1e3,
        times[times.len() * 99 / 100].as_secs_f64() * 1e3,
    );
    Ok(())
}

/// Appends of a hundred records, 16 at a time.
async fn batches(
    log: &Arc<KafkaLog>,
    partitions: &[TopicPartition],
    records: usize,
    bytes: usize,
) -> Result<(), Failure> {
    let batch: Vec<Record> = (0..BATCH).map(|n| record(n, bytes)).collect();
    let next = Arc::new(AtomicU64::new(0));
    let count = (records / BATCH) as u64;
    let begun = Instant::now();
    let mut writers = JoinSet::new();
    for _ in 0..16 {
        let (log, next, batch, partitions) = (log.clone(), next.clone(), batch.clone(), partitions.to_vec());
        writers.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return Ok::<_, levada_log::LogError>(());
                }
                log.append(&partitions[n as usize % partitions.len()], batch.clone())
                    .await?;
            }
        });
    }
    while let Some(written) = writers.join_next().await {
        written??;
    }
    let took = begun.elapsed().as_secs_f64();
    let all = count as f64 * BATCH as f64;
    println!(
        "batches of {BATCH}, 16 at a time: {:.0}/s, {:.0} MB/s",
        all / took,
        all * bytes as f64 / took / 1e6
    );
    Ok(())
}

/// Everything from the beginning, as a session that catches up reads: lanes in turns.
async fn replay(log: &Arc<KafkaLog>, partitions: &[TopicPartition]) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut lanes = JoinSet::new();
    for of in partitions {
        let (log, of) = (log.clone(), of.clone());
        lanes.spawn(async move {
            let bounds = log.bounds(&of).await?;
            let mut position = of.at(bounds.earliest);
            let limit = ReadLimit {
                bytes: 512 * 1024,
                wait: Duration::ZERO,
            };
            let (mut bytes, mut records) = (0, 0);
            while position.offset < bounds.next {
                let batch = log.read(&position, limit).await?;
                bytes += batch.value_bytes();
                records += batch.len();
                position.offset = batch.next();
            }
            Ok::<_, levada_log::LogError>((bytes, records))
        });
    }
    let (mut bytes, mut records) = (0, 0);
    while let Some(lane) = lanes.join_next().await {
        let (more, read) = lane??;
        bytes += more;
        records += read;
    }
    let took = begun.elapsed().as_secs_f64();
    println!("replay: {records} records, {:.0} MB/s", bytes as f64 / took / 1e6);
    Ok(())
}

/// From the append of a record to a reader that waits for it.
async fn live(log: &Arc<KafkaLog>, partitions: &[TopicPartition], bytes: usize) -> Result<(), Failure> {
    let of = &partitions[0];
    let mut position = of.at(log.bounds(of).await?.next);
    let limit = ReadLimit {
        bytes: 256 * 1024,
        wait: Duration::from_secs(10),
    };
    let mut times = Vec::new();
    for n in 0..300 {
        let begun = Instant::now();
        let (batch, appended) =
            tokio::join!(log.read(&position, limit), log.append(of, vec![record(n, bytes)]));
        appended?;
        position.offset = batch?.next();
        times.push(begun.elapsed());
    }
    times.sort();
    println!(
        "append to reader: p50 {:.1} ms, p99 {:.1} ms",
        times[150].as_secs_f64() * 1e3,
        times[297].as_secs_f64() * 1e3
    );
    Ok(())
}

//! Kafka as the log: the figures of the embedded log's rows again, on one broker that shares the
//! machine, and what Kafka's own consumer reads from the same topic in the same run.

use anyhow::{Context, Result, ensure};
use levada_kafka_broker::{Broker, Jars, REMOVES_NOTHING};
use tempfile::TempDir;

use crate::connection::post;
use crate::server::{Server, configure_kafka, folder};
use crate::table::{Table, median};
use crate::{events, fanout, intake, replay};

const LOG: &str = "one Kafka broker";
const HEAP_MIB: u32 = 512;
const ROUNDS: usize = 3;

/// Most that is filled for a replay; the broker's page cache holds it, as for the embedded rows.
const REPLAY_BYTES: u64 = 512 << 20;

/// A broker, and servers on it one after the other, each with a topic of its own.
struct Bench {
    jars: Jars,
    broker: Broker,
    topics: u32,
}

impl Bench {
    fn server(&mut self) -> Result<(Server, TempDir, String)> {
        self.topics += 1;
        let topic = format!("bench.{}", self.topics);
        let folder = folder()?;
        configure_kafka(folder.path(), &self.broker.address(), &topic)?;
        let server = Server::start(folder.path())?;
        Ok((server, folder, topic))
    }

    /// MB/s that Kafka's `ConsumerPerformance` fetches from a topic of `events` records, without the
    /// start of its JVM.
    fn consumer(&self, topic: &str, events: u64) -> Result<f64> {
        let output = self
            .jars
            .java("org.apache.kafka.tools.ConsumerPerformance", HEAP_MIB)
            .args(["--bootstrap-server", &self.broker.address(), "--topic", topic])
            .args(["--messages", &events.to_string(), "--timeout", "60000"])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = String::from_utf8_lossy(&output.stderr);
        let mut lines = text.lines().filter(|line| line.contains(", "));
        let (head, row) = lines
            .next()
            .zip(lines.next())
            .with_context(|| format!("Kafka's consumer prints no figures: {text}{told}"))?;
        let column = head.split(", ").position(|name| name.trim() == "fetch.MB.sec");
        let column = column.with_context(|| format!("Kafka's consumer prints other columns: {head}"))?;
        let figure = row.split(", ").nth(column).context("a row has all columns")?;
        // Its MB are 2^20 bytes.
        Ok(figure.trim().parse::<f64>()? * 1.048_576)
    }
}

/// All rows of Kafka.
pub async fn run(table: &mut Table) -> Result<()> {
    let jars = Jars::fetch()?;
    let broker = Broker::start(&jars, REMOVES_NOTHING)?;
    let mut bench = Bench {
        jars,
        broker,
        topics: 0,
    };
    take_in(table, &mut bench).await?;
    for bytes in [1024, 20 * 1024] {
        read_back(table, &mut bench, bytes).await?;
    }
    let (server, _folder, _) = bench.server()?;
    fanout::measure(table, &server, LOG, ["within 10 % of embedded"; 2]).await
}

async fn take_in(table: &mut Table, bench: &mut Bench) -> Result<()> {
    let batches: Vec<Vec<u8>> = (0..16)
        .map(|i| post(&events::batch(i * 100, 100, 1024)))
        .collect();
    let singles: Vec<Vec<u8>> = (0..256)
        .map(|i| post(events::event(i, 1024, 0).as_bytes()))
        .collect();
    for (what, connections, bodies, events) in [
        ("batches of 100, 8 connections", 8, batches, 100),
        ("single events, 64 connections", 64, singles, 1),
    ] {
        let (server, _folder, _) = bench.server()?;
        let (rate, cpu) = intake::load(&server, connections, bodies, events).await?;
        table.row(
            &format!("intake on {LOG}, 1 KB page changes, {what}, acks=all"),
            "none",
            format!("{rate:.0} events/s"),
            format!("server CPU {cpu:.2} µs per event; the broker has the same cores"),
        );
    }
    Ok(())
}

async fn read_back(table: &mut Table, bench: &mut Bench, bytes: usize) -> Result<()> {
    let (server, _folder, topic) = bench.server()?;
    let events = intake::fill(&server, bytes, REPLAY_BYTES).await?;
    let (mut rates, mut costs, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    // In turns, so that what else the machine does hits both.
    for _ in 0..ROUNDS {
        let cpu = server.cpu()?;
        let (received, seconds) = replay::read_all(&server, "", replay::PATH).await?;
        ensure!(
            received > events * bytes as u64,
            "{received} bytes came, fewer than were stored"
        );
        rates.push(received as f64 / seconds / 1e6);
        costs.push((server.cpu()? - cpu).as_secs_f64() / (received as f64 / 1e9));
        theirs.push(bench.consumer(&topic, events)?);
    }
    let kib = bytes / 1024;
    table.row(
        &format!("replay from {LOG} to one client, unfiltered, {kib} KB events"),
        "none",
        format!("{:.0} MB/s", median(rates)),
        format!("{events} events, server CPU {:.2} s/GB", median(costs)),
    );
    table.row(
        &format!("yardstick: Kafka's own ConsumerPerformance on the same topic, {kib} KB events"),
        "none",
        format!("{:.0} MB/s", median(theirs)),
        "fetching alone, without the start of its JVM; in turns with the row above".into(),
    );
    Ok(())
}

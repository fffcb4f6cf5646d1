//! `levada produce FILE|-`: publishes the events of a file, one verdict for each.

mod input;
mod report;
mod split;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use levada_client::{Producer, ProducerConfig, Verdict};
use tokio::sync::mpsc;

use crate::cli::Remote;
use crate::exit::{Exit, Failure};
use crate::signal::Stop;
use crate::units;
use input::{Batch, Input, Refusal};
use report::Report;

/// Arguments of `levada produce`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file of events, or - for standard input: one JSON text per line or one JSON array, as it is
    /// or compressed with gzip or zstd
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    remote: Remote,
    /// Stream of events that name none in meta.stream; those that name another are refused
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// URI of the schema of events without $schema, such as /levada/article/1.0.0; with --stream alone
    /// it is the newest that the stream declares
    #[arg(long, value_name = "URI")]
    schema: Option<String>,
    /// Most events in one request
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch: u32,
    /// Most requests at once; with more than 1 the order of the file is kept only inside a batch
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    concurrency: u32,
    /// Do not wait until events are checked and stored: faster, and losses go unnoticed
    #[arg(long)]
    hasty: bool,
    /// How long to try a batch while the server is busy or away, such as 2m
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = units::duration)]
    deadline: Duration,
    /// Print neither progress nor the summary
    #[arg(long, short)]
    quiet: bool,
}

/// What became of one batch.
#[derive(Default)]
struct Outcome {
    lines: Vec<u64>,
    verdicts: Vec<Verdict>,
}

/// Publishes everything, or stops at the first batch that cannot be delivered.
pub(crate) async fn run(args: Args, stop: Stop) -> Result<Exit, Failure> {
    let config = ProducerConfig {
        batch_events: args.batch as usize,
        in_flight: args.concurrency as usize,
        hasty: args.hasty,
        stream: args.stream.clone(),
        schema: args.schema,
        deadline: args.deadline,
        ..ProducerConfig::default()
    };
    let server = args.remote.server()?;
    let input = Input::open(&args.file)?;
    let mut report = Report::new(args.quiet, input.progress());
    let producer = Producer::new(server, config);
    let batches = input.batches(args.batch as usize, args.stream.clone(), stop.clone());
    let concurrency = args.concurrency as usize;
    let posts = Posts::default();
    let outcomes = stream::unfold(
        batches,
        |mut batches: mpsc::Receiver<Result<Batch, Failure>>| async move {
            batches.recv().await.map(|batch| (batch, batches))
        },
    )
    .map(|batch| posts.post(&producer, batch))
    .buffered(concurrency);
    let mut outcomes = std::pin::pin!(outcomes);
    while let Some(outcome) = outcomes.next().await {
        note(&mut report, outcome)?;
        if report.is_stopped() {
            // Nothing more is begun. What is there already of other batches is told, too.
            posts.ended.store(true, Ordering::Relaxed);
            while let Some(Some(outcome)) = outcomes.next().now_or_never() {
                note(&mut report, outcome)?;
            }
            break;
        }
    }
    report.summary();
    if let Some(failure) = report.failure(posts.under_way.load(Ordering::Relaxed) > 0) {
        return Err(failure);
    }
    if stop.is_asked() {
        eprintln!(
            "levada: interrupted behind line {}; what follows was not sent",
            report.last_line()
        );
        return Ok(Exit::Interrupted);
    }
    Ok(if report.refused() > 0 {
        Exit::Faults
    } else {
        Exit::Ok
    })
}

/// Tells what became of a batch.
fn note(report: &mut Report, outcome: Result<Outcome, Failure>) -> Result<(), Failure> {
    let outcome = outcome.inspect_err(|_| report.clear())?;
    for (line, verdict) in outcome.lines.into_iter().zip(outcome.verdicts) {
        report.event(line, verdict)?;
    }
    Ok(())
}

/// The batches that are being posted.
#[derive(Default)]
struct Posts {
    /// No more are begun.
    ended: AtomicBool,
    under_way: AtomicUsize,
}

impl Posts {
    /// Posts the events of a batch and puts the verdicts beside those that were refused here.
    async fn post(&self, producer: &Producer, batch: Result<Batch, Failure>) -> Result<Outcome, Failure> {
        if self.ended.load(Ordering::Relaxed) {
            return Ok(Outcome::default());
        }
        let entries = batch?.entries;
        let events: Vec<Bytes> = entries
            .iter()
            .filter_map(|(_, event)| event.as_ref().ok().cloned())
            .collect();
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let mut posted = producer.send_all(&events).await.into_iter();
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        let mut outcome = Outcome {
            lines: Vec::with_capacity(entries.len()),
            verdicts: Vec::with_capacity(entries.len()),
        };
        for (line, event) in entries {
            let verdict = match event {
                Ok(_) => posted.next(),
                Err(Refusal { code, message }) => Some(Verdict::Invalid {
                    code: code.to_owned(),
                    message,
                }),
            };
            outcome.lines.push(line);
            outcome.verdicts.extend(verdict);
        }
        Ok(outcome)
    }
}

//! `levada tail STREAM…`: follows streams, over reconnects and restarts.

mod output;
mod position;
mod realtime;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use futures_util::FutureExt;
use levada_client::{Delivery, Notice, Subscriber, SubscriberConfig};
use levada_event::Timestamp;
use levada_event::filter::Filter;
use levada_event::project::Projection;
use levada_wire::{FilterText, GapReason, Subscription};
use tokio::time::Instant;

use crate::cli::Remote;
use crate::exit::{Exit, Failure};
use crate::signal::Stop;
use crate::units::{self, Since};
use output::{Output, WriteError};
use position::Keeper;

/// Arguments of `levada tail`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Names of streams or aliases, separated by spaces or commas
    #[arg(required = true, value_name = "STREAM", value_delimiter = ',')]
    streams: Vec<String>,
    #[command(flatten)]
    remote: Remote,
    /// Where to start: 2h (ago), 2026-01-31, RFC 3339, milliseconds since 1970, earliest or latest
    #[arg(long, value_name = "TIME", value_parser = units::since, default_value = "latest", allow_hyphen_values = true)]
    since: Since,
    /// Print only events whose field has this value, such as meta.domain:en.wikipedia.org; also
    /// 'path:a|b', 'path:prefix*', 'path:>=5', 'path:5..10', '!path:value'; may be repeated
    #[arg(long = "filter", value_name = "PATH:VALUE", value_parser = filter)]
    filters: Vec<FilterText>,
    /// Print only these fields, such as 'meta.dt,page.*'
    #[arg(long, value_name = "PATHS", value_parser = fields)]
    fields: Option<String>,
    /// Also print canary events
    #[arg(long)]
    canary: bool,
    /// Keep the position in this file and go on from it
    #[arg(long, value_name = "FILE", conflicts_with = "cursor")]
    resume: Option<PathBuf>,
    /// Go on from this position, as printed when an earlier tail was interrupted
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    /// Use the Realtime API and read only these parts (0 to 9, each a tenth of the partitions)
    #[arg(long, value_name = "PARTS", value_delimiter = ',', value_parser = realtime::part)]
    parts: Vec<u8>,
    /// Use the Realtime API over this many connections, among which the parts are dealt out
    #[arg(long, value_name = "N", value_parser = connections)]
    connections: Option<usize>,
    /// End after this many events
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this time, such as 30s
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    timeout: Option<Duration>,
    /// How to print events
    #[arg(long, short, value_enum, default_value_t = Format::Ndjson)]
    output: Format,
}

/// How events are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line per event
    Ndjson,
    /// Indented over several lines
    Pretty,
}

/// Why the loop ended.
enum End {
    Counted,
    TimedOut,
    Interrupted,
    BrokenPipe,
    /// The subscription cannot go on.
    Refused(Failure),
}

/// Checks a filter as the server will, so that a slip shows at once.
fn filter(text: &str) -> Result<FilterText, String> {
    let filter = FilterText::parse(text).map_err(|error| error.to_string())?;
    Filter::parse_query(text).map_err(|error| error.to_string())?;
    Ok(filter)
}

fn fields(text: &str) -> Result<String, String> {
    Projection::parse(text)
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

fn connections(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=usize::from(levada_client::PARTS)).contains(&number) => Ok(number),
        _ => Err("write a number from 1 to 10: a connection reads at least one part".to_owned()),
    }
}

/// Follows the streams until the count, the timeout or a signal ends it.
pub(crate) async fn run(args: Args, stop: Stop) -> Result<Exit, Failure> {
    if args.connections.is_some() || !args.parts.is_empty() {
        return realtime::run(args, stop).await;
    }
    let subscription = subscription(&args)?;
    let mut keeper = Keeper::open(args.resume.as_deref(), args.cursor.clone(), &subscription)?;
    let mut config = SubscriberConfig::new(subscription);
    config.cursor = keeper.cursor();
    let mut tail = Tail {
        subscriber: Subscriber::new(args.remote.server()?, config),
        output: Output::new(args.output == Format::Pretty),
        left: args.count,
        deadline: args.timeout.map(|timeout| Instant::now() + timeout),
        missed: false,
        cut: false,
    };
    let begun = keeper.cursor();
    let end = tail.follow(&mut keeper, &stop).await?;
    if let End::BrokenPipe = end {
        // What was lost in the pipe is not saved as printed.
        return Ok(Exit::Ok);
    }
    match tail.output.flush() {
        Err(WriteError::BrokenPipe) => return Ok(Exit::Ok),
        flushed => flushed.map_err(WriteError::into_failure)?,
    }
    keeper.save(tail.subscriber.position())?;
    let moved = tail.subscriber.position().map(|position| &**position) != begun.as_deref();
    if matches!(end, End::Interrupted) || moved && matches!(end, End::Refused(_)) {
        keeper.hint(tail.subscriber.position());
    }
    Ok(match end {
        End::Refused(failure) => return Err(failure),
        End::Interrupted => Exit::Interrupted,
        End::TimedOut if tail.left.is_some() => Exit::Incomplete,
        _ if tail.missed => Exit::Incomplete,
        _ => Exit::Ok,
    })
}

fn subscription(args: &Args) -> Result<Subscription, Failure> {
    let mut subscription = Subscription {
        streams: args.streams.clone(),
        since: args.since.time(Timestamp::from_system(SystemTime::now())),
        drop_canary: !args.canary,
        filters: args.filters.clone(),
        fields: Vec::new(),
    };
    if let Some(fields) = &args.fields {
        subscription
            .add_fields(fields)
            .map_err(|error| Failure::usage(error.to_string()))?;
    }
    Ok(subscription)
}

struct Tail {
    subscriber: Subscriber,
    output: Output,
    /// Events still to print, if counted.
    left: Option<u64>,
    deadline: Option<Instant>,
    /// Whether events are known to be missing.
    missed: bool,
    /// Whether the connection was lost and not made again yet.
    cut: bool,
}

impl Tail {
    async fn follow(&mut self, keeper: &mut Keeper, stop: &Stop) -> Result<End, Failure> {
        loop {
            if stop.is_asked() {
                return Ok(End::Interrupted);
            }
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(End::TimedOut);
            }
            let delivery = match self.subscriber.next().now_or_never() {
                Some(Ok(delivery)) => delivery,
                Some(Err(error)) => return Ok(End::Refused(error.into())),
                None => match self.wait(keeper, stop).await? {
                    ControlFlow::Continue(Some(delivery)) => delivery,
                    ControlFlow::Continue(None) => continue,
                    ControlFlow::Break(end) => return Ok(end),
                },
            };
            match delivery {
                Delivery::Notice(notice) => self.tell(&notice),
                Delivery::Event(event) => {
                    match self.output.event(&event.data) {
                        Ok(()) => {}
                        Err(WriteError::BrokenPipe) => return Ok(End::BrokenPipe),
                        Err(error) => return Err(error.into_failure()),
                    }
                    if let Some(left) = &mut self.left {
                        *left -= 1;
                        if *left == 0 {
                            self.left = None;
                            return Ok(End::Counted);
                        }
                    }
                }
            }
        }
    }

    /// Nothing is ready: shows what was printed, saves the position behind it, and waits. `None` when
    /// something other than a delivery ended the wait; breaks where nobody reads any more.
    async fn wait(
        &mut self,
        keeper: &mut Keeper,
        stop: &Stop,
    ) -> Result<ControlFlow<End, Option<Delivery>>, Failure> {
        match self.output.flush() {
            Ok(()) => {}
            Err(WriteError::BrokenPipe) => return Ok(ControlFlow::Break(End::BrokenPipe)),
            Err(error) => return Err(error.into_failure()),
        }
        let due = keeper.save_if_due(self.subscriber.position())?;
        let until = [due, self.deadline].into_iter().flatten().min();
        let timer = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop.asked() => Ok(ControlFlow::Continue(None)),
            delivery = self.subscriber.next() => Ok(match delivery {
                Ok(delivery) => ControlFlow::Continue(Some(delivery)),
                Err(error) => ControlFlow::Break(End::Refused(error.into())),
            }),
            () = timer => Ok(ControlFlow::Continue(None)),
        }
    }

    fn tell(&mut self, notice: &Notice) {
        match notice {
            Notice::Connected if self.cut => {
                self.cut = false;
                eprintln!("levada: connected again");
            }
            Notice::Connected => {}
            Notice::Disconnected { reason, retry_in } => {
                self.cut = true;
                eprintln!(
                    "levada: {reason}; trying again in {:.1} s",
                    retry_in.as_secs_f64()
                );
            }
            Notice::ServerError { code, message } => {
                let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
                eprintln!("levada: the server says: {message}{code}");
            }
            Notice::Gap(gap) => {
                let place = format!("{}/{}", gap.topic, gap.partition);
                let resumed = gap.resumed;
                let text = match (gap.reason, gap.asked) {
                    (GapReason::ForeignLog, _) => {
                        format!(
                            "{place}: the position is of another log; goes on by time, some events may come twice or be missing"
                        )
                    }
                    (GapReason::Expired, Some(asked)) => {
                        format!("{place}: events from offset {asked} to {resumed} are no longer kept")
                    }
                    (GapReason::Expired, None) => format!("{place}: older events are no longer kept"),
                    (GapReason::BeyondEnd, _) => {
                        format!("{place}: the position lies behind the end; goes on at offset {resumed}")
                    }
                    (GapReason::Damaged, _) => {
                        format!("{place}: stored events are damaged; goes on at offset {resumed}")
                    }
                };
                self.missed = true;
                eprintln!("levada: {text}");
            }
        }
    }
}

//! `levada tail` over the Realtime API: parts, parallel connections, offsets in a file.

use std::io::IsTerminal;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use levada_client::{
    PARTS, RealtimeConfig, RealtimeDelivery, RealtimeEvent, RealtimeNotice, RealtimePosition, RealtimeQuery,
    RealtimeSubscriber, ResumeFile,
};
use levada_event::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::output::{Output, WriteError};
use super::position::failure;
use super::{Args, End, Format};
use crate::exit::{Exit, Failure};
use crate::signal::Stop;

/// How often the file of offsets is written while events come, and rate and lag are shown.
const SAVE_EVERY: Duration = Duration::from_secs(1);
const SHOW_EVERY: Duration = Duration::from_secs(5);

/// Longest position that is printed to be copied.
const HINT_BYTES_MAX: usize = 2000;

/// Reads `field:value` as the equality that the Realtime API knows. A number, `true` or `false` is
/// one; quotes make it a text.
fn filter(text: &str) -> Result<(String, Value), Failure> {
    let wrong = |why: &str| Failure::usage(format!("--filter {text:?}: {why}"));
    let (field, value) = text
        .split_once(':')
        .ok_or_else(|| wrong("write FIELD:VALUE, such as in_language.identifier:en"))?;
    let rich = field.starts_with('!')
        || value.contains('|')
        || value.ends_with('*')
        || value.contains("..")
        || value.starts_with(['<', '>']);
    if rich {
        return Err(wrong("over the Realtime API a filter is one FIELD:VALUE"));
    }
    let scalar = serde_json::from_str(value)
        .ok()
        .filter(|value: &Value| value.is_number() || value.is_boolean() || value.is_string());
    Ok((field.to_owned(), scalar.unwrap_or_else(|| value.into())))
}

fn query(args: &Args) -> Result<RealtimeQuery, Failure> {
    let [stream] = args.streams.as_slice() else {
        return Err(Failure::usage(
            "--parts and --connections read one stream at a time",
        ));
    };
    let split = |text: &str| text.split(',').map(|field| field.trim().to_owned()).collect();
    Ok(RealtimeQuery {
        stream: stream.clone(),
        fields: args.fields.as_deref().map(split).unwrap_or_default(),
        filters: args
            .filters
            .iter()
            .map(|text| filter(&text.to_string()))
            .collect::<Result<_, _>>()?,
        parts: args.parts.clone(),
    })
}

/// Follows one stream until the count, the timeout or a signal ends it.
pub(super) async fn run(args: Args, stop: Stop) -> Result<Exit, Failure> {
    let query = query(&args)?;
    let mut file = match &args.resume {
        None => None,
        Some(path) => Some(ResumeFile::open_for(path, query.fingerprint()).map_err(failure)?),
    };
    let kept = file
        .as_ref()
        .and_then(|file| file.cursor())
        .or(args.cursor.as_deref());
    let position = match kept {
        Some(text) => text
            .parse::<RealtimePosition>()
            .map_err(|error| Failure::usage(error.to_string()))?,
        None => match args.since.time(Timestamp::from_system(SystemTime::now())) {
            Some(time) => RealtimePosition::since(time),
            None => RealtimePosition::default(),
        },
    };
    let mut config = RealtimeConfig::new(query);
    config.connections = args.connections.unwrap_or(1);
    config.position = position.clone();
    let subscriber = RealtimeSubscriber::new(args.remote.server()?, config)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let mut tail = Tail {
        subscriber,
        output: Output::new(args.output == Format::Pretty),
        left: args.count,
        deadline: args.timeout.map(|timeout| Instant::now() + timeout),
        missed: false,
        meter: Meter::new(),
        due: Instant::now() + SAVE_EVERY,
    };
    let end = tail.follow(&mut file, &stop).await?;
    if matches!(end, End::BrokenPipe) || !tail.flush_and_save(&mut file)? {
        return Ok(Exit::Ok);
    }
    let moved = *tail.subscriber.position() != position;
    if matches!(end, End::Interrupted) || moved && matches!(end, End::Refused(_)) {
        tail.hint(file.as_ref());
    }
    Ok(match end {
        End::Refused(failure) => return Err(failure),
        End::Interrupted => Exit::Interrupted,
        End::TimedOut if tail.left.is_some() => Exit::Incomplete,
        _ if tail.missed => Exit::Incomplete,
        _ => Exit::Ok,
    })
}

/// Reads `--parts`.
pub(super) fn part(text: &str) -> Result<u8, String> {
    match text.trim().parse::<u8>() {
        Ok(part) if part < PARTS => Ok(part),
        _ => Err("write numbers from 0 to 9, such as 0,1,2".to_owned()),
    }
}

struct Tail {
    subscriber: RealtimeSubscriber,
    output: Output,
    left: Option<u64>,
    deadline: Option<Instant>,
    missed: bool,
    meter: Meter,
    /// When the position is saved next.
    due: Instant,
}

impl Tail {
    async fn follow(&mut self, file: &mut Option<ResumeFile>, stop: &Stop) -> Result<End, Failure> {
        loop {
            if stop.is_asked() {
                return Ok(End::Interrupted);
            }
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(End::TimedOut);
            }
            if Instant::now() >= self.due {
                self.due = Instant::now() + SAVE_EVERY;
                if !self.flush_and_save(file)? {
                    return Ok(End::BrokenPipe);
                }
                self.meter.show();
            }
            let delivery = match self.subscriber.next().now_or_never() {
                Some(delivery) => delivery,
                None => {
                    match self.output.flush() {
                        Ok(()) => {}
                        Err(WriteError::BrokenPipe) => return Ok(End::BrokenPipe),
                        Err(error) => return Err(error.into_failure()),
                    }
                    let until = self.deadline.map_or(self.due, |deadline| deadline.min(self.due));
                    tokio::select! {
                        biased;
                        () = stop.asked() => continue,
                        delivery = self.subscriber.next() => delivery,
                        () = tokio::time::sleep_until(until) => continue,
                    }
                }
            };
            match delivery {
                Err(error) => return Ok(End::Refused(error.into())),
                Ok(RealtimeDelivery::Notice(notice)) => self.tell(&notice),
                Ok(RealtimeDelivery::Event(event)) => {
                    match self.output.event(&String::from_utf8_lossy(&event.data)) {
                        Ok(()) => {}
                        Err(WriteError::BrokenPipe) => return Ok(End::BrokenPipe),
                        Err(error) => return Err(error.into_failure()),
                    }
                    self.subscriber.processed(&event);
                    self.meter.count(&event);
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

    /// Writes what was printed, then the position behind it.
    /// `false` when nobody reads the output any more: what was lost in the pipe is not saved as printed.
    fn flush_and_save(&mut self, file: &mut Option<ResumeFile>) -> Result<bool, Failure> {
        match self.output.flush() {
            Ok(()) => {}
            Err(WriteError::BrokenPipe) => return Ok(false),
            Err(error) => return Err(error.into_failure()),
        }
        let position = self.subscriber.position();
        if let Some(file) = file
            && *position != RealtimePosition::default()
        {
            file.save(&position.to_string()).map_err(failure)?;
        }
        Ok(true)
    }

    fn tell(&mut self, notice: &RealtimeNotice) {
        match notice {
            RealtimeNotice::Connected { .. } => {}
            RealtimeNotice::Gap { connection, text } => {
                self.missed = true;
                eprintln!("levada: connection {connection}: events are missing: {text}");
            }
            RealtimeNotice::OtherLog {
                connection,
                known,
                found,
                since,
            } => {
                let since = since.map_or_else(|| "the earliest event".to_owned(), |since| since.to_string());
                eprintln!(
                    "levada: connection {connection}: the offsets are of another log ({known}) than the server's ({found}): its data was replaced, or it is another server; reading from {since}, some events may come twice"
                );
            }
            RealtimeNotice::Disconnected {
                connection,
                reason,
                retry_in,
            } => eprintln!(
                "levada: connection {connection}: {reason}; trying again in {:.1} s",
                retry_in.as_secs_f64()
            ),
        }
    }

    /// Tells how to go on after an interruption.
    fn hint(&self, file: Option<&ResumeFile>) {
        let position = self.subscriber.position().to_string();
        match file {
            Some(file) => eprintln!(
                "levada: the offsets are in {}; the same command goes on from them",
                file.path().display()
            ),
            None if position.len() <= HINT_BYTES_MAX => {
                eprintln!("levada: to go on exactly here, add --cursor '{position}'");
            }
            None => eprintln!("levada: to be able to go on where a tail was stopped, use --resume FILE"),
        }
    }
}

/// Rate and lag, shown now and then where someone looks.
struct Meter {
    shown: bool,
    events: u64,
    since: Instant,
    at_last: u64,
    published: Option<Timestamp>,
}

impl Meter {
    fn new() -> Self {
        Self {
            shown: std::io::stderr().is_terminal() || std::env::var_os("LEVADA_PROGRESS").is_some(),
            events: 0,
            since: Instant::now(),
            at_last: 0,
            published: None,
        }
    }

    fn count(&mut self, event: &RealtimeEvent) {
        self.events += 1;
        self.published = event.published.or(self.published);
    }

    fn show(&mut self) {
        let elapsed = self.since.elapsed();
        if !self.shown || elapsed < SHOW_EVERY {
            return;
        }
        let rate = (self.events - self.at_last) as f64 / elapsed.as_secs_f64();
        let lag = self.published.map(|published| {
            let now = Timestamp::from_system(SystemTime::now());
            (now.as_millis() - published.as_millis()).max(0) as f64 / 1000.0
        });
        let lag = lag.map_or_else(String::new, |lag| format!(", {lag:.1} s behind"));
        eprintln!("levada: {} events, {rate:.0}/s{lag}", self.events);
        self.since = Instant::now();
        self.at_last = self.events;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn filters_are_equalities_of_scalars() {
        let read = |text| filter(text).map_err(|error| error.to_string());
        assert_eq!(read("a.b:en"), Ok(("a.b".into(), json!("en"))));
        assert_eq!(read("identifier:12"), Ok(("identifier".into(), json!(12))));
        assert_eq!(read("identifier:\"12\""), Ok(("identifier".into(), json!("12"))));
        assert_eq!(read("url:https://x/y"), Ok(("url".into(), json!("https://x/y"))));
        for bad in ["a", "!a:b", "a:b|c", "a:b*", "a:>5", "a:1..2"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}

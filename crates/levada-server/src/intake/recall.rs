//! Dedupe windows over a restart: what was stored before this process began is looked up in the log, once
//! per stream, before its first event that needs it is taken.
//!
//! The log does not tell when a record was appended, only its own time. So what counts is every record
//! whose own time lies in the window, and the newest records whatever their time: a backfill that is
//! sent again after a crash carries dates of long ago. Both are bounded, and so is the wait.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use levada_catalog::Stream;
use levada_event::json::Document;
use levada_event::{Bounds, Flags, Offset, RecordRef, Timestamp, TopicPartition};
use levada_log::{Log, LogError, ReadLimit};
use levada_wire::ErrorCode;

use super::Intake;
use super::dedupe::{IDS_MAX, Windows};
use super::topics::Topic;

/// Records of a stream that count whatever their time: more than a producer has unanswered when the
/// server dies, and read within a second.
const NEWEST: u64 = 50_000;

/// What is read at once.
const READ_BYTES: usize = 1024 * 1024;

/// An id with when its event was stored, as far as that is known.
pub(super) type Recalled = (Instant, Arc<str>);

impl Intake {
    /// Returns when the window of `stream`, if it has one, knows what its `topic` holds; an error at `due`.
    pub(super) async fn recall(
        &self,
        stream: &Arc<Stream>,
        topic: &Topic,
        due: tokio::time::Instant,
    ) -> Result<(), (ErrorCode, String)> {
        let Some(span) = stream.levada.dedupe_window else {
            return Ok(());
        };
        let Some(first_use) = self.windows.first_use(&stream.name) else {
            return Ok(());
        };
        let (log, windows, stream) = (self.log.clone(), self.windows.clone(), stream.clone());
        let partitions: Vec<_> = (0..topic.partitions())
            .map(|number| topic.partition(number).clone())
            .collect();
        // On its own, so that it goes on when a request gives up waiting.
        let recalling = tokio::spawn(async move {
            let filling = || fill(&*log, &windows, &stream.name, &partitions, span);
            first_use.get_or_try_init(filling).await.map(|_| ())
        });
        let trouble = |why: String| (ErrorCode::StorageUnavailable, why);
        match tokio::time::timeout_at(due, recalling).await {
            Ok(Ok(outcome)) => outcome.map_err(|error| trouble(error.to_string())),
            Ok(Err(error)) => Err(trouble(error.to_string())),
            Err(_) => Err(trouble(
                "the ids of the events stored last are still being looked up; try again".into(),
            )),
        }
    }
}

async fn fill(
    log: &dyn Log,
    windows: &Windows,
    stream: &str,
    partitions: &[TopicPartition],
    span: Duration,
) -> Result<(), LogError> {
    let began = Instant::now();
    let share = partitions.len().max(1) as u64;
    let mut found = Vec::new();
    for of in partitions {
        let wanted = Wanted {
            stream,
            span,
            now: (Timestamp::from_system(SystemTime::now()), Instant::now()),
            newest: NEWEST / share,
            most: IDS_MAX as u64 / share,
        };
        partition(log, of, &wanted, &mut found).await?;
    }
    let (ids, took) = (found.len(), began.elapsed());
    tracing::info!(stream, ids, ?took, "the dedupe window was read from the log");
    windows.fill(stream, found);
    Ok(())
}

/// What is looked for in a partition.
struct Wanted<'a> {
    stream: &'a str,
    span: Duration,
    now: (Timestamp, Instant),
    newest: u64,
    most: u64,
}

async fn partition(
    log: &dyn Log,
    of: &TopicPartition,
    wanted: &Wanted<'_>,
    found: &mut Vec<Recalled>,
) -> Result<(), LogError> {
    let bounds = match log.bounds(of).await {
        Ok(bounds) => bounds,
        Err(LogError::UnknownTopic(_)) => return Ok(()),
        Err(error @ LogError::Corrupt { .. }) => {
            tracing::warn!(partition = %of, %error, "which ids were stored in it cannot be told");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let span = i64::try_from(wanted.span.as_millis()).unwrap_or(i64::MAX);
    let in_window = match log.offset_at(of, wanted.now.0.plus_millis(-span)).await {
        Ok(offset) => offset.unwrap_or(bounds.next),
        // Reading will meet the damage again, if it lies where it matters.
        Err(LogError::Corrupt { .. }) => bounds.earliest,
        Err(error) => return Err(error),
    };
    let newest = bounds.next.saturating_sub(wanted.newest);
    let (mut next, left_out) = begin(bounds, newest.min(in_window), in_window, wanted.most);
    if left_out > 0 {
        let stream = wanted.stream;
        tracing::warn!(
            stream, %of, left_out, read = wanted.most,
            "records that lie in the dedupe window were left out, because it holds more than are read; \
             events of them that are sent again are stored again: a shorter dedupe_window avoids it"
        );
    }
    let limit = ReadLimit {
        bytes: READ_BYTES,
        wait: Duration::ZERO,
    };
    while next < bounds.next {
        let batch = match log.read(&of.at(next), limit).await {
            Ok(batch) => batch,
            Err(LogError::OutOfRange(now)) if now.earliest > next => {
                next = now.earliest;
                continue;
            }
            Err(error @ (LogError::Corrupt { .. } | LogError::OutOfRange(_))) => {
                tracing::warn!(%of, next, %error, "ids behind this place are not in the dedupe window");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for record in batch.iter().take_while(|record| record.offset < bounds.next) {
            found.extend(recalled(record, wanted, newest));
        }
        if batch.next() <= next {
            return Ok(());
        }
        next = batch.next();
    }
    Ok(())
}

/// Where reading begins, if from `from` on all were wanted and at most `most` records may be read, and how
/// many records from `in_window` on lie before that.
fn begin(bounds: Bounds, from: Offset, in_window: Offset, most: u64) -> (Offset, u64) {
    let begin = from.max(bounds.next.saturating_sub(most)).max(bounds.earliest);
    (begin, begin.saturating_sub(in_window.max(bounds.earliest)))
}

/// The id of a record, if it belongs into the window.
fn recalled(record: RecordRef<'_>, wanted: &Wanted<'_>, newest: u64) -> Option<Recalled> {
    let (time, instant) = wanted.now;
    let age = time.as_millis().saturating_sub(record.timestamp.as_millis());
    let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
    let entered = match instant.checked_sub(age) {
        Some(entered) if age < wanted.span => entered,
        _ if record.offset >= newest => instant,
        _ => return None,
    };
    if record.flags.contains(Flags::CANARY) {
        return None;
    }
    let document = Document::parse(record.value).ok()?;
    let meta = document.root().get("meta")?;
    let id = meta.get("id")?.as_str()?;
    meta.get("stream")?
        .is_str(wanted.stream)
        .then(|| (entered, Arc::from(&*id)))
}

#[cfg(test)]
mod tests {
    use levada_event::Bounds;

    use super::begin;

    #[test]
    fn what_the_cap_cuts_off_the_window_is_counted() {
        let bounds = |earliest, next| Bounds { earliest, next };
        // The window fits; the newest records reach further back than it, or less far.
        assert_eq!(begin(bounds(0, 100), 40, 60, 80), (40, 0));
        assert_eq!(begin(bounds(0, 100), 60, 60, 80), (60, 0));
        // The cap cuts only what lies before the window, then also the window.
        assert_eq!(begin(bounds(0, 100), 10, 60, 80), (20, 0));
        assert_eq!(begin(bounds(0, 100), 5, 5, 80), (20, 15));
        // What is no longer kept was not cut off.
        assert_eq!(begin(bounds(12, 100), 5, 5, 80), (20, 8));
        assert_eq!(begin(bounds(30, 100), 5, 5, 80), (30, 0));
        assert_eq!(begin(bounds(0, 0), 0, 0, 80), (0, 0));
    }
}

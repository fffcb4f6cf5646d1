//! Reading: at the end from the partition's window, everywhere else from the past.

use std::sync::Arc;
use std::time::Duration;

use levada_event::{Bounds, Offset, Position, RecordBatch, Timestamp, TopicPartition};
use levada_log::{LogError, ReadLimit};

use crate::Settings;
use crate::client::ErrorCounts;
use crate::cluster::Cluster;
use crate::header::EARLIEST;
use crate::live::Live;
use crate::past::{Found, Past};

/// What a search through records by their own time reads at a time.
const SEARCH_BYTES: usize = 1024 * 1024;

/// A partition may change under a read (retention, a new end); it is looked at again this often.
const LOOKS: usize = 4;

/// Between two looks at what seems to be a hole.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

pub(crate) struct Reader {
    cluster: Arc<Cluster>,
    pub(crate) live: Live,
    pub(crate) past: Arc<Past>,
    grace: Duration,
}

impl Reader {
    pub(crate) fn new(settings: &Settings, cluster: Arc<Cluster>, errors: &Arc<ErrorCounts>) -> Self {
        Self {
            cluster,
            live: Live::new(settings, errors.clone()),
            past: Past::new(settings, errors.clone()),
            grace: settings.outage_grace,
        }
    }

    pub(crate) async fn read(&self, from: &Position, limit: ReadLimit) -> Result<RecordBatch, LogError> {
        let read = looks(limit, |limit| self.look(from, limit)).await?;
        read.ok_or_else(|| {
            LogError::Unavailable(format!(
                "{from} cannot be read: the partition changes all the time"
            ))
        })
    }

    /// One look at where the records are. `None` when they have moved meanwhile.
    async fn look(&self, from: &Position, limit: ReadLimit) -> Result<Option<RecordBatch>, LogError> {
        let Position { of, offset } = from;
        let offset = *offset;
        let live = self.live.get(of);
        if let Some(live) = &live {
            if offset > live.next() {
                within(self.cluster.bounds(of).await?, offset)?;
            }
            if let Some(batch) = live.read(offset, limit, self.grace).await? {
                return Ok(Some(batch));
            }
            if let Some(why) = live.failure() {
                return Err(self.lost(from, &why).await);
            }
        }
        if !self.past.stands_at(of, offset) {
            if let Some(batch) = self.past.recent(of, offset, limit.bytes) {
                return Ok(Some(batch));
            }
            let bounds = self.cluster.bounds(of).await?;
            within(bounds, offset)?;
            if offset == bounds.next {
                return self.wait_at_end(of, offset, limit).await;
            }
            // Somebody began to follow the partition meanwhile.
            if live.is_none() && self.live.get(of).is_some_and(|live| live.holds(offset)) {
                return Ok(None);
            }
        }
        match self.past.read(of, offset, limit.bytes, false).await? {
            Found::Batch(batch) => Ok(Some(batch)),
            Found::Failed(code) => Err(self.lost(from, &code.to_string()).await),
            Found::End => {
                let bounds = || self.cluster.bounds(of);
                let fetch = || self.past.read(of, offset, limit.bytes, true);
                match behind_the_last(offset, bounds, fetch).await? {
                    Behind::Nothing => self.wait_at_end(of, offset, limit).await,
                    Behind::Batch(batch) => Ok(Some(batch)),
                    Behind::Hole(next) => Ok(Some(RecordBatch::empty(next))),
                    Behind::Changed => Ok(None),
                }
            }
        }
    }

    /// Why a fetch that failed did so. Most often retention was faster.
    async fn lost(&self, from: &Position, why: &str) -> LogError {
        match self
            .cluster
            .bounds(&from.of)
            .await
            .and_then(|bounds| within(bounds, from.offset))
        {
            Ok(()) => LogError::Unavailable(format!("{from} cannot be read: {why}")),
            Err(error) => error,
        }
    }

    async fn wait_at_end(
        &self,
        of: &TopicPartition,
        from: Offset,
        limit: ReadLimit,
    ) -> Result<Option<RecordBatch>, LogError> {
        if limit.wait.is_zero() {
            return Ok(Some(RecordBatch::empty(from)));
        }
        let live = self.live.start(of, from).await?;
        let read = live.read(from, limit, self.grace).await?;
        match live.failure() {
            Some(why) if read.is_none() => Err(self.lost(&of.at(from), &why).await),
            _ => Ok(read),
        }
    }

    /// The first record at or after `at`.
    pub(crate) async fn offset_at(
        &self,
        of: &TopicPartition,
        at: Timestamp,
    ) -> Result<Option<Offset>, LogError> {
        let millis = at.as_millis();
        if millis > EARLIEST {
            return self.cluster.offset_for(of, millis).await;
        }
        // Before 1970 Kafka's time is not the event's. Whatever is kept is hardly ever that old, so the
        // first record is mostly the answer.
        let bounds = self.cluster.bounds(of).await?;
        let mut from = bounds.earliest;
        while from < bounds.next {
            let limit = ReadLimit {
                bytes: SEARCH_BYTES,
                wait: Duration::ZERO,
            };
            let batch = match self.read(&of.at(from), limit).await {
                Err(LogError::OutOfRange(now)) if now.earliest > from => {
                    from = now.earliest;
                    continue;
                }
                other => other?,
            };
            if let Some(found) = batch.iter().find(|record| record.timestamp >= at) {
                return Ok(Some(found.offset));
            }
            if batch.next() <= from {
                break;
            }
            from = batch.next();
        }
        Ok(None)
    }
}

/// Looks until records are found where they were looked for, a few times; all looks together wait no
/// longer than one may.
async fn looks<F>(
    limit: ReadLimit,
    mut look: impl FnMut(ReadLimit) -> F,
) -> Result<Option<RecordBatch>, LogError>
where
    F: Future<Output = Result<Option<RecordBatch>, LogError>>,
{
    let begun = tokio::time::Instant::now();
    for _ in 0..LOOKS {
        let wait = limit.wait.saturating_sub(begun.elapsed());
        if let Some(batch) = look(ReadLimit { wait, ..limit }).await? {
            return Ok(Some(batch));
        }
    }
    Ok(None)
}

/// What lies behind the last record that a fetch gave.
#[derive(Debug)]
enum Behind {
    /// It is the partition's end.
    Nothing,
    /// Records that have come since.
    Batch(RecordBatch),
    /// Only what is not shown, up to this offset: marks of transactions, or what compaction removed.
    Hole(Offset),
    /// The partition cannot be fetched there any more.
    Changed,
}

/// Looks behind `offset`, where a fetch met the end, for what `bounds` tells. A fetch from the leader that
/// begins after the bounds were told cannot meet an end before them; but the broker may have ceased to be
/// the leader meanwhile. What was stored must not be skipped, so a hole is believed when it is met twice.
async fn behind_the_last<B, F>(
    offset: Offset,
    mut bounds: impl FnMut() -> B,
    mut fetch: impl FnMut() -> F,
) -> Result<Behind, LogError>
where
    B: Future<Output = Result<Bounds, LogError>>,
    F: Future<Output = Result<Found, LogError>>,
{
    let mut hole = None;
    loop {
        let told = bounds().await?;
        within(told, offset)?;
        if offset == told.next {
            return Ok(Behind::Nothing);
        }
        match fetch().await? {
            Found::Batch(batch) => return Ok(Behind::Batch(batch)),
            Found::Failed(_) => return Ok(Behind::Changed),
            Found::End => {}
        }
        // As far as both looks know of it.
        if let Some(before) = hole {
            return Ok(Behind::Hole(told.next.min(before)));
        }
        hole = Some(told.next);
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

fn within(bounds: Bounds, offset: Offset) -> Result<(), LogError> {
    if offset < bounds.earliest || offset > bounds.next {
        return Err(LogError::OutOfRange(bounds));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use super::*;

    /// What is found behind offset 5 when the end is told as `ends` and the fetches give `fetched`.
    async fn behind(ends: &[Offset], fetched: Vec<Found>) -> Behind {
        let mut ends = ends.iter();
        let fetched = RefCell::new(VecDeque::from(fetched));
        let bounds = || {
            let next = *ends.next().expect("no further question");
            std::future::ready(Ok(Bounds { earliest: 0, next }))
        };
        let fetch = || std::future::ready(Ok(fetched.borrow_mut().pop_front().expect("no further fetch")));
        let behind = behind_the_last(5, bounds, fetch).await.expect("an answer");
        assert!(fetched.borrow().is_empty(), "{behind:?} too early");
        behind
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_is_spread_over_all_looks() {
        let limit = ReadLimit {
            bytes: 1,
            wait: Duration::from_secs(10),
        };
        let mut waits = Vec::new();
        let look = |limit: ReadLimit| {
            waits.push(limit.wait.as_secs());
            async {
                tokio::time::sleep(Duration::from_secs(3)).await;
                Ok(None)
            }
        };
        assert!(looks(limit, look).await.expect("no error").is_none());
        assert_eq!(waits, [10, 7, 4, 1]);
    }

    #[tokio::test]
    async fn a_hole_is_stepped_over_when_it_is_met_twice() {
        let hole = || vec![Found::End, Found::End];
        assert!(matches!(behind(&[7, 7], hole()).await, Behind::Hole(7)));
        assert!(matches!(behind(&[7, 9], hole()).await, Behind::Hole(7)));
        // The first fetch went to a broker that was behind.
        let late = vec![Found::End, Found::Batch(RecordBatch::empty(9))];
        let found = behind(&[7, 7], late).await;
        assert!(
            matches!(&found, Behind::Batch(batch) if batch.next() == 9),
            "{found:?}"
        );
        assert!(matches!(behind(&[5], vec![]).await, Behind::Nothing));
        assert!(matches!(behind(&[7, 5], vec![Found::End]).await, Behind::Nothing));
    }
}

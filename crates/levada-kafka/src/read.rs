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
        let begun = tokio::time::Instant::now();
        let mut limit = limit;
        for _ in 0..LOOKS {
            if let Some(batch) = self.look(from, limit).await? {
                return Ok(batch);
            }
            limit.wait = limit.wait.saturating_sub(begun.elapsed());
        }
        Err(LogError::Unavailable(format!(
            "{from} cannot be read: the partition changes all the time"
        )))
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
                let bounds = self.cluster.bounds(of).await?;
                within(bounds, offset)?;
                if offset == bounds.next {
                    return self.wait_at_end(of, offset, limit).await;
                }
                // The end lies further on than the last record. Either records have come since, or what
                // lies in between is not shown (marks of transactions, or what compaction removed). A
                // fetch that begins after the bounds were told cannot meet an end before them.
                match self.past.read(of, offset, limit.bytes, true).await? {
                    Found::Batch(batch) => Ok(Some(batch)),
                    Found::End => Ok(Some(RecordBatch::empty(bounds.next))),
                    Found::Failed(_) => Ok(None),
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
        live.read(from, limit, self.grace).await
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

fn within(bounds: Bounds, offset: Offset) -> Result<(), LogError> {
    if offset < bounds.earliest || offset > bounds.next {
        return Err(LogError::OutOfRange(bounds));
    }
    Ok(())
}

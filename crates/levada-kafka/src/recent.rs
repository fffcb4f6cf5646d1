//! What was fetched of the past a moment ago, for readers that come to the same place: after a restart
//! of a server a thousand clients resume where they all stood.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use levada_event::{Offset, RecordBatch, TopicPartition};
use parking_lot::Mutex;

use crate::chunk::{Chunk, Cut};

/// How long a run of records is kept. Long enough for clients that reconnect together; short, because
/// retention may remove them meanwhile.
const KEPT_FOR: Duration = Duration::from_secs(20);

/// Most runs that are looked through. With runs of half a megabyte the bytes are the tighter bound.
const RUNS_MAX: usize = 4096;

struct Run {
    of: TopicPartition,
    from: Offset,
    chunk: Chunk,
    fetched: Instant,
}

/// Runs of records, the newest last.
pub(crate) struct Recent {
    bytes_max: usize,
    runs: Mutex<(VecDeque<Run>, usize)>,
}

impl Recent {
    /// Keeps at most `bytes_max`.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            runs: Mutex::default(),
        }
    }

    /// Keeps what follows `from`.
    pub(crate) fn keep(&self, of: &TopicPartition, from: Offset, chunk: &Chunk) {
        if chunk.bytes() > self.bytes_max {
            return;
        }
        let mut held = self.runs.lock();
        let (runs, bytes) = &mut *held;
        *bytes += chunk.bytes();
        runs.push_back(Run {
            of: of.clone(),
            from,
            chunk: chunk.clone(),
            fetched: Instant::now(),
        });
        while let Some(oldest) = runs.front()
            && (*bytes > self.bytes_max || runs.len() > RUNS_MAX || oldest.fetched.elapsed() > KEPT_FOR)
        {
            *bytes -= oldest.chunk.bytes();
            runs.pop_front();
        }
    }

    /// Records from `from` on, if they are here.
    pub(crate) fn find(&self, of: &TopicPartition, from: Offset, bytes: usize) -> Option<RecordBatch> {
        let chunk = {
            let held = self.runs.lock();
            let here = |run: &&Run| run.from <= from && from < run.chunk.next() && run.of == *of;
            let run = held
                .0
                .iter()
                .rev()
                .take_while(|run| run.fetched.elapsed() <= KEPT_FOR)
                .find(here)?;
            run.chunk.clone()
        };
        let mut cut = Cut::new(from, bytes);
        chunk.cut(from, &mut cut);
        cut.finish()
    }

    /// Lets go of what is too old to be given out.
    pub(crate) fn sweep(&self) {
        let mut held = self.runs.lock();
        let (runs, bytes) = &mut *held;
        while let Some(oldest) = runs.front()
            && oldest.fetched.elapsed() > KEPT_FOR
        {
            *bytes -= oldest.chunk.bytes();
            runs.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use levada_event::TopicName;

    use super::*;

    #[test]
    fn what_was_fetched_for_one_is_found_by_the_next() {
        let recent = Recent::new(10_000);
        let of = TopicPartition::new(TopicName::new("t").unwrap(), 3);
        let other = TopicPartition::new(TopicName::new("t").unwrap(), 4);
        recent.keep(&of, 5, &Chunk::of(&[7, 9], 10));
        let found = |of, from| {
            let batch = recent.find(of, from, usize::MAX)?;
            Some((
                batch.iter().map(|record| record.offset).collect::<Vec<_>>(),
                batch.next(),
            ))
        };
        // From 5 on the run is whole, though its first record is 7.
        assert_eq!(found(&of, 5), Some((vec![7, 9], 10)));
        assert_eq!(found(&of, 8), Some((vec![9], 10)));
        assert_eq!(found(&of, 4), None);
        assert_eq!(found(&of, 10), None);
        assert_eq!(found(&other, 7), None);
    }

    #[test]
    fn the_oldest_goes_when_there_is_too_much() {
        let recent = Recent::new(5_000);
        let of = TopicPartition::new(TopicName::new("t").unwrap(), 0);
        for offset in 0..10 {
            recent.keep(&of, offset, &Chunk::of(&[offset], 1_000));
        }
        assert!(recent.find(&of, 0, 1).is_none());
        assert!(recent.find(&of, 9, 1).is_some());
        recent.keep(&of, 20, &Chunk::of(&[20], 6_000));
        assert!(
            recent.find(&of, 20, 1).is_none(),
            "more than everything is not kept"
        );
        assert!(recent.runs.lock().1 <= 5_000);
    }
}

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

//! What a selection makes of a batch, found out where the batch was read.
//!
//! A filter looks at most of an event's bytes, which is most of the work of such a session. So a read of the
//! past selects on the thread that read, several at a time, and the session only writes frames.

use std::sync::Arc;

use levada_event::RecordBatch;
use levada_event::select::Verdict;
use levada_log::OnRead;
use parking_lot::Mutex;

use super::shape::Shape;

/// The texts that a selection makes of the records of a batch.
#[derive(Debug)]
pub(crate) struct Selected {
    text: Vec<u8>,
    /// For each record what is to be done with it, and where its text ends.
    records: Vec<(Verdict, usize)>,
}

/// What came of one record: its text is empty unless it is sent.
pub(crate) type Chosen<'a> = (Verdict, &'a [u8]);

/// A batch with what was selected of it, if that was done.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) batch: RecordBatch,
    pub(crate) selected: Option<Selected>,
}

/// Where a read puts what it selected.
#[derive(Debug, Default, Clone)]
pub(crate) struct Slot(Arc<Mutex<Option<Selected>>>);

impl Selected {
    fn of(shape: &Shape, lane: usize, batch: &RecordBatch) -> Self {
        let origin = &shape.lanes[lane].origin;
        let mut text = Vec::new();
        let select = |record| {
            let verdict = shape.selection.apply(record, origin, &mut text);
            (verdict, text.len())
        };
        let records = batch.iter().map(select).collect();
        Self { text, records }
    }

    /// What came of the record at `index` of the batch.
    pub(crate) fn get(&self, index: usize) -> Option<Chosen<'_>> {
        let &(verdict, end) = self.records.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.records[before].1);
        Some((verdict, &self.text[start..end]))
    }
}

impl Slot {
    /// Selects what `shape` wants of a lane's batch. `None` where nothing is looked at.
    pub(crate) fn filler(&self, shape: &Arc<Shape>, lane: usize) -> Option<OnRead> {
        if shape.selection.is_plain() {
            return None;
        }
        let (slot, shape) = (self.0.clone(), shape.clone());
        Some(Arc::new(move |batch| {
            *slot.lock() = Some(Selected::of(&shape, lane, batch));
        }))
    }

    /// What was put here.
    pub(crate) fn take(&self) -> Option<Selected> {
        self.0.lock().take()
    }
}

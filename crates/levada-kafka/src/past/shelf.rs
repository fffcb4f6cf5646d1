//! The places in the past that exist, and which of them a reader gets.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use levada_event::{Offset, RecordBatch, TopicPartition};

use super::{FETCHERS, Found};
use crate::chunk::{Chunk, ChunkBuilder, Cut};
use crate::fetch::{Assigned, Drained};
use crate::recent::Recent;

/// The places that exist.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) idle: Vec<Place>,
    /// Which fetchers stand in a partition, a bit each.
    taken: HashMap<TopicPartition, u8>,
    pub(super) open: usize,
}

/// A place in a partition.
pub(super) struct Place {
    pub(super) of: TopicPartition,
    pub(super) fetcher: usize,
    pub(super) assigned: Assigned,
    /// The first record that has not been handed out, if it exists.
    pub(super) next: Offset,
    pub(super) stock: Stock,
    pub(super) used: Instant,
}

/// What was taken out of a place's queue and not handed out yet: records, and what was said behind
/// them. That is said once, so it is kept until the records before it have gone.
#[derive(Default)]
pub(super) struct Stock {
    records: Option<Chunk>,
    behind: Option<Drained>,
}

impl Stock {
    /// Adds what one look into the queue gave.
    fn add(&mut self, records: Option<Chunk>, drained: Drained) {
        if records.is_some() {
            self.records = records;
            // What was the end is not any more.
            self.behind = None;
        }
        if matches!(drained, Drained::End | Drained::Failed(_)) {
            self.behind = Some(drained);
        }
    }

    /// Cuts a batch out of the records; `None` when there are none.
    fn cut(&mut self, from: Offset, bytes: usize) -> Option<RecordBatch> {
        let records = self.records.take()?;
        let mut cut = Cut::new(from, bytes);
        if !records.cut(from, &mut cut) {
            self.records = Some(records);
        }
        cut.finish()
    }

    /// What is known to lie behind the records, once they have all gone.
    fn verdict(&self) -> Option<Drained> {
        self.behind.filter(|_| self.records.is_none())
    }
}

/// How a reader gets its place.
pub(super) enum Turn {
    /// This one stands there.
    Ready(Place),
    /// The fetcher of this number has none in the partition.
    Room(usize),
    /// This one of the same partition is to be moved.
    Move(Place),
    /// All are in use.
    Wait,
}

impl Shelf {
    /// Takes the place that stands at `from`, if there is one that nobody uses.
    pub(super) fn standing(&mut self, of: &TopicPartition, from: Offset) -> Option<Place> {
        let here = |place: &Place| place.next == from && place.of == *of;
        let at = self.idle.iter().position(here)?;
        Some(self.idle.swap_remove(at))
    }

    /// Gives up the places that nobody has used for as long as `idle`.
    pub(super) fn retire(&mut self, idle: Duration) {
        let go = self.idle.extract_if(.., |place| place.used.elapsed() >= idle);
        for place in go.collect::<Vec<_>>() {
            self.let_go(place);
        }
    }

    /// In this order: who is given the number asks for the partition at once, and the assignment before
    /// must have been told to end by then.
    fn let_go(&mut self, place: Place) {
        let (of, number) = (place.of.clone(), place.fetcher);
        drop(place);
        self.free_number(&of, number);
        self.open -= 1;
    }

    pub(super) fn turn(&mut self, of: &TopicPartition, from: Offset, afresh: bool, max: usize) -> Turn {
        if let Some(place) = self.standing(of, from) {
            return if afresh {
                Turn::Move(place)
            } else {
                Turn::Ready(place)
            };
        }
        let taken = self.taken.get(of).copied().unwrap_or(0);
        let free = (0..FETCHERS).find(|number| taken & (1 << number) == 0);
        if let Some(number) = free {
            if self.open >= max && !self.evict() {
                return self.move_one(of);
            }
            self.open += 1;
            *self.taken.entry(of.clone()).or_default() |= 1 << number;
            return Turn::Room(number);
        }
        self.move_one(of)
    }

    fn move_one(&mut self, of: &TopicPartition) -> Turn {
        match self.oldest(|place| place.of == *of) {
            Some(at) => Turn::Move(self.idle.swap_remove(at)),
            None => Turn::Wait,
        }
    }

    /// Gives up the place that was not used for the longest time. `false` when all are in use.
    fn evict(&mut self) -> bool {
        let Some(at) = self.oldest(|_| true) else {
            return false;
        };
        let place = self.idle.swap_remove(at);
        self.let_go(place);
        true
    }

    fn oldest(&self, of: impl Fn(&Place) -> bool) -> Option<usize> {
        let places = self.idle.iter().enumerate().filter(|(_, place)| of(place));
        places.min_by_key(|(_, place)| place.used).map(|(at, _)| at)
    }

    pub(super) fn free_number(&mut self, of: &TopicPartition, number: usize) {
        if let Some(taken) = self.taken.get_mut(of) {
            *taken &= !(1 << number);
            if *taken == 0 {
                self.taken.remove(of);
            }
        }
    }
}

impl Place {
    /// Takes records out of the queue, until there are `bytes` of them.
    fn fill(&mut self, bytes: usize, recent: &Recent) -> Drained {
        if self.stock.records.is_some() || matches!(self.stock.behind, Some(Drained::Failed(_))) {
            return Drained::Full;
        }
        let mut builder = ChunkBuilder::default();
        let drained = self.assigned.drain(&mut builder, bytes.max(1));
        let records = builder.finish();
        if let Some(records) = &records {
            recent.keep(&self.of, self.next, records);
        }
        self.stock.add(records, drained);
        drained
    }

    /// What is there from `from` on, at most `bytes` of values; `None` when the queue says nothing yet.
    pub(super) fn find(&mut self, from: Offset, bytes: usize, recent: &Recent) -> Option<Found> {
        loop {
            let drained = self.fill(bytes, recent);
            if let Some(batch) = self.stock.cut(from, bytes) {
                self.next = batch.next();
                return Some(Found::Batch(batch));
            }
            match self.stock.verdict() {
                Some(Drained::Failed(code)) => return Some(Found::Failed(code)),
                Some(_) => return Some(Found::End),
                None if drained == Drained::Empty => return None,
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::error::RDKafkaErrorCode;

    use super::*;

    /// Offsets that are cut from `from` on, a record each time, and the verdict behind them.
    fn all(stock: &mut Stock, mut from: Offset) -> (Vec<Offset>, Option<Drained>) {
        let mut offsets = Vec::new();
        while let Some(batch) = stock.cut(from, 1) {
            assert!(stock.records.is_none() || stock.verdict().is_none());
            offsets.extend(batch.iter().map(|record| record.offset));
            from = batch.next();
        }
        (offsets, stock.verdict())
    }

    #[test]
    fn what_was_said_behind_records_is_told_after_them() {
        for said in [Drained::End, Drained::Failed(RDKafkaErrorCode::OffsetOutOfRange)] {
            let mut stock = Stock::default();
            stock.add(Some(Chunk::of(&[3, 4, 7], 10)), said);
            assert_eq!(all(&mut stock, 3), (vec![3, 4, 7], Some(said)));
            // It is said once, and asked for again.
            stock.add(None, Drained::Empty);
            assert_eq!(stock.verdict(), Some(said));
        }
    }

    #[test]
    fn records_behind_an_end_are_not_hidden_by_it() {
        let mut stock = Stock::default();
        stock.add(None, Drained::End);
        stock.add(Some(Chunk::of(&[3], 10)), Drained::Empty);
        assert_eq!(all(&mut stock, 3), (vec![3], None));
    }
}

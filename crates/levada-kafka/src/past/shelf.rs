//! The places in the past that exist, and which of them a reader gets.

use std::collections::HashMap;
use std::time::Instant;

use levada_event::{Offset, RecordBatch, TopicPartition};

use super::FETCHERS;
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
    /// A record that was taken out of the queue and did not fit.
    pub(super) spare: Option<Chunk>,
    pub(super) at_end: bool,
    pub(super) used: Instant,
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
    pub(super) fn turn(&mut self, of: &TopicPartition, from: Offset, afresh: bool, max: usize) -> Turn {
        let here = |place: &Place| place.next == from && place.of == *of;
        if let Some(at) = self.idle.iter().position(here) {
            let place = self.idle.swap_remove(at);
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
        self.free(&place);
        self.open -= 1;
        true
    }

    fn oldest(&self, of: impl Fn(&Place) -> bool) -> Option<usize> {
        let places = self.idle.iter().enumerate().filter(|(_, place)| of(place));
        places.min_by_key(|(_, place)| place.used).map(|(at, _)| at)
    }

    pub(super) fn free(&mut self, place: &Place) {
        self.free_number(&place.of, place.fetcher);
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
    pub(super) fn fill(&mut self, bytes: usize, recent: &Recent) -> Drained {
        if self.spare.is_some() {
            return Drained::Full;
        }
        let mut builder = ChunkBuilder::default();
        let drained = self.assigned.drain(&mut builder, bytes.max(1));
        self.spare = builder.finish();
        if let Some(spare) = &self.spare {
            self.at_end = false;
            recent.keep(&self.of, self.next, spare);
        }
        if drained == Drained::End {
            self.at_end = true;
        }
        drained
    }

    /// Cuts a batch out of what was taken.
    pub(super) fn cut(&mut self, from: Offset, bytes: usize) -> Option<RecordBatch> {
        let mut cut = Cut::new(from, bytes);
        let spare = self.spare.take()?;
        if !spare.cut(from, &mut cut) {
            self.spare = Some(spare);
        }
        let batch = cut.finish()?;
        self.next = batch.next();
        Some(batch)
    }
}

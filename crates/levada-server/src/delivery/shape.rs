//! The shape of a subscription: everything that decides which bytes its live subscribers see.
//! Subscriptions of one shape share one channel.

use std::hash::{Hash, Hasher};

use levada_event::select::Selection;
use levada_event::splice::Origin;
use levada_event::{Offset, TopicPartition};

use super::request::{Api, Format};
use super::wider::Whole;

/// One partition of a subscription.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    pub(crate) of: TopicPartition,
    pub(crate) kind: LaneKind,
    pub(crate) origin: Origin,
}

/// Whether a partition is there to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum LaneKind {
    /// It is.
    Kept,
    /// Its topic does not exist yet; all its events will be new.
    Awaited,
    /// A cursor names it and it will never exist, or none of it can be read until a restart: it stays
    /// silent, and part of the id as the client sent it.
    Ghost {
        offset: Option<i64>,
        timestamp: Option<i64>,
        /// What the id says is to be read next.
        next: Offset,
    },
}

/// Everything that decides which bytes live subscribers see.
#[derive(Debug)]
pub(crate) struct Shape {
    /// In the order of the id's elements.
    pub(crate) lanes: Vec<Lane>,
    /// The topics of which all partitions are wanted, also those to come.
    pub(crate) wholes: Vec<Whole>,
    pub(crate) api: Api,
    pub(crate) format: Format,
    pub(crate) selection: Selection,
    pub(crate) drop_canaries: bool,
}

impl PartialEq for Lane {
    fn eq(&self, other: &Self) -> bool {
        // The origin follows from the topic.
        self.kind == other.kind && self.of == other.of
    }
}

impl Eq for Lane {}

impl Hash for Lane {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.of, self.kind).hash(state);
    }
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.api == other.api
            && self.format == other.format
            && self.drop_canaries == other.drop_canaries
            && self.selection == other.selection
            && self.lanes == other.lanes
            && self.wholes == other.wholes
    }
}

impl Eq for Shape {}

impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (
            self.api,
            self.format,
            self.drop_canaries,
            &self.lanes,
            &self.wholes,
        )
            .hash(state);
        self.selection.hash(state);
    }
}

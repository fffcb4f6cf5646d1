//! Where a record is: topic, partition and offset; and where a reader starts.

use std::fmt;

use crate::{Timestamp, TopicName};

/// Number of a record in its partition: strictly increasing, never reused. Dense in the embedded
/// log, with holes in Kafka, so nobody adds 1 to an offset to find the next record; ask the batch.
pub type Offset = u64;

/// One partition of one topic.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicName,
    /// The partition's number, from 0.
    pub partition: u32,
}

impl TopicPartition {
    /// Names a partition.
    pub fn new(topic: TopicName, partition: u32) -> Self {
        Self { topic, partition }
    }

    /// The place before the record with this offset.
    pub fn at(&self, offset: Offset) -> Position {
        Position {
            of: self.clone(),
            offset,
        }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A place in a partition: before the first record whose offset is at least `offset`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Position {
    /// The partition.
    pub of: TopicPartition,
    /// The next offset to read.
    pub offset: Offset,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.of, self.offset)
    }
}

/// What a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Offset of the oldest record kept; equals `next` when the partition is empty.
    pub earliest: Offset,
    /// Offset that the next appended record gets.
    pub next: Offset,
}

/// Where a subscription starts in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record kept.
    Earliest,
    /// After the newest record.
    Latest,
    /// At this offset, inclusive.
    At(Offset),
    /// At the first record whose timestamp is at or after this time.
    Since(Timestamp),
}

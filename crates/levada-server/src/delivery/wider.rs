//! Topics that have more partitions than their readers know of. The number of a topic that exists never
//! changes in the embedded log; but a topic that readers waited for may come with more partitions than
//! its stream declares, and operators of a Kafka cluster may add some at any time. Who reads a topic as
//! a whole then goes on with all of it, the new partitions from their first record on.

use std::sync::Arc;

use levada_event::splice::{Dialect, Origin};
use levada_event::{Start, TopicName, TopicPartition};
use levada_log::LogError;
use levada_wire::Element;

use super::hub::Hub;
use super::limits::{LANES_MAX, WIDER_EVERY};
use super::ring::Mark;
use super::shape::{Lane, LaneKind, Shape};

/// A topic that is read as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Whole {
    pub(crate) topic: TopicName,
    /// Partitions `0..partitions` are lanes.
    pub(crate) partitions: u32,
    /// For the lanes to come.
    pub(crate) stored: Dialect,
}

/// What readers of the whole topic are told: it has so many partitions now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wider {
    pub(crate) topic: TopicName,
    pub(crate) partitions: u32,
}

/// Where partitions start that came while their reader was there or away: all of them is new to it.
pub(crate) const FROM_THE_FIRST: Start = Start::At(0);

/// How many partitions of the topic a cursor names, if it is one that this log's readers are given who
/// read the whole topic: positions of this log in partitions 0 and up without a hole, and no fewer than
/// are `declared`. Such a cursor stands for the topic as it was; a client that names fewer by hand wants
/// no others.
pub(crate) fn covered(topic: &TopicName, elements: &[Element], declared: u32, log_id: &str) -> Option<u32> {
    let mut numbers = Vec::new();
    for element in elements {
        let Element::Partition(element) = element else {
            continue;
        };
        if element.topic == topic.as_str() {
            element.at.filter(|at| at.is_of(log_id))?;
            numbers.push(u32::try_from(element.partition).ok()?);
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    let count = u32::try_from(numbers.len()).ok()?;
    // Each once and none beyond: then none is missing.
    let dense = numbers.last().is_some_and(|last| *last < count);
    (dense && count >= declared).then_some(count)
}

impl Shape {
    /// How many partitions of the topic are lanes, where it is read as a whole.
    pub(crate) fn width_of(&self, topic: &TopicName) -> Option<u32> {
        let whole = self.wholes.iter().find(|whole| whole.topic == *topic);
        whole.map(|whole| whole.partitions)
    }

    /// The shape with lanes for the partitions that it lacks, and the marks of a reader that is at `marks`
    /// in the others. `None` when there would be too many.
    pub(crate) fn wider(&self, wider: &Wider, marks: &[Mark]) -> Option<(Shape, Vec<Mark>)> {
        let mut shape = Shape {
            lanes: self.lanes.clone(),
            wholes: self.wholes.clone(),
            api: self.api,
            format: self.format,
            selection: self.selection.clone(),
            drop_canaries: self.drop_canaries,
        };
        let mut marks = marks.to_vec();
        for whole in &mut shape.wholes {
            if whole.topic != wider.topic {
                continue;
            }
            let last = shape.lanes.iter().rposition(|lane| lane.of.topic == wider.topic);
            let at = last.map_or(shape.lanes.len(), |last| last + 1);
            let added = whole.partitions..wider.partitions;
            let lanes = added.clone().map(|partition| whole.lane(partition));
            shape.lanes.splice(at..at, lanes);
            let first = Mark { next: 0, sent: None };
            marks.splice(at..at, added.map(|_| first));
            whole.partitions = whole.partitions.max(wider.partitions);
        }
        (shape.lanes.len() <= LANES_MAX).then_some((shape, marks))
    }
}

impl Whole {
    fn lane(&self, partition: u32) -> Lane {
        Lane {
            of: TopicPartition::new(self.topic.clone(), partition),
            kind: LaneKind::Kept,
            origin: Origin::new(self.topic.as_str(), partition, self.stored),
        }
    }
}

/// Looks now and then whether the topic has more partitions than are read, for as long as it is polled.
pub(crate) async fn watch(hub: Arc<Hub>, topic: TopicName) {
    loop {
        match count_beyond(&hub, &topic).await {
            Ok(Some(partitions)) => {
                tracing::info!(%topic, partitions, "the topic has more partitions than were read; all are read now");
                let topic = topic.clone();
                hub.widen(&Wider { topic, partitions });
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%topic, %error, "nobody knows how many partitions there are"),
        }
        tokio::time::sleep(WIDER_EVERY).await;
    }
}

/// How many partitions the topic has, if that is more than its narrowest readers have.
async fn count_beyond(hub: &Arc<Hub>, topic: &TopicName) -> Result<Option<u32>, LogError> {
    let Some(known) = hub.narrowest(topic) else {
        return Ok(None);
    };
    let mut count = known;
    loop {
        match hub.log.bounds(&TopicPartition::new(topic.clone(), count)).await {
            Ok(_) => count += 1,
            Err(LogError::UnknownTopic(_)) => return Ok((count > known).then_some(count)),
            Err(error) => return Err(error),
        }
    }
}

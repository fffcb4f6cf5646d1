//! The partitions that a request asks for, in the order of the id, and what is wanted of each.

use std::collections::{HashMap, HashSet};

use levada_event::splice::Origin;
use levada_event::{Start, TopicName, TopicPartition};
use levada_wire::Element;

use super::Wanted;
use crate::delivery::limits::LANES_MAX;
use crate::delivery::request::{From, OpenError, TopicRequest};
use crate::delivery::shape::{Lane, LaneKind};
use crate::delivery::wider::{FROM_THE_FIRST, Whole, covered};

/// A topic of the request, after the log was asked about it.
pub(super) struct Topic<'r> {
    pub(super) request: &'r TopicRequest,
    /// `None` when it does not exist yet.
    pub(super) partitions: Option<u32>,
}

impl Topic<'_> {
    /// The partitions that may be subscribed to.
    fn all(&self) -> Vec<u32> {
        let count = self.partitions.unwrap_or(self.request.spec.partitions.max(1));
        match &self.request.partitions {
            None => (0..count).collect(),
            Some(some) => some.iter().copied().filter(|p| *p < count).collect(),
        }
    }

    /// The topic as a whole, if that is what is asked for, with so many partitions.
    fn whole(&self, partitions: usize) -> Option<Whole> {
        self.request.partitions.is_none().then(|| Whole {
            topic: self.request.spec.name.clone(),
            partitions: partitions as u32,
            stored: self.request.stored,
        })
    }

    /// See [`covered`].
    fn covered(&self, elements: &[Element], log_id: &str) -> Option<u32> {
        if self.request.partitions.is_some() {
            return None;
        }
        let spec = &self.request.spec;
        covered(&spec.name, elements, spec.partitions.max(1), log_id)
    }

    fn lane(&self, partition: u32, wanted: Wanted) -> Lane {
        let name: &TopicName = &self.request.spec.name;
        let kind = match (self.partitions, wanted) {
            (Some(count), _) if partition < count => LaneKind::Kept,
            (None, _) if partition < self.request.spec.partitions.max(1) => LaneKind::Awaited,
            (
                _,
                Wanted::Cursor {
                    offset, timestamp, ..
                },
            ) => LaneKind::Ghost {
                offset,
                timestamp,
                next: 0,
            },
            (_, Wanted::Start(_)) => LaneKind::Ghost {
                offset: None,
                timestamp: None,
                next: 0,
            },
        };
        Lane {
            of: TopicPartition::new(name.clone(), partition),
            kind,
            origin: Origin::new(name.as_str(), partition, self.request.stored),
        }
    }
}

/// The lanes in the order of the id, and the topics that they are all of.
pub(super) type Assigned = (Vec<(Lane, Wanted)>, Vec<Whole>);

/// Lists the lanes in the order of the id, each once. A partition that is named twice counts as its
/// more exact mention says.
pub(super) fn assign(topics: &[Topic<'_>], from: &From, log_id: &str) -> Result<Assigned, OpenError> {
    match from {
        From::Everywhere(start) => Ok(everywhere(topics, |_, _| Wanted::Start(*start))),
        From::Each { elements, rest } => {
            let named: HashMap<(&str, i64), Wanted> = elements
                .iter()
                .filter_map(|element| match element {
                    Element::Partition(e) => Some(((e.topic.as_str(), e.partition), Wanted::of(e))),
                    Element::Topic(_) => None,
                })
                .collect();
            let covered: HashMap<&TopicName, u32> = topics
                .iter()
                .filter_map(|topic| Some((&topic.request.spec.name, topic.covered(elements, log_id)?)))
                .collect();
            Ok(everywhere(topics, |topic, partition| {
                let name = &topic.request.spec.name;
                let came = covered.get(name).is_some_and(|count| partition >= *count);
                let named = named.get(&(name.as_str(), i64::from(partition))).copied();
                named.unwrap_or(Wanted::Start(if came { FROM_THE_FIRST } else { *rest }))
            }))
        }
        From::Exactly { elements, bare } => exactly(topics, elements, *bare, log_id),
    }
}

fn everywhere(topics: &[Topic<'_>], wanted: impl Fn(&Topic<'_>, u32) -> Wanted) -> Assigned {
    let mut lanes = Vec::new();
    let mut wholes = Vec::new();
    let mut seen = HashSet::new();
    for topic in topics {
        if !seen.insert(&topic.request.spec.name) {
            continue;
        }
        let partitions = topic.all();
        wholes.extend(topic.whole(partitions.len()));
        let mut seen = HashSet::new();
        for partition in partitions {
            if seen.insert(partition) {
                let wanted = wanted(topic, partition);
                lanes.push((topic.lane(partition, wanted), wanted));
            }
        }
    }
    (lanes, wholes)
}

fn exactly(
    topics: &[Topic<'_>],
    elements: &[Element],
    bare: Start,
    log_id: &str,
) -> Result<Assigned, OpenError> {
    let known: HashMap<&str, &Topic<'_>> = topics
        .iter()
        .map(|topic| (topic.request.spec.name.as_str(), topic))
        .collect();
    let mut unavailable: Vec<String> = Vec::new();
    let mut lanes: Vec<(Lane, Wanted)> = Vec::new();
    let mut places: HashMap<TopicPartition, usize> = HashMap::new();
    let mut wholes: Vec<Whole> = Vec::new();
    for element in elements {
        let Some(topic) = known.get(element.topic()) else {
            if !unavailable.iter().any(|name| name == element.topic()) {
                unavailable.push(element.topic().to_owned());
            }
            continue;
        };
        let mentions: Vec<(u32, Option<Wanted>)> = match element {
            Element::Topic(_) => {
                let all = topic.all();
                add_whole(&mut wholes, topic.whole(all.len()));
                all.into_iter().map(|p| (p, None)).collect()
            }
            // Numbers that no partition can have are not even worth an element of the id.
            Element::Partition(e) => u32::try_from(e.partition)
                .map(|p| (p, Some(Wanted::of(e))))
                .into_iter()
                .collect(),
        };
        for (partition, wanted) in mentions {
            let of = TopicPartition::new(topic.request.spec.name.clone(), partition);
            match (places.get(&of), wanted) {
                (None, wanted) => {
                    let wanted = wanted.unwrap_or(Wanted::Start(bare));
                    places.insert(of, lanes.len());
                    lanes.push((topic.lane(partition, wanted), wanted));
                }
                (Some(&place), Some(wanted)) => lanes[place] = (topic.lane(partition, wanted), wanted),
                (Some(_), None) => {}
            }
        }
        if lanes.len() > LANES_MAX {
            return Err(OpenError::TooManyPartitions);
        }
    }
    if unavailable.is_empty() {
        for topic in topics {
            add_what_came(&mut lanes, &mut wholes, topic, elements, log_id);
        }
        return Ok((lanes, wholes));
    }
    let available = topics.iter().map(|topic| topic.request.spec.name.to_string());
    Err(OpenError::TopicNotAvailable {
        unavailable,
        available: available.collect(),
    })
}

fn add_whole(wholes: &mut Vec<Whole>, whole: Option<Whole>) {
    if let Some(whole) = whole
        && wholes.iter().all(|other| other.topic != whole.topic)
    {
        wholes.push(whole);
    }
}

/// The partitions that were added to the topic since the cursor was written that names it whole.
fn add_what_came(
    lanes: &mut Vec<(Lane, Wanted)>,
    wholes: &mut Vec<Whole>,
    topic: &Topic<'_>,
    elements: &[Element],
    log_id: &str,
) {
    let name = &topic.request.spec.name;
    let Some(count) = topic.covered(elements, log_id) else {
        return;
    };
    let of_topic = |(lane, _): &(Lane, Wanted)| lane.of.topic == *name;
    let ghosts = |(lane, _): &&(Lane, Wanted)| matches!(lane.kind, LaneKind::Ghost { .. });
    if lanes
        .iter()
        .filter(|lane| of_topic(lane))
        .any(|lane| ghosts(&lane))
    {
        return;
    }
    let now = topic.partitions.unwrap_or(count).max(count);
    let wanted = Wanted::Start(FROM_THE_FIRST);
    let last = lanes.iter().rposition(of_topic);
    let at = last.map_or(lanes.len(), |last| last + 1);
    let came = (count..now).map(|partition| (topic.lane(partition, wanted), wanted));
    lanes.splice(at..at, came);
    add_whole(wholes, topic.whole(now as usize));
}

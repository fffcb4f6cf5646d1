//! From a request to a concrete offset in every partition.
//!
//! Trusts nothing in a cursor. Promises that what the request asks for is either taken exactly or
//! answered with a [`Gap`], never passed over in silence, and that "latest" is a number when the
//! response begins, so that nothing which comes later can be lost.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use levada_event::{Bounds, Offset, Start, Timestamp, TopicName};
use levada_log::{Log, LogError, Retention};
use levada_wire::cursor::{CURSOR_BYTES_MAX, Exact, First, PartitionElement};
use levada_wire::{Gap, GapReason};

use super::limits::{LANES_MAX, LOOKUPS_AT_ONCE};
use super::request::{Api, OpenError, Request, TopicRequest};
use super::ring::Mark;
use super::shape::{Lane, LaneKind, Shape};

mod lanes;

use lanes::{Topic, assign};

/// A request with every start resolved.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) shape: Arc<Shape>,
    pub(crate) places: Vec<Place>,
    pub(crate) gaps: Vec<Gap>,
}

/// Where a session starts in one lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// What the id says before anything was sent.
    pub(crate) first: First,
    pub(crate) mark: Mark,
    /// Where the partition ended when it was looked up.
    pub(crate) end: Offset,
}

/// What is wanted in one partition.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Start(Start),
    /// What a cursor says, in order of preference: exact, offset, timestamp.
    Cursor {
        at: Option<Exact>,
        offset: Option<i64>,
        timestamp: Option<i64>,
    },
}

impl Wanted {
    fn of(element: &PartitionElement) -> Self {
        Self::Cursor {
            at: element.at,
            offset: element.offset,
            timestamp: element.timestamp,
        }
    }
}

/// Where the sessions of a request start. `passes` damage: a search by time that meets it starts early, and a
/// partition none of which can be read is silent.
pub(crate) async fn plan(log: &Arc<dyn Log>, request: Request, passes: bool) -> Result<Plan, OpenError> {
    let topics = look_up(log, &request.topics).await?;
    let (wanted, wholes) = assign(&topics, &request.from, &log.facts().id)?;
    if wanted.len() > LANES_MAX {
        return Err(OpenError::TooManyPartitions);
    }
    if request.api == Api::EventStreams && id_bytes(wanted.iter().map(|(lane, _)| lane)) > CURSOR_BYTES_MAX {
        return Err(OpenError::IdTooLong);
    }
    let kept: HashMap<&TopicName, Retention> = topics
        .iter()
        .map(|topic| (&topic.request.spec.name, topic.request.spec.retention))
        .collect();
    let horizon = |lane: &Lane| Horizon::of(kept.get(&lane.of.topic).copied(), request.now);
    let lookups = wanted
        .iter()
        .map(|(lane, wanted)| place(log, lane, *wanted, (horizon(lane), passes)).boxed());
    let places = a_few_at_once(lookups.collect()).await?;
    let lanes = wanted.into_iter().zip(&places);
    let mut plan = Plan {
        shape: Arc::new(Shape {
            lanes: lanes
                .map(|((lane, _), placed)| Lane {
                    kind: placed.kind,
                    ..lane
                })
                .collect(),
            wholes,
            api: request.api,
            format: request.format,
            selection: request.selection,
            drop_canaries: request.drop_canaries,
        }),
        places: Vec::with_capacity(places.len()),
        gaps: Vec::new(),
    };
    for placed in places {
        plan.places.push(placed.place);
        plan.gaps.extend(placed.gaps);
    }
    Ok(plan)
}

/// How long the ids of these lanes may become, with the largest numbers.
fn id_bytes<'l>(lanes: impl Iterator<Item = &'l Lane>) -> usize {
    const ELEMENT: &str = r#"{"topic":"","partition":4294967295,"timestamp":-9223372036854775808,"at":"00000000:18446744073709551615"},"#;
    lanes
        .map(|lane| lane.of.topic.as_str().len() + ELEMENT.len())
        .sum()
}

async fn look_up<'r>(log: &Arc<dyn Log>, requests: &'r [TopicRequest]) -> Result<Vec<Topic<'r>>, LogError> {
    let mut seen = HashSet::new();
    let distinct = requests.iter().filter(|request| seen.insert(&request.spec.name));
    a_few_at_once(
        distinct
            .map(|request| look_up_one(log, request).boxed())
            .collect(),
    )
    .await
}

async fn look_up_one<'r>(log: &Arc<dyn Log>, request: &'r TopicRequest) -> Result<Topic<'r>, LogError> {
    let partitions = match log.existing(&request.spec).await {
        Ok(info) => Some(info.partitions),
        Err(LogError::UnknownTopic(_)) => None,
        Err(error) => return Err(error),
    };
    Ok(Topic { request, partitions })
}

/// The answers in the order of the questions.
async fn a_few_at_once<T>(questions: Vec<BoxFuture<'_, Result<T, LogError>>>) -> Result<Vec<T>, LogError> {
    stream::iter(questions)
        .buffered(LOOKUPS_AT_ONCE)
        .try_collect()
        .await
}

/// How far the clocks of a client and the server may be apart. Who asks for just as much as is kept, by his
/// own clock, is not told of events that were never promised to him.
const CLOCKS_APART: Duration = Duration::from_secs(60);

/// From when on nothing that was stored can have been removed, but for [`CLOCKS_APART`].
#[derive(Debug, Clone, Copy)]
struct Horizon(Option<Timestamp>);

impl Horizon {
    /// Of a topic whose age alone decides. Where its size does too, or what was declared removes nothing,
    /// any removed record may be a young one.
    fn of(retention: Option<Retention>, now: Timestamp) -> Self {
        let age = retention
            .filter(|retention| retention.bytes.is_none())
            .and_then(|retention| retention.age);
        let back =
            |age: Duration| i64::try_from(age.saturating_add(CLOCKS_APART).as_millis()).unwrap_or(i64::MAX);
        Self(age.map(|age| now.plus_millis(-back(age))))
    }

    /// Whether records from `since` on may be gone. The beginning of 1970 and all before it ask for
    /// whatever is kept, so that nobody misses anything.
    fn hides(self, since: Timestamp) -> bool {
        since.as_millis() > 0 && self.0.is_none_or(|horizon| since < horizon)
    }
}

async fn place(
    log: &Arc<dyn Log>,
    lane: &Lane,
    wanted: Wanted,
    (horizon, passes): (Horizon, bool),
) -> Result<Placed, LogError> {
    let bounds = match lane.kind {
        LaneKind::Kept => match log.bounds(&lane.of).await {
            Err(LogError::Corrupt { .. }) if passes => return Ok(Placed::unreadable(log, lane, wanted)),
            bounds => bounds?,
        },
        // Nothing to look up. Of a topic that appears later all is new, so it starts at the beginning.
        LaneKind::Awaited | LaneKind::Ghost { .. } => return Ok(Placed::unread(lane.kind)),
    };
    let finder = Finder {
        log,
        lane,
        bounds,
        horizon,
        passes,
    };
    let start = match wanted {
        Wanted::Start(start) => start,
        Wanted::Cursor {
            at,
            offset,
            timestamp,
        } => {
            let (place, gaps) = finder.cursor(at, offset, timestamp).await?;
            let kind = lane.kind;
            return Ok(Placed { place, gaps, kind });
        }
    };
    let (place, gap) = match start {
        Start::Latest => (finder.latest(), None),
        Start::Earliest => (finder.at(bounds.earliest, First::Given(-2), None), None),
        Start::At(offset) => finder.exact(offset, First::Given(signed(offset)), None),
        Start::Since(time) => finder.since(time).await?,
    };
    Ok(Placed {
        place,
        gaps: gap.into_iter().collect(),
        kind: lane.kind,
    })
}

/// A lane's place, and what is said of it.
struct Placed {
    place: Place,
    gaps: Vec<Gap>,
    /// As it was looked up, or as it turned out to be.
    kind: LaneKind,
}

impl Placed {
    fn unread(kind: LaneKind) -> Self {
        Self {
            place: Place::unread(kind),
            gaps: Vec::new(),
            kind,
        }
    }

    /// Of a partition none of which can be read: it is silent, with a gap, and the id says of it what the
    /// client said, so that nothing is passed over when it can be read again: it then goes on at the
    /// client's offset, or where there was none at the first record.
    fn unreadable(log: &Arc<dyn Log>, lane: &Lane, wanted: Wanted) -> Self {
        let (at, offset, timestamp) = match wanted {
            Wanted::Start(Start::Latest) => (None, None, None),
            Wanted::Start(Start::Earliest) => (None, Some(-2), None),
            Wanted::Start(Start::At(offset)) => (None, Some(signed(offset)), None),
            Wanted::Start(Start::Since(time)) => (None, None, Some(time.as_millis())),
            Wanted::Cursor {
                at,
                offset,
                timestamp,
            } => (at.filter(|at| at.is_of(&log.facts().id)), offset, timestamp),
        };
        let given = offset.and_then(|offset| u64::try_from(offset).ok());
        let asked = at.map(|at| at.next).or(given);
        let next = asked.unwrap_or(0);
        tracing::warn!(partition = %lane.of, "a reader is led past a partition that cannot be read");
        let kind = LaneKind::Ghost {
            offset,
            timestamp,
            next,
        };
        Self {
            gaps: vec![gap(lane, GapReason::Damaged, asked, next)],
            ..Self::unread(kind)
        }
    }
}

impl Place {
    /// The place in a lane of which nothing is known yet, or ever.
    pub(crate) fn unread(kind: LaneKind) -> Self {
        let (first, sent, next) = match kind {
            LaneKind::Kept | LaneKind::Awaited => (First::Latest, None, 0),
            LaneKind::Ghost {
                offset: Some(offset),
                next,
                ..
            } => (First::Given(offset), None, next),
            LaneKind::Ghost { timestamp, next, .. } => (First::Latest, timestamp.map(told_by), next),
        };
        Self {
            first,
            mark: Mark { next, sent },
            end: 0,
        }
    }
}

/// Looks for a place in a partition that is kept.
struct Finder<'a> {
    log: &'a Arc<dyn Log>,
    lane: &'a Lane,
    bounds: Bounds,
    horizon: Horizon,
    /// Whether damage is passed.
    passes: bool,
}

impl Finder<'_> {
    fn at(&self, next: Offset, first: First, sent: Option<Timestamp>) -> Place {
        Place {
            first,
            mark: Mark { next, sent },
            end: self.bounds.next,
        }
    }

    fn latest(&self) -> Place {
        self.at(self.bounds.next, First::Latest, None)
    }

    /// At `offset`, or as near as what is kept allows.
    fn exact(&self, offset: Offset, first: First, sent: Option<Timestamp>) -> (Place, Option<Gap>) {
        let Bounds { earliest, next } = self.bounds;
        if offset < earliest {
            let gap = self.gap(GapReason::Expired, Some(offset), earliest);
            (self.at(earliest, first, sent), Some(gap))
        } else if offset > next {
            let gap = self.gap(GapReason::BeyondEnd, Some(offset), next);
            (self.at(next, first, sent), Some(gap))
        } else {
            (self.at(offset, first, sent), None)
        }
    }

    /// At the first record at or after `time`. The end was looked up before, so that a record which
    /// comes between the two look-ups is not lost when none was found.
    ///
    /// A gap where records of that time may have been removed: retention has removed some, the time lies
    /// behind what it keeps for sure, and nothing older than the time is left.
    async fn since(&self, time: Timestamp) -> Result<(Place, Option<Gap>), LogError> {
        let found = match self.log.offset_at(&self.lane.of, time).await {
            // What is asked for may lie on either side of it.
            Err(LogError::Corrupt { .. }) if self.passes => Some(self.bounds.earliest),
            found => found?,
        };
        let next = found.unwrap_or(self.bounds.next);
        let place = self.at(next, First::Found(found), None);
        if !self.horizon.hides(time) {
            return Ok((place, None));
        }
        // Looked up behind the seek: retention may have gone on meanwhile.
        let earliest = self.log.bounds(&self.lane.of).await?.earliest;
        let gone = earliest > 0 && next <= earliest;
        Ok((place, gone.then(|| self.gap(GapReason::Expired, None, next))))
    }

    async fn cursor(
        &self,
        at: Option<Exact>,
        offset: Option<i64>,
        timestamp: Option<i64>,
    ) -> Result<(Place, Vec<Gap>), LogError> {
        let log_id = self.log.facts().id.as_str();
        // Until something new is sent, the id repeats what the client said.
        let first = offset.map_or(First::Latest, First::Given);
        let sent = match offset {
            Some(_) => None,
            None => timestamp.map(told_by),
        };
        if let Some(exact) = at.filter(|exact| exact.is_of(log_id)) {
            let (place, gap) = self.exact(exact.next, first, sent);
            return Ok((place, gap.into_iter().collect()));
        }
        let (place, gap) = match (offset, timestamp) {
            (Some(-1), _) => (self.latest(), None),
            (Some(offset), _) => match u64::try_from(offset) {
                Ok(offset) => self.exact(offset, first, None),
                // -2, and the other negative numbers, which mean nothing here: nothing is left out.
                Err(_) => (self.at(self.bounds.earliest, first, None), None),
            },
            (None, Some(millis)) => self.since(Timestamp::from_millis(millis)).await?,
            (None, None) => (self.latest(), None),
        };
        // An exact position in another log: say that this one is only about the same.
        let foreign = at.map(|exact| self.gap(GapReason::ForeignLog, Some(exact.next), place.mark.next));
        Ok((place, foreign.into_iter().chain(gap).collect()))
    }

    fn gap(&self, reason: GapReason, asked: Option<Offset>, resumed: Offset) -> Gap {
        gap(self.lane, reason, asked, resumed)
    }
}

fn gap(lane: &Lane, reason: GapReason, asked: Option<Offset>, resumed: Offset) -> Gap {
    Gap {
        topic: lane.of.topic.to_string(),
        partition: lane.of.partition,
        reason,
        asked,
        resumed,
    }
}

/// The record's timestamp of which the id says `millis`: ids carry the timestamp plus one.
fn told_by(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis.saturating_sub(1))
}

fn signed(offset: Offset) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

//! Turns records into the bytes that clients read: frames with ids, or lines.
//!
//! One renderer serves one reader of the log: a channel for all of its subscribers, or one session in
//! the past. It keeps the id up to date, so that every frame carries the cursor behind it.

use std::sync::{Arc, LazyLock};

use levada_event::filter::Filter;
use levada_event::limits::LINE_BYTES_MAX;
use levada_event::select::{Selection, SelectionSpec, Separators, Verdict};
use levada_event::splice::Dialect;
use levada_event::{Flags, Offset, RecordRef, Timestamp};
use levada_wire::{Gap, GapReason, ndjson, sse};

use super::failure::Failure;
use super::id::Id;
use super::plan::Place;
use super::request::{Api, Format};
use super::ring::{Mark, Marks};
use super::selected::Chosen;
use super::shape::Shape;
use super::stats::DeliveryStats;

/// Room for what a frame has besides id and value: its field names, and the fields that delivery adds.
const ADDED_BYTES: usize = 384;

/// What is kept of the buffer for one event's text: rare giants should not stay.
const TEXT_BYTES_KEPT: usize = 1024 * 1024;

/// Renders the records of one reader of the log.
#[derive(Debug)]
pub(crate) struct Renderer {
    shape: Arc<Shape>,
    stats: Arc<DeliveryStats>,
    id: Id,
    marks: Vec<Mark>,
    /// The marks as shared last, while they are still true.
    shared: Option<Marks>,
    out: Vec<u8>,
    /// Events in `out`.
    events: u32,
    /// Records filtered out and not counted yet.
    filtered: u64,
    /// Whether records were passed over since the id was last written.
    untold: bool,
    /// The text of one event, where it is not written to `out` directly.
    text: Vec<u8>,
}

/// Decides which records of foreign producers are canaries; those of our own intake carry a flag.
static NO_CANARIES: LazyLock<Option<Selection>> = LazyLock::new(|| {
    let filter = Filter::parse_query("!meta.domain:canary").ok()?;
    Selection::new(SelectionSpec {
        filter: Some(filter),
        projection: None,
        dialect: Dialect::Bare,
        separators: Separators::Raw,
        redaction: None,
    })
    .ok()
});

impl Renderer {
    pub(crate) fn new(shape: Arc<Shape>, stats: Arc<DeliveryStats>, log_id: &str, places: &[Place]) -> Self {
        let mut id = Id::new(shape.api, log_id);
        for (lane, place) in shape.lanes.iter().zip(places) {
            let index = id.push(
                lane.of.topic.as_str(),
                lane.of.partition,
                place.first,
                place.mark.next,
            );
            if let Some(timestamp) = place.mark.sent {
                id.sent(index, timestamp, place.mark.next);
            }
        }
        Self {
            marks: places.iter().map(|place| place.mark).collect(),
            shape,
            stats,
            id,
            shared: None,
            out: Vec::new(),
            events: 0,
            filtered: 0,
            untold: false,
            text: Vec::new(),
        }
    }

    pub(crate) fn mark(&self, lane: usize) -> Mark {
        self.marks[lane]
    }

    /// Where the reader is, to be shared.
    pub(crate) fn marks(&mut self) -> Marks {
        self.shared
            .get_or_insert_with(|| self.marks.as_slice().into())
            .clone()
    }

    /// Bytes rendered and not yet taken.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// Makes room for about so many bytes of frames.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    /// Takes `room` for what is rendered next, where there is none since the last was taken.
    pub(crate) fn render_into(&mut self, room: impl FnOnce() -> Vec<u8>) {
        if self.out.capacity() == 0 {
            self.out = room();
        }
    }

    /// About how many bytes the frame of a record takes that has a value of this length.
    pub(crate) fn frame_bytes(&self, value_len: usize) -> usize {
        value_len + self.id.text_len() + ADDED_BYTES
    }

    /// Takes what is rendered: the bytes and the number of events in them.
    pub(crate) fn take(&mut self) -> (Vec<u8>, u32) {
        self.stats.rendered.add(u64::from(self.events));
        (std::mem::take(&mut self.out), std::mem::take(&mut self.events))
    }

    /// Whether records were passed over that no id has told of.
    pub(crate) fn has_untold(&self) -> bool {
        self.untold
    }

    /// Renders one record, or notes why not; as `chosen` says, where its text was selected before.
    pub(crate) fn record(&mut self, lane: usize, record: RecordRef<'_>, chosen: Option<Chosen<'_>>) {
        let verdict = self.try_record(lane, record, chosen);
        let next = record.offset + 1;
        let mark = &mut self.marks[lane];
        mark.next = next;
        match verdict {
            Verdict::Sent => {
                mark.sent = Some(record.timestamp);
                self.events += 1;
                self.untold = false;
            }
            Verdict::FilteredOut => {
                self.untold = true;
                self.filtered += 1;
            }
            Verdict::Unreadable => {
                self.untold = true;
                self.stats.skipped.add(1);
                tracing::debug!(partition = %self.shape.lanes[lane].of, offset = record.offset, "not an event, left out");
            }
        }
        self.shared = None;
    }

    fn try_record(&mut self, lane: usize, record: RecordRef<'_>, chosen: Option<Chosen<'_>>) -> Verdict {
        let shape = &self.shape;
        let origin = &shape.lanes[lane].origin;
        if shape.drop_canaries && is_canary(record, origin) {
            return Verdict::FilteredOut;
        }
        // What is left out should not cost an id.
        let text = match chosen {
            Some((verdict, text)) => Some((verdict, text)),
            None if shape.format == Format::Ndjson || shape.selection.is_plain() => None,
            None => {
                self.text.clear();
                let verdict = shape.selection.apply(record, origin, &mut self.text);
                Some((verdict, &self.text[..]))
            }
        };
        if let Some((verdict, _)) = text
            && verdict != Verdict::Sent
        {
            return verdict;
        }
        let start = self.out.len();
        if shape.format == Format::Sse {
            self.id.sent(lane, record.timestamp, record.offset + 1);
            self.out.extend_from_slice(sse::MESSAGE);
            self.out.extend_from_slice(self.id.as_bytes());
            self.out.extend_from_slice(sse::DATA);
        }
        let line_start = match shape.format {
            Format::Sse => self.out.len() - sse::DATA.len(),
            Format::Ndjson => start,
        };
        match text {
            Some((_, text)) => self.out.extend_from_slice(text),
            None => {
                let verdict = shape.selection.apply(record, origin, &mut self.out);
                if verdict != Verdict::Sent {
                    self.out.truncate(start);
                    return verdict;
                }
            }
        }
        if self.text.capacity() > TEXT_BYTES_KEPT {
            self.text = Vec::new();
        }
        // Our own intake takes no event so long; other producers of a topic may write what they like.
        let is_line = shape.api == Api::Realtime;
        if is_line && self.out.len() - line_start > LINE_BYTES_MAX {
            self.out.truncate(start);
            let of = &shape.lanes[lane].of;
            tracing::warn!(partition = %of, offset = record.offset, "an event is longer than the 20 MiB that clients read, left out");
            return Verdict::Unreadable;
        }
        self.out.extend_from_slice(match shape.format {
            Format::Sse => sse::END,
            Format::Ndjson => b"\n",
        });
        Verdict::Sent
    }

    /// Notes that everything below `next` is done with.
    pub(crate) fn passed(&mut self, lane: usize, next: Offset) {
        if self.filtered > 0 {
            self.stats.filtered.add(std::mem::take(&mut self.filtered));
        }
        let mark = &mut self.marks[lane];
        if mark.next != next {
            mark.next = next;
            self.shared = None;
        }
        if self.shape.format == Format::Sse {
            self.id.passed(lane, next);
        }
    }

    /// Takes over when the last record of a lane was sent, if nothing was sent from it here.
    pub(crate) fn learn(&mut self, lane: usize, sent: Timestamp) {
        let mark = &mut self.marks[lane];
        if mark.sent.is_none() {
            mark.sent = Some(sent);
            self.shared = None;
            self.id.sent(lane, sent, mark.next);
        }
    }

    /// Says that records are missing here. NDJSON has no place for that: the response ends instead, except
    /// where records are damaged, behind which no end would ever lead; metric and log then have to do.
    pub(crate) fn gap(&mut self, gap: &Gap) -> Result<(), Failure> {
        self.stats.gaps.add(1);
        match self.shape.format {
            Format::Sse => {
                sse::comment(&mut self.out, &gap.comment());
                Ok(())
            }
            Format::Ndjson if gap.reason == GapReason::Damaged => Ok(()),
            Format::Ndjson => Err(Failure::gap(gap)),
        }
    }

    /// Says that the response is alive: with the id, if it has moved without an event.
    pub(crate) fn beat(&mut self) -> bool {
        match self.shape.format {
            Format::Sse if self.untold => self.id_only(),
            Format::Sse => self.out.extend_from_slice(sse::HEARTBEAT),
            Format::Ndjson => {
                self.out.extend_from_slice(ndjson::HEARTBEAT);
                return true;
            }
        }
        false
    }

    /// Tells the reader's position without an event.
    pub(crate) fn id_only(&mut self) {
        if self.shape.format == Format::Sse {
            self.out.extend_from_slice(b"id: ");
            self.out.extend_from_slice(self.id.as_bytes());
            self.out.extend_from_slice(sse::END);
            self.untold = false;
        }
    }

    /// Ends the response with an error. `false` when the format cannot say it and the response has to
    /// break off.
    pub(crate) fn failure(&mut self, failure: &Failure) -> bool {
        let json = failure.stream_error().to_json();
        match (self.shape.format, self.shape.api) {
            (Format::Sse, _) => {
                // The id is JSON on one line, so that it cannot be refused.
                let _ = sse::event(&mut self.out, "error", Some(self.id.as_bytes()), &json);
                true
            }
            (Format::Ndjson, Api::EventStreams) => {
                ndjson::line(&mut self.out, &json);
                true
            }
            (Format::Ndjson, Api::Realtime) => false,
        }
    }
}

fn is_canary(record: RecordRef<'_>, origin: &levada_event::splice::Origin) -> bool {
    if record.flags.contains(Flags::CHECKED) {
        return record.flags.contains(Flags::CANARY);
    }
    NO_CANARIES
        .as_ref()
        .is_some_and(|others| others.test(record, origin) == Verdict::FilteredOut)
}

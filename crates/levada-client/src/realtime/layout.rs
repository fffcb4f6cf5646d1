//! How a stream is laid out: its partitions, and where its events say from which one they are. The server
//! tells (`…/positions`); one that has no such route has streams like the original's articles.

use std::sync::Arc;

use bytes::Bytes;
use levada_event::Timestamp;
use serde::Deserialize;

use super::RealtimeEvent;
use super::query::PARTS;

/// Partitions of the original's articles stream, and of one of which a server does not tell.
pub(super) const PARTITIONS: u32 = 50;

/// How far the clocks of the servers that stamp one partition may be apart, in milliseconds.
const CLOCKS_APART: i64 = 60_000;

/// The object of an event that has its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlaceIn {
    Event,
    Meta,
}

/// How a stream is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) partitions: u32,
    pub(super) place: PlaceIn,
}

impl Layout {
    /// That of the original's articles.
    pub(super) const ARTICLES: Self = Self {
        partitions: PARTITIONS,
        place: PlaceIn::Event,
    };

    /// The part that a partition is in.
    pub(super) fn part(self, partition: u32) -> u8 {
        let part = u64::from(partition) * u64::from(PARTS) / u64::from(self.partitions.max(1));
        part as u8
    }

    /// Reads the place of an event, in this log, from its text.
    pub(super) fn event(self, data: Bytes, log: Option<Arc<str>>) -> Result<RealtimeEvent, String> {
        let read = match self.place {
            PlaceIn::Event => serde_json::from_slice::<InEvent<'_>>(&data).map(|line| line.event),
            PlaceIn::Meta => serde_json::from_slice::<InMeta<'_>>(&data).map(|line| line.meta),
        };
        let place = read.map_err(|error| {
            let object = match self.place {
                PlaceIn::Event => "event",
                PlaceIn::Meta => "meta",
            };
            format!("a line has no {object}.partition and {object}.offset: {error}")
        })?;
        let published = place.date_published.or(place.dt);
        Ok(RealtimeEvent {
            partition: place.partition,
            offset: place.offset,
            published: published.and_then(Timestamp::parse_iso),
            data,
            log,
        })
    }
}

#[derive(Deserialize)]
struct InEvent<'l> {
    #[serde(borrow)]
    event: Place<'l>,
}

#[derive(Deserialize)]
struct InMeta<'l> {
    #[serde(borrow)]
    meta: Place<'l>,
}

#[derive(Deserialize)]
struct Place<'l> {
    partition: u32,
    offset: u64,
    #[serde(borrow)]
    date_published: Option<&'l str>,
    #[serde(borrow)]
    dt: Option<&'l str>,
}

/// The answer of `…/positions`, as far as it matters here.
#[derive(Deserialize)]
pub(super) struct Positions {
    /// The id of the log.
    pub(super) log: Option<String>,
    splice: Option<String>,
    pub(super) partitions: Vec<Row>,
}

#[derive(Deserialize)]
pub(super) struct Row {
    topic: String,
    pub(super) partition: u32,
    /// The offset that the next event gets.
    next: Option<u64>,
    /// The time of the last event that is kept; absent where none is.
    latest_dt: Option<String>,
}

impl Row {
    /// The offset from which reading from `since` on (or from now on) starts, where it is known: behind the
    /// last event if that is older. Where times are the producers' own (`meta.dt`), which come in any order,
    /// only a partition that never had an event is known; and where all events have expired, the server must
    /// be asked by time, so that it can tell.
    pub(super) fn start(&self, since: Option<Timestamp>, place: PlaceIn) -> Option<u64> {
        let next = self.next?;
        let Some(since) = since else { return Some(next) };
        let latest = self.latest_dt.as_deref().and_then(Timestamp::parse_iso);
        let is_older = latest.is_some_and(|latest| latest.plus_millis(CLOCKS_APART) < since);
        (next == 0 || (place == PlaceIn::Event && is_older)).then_some(next)
    }
}

impl Positions {
    /// The layout; of a stream whose topic is still to come, with as many partitions as usual.
    ///
    /// # Errors
    /// The stream has several topics: what its positions would be, in words.
    pub(super) fn layout(&self) -> Result<Layout, String> {
        let place = match self.splice.as_deref() {
            Some("event") => PlaceIn::Event,
            _ => PlaceIn::Meta,
        };
        let Some(first) = self.partitions.first() else {
            return Ok(Layout {
                partitions: PARTITIONS,
                place,
            });
        };
        if let Some(other) = self.partitions.iter().find(|row| row.topic != first.topic) {
            return Err(format!(
                "the stream has several topics ({}, {}, …), each with offsets of its own; read it without parts and connections",
                first.topic, other.topic
            ));
        }
        let last = self.partitions.iter().map(|row| row.partition).max();
        Ok(Layout {
            partitions: last.unwrap_or(0).saturating_add(1),
            place,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_lie_in_the_parts_that_the_server_puts_them_in() {
        let part = |partitions, partition| {
            Layout {
                partitions,
                ..Layout::ARTICLES
            }
            .part(partition)
        };
        assert_eq!(
            [part(50, 0), part(50, 4), part(50, 5), part(50, 49)],
            [0, 0, 1, 9]
        );
        assert_eq!([part(3, 0), part(3, 1), part(3, 2)], [0, 3, 6]);
        assert_eq!([part(1, 0), part(64, 63)], [0, 9]);
    }

    #[test]
    fn places_are_read_from_where_the_stream_has_them() {
        let meta = Layout {
            partitions: 4,
            place: PlaceIn::Meta,
        };
        let text = r#"{"event":"move","meta":{"partition":2,"offset":7,"dt":"2026-01-01T00:00:00Z"}}"#;
        let read = meta.event(Bytes::from_static(text.as_bytes()), None).unwrap();
        assert_eq!(
            (read.partition, read.offset, read.published.is_some()),
            (2, 7, true)
        );
        let error = Layout::ARTICLES
            .event(Bytes::from_static(b"{}"), None)
            .unwrap_err();
        assert!(error.contains("event.partition"), "{error}");
    }
}

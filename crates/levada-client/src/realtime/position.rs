//! Where a reader of the Realtime API is, as text that can be kept.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use levada_event::Timestamp;
use serde::{Deserialize, Serialize};

/// The next offset of each partition from which an event was processed; all others go on from a
/// time. As text it is a JSON object, `{"log":"00ab12ef","offsets":{"0":46},"since":"…"}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RealtimePosition {
    /// The id of the log that the offsets belong to, where the server tells it.
    log: Option<String>,
    offsets: BTreeMap<u32, u64>,
    since: Option<Timestamp>,
}

/// The text is no position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no position of the Realtime API, which reads {{\"offsets\":{{\"0\":46}},\"since\":\"…\"}}: {0}"
)]
pub struct PositionError(String);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    log: Option<String>,
    offsets: BTreeMap<u32, u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    since: Option<String>,
}

impl RealtimePosition {
    /// The start of everything that was stored at or after a time.
    pub fn since(time: Timestamp) -> Self {
        Self {
            since: Some(time),
            ..Self::default()
        }
    }

    /// The id of the log that the offsets belong to; `None` where no server told it.
    pub fn log(&self) -> Option<&str> {
        self.log.as_deref()
    }

    /// The next offset of each partition.
    pub fn offsets(&self) -> &BTreeMap<u32, u64> {
        &self.offsets
    }

    /// From when on partitions without an offset are read; `None` for from now on.
    pub fn start(&self) -> Option<Timestamp> {
        self.since
    }

    /// Moves behind an event; never backwards.
    pub(crate) fn advance(&mut self, partition: u32, offset: u64) {
        let next = self.offsets.entry(partition).or_default();
        *next = (*next).max(offset.saturating_add(1));
    }

    /// Moves to `next`, before which nothing is left to process; never backwards.
    pub(crate) fn pass(&mut self, partition: u32, next: u64) {
        let known = self.offsets.entry(partition).or_default();
        *known = (*known).max(next);
    }

    /// Remembers from where a partition is read that no event has come from.
    pub(crate) fn begin_at(&mut self, partition: u32, next: u64) {
        self.offsets.entry(partition).or_insert(next);
    }

    /// Learns of which log the server is. Offsets of another log mean nothing there: they are dropped, so that
    /// everything is read again from the time at which reading began (from the earliest event where that is
    /// not known), and the id of that other log is returned.
    pub(crate) fn meet(&mut self, log: &str) -> Option<String> {
        match self.log.replace(log.to_owned()) {
            Some(other) if other != log && !self.offsets.is_empty() => {
                self.offsets.clear();
                self.since = self.since.or(Some(Timestamp::from_millis(0)));
                Some(other)
            }
            _ => None,
        }
    }

    /// Whether offsets of this log mean something here: nobody has told another.
    pub(crate) fn is_of(&self, log: Option<&str>) -> bool {
        match (self.log(), log) {
            (Some(own), Some(log)) => own == log,
            _ => true,
        }
    }

    /// Forgets the offsets of some partitions.
    pub(crate) fn forget(&mut self, partitions: impl Fn(u32) -> bool) {
        self.offsets.retain(|partition, _| !partitions(*partition));
    }

    /// Remembers when reading began, so that partitions without an event keep their place.
    pub(crate) fn begin(&mut self, served_at: Timestamp) {
        self.since = self.since.or(Some(served_at));
    }
}

impl fmt::Display for RealtimePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Text {
            log: self.log.clone(),
            offsets: self.offsets.clone(),
            since: self.since.map(|time| time.to_string()),
        };
        f.write_str(&serde_json::to_string(&text).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for RealtimePosition {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let text: Text = serde_json::from_str(text).map_err(|error| PositionError(error.to_string()))?;
        let since = match text.since {
            None => None,
            Some(since) => Some(
                Timestamp::parse_iso(&since)
                    .ok_or_else(|| PositionError(format!("{since:?} names no moment")))?,
            ),
        };
        Ok(Self {
            log: text.log,
            offsets: text.offsets,
            since,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_of_another_log_are_dropped_and_the_time_is_kept() {
        let began = Timestamp::from_millis(1_500_000_000_000);
        let mut position = RealtimePosition::since(began);
        position.advance(3, 9);
        assert_eq!(position.meet("a"), None);
        assert_eq!(position.meet("a"), None);
        assert_eq!(
            (position.meet("b"), position.log()),
            (Some("a".into()), Some("b"))
        );
        assert!(position.offsets().is_empty() && position.start() == Some(began));
        // Without offsets there is nothing to tell.
        assert_eq!(position.meet("c"), None);
        let mut bare: RealtimePosition = r#"{"log":"a","offsets":{"1":5}}"#.parse().unwrap();
        assert_eq!(bare.meet("b"), Some("a".into()));
        assert_eq!(bare.start(), Some(Timestamp::from_millis(0)));
    }

    #[test]
    fn positions_survive_as_text_and_never_go_back() {
        let mut position = RealtimePosition::since(Timestamp::from_millis(1_500_000_000_123));
        position.advance(7, 41);
        position.advance(7, 3);
        position.advance(0, 0);
        position.begin(Timestamp::from_millis(9));
        let text = position.to_string();
        assert_eq!(
            text,
            r#"{"offsets":{"0":1,"7":42},"since":"2017-07-14T02:40:00.123Z"}"#
        );
        assert_eq!(text.parse(), Ok(position.clone()));
        assert_eq!(position.meet("00ab12ef"), None);
        let text = position.to_string();
        assert!(text.starts_with(r#"{"log":"00ab12ef","offsets":{"0""#), "{text}");
        assert_eq!(text.parse(), Ok(position));
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"offsets":{"a":1}}"#,
            r#"{"offsets":{},"since":"x"}"#,
        ] {
            assert!(bad.parse::<RealtimePosition>().is_err(), "{bad}");
        }
    }
}

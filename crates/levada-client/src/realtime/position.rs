//! Where a reader of the Realtime API is, as text that can be kept.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use levada_event::Timestamp;
use serde::{Deserialize, Serialize};

/// The next offset of each partition from which an event was processed; all others go on from a
/// time. As text it is a JSON object, `{"offsets":{"0":46},"since":"…"}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RealtimePosition {
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
    offsets: BTreeMap<u32, u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    since: Option<String>,
}

impl RealtimePosition {
    /// The start of everything that was stored at or after a time.
    pub fn since(time: Timestamp) -> Self {
        Self {
            offsets: BTreeMap::new(),
            since: Some(time),
        }
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

    /// Remembers from where a partition is read that no event has come from.
    pub(crate) fn begin_at(&mut self, partition: u32, next: u64) {
        self.offsets.entry(partition).or_insert(next);
    }

    /// Remembers when reading began, so that partitions without an event keep their place.
    pub(crate) fn begin(&mut self, served_at: Timestamp) {
        self.since = self.since.or(Some(served_at));
    }
}

impl fmt::Display for RealtimePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Text {
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
            offsets: text.offsets,
            since,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

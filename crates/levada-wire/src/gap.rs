//! Gap notices: how a subscription says that the asked position could not be taken exactly.
//!
//! Three carriers, one content: the response header [`paths::GAP`](crate::paths::GAP), an SSE comment
//! (`: gap {…}`), and what the client library hands to its caller. Clients that know nothing of it see
//! a comment, which every SSE parser skips.

use serde::{Deserialize, Serialize};

/// Why the position could not be taken as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// Retention removed records behind the asked position: what lay between is lost to this reader.
    Expired,
    /// The asked position lies behind the end of the partition: it belongs to other data.
    BeyondEnd,
    /// The cursor's exact position belongs to another log, so the reader was placed by time: records
    /// of the same moment may be repeated.
    ForeignLog,
    /// Stored records are damaged and were stepped over.
    Damaged,
}

/// A position that could not be taken as asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The topic.
    pub topic: String,
    /// Its partition.
    pub partition: u32,
    /// Why.
    pub reason: GapReason,
    /// The offset asked for, where the cursor had one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub asked: Option<u64>,
    /// The offset at which reading goes on.
    pub resumed: u64,
}

/// What the comment begins with, behind the colon and its space.
const MARK: &str = "gap ";

impl Gap {
    /// The text of an SSE comment (behind `: `).
    pub fn comment(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{MARK}{json}")
    }

    /// Reads the text of an SSE comment; `None` where it is some other comment.
    pub fn from_comment(text: &str) -> Option<Self> {
        serde_json::from_str(text.strip_prefix(MARK)?).ok()
    }

    /// This gap as one item of the response header: `topic/partition;reason;asked;resumed`, with `-`
    /// where no offset was asked for.
    pub fn header_item(&self) -> String {
        let reason = match self.reason {
            GapReason::Expired => "expired",
            GapReason::BeyondEnd => "beyond_end",
            GapReason::ForeignLog => "foreign_log",
            GapReason::Damaged => "damaged",
        };
        let asked = self
            .asked
            .map_or_else(|| "-".to_owned(), |asked| asked.to_string());
        format!(
            "{}/{};{reason};{asked};{}",
            self.topic, self.partition, self.resumed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_travel_in_comments_and_headers() {
        let gap = Gap {
            topic: "eqiad.a".into(),
            partition: 2,
            reason: GapReason::Expired,
            asked: Some(3),
            resumed: 10,
        };
        assert_eq!(
            gap.comment(),
            r#"gap {"topic":"eqiad.a","partition":2,"reason":"expired","asked":3,"resumed":10}"#
        );
        assert_eq!(Gap::from_comment(&gap.comment()), Some(gap.clone()));
        assert_eq!(gap.header_item(), "eqiad.a/2;expired;3;10");
        let by_time = Gap {
            asked: None,
            reason: GapReason::ForeignLog,
            ..gap
        };
        assert_eq!(Gap::from_comment(&by_time.comment()), Some(by_time.clone()));
        assert_eq!(by_time.header_item(), "eqiad.a/2;foreign_log;-;10");
        assert_eq!(Gap::from_comment("ok"), None);
        assert_eq!(Gap::from_comment("gap nonsense"), None);
    }
}

//! The feeds that no wiki is asked for: announcements (contract §2.8).

use crate::lang::Rules;
use crate::model::static_hash;
use crate::parse::Compat;
use crate::parse::announcements::build;

/// The announcements of a wiki at an instant: their JSON and the original's hash of it.
pub(crate) fn announcements(rules: &Rules, domain: &str, now_ms: i64, compat: Compat) -> (String, i64) {
    let (body, _) = campaigns(rules, domain, now_ms, compat);
    let hash = static_hash(&body);
    (body, hash)
}

/// The announcements of a wiki at an instant: their JSON, and how many there are.
pub(crate) fn campaigns(rules: &Rules, domain: &str, now_ms: i64, compat: Compat) -> (String, usize) {
    let now = jiff::Timestamp::from_millisecond(now_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let feed = build(rules, domain, now, compat);
    let body = serde_json::to_string(&feed).unwrap_or_else(|_| r#"{"announce":[]}"#.to_owned());
    (body, feed.announce.len())
}

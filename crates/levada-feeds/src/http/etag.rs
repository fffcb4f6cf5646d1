//! Entity tags: of the content by default, of the moment in compat mode (contract §1.0, W13).

use rand::RngExt;
use sha2::{Digest, Sha256};

/// Hash of a body as it stands in an entity tag: 128 bits of SHA-256.
pub(crate) fn content_hash(body: &[u8]) -> String {
    crate::upstream::hex(&Sha256::digest(body)[..16])
}

/// Whether `If-None-Match` names the tag, compared weakly; `*` names any.
pub(crate) fn names(if_none_match: &str, etag: &str) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let wanted = bare(etag);
    if if_none_match.trim() == "*" && !wanted.is_empty() {
        return true;
    }
    // Tags hold no commas: ours are made of letters, digits, `-` and `/`.
    !wanted.is_empty() && if_none_match.split(',').any(|tag| bare(tag) == wanted)
}

/// A version 1 UUID of the instant, as the original puts into its tags. The node part is random.
pub(crate) fn time_uuid(now_ms: i64) -> String {
    // 100 ns steps since 1582-10-15.
    const EPOCH: u64 = 0x01B2_1DD2_1381_4000;
    let mut rng = rand::rng();
    let ticks = (now_ms.max(0) as u64) * 10_000 + EPOCH + rng.random_range(0..10_000);
    let clock = rng.random_range(0..0x4000_u16) | 0x8000;
    let node = rng.random_range(0..1_u64 << 48) | 1 << 40;
    format!(
        "{:08x}-{:04x}-{:04x}-{clock:04x}-{node:012x}",
        ticks & 0xffff_ffff,
        (ticks >> 32) & 0xffff,
        (ticks >> 48) & 0x0fff | 0x1000,
    )
}

/// A fresh request id.
pub(crate) fn request_id() -> String {
    let bits: u128 = rand::rng().random();
    let hex = format!("{bits:032x}");
    format!(
        "{}-{}-4{}-8{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly() {
        assert!(names("\"a/b\"", "W/\"a/b\""));
        assert!(names("\"x\", W/\"a/b\"", "\"a/b\""));
        assert!(names(" * ", "\"a/b\""));
        assert!(!names("\"a\"", "\"a/b\""));
        assert!(!names("", "\"a/b\""));
        // What has no tag has none that could be named.
        for wanted in ["", ",", "W/", "\"a\",", "*"] {
            assert!(!names(wanted, ""), "{wanted}");
        }
    }

    #[test]
    fn uuids_have_their_shape() {
        let id = time_uuid(1_700_000_000_000);
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "1");
        assert_ne!(id, time_uuid(1_700_000_000_000));
        assert_eq!(request_id().len(), 36);
    }
}

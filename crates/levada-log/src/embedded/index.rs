//! The sparse index of a segment and its sidecar file.
//!
//! An entry says: the block with this offset begins at this position; every record before it has a
//! timestamp of at most so much. There is one per 64 KiB, and one behind the last block when a segment
//! is sealed or a log closed. The sidecar (`<base-offset>.idx`) holds them in runs of 40 bytes behind a
//! header of 8, each with a checksum. It is a cache, written when the data it points to is durable
//! and never synced: what cannot be read is found again by a scan. But what it does say was durable, so
//! data that is missing below its last entry is damage and no torn tail.

use levada_event::{Offset, Timestamp};

use super::block::{u32_at, u64_at};

/// Bytes of a segment between two entries, at least.
pub(super) const SPACING: u64 = 64 * 1024;

/// Entries are written to the sidecar in runs of this many (a mebibyte of data), which bounds what a
/// restart has to scan.
pub(super) const RUN: usize = 16;

/// Bytes of an entry in the sidecar.
pub(super) const ENTRY_BYTES: usize = 40;

/// Bytes before the first entry.
pub(super) const HEADER_BYTES: usize = 8;

/// No sidecar is read beyond this; it indexes more than 100 GiB in one segment.
pub(super) const SIDECAR_BYTES_MAX: usize = 64 << 20;

const MAGIC: [u8; 4] = *b"LVX\x01";

/// A place in a segment where a block begins, or its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// Offset of the first record at or behind the position.
    pub(super) offset: Offset,
    /// Position in the file.
    pub(super) position: u64,
    /// Largest timestamp of the records before the position.
    pub(super) max: Timestamp,
    /// When the block before the position was appended.
    pub(super) appended: Timestamp,
}

impl Entry {
    /// The start of a segment.
    pub(super) fn start(base: Offset) -> Self {
        Self {
            offset: base,
            position: 0,
            max: Timestamp::from_millis(i64::MIN),
            appended: Timestamp::from_millis(i64::MIN),
        }
    }
}

/// The first bytes of a sidecar.
pub(super) fn header(place: u32) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&MAGIC);
    header[4..].copy_from_slice(&place.to_le_bytes());
    header
}

/// The bytes of `entries` of the segment that starts at `base`.
pub(super) fn encode(place: u32, base: Offset, entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len() * ENTRY_BYTES);
    for entry in entries {
        let start = out.len();
        out.extend_from_slice(&entry.offset.to_le_bytes());
        out.extend_from_slice(&entry.position.to_le_bytes());
        out.extend_from_slice(&entry.max.as_millis().to_le_bytes());
        out.extend_from_slice(&entry.appended.as_millis().to_le_bytes());
        let crc = entry_crc(place, base, &out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
    }
    out
}

/// The entries of a sidecar up to the first that does not fit, behind the implied one at the start.
pub(super) fn decode(place: u32, base: Offset, bytes: &[u8]) -> Vec<Entry> {
    let mut entries = vec![Entry::start(base)];
    if bytes.get(..HEADER_BYTES) != Some(&header(place)) {
        return entries;
    }
    for raw in bytes[HEADER_BYTES..].chunks_exact(ENTRY_BYTES) {
        let time = |at| Timestamp::from_millis(u64_at(raw, at) as i64);
        let entry = Entry {
            offset: u64_at(raw, 0),
            position: u64_at(raw, 8),
            max: time(16),
            appended: time(24),
        };
        let follows = entries.last().is_some_and(|last| {
            last.offset < entry.offset && last.position < entry.position && last.max <= entry.max
        });
        if u32_at(raw, 32) != entry_crc(place, base, &raw[..32]) || !follows {
            break;
        }
        entries.push(entry);
    }
    entries
}

fn entry_crc(place: u32, base: Offset, entry: &[u8]) -> u32 {
    let seed = crc32c::crc32c_append(place, &base.to_le_bytes());
    crc32c::crc32c_append(seed, entry)
}

/// The last entry at or before `offset`.
pub(super) fn floor(entries: &[Entry], offset: Offset) -> Option<Entry> {
    let behind = entries.partition_point(|entry| entry.offset <= offset);
    entries.get(behind.checked_sub(1)?).copied()
}

/// Where a read of about `want` bytes from the entry at `start` ends: the last known boundary of
/// blocks within them, else the first one behind, else the end of the segment.
pub(super) fn stop(entries: &[Entry], start: u64, want: u64, len: u64) -> u64 {
    if len - start <= want {
        return len;
    }
    let behind = entries.partition_point(|entry| entry.position <= start + want);
    let within = behind
        .checked_sub(1)
        .map(|i| entries[i].position)
        .filter(|p| *p > start);
    let stop = within.or_else(|| entries.get(behind).map(|entry| entry.position));
    stop.unwrap_or(len).min(len)
}

/// The last entry before which no record has a timestamp at or after `at`.
pub(super) fn before_time(entries: &[Entry], at: Timestamp) -> Option<Entry> {
    let reached = entries.partition_point(|entry| entry.max < at);
    // Before the earliest time there is, all is still to come, from the start on.
    entries.get(reached.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(offset: Offset, position: u64, max: i64) -> Entry {
        Entry {
            offset,
            position,
            max: Timestamp::from_millis(max),
            appended: Timestamp::from_millis(1),
        }
    }

    fn three() -> Vec<Entry> {
        vec![
            Entry::start(10),
            entry(20, 100, 5),
            entry(30, 200, 5),
            entry(40, 300, 9),
        ]
    }

    #[test]
    fn a_sidecar_gives_back_the_longest_sound_run() {
        let entries = three();
        let mut bytes = header(7).to_vec();
        bytes.extend(encode(7, 10, &entries[1..]));
        assert_eq!(decode(7, 10, &bytes), entries);
        // Cut anywhere, flipped anywhere: a prefix comes back, never anything else.
        for cut in 0..bytes.len() {
            let part = decode(7, 10, &bytes[..cut]);
            assert_eq!(part, entries[..part.len()]);
        }
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 4;
            let part = decode(7, 10, &bad);
            assert_eq!(part, entries[..part.len()], "byte {at}");
        }
        // Of another partition or another segment: nothing.
        assert_eq!(decode(8, 10, &bytes).len(), 1);
        assert_eq!(decode(7, 11, &bytes).len(), 1);
    }

    #[test]
    fn the_index_finds_offsets_times_and_boundaries() {
        let entries = three();
        for (offset, position) in [(10, 0), (19, 0), (20, 100), (39, 200), (99, 300)] {
            assert_eq!(floor(&entries, offset).unwrap().position, position);
        }
        assert_eq!(floor(&entries, 9), None);
        for (start, want, expected) in [
            (0, 1000, 350),
            (0, 250, 200),
            (0, 50, 100),
            (100, 100, 200),
            (300, 10, 350),
        ] {
            assert_eq!(stop(&entries, start, want, 350), expected, "{start} {want}");
        }
        for (at, position) in [(5, 0), (6, 200), (9, 200), (10, 300), (i64::MIN + 1, 0)] {
            let found = before_time(&entries, Timestamp::from_millis(at)).unwrap();
            assert_eq!(found.position, position, "{at}");
        }
    }
}

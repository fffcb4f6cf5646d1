//! How an entry is written into the store: a line of JSON that describes it, then its bytes.
//!
//! The first byte is the format; an entry of another format, or a damaged one, reads as absent.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// First byte of every entry. Raised when the layout changes: older entries are then simply fetched again.
const FORMAT: u8 = 1;
/// Format byte, time of writing, length of the head.
const FIXED: usize = 1 + 8 + 4;

/// An entry of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record<H> {
    /// When it was written, milliseconds since the epoch; what the sweep goes by.
    pub(crate) at_ms: i64,
    /// What describes the bytes.
    pub(crate) head: H,
    /// The bytes.
    pub(crate) body: Vec<u8>,
}

impl<H: Serialize + DeserializeOwned> Record<H> {
    /// The entry as bytes. `None` when the head cannot be written as JSON, which no head of ours does.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let head = serde_json::to_vec(&self.head).ok()?;
        let length = u32::try_from(head.len()).ok()?;
        let mut bytes = Vec::with_capacity(FIXED + head.len() + self.body.len());
        bytes.push(FORMAT);
        bytes.extend_from_slice(&self.at_ms.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(&self.body);
        Some(bytes)
    }

    /// Reads an entry; `None` when it is not one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Record<H>> {
        let at_ms = written_at(bytes)?;
        let length = u32::from_le_bytes(bytes.get(9..FIXED)?.try_into().ok()?) as usize;
        let head = bytes.get(FIXED..FIXED.checked_add(length)?)?;
        let head = serde_json::from_slice(head).ok()?;
        Some(Record {
            at_ms,
            head,
            body: bytes[FIXED + length..].to_vec(),
        })
    }
}

/// When an entry was written; `None` when it is not one.
pub(crate) fn written_at(bytes: &[u8]) -> Option<i64> {
    if *bytes.first()? != FORMAT {
        return None;
    }
    Some(i64::from_le_bytes(bytes.get(1..9)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_back_and_damage_reads_as_absent() {
        let record = Record {
            at_ms: -5,
            head: vec!["a".to_owned()],
            body: b"body".to_vec(),
        };
        let bytes = record.encode().expect("encodable");
        assert_eq!(Record::decode(&bytes), Some(record));
        for cut in 0..bytes.len() - 4 {
            assert_eq!(Record::<Vec<String>>::decode(&bytes[..cut]), None, "cut at {cut}");
        }
        let mut other = bytes.clone();
        other[0] = FORMAT + 1;
        assert_eq!(Record::<Vec<String>>::decode(&other), None);
        let mut huge = bytes;
        huge[9..13].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Record::<Vec<String>>::decode(&huge), None);
    }
}

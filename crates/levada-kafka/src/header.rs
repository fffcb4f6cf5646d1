//! What a record carries beside key, value and timestamp, as one Kafka header.
//!
//! The header `levada` holds hexadecimal digits: eight of the splice position, eight of the flags,
//! eight of the value's CRC-32, and sixteen of the event's time where Kafka cannot carry it. Tools that
//! copy records copy headers with them, also onto values that they changed; the checksum tells such a
//! header from one that speaks of the value beside it.

use levada_event::{Flags, Record, Splice, Timestamp};

/// Name of the header.
pub(crate) const NAME: &str = "levada";

/// The earliest time that Kafka carries for us: librdkafka takes 0 as *now*, and negative numbers mean
/// something else in requests.
pub(crate) const EARLIEST: i64 = 1;

/// What the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) splice: Splice,
    pub(crate) flags: Flags,
    /// The event's time, where it is not Kafka's.
    pub(crate) time: Option<Timestamp>,
}

impl Facts {
    /// Of a record that a foreign producer wrote.
    pub(crate) const FOREIGN: Facts = Facts {
        splice: Splice::UNKNOWN,
        flags: Flags::NONE,
        time: None,
    };
}

/// The header's text for `record`.
pub(crate) fn write(record: &Record) -> String {
    let mut text = format!(
        "{:08x}{:08x}{:08x}",
        record.splice.to_raw(),
        record.flags.to_raw(),
        crc32fast::hash(&record.value)
    );
    let millis = record.timestamp.as_millis();
    if millis < EARLIEST {
        text.push_str(&format!("{:016x}", millis as u64));
    }
    text
}

/// Reads the header of a record with this `value`. What does not fit counts as foreign.
pub(crate) fn read(header: Option<&[u8]>, value: &[u8]) -> Facts {
    header
        .and_then(|text| parse(text, value))
        .unwrap_or(Facts::FOREIGN)
}

fn parse(text: &[u8], value: &[u8]) -> Option<Facts> {
    let text = std::str::from_utf8(text).ok()?;
    if !matches!(text.len(), 24 | 40) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let word = |at: usize| u32::from_str_radix(&text[at..at + 8], 16).ok();
    if word(16)? != crc32fast::hash(value) {
        return None;
    }
    let time = match text.get(24..40) {
        Some(time) => Some(u64::from_str_radix(time, 16).ok()?),
        None => None,
    };
    Some(Facts {
        splice: Splice::from_raw(word(0)?),
        flags: Flags::from_raw(word(8)?),
        time: time.map(|millis| Timestamp::from_millis(millis as i64)),
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record(value: &'static str, millis: i64) -> Record {
        Record {
            key: None,
            value: Bytes::from_static(value.as_bytes()),
            timestamp: Timestamp::from_millis(millis),
            splice: Splice::at(8),
            flags: Flags::CHECKED,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for millis in [i64::MIN, -1, 0, 1, 1_700_000_000_000] {
            let record = record(r#"{"meta":{}}"#, millis);
            let facts = read(Some(write(&record).as_bytes()), &record.value);
            assert_eq!((facts.splice, facts.flags), (record.splice, record.flags));
            assert_eq!(facts.time, (millis < 1).then_some(record.timestamp));
        }
    }

    #[test]
    fn a_header_of_another_value_says_nothing() {
        let text = write(&record(r#"{"meta":{}}"#, 5));
        assert_eq!(read(Some(text.as_bytes()), b"{\"meta\":{}\n}"), Facts::FOREIGN);
    }

    #[test]
    fn broken_headers_say_nothing() {
        let value = b"{}";
        let good = write(&record("{}", 5));
        assert_ne!(read(Some(good.as_bytes()), value), Facts::FOREIGN);
        for broken in [
            "",
            "00",
            &good[1..],
            &format!("{good}0"),
            &good.replace('0', "g"),
            &"é".repeat(12),
        ] {
            assert_eq!(read(Some(broken.as_bytes()), value), Facts::FOREIGN, "{broken}");
        }
        assert_eq!(read(Some(&[0xff; 24]), value), Facts::FOREIGN);
        assert_eq!(read(None, value), Facts::FOREIGN);
    }
}

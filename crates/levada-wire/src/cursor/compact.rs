//! Compact cursors: the ids of the Realtime API, where one subscription reads many partitions and an
//! id that names each of them in JSON would be longer than the event.
//!
//! The text is `c1:<log>:<offset>:<second>` and for every topic `:<topic>:<runs>:<places>`. `<log>` is the
//! log's eight hexadecimal digits; `<offset>` and `<second>` (since 1970) are what all places are
//! counted from. `<runs>` names the partitions in ascending runs, each as two numbers: how many are left
//! out before it, and how many it has. `<places>` has two numbers for each partition: the next offset
//! to read, and the time of the last record sent as seconds plus one, 0 when none was. Numbers are
//! written in groups of five bits, the lowest first, each as one digit of base64url (RFC 4648 §5) whose
//! highest bit says that more follow. So the text is fit for a header and for a URL.
//!
//! Fifty partitions take some 250 bytes instead of 3,300. The position is exact in the log that wrote
//! it, whichever process reads it; in another log the times count, to the second.

use super::{CURSOR_BYTES_MAX, CursorError, ELEMENTS_MAX, Element, Exact, PartitionElement};
use levada_event::Timestamp;
use levada_event::limits::NAME_BYTES_MAX;

/// What compact cursors begin with; no other cursor does.
const MARK: &str = "c1:";

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Bits of a number in one digit.
const BITS: u32 = 5;

/// The compact cursor of a running subscription, kept as its text. Partitions are pushed first, topic
/// by topic with partitions ascending; then it is told of every record.
///
/// ```
/// # use levada_wire::cursor::CompactCursor;
/// # use levada_event::Timestamp;
/// let mut cursor = CompactCursor::new("00ab12ef");
/// cursor.push("articles", 0, 7);
/// cursor.push("articles", 1, 9);
/// cursor.sent(0, Timestamp::from_millis(1_500_000_000_000), 8);
/// assert_eq!(cursor.as_bytes(), b"c1:00ab12ef:8:1500000000:articles:AC:ABBA");
/// ```
#[derive(Debug, Clone)]
pub struct CompactCursor {
    log: String,
    places: Vec<Place>,
    topics: Vec<(String, usize)>,
    /// What `next` and `second` of all places are counted from in the text.
    from: (u64, i64),
    text: Vec<u8>,
    /// Whether the text has to be written anew.
    stale: bool,
}

#[derive(Debug, Clone)]
struct Place {
    partition: u32,
    next: u64,
    /// Of the last record sent.
    second: Option<i64>,
    /// Where its two numbers begin in the text, and their bytes.
    at: usize,
    len: usize,
}

impl CompactCursor {
    /// A cursor without partitions, for the log with this id (eight hexadecimal digits).
    pub fn new(log: &str) -> Self {
        Self {
            log: log.to_owned(),
            places: Vec::new(),
            topics: Vec::new(),
            from: (0, 0),
            text: Vec::new(),
            stale: true,
        }
    }

    /// Adds a partition and the next offset that will be read from it. Returns its number here.
    pub fn push(&mut self, topic: &str, partition: u32, next: u64) -> usize {
        let descends = self.places.last().is_some_and(|last| last.partition >= partition);
        if self.topics.last().is_none_or(|(last, _)| last != topic) || descends {
            self.topics.push((topic.to_owned(), self.places.len()));
        }
        self.places.push(Place {
            partition,
            next,
            second: None,
            at: 0,
            len: 0,
        });
        self.stale = true;
        self.places.len() - 1
    }

    /// Notes that a record with this timestamp was sent from partition `index`, and the offset to read
    /// from next.
    pub fn sent(&mut self, index: usize, timestamp: Timestamp, next: u64) {
        let second = timestamp.plus_millis(1).as_millis().div_euclid(1000);
        self.set(index, Some(second), next);
    }

    /// Notes that records up to `next` were passed over.
    pub fn passed(&mut self, index: usize, next: u64) {
        let Some(place) = self.places.get(index) else {
            return;
        };
        let second = place.second;
        self.set(index, second, next);
    }

    /// About how many bytes the text has.
    pub fn text_len(&self) -> usize {
        self.text.len().max(64 + 8 * self.places.len())
    }

    /// The text, in ASCII.
    pub fn as_bytes(&mut self) -> &[u8] {
        if self.stale {
            self.write();
        }
        &self.text
    }

    fn set(&mut self, index: usize, second: Option<i64>, next: u64) {
        let Some(place) = self.places.get_mut(index) else {
            return;
        };
        if (place.next, place.second) == (next, second) {
            return;
        }
        (place.next, place.second) = (next, second);
        if self.stale {
            return;
        }
        // Nearly always the numbers have as many digits as before, and nothing moves.
        let mut digits = [0; 32];
        let written = numbers(place, self.from).map(|pair| {
            let first = put(&mut digits, pair.0);
            first + put(&mut digits[first..], pair.1)
        });
        if written == Some(place.len) {
            self.text[place.at..place.at + place.len].copy_from_slice(&digits[..place.len]);
        } else {
            self.stale = true;
        }
    }

    /// Writes the text anew, with bases as near as they can be.
    fn write(&mut self) {
        let offset = self.places.iter().map(|place| place.next).min().unwrap_or(0);
        let second = self.places.iter().filter_map(|place| place.second).min();
        self.from = (offset, second.unwrap_or(0));
        self.text.clear();
        self.text.extend_from_slice(MARK.as_bytes());
        self.text.extend_from_slice(self.log.as_bytes());
        self.text
            .extend_from_slice(format!(":{offset}:{}", self.from.1).as_bytes());
        let mut digits = [0; 32];
        for (number, (topic, start)) in self.topics.iter().enumerate() {
            let end = self
                .topics
                .get(number + 1)
                .map_or(self.places.len(), |next| next.1);
            self.text.push(b':');
            self.text.extend_from_slice(topic.as_bytes());
            self.text.push(b':');
            let mut expected = 0;
            for run in self.places[*start..end].chunk_by(|a, b| a.partition + 1 == b.partition) {
                let first = run[0].partition;
                let mut len = put(&mut digits, u64::from(first - expected));
                len += put(&mut digits[len..], run.len() as u64);
                self.text.extend_from_slice(&digits[..len]);
                expected = first + run.len() as u32;
            }
            self.text.push(b':');
            for place in &mut self.places[*start..end] {
                place.at = self.text.len();
                let (next, time) = numbers(place, self.from).unwrap_or((0, 0));
                place.len = put(&mut digits, next);
                place.len += put(&mut digits[place.len..], time);
                self.text.extend_from_slice(&digits[..place.len]);
            }
        }
        self.stale = false;
    }
}

/// The two numbers of a place; `None` when it lies before the bases.
fn numbers(place: &Place, (offset, second): (u64, i64)) -> Option<(u64, u64)> {
    let next = place.next.checked_sub(offset)?;
    let time = match place.second {
        None => 0,
        Some(at) => u64::try_from(at.checked_sub(second)?).ok()?.checked_add(1)?,
    };
    Some((next, time))
}

/// Writes a number and says how many digits it took, at most 13.
fn put(out: &mut [u8], mut number: u64) -> usize {
    for (index, slot) in out.iter_mut().enumerate() {
        let low = (number & 31) as usize;
        number >>= BITS;
        let more = if number == 0 { 0 } else { 32 };
        *slot = DIGITS[low | more];
        if more == 0 {
            return index + 1;
        }
    }
    out.len()
}

/// Whether a text is, or was meant to be, a compact cursor.
pub(super) fn is_compact(text: &str) -> bool {
    text.starts_with(MARK)
}

/// Reads a compact cursor.
pub(super) fn parse(text: &str) -> Result<Vec<Element>, CursorError> {
    if text.len() > CURSOR_BYTES_MAX {
        return Err(CursorError::TooLarge);
    }
    let broken = |message: &str| CursorError::NotJson {
        message: format!("{text:?} is no id of this server: {message}"),
        text: text.to_owned(),
    };
    let mut fields = text[MARK.len()..].split(':');
    let log = fields.next().unwrap_or_default();
    if Exact::new(log, 0).is_none() {
        return Err(broken("its log is not named by eight hexadecimal digits"));
    }
    let offset: u64 = fields
        .next()
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| broken("it has no offset to count from"))?;
    let second: i64 = fields
        .next()
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| broken("it has no time to count from"))?;
    let mut elements = Vec::new();
    while let Some(topic) = fields.next() {
        let (Some(runs), Some(places)) = (fields.next(), fields.next()) else {
            return Err(broken("it ends early"));
        };
        // Every element carries the name.
        if topic.is_empty() || topic.len() > NAME_BYTES_MAX {
            return Err(broken("it names a topic that cannot be"));
        }
        let wrong = || broken("its numbers do not fit");
        let mut places = Numbers(places.bytes());
        let mut runs = Numbers(runs.bytes());
        let mut partition = 0_i64;
        while let Some(skipped) = runs.next() {
            let skipped = skipped.and_then(|number| i64::try_from(number).ok());
            partition = skipped
                .and_then(|number| partition.checked_add(number))
                .ok_or_else(wrong)?;
            let length = runs.next().flatten().ok_or_else(wrong)?;
            for _ in 0..length {
                if elements.len() == ELEMENTS_MAX {
                    return Err(CursorError::TooLarge);
                }
                let next = places.next().flatten().ok_or_else(wrong)?;
                let next = offset.checked_add(next).ok_or_else(wrong)?;
                let time = match places.next().flatten().ok_or_else(wrong)? {
                    0 => None,
                    plus_one => Some(millis(second, plus_one - 1).ok_or_else(wrong)?),
                };
                elements.push(Element::Partition(PartitionElement {
                    topic: topic.to_owned(),
                    partition,
                    offset: time.is_none().then_some(-1),
                    timestamp: time,
                    at: Exact::new(log, next),
                }));
                partition = partition.checked_add(1).ok_or_else(wrong)?;
            }
        }
        if places.next().is_some() {
            return Err(wrong());
        }
    }
    Ok(elements)
}

fn millis(second: i64, later: u64) -> Option<i64> {
    second.checked_add(i64::try_from(later).ok()?)?.checked_mul(1000)
}

/// Reads numbers; an item is `None` where the text is no number.
struct Numbers<'t>(std::str::Bytes<'t>);

impl Iterator for Numbers<'_> {
    type Item = Option<u64>;

    fn next(&mut self) -> Option<Option<u64>> {
        let mut number = 0_u64;
        let mut digit = self.0.next()?;
        for shift in (0..u64::BITS).step_by(BITS as usize) {
            let Some(value) = DIGITS.iter().position(|known| *known == digit) else {
                return Some(None);
            };
            let low = (value & 31) as u64;
            if low << shift >> shift != low {
                return Some(None);
            }
            number |= low << shift;
            if value < 32 {
                return Some(Some(number));
            }
            match self.0.next() {
                Some(following) => digit = following,
                None => return Some(None),
            }
        }
        Some(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::parse_any;
    use super::*;

    fn text(cursor: &mut CompactCursor) -> String {
        String::from_utf8(cursor.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn fifty_partitions_take_a_line_and_not_a_page() {
        let mut cursor = CompactCursor::new("00ab12ef");
        let mut json = super::super::CursorText::new("00ab12ef");
        // Offsets as hashing deals them out after two days of the whole firehose.
        for partition in 0..50_u32 {
            let next = 40_000 + u64::from(partition * 7919 % 801);
            let at = Timestamp::from_millis(1_800_000_000_000 + i64::from(partition * 104_729 % 60_000));
            cursor.push("articles", partition, next);
            cursor.sent(partition as usize, at, next);
            let index = json.push("articles", partition, super::super::First::Latest, next);
            json.sent(index, at, next);
        }
        let (short, long) = (text(&mut cursor).len(), json.as_str().len());
        assert!(short <= 260 && long > 3000, "{short} instead of {long}");
    }

    #[test]
    fn runs_name_any_partitions_of_several_topics() {
        let mut cursor = CompactCursor::new("00ab12ef");
        for (topic, partition) in [
            ("eqiad.a", 3),
            ("eqiad.a", 4),
            ("eqiad.a", 9),
            ("codfw.a", 0),
            ("codfw.a", 0),
        ] {
            cursor.push(topic, partition, 5);
        }
        assert_eq!(
            text(&mut cursor),
            "c1:00ab12ef:5:0:eqiad.a:DCEB:AAAAAA:codfw.a:AB:AA:codfw.a:AB:AA"
        );
        let places: Vec<(String, i64)> = parse_any(&text(&mut cursor))
            .unwrap()
            .into_iter()
            .map(|element| match element {
                Element::Partition(e) => (e.topic, e.partition),
                Element::Topic(name) => panic!("{name}"),
            })
            .collect();
        let a = "eqiad.a".to_owned();
        assert_eq!(places[..3], [(a.clone(), 3), (a.clone(), 4), (a, 9)]);
    }

    #[test]
    fn what_is_broken_is_refused() {
        for text in [
            "c1:",
            "c1:xyz",
            "c1:00ab12ef",
            "c1:00ab12ef:5",
            "c1:00ab12ef:-5:0:a:AB:AA",
            "c1:00ab12ef:5:0:a",
            "c1:00ab12ef:5:0:a:AB",
            "c1:00ab12ef:5:0:a:AB:A",
            "c1:00ab12ef:5:0:a:AB:AAA",
            "c1:00ab12ef:5:0:a:A:AA",
            "c1:00ab12ef:5:0:a:AB:A*",
            "c1:00ab12ef:5:0:a:AB:gggggggggggggggA",
            "c1:00ab12ef:5:0:a:ggggggggggggP:AA",
            "c1:00ab12ef:18446744073709551615:0:a:AB:BA",
            "c1:00ab12ef:0:9223372036854775807:a:AB:AC",
        ] {
            assert!(
                matches!(parse_any(text), Err(CursorError::NotJson { .. })),
                "{text}"
            );
        }
        // A name is kept with every place: one that cannot be is refused before the first.
        let named = format!("c1:00ab12ef:0:0:{}:AB:AA", "a".repeat(NAME_BYTES_MAX + 1));
        for text in ["c1:00ab12ef:0:0::AB:AA", &named] {
            assert!(matches!(parse_any(text), Err(CursorError::NotJson { .. })));
        }
        // A run that claims more partitions than there are places ends at once.
        let long = format!("c1:00ab12ef:0:0:a:A{}:{}", "ggggA", "AA".repeat(100_000));
        assert!(parse_any(&long).is_err());
        let many = format!("c1:00ab12ef:0:0:a:AgggB:{}", "AA".repeat(ELEMENTS_MAX + 1));
        assert_eq!(parse_any(&many), Err(CursorError::TooLarge));
        // Some parts of a small stream have no partition.
        assert_eq!(parse_any("c1:00ab12ef:5:0"), Ok(Vec::new()));
        // The other form is still read.
        assert!(parse_any(r#"[{"topic":"t","partition":0,"offset":1}]"#).is_ok());
    }

    proptest! {
        /// Whatever happens, what is read back is exactly where the reader was.
        #[test]
        fn positions_come_back_exactly(
            starts in proptest::collection::vec((0_u32..3, any::<u64>()), 1..60),
            steps in proptest::collection::vec((0_usize..60, any::<bool>(), -5_i64..2_000_000_000_000, any::<u64>(), any::<bool>()), 0..60),
        ) {
            let mut cursor = CompactCursor::new("0badcafe");
            let mut model = Vec::new();
            let mut partition = 0;
            for (gap, next) in starts {
                partition += 1 + gap;
                cursor.push("t", partition, next);
                model.push((partition, next, None));
            }
            for (index, sent, millis, next, looked) in steps {
                let at = Timestamp::from_millis(millis);
                if sent { cursor.sent(index, at, next) } else { cursor.passed(index, next) }
                if let Some(place) = model.get_mut(index) {
                    place.1 = next;
                    if sent { place.2 = Some((millis + 1).div_euclid(1000) * 1000) }
                }
                // The text is patched where it is looked at in between, and else written once.
                if looked { cursor.as_bytes(); }
            }
            let read = parse_any(&text(&mut cursor)).unwrap();
            prop_assert_eq!(read.len(), model.len());
            for (element, (partition, next, time)) in read.iter().zip(&model) {
                let Element::Partition(element) = element else { panic!("a partition") };
                let exact = element.at.unwrap();
                prop_assert!(exact.is_of("0badcafe"));
                prop_assert_eq!((element.partition, exact.next), (i64::from(*partition), *next));
                prop_assert_eq!(element.timestamp, *time);
                prop_assert_eq!(element.offset, time.is_none().then_some(-1));
            }
        }

        /// No text makes the reader fall over or read for long.
        #[test]
        fn any_text_is_answered(text in "c1:0[0-9a-f]{7}:[0-9]{1,4}:[0-9]{1,4}(:a:[A-Za-z0-9_-]{0,9}:[A-Za-z0-9_-]{0,40}){0,3}") {
            if let Ok(elements) = parse_any(&text) {
                prop_assert!(elements.len() <= 60);
            }
        }
    }
}

//! Writes cursors, one per event: only the numbers that changed are written again.

use std::ops::Range;

use levada_event::Timestamp;
use levada_event::json::write_string;

/// What the cursor says of a partition from which nothing has been sent yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// The reader started at the latest record: `{"topic":T,"partition":P,"offset":-1,…}`.
    Latest,
    /// The client named this offset (-1 and -2 too) and it is repeated as sent.
    Given(i64),
    /// A time was looked up: `{"offset":N,"partition":P,"topic":T,…}` with the offset found, or -1
    /// (`None`) when no record was that young.
    Found(Option<u64>),
}

/// The cursor of a running subscription, kept as its text. Made once, then told of every record.
///
/// ```
/// # use levada_wire::cursor::{CursorText, First};
/// # use levada_event::Timestamp;
/// let mut cursor = CursorText::new("00ab12ef");
/// let eqiad = cursor.push("eqiad.a", 0, First::Latest, 7);
/// cursor.sent(eqiad, Timestamp::from_millis(1_500_000_000_000), 8);
/// assert_eq!(
///     cursor.as_str(),
///     r#"[{"topic":"eqiad.a","partition":0,"timestamp":1500000000001,"at":"00ab12ef:8"}]"#
/// );
/// ```
#[derive(Debug, Clone)]
pub struct CursorText {
    log: String,
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    topic: String,
    partition: u32,
    state: State,
    next: u64,
    /// The element in the text, from its opening to behind its closing brace.
    span: Range<usize>,
    /// The number of `offset` or `timestamp`.
    number: Range<usize>,
    /// The number in `at`.
    exact: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Offset(i64),
    Found(i64),
    Sent(i64),
}

impl State {
    fn number(self) -> i64 {
        match self {
            Self::Offset(number) | Self::Found(number) | Self::Sent(number) => number,
        }
    }
}

impl CursorText {
    /// A cursor without partitions, for the log with this id (eight hexadecimal digits).
    pub fn new(log: &str) -> Self {
        Self {
            log: log.to_owned(),
            text: "[]".to_owned(),
            parts: Vec::new(),
        }
    }

    /// Adds a partition: what is first said of it, and the next offset that will be read from it.
    /// Returns its number here, for [`sent`](Self::sent) and [`passed`](Self::passed).
    pub fn push(&mut self, topic: &str, partition: u32, first: First, next: u64) -> usize {
        let state = match first {
            First::Latest => State::Offset(-1),
            First::Given(offset) => State::Offset(offset),
            First::Found(offset) => State::Found(offset.map_or(-1, to_signed)),
        };
        let end = self.text.len() - 1;
        if !self.parts.is_empty() {
            self.text.insert(end, ',');
        }
        let start = self.text.len() - 1;
        self.parts.push(Part {
            topic: topic.to_owned(),
            partition,
            state,
            next,
            span: start..start,
            number: start..start,
            exact: start..start,
        });
        let index = self.parts.len() - 1;
        self.render(index);
        index
    }

    /// Notes that a record with this timestamp was sent from partition `index`, and the offset to read
    /// from next. The cursor says the timestamp plus one millisecond, as the reference does, so that
    /// other servers do not repeat the record.
    pub fn sent(&mut self, index: usize, timestamp: Timestamp, next: u64) {
        self.set(index, State::Sent(timestamp.plus_millis(1).as_millis()), next);
    }

    /// Notes that records up to `next` were passed over (filtered, not an event): a reader that comes
    /// back need not see them again. What the cursor says to other servers stays true and no more.
    pub fn passed(&mut self, index: usize, next: u64) {
        let Some(part) = self.parts.get(index) else { return };
        let state = match part.state {
            State::Found(_) => State::Found(to_signed(next)),
            other => other,
        };
        self.set(index, state, next);
    }

    /// The next offset to read from partition `index`.
    pub fn next(&self, index: usize) -> Option<u64> {
        self.parts.get(index).map(|part| part.next)
    }

    /// Number of partitions.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether there are no partitions.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The text, one line without whitespace.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    fn set(&mut self, index: usize, state: State, next: u64) {
        let Some(part) = self.parts.get_mut(index) else {
            return;
        };
        let same_shape = std::mem::discriminant(&part.state) == std::mem::discriminant(&state);
        let (number_changed, next_changed) = (part.state.number() != state.number(), part.next != next);
        part.state = state;
        part.next = next;
        if !same_shape {
            self.render(index);
            return;
        }
        if number_changed {
            let at = part.number.clone();
            self.replace(index, at, itoa::Buffer::new().format(state.number()), |part| {
                &mut part.number
            });
        }
        if next_changed {
            let at = self.parts[index].exact.clone();
            self.replace(index, at, itoa::Buffer::new().format(next), |part| {
                &mut part.exact
            });
        }
    }

    /// Writes a number over an earlier one. Nearly always it has as many digits, and nothing moves.
    fn replace(
        &mut self,
        index: usize,
        at: Range<usize>,
        digits: &str,
        range: fn(&mut Part) -> &mut Range<usize>,
    ) {
        self.text.replace_range(at.clone(), digits);
        if at.len() == digits.len() {
            return;
        }
        let moved = Shift {
            from: at.end,
            was: at.len(),
            is: digits.len(),
        };
        *range(&mut self.parts[index]) = at.start..at.start + digits.len();
        let part = &mut self.parts[index];
        part.span.end = moved.of(part.span.end);
        if part.exact.start >= at.end {
            part.exact = moved.of(part.exact.start)..moved.of(part.exact.end);
        }
        self.shift(index + 1, &moved);
    }

    /// Writes the whole element again.
    fn render(&mut self, index: usize) {
        let part = &self.parts[index];
        let span = part.span.clone();
        let mut out = Vec::with_capacity(part.topic.len() + 96);
        let mut number = 0..0;
        let mut format = itoa::Buffer::new();
        let mut put_number = |out: &mut Vec<u8>| {
            let digits = format.format(part.state.number());
            number = span.start + out.len()..span.start + out.len() + digits.len();
            out.extend_from_slice(digits.as_bytes());
        };
        let put_partition = |out: &mut Vec<u8>| {
            out.extend_from_slice(b",\"partition\":");
            out.extend_from_slice(itoa::Buffer::new().format(part.partition).as_bytes());
        };
        if let State::Found(_) = part.state {
            out.extend_from_slice(b"{\"offset\":");
            put_number(&mut out);
            put_partition(&mut out);
            out.extend_from_slice(b",\"topic\":");
            write_string(&mut out, &part.topic);
        } else {
            out.extend_from_slice(b"{\"topic\":");
            write_string(&mut out, &part.topic);
            put_partition(&mut out);
            let key: &[u8] = match part.state {
                State::Sent(_) => b",\"timestamp\":",
                _ => b",\"offset\":",
            };
            out.extend_from_slice(key);
            put_number(&mut out);
        }
        out.extend_from_slice(b",\"at\":\"");
        out.extend_from_slice(self.log.as_bytes());
        out.push(b':');
        let start = span.start + out.len();
        out.extend_from_slice(itoa::Buffer::new().format(part.next).as_bytes());
        let exact = start..span.start + out.len();
        out.extend_from_slice(b"\"}");

        // Digits, checked names and JSON punctuation: always UTF-8.
        let element = String::from_utf8_lossy(&out);
        self.text.replace_range(span.clone(), &element);
        let moved = Shift {
            from: span.end,
            was: span.len(),
            is: element.len(),
        };
        let part = &mut self.parts[index];
        part.span = span.start..span.start + element.len();
        part.number = number;
        part.exact = exact;
        self.shift(index + 1, &moved);
    }

    fn shift(&mut self, from: usize, moved: &Shift) {
        for part in &mut self.parts[from..] {
            for range in [&mut part.span, &mut part.number, &mut part.exact] {
                *range = moved.of(range.start)..moved.of(range.end);
            }
        }
    }
}

/// How places in the text move when a stretch of it changes its length.
struct Shift {
    from: usize,
    was: usize,
    is: usize,
}

impl Shift {
    fn of(&self, place: usize) -> usize {
        debug_assert!(place >= self.from, "only places behind the change move");
        place + self.is - self.was
    }
}

fn to_signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Element, parse};
    use super::*;

    const T0: Timestamp = Timestamp::from_millis(1_500_000_000_000);

    #[test]
    fn elements_have_the_forms_of_the_contract() {
        let mut cursor = CursorText::new("00ab12ef");
        let a = cursor.push("eqiad.a", 0, First::Latest, 3);
        let b = cursor.push("codfw.a", 0, First::Found(None), 0);
        let c = cursor.push("c", 12, First::Found(Some(99)), 99);
        assert_eq!(
            cursor.as_str(),
            concat!(
                r#"[{"topic":"eqiad.a","partition":0,"offset":-1,"at":"00ab12ef:3"},"#,
                r#"{"offset":-1,"partition":0,"topic":"codfw.a","at":"00ab12ef:0"},"#,
                r#"{"offset":99,"partition":12,"topic":"c","at":"00ab12ef:99"}]"#
            )
        );
        cursor.sent(a, T0, 4);
        cursor.passed(c, 100);
        cursor.passed(a, 10);
        assert_eq!(
            cursor.as_str(),
            concat!(
                r#"[{"topic":"eqiad.a","partition":0,"timestamp":1500000000001,"at":"00ab12ef:10"},"#,
                r#"{"offset":-1,"partition":0,"topic":"codfw.a","at":"00ab12ef:0"},"#,
                r#"{"offset":100,"partition":12,"topic":"c","at":"00ab12ef:100"}]"#
            )
        );
        cursor.sent(b, T0, 1);
        assert!(
            cursor
                .as_str()
                .contains(r#"{"topic":"codfw.a","partition":0,"timestamp":1500000000001,"at":"00ab12ef:1"}"#)
        );
        assert_eq!((cursor.next(a), cursor.next(7)), (Some(10), None));
        assert_eq!(CursorText::new("00ab12ef").as_str(), "[]");
    }

    fn plainly(log: &str, parts: &[(String, u32, State, u64)]) -> String {
        let element = |(topic, partition, state, next): &(String, u32, State, u64)| match state {
            State::Found(n) => {
                format!(r#"{{"offset":{n},"partition":{partition},"topic":"{topic}","at":"{log}:{next}"}}"#)
            }
            State::Offset(n) => {
                format!(r#"{{"topic":"{topic}","partition":{partition},"offset":{n},"at":"{log}:{next}"}}"#)
            }
            State::Sent(n) => {
                format!(
                    r#"{{"topic":"{topic}","partition":{partition},"timestamp":{n},"at":"{log}:{next}"}}"#
                )
            }
        };
        format!("[{}]", parts.iter().map(element).collect::<Vec<_>>().join(","))
    }

    fn first() -> impl Strategy<Value = First> {
        prop_oneof![
            Just(First::Latest),
            (-2i64..2000).prop_map(First::Given),
            proptest::option::of(0u64..2000).prop_map(First::Found),
        ]
    }

    proptest! {
        /// Whatever happens in whatever order, the text is the one a plain renderer gives, and the
        /// parser reads the exact positions from it.
        #[test]
        fn the_text_is_always_the_plainly_rendered_one(
            starts in proptest::collection::vec((first(), 0u64..u64::from(u32::MAX)), 1..6),
            steps in proptest::collection::vec((0usize..6, any::<bool>(), -5i64..2_000_000_000_000, 0u64..1_000_000), 0..40),
        ) {
            let mut cursor = CursorText::new("0badcafe");
            let mut model = Vec::new();
            for (i, (first, next)) in starts.iter().enumerate() {
                let topic = format!("t{}", i / 2);
                cursor.push(&topic, i as u32, *first, *next);
                let state = match *first {
                    First::Latest => State::Offset(-1),
                    First::Given(n) => State::Offset(n),
                    First::Found(n) => State::Found(n.map_or(-1, |n| n as i64)),
                };
                model.push((topic, i as u32, state, *next));
            }
            for (index, sent, millis, next) in steps {
                if sent {
                    cursor.sent(index, Timestamp::from_millis(millis), next);
                } else {
                    cursor.passed(index, next);
                }
                if let Some(part) = model.get_mut(index) {
                    part.3 = next;
                    part.2 = match (sent, part.2) {
                        (true, _) => State::Sent(millis + 1),
                        (false, State::Found(_)) => State::Found(next as i64),
                        (false, other) => other,
                    };
                }
                prop_assert_eq!(cursor.as_str(), plainly("0badcafe", &model));
            }
            for (element, part) in parse(cursor.as_str()).unwrap().iter().zip(&model) {
                let Element::Partition(element) = element else { panic!("a partition") };
                let exact = element.at.unwrap();
                prop_assert!(exact.is_of("0badcafe"));
                prop_assert_eq!((exact.next, &element.topic), (part.3, &part.0));
            }
        }
    }
}

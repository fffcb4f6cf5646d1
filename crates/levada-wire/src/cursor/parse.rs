//! Reads cursors: everything the reference takes, and our own exact position.

use std::collections::HashMap;

use serde_json::Value;

use super::{CURSOR_BYTES_MAX, ELEMENTS_MAX};
use crate::{ErrorCode, StreamError};

/// One element of a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Element {
    /// A bare topic name: all partitions of the topic, from `since` if given, else from the latest.
    Topic(String),
    /// One partition.
    Partition(PartitionElement),
}

impl Element {
    /// The topic's name.
    pub fn topic(&self) -> &str {
        match self {
            Self::Topic(topic) => topic,
            Self::Partition(element) => &element.topic,
        }
    }
}

/// A partition with what the cursor says of the position in it. Precedence: `at` when it is of the
/// same log, then `offset`, then `timestamp`. At least one of `offset` and `timestamp` is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionElement {
    /// Name of the topic; not checked to be one.
    pub topic: String,
    /// Number of the partition, as sent; partitions that do not exist stay silent.
    pub partition: i64,
    /// The next offset to read; -1 is the latest, -2 the earliest.
    pub offset: Option<i64>,
    /// Read from the first record at or after this time, in milliseconds since 1970.
    pub timestamp: Option<i64>,
    /// The exact position.
    pub at: Option<Exact>,
}

/// An exact position: only good for the log that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exact {
    log: u32,
    /// The next offset to read.
    pub next: u64,
}

impl Exact {
    /// The position before offset `next` of the log with this id (eight hexadecimal digits). `None`
    /// when the text is no log id.
    pub fn new(log: &str, next: u64) -> Option<Self> {
        Some(Self {
            log: log_id(log)?,
            next,
        })
    }

    /// Whether the position is one of the log with this id.
    pub fn is_of(&self, log: &str) -> bool {
        log_id(log) == Some(self.log)
    }

    fn parse(text: &str) -> Option<Self> {
        let (log, next) = text.split_once(':')?;
        if next.is_empty() || !next.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Self::new(log, next.parse().ok()?)
    }
}

fn log_id(text: &str) -> Option<u32> {
    if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(text, 16).ok()
}

/// Why a text is no cursor.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CursorError {
    /// The text is not JSON.
    #[error("{message}")]
    NotJson {
        /// What is wrong with it.
        message: String,
        /// The text.
        text: String,
    },
    /// The text is JSON, but no list of topics and positions.
    #[error("{}", NOT_ASSIGNMENTS)]
    NotAssignments {
        /// The text as parsed.
        assignments: Value,
    },
    /// The text is longer than [`CURSOR_BYTES_MAX`] or has more than [`ELEMENTS_MAX`] elements.
    #[error("a cursor has at most {CURSOR_BYTES_MAX} bytes and {ELEMENTS_MAX} elements")]
    TooLarge,
}

// The words and the two spaces are the reference's.
const NOT_ASSIGNMENTS: &str = "Must provide either an array topic names, or  an array of objects with topic, partition and offset|timestamp.";

impl CursorError {
    /// The code, for metrics and logs.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge => ErrorCode::HeaderTooLarge,
            _ => ErrorCode::InvalidLastEventId,
        }
    }

    /// The body in the reference's shape (contract eventstreams §1.6). Its status is 400, or 431 for
    /// a text that is too large.
    pub fn to_stream_error(&self) -> StreamError {
        let (original_name, last_event_id, assignments) = match self {
            Self::NotJson { text, .. } => ("SyntaxError", Some(text.clone()), None),
            Self::NotAssignments { assignments } => ("Error", None, Some(assignments.clone())),
            Self::TooLarge => ("Error", None, None),
        };
        StreamError {
            message: self.to_string(),
            origin: "KafkaSSE".to_owned(),
            name: "InvalidAssignmentError".to_owned(),
            original_name: Some(original_name.to_owned()),
            last_event_id,
            assignments,
            status_code: Some(self.code().status()),
            ..StreamError::default()
        }
    }
}

/// Reads a cursor: a JSON array of topic names and of objects with `topic`, integer `partition` and
/// integer `offset` or `timestamp`; or a JSON string of topic names separated by commas. Unknown keys
/// are ignored. Where a partition stands twice, the last element counts, at the first one's place.
///
/// # Errors
/// [`CursorError`]; its answer to the client is [`CursorError::to_stream_error`].
pub fn parse(text: &str) -> Result<Vec<Element>, CursorError> {
    if text.len() > CURSOR_BYTES_MAX {
        return Err(CursorError::TooLarge);
    }
    let value: Value = serde_json::from_str(text).map_err(|error| CursorError::NotJson {
        message: if error.is_eof() {
            "Unexpected end of JSON input".to_owned()
        } else {
            format!("{text:?} is not valid JSON: {error}")
        },
        text: text.to_owned(),
    })?;
    let elements = match &value {
        Value::String(names) => names.split(',').map(topic).collect(),
        Value::Array(items) if items.len() > ELEMENTS_MAX => return Err(CursorError::TooLarge),
        Value::Array(items) => items.iter().map(element).collect(),
        _ => None,
    };
    match elements {
        Some(elements) if !Vec::is_empty(&elements) && elements.len() <= ELEMENTS_MAX => Ok(unique(elements)),
        Some(elements) if elements.len() > ELEMENTS_MAX => Err(CursorError::TooLarge),
        _ => Err(CursorError::NotAssignments { assignments: value }),
    }
}

fn topic(name: &str) -> Option<Element> {
    (!name.is_empty()).then(|| Element::Topic(name.to_owned()))
}

fn element(value: &Value) -> Option<Element> {
    if let Value::String(name) = value {
        return topic(name);
    }
    let object = value.as_object()?;
    let integer_at = |key| object.get(key).and_then(integer);
    let (offset, timestamp) = (integer_at("offset"), integer_at("timestamp"));
    if offset.is_none() && timestamp.is_none() {
        return None;
    }
    Some(Element::Partition(PartitionElement {
        topic: object.get("topic")?.as_str()?.to_owned(),
        partition: integer_at("partition")?,
        offset,
        timestamp,
        at: object.get("at").and_then(Value::as_str).and_then(Exact::parse),
    }))
}

/// An integer as JavaScript sees one: `1.0` and `1e3` are integers too.
fn integer(value: &Value) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_i64().or_else(|| {
        let float = value.as_f64()?;
        if float.fract() != 0.0 {
            return None;
        }
        // Larger ones name a place that no log reaches; which one does not matter.
        Some(if float.abs() <= EXACT {
            float as i64
        } else if float > 0.0 {
            i64::MAX
        } else {
            i64::MIN
        })
    })
}

fn unique(elements: Vec<Element>) -> Vec<Element> {
    let mut places: HashMap<(String, Option<i64>), usize> = HashMap::with_capacity(elements.len());
    let mut out: Vec<Element> = Vec::with_capacity(elements.len());
    for element in elements {
        let partition = match &element {
            Element::Topic(_) => None,
            Element::Partition(element) => Some(element.partition),
        };
        let place = *places
            .entry((element.topic().to_owned(), partition))
            .or_insert(out.len());
        match out.get_mut(place) {
            Some(earlier) => *earlier = element,
            None => out.push(element),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> PartitionElement {
        match parse(text).unwrap().remove(0) {
            Element::Partition(element) => element,
            Element::Topic(topic) => panic!("{topic} is a bare topic"),
        }
    }

    #[test]
    fn takes_every_form_of_the_contract() {
        let by_offset = one(r#"[{"topic":"eqiad.a","partition":0,"offset":1}]"#);
        assert_eq!(
            (by_offset.offset, by_offset.timestamp, by_offset.at),
            (Some(1), None, None)
        );
        let by_time = one(r#"[{"topic":"eqiad.a","partition":0,"timestamp":1500000000001,"x":[]}]"#);
        assert_eq!(
            (by_time.offset, by_time.timestamp),
            (None, Some(1_500_000_000_001))
        );
        assert_eq!(
            one(r#"[{"topic":"t","partition":0,"offset":-2}]"#).offset,
            Some(-2)
        );
        assert_eq!(
            one(r#"[{"topic":"t","partition":1.0,"offset":1e3}]"#).offset,
            Some(1000)
        );
        assert_eq!(
            one(r#"[{"topic":"t","partition":0,"offset":1e30}]"#).offset,
            Some(i64::MAX)
        );
        assert_eq!(
            one(r#"[{"topic":"t","partition":0,"offset":1,"timestamp":"1"}]"#).timestamp,
            None
        );
        assert_eq!(
            parse(r#""eqiad.a,codfw.a""#).unwrap(),
            [Element::Topic("eqiad.a".into()), Element::Topic("codfw.a".into())]
        );
        let mixed = parse(r#"["codfw.a",{"topic":"eqiad.a","partition":0,"offset":0}]"#).unwrap();
        assert_eq!(
            mixed.iter().map(Element::topic).collect::<Vec<_>>(),
            ["codfw.a", "eqiad.a"]
        );
    }

    #[test]
    fn reads_the_exact_position_and_only_a_good_one() {
        let at = |text: &str| {
            one(&format!(
                r#"[{{"topic":"t","partition":0,"offset":-1,"at":{text}}}]"#
            ))
            .at
        };
        let exact = at(r#""00ab12ef:42""#).unwrap();
        assert_eq!(exact.next, 42);
        assert!(exact.is_of("00ab12ef") && exact.is_of("00AB12EF"));
        assert!(!exact.is_of("00ab12ee") && !exact.is_of("") && !exact.is_of("kafka"));
        for bad in [
            r#""00ab12ef:""#,
            r#""00ab12ef:-1""#,
            r#""00ab12ef:+1""#,
            r#""+0ab12ef:1""#,
            r#""ab:1""#,
            "42",
            "null",
        ] {
            assert_eq!(at(bad), None, "{bad}");
        }
        assert_eq!(at(r#""00ab12ef:99999999999999999999999""#), None);
    }

    #[test]
    fn a_partition_that_stands_twice_counts_once() {
        let text = r#"[{"topic":"t","partition":0,"offset":1},"u",{"topic":"t","partition":0,"offset":2}]"#;
        let elements = parse(text).unwrap();
        assert_eq!(elements.len(), 2);
        assert_eq!(one(text).offset, Some(2));
    }

    #[test]
    fn what_is_not_json_is_answered_with_its_text() {
        let error = parse("nope").unwrap_err().to_stream_error();
        assert_eq!(error.name, "InvalidAssignmentError");
        assert_eq!(error.origin, "KafkaSSE");
        assert_eq!(error.original_name.as_deref(), Some("SyntaxError"));
        assert_eq!(
            (error.last_event_id.as_deref(), error.status_code),
            (Some("nope"), Some(400))
        );
        let empty = parse("").unwrap_err().to_stream_error();
        assert_eq!(
            String::from_utf8(empty.to_json()).unwrap(),
            r#"{"message":"Unexpected end of JSON input","origin":"KafkaSSE","name":"InvalidAssignmentError","originalName":"SyntaxError","last_event_id":"","statusCode":400}"#
        );
    }

    #[test]
    fn what_is_no_list_of_positions_is_echoed() {
        for text in [
            "[]",
            "{}",
            "[{}]",
            "1",
            "null",
            "[1]",
            "[null]",
            r#"[""]"#,
            r#""""#,
            r#""a,""#,
            r#"[{"topic":"eqiad.a"}]"#,
            r#"[{"topic":"eqiad.a","partition":0}]"#,
            r#"[{"topic":"eqiad.a","partition":0,"timestamp":"1"}]"#,
            r#"[{"topic":"eqiad.a","partition":"0","offset":1}]"#,
            r#"[{"topic":"eqiad.a","partition":0,"offset":1.5}]"#,
            r#"[{"topic":7,"partition":0,"offset":1}]"#,
        ] {
            let error = parse(text).unwrap_err().to_stream_error();
            assert_eq!(error.message, NOT_ASSIGNMENTS, "{text}");
            assert_eq!(error.original_name.as_deref(), Some("Error"), "{text}");
            assert_eq!(
                error.assignments,
                Some(serde_json::from_str(text).unwrap()),
                "{text}"
            );
        }
    }

    #[test]
    fn size_and_depth_are_bounded() {
        let many = format!("[{}]", vec![r#""t""#; ELEMENTS_MAX + 1].join(","));
        assert_eq!(parse(&many), Err(CursorError::TooLarge));
        assert_eq!(
            parse(&format!("\"{}\"", "t,".repeat(ELEMENTS_MAX + 1) + "t")),
            Err(CursorError::TooLarge)
        );
        assert_eq!(
            parse(&" ".repeat(CURSOR_BYTES_MAX + 1)),
            Err(CursorError::TooLarge)
        );
        assert!(matches!(
            parse(&"[".repeat(100_000)),
            Err(CursorError::NotJson { .. })
        ));
    }
}

//! What is asked of the Realtime API (contract realtime §1.3).

use levada_wire::paths;
use serde_json::{Value, json};

use super::RealtimePosition;
use super::layout::{Layout, PlaceIn};

/// Parts of a stream; each is a tenth of its partitions.
pub const PARTS: u8 = 10;

/// A query of one stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RealtimeQuery {
    /// Name of the stream; `articles` or nothing means `/v2/articles`.
    pub stream: String,
    /// Fields to select; none selects all. The place of an event is added where it is not named, because
    /// the position is read from it: `event.*` of articles, `meta.partition` and `meta.offset` of others.
    pub fields: Vec<String>,
    /// Field and the value it must have.
    pub filters: Vec<(String, Value)>,
    /// Parts to read, 0 to 9; none means all.
    pub parts: Vec<u8>,
}

/// The query cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// There is no such part.
    #[error("there is no part {0}; parts are 0 to 9")]
    Part(u8),
    /// The name cannot stand in a path.
    #[error("{0:?} is no name of a stream")]
    Stream(String),
}

impl RealtimeQuery {
    /// The query with its parts in order.
    pub(super) fn checked(mut self) -> Result<Self, QueryError> {
        if let Some(part) = self.parts.iter().find(|part| **part >= PARTS) {
            return Err(QueryError::Part(*part));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !self.stream.chars().all(plain) {
            return Err(QueryError::Stream(self.stream));
        }
        if self.parts.is_empty() {
            self.parts = (0..PARTS).collect();
        }
        self.parts.sort_unstable();
        self.parts.dedup();
        Ok(self)
    }

    /// The parts dealt out over at most `connections`.
    pub(super) fn split(&self, connections: usize) -> Vec<Vec<u8>> {
        let groups = connections.clamp(1, self.parts.len());
        let group = |number: usize| self.parts.iter().skip(number).step_by(groups).copied().collect();
        (0..groups).map(group).collect()
    }

    pub(super) fn path(&self) -> String {
        match self.stream.as_str() {
            "" | "articles" => paths::ARTICLES.to_owned(),
            name => format!("{}/{name}", paths::STREAMS),
        }
    }

    /// The body of a request for `parts` from `position`. Positions always go by partition, which
    /// every server takes beside parts.
    pub(super) fn body(&self, parts: &[u8], position: &RealtimePosition, layout: Layout) -> Value {
        let mut body = json!({ "parts": parts });
        if !self.fields.is_empty() {
            let mut fields: Vec<&str> = self.fields.iter().map(String::as_str).collect();
            let (object, place): (&str, &[&str]) = match layout.place {
                PlaceIn::Event => ("event.", &["event.*"]),
                PlaceIn::Meta => ("meta.", &["meta.partition", "meta.offset"]),
            };
            if !fields.iter().any(|field| field.starts_with(object)) {
                fields.extend(place);
            }
            body["fields"] = json!(fields);
        }
        if !self.filters.is_empty() {
            let filter = |(field, value): &(String, Value)| json!({ "field": field, "value": value });
            body["filters"] = self.filters.iter().map(filter).collect();
        }
        let offsets = position.offsets();
        if !offsets.is_empty() {
            let text = |(partition, offset): (&u32, &u64)| (partition.to_string(), json!(offset));
            body["offsets"] = Value::Object(offsets.iter().map(text).collect());
        }
        if let Some(since) = position.start() {
            let rest = (0..layout.partitions).filter(|partition| !offsets.contains_key(partition));
            let times = rest.map(|partition| (partition.to_string(), json!(since.to_string())));
            let times: serde_json::Map<String, Value> = times.collect();
            if !times.is_empty() {
                body["since_per_partition"] = Value::Object(times);
            }
        }
        body
    }

    /// What tells queries apart, for [`ResumeFile::open_for`](crate::ResumeFile::open_for): not the
    /// parts, because positions are by partition.
    pub fn fingerprint(&self) -> String {
        format!(
            "{} {}",
            self.path(),
            json!({ "fields": self.fields, "filters": self.filters })
        )
    }
}

#[cfg(test)]
mod tests {
    use levada_event::Timestamp;

    use super::*;

    #[test]
    fn parts_are_dealt_out_once_each() {
        let query = RealtimeQuery::default().checked().unwrap();
        for connections in [0, 1, 3, 10, 99] {
            let mut all = query.split(connections).concat();
            all.sort_unstable();
            assert_eq!(all, query.parts, "{connections}");
        }
        assert_eq!(query.split(10).len(), 10);
        let odd = RealtimeQuery {
            parts: vec![2, 1, 2],
            ..RealtimeQuery::default()
        };
        assert_eq!(odd.checked().unwrap().split(5), [vec![1], vec![2]]);
        let beyond = RealtimeQuery {
            parts: vec![10],
            ..RealtimeQuery::default()
        };
        assert_eq!(beyond.checked(), Err(QueryError::Part(10)));
    }

    #[test]
    fn positions_go_by_partition_and_never_twice() {
        let query = RealtimeQuery {
            fields: vec!["name".into()],
            filters: vec![("in_language.identifier".into(), json!("en"))],
            ..RealtimeQuery::default()
        };
        let query = query.checked().unwrap();
        let mut position = RealtimePosition::since(Timestamp::from_millis(1000));
        position.advance(3, 45);
        let body = query.body(&[0], &position, Layout::ARTICLES);
        assert_eq!(body["fields"], json!(["name", "event.*"]));
        assert_eq!(body["offsets"], json!({"3": 46}));
        let times = body["since_per_partition"].as_object().unwrap();
        assert!(times.len() == 49 && !times.contains_key("3") && !body.to_string().contains("\"since\""));
        assert_eq!(
            query.body(&[1], &RealtimePosition::default(), Layout::ARTICLES)["parts"],
            json!([1])
        );
    }
}

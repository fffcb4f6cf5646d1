//! Parameters of a request: URL query, JSON body, form body, as the original binds them (contract
//! realtime §1.2, §1.3).

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use levada_event::Timestamp;
use levada_wire::ErrorCode;
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;

use super::{Position, Refusal, original};
use crate::http::{Call, body};

/// Largest body: 255 fields and 255 filters of ordinary size fit many times.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Most fields, and most filters (§1.3).
const LIST_MAX: usize = 255;

/// Positions that are taken whatever the number of partitions (§1.3).
const POSITIONS_MIN: u32 = 50;

/// Longest name of a field, in characters (§1.3).
const FIELD_CHARS_MAX: usize = 255;

/// What a request asks for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Params {
    pub(super) since: Option<Timestamp>,
    pub(super) fields: Vec<String>,
    /// Each the JSON text of one filter.
    pub(super) filters: Vec<String>,
    pub(super) parts: Vec<i64>,
    pub(super) offsets: BTreeMap<i64, i64>,
    /// By topic and partition, written `topic/partition`: beyond the original, for streams with several
    /// topics.
    pub(super) topic_offsets: BTreeMap<(String, i64), i64>,
    pub(super) since_per_partition: BTreeMap<i64, Timestamp>,
    strict: bool,
}

/// Reads the parameters and checks their lists; takes the body out of the call. `strict`: times only as
/// the original takes them.
pub(super) async fn read(call: &mut Call, deadline: Duration, strict: bool) -> Result<Params, Refusal> {
    let mut params = Params {
        strict,
        ..Params::default()
    };
    let headers = call.request.headers();
    let media_type = body::media_type(headers);
    let is_form = media_type == "application/x-www-form-urlencoded";
    let parts = headers
        .get(CONTENT_TYPE)
        .filter(|_| media_type == "multipart/form-data")
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let posted = call.request.method() == Method::POST;
    // A POST of JSON says everything in its body.
    if !posted || media_type != "application/json" {
        let query = call.request.uri().query().unwrap_or_default().to_owned();
        params.bind_pairs(&query).map_err(Refusal::unprocessable)?;
    }
    let bytes = read_body(call, deadline).await?;
    let text =
        std::str::from_utf8(&bytes).map_err(|_| Refusal::unprocessable("the body is not valid UTF-8"))?;
    if posted && is_form {
        params.bind_pairs(text).map_err(Refusal::unprocessable)?;
    } else if let Some(content_type) = parts.filter(|_| posted) {
        if !text.is_empty() {
            for (key, value) in multipart::fields(&content_type, text).map_err(Refusal::unprocessable)? {
                params.bind_field(&key, value).map_err(Refusal::unprocessable)?;
            }
        }
    } else if !text.trim().is_empty() {
        params.bind_json(text).map_err(Refusal::unprocessable)?;
    }
    params.check_lists().map_err(Refusal::unprocessable)?;
    Ok(params)
}

/// The body as text, within its size and within `deadline`: who sends one slowly holds a place.
async fn read_body(call: &mut Call, deadline: Duration) -> Result<Bytes, Refusal> {
    let headers = call.request.headers().clone();
    let reading = body::read(&headers, call.request.body_mut(), BODY_BYTES_MAX);
    match tokio::time::timeout(deadline, reading).await {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(error)) => {
            // Faults of the original's kind are 422; a size or an encoding it never refused has its own.
            let status = match error.code {
                ErrorCode::BodyTooLarge | ErrorCode::UnsupportedEncoding | ErrorCode::UnsupportedCharset => {
                    StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY)
                }
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            };
            Err(Refusal(status, error.detail))
        }
        Err(_) => Err(Refusal(
            StatusCode::REQUEST_TIMEOUT,
            "the body did not arrive within the deadline".into(),
        )),
    }
}

impl Params {
    fn bind_pairs(&mut self, text: &str) -> Result<(), String> {
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode = |text: &str| {
                percent_decode_str(&text.replace('+', " "))
                    .decode_utf8_lossy()
                    .into_owned()
            };
            self.bind_field(&decode(key), decode(value))?;
        }
        Ok(())
    }

    fn bind_field(&mut self, key: &str, value: String) -> Result<(), String> {
        match key {
            "since" if value.is_empty() => {}
            "since" => self.since = self.time("since", &value)?,
            "fields" => self.fields.push(value),
            "filters" => self.filters.push(value),
            "parts" => {
                let part = value.parse();
                let part = part
                    .map_err(|_| format!("parts={value}: write one integer, and repeat the key for more"))?;
                self.parts.push(part);
            }
            "offsets" => self.bind_offsets(&value)?,
            "since_per_partition" => {
                let times = self.times(&value)?;
                self.since_per_partition.extend(times);
            }
            _ => {}
        }
        Ok(())
    }

    /// Binds the first JSON value of `text`; a key that stands there replaces a list or scalar and
    /// extends a map.
    fn bind_json(&mut self, text: &str) -> Result<(), String> {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Box<RawValue>>();
        let value = match values.next() {
            Some(value) => value.map_err(|e| format!("the body is not JSON: {e}"))?,
            None => return Ok(()),
        };
        if value.get() == "null" {
            return Ok(());
        }
        let object: BTreeMap<String, Box<RawValue>> = serde_json::from_str(value.get())
            .map_err(|_| "the body must be a JSON object with since, fields, filters, parts, offsets or since_per_partition")?;
        for (key, value) in object {
            let value = value.get();
            if value == "null" {
                continue;
            }
            let typed = |what: &str| format!("{key} must be {what}");
            match &*key.to_ascii_lowercase() {
                "since" => {
                    let text: String = serde_json::from_str(value)
                        .map_err(|_| "Time.UnmarshalJSON: input is not a JSON string".to_owned())?;
                    self.since = self.time("since", &text)?;
                }
                "fields" => {
                    self.fields = serde_json::from_str(value).map_err(|_| typed("a list of strings"))?;
                }
                "filters" => {
                    let list: Vec<Box<RawValue>> =
                        serde_json::from_str(value).map_err(|_| typed("a list of filters"))?;
                    self.filters = list.iter().map(|filter| filter.get().to_owned()).collect();
                }
                "parts" => {
                    self.parts = serde_json::from_str(value).map_err(|_| typed("a list of integers"))?;
                }
                "offsets" => self.bind_offsets(value)?,
                "since_per_partition" => {
                    let times = self.times(value)?;
                    self.since_per_partition.extend(times);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn check_lists(&self) -> Result<(), String> {
        for (name, length) in [("Fields", self.fields.len()), ("Filters", self.filters.len())] {
            if length > LIST_MAX {
                return Err(format!(
                    "Key: 'Model.{name}' Error:Field validation for '{name}' failed on the 'max' tag"
                ));
            }
        }
        for (index, field) in self.fields.iter().enumerate() {
            let tag = match field.chars().count() {
                0 => "min",
                1..=FIELD_CHARS_MAX => continue,
                _ => "max",
            };
            return Err(format!(
                "Key: 'Model.Fields[{index}]' Error:Field validation for 'Fields[{index}]' failed on the '{tag}' tag"
            ));
        }
        Ok(())
    }

    /// No start may lie in the future, not even of a partition that is not read.
    pub(super) fn check_times(&self, now: Timestamp) -> Result<(), String> {
        if let Some(since) = self.since.filter(|since| *since > now) {
            return Err(format!("since time {since} cannot be in the future"));
        }
        match self.since_per_partition.iter().find(|(_, time)| **time > now) {
            Some((partition, time)) => Err(format!(
                "since_per_partition for partition {partition} has future time {time}"
            )),
            None => Ok(()),
        }
    }

    /// At most one position per partition, counted before irrelevant ones are dropped. Fifty are taken
    /// for every stream, as many as clients of articles send.
    pub(super) fn check_sizes(&self, partitions: u32) -> Result<(), String> {
        let partitions = partitions.max(POSITIONS_MIN);
        let lengths = [
            ("offsets", self.offsets.len() + self.topic_offsets.len()),
            ("since_per_partition", self.since_per_partition.len()),
        ];
        match lengths.iter().find(|(_, length)| *length > partitions as usize) {
            Some((name, length)) => Err(format!(
                "the query param {name} has length {length}, max allowed length {partitions}"
            )),
            None => Ok(()),
        }
    }

    /// The positions in partitions that are read, of all topics alike.
    pub(super) fn positions(&self, chosen: impl Fn(i64) -> bool) -> Result<Vec<(u32, Position)>, String> {
        let mut positions = Vec::new();
        let partition = |number: &i64| u32::try_from(*number).ok().filter(|_| chosen(*number));
        for (number, offset) in &self.offsets {
            let Some(place) = partition(number) else { continue };
            if self.since_per_partition.contains_key(number) {
                return Err("for a specific partion, specify either offset or time-offset (since_per_partition), not both".into());
            }
            positions.push((place, Position::Offset(*offset)));
        }
        // An offset that names its topic is one in that partition too; a time is one in every topic.
        for (topic, number) in self.topic_offsets.keys().filter(|(_, number)| chosen(*number)) {
            if self.since_per_partition.contains_key(number) {
                return Err("for a specific partion, specify either offset or time-offset (since_per_partition), not both".into());
            }
            if self.offsets.contains_key(number) {
                return Err(format!(
                    "offsets name partition {number} twice, as {number} and as {topic}/{number}; write one of them"
                ));
            }
        }
        for (number, time) in &self.since_per_partition {
            if let Some(place) = partition(number) {
                positions.push((place, Position::Since(*time)));
            }
        }
        Ok(positions)
    }

    fn bind_offsets(&mut self, text: &str) -> Result<(), String> {
        let all: BTreeMap<String, Option<i64>> = map("offsets", text, "offset")?;
        for (key, offset) in all {
            let offset = offset.unwrap_or(0);
            let of_topic = || {
                key.rsplit_once('/')
                    .and_then(|(t, p)| Some((t.to_owned(), p.parse().ok()?)))
            };
            if let Ok(partition) = key.parse() {
                self.offsets.insert(partition, offset);
            } else if let Some(place) = of_topic() {
                self.topic_offsets.insert(place, offset);
            } else {
                return Err(format!(
                    "offsets must be a JSON object from partition to offset: {key:?} is no partition"
                ));
            }
        }
        Ok(())
    }

    fn times(&self, text: &str) -> Result<BTreeMap<i64, Timestamp>, String> {
        let all: BTreeMap<i64, String> = map("since_per_partition", text, "time")?;
        let mut times = BTreeMap::new();
        for (partition, text) in all {
            if let Some(time) = self.time("since_per_partition", &text)? {
                times.insert(partition, time);
            }
        }
        Ok(times)
    }

    fn time(&self, name: &str, text: &str) -> Result<Option<Timestamp>, String> {
        if self.strict && !original::is_strict(text) {
            return Err(format!("{name} {text:?} is not a time of RFC 3339 with its zone"));
        }
        time(name, text)
    }
}

fn map<K, V>(name: &str, text: &str, values: &str) -> Result<BTreeMap<K, V>, String>
where
    K: Ord + serde::de::DeserializeOwned,
    V: serde::de::DeserializeOwned,
{
    if text == "null" {
        return Ok(BTreeMap::new());
    }
    serde_json::from_str(text)
        .map_err(|e| format!("{name} must be a JSON object from partition to {values}: {e}"))
}

/// RFC 3339; beyond the original a time without a zone is UTC, and a `+` that became a space on its
/// way through a URL is understood. The zero time of Go means "not set".
fn time(name: &str, text: &str) -> Result<Option<Timestamp>, String> {
    let fixed = match text.rsplit_once(' ') {
        Some((time, zone)) if time.contains('T') => format!("{time}+{zone}"),
        _ => text.to_owned(),
    };
    let spelled = fixed.as_bytes();
    let well_formed = spelled.len() >= 19 && spelled[10] == b'T' && !fixed.ends_with('z');
    let time = well_formed.then(|| Timestamp::parse_iso(&fixed)).flatten();
    match time {
        Some(_) if fixed == "0001-01-01T00:00:00Z" => Ok(None),
        Some(time) => Ok(Some(time)),
        None => Err(format!(
            "{name} {text:?} is not a time: write RFC 3339, as in 2026-01-31T23:59:59Z"
        )),
    }
}

mod multipart;

#[cfg(test)]
mod tests;

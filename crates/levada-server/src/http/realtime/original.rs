//! What the original Realtime API does where Levada does better: for `compat.realtime` (contract realtime
//! §1.3 to §1.10).

use std::collections::BTreeMap;

use http::header::{ACCEPT, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use levada_event::filter::Filter;
use levada_event::json::{Document, Kind};
use levada_event::{Offset, TopicPartition};
use levada_log::Log;
use levada_wire::Element;

use super::fields::Fields;
use super::{Refusal, negotiate};
use crate::delivery::{Format, From, TopicRequest};
use crate::http::respond::{Body, plain};

/// Events per second over a connection that reads everything.
pub(super) const EVENTS_PER_SECOND: u32 = 50;

/// Integers from here on are printed with an exponent, and then match nothing (§1.5).
const INTEGERS_BELOW: f64 = 1e6;

/// Whether a time ends in `Z` or an offset with hours and minutes, and has no hour 24 and no second 60; the
/// zero time of Go counts too.
pub(super) fn is_strict(text: &str) -> bool {
    let zone = text.get(19..).unwrap_or_default();
    let zone = zone.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ',');
    let is_offset = zone.starts_with(['+', '-']) && zone.len() == 6 && zone.as_bytes()[3] == b':';
    let leaps = text.get(11..13) == Some("24") || text.get(17..19) == Some("60");
    (zone == "Z" || is_offset) && !leaps
}

/// The answer to a path of the API with a slash at its end.
pub(in crate::http) fn without_slash(method: &Method, path: &str, query: Option<&str>) -> Response<Body> {
    let mut to = path.trim_end_matches('/').to_owned();
    if let Some(query) = query {
        to = format!("{to}?{query}");
    }
    let status = if method == Method::GET {
        StatusCode::MOVED_PERMANENTLY
    } else {
        StatusCode::TEMPORARY_REDIRECT
    };
    let reason = status.canonical_reason().unwrap_or_default();
    let escaped = to
        .replace('&', "&amp;")
        .replace('"', "&#34;")
        .replace('<', "&lt;");
    let page = format!("<a href=\"{escaped}\">{reason}</a>.\n\n");
    let mut response = plain(status, "text/html; charset=utf-8", page);
    if let Ok(to) = HeaderValue::try_from(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

/// The format by `Accept`: the first entry, in the order of the header and whatever its `q`, that is the
/// beginning of an offer or a pattern for one; NDJSON with a broken content type without one (§1.8).
pub(super) fn format(headers: &HeaderMap) -> Result<(Format, &'static str), Refusal> {
    let accept = headers
        .get(ACCEPT)
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    let accept = accept.filter(|accept| !accept.is_empty());
    let Some(accept) = accept else {
        return Ok((Format::Sse, negotiate::SSE));
    };
    for entry in accept.split(',') {
        let entry = entry.split(';').next().unwrap_or_default().trim();
        for (format, content_type) in [(Format::Sse, negotiate::SSE), (Format::Ndjson, negotiate::NDJSON)] {
            let offer = content_type.split(';').next().unwrap_or_default();
            if entry.len() > offer.len() && entry.starts_with(offer) {
                return Err(Refusal(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    format!("Accept: {entry}"),
                ));
            }
            let begins = match entry.split_once('*') {
                Some((start, _)) => offer.starts_with(start),
                None => entry == offer,
            };
            if begins {
                return Ok((format, content_type));
            }
        }
    }
    Ok((Format::Ndjson, "; charset=utf-8"))
}

/// Filters: of several on one field the last counts, every element of a list must match, and numbers
/// are compared as they are printed (§1.5).
pub(super) fn filters(texts: &[String], known: &Fields<'_>) -> Result<Vec<Filter>, Refusal> {
    let mut by_field: BTreeMap<String, Filter> = BTreeMap::new();
    for text in texts {
        let document =
            Document::parse(text.as_bytes()).map_err(|error| Refusal::unprocessable(error.to_string()))?;
        let root = document.root();
        if root.kind() != Kind::Object {
            return Err(Refusal::unprocessable(
                "a filter is an object with field and value",
            ));
        }
        let entry = |name: &str| {
            let mut entries = root.entries();
            entries.find_map(|(key, value)| {
                let key = key.as_str().unwrap_or_default();
                key.eq_ignore_ascii_case(name).then_some(value)
            })
        };
        let name = match entry("field").map(|field| field.as_str()) {
            None => String::new(),
            Some(Some(name)) => name.into_owned(),
            Some(None) => return Err(Refusal::unprocessable("the field of a filter is a string")),
        };
        known.filter(&name).map_err(Refusal::unprocessable)?;
        let value = entry("value").filter(|value| value.kind() != Kind::Null);
        let Some(value) = value else {
            let message = format!("the filter '{name}' has no value");
            return Err(Refusal(StatusCode::INTERNAL_SERVER_ERROR, message));
        };
        let plainly = serde_json::json!({ "field": name });
        let mut plainly = plainly.to_string();
        plainly.pop();
        plainly = format!("{plainly},\"value\":{}}}", value.raw());
        let filter = Filter::from_json(&plainly, &|name| known.filter(name));
        let filter = filter.map_err(|error| Refusal::unprocessable(error.to_string()))?;
        let never = value.kind() == Kind::Number
            && value.raw().parse().is_ok_and(|number: f64| {
                number.abs() >= INTEGERS_BELOW || number.fract() != 0.0 || known.is_float(&name)
            });
        let filter = if never {
            Filter::not(Filter::all(Vec::new()))
        } else {
            filter
        };
        by_field.insert(name, filter);
    }
    Ok(by_field.into_values().collect())
}

/// Offsets that are not kept any more, or not yet there, mean live.
pub(super) async fn forget_gone(log: &dyn Log, topics: &[TopicRequest], from: &mut From) {
    let From::Each { elements, .. } = from else { return };
    let mut kept = Vec::with_capacity(elements.len());
    for element in std::mem::take(elements) {
        let place = match &element {
            Element::Partition(e) => (e.offset, u32::try_from(e.partition), &e.topic),
            Element::Topic(_) => continue,
        };
        if let (Some(offset), Ok(partition), name) = place
            && let Ok(offset) = Offset::try_from(offset)
            && let Some(topic) = topics.iter().find(|topic| topic.spec.name.as_str() == name)
        {
            let of = TopicPartition::new(topic.spec.name.clone(), partition);
            // Where the log does not answer, opening the stream will say so.
            let gone = log
                .bounds(&of)
                .await
                .is_ok_and(|bounds| offset < bounds.earliest || offset > bounds.next);
            if gone {
                continue;
            }
        }
        kept.push(element);
    }
    *elements = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_without_a_zone_are_known() {
        for (text, has) in [
            ("2025-01-01T00:00:00Z", true),
            ("2025-01-01T00:00:00.5+01:00", true),
            ("2025-01-01T00:00:00,5-01:00", true),
            ("2025-01-01T00:00:00+01", false),
            ("2025-01-01T00:00:00+0100", false),
            ("2025-01-01T24:00:00Z", false),
            ("2016-12-31T23:59:60Z", false),
            ("2025-01-01T00:00:00", false),
            ("2025-01-01T00:00:00.5", false),
            ("2025-01-01T00:00:00 00:00", false),
            ("2025-01-01", false),
            ("", false),
        ] {
            assert_eq!(is_strict(text), has, "{text}");
        }
    }

    #[test]
    fn accept_is_read_as_the_original_reads_it() {
        let of = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            format(&headers).map_err(|Refusal(status, _)| status.as_u16())
        };
        assert_eq!(of("*/*"), Ok((Format::Sse, negotiate::SSE)));
        assert_eq!(of("application/*"), Ok((Format::Ndjson, negotiate::NDJSON)));
        let q = of("application/x-ndjson;q=0.1, text/event-stream");
        assert_eq!(q, Ok((Format::Ndjson, negotiate::NDJSON)));
        assert_eq!(of("application/json"), Ok((Format::Ndjson, "; charset=utf-8")));
        assert_eq!(of("application/x-ndjson2"), Err(500));
    }
}

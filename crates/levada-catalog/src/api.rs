//! The streamconfigs API: answers about stream configuration, as pure functions (contract
//! eventplatform §4).

mod answer;
mod constraint;
mod php;
mod query;

use std::time::SystemTime;

use bytes::Bytes;
use serde_json::{Map, Value, json};

pub use answer::ApiAnswer;
pub use query::Query;

use crate::Compat;
use crate::snapshot::Snapshot;
use crate::stream::Stream;
use constraint::Constraints;
use query::{Multi, TooMany};

/// The answer to `GET` or `POST /w/api.php?action=streamconfigs`. Failures are answers too, with
/// status 200 and the header `MediaWiki-API-Error`, as clients of the Action API expect.
///
/// `if_none_match` is the request header of that name; where it names the answer, the status is 304.
pub fn stream_configs(
    snapshot: &Snapshot,
    query: &Query,
    if_none_match: Option<&str>,
    now: SystemTime,
    compat: &Compat,
) -> ApiAnswer {
    match respond(snapshot, query, compat) {
        Ok(body) => ApiAnswer::public(body, if_none_match, now),
        Err(fault) => ApiAnswer::failure(&fault),
    }
}

/// The answer to a `POST` whose form cannot be read for the reason `info`, with the status that says whose
/// fault it is: the shape of the API's other failures.
pub fn unreadable_form(status: u16, info: String) -> ApiAnswer {
    let fault = Fault {
        code: "unreadableform",
        info,
        more: Map::new(),
    };
    ApiAnswer {
        status,
        ..ApiAnswer::failure(&fault)
    }
}

/// The answer to `GET /v1/stream-configs` and `/v1/stream-configs/{names}` as EventGate gives it: a
/// map from name to settings without a wrapper. `names` are separated by `,` or `|`; without names it
/// is all streams. Names without configuration are left out. With `service`, streams of other
/// services count as not configured.
pub fn eventgate_stream_configs(
    snapshot: &Snapshot,
    names: Option<&str>,
    service: Option<&str>,
) -> ApiAnswer {
    let mine = |stream: &Stream| {
        service.is_none_or(|service| stream.destination_event_service.as_deref() == Some(service))
    };
    let mut body = Map::new();
    match names {
        None => {
            for stream in snapshot.streams().iter().filter(|stream| mine(stream)) {
                body.insert(stream.name.clone(), Value::Object(shown(stream)));
            }
        }
        Some(names) => {
            for name in names
                .split([',', '|'])
                .filter(|name| !name.is_empty())
                .take(query::STREAMS_HIGH_MAX)
            {
                if let Some(stream) = snapshot.stream(name).filter(|stream| mine(stream)) {
                    body.insert(name.to_owned(), Value::Object(shown(&stream)));
                }
            }
        }
    }
    ApiAnswer::plain(Bytes::from(Value::Object(body).to_string()))
}

/// Why a request is not answered: code, text for people, and further keys of the error.
struct Fault {
    code: &'static str,
    info: String,
    more: Map<String, Value>,
}

fn respond(snapshot: &Snapshot, query: &Query, compat: &Compat) -> Result<Bytes, Fault> {
    match query.get("action") {
        Some("streamconfigs") => {}
        Some(other) => return Err(unrecognized("action", other)),
        None => {
            let info = "The \"action\" parameter must be set.".to_owned();
            return Err(Fault {
                code: "missingparam",
                info,
                more: Map::new(),
            });
        }
    }
    if let Some(version) = query
        .get("formatversion")
        .filter(|v| !matches!(*v, "2" | "latest"))
    {
        return Err(unrecognized("formatversion", version));
    }
    let high = query.high_limits();
    let streams = query.multi("streams", Multi::STREAMS, high).map_err(too_many)?;
    let constraints = query
        .multi("constraints", Multi::CONSTRAINTS, high)
        .map_err(too_many)?;
    let warnings = query.warnings();
    if streams.is_none() && constraints.is_none() && warnings.is_empty() && !compat.empty_maps_as_lists {
        return Ok(snapshot
            .full_answer
            .get_or_init(|| {
                body(
                    snapshot.streams().iter().map(|s| (s.name.as_str(), &**s)),
                    warnings,
                    compat,
                )
            })
            .clone());
    }
    let constraints = Constraints::parse(constraints.as_deref().unwrap_or_default());
    let matching = |stream: &Stream| constraints.match_stream(stream, compat);
    Ok(match streams {
        None => {
            let all = snapshot.streams().iter().filter(|stream| matching(stream));
            body(
                all.map(|stream| (stream.name.as_str(), &**stream)),
                warnings,
                compat,
            )
        }
        Some(names) => {
            let found: Vec<_> = names
                .iter()
                .filter_map(|name| Some((name.as_str(), snapshot.stream(name)?)))
                .filter(|(_, stream)| matching(stream))
                .collect();
            body(
                found.iter().map(|(name, stream)| (*name, &**stream)),
                warnings,
                compat,
            )
        }
    })
}

fn body<'a>(
    streams: impl Iterator<Item = (&'a str, &'a Stream)>,
    warnings: Map<String, Value>,
    compat: &Compat,
) -> Bytes {
    let mut answer = Map::new();
    if !warnings.is_empty() {
        answer.insert("warnings".into(), Value::Object(warnings));
    }
    let mut map = Map::new();
    for (name, stream) in streams {
        let mut settings = shown(stream);
        if compat.empty_maps_as_lists {
            settings.values_mut().for_each(php::empty_maps_to_lists);
        }
        map.insert(name.to_owned(), Value::Object(settings));
    }
    answer.insert("streams".into(), Value::Object(map));
    Bytes::from(Value::Object(answer).to_string())
}

/// A stream's settings as outsiders see them: which pages are redacted is nobody else's business.
fn shown(stream: &Stream) -> Map<String, Value> {
    let mut settings = stream.settings.clone();
    if let Some(Value::Object(levada)) = settings.get_mut("levada") {
        levada.shift_remove("redaction");
    }
    settings
}

fn unrecognized(parameter: &str, value: &str) -> Fault {
    let value: String = value.chars().take(200).collect();
    Fault {
        code: "badvalue",
        info: format!("Unrecognized value for parameter \"{parameter}\": {value}."),
        more: Map::new(),
    }
}

fn too_many(fault: TooMany) -> Fault {
    let TooMany {
        parameter,
        limit,
        low,
        high,
    } = fault;
    let more = json!({"parameter": parameter, "limit": limit, "lowlimit": low, "highlimit": high});
    Fault {
        code: "toomanyvalues",
        info: format!("Too many values supplied for parameter \"{parameter}\". The limit is {limit}."),
        more: match more {
            Value::Object(more) => more,
            _ => Map::new(),
        },
    }
}

//! Which topics a stream consists of (contract eventplatform §3.4).

use serde_json::{Map, Value};

use crate::pattern::Pattern;

/// The topics of `name` and whether they were computed. A name that is a pattern has one pattern of
/// topics.
pub(super) fn topics(
    settings: &Map<String, Value>,
    name: &str,
    pattern: Option<&Pattern>,
) -> Result<(Vec<String>, bool), String> {
    if let Some(explicit) = strings(settings, "topics")? {
        return Ok((explicit, false));
    }
    let Some(prefixes) = strings(settings, "topic_prefixes")? else {
        return Ok((vec![name.to_owned()], true));
    };
    let computed = match pattern {
        Some(pattern) => vec![pattern.with_prefixes(&prefixes)],
        None => prefixes.iter().map(|prefix| format!("{prefix}{name}")).collect(),
    };
    Ok((computed, true))
}

/// A setting that is a list of strings, null or absent.
fn strings(settings: &Map<String, Value>, key: &str) -> Result<Option<Vec<String>>, String> {
    let list = match settings.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(list)) => list.clone(),
        // A list whose indices were changed by a merge, or an empty one written as a map.
        Some(Value::Object(map)) => map.values().cloned().collect(),
        Some(_) => return Err(format!("{key} is no list")),
    };
    list.into_iter()
        .map(|item| match item {
            Value::String(text) => Ok(text),
            _ => Err(format!("{key} has an item that is no string")),
        })
        .collect::<Result<_, _>>()
        .map(Some)
}

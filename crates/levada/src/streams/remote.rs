//! Stream configuration as a server answers it.

use std::time::Duration;

use levada_client::Server;
use levada_wire::{Problem, paths};
use serde_json::{Map, Value};

use crate::exit::{Exit, Failure};

/// Longest wait for the answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Largest answer: hundred times the configuration of Wikimedia.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// All streams, or the one with this name, with their settings.
pub(super) async fn streams(server: &Server, name: Option<&str>) -> Result<Map<String, Value>, Failure> {
    let mut path = format!(
        "{}?action=streamconfigs&format=json&formatversion=2&all_settings=1",
        paths::API
    );
    if let Some(name) = name {
        path.push_str("&streams=");
        path.push_str(&levada_wire::subscription::encoded(name));
    }
    let (status, body) = server
        .get(&path, ANSWER_BYTES_MAX, TIMEOUT)
        .await
        .map_err(|reason| Failure::new(Exit::Unavailable, reason))?;
    if status != 200 {
        let problem = serde_json::from_slice::<Problem>(&body).ok();
        let detail = problem
            .map(|problem| format!(": {}", problem.detail))
            .unwrap_or_default();
        let exit = if status >= 500 {
            Exit::Unavailable
        } else {
            Exit::Refused
        };
        return Err(Failure::new(
            exit,
            format!("{} answered with status {status}{detail}", server.url()),
        ));
    }
    read(&body).map_err(|reason| Failure::new(Exit::Refused, format!("{}: {reason}", server.url())))
}

/// Reads an answer of the stream configuration API.
fn read(body: &[u8]) -> Result<Map<String, Value>, String> {
    let answer: Value = serde_json::from_slice(body)
        .map_err(|error| format!("the answer is no stream configuration: {error}"))?;
    if let Some(error) = answer.get("error") {
        let info = error
            .get("info")
            .and_then(Value::as_str)
            .unwrap_or("no reason given");
        return Err(format!("the server says: {info}"));
    }
    match answer.get("streams") {
        Some(Value::Object(streams)) => Ok(streams.clone()),
        // PHP writes an empty map as a list.
        Some(Value::Array(none)) if none.is_empty() => Ok(Map::new()),
        _ => Err("the answer is no stream configuration".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_the_api_gives_them() {
        let streams = read(br#"{"streams":{"b":{"schema_title":"x"},"a":{}}}"#).unwrap();
        assert_eq!(streams.keys().collect::<Vec<_>>(), ["b", "a"]);
        assert!(read(br#"{"streams":[]}"#).unwrap().is_empty());
        assert!(
            read(br#"{"error":{"code":"badvalue","info":"no such thing"}}"#)
                .unwrap_err()
                .contains("no such thing")
        );
        assert!(read(b"<html>").is_err());
        assert!(read(b"{}").is_err());
    }
}

//! What an answer of each service must look like to be believed. An answer of another shape is a fault: it is neither
//! kept nor taken for "there is no such thing".

use super::Fault;
use crate::note::NoteKind;
use crate::parse::most_read;
use crate::upstream::{Request, Response};
use bytes::Bytes;
use serde_json::{Map, Value};

/// The answer to an action API query: an object without an `error` (the API reports its own failures with status 200),
/// whose `query` is an object if there is one.
pub(super) fn query(request: &Request, answer: &Response) -> Result<Bytes, Fault> {
    let action = action(request, answer)?;
    match action.get("query") {
        None | Some(Value::Object(_)) => Ok(answer.body.clone()),
        Some(_) => Err(Fault::unreadable(request, "the query in the answer is no object")),
    }
}

/// The answer of `wbgetentities`: as [`query`], with `entities`.
pub(super) fn entities(request: &Request, answer: &Response) -> Result<Bytes, Fault> {
    match action(request, answer)?.get("entities") {
        // Nothing found is an empty array where PHP makes no difference between the two.
        Some(Value::Object(_) | Value::Array(_)) => Ok(answer.body.clone()),
        _ => Err(Fault::unreadable(request, "no entities in the answer")),
    }
}

/// A day's list of the pageview service; an empty one is a list that is not there yet.
pub(super) fn top(request: &Request, answer: &Response) -> Result<Bytes, Fault> {
    let (_, notes) = most_read::parse_top(&answer.body);
    let malformed = notes.iter().find(|note| note.kind == NoteKind::MalformedJson);
    match malformed {
        None => Ok(answer.body.clone()),
        Some(note) => Err(Fault::unreadable(
            request,
            &format!("no list in the answer: {note}"),
        )),
    }
}

/// A page's views per day.
pub(super) fn history(request: &Request, answer: &Response) -> Result<Bytes, Fault> {
    match most_read::parse_history(&answer.body) {
        Some(_) => Ok(answer.body.clone()),
        None => Err(Fault::unreadable(request, "no views in the answer")),
    }
}

/// Whether a day's list has no page: it is not loaded yet.
pub(super) fn is_empty_top(body: &[u8]) -> bool {
    // A list of one page is shorter than this, and one of many need not be read to tell.
    body.len() < 4_096 && most_read::parse_top(body).0.is_none_or(|top| top.rows.is_empty())
}

/// Whether a page's views have the day `YYYYMMDD`.
pub(super) fn has_day(body: &[u8], day: &str) -> bool {
    let quoted = format!("\"{day}");
    body.windows(quoted.len())
        .any(|window| window == quoted.as_bytes())
}

fn action(request: &Request, answer: &Response) -> Result<Map<String, Value>, Fault> {
    let action: Map<String, Value> = serde_json::from_slice(&answer.body)
        .map_err(|error| Fault::unreadable(request, &format!("not an answer of the API: {error}")))?;
    match action.get("error") {
        None => Ok(action),
        Some(error) => {
            let code = error.get("code").and_then(Value::as_str).unwrap_or("unknown");
            Err(Fault::unreadable(request, &format!("the API reports {code}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::doubles::request;

    fn says(read: impl Fn(&Request, &Response) -> Result<Bytes, Fault>, body: &str) -> Option<String> {
        let answer = Response::json(200, body.to_owned());
        read(&request("http://h/w/api.php"), &answer)
            .err()
            .map(|fault| fault.reason())
    }

    #[test]
    fn an_answer_of_another_shape_is_a_fault() {
        for body in [
            "",
            "null",
            "[]",
            "7",
            "<html>",
            r#"{"query":7}"#,
            r#"{"query":null}"#,
            r#"{"query":[]}"#,
        ] {
            assert!(says(query, body).is_some(), "{body}");
        }
        for body in ["{}", r#"{"batchcomplete":true}"#, r#"{"query":{"pages":[]}}"#] {
            assert_eq!(says(query, body), None, "{body}");
        }
        let refused = r#"{"error":{"code":"readonly","info":"x"}}"#;
        assert!(says(query, refused).is_some_and(|why| why.ends_with("the API reports readonly")));
        assert!(says(entities, refused).is_some() && says(entities, "{}").is_some());
        assert_eq!(says(entities, r#"{"entities":{}}"#), None);
        assert_eq!(says(entities, r#"{"entities":[]}"#), None);
        for body in [
            "null",
            "[]",
            "{}",
            r#"{"items":7}"#,
            r#"{"items":[{"articles":7}]}"#,
        ] {
            assert!(says(top, body).is_some(), "{body}");
        }
        assert_eq!(says(top, r#"{"items":[]}"#), None);
        assert!(says(history, "{}").is_some() && says(history, "null").is_some());
        assert_eq!(says(history, r#"{"items":[]}"#), None);
    }
}

//! Error bodies: the problem body of the intake and of EventStreams, and the shape that EventStreams
//! uses for faults of a cursor and for errors inside a running stream.

use serde::{Deserialize, Deserializer, Serialize};

use crate::ErrorCode;

/// The problem body: keys exactly `status,type,title,detail,method,uri` in this order (contract
/// eventstreams §1.6, eventplatform §1.2), and `code` behind them where the caller may add it.
/// EventStreams' own answers must not carry a code: clients' conformance tests compare the key set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// HTTP status, repeated.
    #[serde(default)]
    pub status: u16,
    /// Kind of problem in a word, such as `not_found`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The problem in a few words.
    #[serde(default)]
    pub title: String,
    /// The problem in a sentence, with the value that caused it.
    #[serde(default)]
    pub detail: String,
    /// HTTP method of the request.
    #[serde(default)]
    pub method: String,
    /// Path and query of the request, as sent.
    #[serde(default)]
    pub uri: String,
    /// The machine-readable code; unknown ones read as none.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "lenient_code"
    )]
    pub code: Option<ErrorCode>,
}

impl Problem {
    /// The body's bytes.
    pub fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }
}

/// Errors in the shape of the streaming library of EventStreams: what a bad `Last-Event-ID` is
/// answered with, and the data of an `event: error` frame (contract eventstreams §1.6). Absent keys
/// are left out; the body of a response ends with a line feed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamError {
    /// What happened, in a sentence.
    #[serde(default)]
    pub message: String,
    /// Which part noticed: `KafkaSSE` for faults of the request.
    #[serde(default)]
    pub origin: String,
    /// Name of the error, such as `InvalidAssignmentError`.
    #[serde(default)]
    pub name: String,
    /// Name of the error underneath.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub original_name: Option<String>,
    /// The header value, where it could not be read.
    #[serde(rename = "last_event_id", skip_serializing_if = "Option::is_none", default)]
    pub last_event_id: Option<String>,
    /// The header value, where it could be read and makes no sense.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub assignments: Option<serde_json::Value>,
    /// The topics that could have been asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub available_topics: Option<Vec<String>>,
    /// HTTP status, repeated.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status_code: Option<u16>,
    /// The machine-readable code (an addition; inside running streams only).
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "lenient_code"
    )]
    pub code: Option<ErrorCode>,
}

impl StreamError {
    /// The answer to a cursor that names topics which the requested streams do not have.
    pub fn topic_not_available(topics: &[&str], available: &[&str]) -> Self {
        Self {
            message: format!("Topics {} are not available for consumption.", topics.join(",")),
            origin: "KafkaSSE".to_owned(),
            name: "TopicNotAvailableError".to_owned(),
            available_topics: Some(available.iter().map(|&topic| topic.to_owned()).collect()),
            status_code: Some(404),
            ..Self::default()
        }
    }

    /// An error inside a running stream, for the data of an `event: error` frame.
    pub fn in_band(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            origin: "levada".to_owned(),
            name: "StreamError".to_owned(),
            code: Some(code),
            ..Self::default()
        }
    }

    /// The text of the response's reason phrase: `<name>: <message>`, fit for a status line (only
    /// visible ASCII and spaces, at most 256 bytes).
    pub fn reason(&self) -> String {
        crate::report::reason_phrase(&format!("{}: {}", self.name, self.message))
    }

    /// The JSON text, without a line feed at its end.
    pub fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }
}

fn to_json(body: &impl Serialize) -> Vec<u8> {
    // Strings, numbers and string keys only: serialising to memory cannot fail. An empty body would
    // still be a truthful answer beside its status.
    serde_json::to_vec(body).unwrap_or_default()
}

fn lenient_code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ErrorCode>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem() -> Problem {
        Problem {
            status: 400,
            kind: "not_found".into(),
            title: "Stream Not Found".into(),
            detail: "Invalid streams: zzz".into(),
            method: "GET".into(),
            uri: "/v2/stream/zzz?since=\"x\"".into(),
            code: None,
        }
    }

    #[test]
    fn problems_have_exactly_the_keys_of_the_contract() {
        assert_eq!(
            String::from_utf8(problem().to_json()).unwrap(),
            r#"{"status":400,"type":"not_found","title":"Stream Not Found","detail":"Invalid streams: zzz","method":"GET","uri":"/v2/stream/zzz?since=\"x\""}"#
        );
        let coded = Problem {
            code: Some(ErrorCode::BodyTooLarge),
            ..problem()
        };
        assert!(
            String::from_utf8(coded.to_json())
                .unwrap()
                .ends_with(r#","code":"body_too_large"}"#)
        );
    }

    #[test]
    fn problems_read_back_also_with_unknown_parts() {
        let coded = Problem {
            code: Some(ErrorCode::BodyTooLarge),
            ..problem()
        };
        assert_eq!(
            serde_json::from_slice::<Problem>(&coded.to_json()).unwrap(),
            coded
        );
        let odd: Problem = serde_json::from_str(r#"{"status":500,"code":"from_the_future","x":1}"#).unwrap();
        assert_eq!((odd.status, odd.code), (500, None));
    }

    #[test]
    fn stream_errors_have_the_shapes_of_the_reference() {
        let error = StreamError::topic_not_available(&["eqiad.b"], &["eqiad.a", "codfw.a"]);
        assert_eq!(
            String::from_utf8(error.to_json()).unwrap(),
            r#"{"message":"Topics eqiad.b are not available for consumption.","origin":"KafkaSSE","name":"TopicNotAvailableError","availableTopics":["eqiad.a","codfw.a"],"statusCode":404}"#
        );
        assert_eq!(
            error.reason(),
            "TopicNotAvailableError: Topics eqiad.b are not available for consumption."
        );
    }
}

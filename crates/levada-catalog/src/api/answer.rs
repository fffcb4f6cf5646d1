//! Answers with their headers, ready to be sent.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::Fault;

/// How long caches may keep an answer, as the original API allows them.
const MAX_AGE: Duration = Duration::from_secs(600);

/// An answer of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiAnswer {
    /// 200, or 304 without a body; 400 or 413 for a form that cannot be read.
    pub status: u16,
    /// Response headers; `Content-Length` is left to the server.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: Bytes,
}

impl ApiAnswer {
    pub(super) fn public(body: Bytes, if_none_match: Option<&str>, now: SystemTime) -> Self {
        let etag = etag(&body);
        let seconds = MAX_AGE.as_secs();
        let mut headers = vec![
            ("ETag", etag.clone()),
            (
                "Cache-Control",
                format!("max-age={seconds}, s-maxage={seconds}, public"),
            ),
            ("Expires", httpdate::fmt_http_date(now + MAX_AGE)),
            ("Vary", "Accept-Encoding, Treat-as-Untrusted, Cookie".to_owned()),
        ];
        if if_none_match.is_some_and(|wanted| names(wanted, &etag)) {
            return Self {
                status: 304,
                headers,
                body: Bytes::new(),
            };
        }
        headers.insert(0, content_type());
        Self {
            status: 200,
            headers,
            body,
        }
    }

    pub(super) fn plain(body: Bytes) -> Self {
        Self {
            status: 200,
            headers: vec![content_type()],
            body,
        }
    }

    pub(super) fn failure(fault: &Fault) -> Self {
        let mut error = Map::new();
        error.insert("code".into(), fault.code.into());
        error.insert("info".into(), fault.info.clone().into());
        error.extend(fault.more.clone());
        error.insert(
            "docref".into(),
            "See the reference of stream configuration for the usage of this API.".into(),
        );
        let mut body = Map::new();
        body.insert("error".into(), Value::Object(error));
        Self {
            status: 200,
            headers: vec![
                content_type(),
                ("MediaWiki-API-Error", fault.code.to_owned()),
                ("Cache-Control", "private, must-revalidate, max-age=0".to_owned()),
            ],
            body: Bytes::from(Value::Object(body).to_string()),
        }
    }
}

fn content_type() -> (&'static str, String) {
    ("Content-Type", "application/json; charset=utf-8".to_owned())
}

fn etag(body: &[u8]) -> String {
    let mut etag = String::from("\"");
    for byte in &Sha256::digest(body)[..16] {
        // Writing to a String cannot fail.
        let _ = write!(etag, "{byte:02x}");
    }
    etag.push('"');
    etag
}

/// Whether a list of entity tags names this one; weak tags count, as they do for `GET`.
fn names(list: &str, etag: &str) -> bool {
    list.split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_recognised_by_its_tag() {
        let now = SystemTime::UNIX_EPOCH;
        let first = ApiAnswer::public(Bytes::from_static(b"{}"), None, now);
        let tag = &first.headers.iter().find(|(name, _)| *name == "ETag").unwrap().1;
        for list in [
            tag.clone(),
            format!("W/{tag}"),
            format!("\"x\", {tag}"),
            "*".into(),
        ] {
            let again = ApiAnswer::public(Bytes::from_static(b"{}"), Some(&list), now);
            assert_eq!((again.status, again.body.len()), (304, 0), "{list}");
            assert!(again.headers.iter().any(|(name, _)| *name == "ETag"));
        }
        assert_eq!(
            ApiAnswer::public(Bytes::from_static(b"{ }"), Some(tag), now).status,
            200
        );
        let expires = &first
            .headers
            .iter()
            .find(|(name, _)| *name == "Expires")
            .unwrap()
            .1;
        assert_eq!(expires, "Thu, 01 Jan 1970 00:10:00 GMT");
    }
}

//! Error objects (contract §1.2, §3.4) and the ones that we raise ourselves.

use super::route::Contract;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An error, before it is dressed for the contract that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// HTTP status.
    pub(crate) status: u16,
    /// Machine-readable kind, `type` on the wire.
    pub(crate) kind: String,
    /// Title.
    pub(crate) title: Option<String>,
    /// Sentence for people.
    pub(crate) detail: Option<String>,
    /// Method of the request that failed upstream; that of the client's request when absent.
    pub(crate) method: Option<String>,
    /// Path of the request that failed upstream; that of the client's request when absent.
    pub(crate) uri: Option<String>,
}

impl Problem {
    fn new(status: u16, kind: &str, title: &str, detail: &str) -> Problem {
        Problem {
            status,
            kind: kind.to_owned(),
            title: Some(title.to_owned()),
            detail: Some(detail.to_owned()),
            method: None,
            uri: None,
        }
    }

    /// The date in the path is none. The title with its period and the two spaces are the original's.
    pub(crate) fn invalid_date() -> Problem {
        let detail = "Invalid date provided.  Please request a valid date of format yyyy/mm/dd";
        Problem::new(404, "not_found", "Not found.", detail)
    }

    /// There is no such day of the year.
    pub(crate) fn invalid_day() -> Problem {
        let detail = "Invalid date provided.  Please request a valid date of format mm/dd";
        Problem::new(404, "not_found", "Not found.", detail)
    }

    /// The wiki's language has no such feed.
    pub(crate) fn unsupported() -> Problem {
        let detail = "The language you have requested is not yet supported.";
        Problem::new(404, "not_found", "Not found", detail)
    }

    /// There is no picture of the day.
    pub(crate) fn no_picture() -> Problem {
        let detail = "There is no picture of the day for this date.";
        Problem::new(404, "not_found", "No picture of the day for this date", detail)
    }

    /// There is no such thing.
    pub(crate) fn not_found(detail: &str) -> Problem {
        Problem::new(404, "not_found", "Not found", detail)
    }

    /// The operator does not serve this wiki.
    pub(crate) fn foreign_domain() -> Problem {
        Problem::new(
            404,
            "not_found",
            "Domain not found",
            "This server does not serve that wiki.",
        )
    }

    /// The path or the query cannot be read.
    pub(crate) fn bad_request(title: &str, detail: &str) -> Problem {
        Problem::new(400, "bad_request", title, detail)
    }

    /// Something went wrong here.
    pub(crate) fn internal(title: &str, detail: &str) -> Problem {
        Problem::new(500, "internal_error", title, detail)
    }

    /// The feed was not ready in time.
    pub(crate) fn late() -> Problem {
        let detail = "The wiki did not answer in time; the feed is still being made.";
        Problem::new(504, "internal_http_error", "Gateway Timeout", detail)
    }

    /// Bytes that it takes in memory, roughly.
    pub(crate) fn weight(&self) -> usize {
        let texts = [&self.title, &self.detail, &self.method, &self.uri];
        let texts = texts.into_iter().flatten().map(String::len);
        self.kind.len() + texts.sum::<usize>() + 128
    }

    /// The JSON body for a contract. `method` and `uri` are those of the client's request.
    pub(crate) fn body(&self, contract: Contract, method: &str, uri: &str) -> Vec<u8> {
        let mut body = Map::new();
        let text = |value: &str| Value::String(value.to_owned());
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(key.to_owned(), value);
            }
        };
        let uri = text(self.uri.as_deref().unwrap_or(uri));
        let title = self.title.as_deref().map(text);
        let detail = self.detail.as_deref().map(text);
        if contract == Contract::Restbase {
            let kind = format!("https://mediawiki.org/wiki/HyperSwitch/errors/{}", self.kind);
            let method = self.method.as_deref().unwrap_or(method).to_ascii_lowercase();
            put("type", Some(Value::String(kind)));
            put("title", title);
            put("method", Some(Value::String(method)));
            put("detail", detail);
            put("uri", Some(uri));
        } else {
            put("status", Some(self.status.into()));
            put("type", Some(text(&self.kind)));
            put("title", title);
            put("detail", detail);
            put("method", Some(text(self.method.as_deref().unwrap_or(method))));
            put("uri", Some(uri));
        }
        Value::Object(body).to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(problem: &Problem, contract: Contract) -> String {
        String::from_utf8(problem.body(contract, "GET", "/x?y")).expect("UTF-8")
    }

    #[test]
    fn case_032_the_six_keys_in_their_order() {
        assert_eq!(
            body(&Problem::invalid_date(), Contract::Internal),
            r#"{"status":404,"type":"not_found","title":"Not found.","detail":"Invalid date provided.  Please request a valid date of format yyyy/mm/dd","method":"GET","uri":"/x?y"}"#
        );
    }

    #[test]
    fn case_112_restbase_spells_its_own() {
        let problem = Problem::bad_request("Bad request", "Invalid mm parameter");
        assert_eq!(
            body(&problem, Contract::Restbase),
            r#"{"type":"https://mediawiki.org/wiki/HyperSwitch/errors/bad_request","title":"Bad request","method":"get","detail":"Invalid mm parameter","uri":"/x?y"}"#
        );
    }
}

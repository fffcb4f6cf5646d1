//! Answers of the account routes, without an HTTP library.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

const JSON: &str = "application/json; charset=utf-8";

/// An answer. Its body may hold tokens, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case. `content-type` is among them when there is a body;
    /// `content-length` and everything about CORS are left to the server.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty for 204.
    pub body: Bytes,
}

impl Response {
    /// A status without a body.
    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// A JSON body.
    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => Self {
                status,
                headers: vec![("content-type", JSON.to_owned())],
                body: Bytes::from(body),
            },
            Err(error) => {
                tracing::error!(%error, "an answer could not be written as JSON");
                Self::error(500, crate::error::INTERNAL, None)
            }
        }
    }

    /// A JSON body that no cache may keep: it holds tokens or personal data.
    pub(crate) fn private(status: u16, body: &impl Serialize) -> Self {
        Self::json(status, body)
            .with_header("cache-control", "no-store")
            .with_header("pragma", "no-cache")
    }

    /// The error shape of the contract (realtime §1.9): `status`, `message`, and a line feed at the
    /// end; `detail` says more where the message alone would not help.
    pub(crate) fn error(status: u16, message: &str, detail: Option<&str>) -> Self {
        let mut body = json!({ "status": status, "message": message });
        if let Some(detail) = detail {
            body["detail"] = detail.into();
        }
        Self {
            status,
            headers: vec![("content-type", JSON.to_owned())],
            body: Bytes::from(format!("{body}\n")),
        }
    }

    /// This answer with one header more.
    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// This answer with `Retry-After`, in whole seconds, at least one.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        self.with_header("retry-after", seconds.to_string())
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({}, {} bytes)", self.status, self.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_shape_of_the_contract() {
        let error = Response::error(401, "Unauthorized", None);
        assert_eq!(
            &error.body[..],
            b"{\"status\":401,\"message\":\"Unauthorized\"}\n"
        );
        let error = Response::error(422, "x", Some("y")).retry_after(Duration::from_millis(1));
        assert_eq!(
            &error.body[..],
            b"{\"status\":422,\"message\":\"x\",\"detail\":\"y\"}\n"
        );
        assert_eq!(error.headers.last().unwrap(), &("retry-after", "1".to_owned()));
    }

    #[test]
    fn bodies_are_not_printed() {
        let response = Response::private(200, &json!({"access_token": "hunter2"}));
        assert!(!format!("{response:?}").contains("hunter2"));
    }
}

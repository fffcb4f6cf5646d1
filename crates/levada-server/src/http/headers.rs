//! Headers that the originals put on every response: CORS and security (contracts eventplatform
//! §1.2, eventstreams §1.2).

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    X_XSS_PROTECTION,
};
use http::{HeaderMap, HeaderValue};

use super::App;
use crate::config::Http;

const INTAKE_CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; object-src 'none'; media-src 'none'; img-src 'none'; style-src 'none'; base-uri 'self'; frame-ancestors 'self'",
);
const STREAM_CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; object-src 'none'; media-src *; img-src *; style-src *; frame-ancestors 'self'",
);

/// The headers that do not depend on the request, made once.
pub(crate) struct Fixed {
    intake: HeaderMap,
    stream: HeaderMap,
}

impl Fixed {
    /// As configured; with accounts, scripts may send what shows who asks.
    pub(super) fn new(config: &Http, accounts: bool) -> Self {
        let mut intake = cors(config, accounts, "accept, x-requested-with, content-type", "etag");
        if !config.cors.is_empty() {
            intake.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("post"));
        }
        let mut stream = cors(
            config,
            accounts,
            "accept, x-requested-with, content-type, last-event-id",
            "etag, levada-gap, levada-log",
        );
        if config.csp {
            security(&mut intake);
            intake.insert(CONTENT_SECURITY_POLICY, INTAKE_CSP);
            security(&mut stream);
            for name in [
                "content-security-policy",
                "x-content-security-policy",
                "x-webkit-csp",
            ] {
                stream.insert(name, STREAM_CSP);
            }
        }
        Self { intake, stream }
    }
}

impl App {
    /// Headers of EventGate's routes.
    pub(super) fn intake_headers(&self, headers: &mut HeaderMap) {
        put(&self.fixed.intake, headers);
    }

    /// Headers of EventStreams' routes. Beyond the original, a script may send Last-Event-ID and
    /// read the notice of a gap.
    pub(super) fn stream_headers(&self, headers: &mut HeaderMap) {
        put(&self.fixed.stream, headers);
    }

    /// Headers of EventGate's routes in place of those of EventStreams.
    pub(super) fn as_intake(&self, headers: &mut HeaderMap) {
        for name in ["x-content-security-policy", "x-webkit-csp"] {
            headers.remove(name);
        }
        self.intake_headers(headers);
    }
}

fn put(fixed: &HeaderMap, headers: &mut HeaderMap) {
    if headers.is_empty() {
        headers.clone_from(fixed);
        return;
    }
    headers.reserve(fixed.len());
    for (name, value) in fixed {
        headers.insert(name, value.clone());
    }
}

fn cors(config: &Http, accounts: bool, allow: &'static str, expose: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Ok(origin) = HeaderValue::from_str(&config.cors) else {
        return headers;
    };
    if origin.is_empty() {
        return headers;
    }
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let allow = if accounts {
        HeaderValue::try_from(format!("{allow}, authorization, x-api-key"))
    } else {
        Ok(HeaderValue::from_static(allow))
    };
    if let Ok(allow) = allow {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allow);
    }
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(expose));
    headers
}

fn security(headers: &mut HeaderMap) {
    headers.insert(X_XSS_PROTECTION, HeaderValue::from_static("1; mode=block"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
}

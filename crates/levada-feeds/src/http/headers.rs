//! The headers of every answer, after the contract that was asked (contract §1.1, §3.4).

use super::route::Contract;
use crate::config::FeedsConfig;
use http::HeaderMap;
use http::header::{self, HeaderName, HeaderValue};

/// Says that a feed is past its time.
pub(crate) const STALE: HeaderName = HeaderName::from_static("levada-feed-stale");
/// Names the feeds, or the pieces of feeds, that are lacking because something failed.
pub(crate) const FAILED: HeaderName = HeaderName::from_static("levada-feed-failed");

/// Longest text of a header of ours; the rest is cut off.
const LONGEST: usize = 1_000;

const INTERNAL_CSP: &str =
    "default-src 'self'; object-src 'none'; media-src *; img-src *; style-src *; frame-ancestors 'self'";
const PUBLIC_CSP: &str = "default-src 'none'; frame-ancestors 'none'";
const PUBLIC_HEADERS: &str = "accept, content-type, content-length, cache-control, accept-language, \
     api-user-agent, if-match, if-modified-since, if-none-match, dnt, accept-encoding";

/// The headers that do not depend on the answer, made once per contract.
#[derive(Debug, Clone)]
pub(crate) struct Dress {
    internal: HeaderMap,
    restbase: HeaderMap,
    gateway: HeaderMap,
}

impl Dress {
    /// For a checked configuration.
    pub(crate) fn new(config: &FeedsConfig) -> Dress {
        Dress {
            internal: internal(config),
            restbase: public(config, true),
            gateway: public(config, false),
        }
    }

    /// The headers that every answer of a contract carries.
    pub(crate) fn of(&self, contract: Contract) -> &HeaderMap {
        match contract {
            Contract::Internal => &self.internal,
            Contract::Restbase => &self.restbase,
            Contract::Gateway => &self.gateway,
        }
    }
}

fn internal(config: &FeedsConfig) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(origin) = origin(config) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let allowed = HeaderValue::from_static("accept, x-requested-with, content-type");
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("etag"),
        );
    }
    if config.csp {
        headers.insert(
            header::X_XSS_PROTECTION,
            HeaderValue::from_static("1; mode=block"),
        );
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
        for name in [
            "content-security-policy",
            "x-content-security-policy",
            "x-webkit-csp",
        ] {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(INTERNAL_CSP),
            );
        }
    }
    headers
}

fn public(config: &FeedsConfig, old_names: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(origin) = origin(config) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET,HEAD"),
        );
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static(PUBLIC_HEADERS),
        );
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("etag"),
        );
    }
    if config.csp {
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
        let referrer = HeaderValue::from_static("origin-when-cross-origin");
        headers.insert(header::REFERRER_POLICY, referrer);
        headers.insert(
            header::X_XSS_PROTECTION,
            HeaderValue::from_static("1; mode=block"),
        );
        headers.insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(PUBLIC_CSP),
        );
        if old_names {
            for name in ["x-content-security-policy", "x-webkit-csp"] {
                headers.insert(
                    HeaderName::from_static(name),
                    HeaderValue::from_static(PUBLIC_CSP),
                );
            }
        }
    }
    headers
}

fn origin(config: &FeedsConfig) -> Option<HeaderValue> {
    if config.cors.is_empty() {
        return None;
    }
    HeaderValue::from_str(&config.cors).ok()
}

/// Text as a header value: visible ASCII, bounded; anything else becomes `?`.
pub(crate) fn value(text: &str) -> HeaderValue {
    let clean: String = text
        .chars()
        .take(LONGEST)
        .map(|letter| {
            if letter == ' ' || letter.is_ascii_graphic() {
                letter
            } else {
                '?'
            }
        })
        .collect();
    HeaderValue::from_str(&clean).unwrap_or_else(|_| HeaderValue::from_static("?"))
}

/// A reason as a quoted string for a header: short, without quotes of its own.
pub(crate) fn quoted(why: &str) -> String {
    let clean: String = why
        .chars()
        .take(120)
        .map(|c| if matches!(c, '"' | '\\') { '\'' } else { c })
        .collect();
    format!("\"{clean}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_008_the_six_security_headers_and_their_switch() {
        let dress = Dress::new(&FeedsConfig::default());
        let headers = dress.of(Contract::Internal);
        for (name, expected) in [
            ("x-xss-protection", "1; mode=block"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "SAMEORIGIN"),
            ("content-security-policy", INTERNAL_CSP),
            ("x-content-security-policy", INTERNAL_CSP),
            ("x-webkit-csp", INTERNAL_CSP),
        ] {
            assert_eq!(headers.get(name).expect(name), expected);
        }
        let off = FeedsConfig {
            csp: false,
            cors: String::new(),
            ..FeedsConfig::default()
        };
        let dress = Dress::new(&off);
        assert!(dress.of(Contract::Internal).is_empty() && dress.of(Contract::Gateway).is_empty());
    }

    #[test]
    fn foreign_text_cannot_break_a_header() {
        assert_eq!(value("a\r\nb: c"), "a??b: c");
        assert_eq!(value("é").to_str().expect("ASCII"), "?");
        assert_eq!(value(&"x".repeat(10_000)).len(), LONGEST);
        assert_eq!(quoted("say \"no\""), "\"say 'no'\"");
    }
}

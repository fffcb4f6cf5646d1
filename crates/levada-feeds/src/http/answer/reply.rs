//! An answer before it is dressed, and the dressing: entity tags, conditional requests, compression, `Vary`.

use super::super::document::Document;
use super::super::encoding::takes_gzip;
use super::super::headers::{self, FAILED, STALE};
use super::super::problem::Problem;
use super::super::route::Contract;
use super::super::{etag, request_id};
use super::Answerer;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Response};
use std::sync::Arc;

/// Longest request id that is passed on.
const REQUEST_ID: usize = 128;

/// What matters of a request.
#[derive(Debug, Clone)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) host: Option<&'a str>,
    pub(crate) accept_language: Option<&'a str>,
    pub(crate) accept_encoding: Option<&'a str>,
    pub(crate) if_none_match: Option<&'a str>,
    pub(crate) request_id: Arc<str>,
}

impl<'a> Asked<'a> {
    /// Reads a request.
    pub(crate) fn read(request: &'a http::Request<Bytes>) -> Asked<'a> {
        let text = |name: header::HeaderName| request.headers().get(name)?.to_str().ok();
        let id = request
            .headers()
            .get("x-request-id")
            .and_then(|id| id.to_str().ok());
        let id = id.filter(|id| !id.is_empty() && id.len() <= REQUEST_ID);
        Asked {
            method: request.method(),
            path: request.uri().path(),
            query: request.uri().query().unwrap_or(""),
            // HTTP/2 has the authority in the request line.
            host: text(header::HOST).or_else(|| request.uri().authority().map(|host| host.as_str())),
            accept_language: text(header::ACCEPT_LANGUAGE),
            accept_encoding: text(header::ACCEPT_ENCODING),
            if_none_match: text(header::IF_NONE_MATCH),
            request_id: id.map_or_else(|| Arc::from(request_id()), Arc::from),
        }
    }

    /// The path and the query as they were sent.
    pub(crate) fn uri(&self) -> String {
        if self.query.is_empty() {
            self.path.to_owned()
        } else {
            format!("{}?{}", self.path, self.query)
        }
    }
}

/// The body of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Empty,
    Problem(Problem),
    Plain(Bytes),
    Ready(Arc<Document>),
}

/// How the entity tag of a ready body is spelled in compat mode; by default all are quoted and end in the hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tag {
    /// No tag.
    None,
    /// `"first/…"`.
    Quoted(String),
    /// `first/…` without quotes: RESTBase's.
    Unquoted(String),
    /// Only the second half, without quotes.
    Bare,
}

/// An answer before it is dressed.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content: Content,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) cache_control: Option<&'static str>,
    pub(crate) tag: Tag,
    pub(crate) varies: bool,
    pub(crate) location: Option<String>,
    pub(crate) allow: bool,
    pub(crate) stale: Option<String>,
    pub(crate) failed: Option<String>,
    /// Replaces the contract's security policy: pages of ours need another one.
    pub(crate) policy: Option<&'static str>,
}

impl Reply {
    pub(crate) fn of(status: u16, content: Content) -> Reply {
        Reply {
            status,
            content,
            content_type: None,
            cache_control: None,
            tag: Tag::None,
            varies: false,
            location: None,
            allow: false,
            stale: None,
            failed: None,
            policy: None,
        }
    }

    pub(crate) fn problem(problem: Problem) -> Reply {
        Reply::of(problem.status, Content::Problem(problem))
    }

    /// Nothing that day.
    pub(crate) fn nothing() -> Reply {
        Reply::of(204, Content::Empty)
    }

    pub(crate) fn ready(document: Arc<Document>, content_type: &'static str) -> Reply {
        Reply {
            content_type: Some(content_type),
            ..Reply::of(200, Content::Ready(document))
        }
    }

    pub(crate) fn plain(body: Bytes, content_type: &'static str) -> Reply {
        Reply {
            content_type: Some(content_type),
            ..Reply::of(200, Content::Plain(body))
        }
    }

    pub(crate) fn text(body: Bytes) -> Reply {
        Reply::plain(body, "text/plain; charset=utf-8")
    }

    pub(crate) fn options() -> Reply {
        let body = Content::Plain(Bytes::from_static(b"GET,HEAD"));
        Reply {
            allow: true,
            content_type: Some("text/html; charset=utf-8"),
            ..Reply::of(200, body)
        }
    }

    pub(crate) fn moved(location: &str) -> Reply {
        let body = Content::Plain(Bytes::from(format!(
            "Moved Permanently. Redirecting to {location}"
        )));
        Reply {
            location: Some(location.to_owned()),
            content_type: Some("text/plain; charset=utf-8"),
            ..Reply::of(301, body)
        }
    }

    /// The original's answer to a wiki that it turns away: no content type.
    pub(crate) fn bare_not_found(text: &'static str) -> Reply {
        Reply::of(404, Content::Plain(Bytes::from_static(text.as_bytes())))
    }

    /// The original's answer to an unknown path.
    pub(crate) fn html_not_found(detail: &str) -> Reply {
        let escaped = crate::render::escape(detail);
        let body = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Error</title>\n</head>\n<body>\n<pre>{escaped}</pre>\n</body>\n</html>\n"
        );
        Reply {
            content_type: Some("text/html; charset=utf-8"),
            policy: Some("default-src 'none'"),
            ..Reply::of(404, Content::Plain(Bytes::from(body)))
        }
    }

    pub(crate) fn cached(mut self, cache_control: &'static str) -> Reply {
        self.cache_control = Some(cache_control);
        self
    }

    pub(crate) fn tagged(mut self, tag: Tag) -> Reply {
        self.tag = tag;
        self
    }
}

impl Answerer {
    /// The answer, dressed for its contract and for what the client can take.
    pub(super) fn dressed(&self, reply: Reply, contract: Contract, asked: &Asked<'_>) -> Response<Bytes> {
        let compat = self.kitchen.config.compat;
        let mut response = Response::new(Bytes::new());
        *response.headers_mut() = self.dress.of(contract).clone();
        let out = response.headers_mut();
        let gzip = takes_gzip(asked.accept_encoding);
        let tag = match &reply.content {
            Content::Ready(document) => self.tag(&reply.tag, &document.hash),
            _ => None,
        };
        let mut status = reply.status;
        let (mut body, mut packed) = match &reply.content {
            Content::Empty => (Bytes::new(), false),
            Content::Plain(body) => (body.clone(), false),
            Content::Problem(problem) => (
                Bytes::from(problem.body(contract, asked.method.as_str(), &asked.uri())),
                false,
            ),
            Content::Ready(document) => match &document.packed {
                Some(packed) if gzip => (packed.clone(), true),
                _ => (document.body.clone(), false),
            },
        };
        if let Some(tag) = &tag {
            // The same content in another coding is another representation: its tag is a weak one (RFC 9110 8.8.3).
            let text = if packed && !compat {
                format!("W/{tag}")
            } else {
                tag.clone()
            };
            out.insert(header::ETAG, headers::value(&text));
        }
        let tagged = tag.as_deref().unwrap_or("");
        if status == 200
            && asked
                .if_none_match
                .is_some_and(|wanted| etag::names(wanted, tagged))
        {
            (status, body, packed) = (304, Bytes::new(), false);
        }
        let has_body = !matches!(status, 204 | 304);
        if has_body {
            let content_type = match &reply.content {
                Content::Problem(_) if compat && contract != Contract::Restbase => {
                    Some("application/json; charset=utf-8")
                }
                Content::Problem(_) => Some("application/problem+json; charset=utf-8"),
                _ => reply.content_type,
            };
            if let Some(content_type) = content_type {
                out.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            }
            if packed {
                out.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            out.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        // Express says so for bodies large enough to be compressed at all; it is true of all of them.
        let mut vary = Vec::new();
        if reply.location.is_some() {
            vary.push("Accept");
        }
        if reply.varies && (has_body || status == 304) {
            vary.push("accept-language");
        }
        if has_body || (status == 304 && !compat) {
            vary.push("Accept-Encoding");
        }
        if !vary.is_empty() {
            out.insert(header::VARY, headers::value(&vary.join(", ")));
        }
        if let Some(cache_control) = reply.cache_control {
            out.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
        }
        if let Some(location) = &reply.location {
            out.insert(header::LOCATION, headers::value(location));
        }
        if reply.allow {
            out.insert(header::ALLOW, HeaderValue::from_static("GET,HEAD"));
        }
        if let Some(policy) = reply.policy {
            out.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
            out.insert(
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            );
        }
        if let Some(stale) = &reply.stale {
            out.insert(STALE, headers::value(stale));
        }
        if let Some(failed) = &reply.failed {
            out.insert(FAILED, headers::value(failed));
        }
        if contract != Contract::Internal {
            out.insert("x-request-id", headers::value(&asked.request_id));
        }
        if contract == Contract::Restbase && reply.status == 200 {
            let host = asked.host.unwrap_or("localhost");
            out.insert(
                header::CONTENT_LOCATION,
                headers::value(&format!("https://{host}{}", asked.path)),
            );
        }
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::OK);
        if asked.method != Method::HEAD {
            *response.body_mut() = body;
        }
        response
    }

    /// The entity tag of a body with that hash.
    fn tag(&self, tag: &Tag, hash: &str) -> Option<String> {
        if !self.kitchen.config.compat {
            return match tag {
                Tag::None => None,
                Tag::Bare => Some(format!("\"{hash}\"")),
                Tag::Quoted(first) | Tag::Unquoted(first) if first.is_empty() => Some(format!("\"{hash}\"")),
                Tag::Quoted(first) | Tag::Unquoted(first) => Some(format!("\"{first}/{hash}\"")),
            };
        }
        let moment = etag::time_uuid(self.kitchen.clock.now_ms());
        match tag {
            Tag::None => None,
            Tag::Bare => Some(moment),
            Tag::Quoted(first) => Some(format!("\"{first}/{moment}\"")),
            Tag::Unquoted(first) => Some(format!("{first}/{moment}")),
        }
    }
}

//! Why an upstream question has no answer, and what the client is told of it (contract §1.2).

use crate::http::Problem;
use crate::upstream::{FetchError, Request, Response, Upstream};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Most of a foreign error body that is passed on, bytes: a whole error page is of no use to anybody.
const BODY_PASSED: usize = 16 << 10;

/// Most of the body that is kept with an absence, bytes: absences are remembered, by the ten thousand when somebody
/// walks through all days.
const BODY_KEPT: usize = 1 << 10;

/// Most of one text of a foreign error object that is kept with an absence, bytes.
const TEXT_KEPT: usize = 180;

/// A question without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// The service answered with another status than 200.
    Answered {
        upstream: String,
        status: u16,
        content_type: Option<String>,
        body: String,
        path: String,
    },
    /// The service did not answer.
    Unreachable {
        upstream: String,
        path: String,
        why: String,
        retry_in_ms: Option<u64>,
    },
    /// The answer is not what such an answer is.
    Unreadable {
        upstream: String,
        path: String,
        why: String,
    },
    /// Something of ours failed.
    Internal { why: String },
}

impl Fault {
    pub(crate) fn answered(request: &Request, answer: &Response) -> Fault {
        let body = if is_absent(request.upstream.name(), answer.status) {
            brief(&answer.body)
        } else {
            let body = &answer.body[..answer.body.len().min(BODY_PASSED)];
            String::from_utf8_lossy(body).into_owned()
        };
        Fault::Answered {
            upstream: request.upstream.name().to_owned(),
            status: answer.status,
            content_type: answer.content_type.clone(),
            body,
            path: request.path_and_query().to_owned(),
        }
    }

    /// Bytes that it takes in memory, roughly.
    pub(crate) fn weight(&self) -> usize {
        let texts = match self {
            Fault::Answered {
                upstream,
                content_type,
                body,
                path,
                ..
            } => upstream.len() + content_type.as_ref().map_or(0, String::len) + body.len() + path.len(),
            Fault::Unreachable {
                upstream, path, why, ..
            }
            | Fault::Unreadable { upstream, path, why } => upstream.len() + path.len() + why.len(),
            Fault::Internal { why } => why.len(),
        };
        texts + 192
    }

    pub(crate) fn unreachable(request: &Request, error: &FetchError) -> Fault {
        let retry_in_ms = match error {
            FetchError::Open { retry_in_ms, .. } => Some(*retry_in_ms),
            _ => None,
        };
        Fault::Unreachable {
            upstream: request.upstream.name().to_owned(),
            path: request.path_and_query().to_owned(),
            why: error.to_string(),
            retry_in_ms,
        }
    }

    pub(crate) fn unreadable(request: &Request, why: &str) -> Fault {
        Fault::Unreadable {
            upstream: request.upstream.name().to_owned(),
            path: request.path_and_query().to_owned(),
            why: why.to_owned(),
        }
    }

    /// What was asked is not there by the time by which it is of use.
    pub(crate) fn late() -> Fault {
        Fault::Unreachable {
            upstream: "wiki".to_owned(),
            path: String::new(),
            why: "not there in time".to_owned(),
            retry_in_ms: None,
        }
    }

    pub(crate) fn internal(why: &str) -> Fault {
        Fault::Internal { why: why.to_owned() }
    }

    /// Whether the service says that there is no such thing, which is worth remembering: 404 and 410, and 204 of the
    /// summary service for pages that have none by rule. Every other refusal (401, 403 …) is a disturbance.
    pub(crate) fn is_absence(&self) -> bool {
        match self {
            Fault::Answered { upstream, status, .. } => is_absent(upstream, *status),
            _ => false,
        }
    }

    /// A few words for headers and reports: `summary answered 503`.
    pub(crate) fn reason(&self) -> String {
        match self {
            Fault::Answered { upstream, status, .. } => format!("{upstream} answered {status}"),
            Fault::Unreachable { upstream, why, .. } => format!("{upstream}: {why}"),
            Fault::Unreadable { upstream, why, .. } => format!("{upstream}: {why}"),
            Fault::Internal { why } => why.clone(),
        }
    }

    /// What the client is told. `compat` as the original tells it: everything that goes wrong with page HTML is a
    /// 500 `AxiosError` or `Error` there.
    pub(crate) fn problem(&self, compat: bool) -> Problem {
        let html = |upstream: &str| upstream == Upstream::Html.name();
        match self {
            Fault::Answered { upstream, status, .. } if compat && html(upstream) => {
                Problem::internal("AxiosError", &format!("Request failed with status code {status}"))
            }
            Fault::Answered { status, body, .. } => {
                // Whatever is not an error to us is one to the client by now.
                let status = if *status >= 400 { *status } else { 502 };
                let foreign = serde_json::from_str::<Value>(body).ok();
                match foreign {
                    Some(Value::Object(fields)) => foreign_problem(status, &fields, self, compat),
                    _ => Problem {
                        status,
                        kind: if status == 404 && !compat {
                            "not_found"
                        } else {
                            "internal_error"
                        }
                        .to_owned(),
                        title: (!compat).then(|| title_of(status)),
                        detail: Some(if compat { body.clone() } else { self.reason() }),
                        method: None,
                        uri: None,
                    },
                }
            }
            Fault::Unreachable { upstream, why, .. } if compat && html(upstream) => {
                Problem::internal("Error", why)
            }
            Fault::Unreachable { .. } => Problem {
                status: 504,
                kind: "internal_http_error".to_owned(),
                title: (!compat).then(|| title_of(504)),
                detail: Some(self.reason()),
                method: None,
                uri: None,
            },
            Fault::Unreadable { why, .. } if compat => Problem::internal("TypeError", why),
            Fault::Unreadable { .. } => Problem {
                status: 502,
                kind: "bad_upstream_answer".to_owned(),
                title: Some(title_of(502)),
                detail: Some(self.reason()),
                method: None,
                uri: None,
            },
            Fault::Internal { why } => Problem::internal("Error", why),
        }
    }
}

fn is_absent(upstream: &str, status: u16) -> bool {
    matches!(status, 404 | 410) || (status == 204 && upstream == Upstream::Summary.name())
}

/// What is worth keeping of an error body: of an error object the texts that clients are told, of anything else the
/// beginning.
fn brief(body: &[u8]) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_slice::<Value>(body) else {
        let mut text = String::from_utf8_lossy(&body[..body.len().min(BODY_KEPT)]).into_owned();
        text.truncate(text.floor_char_boundary(BODY_KEPT));
        return text;
    };
    let kept: serde_json::Map<String, Value> = ["type", "title", "method", "detail", "uri"]
        .iter()
        .filter_map(|key| {
            let text = fields.get(*key)?.as_str()?;
            let end = text.floor_char_boundary(TEXT_KEPT);
            Some(((*key).to_owned(), Value::String(text[..end].to_owned())))
        })
        .collect();
    Value::Object(kept).to_string()
}

/// An upstream service's own error object wins over ours (contract §1.2).
fn foreign_problem(
    status: u16,
    fields: &serde_json::Map<String, Value>,
    fault: &Fault,
    compat: bool,
) -> Problem {
    let text = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
    let ours = |ours: String| (!compat).then_some(ours);
    let default_kind = if status == 404 && !compat {
        "not_found"
    } else {
        "internal_error"
    };
    Problem {
        status,
        kind: text("type").unwrap_or_else(|| default_kind.to_owned()),
        title: text("title").or_else(|| ours(title_of(status))),
        detail: text("detail").or_else(|| ours(fault.reason())),
        method: text("method"),
        uri: text("uri"),
    }
}

fn title_of(status: u16) -> String {
    http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Upstream error")
        .to_owned()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::doubles::request;

    fn answered(upstream: Upstream, status: u16, body: &str) -> Fault {
        let mut request = request("http://h/p?q");
        request.upstream = upstream;
        Fault::answered(&request, &Response::json(status, body.to_owned()))
    }

    #[test]
    fn case_63_the_error_of_the_service_wins() {
        let body = r#"{"type":"about:blank","title":"Not Found","method":"get","detail":"not loaded yet","uri":"/x"}"#;
        let problem = answered(Upstream::Pageviews, 404, body).problem(false);
        assert_eq!(problem.status, 404);
        assert_eq!(problem.kind, "about:blank");
        assert_eq!(problem.detail.as_deref(), Some("not loaded yet"));
        assert_eq!(problem.method.as_deref(), Some("get"));
        assert_eq!(problem.uri.as_deref(), Some("/x"));
    }

    #[test]
    fn case_76_a_missing_page_is_a_404_and_in_compat_an_axios_error() {
        let fault = answered(
            Upstream::Html,
            404,
            r#"{"errorKey":"rest-nonexistent-title","httpCode":404}"#,
        );
        assert!(fault.is_absence());
        let problem = fault.problem(false);
        assert_eq!((problem.status, problem.kind.as_str()), (404, "not_found"));
        let problem = fault.problem(true);
        assert_eq!(
            (problem.status, problem.title.as_deref()),
            (500, Some("AxiosError"))
        );
        assert_eq!(
            problem.detail.as_deref(),
            Some("Request failed with status code 404")
        );
    }

    #[test]
    fn an_html_error_page_is_not_passed_on() {
        let fault = answered(Upstream::Action, 503, "<html>our servers are busy</html>");
        assert_eq!(
            fault.problem(false).detail.as_deref(),
            Some("action answered 503")
        );
        let problem = fault.problem(true);
        assert_eq!(
            problem.detail.as_deref(),
            Some("<html>our servers are busy</html>")
        );
        assert_eq!(problem.title, None);
        assert!(!fault.is_absence() && !answered(Upstream::Html, 429, "").is_absence());
    }

    #[test]
    fn only_404_and_410_say_that_there_is_no_such_thing() {
        for status in [400, 401, 403, 405, 408, 425, 429, 451, 500] {
            assert!(!answered(Upstream::Html, status, "").is_absence(), "{status}");
        }
        assert!(answered(Upstream::Html, 410, "").is_absence());
        assert!(answered(Upstream::Summary, 204, "").is_absence());
        assert!(!answered(Upstream::Html, 204, "").is_absence());
    }

    #[test]
    fn little_is_kept_of_what_is_remembered() {
        let page = answered(Upstream::Index, 404, &"<p>é</p>".repeat(10_000));
        let problem = format!(
            r#"{{"detail":"{}","title":"T","trace":"{}"}}"#,
            "é".repeat(900),
            "x".repeat(9_000)
        );
        let object = answered(Upstream::Pageviews, 404, &problem);
        for fault in [&page, &object] {
            assert!(fault.weight() <= 1_400, "{}", fault.weight());
        }
        let told = object.problem(false);
        assert_eq!(told.title.as_deref(), Some("T"));
        assert_eq!(told.detail.map(|detail| detail.len()), Some(180));
        // A failure is not remembered and passed on as it is.
        let Fault::Answered { body, .. } = answered(Upstream::Action, 503, &"x".repeat(9_000)) else {
            panic!("an answer");
        };
        assert_eq!(body.len(), 9_000);
    }

    #[test]
    fn silence_is_a_504() {
        let fault = Fault::unreachable(&request("http://h/"), &FetchError::Timeout(5));
        assert_eq!(fault.problem(false).status, 504);
        assert_eq!(fault.problem(true).status, 500);
    }
}

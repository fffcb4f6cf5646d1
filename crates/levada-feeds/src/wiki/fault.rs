//! Why an upstream question has no answer, and what the client is told of it (contract §1.2).

use crate::http::Problem;
use crate::upstream::{FetchError, Request, Response, Upstream};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Most of a foreign error body that is kept, bytes: a whole error page is of no use to anybody.
const BODY_KEPT: usize = 16 << 10;

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
        let body = &answer.body[..answer.body.len().min(BODY_KEPT)];
        Fault::Answered {
            upstream: request.upstream.name().to_owned(),
            status: answer.status,
            content_type: answer.content_type.clone(),
            body: String::from_utf8_lossy(body).into_owned(),
            path: request.path_and_query().to_owned(),
        }
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

    /// Whether the service says that there is no such thing, which is worth remembering: 4xx but 408, 425 and 429.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(
            self,
            Fault::Answered {
                status: 400..=499,
                ..
            }
        ) && !matches!(
            self,
            Fault::Answered {
                status: 408 | 425 | 429,
                ..
            }
        )
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
    fn silence_is_a_504() {
        let fault = Fault::unreachable(&request("http://h/"), &FetchError::Timeout(5));
        assert_eq!(fault.problem(false).status, 504);
        assert_eq!(fault.problem(true).status, 500);
    }
}

//! One connection attempt, and what its answer means.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use levada_event::Timestamp;
use levada_wire::{Problem, StreamError, Subscription, paths};
use reqwest::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, DATE, RETRY_AFTER};

use super::SubscribeError;
use crate::backoff::retry_after;
use crate::login::LoginError;
use crate::server::{ERROR_BODY_MAX, Server, chain, header, read_body};

/// An open event stream.
pub(crate) struct Connected {
    pub(crate) response: reqwest::Response,
    /// The server's clock when it answered.
    pub(crate) served_at: Option<Timestamp>,
}

/// Why there is no event stream.
pub(crate) enum Refusal {
    /// Asking again later may help.
    Later { reason: String, asked: Option<Duration> },
    /// It will not.
    Final(SubscribeError),
}

pub(super) async fn connect(
    server: Server,
    subscription: Subscription,
    cursor: Option<Arc<str>>,
    timeout: Duration,
) -> Result<Connected, Refusal> {
    let mut request = server
        .http()
        .get(server.at(&subscription.to_uri()))
        .header(ACCEPT, paths::TYPE_SSE)
        .header(CACHE_CONTROL, "no-cache");
    if let Some(cursor) = cursor {
        request = request.header(paths::LAST_EVENT_ID, &*cursor);
    }
    let authorization = server.authorization().await?;
    if let Some(value) = &authorization {
        request = request.header(AUTHORIZATION, value);
    }
    match exchange(request, paths::TYPE_SSE, timeout).await {
        Err(Refusal::Final(SubscribeError::Refused {
            status: 401, message, ..
        })) if server.forget_token(authorization.as_ref()).await => Err(Refusal::Later {
            reason: format!("401: {message}; logging in again"),
            asked: None,
        }),
        answer => answer,
    }
}

impl From<LoginError> for Refusal {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Unavailable(reason) => Refusal::Later { reason, asked: None },
            LoginError::Refused { status, .. } => Refusal::Final(SubscribeError::Refused {
                status,
                code: None,
                message: error.to_string(),
            }),
        }
    }
}

/// Sends a request and waits for the head of a stream of this content type.
pub(crate) async fn exchange(
    request: reqwest::RequestBuilder,
    expected: &str,
    timeout: Duration,
) -> Result<Connected, Refusal> {
    let exchange = async {
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_builder() => {
                return Err(Refusal::Final(SubscribeError::Refused {
                    status: 0,
                    code: None,
                    message: format!("the position cannot be sent: {}", chain(&error)),
                }));
            }
            Err(error) => {
                return Err(Refusal::Later {
                    reason: chain(&error),
                    asked: None,
                });
            }
        };
        match response.status().as_u16() {
            200 => {}
            status => return Err(refusal(status, &mut response).await),
        }
        let kind = header(&response, &CONTENT_TYPE).unwrap_or_default();
        if !kind.to_ascii_lowercase().starts_with(expected) {
            let message =
                format!("the answer is {kind:?} and no event stream; is this the address of a server?");
            return Err(Refusal::Final(SubscribeError::Unexpected(message)));
        }
        let served_at = header(&response, &DATE).and_then(Timestamp::parse_since);
        Ok(Connected { response, served_at })
    };
    match tokio::time::timeout(timeout, exchange).await {
        Ok(answer) => answer,
        Err(_) => Err(Refusal::Later {
            reason: format!("no answer within {timeout:?}"),
            asked: None,
        }),
    }
}

/// What an answer that is no success means.
pub(crate) async fn refusal(status: u16, response: &mut reqwest::Response) -> Refusal {
    let asked = header(response, &RETRY_AFTER)
        .and_then(|value| retry_after(value, Timestamp::from_system(SystemTime::now())));
    // The status says enough; a body that cannot be read only costs its sentence.
    let body = read_body(response, ERROR_BODY_MAX).await.unwrap_or_default();
    let (code, message) = explain(status, &body);
    match status {
        408 | 425 | 429 | 500..=599 => Refusal::Later {
            reason: format!("{status}: {message}"),
            asked,
        },
        _ => Refusal::Final(SubscribeError::Refused {
            status,
            code,
            message,
        }),
    }
}

/// The code (or type) and the sentence of an error body, of whichever shape.
fn explain(status: u16, body: &[u8]) -> (Option<String>, String) {
    if let Ok(problem) = serde_json::from_slice::<Problem>(body)
        && !problem.title.is_empty()
    {
        let code = problem
            .code
            .map(|code| code.to_string())
            .or(Some(problem.kind))
            .filter(|c| !c.is_empty());
        return (code, format!("{}: {}", problem.title, problem.detail));
    }
    if let Ok(error) = serde_json::from_slice::<StreamError>(body)
        && !error.message.is_empty()
    {
        return (Some(error.name).filter(|name| !name.is_empty()), error.message);
    }
    (None, format!("the server answered with status {status}"))
}

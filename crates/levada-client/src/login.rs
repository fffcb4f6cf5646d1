//! Logging in: a name and a password become access tokens, fetched when one is needed.

use std::time::Duration;

use levada_wire::paths;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::server::{ERROR_BODY_MAX, chain, read_body};

/// Longest wait for the answer to a login.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A token younger than this that is refused is not replaced: the next would be refused too.
const YOUNG: Duration = Duration::from_secs(10);

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The server does not take this name and password.
    #[error("the login is refused ({status}): {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Why, for people.
        message: String,
    },
    /// The server cannot be asked now: try later.
    #[error("the login got no answer: {0}")]
    Unavailable(String),
}

/// A name and a password, and the token that they gave.
pub(crate) struct Login {
    username: String,
    password: String,
    token: Mutex<Option<Token>>,
}

struct Token {
    header: HeaderValue,
    made: Instant,
    good_until: Instant,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

impl Login {
    pub(crate) fn new(username: &str, password: &str) -> Self {
        Self {
            username: username.to_owned(),
            password: password.to_owned(),
            token: Mutex::default(),
        }
    }

    /// The value of `Authorization`: the token at hand, or a new one.
    pub(crate) async fn header(&self, http: &reqwest::Client, url: &str) -> Result<HeaderValue, LoginError> {
        let mut token = self.token.lock().await;
        let now = Instant::now();
        if let Some(token) = token.as_ref().filter(|token| token.good_until > now) {
            return Ok(token.header.clone());
        }
        let body = serde_json::json!({ "username": self.username, "password": self.password });
        let exchange = async {
            let request = http
                .post(url)
                .header(CONTENT_TYPE, paths::TYPE_JSON)
                .body(body.to_string());
            let mut response = request.send().await?;
            let status = response.status().as_u16();
            read_body(&mut response, ERROR_BODY_MAX)
                .await
                .map(|body| (status, body))
        };
        let unavailable = |reason: String| LoginError::Unavailable(reason);
        let (status, body) = match tokio::time::timeout(TIMEOUT, exchange).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(unavailable(chain(&error))),
            Err(_) => return Err(unavailable(format!("nothing came within {TIMEOUT:?}"))),
        };
        let message = || {
            let refusal = serde_json::from_slice::<Refusal>(&body);
            refusal.map_or_else(|_| "no reason is given".to_owned(), |refusal| refusal.message)
        };
        match status {
            200 => {}
            408 | 429 | 500..=599 => return Err(unavailable(format!("{status}: {}", message()))),
            status => {
                return Err(LoginError::Refused {
                    status,
                    message: message(),
                });
            }
        }
        let no_token = |message: &str| LoginError::Refused {
            status,
            message: message.to_owned(),
        };
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| no_token("the answer has no access token; is another password asked for?"))?;
        let mut header = HeaderValue::from_str(&format!("Bearer {}", answer.access_token))
            .map_err(|_| no_token("the token has characters that no token has"))?;
        header.set_sensitive(true);
        // A fifth of its life is left for clocks that differ and connections that take their time.
        let life = Duration::from_secs(answer.expires_in.min(30 * 86_400)).mul_f64(0.8);
        *token = Some(Token {
            header: header.clone(),
            made: now,
            good_until: now + life,
        });
        Ok(header)
    }

    /// Forgets the token in this header, which was refused; whether another attempt makes sense. Several
    /// connections share a token: where another of them has forgotten or replaced it already, it does, and the
    /// token that is there now stays.
    pub(crate) async fn forget(&self, refused: &HeaderValue) -> bool {
        let mut token = self.token.lock().await;
        match token.as_ref().filter(|token| token.header == refused) {
            None => true,
            // It stays, so that a server that refuses every token is not asked for one after the other.
            Some(token) if token.made.elapsed() <= YOUNG => false,
            Some(_) => {
                *token = None;
                true
            }
        }
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({})", self.username)
    }
}

//! The account routes of the contract (realtime §3.1), without an HTTP server: the server hands in
//! what it read and sends what it gets.
//!
//! Requests are forms or JSON objects. A request that cannot be read is answered 422 with the text of
//! the reference; `detail` says what is wrong with it. Nothing here says whether a user exists that
//! the contract does not say.

use std::net::IpAddr;
use std::time::Duration;

use self::fields::Fields;
use crate::accounts::Accounts;
use crate::error::{AuthError, INTERNAL};
use crate::password::PasswordError;
use crate::principal::Credentials;
use crate::response::Response;
use crate::secret::NoRandomness;
use crate::store::StoreError;

mod fields;
mod login;
mod passwords;
mod user;

pub(crate) use self::passwords::{long_enough, new_reset_code};

/// A request as the server read it.
#[derive(Clone, Copy, Default)]
pub struct Request<'a> {
    /// Method in upper case.
    pub method: &'a str,
    /// Path without the query, decoded. The query is not read: URLs are logged, passwords are not.
    pub path: &'a str,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `Authorization`, `X-Api-Key` and the sender's address.
    pub credentials: Credentials<'a>,
    /// The body, at most [`BODY_BYTES_MAX`](crate::limits::BODY_BYTES_MAX) bytes.
    pub body: &'a [u8],
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Request({} {}, {} bytes)",
            self.method,
            self.path,
            self.body.len()
        )
    }
}

/// Every route that [`Accounts::handle`] answers, as method and path.
pub const ROUTES: &[(&str, &str)] = &[
    ("GET", "/v1/status"),
    ("POST", "/v1/login"),
    ("POST", "/v1/token-refresh"),
    ("POST", "/v1/token-revoke"),
    ("POST", "/v1/forgot-password"),
    ("POST", "/v1/forgot-password-confirm"),
    ("POST", "/v1/change-password"),
    ("POST", "/v1/new-password-required"),
    ("POST", "/v1/create-user"),
    ("POST", "/v1/confirm-user"),
    ("POST", "/v1/resend-confirm"),
    ("GET", "/v1/captcha"),
    ("GET", "/v1/captcha/{identifier}"),
    ("POST", "/v1/get-user"),
];

impl Accounts {
    /// Answers a request to one of [`ROUTES`], and 404 to any other. Waits for the store and for
    /// password hashes; never longer than the store's bound and the queue's.
    pub async fn handle(&self, request: &Request<'_>) -> Response {
        self.answer(request)
            .await
            .unwrap_or_else(|refusal| refusal.to_response(request))
    }

    async fn answer(&self, request: &Request<'_>) -> Result<Response, Refusal> {
        match (request.method, request.path) {
            ("GET", "/v1/status") => Ok(Response::empty(200)),
            ("POST", "/v1/get-user") => self.get_user(request).await,
            ("POST", "/v1/create-user" | "/v1/confirm-user" | "/v1/resend-confirm")
            | ("GET", "/v1/captcha") => Err(Refusal::not_here(SIGN_UP)),
            ("GET", path)
                if path
                    .strip_prefix("/v1/captcha/")
                    .is_some_and(|id| !id.contains('/')) =>
            {
                Err(Refusal::not_here(SIGN_UP))
            }
            ("POST", path) => {
                let fields = || Fields::read(request.content_type, request.body);
                match path {
                    "/v1/login" => self.login(&fields()?, request).await,
                    "/v1/token-refresh" => self.token_refresh(&fields()?).await,
                    "/v1/token-revoke" => self.token_revoke(&fields()?).await,
                    "/v1/new-password-required" => self.new_password_required(&fields()?, request).await,
                    "/v1/change-password" => self.change_password(&fields()?, request).await,
                    "/v1/forgot-password" => self.forgot_password(&fields()?, request).await,
                    "/v1/forgot-password-confirm" => self.forgot_password_confirm(&fields()?, request).await,
                    _ => Err(Refusal::not_found()),
                }
            }
            _ => Err(Refusal::not_found()),
        }
    }
}

const SIGN_UP: &str = "this server has no sign-up of its own: its operator makes users (levada user add)";

impl Request<'_> {
    fn peer(&self) -> Option<IpAddr> {
        self.credentials.peer
    }
}

/// A request that is not done, and what is said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: u16,
    message: &'static str,
    detail: Option<String>,
    retry_after: Option<Duration>,
    /// For the log alone.
    cause: Option<String>,
}

impl Refusal {
    fn new(status: u16, message: &'static str) -> Self {
        Self {
            status,
            message,
            detail: None,
            retry_after: None,
            cause: None,
        }
    }

    /// The body cannot be read, or a field is not what it must be.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..Self::new(422, INTERNAL)
        }
    }

    pub(crate) fn unauthorized(message: &'static str) -> Self {
        Self::new(401, message)
    }

    pub(crate) fn too_many(message: &'static str, retry_after: Option<Duration>) -> Self {
        Self {
            retry_after,
            ..Self::new(429, message)
        }
    }

    /// Our own trouble; the cause goes to the log.
    pub(crate) fn internal(cause: &str) -> Self {
        Self {
            cause: Some(cause.to_owned()),
            ..Self::new(500, INTERNAL)
        }
    }

    fn not_found() -> Self {
        Self::new(404, "Not Found")
    }

    fn not_here(detail: &str) -> Self {
        Self {
            detail: Some(detail.to_owned()),
            ..Self::new(501, "Not Implemented")
        }
    }

    fn with_detail(mut self, detail: &str) -> Self {
        self.detail = Some(detail.to_owned());
        self
    }

    fn to_response(&self, request: &Request<'_>) -> Response {
        if let Some(cause) = &self.cause {
            tracing::error!(route = request.path, cause, "a request to the accounts failed");
        }
        let response = Response::error(self.status, self.message, self.detail.as_deref());
        match self.retry_after {
            Some(wait) => response.retry_after(wait),
            None => response,
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::internal(&error.to_string())
        }
    }
}

impl From<NoRandomness> for Refusal {
    fn from(error: NoRandomness) -> Self {
        Self::internal(&error.to_string())
    }
}

impl From<PasswordError> for Refusal {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Overloaded => Self {
                retry_after: Some(Duration::from_secs(3)),
                ..Self::new(503, INTERNAL)
            }
            .with_detail("too many logins at once"),
            PasswordError::Failed(cause) => Self::internal(&cause),
        }
    }
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Unavailable(error) => error.into(),
            AuthError::Forbidden => Self::new(403, "Forbidden"),
            AuthError::Missing => Self::unauthorized("Unauthorized"),
            AuthError::Wrong(why) => Self::unauthorized("Unauthorized").with_detail(&why),
        }
    }
}

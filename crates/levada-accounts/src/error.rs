//! What can go wrong, by what the caller can do about it.

use std::time::Duration;

use crate::response::Response;
use crate::secret::NoRandomness;
use crate::store::StoreError;
use crate::token::keyset::KeyError;

/// Why a request is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// It shows no credentials, and its address is not on the list.
    #[error("Unauthorized")]
    Missing,
    /// It shows credentials that are not good; the text says why and may go to the client.
    #[error("{0}")]
    Wrong(String),
    /// It is known whose it is, and that one may not do this.
    #[error("Forbidden")]
    Forbidden,
    /// The account store cannot be asked: nobody is let in on old knowledge. For the log.
    #[error("{0}")]
    Unavailable(StoreError),
}

impl AuthError {
    /// The HTTP status: 401, 403 or 503.
    pub fn status(&self) -> u16 {
        match self {
            AuthError::Missing | AuthError::Wrong(_) => 401,
            AuthError::Forbidden => 403,
            AuthError::Unavailable(_) => 503,
        }
    }

    /// The whole answer in the error shape of the contract (realtime §1.9).
    pub fn to_response(&self) -> Response {
        match self {
            AuthError::Missing | AuthError::Wrong(_) => {
                Response::error(401, &self.to_string(), None).with_header("www-authenticate", "Bearer")
            }
            AuthError::Forbidden => Response::error(403, "Forbidden", None),
            AuthError::Unavailable(_) => {
                Response::error(503, INTERNAL, None).retry_after(Duration::from_secs(1))
            }
        }
    }
}

impl From<StoreError> for AuthError {
    fn from(error: StoreError) -> Self {
        AuthError::Unavailable(error)
    }
}

/// The text of the reference for its own trouble, and for every request it cannot read.
pub(crate) const INTERNAL: &str = "Internal error, please try again later.";

/// Why accounts cannot be opened or kept in order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountsError {
    /// The store's trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A signing key cannot be made or read.
    #[error("{0}")]
    SigningKey(String),
    /// A setting makes no sense.
    #[error("{0}")]
    Setting(String),
    /// No secret can be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl From<KeyError> for AccountsError {
    fn from(error: KeyError) -> Self {
        AccountsError::SigningKey(error.to_string())
    }
}

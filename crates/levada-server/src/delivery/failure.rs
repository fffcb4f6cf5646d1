//! Why a session ends after its first byte.

use levada_log::LogError;
use levada_wire::{ErrorCode, Gap, StreamError};

use super::request::log_code;
use super::wider::Wider;

/// Why a channel has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Its sessions end.
    Failed(Failure),
    /// Its sessions go on in a wider one.
    Wider(Wider),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The end of a session that the client has to know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(crate) fn log(error: &LogError) -> Self {
        Self::new(log_code(error), error.to_string())
    }

    /// A gap in the middle of a response whose format cannot tell it.
    pub(crate) fn gap(gap: &Gap) -> Self {
        Self::new(
            ErrorCode::PositionGone,
            format!("events are missing: {}", gap.header_item()),
        )
    }

    pub(crate) fn stream_error(&self) -> StreamError {
        StreamError::in_band(self.code, self.message.as_str())
    }
}

/// A response broke off: its format has no way to tell an error, and a clean end would look like
/// success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the response broke off: {message}")]
pub struct SessionAborted {
    message: String,
}

impl From<Failure> for SessionAborted {
    fn from(failure: Failure) -> Self {
        Self {
            message: failure.message,
        }
    }
}

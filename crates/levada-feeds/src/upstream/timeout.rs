//! The layer that gives every attempt its time.

use super::{Fetch, FetchError, Request, Response};
use async_trait::async_trait;
use std::time::Duration;

/// Ends an attempt that takes longer than allowed with [`FetchError::Timeout`].
pub struct Timeout<F> {
    inner: F,
    allowed: Duration,
}

impl<F: Fetch> Timeout<F> {
    /// Allows each attempt `allowed_ms` milliseconds, body included.
    pub fn new(inner: F, allowed_ms: u64) -> Timeout<F> {
        Timeout {
            inner,
            allowed: Duration::from_millis(allowed_ms),
        }
    }
}

#[async_trait]
impl<F: Fetch> Fetch for Timeout<F> {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        match tokio::time::timeout(self.allowed, self.inner.fetch(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(FetchError::Timeout(self.allowed.as_millis() as u64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::doubles::{Script, request, status};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_is_a_timeout() {
        let layer = Timeout::new(Script::slow([status(200)], 20_000), 8_000);
        assert_eq!(
            layer.fetch(request("http://h/")).await,
            Err(FetchError::Timeout(8_000))
        );
    }
}

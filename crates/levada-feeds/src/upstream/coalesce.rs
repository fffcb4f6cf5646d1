//! The layer that asks once for what several want at the same time.

use super::{Fetch, FetchError, Request, Response};
use crate::flight::Flights;
use async_trait::async_trait;
use std::sync::Arc;

/// Requests with the same identity that are in flight together share one answer.
pub struct Coalesce<F> {
    inner: Arc<F>,
    flights: Arc<Flights<Result<Response, FetchError>>>,
}

impl<F: Fetch> Coalesce<F> {
    /// Coalesces the requests of `inner`.
    pub fn new(inner: F) -> Coalesce<F> {
        Coalesce {
            inner: Arc::new(inner),
            flights: Arc::default(),
        }
    }
}

#[async_trait]
impl<F: Fetch> Fetch for Coalesce<F> {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        let inner = Arc::clone(&self.inner);
        let key = format!("{}|{}", request.upstream.name(), request.identity());
        let answer = self
            .flights
            .join(key, move || async move { inner.fetch(request).await })
            .await;
        answer.unwrap_or(Err(FetchError::Lost))
    }
}

#[cfg(test)]
mod tests {
    use super::super::doubles::{Script, request, status};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_request_at_the_same_time_is_sent_once() {
        let script = Script::slow([status(200)], 50);
        let layer = Coalesce::new(script.clone());
        let (a, b, c) = tokio::join!(
            layer.fetch(request("http://h/?a=1&b=2")),
            layer.fetch(request("http://h/?b=2&a=1")),
            layer.fetch(request("http://h/?c"))
        );
        assert!(a.is_ok() && b.is_ok() && c.is_ok());
        assert_eq!(script.asked(), 2);
        // Later it is a new request: keeping answers is not this layer's business.
        assert!(layer.fetch(request("http://h/?c")).await.is_ok());
        assert_eq!(script.asked(), 3);
    }
}

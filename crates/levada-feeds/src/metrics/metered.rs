//! The upstream layer that counts attempts.

use super::Metrics;
use crate::upstream::{Fetch, FetchError, Request, Response};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Instant;

/// Counts what passes, by service and outcome, with its time.
pub struct Metered<F> {
    inner: F,
    metrics: Arc<Metrics>,
}

impl<F: Fetch> Metered<F> {
    /// Counts the requests of `inner` in `metrics`.
    pub fn new(inner: F, metrics: Arc<Metrics>) -> Metered<F> {
        Metered { inner, metrics }
    }
}

#[async_trait]
impl<F: Fetch> Fetch for Metered<F> {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        let upstream = request.upstream;
        let started = Instant::now();
        let flying = Flying::new(&self.metrics);
        let answer = self.inner.fetch(request).await;
        drop(flying);
        let outcome = match &answer {
            Ok(response) => match response.status {
                200..=299 => "2xx",
                300..=399 => "3xx",
                404 => "404",
                429 => "429",
                400..=499 => "4xx",
                _ => "5xx",
            },
            Err(FetchError::Timeout(_)) => "timeout",
            Err(FetchError::Network(_)) => "network",
            Err(_) => "refused",
        };
        self.metrics.upstream(upstream, outcome, started.elapsed());
        answer
    }
}

/// Counts an attempt as under way, also when the one who waits for it goes away.
struct Flying<'a>(&'a Metrics);

impl<'a> Flying<'a> {
    fn new(metrics: &'a Metrics) -> Flying<'a> {
        metrics.in_flight(1);
        Flying(metrics)
    }
}

impl Drop for Flying<'_> {
    fn drop(&mut self) {
        self.0.in_flight(-1);
    }
}

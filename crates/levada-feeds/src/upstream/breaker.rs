//! The layer that leaves a failing service alone for a while.

use super::{Fetch, FetchError, Request, Response, Upstream};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::HashMap;
use tokio::time::{Duration, Instant};

/// Services watched at once. The key is (service, host); more hosts than this are not plausible for one server, and
/// those beyond are simply not watched.
const WATCHED: usize = 4096;

/// After a number of failures in a row a service is not asked for a while; then one request tries it.
pub struct Breaker<F> {
    inner: F,
    failures: u32,
    open_for: Duration,
    states: Mutex<HashMap<(Upstream, String), State>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    failed: u32,
    open_until: Option<Instant>,
}

impl<F: Fetch> Breaker<F> {
    /// Opens after `failures` failures in a row (network errors, time-outs, 5xx) for `open_ms` milliseconds.
    pub fn new(inner: F, failures: u32, open_ms: u64) -> Breaker<F> {
        Breaker {
            inner,
            failures,
            open_for: Duration::from_millis(open_ms),
            states: Mutex::new(HashMap::new()),
        }
    }

    /// `Err` with the time left when the service must not be asked now.
    fn admit(&self, key: &(Upstream, String)) -> Result<(), FetchError> {
        let mut states = self.states.lock();
        let Some(state) = states.get_mut(key) else {
            return Ok(());
        };
        let Some(until) = state.open_until else {
            return Ok(());
        };
        let now = Instant::now();
        if now < until {
            let retry_in_ms = (until - now).as_millis() as u64;
            return Err(FetchError::Open {
                upstream: key.0.name(),
                retry_in_ms,
            });
        }
        // Half open: this request is the probe, the others stay out until it is answered or the time runs out again.
        state.open_until = Some(now + self.open_for);
        Ok(())
    }

    fn note(&self, key: (Upstream, String), failed: bool) {
        let mut states = self.states.lock();
        if !failed {
            states.remove(&key);
            return;
        }
        if states.len() >= WATCHED && !states.contains_key(&key) {
            return;
        }
        let state = states.entry(key).or_default();
        state.failed = state.failed.saturating_add(1);
        if state.failed >= self.failures {
            state.open_until = Some(Instant::now() + self.open_for);
        }
    }
}

#[async_trait]
impl<F: Fetch> Fetch for Breaker<F> {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        let key = (request.upstream, request.authority().to_owned());
        self.admit(&key)?;
        let answer = self.inner.fetch(request).await;
        let failed = match &answer {
            Ok(response) => response.status >= 500,
            Err(FetchError::Network(_) | FetchError::Timeout(_)) => true,
            Err(_) => false,
        };
        self.note(key, failed);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::super::doubles::{Script, request, status};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn opens_after_failures_probes_once_and_closes() {
        let script = Script::of([status(500), status(500), status(500), status(200)]);
        let layer = Breaker::new(script.clone(), 3, 5_000);
        for _ in 0..3 {
            assert_eq!(
                layer.fetch(request("http://h/")).await.expect("an answer").status,
                500
            );
        }
        assert!(matches!(
            layer.fetch(request("http://h/")).await,
            Err(FetchError::Open { .. })
        ));
        assert_eq!(script.asked(), 3);
        // Another host is not affected.
        assert!(layer.fetch(request("http://other/")).await.is_ok());
        tokio::time::advance(Duration::from_millis(5_001)).await;
        assert_eq!(
            layer.fetch(request("http://h/")).await.expect("the probe").status,
            200
        );
        assert!(layer.fetch(request("http://h/")).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_page_is_no_failure() {
        let layer = Breaker::new(Script::of([status(404)]), 1, 5_000);
        for _ in 0..5 {
            assert_eq!(
                layer.fetch(request("http://h/")).await.expect("an answer").status,
                404
            );
        }
    }
}

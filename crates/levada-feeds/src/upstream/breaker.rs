//! The layer that leaves a failing service alone for a while, and one that says for how long for as long as it says.

use super::{Fetch, FetchError, Request, Response, Upstream};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::HashMap;
use tokio::time::{Duration, Instant};

/// Services watched at once. The key is (service, host). When there are more, those that have not failed lately are
/// forgotten; if that is not enough, those beyond are not watched.
const WATCHED: usize = 4096;

/// What has not failed for so many times the pause has not failed lately.
const LATELY: u32 = 10;

/// The longest that a service is left alone because it says so.
const LONGEST_ASKED: Duration = Duration::from_secs(60);

/// After a number of failures in a row a service is not asked for a while; then one request tries it.
pub struct Breaker<F> {
    inner: F,
    failures: u32,
    open_for: Duration,
    patience: Duration,
    states: Mutex<HashMap<(Upstream, String), State>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    failed: u32,
    touched: Option<Instant>,
    open_until: Option<Instant>,
}

impl<F: Fetch> Breaker<F> {
    /// Opens after `failures` failures in a row (network errors, time-outs, 5xx, 429) for `open_ms` milliseconds; and at
    /// once, up to a minute, when a 429 or 503 asks in `Retry-After` for more than the `patience_ms` milliseconds that
    /// whoever tries again waits anyway.
    pub fn new(inner: F, failures: u32, open_ms: u64, patience_ms: u64) -> Breaker<F> {
        Breaker {
            inner,
            failures,
            open_for: Duration::from_millis(open_ms),
            patience: Duration::from_millis(patience_ms),
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

    /// `asked` is how long the service wants to be left alone.
    fn note(&self, key: (Upstream, String), failed: bool, asked: Option<Duration>) {
        let mut states = self.states.lock();
        if !failed {
            states.remove(&key);
            return;
        }
        let now = Instant::now();
        if states.len() >= WATCHED && !states.contains_key(&key) {
            let lately = self.open_for * LATELY;
            states.retain(|_, state| {
                let is_open = state.open_until.is_some_and(|until| now < until);
                is_open || state.touched.is_some_and(|touched| now < touched + lately)
            });
            if states.len() >= WATCHED {
                return;
            }
        }
        let state = states.entry(key).or_default();
        state.failed = state.failed.saturating_add(1);
        state.touched = Some(now);
        let asked = asked.filter(|asked| *asked > self.patience);
        let pause = match asked.map(|asked| asked.min(LONGEST_ASKED)) {
            Some(asked) => Some(asked.max(self.open_for)),
            None => (state.failed >= self.failures).then_some(self.open_for),
        };
        if let Some(pause) = pause {
            // A shorter pause does not end a longer one.
            state.open_until = state.open_until.max(Some(now + pause));
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
            Ok(response) => response.is_fault(),
            Err(FetchError::Network(_) | FetchError::Timeout(_)) => true,
            Err(_) => false,
        };
        let asked = match &answer {
            Ok(Response {
                status: 429 | 503,
                retry_after_s: Some(seconds),
                ..
            }) => Some(Duration::from_secs(u64::from(*seconds))),
            _ => None,
        };
        self.note(key, failed, asked);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::super::doubles::{Script, request, status};
    use super::*;
    use std::sync::Arc;

    #[tokio::test(start_paused = true)]
    async fn opens_after_failures_probes_once_and_closes() {
        let script = Script::of([status(500), status(500), status(500), status(200)]);
        let layer = Breaker::new(script.clone(), 3, 5_000, 2_000);
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
    async fn a_service_that_limits_is_left_alone_for_as_long_as_it_says() {
        let busy = |status, seconds| {
            Ok(Response {
                retry_after_s: seconds,
                ..Response::json(status, "")
            })
        };
        let ask = |layer: Arc<Breaker<Arc<Script>>>| async move { layer.fetch(request("http://h/")).await };
        for status in [429, 503] {
            let script = Script::of([busy(status, Some(30)), busy(200, None)]);
            let layer = Arc::new(Breaker::new(script.clone(), 20, 5_000, 2_000));
            assert!(ask(Arc::clone(&layer)).await.is_ok());
            tokio::time::advance(Duration::from_millis(29_900)).await;
            assert!(matches!(
                ask(Arc::clone(&layer)).await,
                Err(FetchError::Open { .. })
            ));
            assert_eq!(script.asked(), 1);
            tokio::time::advance(Duration::from_millis(200)).await;
            assert_eq!(ask(layer).await.expect("an answer").status, 200);
        }
        // A day is asked for, a minute is given.
        let script = Script::of([busy(429, Some(86_400)), busy(200, None)]);
        let layer = Arc::new(Breaker::new(script, 20, 5_000, 2_000));
        assert!(ask(Arc::clone(&layer)).await.is_ok());
        tokio::time::advance(Duration::from_millis(60_100)).await;
        assert_eq!(ask(layer).await.expect("an answer").status, 200);
        // What is waited for anyway, or not said, counts like any failure.
        let script = Script::of([busy(429, Some(2)), busy(429, None), busy(429, None)]);
        let layer = Arc::new(Breaker::new(script.clone(), 3, 5_000, 2_000));
        for _ in 0..3 {
            assert_eq!(ask(Arc::clone(&layer)).await.expect("an answer").status, 429);
        }
        assert!(matches!(ask(layer).await, Err(FetchError::Open { .. })));
        assert_eq!(script.asked(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_that_failed_long_ago_make_room() {
        let layer = Breaker::new(Script::of([status(500)]), 1, 5_000, 2_000);
        for n in 0..WATCHED {
            assert!(layer.fetch(request(&format!("http://h{n}/"))).await.is_ok());
        }
        let is_watched = || async {
            assert!(layer.fetch(request("http://new/")).await.is_ok());
            layer.fetch(request("http://new/")).await.is_err()
        };
        assert!(!is_watched().await);
        tokio::time::advance(Duration::from_millis(50_001)).await;
        assert!(is_watched().await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_page_is_no_failure() {
        let layer = Breaker::new(Script::of([status(404)]), 1, 5_000, 2_000);
        for _ in 0..5 {
            assert_eq!(
                layer.fetch(request("http://h/")).await.expect("an answer").status,
                404
            );
        }
    }
}

//! The layers in the order in which a request passes them.

use super::retry::Patience;
use super::{Breaker, Coalesce, Fetch, Limit, Recorder, Redirects, Retry, Timeout};
use crate::config::FeedsConfig;
use crate::metrics::{Metered, Metrics};
use std::io;
use std::sync::Arc;

/// Puts all policies of the configuration over `inner` (the network, a replay or a fault injector): coalescing,
/// recording when asked for, retries, breaking, bounds, counting, time-outs, redirects. `now_ms`
/// is the moment that a recording notes. Fails when the directory to record into cannot be made.
pub fn stack(
    inner: Arc<dyn Fetch>,
    config: &FeedsConfig,
    metrics: Arc<Metrics>,
    now_ms: i64,
) -> io::Result<Arc<dyn Fetch>> {
    let upstream = &config.upstream;
    let admitted = config.clone();
    let redirects = Redirects::new(inner, upstream.redirects, move |domain| admitted.admits(domain));
    let timeout = Timeout::new(redirects, upstream.timeout_ms);
    let metered = Metered::new(timeout, metrics);
    let limit = Limit::new(metered, upstream.concurrency, upstream.concurrency_per_upstream);
    let breaker = Breaker::new(
        limit,
        upstream.breaker_failures,
        upstream.breaker_open_ms,
        upstream.backoff_max_ms,
    );
    let patience = Patience {
        attempts: upstream.attempts,
        html_attempts: upstream.html_attempts,
        backoff_ms: upstream.backoff_ms,
        backoff_max_ms: upstream.backoff_max_ms,
    };
    let retry = Retry::new(breaker, patience);
    Ok(match &config.record {
        Some(dir) => Arc::new(Coalesce::new(Recorder::new(retry, dir, now_ms)?)),
        None => Arc::new(Coalesce::new(retry)),
    })
}

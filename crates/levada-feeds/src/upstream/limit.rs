//! The layer that bounds how many requests are in flight.

use super::{Fetch, FetchError, Request, Response, Upstream};
use async_trait::async_trait;
use tokio::sync::Semaphore;

/// At most so many requests at once, in all and per upstream service. Further ones wait in turn; the wait is bounded
/// by the deadline of whoever waits.
pub struct Limit<F> {
    inner: F,
    all: Semaphore,
    each: Vec<Semaphore>,
}

impl<F: Fetch> Limit<F> {
    /// Bounds `inner` to `all` requests together and `each` per upstream service (both at least 1).
    pub fn new(inner: F, all: usize, each: usize) -> Limit<F> {
        let gate = |size: usize| Semaphore::new(size.clamp(1, Semaphore::MAX_PERMITS));
        Limit {
            inner,
            all: gate(all),
            each: Upstream::ALL.iter().map(|_| gate(each)).collect(),
        }
    }
}

#[async_trait]
impl<F: Fetch> Fetch for Limit<F> {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        // The narrow gate first: whoever waits at it must not hold a place at the wide one.
        let _own = self.each[request.upstream as usize]
            .acquire()
            .await
            .map_err(|_| FetchError::Lost)?;
        let _any = self.all.acquire().await.map_err(|_| FetchError::Lost)?;
        self.inner.fetch(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::doubles::request;
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Gauge {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    #[async_trait]
    impl Fetch for Gauge {
        async fn fetch(&self, _: Request) -> Result<Response, FetchError> {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            tokio::task::yield_now().await;
            self.now.fetch_sub(1, Ordering::SeqCst);
            Ok(Response::json(200, ""))
        }
    }

    #[tokio::test]
    async fn no_more_than_allowed_are_in_flight() {
        let gauge = Arc::new(Gauge::default());
        let layer = Arc::new(Limit::new(Arc::clone(&gauge), 100, 3));
        let tasks: Vec<_> = (0..20)
            .map(|n| {
                let layer = Arc::clone(&layer);
                tokio::spawn(async move { layer.fetch(request(&format!("http://h/{n}"))).await })
            })
            .collect();
        for task in tasks {
            assert!(task.await.expect("no panic").is_ok());
        }
        assert_eq!(gauge.most.load(Ordering::SeqCst), 3);
    }
}

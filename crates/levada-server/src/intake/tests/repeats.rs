//! The dedupe window where requests end before their appends: nothing is stored twice that the log took.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use levada_event::{Bounds, Offset, Position, Record, RecordBatch, Timestamp, TopicPartition};
use levada_log::memory::{Memory, MemoryOptions};
use levada_log::{Log, LogError, LogFacts, ReadLimit, TopicInfo, TopicSpec};
use levada_wire::Report;
use tokio::sync::{Semaphore, oneshot};

use super::{DEADLINE, Site, request, site, texts};

/// A log whose appends wait for leave, and then go on whether or not anyone still waits for them, as those
/// of the real one do.
struct Gated {
    inner: Arc<Memory>,
    /// One permit per append.
    gate: Arc<Semaphore>,
    arrived: AtomicUsize,
    /// Appends that fail, from the first one on, with nothing stored.
    failing: AtomicUsize,
}

#[async_trait]
impl Log for Gated {
    fn facts(&self) -> &LogFacts {
        self.inner.facts()
    }

    async fn topic(&self, spec: &TopicSpec) -> Result<TopicInfo, LogError> {
        self.inner.topic(spec).await
    }

    async fn append(&self, to: &TopicPartition, records: Vec<Record>) -> Result<Offset, LogError> {
        self.arrived.fetch_add(1, Ordering::SeqCst);
        let fails = self.failing.load(Ordering::SeqCst) > 0;
        if fails {
            self.failing.fetch_sub(1, Ordering::SeqCst);
        }
        let (tell, told) = oneshot::channel();
        let (inner, gate, to) = (self.inner.clone(), self.gate.clone(), to.clone());
        tokio::spawn(async move {
            gate.acquire().await.unwrap().forget();
            let _ = tell.send(match fails {
                true => Err(LogError::Unavailable("the disk is full".into())),
                false => inner.append(&to, records).await,
            });
        });
        told.await.unwrap()
    }

    async fn read(&self, from: &Position, limit: ReadLimit) -> Result<RecordBatch, LogError> {
        self.inner.read(from, limit).await
    }

    async fn bounds(&self, of: &TopicPartition) -> Result<Bounds, LogError> {
        self.inner.bounds(of).await
    }

    async fn offset_at(&self, of: &TopicPartition, time: Timestamp) -> Result<Option<Offset>, LogError> {
        self.inner.offset_at(of, time).await
    }
}

struct Stalled {
    log: Arc<Gated>,
    site: Arc<Site>,
}

async fn stalled() -> Stalled {
    let log = Arc::new(Gated {
        inner: Arc::new(Memory::new(MemoryOptions::default())),
        gate: Arc::new(Semaphore::new(0)),
        arrived: AtomicUsize::new(0),
        failing: AtomicUsize::new(0),
    });
    let site = Arc::new(site(log.clone()).await);
    tokio::time::pause();
    Stalled { log, site }
}

fn event(id: &str) -> String {
    format!(r#"{{"$schema":"/test/1.0.0","meta":{{"stream":"once","id":"{id}"}},"n":1}}"#)
}

impl Stalled {
    async fn post(&self, body: String) -> Report<'static> {
        self.site
            .intake
            .submit(body.as_bytes(), &request(None))
            .await
            .unwrap()
    }

    /// Sends in the background; returns when `appends` in all have come to the log.
    async fn send(&self, body: String, appends: usize) -> tokio::task::JoinHandle<Report<'static>> {
        let site = self.site.clone();
        let sent = tokio::spawn(async move {
            let taken = site.intake.submit(body.as_bytes(), &request(None)).await;
            taken.unwrap()
        });
        while self.log.arrived.load(Ordering::SeqCst) < appends {
            tokio::task::yield_now().await;
        }
        sent
    }

    async fn let_through(&self, appends: usize) {
        self.log.gate.add_permits(appends);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    async fn stored(&self) -> usize {
        texts(&self.log.inner, "once").await.len()
    }
}

#[tokio::test]
async fn what_was_stored_behind_the_deadline_is_not_stored_again() {
    let at = stalled().await;
    let report = at.post(event("x")).await;
    assert_eq!(report.failures.len(), 1);
    assert_eq!(report.failures[0].code.as_str(), "outcome_unknown");
    at.let_through(10).await;
    assert_eq!(at.stored().await, 1);
    assert_eq!(at.post(event("x")).await.failures.len(), 0);
    assert_eq!(at.stored().await, 1);
}

#[tokio::test]
async fn what_was_stored_behind_a_client_that_left_is_not_stored_again() {
    let at = stalled().await;
    let sent = at.send(format!("[{},{}]", event("x"), event("y")), 1).await;
    sent.abort();
    assert!(sent.await.unwrap_err().is_cancelled());
    at.let_through(10).await;
    assert_eq!(at.stored().await, 2);
    let again = format!("[{},{},{}]", event("x"), event("y"), event("z"));
    assert_eq!(at.post(again).await.failures.len(), 0);
    assert_eq!(at.stored().await, 3);
}

#[tokio::test]
async fn a_repeat_waits_for_the_first_one_and_shares_its_success() {
    let at = stalled().await;
    let first = at.send(event("x"), 1).await;
    let second = at.send(format!("[{},{}]", event("x"), event("y")), 2).await;
    at.let_through(10).await;
    assert_eq!(first.await.unwrap().failures.len(), 0);
    assert_eq!(second.await.unwrap().failures.len(), 0);
    assert_eq!(at.stored().await, 2);
}

#[tokio::test]
async fn a_repeat_of_what_fails_is_stored_in_its_place() {
    let at = stalled().await;
    at.log.failing.store(1, Ordering::SeqCst);
    let first = at.send(event("x"), 1).await;
    let second = at.send(format!("[{0},{0},{1}]", event("x"), event("y")), 2).await;
    at.let_through(10).await;
    assert_eq!(
        first.await.unwrap().failures[0].code.as_str(),
        "storage_unavailable"
    );
    assert_eq!(second.await.unwrap().failures.len(), 0);
    assert_eq!(at.stored().await, 2);
    assert_eq!(at.post(event("x")).await.failures.len(), 0);
    assert_eq!(at.stored().await, 2);
}

#[tokio::test]
async fn a_repeat_waits_no_longer_than_its_own_deadline() {
    let at = stalled().await;
    let first = at.send(event("x"), 1).await;
    tokio::time::advance(DEADLINE / 2).await;
    let began = tokio::time::Instant::now();
    let report = at.post(format!("[{0},{0}]", event("x"))).await;
    let took = began.elapsed();
    assert!(
        took >= DEADLINE && took < DEADLINE + Duration::from_millis(10),
        "{took:?}"
    );
    assert_eq!(first.await.unwrap().failures.len(), 1);
    assert_eq!(report.failures.len(), 2);
    for failure in &report.failures {
        assert_eq!(failure.code.as_str(), "outcome_unknown");
    }
    at.let_through(10).await;
    assert_eq!(at.post(event("x")).await.failures.len(), 0);
    assert_eq!(at.stored().await, 1);
}

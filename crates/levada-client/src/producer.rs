//! Publishing events: queue, batches, bounded requests in flight.

mod post;
mod verdict;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::{Backoff, Server};
use post::Poster;
pub use verdict::{Cause, Failed, Verdict};

/// How a [`Producer`] works.
#[derive(Debug, Clone)]
pub struct ProducerConfig {
    /// Most events in one request.
    pub batch_events: usize,
    /// Most bytes in one request (one larger event makes a request of its own).
    pub batch_bytes: usize,
    /// How long an event waits for others to share its request.
    pub linger: Duration,
    /// Most requests at once. 1 keeps all events in the order they were sent; more keep the order only
    /// inside a request.
    pub in_flight: usize,
    /// Ask the server to answer before it has checked and stored (`hasty`): an accepted event may
    /// still be lost.
    pub hasty: bool,
    /// Stream of events that name none: the server fills `meta.stream` in, and where `$schema` is missing
    /// too, the newest schema that the stream declares.
    pub stream: Option<String>,
    /// `$schema` of events that name none; the server fills it in.
    pub schema: Option<String>,
    /// Longest wait for one answer.
    pub request_timeout: Duration,
    /// Longest time for a batch with all its retries; then its open events fail.
    pub deadline: Duration,
    /// Waits between retries.
    pub backoff: Backoff,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            batch_events: 100,
            batch_bytes: 1024 * 1024,
            linger: Duration::from_millis(5),
            in_flight: 1,
            hasty: false,
            stream: None,
            schema: None,
            request_timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(120),
            backoff: Backoff::default(),
        }
    }
}

/// The producer was closed, so the event was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the producer is closed")]
pub struct Closed;

/// Sends events to a server's intake and gives one [`Verdict`] for each.
///
/// [`send`](Self::send) queues an event (waiting while the queue is full) and returns a [`Receipt`];
/// [`send_all`](Self::send_all) sends a slice of events at once. Retries repeat only events that the
/// server did not accept; while a batch is retried with `in_flight` 1, later events wait behind it.
#[derive(Debug)]
pub struct Producer {
    poster: Arc<Poster>,
    jobs: mpsc::Sender<Job>,
    worker: JoinHandle<()>,
}

#[derive(Debug)]
struct Job {
    event: Bytes,
    reply: oneshot::Sender<Verdict>,
}

/// Resolves to the verdict on one event.
#[derive(Debug)]
pub struct Receipt(oneshot::Receiver<Verdict>);

impl Future for Receipt {
    type Output = Verdict;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Verdict> {
        Pin::new(&mut self.0).poll(cx).map(|answer| {
            // Only a producer dropped in mid-request leaves a receipt without an answer.
            answer.unwrap_or_else(|_| Verdict::Failed(Failed::abandoned()))
        })
    }
}

impl Producer {
    /// A producer for this server. Must be called inside a tokio runtime.
    pub fn new(server: Server, config: ProducerConfig) -> Self {
        // Room for the batches in flight and as many being gathered; more would only hide a slow server.
        let room = config.batch_events.max(1) * (config.in_flight.max(1) + 1);
        let (jobs, queue) = mpsc::channel(room);
        let poster = Arc::new(Poster::new(server, config));
        let worker = tokio::spawn(run(poster.clone(), queue));
        Self { poster, jobs, worker }
    }

    /// Queues one event (a JSON text) and returns a receipt for its verdict. Waits while the queue is
    /// full.
    ///
    /// # Errors
    /// [`Closed`] when the background task has ended (it panicked).
    pub async fn send(&self, event: impl Into<Bytes>) -> Result<Receipt, Closed> {
        let (reply, receipt) = oneshot::channel();
        let job = Job {
            event: event.into(),
            reply,
        };
        self.jobs.send(job).await.map_err(|_| Closed)?;
        Ok(Receipt(receipt))
    }

    /// Sends these events now, in as many requests as the bounds of a batch ask for, one after the
    /// other, and returns their verdicts in the same order. Independent of the queue of
    /// [`send`](Self::send). The deadline is for all of them together.
    pub async fn send_all(&self, events: &[Bytes]) -> Vec<Verdict> {
        self.poster.post(events).await
    }

    /// Waits until every queued event has its verdict.
    pub async fn close(self) {
        drop(self.jobs);
        // The worker ends when the queue is empty. Had it panicked, the receipts would say so.
        let _ = self.worker.await;
    }
}

/// Gathers jobs into batches and posts them.
async fn run(poster: Arc<Poster>, mut queue: mpsc::Receiver<Job>) {
    let permits = Arc::new(Semaphore::new(poster.config().in_flight.max(1)));
    let mut posts = JoinSet::new();
    let mut carry = None;
    while let Some(batch) = gather(poster.config(), &mut queue, &mut carry).await {
        while posts.try_join_next().is_some() {}
        let Ok(permit) = permits.clone().acquire_owned().await else {
            break;
        };
        posts.spawn(post_batch(poster.clone(), batch, permit));
    }
    while posts.join_next().await.is_some() {}
}

async fn post_batch(poster: Arc<Poster>, batch: Vec<Job>, permit: OwnedSemaphorePermit) {
    let (events, replies): (Vec<_>, Vec<_>) = batch.into_iter().map(|job| (job.event, job.reply)).unzip();
    for (reply, verdict) in replies.into_iter().zip(poster.post(&events).await) {
        // Who dropped the receipt does not want to know.
        let _ = reply.send(verdict);
    }
    drop(permit);
}

/// The next batch: ends at its bounds, after the linger, or when the queue closes. `carry` holds the
/// job that did not fit into the batch before.
async fn gather(
    config: &ProducerConfig,
    queue: &mut mpsc::Receiver<Job>,
    carry: &mut Option<Job>,
) -> Option<Vec<Job>> {
    let first = match carry.take() {
        Some(job) => job,
        None => queue.recv().await?,
    };
    let until = Instant::now() + config.linger;
    let mut bytes = first.event.len();
    let mut batch = vec![first];
    while batch.len() < config.batch_events {
        match tokio::time::timeout_at(until, queue.recv()).await {
            Ok(Some(job)) if bytes + job.event.len() > config.batch_bytes => {
                *carry = Some(job);
                break;
            }
            Ok(Some(job)) => {
                bytes += job.event.len();
                batch.push(job);
            }
            Ok(None) | Err(_) => break,
        }
    }
    Some(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(len: usize) -> Job {
        Job {
            event: vec![b'x'; len].into(),
            reply: oneshot::channel().0,
        }
    }

    #[tokio::test]
    async fn batches_end_at_their_bounds() {
        let config = ProducerConfig {
            batch_events: 3,
            batch_bytes: 10,
            ..ProducerConfig::default()
        };
        let (jobs, mut queue) = mpsc::channel(64);
        for len in [1, 1, 1, 1, 8, 2, 99, 1] {
            jobs.send(job(len)).await.unwrap();
        }
        drop(jobs);
        let (mut carry, mut sizes) = (None, Vec::new());
        while let Some(batch) = gather(&config, &mut queue, &mut carry).await {
            sizes.push(batch.iter().map(|job| job.event.len()).collect::<Vec<_>>());
        }
        assert_eq!(sizes, [vec![1, 1, 1], vec![1, 8], vec![2], vec![99], vec![1]]);
    }
}

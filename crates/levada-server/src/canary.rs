//! Canary events (contract eventstreams §4): at regular times one event per pipe, made from the example of
//! the stream's schema and taken in like any other. Whoever reads a stream can tell by them a quiet stream
//! from a broken one; whoever watches the metrics learns which pipe is broken.

use std::net::Ipv4Addr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use levada_catalog::{Catalog, SchemaRepository, Stream, canary_event};
use levada_event::Timestamp;
use tokio::time::{Instant, MissedTickBehavior};

use crate::intake::{Intake, RequestContext};
use crate::shutdown::Shutdown;

/// What makes and posts canary events.
pub(crate) struct Canaries {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) schemas: Arc<SchemaRepository>,
    pub(crate) intake: Arc<Intake>,
    /// Name of the intake: only streams destined to it get canaries from here; empty for all.
    pub(crate) service: String,
    /// Whether the intake has a topic prefix: then other prefixes are the business of other intakes.
    pub(crate) prefixed: bool,
    /// How long an event may take.
    pub(crate) deadline: Duration,
}

/// Posts a round now and then one every `interval`, until the shutdown.
pub(crate) fn spawn(canaries: Canaries, interval: Duration, shutdown: Shutdown) {
    tokio::spawn(async move {
        let mut times = tokio::time::interval(interval);
        // A round that took longer than the interval is not made up for.
        times.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = times.tick() => {}
                () = shutdown.begun() => return,
            }
            tokio::select! {
                () = canaries.round() => {}
                () = shutdown.begun() => return,
            }
        }
    });
}

impl Canaries {
    /// One event for each pipe of each stream, one after another; a failure keeps no other from its turn.
    async fn round(&self) {
        let snapshot = self.catalog.snapshot();
        for stream in snapshot.streams().iter().filter(|stream| self.is_mine(stream)) {
            if self.prefixed || stream.topics.is_empty() {
                self.post(stream, None).await;
                continue;
            }
            for topic in &stream.topics {
                self.post(stream, Some(topic)).await;
            }
        }
    }

    fn is_mine(&self, stream: &Stream) -> bool {
        let destined = || stream.destination_event_service.as_deref() == Some(&*self.service);
        stream.canary_events_enabled && !stream.is_pattern() && (self.service.is_empty() || destined())
    }

    async fn post(&self, stream: &Stream, topic: Option<&String>) {
        let outcome = self.try_post(stream, topic).await;
        let name = topic.unwrap_or(&stream.name).clone();
        let verdict = if outcome.is_ok() { "accepted" } else { "failed" };
        let labels = [
            ("stream", stream.name.clone()),
            ("topic", name.clone()),
            ("verdict", verdict.into()),
        ];
        metrics::counter!("levada_canary_events_total", &labels).increment(1);
        match outcome {
            Ok(()) => {
                let labels = [("stream", stream.name.clone()), ("topic", name)];
                let now = Timestamp::from_system(SystemTime::now()).as_millis() as f64 / 1000.0;
                metrics::gauge!("levada_canary_last_accepted_seconds", &labels).set(now);
            }
            Err(reason) => {
                tracing::warn!(
                    stream = stream.name,
                    topic = name,
                    reason,
                    "a canary event was not accepted"
                );
            }
        }
    }

    async fn try_post(&self, stream: &Stream, topic: Option<&String>) -> Result<(), String> {
        let title = stream
            .schema_title
            .as_deref()
            .ok_or("the stream has no schema_title")?;
        let schema = self.schemas.latest(title);
        let schema = tokio::time::timeout(self.deadline, schema)
            .await
            .map_err(|_| format!("the schema {title} was not there in time"))?
            .map_err(|error| error.to_string())?;
        let event = canary_event(stream, &schema, None).map_err(|error| error.to_string())?;
        let request = RequestContext {
            headers: Box::new(|_| None),
            peer: Ipv4Addr::LOCALHOST.into(),
            request_id: OnceLock::new(),
            schema_uri: None,
            stream: None,
            received: Timestamp::from_system(SystemTime::now()),
            due: Instant::now() + self.deadline,
            // The server's own events are not asked for credentials.
            may_write: None,
            hasty: false,
            topic: topic.cloned(),
        };
        let report = self.intake.submit(&event, &request).await;
        let report = report.map_err(|fault| fault.to_string())?;
        match report.failures.first() {
            None => Ok(()),
            Some(failure) => Err(format!("{}: {}", failure.code.as_str(), failure.context.text())),
        }
    }
}

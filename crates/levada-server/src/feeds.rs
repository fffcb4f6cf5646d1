//! The feeds inside the server: built from `[feeds]`, refreshed by page-change events of the streams
//! named there, mounted by `http`.

use std::sync::Arc;
use std::time::Duration;

use levada_catalog::Catalog;
use levada_event::json::{Document, Value};
use levada_event::{Position, TopicName, TopicPartition};
use levada_feeds::{Feeds, FeedsConfig};
use levada_log::{Log, LogError, ReadLimit, TopicSpec};
use serde::Deserialize;

use crate::boot::{BootError, retention};
use crate::config::Config;
use crate::shutdown::Shutdown;

/// How much is read of a stream at a time, and how long a read waits for more.
const LIMIT: ReadLimit = ReadLimit {
    bytes: 256 * 1024,
    wait: Duration::from_secs(5),
};

/// Pause after a failed read.
const PAUSE: Duration = Duration::from_secs(1);

/// Builds the feeds, if they are switched on.
///
/// # Errors
/// [`BootError::Feeds`] names the key or file at fault.
pub fn build(config: &Config) -> Result<Option<Feeds>, BootError> {
    let Some(mut settings) = settings(config)? else {
        return Ok(None);
    };
    if settings.cache.path.is_none() && settings.replay.is_none() {
        settings.cache.path = Some(config.data.join("feeds.redb"));
    }
    made(settings).map(Some)
}

/// Builds the feeds, if they are switched on, beside a server that may be running on the same configuration: with
/// caches of their own, in memory, so that whatever is asked is asked anew.
///
/// # Errors
/// As [`build`].
pub fn build_apart(config: &Config) -> Result<Option<Feeds>, BootError> {
    let Some(mut settings) = settings(config)? else {
        return Ok(None);
    };
    settings.cache.path = None;
    made(settings).map(Some)
}

fn made(settings: FeedsConfig) -> Result<Feeds, BootError> {
    Feeds::new(settings).map_err(|error| BootError::Feeds(error.to_string()))
}

/// The section `[feeds]`, if it switches the feeds on.
fn settings(config: &Config) -> Result<Option<FeedsConfig>, BootError> {
    if !config
        .feeds
        .get("enabled")
        .and_then(toml::Value::as_bool)
        .unwrap_or(false)
    {
        return Ok(None);
    }
    let mut table = config.feeds.clone();
    for own in ["enabled", "streams"] {
        table.remove(own);
    }
    table
        .entry("compat")
        .or_insert(toml::Value::Boolean(config.compat.wikifeeds));
    FeedsConfig::deserialize(toml::Value::Table(table))
        .map(Some)
        .map_err(|error| BootError::Feeds(error.to_string()))
}

/// Names of the streams whose events refresh feeds.
fn streams(config: &Config) -> Vec<String> {
    let listed = config.feeds.get("streams").and_then(toml::Value::as_array);
    listed
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

/// Keeps the feeds fresh and follows the streams that refresh them, until shutdown.
pub(crate) fn spawn(
    feeds: &Feeds,
    config: &Config,
    catalog: &Catalog,
    log: &Arc<dyn Log>,
    shutdown: &Shutdown,
) {
    let (tending, stop) = (feeds.clone(), shutdown.clone());
    tokio::spawn(async move { tending.run(stop.begun()).await });
    let snapshot = catalog.snapshot();
    for name in streams(config) {
        let Some(stream) = snapshot.resolve(&name) else {
            tracing::error!(stream = name, "feeds.streams names a stream that is not declared");
            continue;
        };
        for topic in &stream.topics {
            let Ok(topic) = TopicName::new(topic) else {
                continue;
            };
            let spec = TopicSpec {
                name: topic,
                partitions: stream.levada.partitions,
                retention: retention(config),
            };
            tokio::spawn(follow_topic(feeds.clone(), log.clone(), spec, shutdown.clone()));
        }
    }
}

async fn follow_topic(feeds: Feeds, log: Arc<dyn Log>, spec: TopicSpec, shutdown: Shutdown) {
    let partitions = loop {
        match log.existing(&spec).await {
            Ok(info) => break info.partitions,
            // Another datacentre's topic may never come.
            Err(LogError::UnknownTopic(_)) => tracing::debug!(topic = %spec.name, "no topic to follow yet"),
            Err(error) => tracing::warn!(topic = %spec.name, %error, "feeds cannot follow a topic yet"),
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = shutdown.begun() => return,
        }
    };
    for partition in 0..partitions {
        let of = TopicPartition::new(spec.name.clone(), partition);
        let (feeds, log, shutdown) = (feeds.clone(), log.clone(), shutdown.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = follow(&feeds, &log, of) => {}
                () = shutdown.begun() => {}
            }
        });
    }
}

/// Follows a partition from its end on. Whatever is missed only makes a feed live out its time.
async fn follow(feeds: &Feeds, log: &Arc<dyn Log>, of: TopicPartition) {
    let mut next = match log.bounds(&of).await {
        Ok(bounds) => bounds.next,
        Err(_) => 0,
    };
    loop {
        match log
            .read(
                &Position {
                    of: of.clone(),
                    offset: next,
                },
                LIMIT,
            )
            .await
        {
            Ok(batch) => {
                for record in batch.iter() {
                    invalidate(feeds, record.value);
                }
                next = batch.next();
            }
            Err(LogError::OutOfRange(bounds)) => next = bounds.next,
            Err(error) => {
                tracing::warn!(%of, %error, "feeds cannot read a stream");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Outdates the feeds built from the page of an event, under its present title and the one it had before.
fn invalidate(feeds: &Feeds, event: &[u8]) {
    let Ok(document) = Document::parse(event) else {
        return;
    };
    let root = document.root();
    let text = |path: &[&str]| root.at_path(path.iter().copied()).and_then(Value::as_str);
    let Some(domain) = text(&["meta", "domain"]) else {
        return;
    };
    let title = text(&["page", "page_title"])
        .or_else(|| text(&["page_title"]))
        .or_else(|| text(&["title"]));
    let prior = text(&["prior_state", "page", "page_title"]).filter(|prior| Some(prior) != title.as_ref());
    for title in title.iter().chain(&prior) {
        let outdated = feeds.invalidate(&domain, title);
        metrics::counter!("levada_feeds_invalidated_by_events_total").increment(outdated as u64);
    }
}

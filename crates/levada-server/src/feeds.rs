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
/// caches of their own, in memory, so that whatever is asked is asked anew. A recording of the day `date` is one of
/// that day: it stands still there when it is replayed.
///
/// # Errors
/// As [`build`].
pub fn build_apart(config: &Config, date: Option<&str>) -> Result<Option<Feeds>, BootError> {
    let Some(mut settings) = settings(config)? else {
        return Ok(None);
    };
    settings.cache.path = None;
    if settings.record.is_some()
        && let Some(date) = date
    {
        let of_day = FeedsConfig {
            today: Some(date.to_owned()),
            ..settings.clone()
        };
        // A day that is none is refused when it is asked for.
        if settings.today.is_none() && of_day.check().is_ok() {
            settings = of_day;
        }
    }
    made(settings).map(Some)
}

fn made(settings: FeedsConfig) -> Result<Feeds, BootError> {
    Feeds::new(settings).map_err(|error| BootError::Feeds(error.to_string()))
}

/// The section `[feeds]`, if it switches the feeds on.
fn settings(config: &Config) -> Result<Option<FeedsConfig>, BootError> {
    // A list of streams of the wrong form is wrong before the feeds are switched on, too.
    streams(config)?;
    match config.feeds.get("enabled") {
        Some(toml::Value::Boolean(true)) => {}
        Some(toml::Value::Boolean(false)) | None => return Ok(None),
        Some(other) => {
            return Err(BootError::Feeds(format!(
                "feeds.enabled is {other}, and must be true or false (without quotation marks)"
            )));
        }
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
fn streams(config: &Config) -> Result<Vec<String>, BootError> {
    let wrong = |found: &toml::Value| {
        BootError::Feeds(format!(
            "feeds.streams has {found}, and must be a list of stream names: [\"mediawiki.page_change.v1\"]"
        ))
    };
    let listed = match config.feeds.get("streams") {
        None => return Ok(Vec::new()),
        Some(toml::Value::Array(listed)) => listed,
        Some(other) => return Err(wrong(other)),
    };
    let name = |name: &toml::Value| name.as_str().map(str::to_owned).ok_or_else(|| wrong(name));
    listed.iter().map(name).collect()
}

/// Keeps the feeds fresh and follows the streams that refresh them, until shutdown.
///
/// # Errors
/// [`BootError::Feeds`] names a stream that is not declared.
pub(crate) fn spawn(
    feeds: &Feeds,
    config: &Config,
    catalog: &Catalog,
    log: &Arc<dyn Log>,
    shutdown: &Shutdown,
) -> Result<(), BootError> {
    let snapshot = catalog.snapshot();
    let mut specs = Vec::new();
    for name in streams(config)? {
        let Some(stream) = snapshot.resolve(&name) else {
            return Err(BootError::Feeds(format!(
                "feeds.streams names {name:?}, which no stream configuration declares: declare it, or take it from the list"
            )));
        };
        for topic in &stream.topics {
            if let Ok(name) = TopicName::new(topic) {
                specs.push(TopicSpec {
                    name,
                    partitions: stream.levada.partitions,
                    retention: retention(config),
                });
            }
        }
    }
    let (tending, stop) = (feeds.clone(), shutdown.clone());
    tokio::spawn(async move { tending.run(stop.begun()).await });
    for spec in specs {
        tokio::spawn(follow_topic(feeds.clone(), log.clone(), spec, shutdown.clone()));
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn config(feeds: &str) -> Config {
        let mut config = Config::load(None, [], &[]).expect("defaults").config;
        config.feeds = toml::from_str(feeds).expect("a table");
        config
    }

    fn refusal(feeds: &str) -> String {
        let built = build_apart(&config(feeds), None);
        built.expect_err("refused").to_string()
    }

    #[test]
    fn keys_of_the_wrong_type_are_refused_with_what_would_be_right() {
        let said = refusal("enabled = \"true\"");
        assert!(said.contains("feeds.enabled is \"true\""), "{said}");
        for streams in ["\"page_change\"", "[\"page_change\", 7]", "true"] {
            for enabled in ["true", "false"] {
                let said = refusal(&format!("enabled = {enabled}\nstreams = {streams}"));
                assert!(
                    said.contains("feeds.streams has") && said.contains("list of stream names"),
                    "{said}"
                );
            }
        }
        let right = config("enabled = true\nstreams = [\"a\", \"b\"]");
        assert_eq!(streams(&right).expect("right"), ["a", "b"]);
        assert!(build_apart(&config(""), None).expect("right").is_none());
    }

    #[test]
    fn a_recording_of_a_day_is_of_that_day() {
        let dir = tempfile::tempdir().expect("a directory");
        let feeds = format!("enabled = true\nrecord = \"{}\"", dir.path().display());
        let today = |date| {
            let feeds = build_apart(&config(&feeds), date).expect("right").expect("on");
            feeds.config().today.clone()
        };
        assert_eq!(today(Some("2026-11-20")).as_deref(), Some("2026-11-20"));
        assert_eq!(today(None), None);
        // Refused when it is asked for, with words of its own.
        assert_eq!(today(Some("2026-02-30")), None);
        let noted = std::fs::read_to_string(dir.path().join("recording.json")).expect("a note");
        assert!(noted.contains("recorded_ms"), "{noted}");
    }

    #[test]
    fn an_empty_path_is_no_store() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut config = config("enabled = true\n[cache]\npath = \"\"");
        config.data = dir.path().to_owned();
        build(&config).expect("right").expect("on");
        assert!(!dir.path().join("feeds.redb").exists());
        config.feeds.remove("cache");
        build(&config).expect("right").expect("on");
        assert!(dir.path().join("feeds.redb").exists());
    }
}

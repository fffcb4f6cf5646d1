//! Retention of topics that are there already: what is configured takes force at the start and after a reload,
//! whether or not an event comes.

use std::collections::HashMap;

use levada_catalog::Snapshot;
use levada_log::embedded::Embedded;
use levada_log::{Log, Retention, TopicSpec};

use crate::intake::{retention_of, topic_of};

/// Gives the topics of `log` the retention that their streams declare, completed by `default`. Topics that
/// belong to no stream stay as they are. What is removed early cannot be had back: while the snapshot is not
/// whole, which may be for want of the very part that says how long, topics are only given longer to keep.
/// What fails is logged, and tried again with the next reload.
pub(crate) async fn apply(log: &Embedded, snapshot: &Snapshot, prefix: &str, default: Retention) {
    let declared = Declared::of(snapshot, prefix, default);
    let whole = snapshot.is_whole();
    let (mut changed, mut waiting) = (0, 0);
    for topic in log.topics() {
        let Some(retention) = declared.retention(snapshot, topic.name.as_str()) else {
            continue;
        };
        let wanted = retention;
        let retention = match whole {
            true => wanted,
            false => most_generous(wanted, topic.retention),
        };
        waiting += usize::from(retention != wanted);
        if retention == topic.retention {
            continue;
        }
        let spec = TopicSpec { retention, ..topic };
        match log.topic(&spec).await {
            Ok(_) => changed += 1,
            Err(error) => {
                tracing::error!(topic = %spec.name, %error, "the topic's retention could not be changed");
            }
        }
    }
    if changed > 0 {
        tracing::info!(topics = changed, "topics were given another retention");
    }
    if waiting > 0 {
        tracing::warn!(
            topics = waiting,
            "topics are kept longer than is configured until the errors in stream configuration are mended"
        );
    }
}

/// How long `topic` is kept: a topic of several streams as long as the most generous of them says. `None`
/// for a topic of no stream.
pub(crate) fn of_topic(
    snapshot: &Snapshot,
    prefix: &str,
    default: Retention,
    topic: &str,
) -> Option<Retention> {
    Declared::of(snapshot, prefix, default).retention(snapshot, topic)
}

struct Declared<'a> {
    by_topic: HashMap<String, Retention>,
    prefix: &'a str,
    default: Retention,
}

impl<'a> Declared<'a> {
    fn of(snapshot: &Snapshot, prefix: &'a str, default: Retention) -> Self {
        let mut by_topic: HashMap<String, Retention> = HashMap::new();
        for stream in snapshot.streams() {
            let retention = retention_of(stream, default);
            // Topics that a pattern names are topics as they stand; computed ones are patterns again.
            let named = !stream.is_pattern() || !stream.has_computed_topics();
            let own = (!stream.is_pattern()).then(|| topic_of(&stream.name, prefix, &stream.topics));
            let topics = stream.topics.iter().filter(|_| named);
            for topic in topics.chain(&own) {
                let known = by_topic.entry(topic.clone()).or_insert(retention);
                *known = most_generous(*known, retention);
            }
        }
        Self {
            by_topic,
            prefix,
            default,
        }
    }

    fn retention(&self, snapshot: &Snapshot, topic: &str) -> Option<Retention> {
        if let Some(known) = self.by_topic.get(topic) {
            return Some(*known);
        }
        // Streams of a pattern are known by their names: the topic without a prefix.
        let bare = topic.strip_prefix(self.prefix);
        let behind_dot = topic.split_once('.').map(|(_, name)| name);
        let names = [bare, Some(topic), behind_dot];
        names.into_iter().flatten().find_map(|name| {
            let stream = snapshot.stream(name).filter(|stream| !stream.is_pattern())?;
            let is_its = topic_of(name, self.prefix, &stream.topics) == topic
                || stream.topics.iter().any(|declared| declared == topic);
            is_its.then(|| retention_of(&stream, self.default))
        })
    }
}

fn most_generous(a: Retention, b: Retention) -> Retention {
    Retention {
        age: a.age.zip(b.age).map(|(a, b)| a.max(b)),
        bytes: a.bytes.zip(b.bytes).map(|(a, b)| a.max(b)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use levada_catalog::{Catalog, CatalogConfig, NoFetch, Source};

    use super::*;

    #[tokio::test]
    async fn a_topic_that_a_name_and_a_pattern_share_is_kept_as_long_as_either_says() {
        let day = Duration::from_secs(24 * 3600);
        let default = Retention {
            age: Some(7 * day),
            bytes: None,
        };
        for (name, pattern, longest) in [(1, 30, 30), (40, 30, 40)] {
            let text = format!(
                "streams:\n  jobs.audit: {{topics: [jobs], levada: {{retention: {{age: {name}d}}}}}}\n  '/^job\\./': {{topics: [jobs], levada: {{retention: {{age: {pattern}d}}}}}}\n  '/^x\\./': {{}}\n"
            );
            let config = CatalogConfig {
                sources: vec![Source::inline("s", text)],
                ..CatalogConfig::default()
            };
            let snapshot = Catalog::open(config, Arc::new(NoFetch)).await.unwrap().snapshot();
            let age = |topic| of_topic(&snapshot, "", default, topic).map(|kept| kept.age);
            assert_eq!(age("jobs"), Some(Some(longest * day)));
            assert_eq!(age("x.y"), Some(default.age));
            assert_eq!(age("other"), None);
        }
    }
}

//! What of the made feeds is in the store, so that they survive a restart.

use super::{Made, Outdated, Results, Times};
use crate::cache::{Disk, Record};
use crate::feed::key::FeedKey;
use crate::metrics::Kept;
use crate::wiki::{Failure, Source};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// Where the names of outdated feeds are in the store, beside the feeds: an edit must not rewrite a megabyte.
const OUTDATED: &str = "outdated";

#[derive(Serialize, Deserialize)]
struct Head {
    made_ms: i64,
    fresh_until_ms: i64,
    items: usize,
    id: String,
    varies: bool,
    sources: Vec<Source>,
    #[serde(default)]
    own: Vec<Source>,
    #[serde(default)]
    redirects: Vec<(Source, Source)>,
    failures: Vec<Failure>,
    notes: Vec<String>,
    /// After which rules, and out of what, it was made.
    #[serde(default)]
    manner: String,
}

impl Results {
    /// Stores a feed that was just made; of a problem, that there is no feed any more.
    pub(super) fn store(&self, key: &FeedKey, made: &Made, times: &Times, now_ms: i64) {
        let Some(disk) = &self.disk else { return };
        let name = key.to_string();
        match &made.json {
            Some(json) => {
                let settled = times.held.is_none() && times.outdated.is_none();
                let head = Head {
                    made_ms: times.made_ms,
                    // What is not fresh now is not fresh after a restart either.
                    fresh_until_ms: if settled { times.until_ms } else { times.made_ms },
                    items: made.items,
                    id: made.id.clone(),
                    varies: made.varies,
                    sources: made.sources.clone(),
                    own: made.own.clone(),
                    redirects: made.redirects.clone(),
                    failures: made.failures.clone(),
                    notes: made.notes.clone(),
                    manner: self.manner.lock().to_string(),
                };
                let record = Record {
                    at_ms: now_ms,
                    head,
                    body: json.to_vec(),
                };
                if let Some(bytes) = record.encode() {
                    disk.put(Kept::Result.name(), &name, bytes);
                }
            }
            None => disk.remove(Kept::Result.name(), &name),
        }
        match (&made.json, times.outdated) {
            (Some(_), Some(outdated)) => note_outdated(disk, &name, outdated.since_ms),
            _ => disk.remove(OUTDATED, &name),
        }
    }

    /// Stores that a feed is outdated.
    pub(super) fn store_outdated(&self, key: &FeedKey, since_ms: i64) {
        if let Some(disk) = &self.disk {
            note_outdated(disk, &key.to_string(), since_ms);
        }
    }

    /// Takes what is in the store.
    pub(super) fn load(&self, now_ms: i64, keep_ms: i64) {
        let Some(disk) = &self.disk else { return };
        let manner = Arc::clone(&self.manner.lock());
        let mut outdated: HashMap<String, i64> = HashMap::new();
        for (name, bytes) in disk.all(OUTDATED) {
            let since_ms = Record::<()>::decode(&bytes).map_or(now_ms, |record| record.at_ms);
            outdated.insert(name, since_ms);
        }
        for (name, bytes) in disk.all(Kept::Result.name()) {
            let read = FeedKey::parse(&name).zip(Record::<Head>::decode(&bytes));
            let Some((key, record)) =
                read.filter(|(_, record)| now_ms < record.head.fresh_until_ms + keep_ms)
            else {
                disk.remove(Kept::Result.name(), &name);
                continue;
            };
            let head = record.head;
            let mark = outdated.remove(&name);
            // What it was made from is not outdated by the manner of making.
            let since_ms = mark.or_else(|| (*head.manner != *manner).then_some(i64::MIN));
            let made = Made {
                json: Some(Bytes::from(record.body)),
                problem: None,
                items: head.items,
                id: head.id,
                varies: head.varies,
                sources: head.sources,
                own: head.own,
                redirects: head.redirects,
                failures: head.failures,
                notes: head.notes,
            };
            // Nobody has asked for it since the start.
            let until_ms = head.fresh_until_ms;
            let times = Times {
                made_ms: head.made_ms,
                until_ms,
                held: None,
                outdated: since_ms.map(|since_ms| Outdated { since_ms, own: true }),
            };
            let entry = self.entry(made, times, 0);
            self.insert(&key, entry);
        }
        for name in outdated.keys() {
            disk.remove(OUTDATED, name);
        }
    }
}

fn note_outdated(disk: &Disk, name: &str, since_ms: i64) {
    let record = Record {
        at_ms: since_ms,
        head: (),
        body: Vec::new(),
    };
    if let Some(bytes) = record.encode() {
        disk.put(OUTDATED, name, bytes);
    }
}

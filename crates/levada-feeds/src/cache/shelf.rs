//! A shelf of upstream answers of one kind: found ones and, for a shorter time, missing ones.
//!
//! Fresh answers are given as they are; expired ones are fetched again, once for everybody who waits; when that fails
//! an old copy is given and says that it is old. Failures are never kept.

use super::{Disk, Record};
use crate::flight::{Flights, Overtaken};
use crate::metrics::{Kept, Metrics};
use crate::wiki::Fault;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::sync::Arc;

/// What can be put on a shelf.
pub(crate) trait Keep: Clone + Send + Sync + 'static {
    /// Bytes it takes in memory, roughly.
    fn weight(&self) -> usize;
    /// As bytes for the store.
    fn to_store(&self) -> Vec<u8>;
    /// Back from the store; `None` when it no longer reads.
    fn from_store(bytes: &[u8]) -> Option<Self>;
}

impl Keep for Bytes {
    fn weight(&self) -> usize {
        self.len()
    }

    fn to_store(&self) -> Vec<u8> {
        self.to_vec()
    }

    fn from_store(bytes: &[u8]) -> Option<Self> {
        Some(Bytes::copy_from_slice(bytes))
    }
}

/// Lifetimes of a shelf, milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keeping {
    /// A found answer.
    pub(crate) found_ms: i64,
    /// A missing one.
    pub(crate) missing_ms: i64,
    /// How long after expiry a copy still serves when nothing better can be had.
    pub(crate) spare_ms: i64,
}

/// An answer on a shelf.
#[derive(Debug, Clone)]
pub(crate) struct Shelved<T> {
    /// The value, or the fault that says that there is none (a 4xx).
    pub(crate) value: Result<T, Fault>,
    /// When it was fetched, milliseconds since the epoch.
    pub(crate) made_ms: i64,
    /// Known to be outdated, whatever its age.
    expired: bool,
}

/// What a shelf gives.
#[derive(Debug, Clone)]
pub(crate) struct Got<T> {
    /// The value.
    pub(crate) value: T,
    /// When it was fetched, milliseconds since the epoch.
    pub(crate) made_ms: i64,
    /// Why it is a copy past its time, when it is.
    pub(crate) stale: Option<Fault>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    made_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    missing: Option<Fault>,
}

/// How often somebody waits for an answer that turns out to be from before what they ask for.
const ROUNDS: u32 = 3;

/// A shelf.
pub(crate) struct Shelf<T: Keep> {
    name: Arc<str>,
    kept: Kept,
    memory: moka::sync::Cache<String, Arc<Shelved<T>>>,
    disk: Option<Arc<Disk>>,
    flights: Arc<Flights<Result<Got<T>, Fault>>>,
    keeping: Keeping,
    metrics: Arc<Metrics>,
}

impl<T: Keep> Shelf<T> {
    /// A shelf that holds up to `most_bytes` in memory. In the store it has nothing in common with one of other
    /// `origins`.
    pub(crate) fn new(
        kept: Kept,
        origins: &str,
        most_bytes: u64,
        keeping: Keeping,
        disk: Option<Arc<Disk>>,
        metrics: Arc<Metrics>,
    ) -> Arc<Shelf<T>> {
        let memory = moka::sync::Cache::builder()
            .max_capacity(most_bytes)
            .weigher(|key: &String, held: &Arc<Shelved<T>>| {
                let value = held.value.as_ref().map_or_else(Fault::weight, Keep::weight);
                u32::try_from(key.len() + value + 128).unwrap_or(u32::MAX)
            })
            .eviction_policy(moka::policy::EvictionPolicy::lru())
            .build();
        Arc::new(Shelf {
            name: format!("{} {origins}", kept.name()).into(),
            kept,
            memory,
            disk,
            flights: Arc::default(),
            keeping,
            metrics,
        })
    }

    /// The answer for `key`: the one held when it is fresh at `now_ms` and was fetched at `not_before_ms` or later,
    /// else the one that `fetch` brings, else an old copy. One that is on its way counts when it was asked for late
    /// enough and its page has not changed since.
    pub(crate) async fn get<M, F>(
        self: &Arc<Self>,
        key: String,
        now_ms: i64,
        not_before_ms: i64,
        fetch: M,
    ) -> Result<Got<T>, Fault>
    where
        M: Fn() -> F + Clone + Send + 'static,
        F: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        let mut rounds = ROUNDS;
        loop {
            if let Some(held) = self.memory.get(&key)
                && self.is_fresh(&held, now_ms, not_before_ms)
            {
                self.metrics.cache(self.kept, "hit");
                return give(&held, None);
            }
            let (shelf, named, fetch) = (Arc::clone(self), key.clone(), fetch.clone());
            let landed = self.flights.board(key.clone(), move |overtaken| async move {
                shelf.renew(named, now_ms, not_before_ms, fetch, overtaken).await
            });
            let landed = landed.await;
            let lost = || Err(Fault::internal("the fetching task ended by a panic"));
            let answer = landed.value.unwrap_or_else(lost);
            let too_early = |got: &Got<T>| got.stale.is_none() && got.made_ms < not_before_ms;
            let is_from_before =
                landed.was_overtaken || (landed.was_under_way && answer.as_ref().is_ok_and(too_early));
            rounds -= 1;
            if rounds == 0 || !is_from_before {
                return answer;
            }
        }
    }

    /// Lets the answer for `key` be fetched again by the next who wants it, be it held or on its way. True when there
    /// was one in memory.
    pub(crate) fn expire(&self, key: &str) -> bool {
        self.flights.overtake(key);
        if let Some(disk) = &self.disk {
            disk.remove(&self.name, key);
        }
        let held = self.memory.get(key);
        if let Some(held) = &held
            && !held.expired
        {
            let expired = Shelved {
                expired: true,
                ..(**held).clone()
            };
            self.memory.insert(key.to_owned(), Arc::new(expired));
        }
        held.is_some()
    }

    /// Bytes held in memory.
    pub(crate) fn bytes(&self) -> u64 {
        self.memory.weighted_size()
    }

    async fn renew<M, F>(
        self: Arc<Self>,
        key: String,
        now_ms: i64,
        not_before_ms: i64,
        fetch: M,
        overtaken: Overtaken,
    ) -> Result<Got<T>, Fault>
    where
        M: Fn() -> F,
        F: Future<Output = Result<T, Fault>>,
    {
        let held = match self.memory.get(&key) {
            Some(held) => Some(held),
            None => self.look_on_disk(&key).await,
        };
        if let Some(held) = &held
            && self.is_fresh(held, now_ms, not_before_ms)
        {
            self.metrics.cache(self.kept, "hit");
            return give(held, None);
        }
        self.metrics.cache(self.kept, "miss");
        match fetch().await {
            Ok(value) => {
                self.put(&key, Ok(value.clone()), now_ms, &overtaken);
                Ok(Got {
                    value,
                    made_ms: now_ms,
                    stale: None,
                })
            }
            Err(fault) if fault.is_absence() => {
                self.put(&key, Err(fault.clone()), now_ms, &overtaken);
                Err(fault)
            }
            Err(fault) => match held {
                Some(held) if held.value.is_ok() && self.is_spare(&held, now_ms) => {
                    self.metrics.cache(self.kept, "stale");
                    give(&held, Some(fault))
                }
                _ => Err(fault),
            },
        }
    }

    /// Keeps an answer, unless its page has changed while it was fetched.
    fn put(&self, key: &str, value: Result<T, Fault>, now_ms: i64, overtaken: &Overtaken) {
        if overtaken.so_far() {
            return;
        }
        if let Some(disk) = &self.disk {
            let head = Head {
                made_ms: now_ms,
                missing: value.as_ref().err().cloned(),
            };
            let body = value.as_ref().map(Keep::to_store).unwrap_or_default();
            if let Some(bytes) = (Record {
                at_ms: now_ms,
                head,
                body,
            })
            .encode()
            {
                disk.put(&self.name, key, bytes);
            }
        }
        self.memory.insert(
            key.to_owned(),
            Arc::new(Shelved {
                value,
                made_ms: now_ms,
                expired: false,
            }),
        );
        // It changed while the answer was put away.
        if overtaken.so_far() {
            self.expire(key);
        }
    }

    async fn look_on_disk(&self, key: &str) -> Option<Arc<Shelved<T>>> {
        let (name, wanted) = (Arc::clone(&self.name), key.to_owned());
        let disk = self.disk.as_ref()?;
        if !disk.may_have(&name, key) {
            return None;
        }
        let read = disk.look(move |disk| {
            let record: Record<Head> = Record::decode(&disk.get(&name, &wanted)?)?;
            let value = match record.head.missing {
                Some(fault) => Err(fault),
                None => Ok(T::from_store(&record.body)?),
            };
            Some(Arc::new(Shelved {
                value,
                made_ms: record.head.made_ms,
                expired: false,
            }))
        });
        let held = read.await.flatten()?;
        self.metrics.cache(self.kept, "disk");
        self.memory.insert(key.to_owned(), Arc::clone(&held));
        Some(held)
    }

    fn is_fresh(&self, held: &Shelved<T>, now_ms: i64, not_before_ms: i64) -> bool {
        let life = if held.value.is_ok() {
            self.keeping.found_ms
        } else {
            self.keeping.missing_ms
        };
        !held.expired && held.made_ms >= not_before_ms && now_ms < held.made_ms + life
    }

    fn is_spare(&self, held: &Shelved<T>, now_ms: i64) -> bool {
        now_ms < held.made_ms + self.keeping.found_ms + self.keeping.spare_ms
    }
}

fn give<T: Clone>(held: &Shelved<T>, stale: Option<Fault>) -> Result<Got<T>, Fault> {
    held.value.clone().map(|value| Got {
        value,
        made_ms: held.made_ms,
        stale,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEPING: Keeping = Keeping {
        found_ms: 1_000,
        missing_ms: 100,
        spare_ms: 10_000,
    };

    fn shelf(disk: Option<Arc<Disk>>) -> Arc<Shelf<Bytes>> {
        Shelf::new(Kept::Page, "", 1 << 20, KEEPING, disk, Arc::default())
    }

    async fn get(shelf: &Arc<Shelf<Bytes>>, now_ms: i64, fetched: Result<&'static str, Fault>) -> String {
        let fetch = move || {
            let fetched = fetched.clone();
            async move { fetched.map(Bytes::from) }
        };
        match shelf.get("k".into(), now_ms, 0, fetch).await {
            Ok(Got {
                value, stale: None, ..
            }) => String::from_utf8_lossy(&value).into_owned(),
            Ok(Got { value, .. }) => format!("old {}", String::from_utf8_lossy(&value)),
            Err(fault) => fault.to_string(),
        }
    }

    fn gone() -> Fault {
        Fault::Answered {
            upstream: "html".into(),
            status: 404,
            content_type: None,
            body: String::new(),
            path: "/p".into(),
        }
    }

    #[tokio::test]
    async fn fresh_then_fetched_then_an_old_copy_then_nothing() {
        let shelf = shelf(None);
        let down = || Err(Fault::internal("down"));
        assert_eq!(get(&shelf, 0, Ok("one")).await, "one");
        assert_eq!(get(&shelf, 999, Ok("two")).await, "one");
        assert_eq!(get(&shelf, 1_000, down()).await, "old one");
        assert_eq!(get(&shelf, 1_001, Ok("two")).await, "two");
        assert_eq!(get(&shelf, 13_000, down()).await, "down");
    }

    #[tokio::test]
    async fn a_missing_answer_is_kept_for_its_own_time() {
        let shelf = shelf(None);
        let missing = gone().to_string();
        assert_eq!(get(&shelf, 0, Err(gone())).await, missing);
        assert_eq!(get(&shelf, 99, Ok("there")).await, missing);
        assert_eq!(get(&shelf, 100, Ok("there")).await, "there");
    }

    #[tokio::test]
    async fn an_expired_answer_is_fetched_again_and_still_serves_in_need() {
        let shelf = shelf(None);
        assert_eq!(get(&shelf, 0, Ok("one")).await, "one");
        assert!(shelf.expire("k"));
        assert_eq!(get(&shelf, 1, Err(Fault::internal("down"))).await, "old one");
        assert_eq!(get(&shelf, 1, Ok("two")).await, "two");
        assert_eq!(get(&shelf, 2, Ok("three")).await, "two");
    }

    #[tokio::test]
    async fn what_is_missing_weighs_what_it_takes() {
        let shelf = shelf(None);
        let missing = Fault::Answered {
            upstream: "html".into(),
            status: 404,
            content_type: None,
            body: "x".repeat(900),
            path: "/p".into(),
        };
        get(&shelf, 0, Err(missing)).await;
        shelf.memory.run_pending_tasks();
        assert!(shelf.bytes() > 1_000, "{}", shelf.bytes());
    }

    #[tokio::test]
    async fn answers_found_and_missing_survive_a_restart() {
        let dir = tempfile::tempdir().expect("a directory");
        let open = || {
            Some(Arc::new(
                Disk::open(&dir.path().join("c"), 1 << 20).expect("a store"),
            ))
        };
        let first = shelf(open());
        assert_eq!(get(&first, 0, Ok("one")).await, "one");
        drop(first);
        let second = shelf(open());
        assert_eq!(get(&second, 500, Ok("two")).await, "one");
        assert_eq!(get(&second, 1_000, Err(gone())).await, gone().to_string());
        drop(second);
        assert_eq!(get(&shelf(open()), 1_050, Ok("two")).await, gone().to_string());
    }
}

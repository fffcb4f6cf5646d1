//! Credentials that were verified a while ago, in bounded memory.
//!
//! An entry answers for exactly the text that was verified, while nothing in the store has changed
//! that could matter (the generation) and until the credential ends. Only what verified gets in, so
//! nobody can fill the cache with rubbish. Half of each shard is young and half is old; what is asked
//! for becomes young again, and when the young are too many the old are dropped.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use levada_event::Timestamp;
use parking_lot::Mutex;

use crate::limits::CREDENTIALS_CACHED_MAX;
use crate::principal::Principal;

const SHARDS: usize = 16;
const YOUNG_MAX: usize = CREDENTIALS_CACHED_MAX / SHARDS / 2;

/// A credential's last bytes find its entry: of a token they are its signature, as random as any
/// hash. The whole text is compared before an entry answers.
const TAIL_BYTES: usize = 32;

pub(crate) struct CredentialCache {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

#[derive(Default)]
struct Shard {
    young: HashMap<u64, Entry>,
    old: HashMap<u64, Entry>,
}

struct Entry {
    text: Box<str>,
    principal: Arc<Principal>,
    generation: u64,
}

impl CredentialCache {
    pub(crate) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }

    /// Who showed `text`, if that is known to hold in this generation and at `now`.
    pub(crate) fn get(&self, text: &str, generation: u64, now: Timestamp) -> Option<Arc<Principal>> {
        let hash = self.hash(text);
        let mut shard = self.shard(hash).lock();
        if let Some(entry) = shard.young.get(&hash) {
            return entry.answer(text, generation, now);
        }
        let answer = shard.old.get(&hash)?.answer(text, generation, now)?;
        if let Some(entry) = shard.old.remove(&hash) {
            shard.insert(hash, entry);
        }
        Some(answer)
    }

    /// Remembers who showed `text`; `generation` is from before the store was read.
    pub(crate) fn put(&self, text: &str, principal: &Arc<Principal>, generation: u64) {
        let hash = self.hash(text);
        let entry = Entry {
            text: text.into(),
            principal: Arc::clone(principal),
            generation,
        };
        self.shard(hash).lock().insert(hash, entry);
    }

    fn hash(&self, text: &str) -> u64 {
        let bytes = text.as_bytes();
        self.hasher
            .hash_one(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..])
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        // The map below uses the low bits.
        &self.shards[(hash >> 60) as usize % SHARDS]
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock())
            .map(|shard| shard.young.len() + shard.old.len())
            .sum()
    }
}

impl Shard {
    fn insert(&mut self, hash: u64, entry: Entry) {
        if self.young.len() >= YOUNG_MAX && !self.young.contains_key(&hash) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&hash);
        self.young.insert(hash, entry);
    }
}

impl Entry {
    fn answer(&self, text: &str, generation: u64, now: Timestamp) -> Option<Arc<Principal>> {
        let good = self.generation == generation
            && *self.text == *text
            && self.principal.expires_at.is_none_or(|end| end > now);
        good.then(|| Arc::clone(&self.principal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::Via;

    const NOW: Timestamp = Timestamp::from_millis(1000);

    fn principal(name: &str) -> Arc<Principal> {
        Arc::new(Principal {
            via: Via::Token,
            account: format!("user:{name}"),
            name: name.into(),
            sub: String::new(),
            groups: vec![],
            scopes: vec![],
            ceiling: None,
            session: None,
            epoch: 0,
            expires_at: Some(Timestamp::from_millis(2000)),
        })
    }

    #[test]
    fn only_the_same_text_generation_and_time_answer() {
        let cache = CredentialCache::new();
        let tail = "t".repeat(TAIL_BYTES);
        let (text, other) = (format!("a{tail}"), format!("b{tail}"));
        cache.put(&text, &principal("ann"), 7);
        assert_eq!(cache.get(&text, 7, NOW).unwrap().name(), "ann");
        assert!(
            cache.get(&other, 7, NOW).is_none(),
            "the same end is not the same text"
        );
        assert!(cache.get(&text, 8, NOW).is_none() && cache.get(&text, 6, NOW).is_none());
        assert!(cache.get(&text, 7, Timestamp::from_millis(2000)).is_none());
        cache.put(&text, &principal("bob"), 8);
        assert_eq!(cache.get(&text, 8, NOW).unwrap().name(), "bob");
    }

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let cache = CredentialCache::new();
        cache.put("kept", &principal("kept"), 1);
        for n in 0..CREDENTIALS_CACHED_MAX * 3 {
            cache.put(&format!("token {n}"), &principal("x"), 1);
            assert!(cache.get("kept", 1, NOW).is_some(), "{n}");
        }
        assert!(cache.len() <= CREDENTIALS_CACHED_MAX, "{}", cache.len());
    }
}

//! Names that were looked up under patterns, remembered for the life of a snapshot.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::stream::Stream;

/// Names with a stream. Far more than a wiki farm has job types (the largest pattern in production).
const FOUND_MAX: usize = 16_384;

/// Names without one. Strangers make these up, so they are fewer and cannot push out the others.
const MISSED_MAX: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Memo {
    found: RwLock<HashMap<Box<str>, Arc<Stream>>>,
    missed: RwLock<HashMap<Box<str>, ()>>,
}

impl Memo {
    /// What an earlier look-up found; `None` if there was none.
    pub(super) fn get(&self, name: &str) -> Option<Option<Arc<Stream>>> {
        if let Some(stream) = self.found.read().get(name) {
            return Some(Some(stream.clone()));
        }
        self.missed.read().contains_key(name).then_some(None)
    }

    /// Remembers a result. A full side is emptied first: what is in use comes back at once.
    pub(super) fn put(&self, name: &str, stream: Option<Arc<Stream>>) {
        match stream {
            Some(stream) => insert(&mut self.found.write(), FOUND_MAX, name, stream),
            None => insert(&mut self.missed.write(), MISSED_MAX, name, ()),
        }
    }
}

fn insert<T>(map: &mut HashMap<Box<str>, T>, max: usize, name: &str, value: T) {
    if map.len() >= max {
        map.clear();
    }
    map.insert(name.into(), value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_cannot_grow_it() {
        let memo = Memo::default();
        for i in 0..10_000 {
            memo.put(&format!("n{i}"), None);
        }
        assert!(memo.missed.read().len() <= MISSED_MAX);
        assert!(matches!(memo.get("n9999"), Some(None)));
        assert!(memo.get("n1").is_none());
    }
}

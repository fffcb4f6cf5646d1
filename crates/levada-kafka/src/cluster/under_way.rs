//! How many questions of a kind are under way about each partition.

use std::collections::HashMap;

use levada_event::TopicPartition;
use parking_lot::Mutex;

#[derive(Default)]
pub(super) struct UnderWay(Mutex<HashMap<TopicPartition, usize>>);

/// A question under way, until it is dropped.
pub(super) struct Entered<'a> {
    all: &'a UnderWay,
    of: &'a TopicPartition,
    /// How many were under way before it.
    pub(super) before: usize,
}

impl UnderWay {
    pub(super) fn enter<'a>(&'a self, of: &'a TopicPartition) -> Entered<'a> {
        let mut all = self.0.lock();
        let count = all.entry(of.clone()).or_default();
        let before = *count;
        *count += 1;
        Entered {
            all: self,
            of,
            before,
        }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut all = self.all.0.lock();
        if let Some(count) = all.get_mut(self.of) {
            *count -= 1;
            if *count == 0 {
                all.remove(self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use levada_event::TopicName;

    use super::*;

    #[test]
    fn partitions_are_counted_apart_and_nothing_stays() {
        let of = |number| TopicPartition::new(TopicName::new("t").unwrap(), number);
        let (a, b) = (of(0), of(1));
        let all = UnderWay::default();
        let first = all.enter(&a);
        let second = all.enter(&a);
        assert_eq!((first.before, second.before, all.enter(&b).before), (0, 1, 0));
        drop(first);
        assert_eq!(all.enter(&a).before, 1);
        drop(second);
        assert!(all.0.lock().is_empty());
    }
}

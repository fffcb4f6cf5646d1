//! The latest changes, for the feeds that are in the making when they come.

use crate::wiki::Source;
use parking_lot::Mutex;
use std::collections::{HashSet, VecDeque};

/// Page changes remembered: a minute of the busiest wikis together.
const RECENT: usize = 8_192;

/// The latest changes, numbered.
#[derive(Default)]
pub(super) struct Recent(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// The number of the latest change.
    number: u64,
    /// The number of the latest change that outdated everything.
    everything: u64,
    pages: VecDeque<(u64, Source)>,
}

impl Recent {
    /// A page has changed.
    pub(super) fn page(&self, source: &Source) {
        let mut inner = self.0.lock();
        inner.number += 1;
        if inner.pages.len() == RECENT {
            inner.pages.pop_front();
        }
        let number = inner.number;
        inner.pages.push_back((number, source.clone()));
    }

    /// Everything has changed.
    pub(super) fn everything(&self) {
        let mut inner = self.0.lock();
        inner.number += 1;
        inner.everything = inner.number;
    }

    /// The number of the latest change.
    pub(super) fn number(&self) -> u64 {
        self.0.lock().number
    }

    /// Whether one of the pages has changed after the change of that number, and if so, whether one of its `own`. What
    /// is no longer known counts as a change of those.
    pub(super) fn changed_since(&self, number: u64, sources: &[Source], own: &[Source]) -> Option<bool> {
        let inner = self.0.lock();
        if inner.number == number {
            return None;
        }
        let is_forgotten = inner.pages.front().is_some_and(|(first, _)| *first > number + 1);
        if inner.everything > number || is_forgotten {
            return Some(true);
        }
        let after = inner.pages.iter().filter(|(changed, _)| *changed > number);
        let changed: HashSet<&Source> = after.map(|(_, source)| source).collect();
        let has_changed = |pages: &[Source]| pages.iter().any(|page| changed.contains(page));
        if has_changed(own) {
            return Some(true);
        }
        has_changed(sources).then_some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_while_a_feed_is_made_is_noticed() {
        let recent = Recent::default();
        let page = Source::new("en.wikipedia.org", "A");
        let other = Source::new("en.wikipedia.org", "B");
        let before = recent.number();
        let changed = |number, page: &Source, own: bool| {
            let pages = std::slice::from_ref(page);
            recent.changed_since(number, pages, if own { pages } else { &[] })
        };
        assert_eq!(changed(before, &page, true), None);
        recent.page(&page);
        assert_eq!(changed(before, &page, true), Some(true));
        assert_eq!(changed(before, &page, false), Some(false));
        assert_eq!(changed(before, &other, true), None);
        assert_eq!(changed(recent.number(), &page, true), None);
        // Other rules change everything that was begun under the old ones.
        let under_old_rules = recent.number();
        recent.everything();
        assert_eq!(changed(under_old_rules, &other, false), Some(true));
        assert_eq!(changed(recent.number(), &other, true), None);
        // What happened before the memory of changes begins may have been anything.
        let before = recent.number();
        for _ in 0..=RECENT {
            recent.page(&other);
        }
        assert_eq!(
            changed(before, &Source::new("en.wikipedia.org", "C"), true),
            Some(true)
        );
    }
}

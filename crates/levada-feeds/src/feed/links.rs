//! Which feeds are built from which pages, so that a page change outdates exactly those.
//!
//! Bounded by the feeds in memory: what is evicted there is unlinked here.

use super::key::FeedKey;
use crate::wiki::Source;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};

/// The index from page to feeds.
#[derive(Default)]
pub(crate) struct Links(Mutex<HashMap<Source, HashSet<FeedKey>>>);

impl Links {
    /// Replaces the pages that `key` is built from.
    pub(crate) fn replace(&self, key: &FeedKey, old: &[Source], new: &[Source]) {
        let mut links = self.0.lock();
        let kept: HashSet<&Source> = new.iter().collect();
        for source in old.iter().filter(|source| !kept.contains(source)) {
            if let Some(keys) = links.get_mut(source) {
                keys.remove(key);
                if keys.is_empty() {
                    links.remove(source);
                }
            }
        }
        for source in new {
            links.entry(source.clone()).or_default().insert(key.clone());
        }
    }

    /// The feeds built from a page, in order.
    pub(crate) fn built_from(&self, source: &Source) -> Vec<FeedKey> {
        let links = self.0.lock();
        let mut keys: Vec<FeedKey> = links.get(source).into_iter().flatten().cloned().collect();
        keys.sort_unstable();
        keys
    }

    /// Pages in the index.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_follow_what_a_feed_is_built_from() {
        let links = Links::default();
        let news = FeedKey::parse("en.wikipedia.org|news||").expect("a key");
        let dyk = FeedKey::parse("en.wikipedia.org|dyk||").expect("a key");
        let page = |title: &str| Source::new("en.wikipedia.org", title);
        links.replace(&news, &[], &[page("Template:In the news"), page("Ada")]);
        links.replace(&dyk, &[], &[page("Ada")]);
        assert_eq!(
            links.built_from(&page("Template:In_the_news")),
            std::slice::from_ref(&news)
        );
        assert_eq!(links.built_from(&page("Ada")), [news.clone(), dyk.clone()]);
        links.replace(
            &news,
            &[page("Template:In the news"), page("Ada")],
            &[page("Template:In the news")],
        );
        assert_eq!(links.built_from(&page("Ada")), std::slice::from_ref(&dyk));
        links.replace(&news, &[page("Template:In the news")], &[]);
        links.replace(&dyk, &[page("Ada")], &[]);
        assert_eq!(links.len(), 0);
    }
}

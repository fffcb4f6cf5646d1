//! In the news and did you know.

use serde::{Deserialize, Serialize};

use super::summary::Summary;
use super::title::DbTitle;

/// A news story as parsed: its HTML and the titles it links to, the topic first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewsItem {
    /// Distinct titles; never empty.
    pub links: Vec<DbTitle>,
    /// HTML of the headline; never empty.
    pub story: String,
}

impl NewsItem {
    /// Puts summaries in place of titles; those without one are left out (contract §2.0.6), as are
    /// those whose summary has the title of an earlier one when `distinct` is set.
    pub fn hydrate(&self, lookup: &dyn Fn(&DbTitle) -> Option<Summary>, distinct: bool) -> NewsStory {
        NewsStory {
            links: summaries(&self.links, lookup, distinct),
            story: self.story.clone(),
        }
    }
}

/// A news story on the wire: `links` before `story`.
#[derive(Clone, Debug, Serialize)]
pub struct NewsStory {
    /// Summaries of the pages that the story links to.
    pub links: Vec<Summary>,
    /// HTML of the headline.
    pub story: String,
}

/// A did-you-know item; the same parsed and on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DykItem {
    /// HTML with absolute links.
    pub html: String,
    /// Its text.
    pub text: String,
}

/// The summaries of `titles` that are there, in order, by default one per resulting title.
pub(super) fn summaries(
    titles: &[DbTitle],
    lookup: &dyn Fn(&DbTitle) -> Option<Summary>,
    distinct: bool,
) -> Vec<Summary> {
    let mut found: Vec<Summary> = Vec::with_capacity(titles.len());
    for summary in titles.iter().filter_map(lookup) {
        let seen = distinct && found.iter().any(|known| known.title() == summary.title());
        if !seen {
            found.push(summary);
        }
    }
    found
}

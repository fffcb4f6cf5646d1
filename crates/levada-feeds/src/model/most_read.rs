//! The most read articles of a day.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::summary::Summary;
use super::title::DbTitle;

/// One row of the top list that may become an article.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopRow {
    /// The article as the row spells it: what summary and history are asked for by.
    pub article: DbTitle,
    /// Views on that day.
    pub views: u64,
    /// Rank in the unfiltered list, from 1.
    pub rank: u64,
}

/// Views of an article on one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewDay {
    /// `YYYY-MM-DDZ`.
    pub date: String,
    /// Views.
    pub views: u64,
}

/// One article: `views`, `rank`, `view_history`, then the summary's own keys.
#[derive(Clone, Debug)]
pub struct MostReadArticle {
    /// Views on that day, those of redirects to it included.
    pub views: u64,
    /// Rank in the unfiltered list; the list may start above 1 and have gaps.
    pub rank: u64,
    /// Views of the five days up to that day, earliest first; absent when not available.
    pub view_history: Option<Vec<ViewDay>>,
    /// The article's summary.
    pub summary: Summary,
}

impl Serialize for MostReadArticle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("views", &self.views)?;
        map.serialize_entry("rank", &self.rank)?;
        if let Some(history) = &self.view_history {
            map.serialize_entry("view_history", history)?;
        }
        for (key, value) in &self.summary.to_map() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// The feed: `{date, articles}`.
#[derive(Clone, Debug, Serialize)]
pub struct MostRead {
    /// `YYYY-MM-DDZ`.
    pub date: String,
    /// Articles in the order of the top list.
    pub articles: Vec<MostReadArticle>,
}

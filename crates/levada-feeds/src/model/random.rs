//! A random article.

use serde::Serialize;

use super::title::DbTitle;

/// A candidate with its score (contract §2.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RandomCandidate {
    /// The title.
    pub title: DbTitle,
    /// Higher is better.
    pub score: i64,
}

/// The answer: `{"items":[{"title":"Db_title"}]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RandomTitle {
    items: [Item; 1],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Item {
    title: DbTitle,
}

impl RandomTitle {
    /// The answer for a title.
    pub fn new(title: DbTitle) -> Self {
        Self {
            items: [Item { title }],
        }
    }

    /// The title.
    pub fn title(&self) -> &DbTitle {
        &self.items[0].title
    }
}

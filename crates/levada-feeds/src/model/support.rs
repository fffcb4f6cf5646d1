//! Which feed is supported where: the body of the availability feed.

use serde::{Deserialize, Serialize};

/// Wikis per feed, keys and members in the order of contract §1.6. `*.wikipedia.org` means any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Availability {
    /// Today's featured article.
    pub todays_featured_article: Vec<String>,
    /// Most read.
    pub most_read: Vec<String>,
    /// Picture of the day.
    pub picture_of_the_day: Vec<String>,
    /// In the news.
    pub in_the_news: Vec<String>,
    /// On this day.
    pub on_this_day: Vec<String>,
    /// Did you know.
    pub did_you_know: Vec<String>,
}

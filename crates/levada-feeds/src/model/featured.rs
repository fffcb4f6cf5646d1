//! The featured article's images and the aggregated featured feed.

use serde::Serialize;

use super::most_read::MostRead;
use super::news::{DykItem, NewsStory};
use super::on_this_day::Event;
use super::picture::{FeaturedImage, ImageFile};
use super::summary::Summary;

/// The images of a page in the size that the featured article asks for (contract §2.1.5); both
/// or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageImages {
    /// 960 pixels wide at most.
    pub thumbnail: ImageFile,
    /// The file itself.
    pub original: ImageFile,
}

/// The aggregated feed of one day, keys in the order of contract §1.5 (13); absent parts are
/// left out, and what is empty should be given as absent, except on this day, which is an array
/// even when it is empty (contract §2.11).
#[derive(Clone, Debug, Default, Serialize)]
pub struct Featured {
    /// The featured article.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tfa: Option<Summary>,
    /// The most read articles of the day before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mostread: Option<MostRead>,
    /// The picture of the day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<FeaturedImage>,
    /// In the news; today and later only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub news: Option<Vec<NewsStory>>,
    /// The selected events of the day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onthisday: Option<Vec<Event>>,
    /// Did you know; today and later only, and never on the older public route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dyk: Option<Vec<DykItem>>,
}

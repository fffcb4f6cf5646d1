//! The shapes of the feeds: what parsers return and what goes out on the wire.
//!
//! Two forms of most feeds live here. The *parsed* form ([`NewsItem`], [`DayEvent`], …) carries
//! page titles; the *wire* form ([`NewsStory`], [`Event`], …) carries page summaries in their
//! place and serialises to the JSON of contract §1.5: keys in exactly that order, absent values left
//! out, never `null`. Between them stands a pure merge that takes a lookup from title to summary.
//!
//! Trusts: nothing that came from a page. Promises: no I/O, no clock, no panic.

mod announcement;
mod featured;
mod most_read;
mod news;
mod on_this_day;
mod picture;
mod random;
mod site;
mod static_hash;
mod summary;
mod support;
mod title;

pub use announcement::{Action, Announcement, Announcements};
pub use featured::{Featured, PageImages};
pub use most_read::{MostRead, MostReadArticle, TopRow, ViewDay};
pub use news::{DykItem, NewsItem, NewsStory};
pub use on_this_day::{DayEvent, DayPage, Event, KeyOrder, OnThisDayAll, OnThisDayKind, OnThisDayOne};
pub use picture::{
    Artist, FeaturedImage, ImageFile, LangText, License, PictureEntity, PictureFile, PictureText, Structured,
};
pub use random::{RandomCandidate, RandomTitle};
pub use site::{Namespace, Siteinfo};
pub use static_hash::static_hash;
pub use summary::{Summary, SummaryError};
pub use support::Availability;
pub use title::DbTitle;

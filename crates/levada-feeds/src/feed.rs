//! One orchestration per feed, and the kitchen that runs them.
//!
//! A [`FeedKey`] names what is to be made; [`Kitchen::obtain`] gives it as a [`Plate`]: fresh, or past its time and
//! saying so, or the problem that there is no such thing. Composition into answers happens above, in `http`.

mod announce;
mod dish;
mod hydrate;
mod image;
mod key;
mod kitchen;
mod links;
mod most_read;
mod news;
mod on_this_day;
mod plate;
mod random;
mod results;
mod tfa;

pub(crate) use announce::{announcements, campaigns};
pub(crate) use key::{Feed, FeedKey};
pub(crate) use kitchen::Kitchen;
pub(crate) use plate::Plate;

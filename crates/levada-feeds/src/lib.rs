//! Wikifeeds: the Explore feeds of the Wikipedia apps, from MediaWiki.

pub mod date;
pub mod lang;
pub mod model;
pub mod note;
pub mod parse;

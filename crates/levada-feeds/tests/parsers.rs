//! The parsers and shapes against own fixtures and, where they are at hand, against real pages and
//! recorded answers. Tests are named by the conformance case that they cover.
//!
//! Real material is looked for in `$LEVADA_SHARED`, else beside the workspace; what is not there is
//! skipped and counted.

#[path = "parsers/announcements.rs"]
mod announcements;
#[path = "parsers/did_you_know.rs"]
mod did_you_know;
#[path = "parsers/featured.rs"]
mod featured;
#[path = "parsers/material.rs"]
mod material;
#[path = "parsers/most_read.rs"]
mod most_read;
#[path = "parsers/news.rs"]
mod news;
#[path = "parsers/on_this_day.rs"]
mod on_this_day;
#[path = "parsers/picture.rs"]
mod picture;
#[path = "parsers/random.rs"]
mod random;
#[path = "parsers/rules.rs"]
mod rules;
#[path = "parsers/shapes.rs"]
mod shapes;
#[path = "parsers/wild.rs"]
mod wild;

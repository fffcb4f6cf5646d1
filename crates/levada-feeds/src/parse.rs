//! Reading the pages and answers that feeds are made of.
//!
//! Every function here is pure and total: HTML or JSON and rules in, values and [`Note`]s out. A page
//! that is not what the rule expects yields less, never an error and never a panic; what was left out
//! and why is in the notes. Contract §2.
//!
//! Trusts: nothing. Promises: time within a small factor of the size of the input, which is cut at
//! [`MAX_HTML_BYTES`]; no I/O, no clock.
//!
//! [`Note`]: crate::note::Note

pub mod announcements;
mod compat;
pub mod did_you_know;
pub mod featured;
pub(crate) mod html;
mod link;
pub mod most_read;
pub mod news;
pub mod on_this_day;
mod out;
pub mod picture;
mod pictured;
pub mod random;
mod strip;
pub mod title;

pub use compat::Compat;
pub use html::MAX_HTML_BYTES;

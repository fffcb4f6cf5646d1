//! What is kept, for how long, and where.
//!
//! A [`Shelf`] keeps upstream answers of one kind in memory, bounded by bytes, and, when there is a [`Disk`], across
//! restarts. Expiry is decided here by the clock that is handed in; the memory below only bounds the size.

mod disk;
mod record;
mod shelf;

pub(crate) use disk::Disk;
pub use disk::StoreError;
pub(crate) use record::Record;
pub(crate) use shelf::{Got, Keep, Keeping, Shelf};

//! The service through its one door, `Feeds::handle`, over a wiki of our own. Tests are named by the conformance case
//! that they cover (contract §9); `tests/CASES.md` lists all of them.

mod aggregated;
mod bench;
mod changes;
mod day;
mod faults;
mod featured;
mod fixture;
mod fresh;
mod image;
mod most_read;
mod network;
mod news;
mod ops;
mod public;
mod random;
mod recorded;
mod refusals;
mod schema;
mod statics;
mod syndication;

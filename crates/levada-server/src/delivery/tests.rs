//! Delivery against the memory model of the log.

mod faults;
mod fixture;
mod frames;
mod handover;
mod positions;
mod unreadable;
mod wider;

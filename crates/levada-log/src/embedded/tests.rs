//! The engine against the contract, on the real file system.

mod contract;
mod open;

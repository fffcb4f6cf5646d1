//! The engine against the contract on the real file system, and against faults on a simulated one.

mod contract;
mod crash;
mod faults;
mod format;
mod gate;
mod keeper;
mod lanes;
mod open;
mod sectors;
mod sim;

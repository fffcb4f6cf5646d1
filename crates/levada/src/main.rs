//! Levada: an event platform in one binary.

fn main() {}

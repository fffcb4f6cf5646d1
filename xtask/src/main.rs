//! Automation for developers of Levada.

fn main() {}

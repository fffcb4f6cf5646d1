//! Automation for developers: `cargo xtask test` is the whole test command, `cargo xtask bench` the
//! whole benchmark. Each installs or builds what it needs and says so.

use anyhow::{Result, bail};

mod bench;
mod command;
mod kafka;
mod packages;
mod test;

const USAGE: &str = "\
cargo xtask test [-- ARGS]   format, lints, all tests; installs what they need (ARGS go to cargo test)
cargo xtask bench [NAME …]   build a release and measure it; prints a table
cargo xtask kafka            run a Kafka broker for tests that are run one by one";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let task = arguments.next().unwrap_or_default();
    let mut rest: Vec<String> = arguments.collect();
    // The first only: others are for whoever is given the rest.
    if rest.first().is_some_and(|argument| argument == "--") {
        rest.remove(0);
    }
    match task.as_str() {
        "test" => test::run(&rest),
        "bench" => bench::run(&rest),
        "kafka" => kafka::run(),
        _ => bail!("{USAGE}"),
    }
}

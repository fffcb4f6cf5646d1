//! Automation for developers: `cargo xtask test` is the whole test command, `cargo xtask bench` the
//! whole benchmark. Each installs or builds what it needs and says so.

use anyhow::{Result, bail};

mod bench;
mod command;
mod packages;
mod test;

const USAGE: &str = "\
cargo xtask test [-- ARGS]   format, lints, all tests; installs what they need (ARGS go to cargo test)
cargo xtask bench [NAME …]   build a release and measure it; prints a table";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let task = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.filter(|argument| argument != "--").collect();
    match task.as_str() {
        "test" => test::run(&rest),
        "bench" => bench::run(&rest),
        _ => bail!("{USAGE}"),
    }
}

//! `cargo xtask test`: format, lints, tests. The first failure ends it.

use anyhow::Result;

use crate::command::{self, cargo, root};
use crate::packages;

/// Runs everything; `arguments` go to `cargo test`.
pub fn run(arguments: &[String]) -> Result<()> {
    let cargo = cargo();
    packages::ensure()?;
    let shared = std::env::var("LEVADA_SHARED").map_or_else(|_| root().join("../shared"), Into::into);
    if shared.join("reference").is_dir() {
        println!(" reference: found (real schemas, stream configuration and events)");
    } else {
        println!(" reference: absent; tests on real data are skipped and say how many (set LEVADA_SHARED)");
    }
    command::run(&cargo, &["fmt", "--all", "--check"], &[])?;
    command::run(
        &cargo,
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ],
        &[],
    )?;
    let mut test = vec!["test", "--workspace"];
    test.extend(arguments.iter().map(String::as_str));
    // What is installed above must not be skipped.
    command::run(&cargo, &test, &[("LEVADA_REQUIRE_POSTGRES", "1")])
}

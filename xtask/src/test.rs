//! `cargo xtask test`: format, lints, tests. The first failure ends it.

use anyhow::Result;

use crate::command::{self, cargo, root};
use crate::kafka::ForTests;
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
    let kafka = ForTests::start()?;
    let mut test = vec!["test", "--workspace"];
    test.extend(arguments.iter().map(String::as_str));
    let mut environment = kafka.environment().to_vec();
    // What is installed above must not be skipped.
    environment.push(("LEVADA_REQUIRE_POSTGRES", "1".into()));
    let environment: Vec<(&str, &str)> = environment.iter().map(|(k, v)| (*k, v.as_str())).collect();
    command::run(&cargo, &test, &environment)?;
    kafka.count(arguments.is_empty())
}

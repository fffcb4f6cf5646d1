//! `cargo xtask test`: format, lints, tests. The first failure ends it.

use anyhow::Result;

use crate::command::{self, cargo, root};
use crate::kafka::ForTests;
use crate::packages;

/// Runs everything; `arguments` go to `cargo test`. Unless they name tests, some must run on Kafka.
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
    kafka.count(!names_tests(arguments))
}

/// Options of `cargo test` and of the tests themselves that take the next argument as their value.
const VALUED: &[&str] = &[
    "-F",
    "-j",
    "-p",
    "-Z",
    "--bench",
    "--bin",
    "--color",
    "--config",
    "--example",
    "--exclude",
    "--features",
    "--format",
    "--jobs",
    "--logfile",
    "--manifest-path",
    "--message-format",
    "--package",
    "--profile",
    "--skip",
    "--target",
    "--target-dir",
    "--test",
    "--test-threads",
];

/// Whether `arguments` name the tests that are to run, before `--` or behind it.
fn names_tests(arguments: &[String]) -> bool {
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        if VALUED.contains(&argument) {
            arguments.next();
        } else if !argument.starts_with('-') {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::names_tests;

    #[test]
    fn only_names_of_tests_excuse_a_run_without_kafka() {
        let names = |arguments: &str| {
            let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
            names_tests(&arguments)
        };
        for all in [
            "",
            "--workspace",
            "--quiet -p levada -j 2",
            "--test it",
            "--no-fail-fast -- --nocapture --test-threads 1",
            "--features=suite -- --skip cursors",
        ] {
            assert!(!names(all), "{all:?}");
        }
        for some in [
            "cursors",
            "-q cursors",
            "--test it -- cursors --exact",
            "-- --nocapture cursors",
        ] {
            assert!(names(some), "{some:?}");
        }
    }
}

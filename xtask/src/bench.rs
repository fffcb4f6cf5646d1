//! `cargo xtask bench`: builds a release and measures it.

use anyhow::Result;

use crate::command::{self, cargo};

/// Builds the server and the load generator, then runs the benchmarks named, or all.
pub fn run(names: &[String]) -> Result<()> {
    let cargo = cargo();
    command::run(
        &cargo,
        &[
            "build",
            "--release",
            "--quiet",
            "-p",
            "levada",
            "-p",
            "levada-bench",
        ],
        &[],
    )?;
    let mut arguments = vec!["run", "--release", "--quiet", "-p", "levada-bench", "--"];
    arguments.extend(names.iter().map(String::as_str));
    command::run(&cargo, &arguments, &[])
}

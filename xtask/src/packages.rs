//! Programs that tests use and that cargo does not bring: found, or installed from Debian's packages.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

/// A program, the Debian package that has it, and what needs it.
pub struct Package {
    /// The program, looked up in PATH and in `also`.
    pub program: &'static str,
    /// Other places where the program may lie.
    pub also: &'static [&'static str],
    /// The package.
    pub package: &'static str,
    /// Which tests use it.
    pub used_by: &'static str,
}

/// What the tests use.
pub const PACKAGES: &[Package] = &[
    Package {
        program: "make",
        also: &[],
        package: "make",
        used_by: "building OpenSSL for the Kafka client",
    },
    Package {
        // Perl itself is always there; its modules come with this one.
        program: "pod2usage",
        also: &[],
        package: "perl",
        used_by: "building OpenSSL for the Kafka client",
    },
    Package {
        program: "chromium",
        also: &[],
        package: "chromium",
        used_by: "the browser tests",
    },
    Package {
        program: "curl",
        also: &[],
        package: "curl",
        used_by: "the tests with curl -N",
    },
    Package {
        program: "initdb",
        also: &[
            "/usr/lib/postgresql/15/bin/initdb",
            "/usr/lib/postgresql/17/bin/initdb",
        ],
        package: "postgresql",
        used_by: "the tests of accounts shared between processes",
    },
    Package {
        program: "java",
        also: &[],
        package: "default-jre-headless",
        used_by: "the Kafka broker of the tests",
    },
    Package {
        program: "mvn",
        also: &[],
        package: "maven",
        used_by: "fetching Apache Kafka",
    },
    Package {
        program: "kcat",
        also: &[],
        package: "kcat",
        used_by: "the tests with a foreign producer and consumer of Kafka",
    },
    Package {
        program: "setpriv",
        also: &[],
        package: "util-linux",
        used_by: "ending the Kafka broker with the tests",
    },
];

/// Installs what is missing.
pub fn ensure() -> Result<()> {
    let missing: Vec<&Package> = PACKAGES.iter().filter(|package| !found(package)).collect();
    for package in PACKAGES {
        let state = if missing.iter().any(|m| m.program == package.program) {
            "missing"
        } else {
            "found"
        };
        println!("{:>10}: {state} ({})", package.program, package.used_by);
    }
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|package| package.package).collect();
    println!("installing from Debian's packages: {}", names.join(", "));
    let sudo: &[&str] = if is_root() { &[] } else { &["sudo", "-n"] };
    apt(sudo, &["update", "-qq"])?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(&names);
    apt(sudo, &install)
}

fn found(package: &Package) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(package.program).is_file())
        || package.also.iter().any(|place| Path::new(place).is_file())
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|out| out.stdout.starts_with(b"0\n"))
}

fn apt(sudo: &[&str], arguments: &[&str]) -> Result<()> {
    let words: Vec<&str> = sudo
        .iter()
        .copied()
        .chain(["apt-get"])
        .chain(arguments.iter().copied())
        .collect();
    let status = Command::new(words[0])
        .args(&words[1..])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        other => bail!(
            "`{}` did not work ({other:?}); install the packages above by hand and run the tests again",
            words.join(" ")
        ),
    }
}

//! Secrets on their way in and out: read from standard input, printed once.

use std::io::{BufRead, IsTerminal, Write};
use std::process::{Command, Stdio};

use levada_accounts::Secret;

use crate::exit::Failure;

/// Longest line that is read.
const LINE_BYTES_MAX: u64 = 4096;

/// Prints a secret that was made; nobody can see it again.
pub(super) fn show(what: &str, secret: Option<Secret>) {
    if let Some(secret) = secret {
        println!("{what}: {}", secret.expose());
        eprintln!("levada: the {what} is shown this once; only its hash is kept");
    }
}

/// Reads one line. At a terminal it is asked for, and what is typed is not shown.
pub(super) fn read(what: &str) -> Result<Secret, Failure> {
    let stdin = std::io::stdin();
    let quiet = stdin.is_terminal().then(|| Quiet::begin(what)).transpose()?;
    let mut line = String::new();
    let read = std::io::Read::take(stdin.lock(), LINE_BYTES_MAX).read_line(&mut line);
    drop(quiet);
    read.map_err(|error| Failure::io("standard input", &error))?;
    let text = line.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        return Err(Failure::usage(format!(
            "standard input has no {what}: write it on one line"
        )));
    }
    Ok(Secret::new(text))
}

/// A terminal that shows nothing until this is dropped.
struct Quiet;

impl Quiet {
    fn begin(what: &str) -> Result<Self, Failure> {
        eprint!("{what}: ");
        std::io::stderr()
            .flush()
            .map_err(|error| Failure::io("standard error", &error))?;
        let switched = stty("-echo");
        switched.then_some(Self).ok_or_else(|| {
            Failure::usage(format!(
                "the terminal cannot hide what is typed; pipe the {what} in instead"
            ))
        })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        stty("echo");
        eprintln!();
    }
}

fn stty(mode: &str) -> bool {
    let mut command = Command::new("stty");
    command.arg(mode).stdin(Stdio::inherit()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

//! Exit codes, decided in one place. `docs/reference/cli.md` lists them; a test compares.

use std::fmt;
use std::process::ExitCode;

use levada_client::SubscribeError;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Ok = 0,
    /// Some events were refused, or a check found faults; each is printed.
    Faults = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The server cannot be reached or cannot serve now: try again later.
    Unavailable = 3,
    /// The server refuses the request: an unknown stream, a bad filter, missing credentials.
    Refused = 4,
    /// The command ended, but events are known to be missing, or fewer came than asked for.
    Incomplete = 5,
    /// A file or the output cannot be read or written.
    Io = 6,
    /// The configuration has faults.
    Config = 78,
    /// Interrupted by a signal.
    Interrupted = 130,
}

/// All codes with their meaning, for the help text and the reference page.
pub(crate) const HELP: &str = "\
Exit codes:
    0  everything was done
    1  some events were refused, or a check found faults; each is printed
    2  the command line makes no sense
    3  the server cannot be reached or cannot serve now: try again later
    4  the server refuses the request: an unknown stream, a bad filter, missing credentials
    5  ended, but events are known to be missing, or fewer came than asked for
    6  a file or the output cannot be read or written
   78  the configuration has faults
  130  interrupted by a signal";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }

    /// A fault of usage that clap cannot see.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A file or the output cannot be used.
    pub(crate) fn io(what: impl fmt::Display, error: &std::io::Error) -> Self {
        Self::new(Exit::Io, format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<SubscribeError> for Failure {
    fn from(error: SubscribeError) -> Self {
        let exit = match &error {
            SubscribeError::Unreachable { .. } => Exit::Unavailable,
            SubscribeError::Refused { .. } | SubscribeError::Unexpected(_) => Exit::Refused,
            SubscribeError::Frame(_) => Exit::Incomplete,
        };
        Self::new(exit, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_page_lists_the_same_codes() {
        let page = include_str!("../../../docs/reference/cli.md");
        for line in HELP.lines().skip(1) {
            let (code, meaning) = line.trim().split_once("  ").unwrap();
            assert!(
                page.contains(&format!("| {code} | {meaning} |")),
                "{code} {meaning}"
            );
        }
    }
}

//! Standard output, buffered: what is ready is written at once, in as few writes as possible.

use std::io::{ErrorKind, StdoutLock, Write, stdout};

use crate::exit::Failure;
use crate::pretty;

/// Bytes gathered before they are written even though more events are ready.
const BUFFER_BYTES: usize = 64 * 1024;

/// Why something cannot be written.
#[derive(Debug)]
pub(super) enum WriteError {
    /// The reader has gone; that is no error.
    BrokenPipe,
    /// Anything else.
    Other(std::io::Error),
}

impl WriteError {
    pub(super) fn into_failure(self) -> Failure {
        let error = match self {
            Self::BrokenPipe => ErrorKind::BrokenPipe.into(),
            Self::Other(error) => error,
        };
        Failure::io("standard output", &error)
    }
}

pub(super) struct Output {
    stdout: StdoutLock<'static>,
    buffer: Vec<u8>,
    pretty: bool,
}

impl Output {
    pub(super) fn new(pretty: bool) -> Self {
        Self {
            stdout: stdout().lock(),
            buffer: Vec::with_capacity(BUFFER_BYTES),
            pretty,
        }
    }

    /// Prints an event, possibly later.
    pub(super) fn event(&mut self, json: &str) -> Result<(), WriteError> {
        if self.pretty {
            pretty::push(&mut self.buffer, json);
        } else {
            levada_wire::ndjson::line(&mut self.buffer, json.as_bytes());
        }
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Writes what was printed.
    pub(super) fn flush(&mut self) -> Result<(), WriteError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = self
            .stdout
            .write_all(&self.buffer)
            .and_then(|()| self.stdout.flush());
        match written {
            Ok(()) => {
                self.buffer.clear();
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(WriteError::BrokenPipe),
            Err(error) => Err(WriteError::Other(error)),
        }
    }
}

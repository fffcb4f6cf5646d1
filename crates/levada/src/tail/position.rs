//! Keeps the position behind what was printed, in a file or for the hint at the end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use levada_client::{ResumeError, ResumeFile};
use levada_wire::Subscription;
use tokio::time::Instant;

use crate::exit::{Exit, Failure};

/// How often the file is written while events come. After a crash at most the events of this time
/// are printed again.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Longest cursor that is printed to be copied.
const HINT_BYTES_MAX: usize = 1500;

pub(super) struct Keeper {
    file: Option<ResumeFile>,
    cursor: Option<String>,
    saved: Option<Arc<str>>,
    saved_at: Option<Instant>,
}

impl Keeper {
    pub(super) fn open(
        path: Option<&Path>,
        cursor: Option<String>,
        subscription: &Subscription,
    ) -> Result<Self, Failure> {
        let file = path
            .map(|path| ResumeFile::open(path, subscription))
            .transpose()
            .map_err(failure)?;
        Ok(Self {
            file,
            cursor,
            saved: None,
            saved_at: None,
        })
    }

    /// Where to go on.
    pub(super) fn cursor(&self) -> Option<String> {
        self.file
            .as_ref()
            .and_then(ResumeFile::cursor)
            .map(str::to_owned)
            .or_else(|| self.cursor.clone())
    }

    /// Saves the position unless it was saved a moment ago; then returns when it will be due.
    pub(super) fn save_if_due(&mut self, position: Option<&Arc<str>>) -> Result<Option<Instant>, Failure> {
        if self.file.is_none() || position == self.saved.as_ref() {
            return Ok(None);
        }
        match self
            .saved_at
            .map(|at| at + SAVE_EVERY)
            .filter(|due| *due > Instant::now())
        {
            Some(due) => Ok(Some(due)),
            None => self.save(position).map(|()| None),
        }
    }

    /// Saves the position.
    pub(super) fn save(&mut self, position: Option<&Arc<str>>) -> Result<(), Failure> {
        if let (Some(file), Some(position)) = (&mut self.file, position) {
            file.save(position).map_err(failure)?;
            self.saved = Some(position.clone());
            self.saved_at = Some(Instant::now());
        }
        Ok(())
    }

    /// Tells how to go on after an interruption.
    pub(super) fn hint(&self, position: Option<&Arc<str>>) {
        match (&self.file, position) {
            (_, None) => {}
            (Some(file), Some(_)) => {
                eprintln!(
                    "levada: the position is in {}; the same command goes on from it",
                    file.path().display()
                );
            }
            (None, Some(position)) if position.len() <= HINT_BYTES_MAX => {
                eprintln!(
                    "levada: to go on exactly here, add --cursor '{}'",
                    position.replace('\'', r"'\''")
                );
            }
            (None, Some(_)) => {
                eprintln!("levada: to be able to go on where a tail was stopped, use --resume FILE");
            }
        }
    }
}

pub(super) fn failure(error: ResumeError) -> Failure {
    let exit = match &error {
        ResumeError::OtherSubscription { .. } => Exit::Usage,
        ResumeError::Io { .. } | ResumeError::Malformed { .. } => Exit::Io,
    };
    Failure::new(exit, error.to_string())
}

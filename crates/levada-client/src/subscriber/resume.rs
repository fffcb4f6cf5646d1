//! The file that carries a subscriber's position over restarts.
//!
//! It names the subscription it belongs to: a position of another query would skip or repeat events,
//! so it is refused. It is replaced whole and atomically: after a crash there is the old position or
//! the new one, never half of one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use levada_wire::Subscription;
use levada_wire::cursor::CURSOR_BYTES_MAX;
use serde::{Deserialize, Serialize};

/// The only format so far.
const FORMAT: u32 = 1;

/// Largest file that is read: the cursor with every byte escaped, and the query.
const FILE_BYTES_MAX: u64 = 6 * CURSOR_BYTES_MAX as u64 + 1024 * 1024;

/// Why a resume file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// It cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is no resume file, or one of a later version.
    #[error("{path} is no resume file: {reason}")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It belongs to another query.
    #[error("{path} belongs to another subscription ({saved}), this one is {asked}; use another file")]
    OtherSubscription {
        /// The file.
        path: String,
        /// The query it belongs to.
        saved: String,
        /// The query of now.
        asked: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Contents {
    levada_resume: u32,
    subscription: String,
    cursor: String,
}

/// A resume file, bound to a subscription.
#[derive(Debug, Clone)]
pub struct ResumeFile {
    path: PathBuf,
    subscription: String,
    saved: Option<String>,
}

impl ResumeFile {
    /// Opens `path` for this subscription and reads the position in it, if the file exists.
    ///
    /// # Errors
    /// [`ResumeError`]; a file that cannot be used is never overwritten.
    pub fn open(path: impl Into<PathBuf>, subscription: &Subscription) -> Result<Self, ResumeError> {
        Self::open_for(path, fingerprint(subscription))
    }

    /// As [`open`](Self::open), for a query of any kind that `fingerprint` tells from others.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_for(path: impl Into<PathBuf>, fingerprint: String) -> Result<Self, ResumeError> {
        let path = path.into();
        let saved = match read(&path)? {
            None => None,
            Some(contents) if contents.subscription == fingerprint => Some(contents.cursor),
            Some(contents) => {
                return Err(ResumeError::OtherSubscription {
                    path: path.display().to_string(),
                    saved: contents.subscription,
                    asked: fingerprint,
                });
            }
        };
        Ok(Self {
            path,
            subscription: fingerprint,
            saved,
        })
    }

    /// The saved position, for [`SubscriberConfig::cursor`](crate::SubscriberConfig::cursor).
    pub fn cursor(&self) -> Option<&str> {
        self.saved.as_deref()
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Saves a position, durably, unless it is the saved one. Blocks for the time of a disk write.
    ///
    /// # Errors
    /// [`ResumeError::Io`]; the file then still has the position saved before.
    pub fn save(&mut self, cursor: &str) -> Result<(), ResumeError> {
        if self.saved.as_deref() == Some(cursor) {
            return Ok(());
        }
        let contents = Contents {
            levada_resume: FORMAT,
            subscription: self.subscription.clone(),
            cursor: cursor.to_owned(),
        };
        let wrong = |source: io::Error| io_error(&self.path, source);
        let mut text = serde_json::to_vec_pretty(&contents).map_err(|e| wrong(e.into()))?;
        text.push(b'\n');
        replace(&self.path, &text).map_err(wrong)?;
        self.saved = Some(cursor.to_owned());
        Ok(())
    }
}

/// What tells subscriptions apart: the query without the start, which counts only once.
fn fingerprint(subscription: &Subscription) -> String {
    Subscription {
        since: None,
        ..subscription.clone()
    }
    .to_uri()
}

fn io_error(path: &Path, source: io::Error) -> ResumeError {
    ResumeError::Io {
        path: path.display().to_string(),
        source,
    }
}

fn read(path: &Path) -> Result<Option<Contents>, ResumeError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(path, error)),
    };
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX)
        .read_to_end(&mut text)
        .map_err(|error| io_error(path, error))?;
    let malformed = |reason: String| ResumeError::Malformed {
        path: path.display().to_string(),
        reason,
    };
    let contents: Contents = serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))?;
    if contents.levada_resume != FORMAT {
        return Err(malformed(format!("its format is {}", contents.levada_resume)));
    }
    Ok(Some(contents))
}

/// Writes beside the file, syncs, renames over it, and syncs the directory.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut beside_name = std::ffi::OsString::from(".");
    beside_name.push(name);
    beside_name.push(format!(".{}", std::process::id()));
    let beside = directory.join(beside_name);
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&beside)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    if let Err(error) = written {
        // The old file still stands; what was written beside it is of no use.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use levada_event::Timestamp;

    use super::*;

    fn subscription(stream: &str) -> Subscription {
        Subscription {
            streams: vec![stream.into()],
            ..Subscription::default()
        }
    }

    #[test]
    fn a_position_survives() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("resume.json");
        let mut file = ResumeFile::open(&path, &subscription("a")).unwrap();
        assert_eq!(file.cursor(), None);
        assert!(!path.exists(), "nothing is written before there is a position");
        file.save("[1]").unwrap();
        file.save("[2]").unwrap();
        let later = Subscription {
            since: Some(Timestamp::from_millis(5)),
            ..subscription("a")
        };
        assert_eq!(ResumeFile::open(&path, &later).unwrap().cursor(), Some("[2]"));
        let names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names, ["resume.json"], "nothing is left beside it");
    }

    #[test]
    fn a_position_of_another_query_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("resume.json");
        ResumeFile::open(&path, &subscription("a"))
            .unwrap()
            .save("[1]")
            .unwrap();
        let error = ResumeFile::open(&path, &subscription("b")).unwrap_err();
        assert!(
            matches!(&error, ResumeError::OtherSubscription { saved, .. } if saved == "/v2/stream/a"),
            "{error}"
        );
        let filtered = Subscription {
            drop_canary: true,
            ..subscription("a")
        };
        assert!(ResumeFile::open(&path, &filtered).is_err());
    }

    #[test]
    fn other_files_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        for text in [
            "dear diary",
            "{}",
            r#"{"levada_resume":2,"subscription":"/v2/stream/a","cursor":"[]"}"#,
        ] {
            fs::write(&path, text).unwrap();
            let error = ResumeFile::open(&path, &subscription("a")).unwrap_err();
            assert!(matches!(error, ResumeError::Malformed { .. }), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert!(matches!(
            ResumeFile::open(dir.path(), &subscription("a")),
            Err(ResumeError::Io { .. })
        ));
    }

    #[test]
    fn a_failed_save_keeps_the_old_position() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gone").join("resume.json");
        let mut file = ResumeFile::open(&path, &subscription("a")).unwrap();
        assert!(matches!(file.save("[1]"), Err(ResumeError::Io { .. })));
        assert_eq!(file.cursor(), None);
    }
}

//! The data directory: its format version, the log's id and the lock.
//!
//! | file | content |
//! |---|---|
//! | `FORMAT_VERSION` | `levada-log 1`, written last when the directory is made |
//! | `LOG_ID` | eight hexadecimal digits, drawn once |
//! | `LOCK` | locked while a server has the directory open; holds its process id |
//! | `topics/` | a directory per topic |

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, LockError, read_file, replace_file};

const VERSION_FILE: &str = "FORMAT_VERSION";
const ID_FILE: &str = "LOG_ID";
const LOCK_FILE: &str = "LOCK";
const TOPICS: &str = "topics";
/// The version that this program writes.
const VERSION: &str = "levada-log 1";
const FILE_BYTES_MAX: usize = 256;

/// Why a data directory was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the data directory {path} is in use by another process{}", .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// The other process, where the lock file tells.
        pid: Option<u32>,
    },
    /// It was written by another version of the format.
    #[error("the data directory {path} has the format {found:?}; this program knows {VERSION:?}")]
    Version {
        /// The data directory.
        path: PathBuf,
        /// What its `FORMAT_VERSION` says.
        found: String,
    },
    /// There is something, but it is not (or no longer) a log.
    #[error("{path} is not the data directory of a log: {reason}")]
    NotALog {
        /// The data directory.
        path: PathBuf,
        /// What is missing or wrong.
        reason: &'static str,
    },
    /// The file system failed.
    #[error("opening {path} failed: {source}")]
    Io {
        /// What was being opened.
        path: PathBuf,
        /// How it failed.
        source: io::Error,
    },
    /// The engine's threads could not be started.
    #[error("threads could not be started: {0}")]
    Threads(io::Error),
}

/// A data directory that was found or made.
pub(super) struct Root {
    pub(super) id: String,
    pub(super) topics: PathBuf,
    /// Held as long as the log is open; `None` for reading without.
    pub(super) lock: Option<Box<dyn Send + Sync>>,
}

/// Opens the data directory at `path`, or makes it. `id` replaces the draw of a log id.
///
/// # Errors
/// See [`OpenError`].
pub(super) fn open(disk: &dyn Disk, path: &Path, id: Option<&str>) -> Result<Root, OpenError> {
    let io = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    make_dirs(disk, path).map_err(io)?;
    let lock = lock(disk, path)?;
    if let Some(id) = look(disk, path)? {
        // The process that made the log may have been killed before it synced the last name.
        disk.sync_dir(path).map_err(io)?;
        return Ok(Root {
            id,
            topics: path.join(TOPICS),
            lock: Some(lock),
        });
    }
    sync_above(disk, path).map_err(io)?;
    let topics = path.join(TOPICS);
    disk.create_dir(&topics).map_err(io)?;
    if !disk.list(&topics).map_err(io)?.is_empty() {
        return Err(OpenError::NotALog {
            path: path.to_owned(),
            reason: "there are topics, but no FORMAT_VERSION",
        });
    }
    let id = id.map_or_else(draw_id, ToOwned::to_owned);
    for (name, content) in [(ID_FILE, id.as_str()), (VERSION_FILE, VERSION)] {
        let content = format!("{content}\n");
        replace_file(disk, &path.join(name), content.as_bytes()).map_err(io)?;
        disk.sync_dir(path).map_err(io)?;
    }
    Ok(Root {
        id,
        topics,
        lock: Some(lock),
    })
}

/// Opens an existing data directory and changes nothing in it; takes the lock when `lock` is set.
///
/// # Errors
/// See [`OpenError`].
pub(super) fn open_existing(disk: &dyn Disk, path: &Path, take_lock: bool) -> Result<Root, OpenError> {
    let id = look(disk, path)?.ok_or_else(|| OpenError::NotALog {
        path: path.to_owned(),
        reason: "there is no FORMAT_VERSION",
    })?;
    let lock = if take_lock { Some(lock(disk, path)?) } else { None };
    Ok(Root {
        id,
        topics: path.join(TOPICS),
        lock,
    })
}

fn lock(disk: &dyn Disk, path: &Path) -> Result<Box<dyn Send + Sync>, OpenError> {
    disk.lock(&path.join(LOCK_FILE)).map_err(|error| match error {
        LockError::Held(pid) => OpenError::Locked {
            path: path.to_owned(),
            pid,
        },
        LockError::Io(source) => OpenError::Io {
            path: path.join(LOCK_FILE),
            source,
        },
    })
}

/// The id of the log at `path`; `None` when there is no log.
fn look(disk: &dyn Disk, path: &Path) -> Result<Option<String>, OpenError> {
    let read = |name: &str| match read_file(disk, &path.join(name), FILE_BYTES_MAX) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OpenError::Io {
            path: path.join(name),
            source,
        }),
    };
    match read(VERSION_FILE)? {
        None => return Ok(None),
        Some(version) if version == VERSION => {}
        Some(found) => {
            return Err(OpenError::Version {
                path: path.to_owned(),
                found,
            });
        }
    }
    let id = read(ID_FILE)?.filter(|id| id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit()));
    match id {
        Some(id) => Ok(Some(id)),
        None => Err(OpenError::NotALog {
            path: path.to_owned(),
            reason: "its LOG_ID is missing or damaged",
        }),
    }
}

/// Makes the directory and those above it that are missing.
fn make_dirs(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.list(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other.map(drop),
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_dirs(disk, parent)?;
    }
    disk.create_dir(path)
}

/// Makes the names of the directory and of those above it durable: whoever made them, this process
/// or one that was killed in the middle of it.
fn sync_above(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    for above in path.ancestors().skip(1) {
        let above = if above.as_os_str().is_empty() {
            Path::new(".")
        } else {
            above
        };
        match disk.sync_dir(above) {
            // A directory that may not even be read was not made by a process like this one.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            other => other?,
        }
    }
    Ok(())
}

fn draw_id() -> String {
    // The standard library seeds its hashers from the operating system's random numbers.
    let random = RandomState::new().build_hasher().finish();
    format!("{:08x}", random as u32)
}

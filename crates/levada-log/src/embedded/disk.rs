//! The seam between the engine and the file system.
//!
//! The engine touches files through [`Disk`] and [`File`] alone, so that its behaviour on a disk that
//! lies can be tested on a simulated one. The calls are the system calls that the engine needs, one
//! to one: what they cost is the system call, not the seam.

mod os;

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

pub use os::OsDisk;

/// A file system, as far as the engine needs one.
pub trait Disk: Send + Sync + 'static {
    /// Creates a directory whose parent exists; no error when it is there already.
    ///
    /// # Errors
    /// Those of `mkdir`.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// What a directory holds, in no order.
    ///
    /// # Errors
    /// `NotFound` when there is no such directory, and those of reading it.
    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// `NotFound` when it must exist and does not, and those of `open`.
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>>;

    /// Renames a file over another, atomically.
    ///
    /// # Errors
    /// Those of `rename`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound` and those of `unlink`.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable: creations, renames and removals in it.
    ///
    /// # Errors
    /// Those of `fsync`.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes the lock file at `path` for this process until the answer is dropped.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process holds it.
    fn lock(&self, path: &Path) -> Result<Box<dyn Send + Sync>, LockError>;
}

/// An open file.
pub trait File: Send + Sync {
    /// Writes at `position`, beyond the end if need be, and answers how many bytes were written;
    /// fewer than given is no error.
    ///
    /// # Errors
    /// Those of `pwritev`.
    fn write_at(&self, position: u64, parts: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Fills `into` with the bytes from `position` on and answers how many there were; fewer only at
    /// the end of the file.
    ///
    /// # Errors
    /// Those of `pread`.
    fn read_at(&self, position: u64, into: &mut [u8]) -> io::Result<usize>;

    /// The file's length.
    ///
    /// # Errors
    /// Those of `fstat`.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file holds nothing.
    ///
    /// # Errors
    /// Those of `fstat`.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file off.
    ///
    /// # Errors
    /// Those of `ftruncate`.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes content and length durable.
    ///
    /// # Errors
    /// Those of `fdatasync`. After an error nothing may be assumed about what was written since the
    /// last success.
    fn sync(&self) -> io::Result<()>;
}

/// How to open a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// It must exist; it will only be read.
    Read,
    /// It must exist.
    Existing,
    /// It is created empty, or emptied.
    Fresh,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name. Names that are not UTF-8 are left out: the engine makes none.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Bytes it holds; 0 for directories.
    pub len: u64,
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("another process{} holds the lock", .0.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Held(Option<u32>),
    /// The lock file cannot be used.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes all of `parts` at `position`.
///
/// # Errors
/// Those of [`File::write_at`]; `WriteZero` when the file takes nothing more. Part of the bytes may
/// have been written.
pub(super) fn write_all(file: &dyn File, mut position: u64, parts: &[&[u8]]) -> io::Result<()> {
    /// The kernel takes at most this many parts in one call (`UIO_MAXIOV`).
    const PARTS_MAX: usize = 1024;
    let mut parts: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let mut rest = &mut parts[..];
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        let count = rest.len().min(PARTS_MAX);
        match file.write_at(position, &rest[..count]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                position += written as u64;
                IoSlice::advance_slices(&mut rest, written);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A whole small file as it is.
///
/// # Errors
/// Those of [`Disk::open`] and [`File::read_at`].
pub(super) fn read_file(disk: &dyn Disk, path: &Path, max: usize) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Open::Read)?;
    let len = usize::try_from(file.len()?).unwrap_or(usize::MAX).min(max);
    read_some(&*file, 0, len)
}

/// Up to `len` bytes from `position` on; fewer only at the end of the file.
///
/// # Errors
/// Those of [`File::read_at`].
pub(super) fn read_some(file: &dyn File, position: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut content = vec![0; len];
    let read = file.read_at(position, &mut content)?;
    content.truncate(read);
    Ok(content)
}

/// Puts `content` in the place of the file at `path`, atomically, through `<path>.tmp`; durable with
/// the next [`Disk::sync_dir`] of its directory.
///
/// # Errors
/// Those of the steps; the old file is then still there.
pub(super) fn replace_file(disk: &dyn Disk, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = Path::new(&name);
    let file = disk.open(temporary, Open::Fresh)?;
    write_all(&*file, 0, &[content])?;
    file.sync()?;
    disk.rename(temporary, path)
}

//! The least that a replay from files does: read files that the system has in memory, on a thread beside
//! the connection's, look at every byte once for its checksum, and send what was read.
//!
//! What the system has in memory is read the faster the larger the writes were that brought it there. So there
//! are fifty files, as of fifty partitions, written in turns by pieces of the size of an article.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use levada_event::pool::Pool;
use tokio::sync::mpsc::{Receiver, channel};

/// Bytes of all files.
pub const BYTES: u64 = FILES * FILE_BYTES;

const FILES: u64 = 50;
const FILE_BYTES: u64 = WRITE_BYTES as u64 * 2_000;

/// Size of a write.
const WRITE_BYTES: usize = 20 * 1024;

/// Size of a read, as in catch-up.
const READ_BYTES: usize = 1024 * 1024;

/// Files that were written a moment ago.
pub fn make(folder: &Path) -> Result<Arc<[File]>> {
    let path = |number| folder.join(format!("stored-{number}"));
    let files: Result<Vec<File>, _> = (0..FILES).map(|number| File::create(path(number))).collect();
    let mut files = files?;
    let piece = vec![b'x'; WRITE_BYTES];
    for _ in 0..FILE_BYTES / WRITE_BYTES as u64 {
        for file in &mut files {
            file.write_all(&piece)?;
        }
    }
    for file in &files {
        file.sync_all()?;
    }
    let files: Result<Vec<File>, _> = (0..FILES).map(|number| File::open(path(number))).collect();
    Ok(files?.into())
}

/// What stands in the files, piece by piece in turns, two of them ahead.
pub fn read(files: Arc<[File]>) -> Receiver<Bytes> {
    let (pieces, taken) = channel(2);
    let buffers = Pool::new(4, READ_BYTES / 2..READ_BYTES * 2);
    std::thread::spawn(move || {
        for at in (0..FILE_BYTES).step_by(READ_BYTES) {
            let bytes = READ_BYTES.min((FILE_BYTES - at) as usize);
            for file in &*files {
                let mut piece = buffers.take(bytes);
                if file.read_exact_at(&mut piece, at).is_err() {
                    return;
                }
                std::hint::black_box(crc32c::crc32c(&piece));
                if pieces.blocking_send(buffers.share(piece)).is_err() {
                    return;
                }
            }
        }
        // The stream stays open, as streams do.
        std::thread::park();
    });
    taken
}

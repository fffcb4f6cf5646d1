//! The least that a replay from files does: read a file that the system has in memory, on a thread beside
//! the connection's, look at every byte once for its checksum, and send what was read.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, channel};

/// Bytes of the file.
pub const BYTES: u64 = 2 << 30;

/// Size of a read, as in catch-up.
const READ_BYTES: usize = 512 * 1024;

/// A file that was written a moment ago.
pub fn make(folder: &Path) -> Result<Arc<File>> {
    let path = folder.join("stored");
    let mut file = File::create(&path)?;
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..BYTES >> 20 {
        file.write_all(&piece)?;
    }
    file.sync_all()?;
    Ok(Arc::new(File::open(path)?))
}

/// What stands in the file, piece by piece, two of them ahead.
pub fn read(file: Arc<File>) -> Receiver<Bytes> {
    let (pieces, taken) = channel(2);
    std::thread::spawn(move || {
        for at in (0..BYTES).step_by(READ_BYTES) {
            let mut piece = vec![0; READ_BYTES];
            if file.read_exact_at(&mut piece, at).is_err() {
                return;
            }
            std::hint::black_box(crc32c::crc32c(&piece));
            if pieces.blocking_send(piece.into()).is_err() {
                return;
            }
        }
        // The stream stays open, as streams do.
        std::thread::park();
    });
    taken
}

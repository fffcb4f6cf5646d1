//! The least that a durable intake does: write what came, sync it, answer. Nothing is parsed or checked.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::sync::oneshot;

/// Least time between the beginnings of two rounds, as in the log.
const GATHER: Duration = Duration::from_micros(400);

type Post = (Bytes, oneshot::Sender<()>);

/// Where posts are written down.
#[derive(Clone)]
pub struct Journal(Sender<Post>);

impl Journal {
    /// A new file in `folder`, with a thread that writes and syncs it.
    pub fn open(folder: &Path) -> Result<Self> {
        let file = File::create(folder.join("journal"))?;
        let (posts, waiting) = channel();
        std::thread::spawn(move || keep(file, &waiting));
        Ok(Self(posts))
    }

    /// Returns when the post is durable.
    pub async fn write(&self, post: Bytes) -> Result<()> {
        let (done, is_done) = oneshot::channel();
        self.0.send((post, done)).ok().context("the journal is kept")?;
        Ok(is_done.await?)
    }
}

/// The file begins anew beyond this, so that the disk is not busy with it when other rows are measured.
const FILE_BYTES_MAX: usize = 64 << 20;

fn keep(mut file: File, waiting: &Receiver<Post>) {
    let mut began = Instant::now();
    let mut written = 0;
    while let Ok(first) = waiting.recv() {
        std::thread::sleep(GATHER.saturating_sub(began.elapsed()));
        began = Instant::now();
        let round: Vec<Post> = std::iter::once(first).chain(waiting.try_iter()).collect();
        let bytes: Vec<u8> = round.iter().flat_map(|(post, _)| post.iter().copied()).collect();
        // Whoever waits for a round that failed learns it when its place is dropped.
        written += bytes.len();
        if written > FILE_BYTES_MAX && file.set_len(0).and_then(|()| file.rewind()).is_ok() {
            written = 0;
        }
        if file.write_all(&bytes).and_then(|()| file.sync_data()).is_ok() {
            for (_, done) in round {
                let _ = done.send(());
            }
        }
    }
}

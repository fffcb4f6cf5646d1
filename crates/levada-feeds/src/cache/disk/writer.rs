//! The thread that writes: in transactions of many entries, and within the bound on the file.

use super::super::record::written_at;
use super::{ENTRIES, Names, Task, Waiting, hash};
use parking_lot::RwLock;
use redb::{Database, Durability, ReadableDatabase, ReadableTable};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Writes per transaction.
const BATCH: usize = 512;
/// The entries may take this part of the file: pages are half full, a transaction writes beside what it replaces, and a
/// file that is too small becomes twice as large at once, never a little larger.
const ENTRIES_PART: u64 = 4;
/// A transaction has at most this part of the bound, if it has more than one entry.
const BATCH_PART: u64 = 32;
/// Between two sweeps is written at most this part of the bound.
const SWEEP_PART: u64 = 8;
/// How often entries are removed and the file is compacted before it is left larger than it should be.
const ATTEMPTS: u32 = 4;

/// What came of bounding the file.
struct Bounded {
    /// Whether all entries were looked through.
    swept: bool,
    /// Whether the file is still too large.
    is_hopeless: bool,
}

/// Writes what is queued. Promises: when the queue is empty the file is not larger than `most_bytes`, as long as that
/// is at least what an empty file takes; the entries that were written last are in it. Reads wait while it is compacted.
pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) database: Arc<RwLock<Database>>,
    pub(super) waiting: Arc<Waiting>,
    pub(super) names: Arc<Names>,
    pub(super) most_bytes: u64,
    /// Counts how often all entries were looked through.
    pub(super) sweeps: Arc<AtomicU64>,
}

impl Writer {
    pub(super) fn run(&self, tasks: &Receiver<Task>) {
        // What an earlier process left may be too much already, and its names are not known yet.
        let mut is_hopeless = self.bound(true).is_hopeless;
        let mut written = 0;
        while let Ok(first) = tasks.recv() {
            let mut bytes = size(&first);
            let mut batch = vec![first];
            // A moment for others to join the transaction; the cache is not in a hurry.
            while batch.len() < BATCH
                && bytes < self.most_bytes / BATCH_PART
                && !matches!(batch.last(), Some(Task::Flush(_)))
            {
                match tasks.recv_timeout(Duration::from_millis(20)) {
                    Ok(task) => {
                        bytes += size(&task);
                        batch.push(task);
                    }
                    Err(_) => break,
                }
            }
            if let Err(error) = self.commit(&batch) {
                tracing::warn!(%error, entries = batch.len(), "cache entries not written");
            }
            written += bytes;
            let is_much = written >= self.most_bytes / SWEEP_PART;
            // A file that could not be made small enough is looked at again when there is much new, not at every turn.
            if is_much || !is_hopeless {
                let bounded = self.bound(is_much);
                if bounded.is_hopeless && !is_hopeless {
                    tracing::warn!(
                        bytes = self.file_bytes(),
                        most_bytes = self.most_bytes,
                        "cache file too large, and cannot be made smaller"
                    );
                }
                is_hopeless = bounded.is_hopeless;
                if bounded.swept {
                    written = 0;
                }
            }
            self.settle(batch);
        }
    }

    /// Removes and compacts when there is much new or the file is too large.
    fn bound(&self, is_much: bool) -> Bounded {
        let mut goal = self.most_bytes / ENTRIES_PART;
        let mut swept = false;
        for _ in 0..ATTEMPTS {
            let is_large = self.file_bytes() > self.most_bytes;
            if !is_large && (swept || !is_much) {
                return Bounded {
                    swept,
                    is_hopeless: false,
                };
            }
            let done = self.sweep(goal).and_then(|()| {
                swept = true;
                // Removing alone does not make a file smaller.
                while self.file_bytes() > self.most_bytes && self.database.write().compact()? {}
                Ok(())
            });
            if let Err(error) = done {
                tracing::warn!(%error, "cache file not bounded");
                return Bounded {
                    swept,
                    is_hopeless: true,
                };
            }
            goal /= 2;
        }
        Bounded {
            swept,
            is_hopeless: self.file_bytes() > self.most_bytes,
        }
    }

    fn file_bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |facts| facts.len())
    }

    fn commit(&self, batch: &[Task]) -> Result<(), redb::Error> {
        let database = self.database.read();
        let mut transaction = database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut table = transaction.open_table(ENTRIES)?;
            for task in batch {
                match task {
                    Task::Put(name, bytes) => drop(table.insert(name.as_str(), bytes.as_slice())?),
                    Task::Remove(name) => drop(table.remove(name.as_str())?),
                    Task::Flush(_) => {}
                }
            }
        }
        transaction.commit()?;
        // The names before the queue lets go of them.
        if let Some(names) = self.names.lock().as_mut() {
            for task in batch {
                match task {
                    Task::Put(name, _) => drop(names.insert(hash(name))),
                    Task::Remove(name) => drop(names.remove(&hash(name))),
                    Task::Flush(_) => {}
                }
            }
        }
        Ok(())
    }

    /// Lets readers look into the file for what was written, unless a newer write is waiting.
    fn settle(&self, batch: Vec<Task>) {
        let mut waiting = self.waiting.lock();
        for task in batch {
            match task {
                Task::Put(name, bytes) => {
                    let same = |held: &Option<Arc<Vec<u8>>>| {
                        held.as_ref().is_some_and(|held| Arc::ptr_eq(held, &bytes))
                    };
                    if waiting.get(&name).is_some_and(same) {
                        waiting.remove(&name);
                    }
                }
                Task::Remove(name) => {
                    if waiting.get(&name).is_some_and(Option::is_none) {
                        waiting.remove(&name);
                    }
                }
                // The receiver may have gone away; nobody waits then.
                Task::Flush(done) => drop(done.send(())),
            }
        }
    }

    /// Removes the oldest entries until the rest takes `most_bytes`, and learns the names of the rest.
    fn sweep(&self, most_bytes: u64) -> Result<(), redb::Error> {
        self.sweeps.fetch_add(1, Ordering::Relaxed);
        let database = self.database.read();
        let mut entries = Vec::new();
        let mut total = 0_u64;
        match database.begin_read()?.open_table(ENTRIES) {
            Err(redb::TableError::TableDoesNotExist(_)) => {}
            Err(error) => return Err(error.into()),
            Ok(table) => {
                for entry in table.iter()? {
                    let (key, value) = entry?;
                    let size = (key.value().len() + value.value().len()) as u64;
                    total += size;
                    let at_ms = written_at(value.value()).unwrap_or(i64::MIN);
                    entries.push((at_ms, size, key.value().to_owned()));
                }
            }
        }
        let mut names: HashSet<u64> = entries.iter().map(|(.., key)| hash(key)).collect();
        if total > most_bytes {
            entries.sort_unstable();
            let transaction = database.begin_write()?;
            {
                let mut table = transaction.open_table(ENTRIES)?;
                // A tenth below, so that the next write does not sweep again.
                let goal = most_bytes - most_bytes / 10;
                for (_, size, key) in entries {
                    if total <= goal {
                        break;
                    }
                    table.remove(key.as_str())?;
                    names.remove(&hash(&key));
                    total -= size;
                }
            }
            transaction.commit()?;
        }
        *self.names.lock() = Some(names);
        Ok(())
    }
}

fn size(task: &Task) -> u64 {
    match task {
        Task::Put(name, bytes) => (name.len() + bytes.len()) as u64,
        Task::Remove(_) | Task::Flush(_) => 0,
    }
}

//! The thread that writes: in transactions of many entries, and within the bound on size.

use super::super::record::written_at;
use super::{ENTRIES, Task, Waiting};
use redb::{Database, Durability, ReadableDatabase, ReadableTable};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Writes per transaction.
const BATCH: usize = 512;
/// Between two sweeps for size is written at most this part of the bound.
const SWEEP_PART: u64 = 8;

/// Writes what is queued.
pub(super) struct Writer {
    pub(super) database: Arc<Database>,
    pub(super) waiting: Arc<Waiting>,
    pub(super) most_bytes: u64,
}

impl Writer {
    pub(super) fn run(&self, tasks: &Receiver<Task>) {
        // What an earlier process left may be too much already.
        let mut written = self.most_bytes;
        while let Ok(first) = tasks.recv() {
            let mut batch = vec![first];
            // A moment for others to join the transaction; the cache is not in a hurry.
            while batch.len() < BATCH && !matches!(batch.last(), Some(Task::Flush(_))) {
                match tasks.recv_timeout(Duration::from_millis(20)) {
                    Ok(task) => batch.push(task),
                    Err(_) => break,
                }
            }
            if let Err(error) = self.commit(&batch) {
                tracing::warn!(%error, entries = batch.len(), "cache entries not written");
            }
            let sizes = batch.iter().map(|task| match task {
                Task::Put(name, bytes) => name.len() + bytes.len(),
                Task::Remove(_) | Task::Flush(_) => 0,
            });
            written += sizes.sum::<usize>() as u64;
            self.settle(batch);
            if written >= self.most_bytes / SWEEP_PART {
                written = 0;
                if let Err(error) = self.sweep() {
                    tracing::warn!(%error, "cache not swept");
                }
            }
        }
    }

    fn commit(&self, batch: &[Task]) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
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
        Ok(transaction.commit()?)
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

    /// Removes the oldest entries until the rest fits.
    pub(super) fn sweep(&self) -> Result<(), redb::Error> {
        let mut entries = Vec::new();
        let mut total = 0_u64;
        {
            let table = match self.database.begin_read()?.open_table(ENTRIES) {
                Ok(table) => table,
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            for entry in table.iter()? {
                let (key, value) = entry?;
                let size = (key.value().len() + value.value().len()) as u64;
                total += size;
                entries.push((
                    written_at(value.value()).unwrap_or(i64::MIN),
                    size,
                    key.value().to_owned(),
                ));
            }
        }
        if total <= self.most_bytes {
            return Ok(());
        }
        entries.sort_unstable();
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(ENTRIES)?;
            // A tenth below the bound, so that the next write does not sweep again.
            let goal = self.most_bytes - self.most_bytes / 10;
            for (_, size, key) in entries {
                if total <= goal {
                    break;
                }
                table.remove(key.as_str())?;
                total -= size;
            }
        }
        Ok(transaction.commit()?)
    }
}

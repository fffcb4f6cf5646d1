//! The embedded store that lets caches survive a restart: one redb file, written behind by one thread.
//!
//! It is a cache: what it loses is fetched again, a damaged file is set aside and a new one begun. Writes go through a
//! bounded queue; what does not fit is dropped and counted. Reads see queued writes. Which names are in the file is
//! known in memory, so that only what is there is looked for. The file is bounded: see [`Writer`].

mod writer;

use crate::work::Workers;
use parking_lot::{Mutex, RwLock};
use redb::{Database, ReadableDatabase, TableDefinition};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use writer::Writer;

/// Key: shelf, a line feed, key. Value: a [`super::Record`].
const ENTRIES: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("entries");
/// Writes waiting for the thread. A cold `onthisday/all` writes about 500.
const QUEUE: usize = 8_192;
/// Threads that look into the file. A look takes some microseconds; a day's list looks for two hundred summaries.
const LOOKERS: usize = 2;
/// Memory that redb may use for its own page cache.
const PAGE_CACHE: usize = 16 << 20;

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the file.
    #[error("{0} is in use by another process")]
    InUse(PathBuf),
    /// The file or its directory cannot be used.
    #[error("{path}: {problem}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        problem: String,
    },
}

/// Writes that are queued, by name; `None` removes.
type Waiting = Mutex<HashMap<String, Option<Arc<Vec<u8>>>>>;

/// Hashes of the names in the file, once they are known. Two names with one hash cost a look, or one more fetch.
type Names = Mutex<Option<HashSet<u64>>>;

enum Task {
    Put(String, Arc<Vec<u8>>),
    Remove(String),
    Flush(SyncSender<()>),
}

/// The store, shared by all shelves.
pub(crate) struct Disk {
    /// Shared by all who read and write; alone is who compacts.
    database: Arc<RwLock<Database>>,
    names: Arc<Names>,
    queue: Mutex<Option<SyncSender<Task>>>,
    waiting: Arc<Waiting>,
    writer: Mutex<Option<JoinHandle<()>>>,
    dropped: Arc<AtomicU64>,
    sweeps: Arc<AtomicU64>,
    lookers: Workers,
}

impl Disk {
    /// Opens or makes the file. A file that is damaged is renamed to `….damaged` and a new one is begun.
    pub(crate) fn open(path: &Path, most_bytes: u64) -> Result<Disk, StoreError> {
        let unusable = |problem: String| StoreError::Unusable {
            path: path.to_owned(),
            problem,
        };
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(|error| unusable(error.to_string()))?;
        }
        let database = match create(path) {
            Ok(database) => database,
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => return Err(StoreError::InUse(path.to_owned())),
            Err(error) => {
                let mut aside = path.as_os_str().to_owned();
                aside.push(".damaged");
                tracing::warn!(%error, path = %path.display(), "cache file unreadable, set aside");
                std::fs::rename(path, &aside).map_err(|_| unusable(error.to_string()))?;
                create(path).map_err(|error| unusable(error.to_string()))?
            }
        };
        let database = Arc::new(RwLock::new(database));
        let names: Arc<Names> = Arc::default();
        let (queue, tasks) = sync_channel(QUEUE);
        let waiting: Arc<Waiting> = Arc::default();
        let sweeps: Arc<AtomicU64> = Arc::default();
        let writer = Writer {
            path: path.to_owned(),
            database: Arc::clone(&database),
            waiting: Arc::clone(&waiting),
            names: Arc::clone(&names),
            most_bytes,
            sweeps: Arc::clone(&sweeps),
        };
        let thread = std::thread::Builder::new()
            .name("feeds-store".into())
            .spawn(move || writer.run(&tasks))
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Disk {
            database,
            names,
            queue: Mutex::new(Some(queue)),
            waiting,
            writer: Mutex::new(Some(thread)),
            dropped: Arc::default(),
            sweeps,
            lookers: Workers::start("feeds-look", LOOKERS),
        })
    }

    /// Runs `look` on a thread that may block, a few at a time. `None` when it ends by a panic.
    pub(crate) async fn look<T: Send + 'static>(
        self: &Arc<Self>,
        look: impl FnOnce(&Disk) -> T + Send + 'static,
    ) -> Option<T> {
        let disk = Arc::clone(self);
        self.lookers.run(move || look(&disk)).await
    }

    /// Whether there may be such an entry; cheap. True in vain until the names in the file are known.
    pub(crate) fn may_have(&self, shelf: &str, key: &str) -> bool {
        let name = name(shelf, key);
        // In this order: a write leaves the queue when its name is among those in the file.
        if let Some(waiting) = self.waiting.lock().get(&name) {
            return waiting.is_some();
        }
        let names = self.names.lock();
        names.as_ref().is_none_or(|names| names.contains(&hash(&name)))
    }

    /// Reads one entry. Blocks on the file; call it off the runtime's threads.
    pub(crate) fn get(&self, shelf: &str, key: &str) -> Option<Vec<u8>> {
        let name = name(shelf, key);
        if let Some(waiting) = self.waiting.lock().get(&name) {
            return waiting.as_ref().map(|bytes| bytes.to_vec());
        }
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let table = match self.database.read().begin_read()?.open_table(ENTRIES) {
                Ok(table) => table,
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            Ok(table.get(name.as_str())?.map(|value| value.value().to_vec()))
        };
        read().unwrap_or_else(|error| {
            tracing::warn!(%error, shelf, key, "cache entry unreadable");
            None
        })
    }

    /// Reads all entries of a shelf. Blocks on the file.
    pub(crate) fn all(&self, shelf: &str) -> Vec<(String, Vec<u8>)> {
        let prefix = name(shelf, "");
        let database = self.database.read();
        let read = || -> Result<Vec<(String, Vec<u8>)>, redb::Error> {
            let table = match database.begin_read()?.open_table(ENTRIES) {
                Ok(table) => table,
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            };
            let mut entries = Vec::new();
            for entry in table.range(prefix.as_str()..)? {
                let (key, value) = entry?;
                let Some(key) = key.value().strip_prefix(&prefix) else {
                    break;
                };
                entries.push((key.to_owned(), value.value().to_vec()));
            }
            Ok(entries)
        };
        read().unwrap_or_else(|error| {
            tracing::warn!(%error, shelf, "cached entries unreadable");
            Vec::new()
        })
    }

    /// Writes an entry behind.
    pub(crate) fn put(&self, shelf: &str, key: &str, bytes: Vec<u8>) {
        let (name, bytes) = (name(shelf, key), Arc::new(bytes));
        self.waiting.lock().insert(name.clone(), Some(Arc::clone(&bytes)));
        self.send(Task::Put(name, bytes));
    }

    /// Removes an entry behind. Costs nothing when there is none.
    pub(crate) fn remove(&self, shelf: &str, key: &str) {
        if !self.may_have(shelf, key) {
            return;
        }
        let name = name(shelf, key);
        self.waiting.lock().insert(name.clone(), None);
        self.send(Task::Remove(name));
    }

    /// Waits until everything queued is durable. Blocks.
    pub(crate) fn flush(&self) {
        let (done, wait) = sync_channel(1);
        let sent = self
            .queue
            .lock()
            .as_ref()
            .is_some_and(|queue| queue.send(Task::Flush(done)).is_ok());
        if sent {
            // An error means that the thread ended, and then there is nothing to wait for.
            let _ = wait.recv();
        }
    }

    /// How often all entries were looked through to bound the file.
    pub(crate) fn sweeps(&self) -> u64 {
        self.sweeps.load(Ordering::Relaxed)
    }

    /// Entries that were not written because the queue was full.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn send(&self, task: Task) {
        let queue = self.queue.lock();
        let Some(sender) = queue.as_ref() else { return };
        match sender.try_send(task) {
            Ok(()) => {}
            Err(TrySendError::Full(task) | TrySendError::Disconnected(task)) => {
                if let Task::Put(name, _) | Task::Remove(name) = task {
                    self.waiting.lock().remove(&name);
                }
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.queue.lock().take();
        if let Some(writer) = self.writer.lock().take()
            && writer.join().is_err()
        {
            tracing::error!("the cache's writing thread had ended by a panic");
        }
    }
}

fn create(path: &Path) -> Result<Database, redb::DatabaseError> {
    let mut builder = Database::builder();
    builder.set_cache_size(PAGE_CACHE);
    builder.create(path)
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

fn name(shelf: &str, key: &str) -> String {
    format!("{shelf}\n{key}")
}

#[cfg(test)]
mod tests {
    use super::super::Record;
    use super::*;

    fn record(at_ms: i64, size: usize) -> Vec<u8> {
        Record {
            at_ms,
            head: (),
            body: vec![7; size],
        }
        .encode()
        .expect("encodable")
    }

    #[test]
    fn entries_survive_and_queued_writes_are_seen() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("deep/cache.redb");
        let disk = Disk::open(&path, 1 << 20).expect("a store");
        disk.put("a", "k", record(1, 3));
        disk.put("b", "k", record(1, 5));
        assert_eq!(disk.get("a", "k"), Some(record(1, 3)));
        disk.put("a", "gone", record(1, 1));
        disk.remove("a", "gone");
        assert_eq!(disk.get("a", "gone"), None);
        disk.flush();
        assert!(disk.waiting.lock().is_empty());
        assert!(matches!(Disk::open(&path, 1), Err(StoreError::InUse(_))));
        // What is not there need not be removed.
        disk.remove("a", "never there");
        assert!(disk.waiting.lock().is_empty());
        drop(disk);
        let disk = Disk::open(&path, 1 << 20).expect("a store");
        assert_eq!(disk.get("a", "k"), Some(record(1, 3)));
        assert_eq!(disk.all("a"), [("k".to_owned(), record(1, 3))]);
    }

    #[test]
    fn the_oldest_go_when_there_is_too_much_and_the_file_stays_within_its_bound() {
        const MOST: u64 = 4 << 20;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("c.redb");
        let file = || std::fs::metadata(&path).expect("a file").len();
        let disk = Disk::open(&path, MOST).expect("a store");
        let mut largest = 0;
        for n in 0..6_000 {
            // Sizes of summaries, and now and then a page; five times the bound in all.
            let size = if n % 100 == 0 {
                200_000
            } else {
                500 + n as usize * 7_919 % 3_000
            };
            disk.put("a", &format!("{n:05}"), record(n, size));
            largest = largest.max(file());
            if n % 500 == 499 {
                disk.flush();
                assert!(file() <= MOST, "{} after {n}", file());
            }
        }
        disk.flush();
        assert!(largest <= MOST, "{largest} while it was written");
        assert_eq!(disk.dropped(), 0);
        let left: Vec<String> = disk.all("a").into_iter().map(|(key, _)| key).collect();
        assert_eq!(left.last().map(String::as_str), Some("05999"));
        assert!(left.len() > 200, "{}", left.len());
        let first: usize = left[0].parse().expect("a number");
        assert_eq!(left.len(), 6_000 - first, "the latest, without a gap");
        assert!(disk.may_have("a", "05999") && !disk.may_have("a", "00000"));
        drop(disk);
        // A smaller bound takes hold of what is there.
        let disk = Disk::open(&path, MOST / 2).expect("a store");
        disk.flush();
        assert!(file() <= MOST / 2, "{}", file());
        assert!(disk.may_have("a", "05999") && !disk.may_have("a", "00000"));
        assert_eq!(
            disk.get("a", "05999").map(|bytes| bytes.len()),
            Some(record(0, 500 + 5_999 * 7_919 % 3_000).len())
        );
    }

    #[test]
    fn a_file_that_cannot_be_bounded_is_not_swept_at_every_turn() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("c.redb");
        // Less than a file with anything in it takes.
        let disk = Disk::open(&path, 8 << 10).expect("a store");
        disk.put("a", "first", record(0, 3_000));
        disk.flush();
        let size = std::fs::metadata(&path).expect("a file").len();
        assert!(size > 8 << 10, "{size}");
        let before = disk.sweeps();
        for n in 0..10 {
            disk.put("a", &format!("{n}"), record(n, 50));
            disk.flush();
        }
        assert_eq!(disk.sweeps(), before);
        // With an eighth of the bound written it is tried again.
        disk.put("a", "much", record(11, 3_000));
        disk.flush();
        assert!(disk.sweeps() > before);
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("c.redb");
        std::fs::write(&path, "this is no store at all").expect("written");
        let disk = Disk::open(&path, 1_000).expect("a new store");
        assert_eq!(disk.get("a", "k"), None);
        assert!(dir.path().join("c.redb.damaged").exists());
    }
}

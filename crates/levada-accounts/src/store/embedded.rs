//! The store in one file of the data directory (redb), or in memory.
//!
//! It trusts the file system to keep what it synced. It promises that a write is on the disk when
//! `write` returns, that one process at a time has the file, and that the generation is exact.
//! The file holds the signing keys: only its owner may read it.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use levada_event::Timestamp;
use redb::{
    Database, DatabaseError, Durability, ReadableDatabase as _, ReadableTable as _, Table, TableDefinition,
    TableError, WriteTransaction,
};

use super::{Change, Content, Expect, Kind, Record, Store, StoreError, StoreFacts, check_changes};
use crate::limits::{EMBEDDED_CACHE_BYTES, LIST_MAX};

/// Name of the file in the data directory.
pub const FILE_NAME: &str = "accounts.redb";

/// Version of the layout below. A file of a higher one is refused.
const FORMAT: u64 = 1;

/// (version, owner, time of expiry in milliseconds or [`NEVER`], JSON) by (kind, id).
const RECORDS: TableDefinition<(&str, &str), (u64, &str, i64, &str)> = TableDefinition::new("records");
/// Records of an owner: (kind, owner, id).
const OWNED: TableDefinition<(&str, &str, &str), ()> = TableDefinition::new("owned");
/// Records that expire: (milliseconds, kind, id).
const EXPIRY: TableDefinition<(i64, &str, &str), ()> = TableDefinition::new("expiry");
/// `format` and the last given `version`.
const NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("numbers");

const NEVER: i64 = i64::MAX;

/// The store in one file, or in memory.
#[derive(Clone)]
pub struct EmbeddedStore {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    generation: AtomicU64,
    backend: &'static str,
}

impl EmbeddedStore {
    /// Opens (or makes) `accounts.redb` in `directory`, which must exist. Blocks on the disk.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when another process has it open, [`StoreError::Unavailable`] when the
    /// file cannot be opened, [`StoreError::Damaged`] when it is not such a store.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(FILE_NAME);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options
            .open(&path)
            .map_err(|e| StoreError::Unavailable(format!("{}: {e}", path.display())))?;
        let database = Database::builder()
            .set_cache_size(EMBEDDED_CACHE_BYTES)
            .create_file(file)
            .map_err(|e| opening(&path, e))?;
        Self::prepare(database, "embedded")
    }

    /// A store that is gone when the process ends.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when there is no memory for it.
    pub fn in_memory() -> Result<Self, StoreError> {
        let database = Database::builder()
            .set_cache_size(EMBEDDED_CACHE_BYTES)
            .create_with_backend(redb::backends::InMemoryBackend::new())
            .map_err(|e| opening(Path::new("memory"), e))?;
        Self::prepare(database, "memory")
    }

    fn prepare(database: Database, backend: &'static str) -> Result<Self, StoreError> {
        let transaction = begin(&database)?;
        {
            let mut numbers = transaction.open_table(NUMBERS).map_err(table)?;
            let found = numbers.get("format").map_err(storage)?.map(|value| value.value());
            match found {
                None => {
                    numbers.insert("format", FORMAT).map_err(storage)?;
                }
                Some(FORMAT) => {}
                Some(other) => {
                    return Err(StoreError::Damaged(format!(
                        "its format is {other}, and this version of Levada knows {FORMAT}"
                    )));
                }
            }
            transaction.open_table(RECORDS).map_err(table)?;
            transaction.open_table(OWNED).map_err(table)?;
            transaction.open_table(EXPIRY).map_err(table)?;
        }
        transaction
            .commit()
            .map_err(|e| StoreError::Unavailable(e.to_string()))?;
        Ok(Self {
            inner: Arc::new(Inner {
                database,
                generation: AtomicU64::new(1),
                backend,
            }),
        })
    }

    /// Runs `work` where blocking is allowed. It runs to its end even when the caller goes away.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .map_err(|e| StoreError::Unavailable(e.to_string()))?
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    fn facts(&self) -> StoreFacts {
        StoreFacts {
            backend: self.inner.backend,
            shared: false,
        }
    }

    async fn get(&self, kind: Kind, id: &str) -> Result<Option<Record>, StoreError> {
        let id = id.to_owned();
        self.blocking(move |inner| {
            let transaction = inner.database.begin_read().map_err(unavailable)?;
            let records = transaction.open_table(RECORDS).map_err(table)?;
            let found = records.get((kind.as_str(), id.as_str())).map_err(storage)?;
            Ok(found.map(|value| record(&id, value.value())))
        })
        .await
    }

    async fn list(
        &self,
        kind: Kind,
        owner: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let (owner, after) = (owner.map(str::to_owned), after.map(str::to_owned));
        let limit = limit.min(LIST_MAX);
        self.blocking(move |inner| inner.list(kind, owner.as_deref(), after.as_deref(), limit))
            .await
    }

    async fn count(&self, kind: Kind, owner: &str) -> Result<usize, StoreError> {
        let owner = owner.to_owned();
        self.blocking(move |inner| {
            let transaction = inner.database.begin_read().map_err(unavailable)?;
            let owned = transaction.open_table(OWNED).map_err(table)?;
            let mut count = 0;
            for entry in owned
                .range((kind.as_str(), owner.as_str(), "")..)
                .map_err(storage)?
            {
                let (key, _) = entry.map_err(storage)?;
                let (of_kind, of_owner, _) = key.value();
                if (of_kind, of_owner) != (kind.as_str(), owner.as_str()) {
                    break;
                }
                count += 1;
            }
            Ok(count)
        })
        .await
    }

    async fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        check_changes(changes)?;
        let changes = changes.to_vec();
        self.blocking(move |inner| inner.write(&changes)).await
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.blocking(move |inner| inner.purge(now, limit)).await
    }

    fn generation(&self) -> u64 {
        self.inner.generation.load(Ordering::Acquire)
    }

    async fn look_again(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Inner {
    fn list(
        &self,
        kind: Kind,
        owner: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let transaction = self.database.begin_read().map_err(unavailable)?;
        let records = transaction.open_table(RECORDS).map_err(table)?;
        let kind = kind.as_str();
        let mut found = Vec::new();
        let Some(owner) = owner else {
            for entry in records
                .range((kind, after.unwrap_or_default())..)
                .map_err(storage)?
            {
                let (key, value) = entry.map_err(storage)?;
                let (of_kind, id) = key.value();
                if of_kind != kind || found.len() == limit {
                    break;
                }
                if after.is_none_or(|after| id > after) {
                    found.push(record(id, value.value()));
                }
            }
            return Ok(found);
        };
        let owned = transaction.open_table(OWNED).map_err(table)?;
        for entry in owned
            .range((kind, owner, after.unwrap_or_default())..)
            .map_err(storage)?
        {
            let (key, _) = entry.map_err(storage)?;
            let (of_kind, of_owner, id) = key.value();
            if (of_kind, of_owner) != (kind, owner) || found.len() == limit {
                break;
            }
            if after.is_some_and(|after| id <= after) {
                continue;
            }
            let value = records.get((kind, id)).map_err(storage)?;
            let value =
                value.ok_or_else(|| StoreError::Damaged(format!("{kind} {id} is listed and absent")))?;
            found.push(record(id, value.value()));
        }
        Ok(found)
    }

    fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        let transaction = begin(&self.database)?;
        {
            let mut tables = Tables::open(&transaction)?;
            for change in changes {
                tables.apply(change)?;
            }
        }
        // Dropping the transaction on an error above undoes all of it.
        transaction
            .commit()
            .map_err(|e| StoreError::Unavailable(e.to_string()))?;
        if changes.iter().any(Change::matters_to_caches) {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
        Ok(())
    }

    fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let transaction = begin(&self.database)?;
        let mut removed = 0;
        {
            let mut tables = Tables::open(&transaction)?;
            let mut expired = Vec::new();
            for entry in tables.expiry.iter().map_err(storage)? {
                let (key, _) = entry.map_err(storage)?;
                let (at, kind, id) = key.value();
                if at > now.as_millis() || expired.len() == limit {
                    break;
                }
                expired.push((kind.to_owned(), id.to_owned()));
            }
            for (kind, id) in &expired {
                tables.remove(kind, id)?;
                removed += 1;
            }
        }
        if removed > 0 {
            transaction
                .commit()
                .map_err(|e| StoreError::Unavailable(e.to_string()))?;
        }
        Ok(removed)
    }
}

/// The tables of one write, and the keeping of the indexes.
struct Tables<'t> {
    records: Table<'t, (&'static str, &'static str), (u64, &'static str, i64, &'static str)>,
    owned: Table<'t, (&'static str, &'static str, &'static str), ()>,
    expiry: Table<'t, (i64, &'static str, &'static str), ()>,
    numbers: Table<'t, &'static str, u64>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            records: transaction.open_table(RECORDS).map_err(table)?,
            owned: transaction.open_table(OWNED).map_err(table)?,
            expiry: transaction.open_table(EXPIRY).map_err(table)?,
            numbers: transaction.open_table(NUMBERS).map_err(table)?,
        })
    }

    fn apply(&mut self, change: &Change) -> Result<(), StoreError> {
        let kind = change.kind.as_str();
        let there = self
            .records
            .get((kind, change.id.as_str()))
            .map_err(storage)?
            .map(|value| value.value().0);
        match (change.expect, there) {
            (Expect::Any, _) | (Expect::Absent, None) => {}
            (Expect::Version(expected), Some(version)) if expected == version => {}
            _ => return Err(StoreError::Conflict),
        }
        self.remove(kind, &change.id)?;
        if let Some(to) = &change.to {
            self.insert(kind, &change.id, to)?;
        }
        Ok(())
    }

    fn insert(&mut self, kind: &str, id: &str, to: &Content) -> Result<(), StoreError> {
        let last = self
            .numbers
            .get("version")
            .map_err(storage)?
            .map_or(0, |value| value.value());
        self.numbers.insert("version", last + 1).map_err(storage)?;
        let expires = to.expires_at.map_or(NEVER, Timestamp::as_millis);
        let value = (last + 1, to.owner.as_str(), expires, to.json.as_str());
        self.records.insert((kind, id), value).map_err(storage)?;
        self.owned
            .insert((kind, to.owner.as_str(), id), ())
            .map_err(storage)?;
        if expires != NEVER {
            self.expiry.insert((expires, kind, id), ()).map_err(storage)?;
        }
        Ok(())
    }

    fn remove(&mut self, kind: &str, id: &str) -> Result<(), StoreError> {
        let there = match self.records.remove((kind, id)).map_err(storage)? {
            Some(value) => {
                let (_, owner, expires, _) = value.value();
                (owner.to_owned(), expires)
            }
            None => return Ok(()),
        };
        self.owned.remove((kind, there.0.as_str(), id)).map_err(storage)?;
        if there.1 != NEVER {
            self.expiry.remove((there.1, kind, id)).map_err(storage)?;
        }
        Ok(())
    }
}

fn record(id: &str, (version, owner, expires, json): (u64, &str, i64, &str)) -> Record {
    Record {
        id: id.to_owned(),
        version,
        owner: owner.to_owned(),
        expires_at: (expires != NEVER).then(|| Timestamp::from_millis(expires)),
        json: json.to_owned(),
    }
}

fn begin(database: &Database) -> Result<WriteTransaction, StoreError> {
    let mut transaction = database.begin_write().map_err(unavailable)?;
    transaction
        .set_durability(Durability::Immediate)
        .map_err(|e| StoreError::Unavailable(e.to_string()))?;
    Ok(transaction)
}

fn unavailable(error: redb::TransactionError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

fn storage(error: redb::StorageError) -> StoreError {
    match error {
        redb::StorageError::Corrupted(what) => StoreError::Damaged(what),
        other => StoreError::Unavailable(other.to_string()),
    }
}

fn table(error: TableError) -> StoreError {
    match error {
        TableError::Storage(error) => storage(error),
        other => StoreError::Damaged(other.to_string()),
    }
}

fn opening(path: &Path, error: DatabaseError) -> StoreError {
    let path: PathBuf = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::Busy(format!(
            "{} is open in another process. Stop the server first, or keep accounts in PostgreSQL ([auth] database)",
            path.display()
        )),
        DatabaseError::Storage(error @ redb::StorageError::Corrupted(_)) => {
            StoreError::Damaged(format!("{}: {error}", path.display()))
        }
        DatabaseError::UpgradeRequired(_) => StoreError::Damaged(format!("{}: {error}", path.display())),
        other => StoreError::Unavailable(format!("{}: {other}", path.display())),
    }
}

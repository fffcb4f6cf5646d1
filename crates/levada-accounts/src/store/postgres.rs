//! The store in PostgreSQL, which several processes may share.
//!
//! It trusts the database to isolate transactions (READ COMMITTED is enough: every change names the
//! version it replaces, and the row lock of its statement orders it against others) and to keep what
//! it committed. It promises to answer or fail within [`POSTGRES_TIMEOUT`] and to take new
//! connections after the database was away. Connections are not encrypted yet: a URL that demands
//! TLS is refused rather than weakened.
//!
//! Tables are made on first use, all named `levada_accounts_…`, in the first schema of the
//! connection's search path.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use levada_event::Timestamp;
use tokio_postgres::types::Type;
use tokio_postgres::{Row, Transaction};

use self::pool::Pool;
use super::{Change, Expect, Kind, Record, Store, StoreError, StoreFacts, check_changes};
use crate::limits::{LIST_MAX, POSTGRES_TIMEOUT};
use crate::secret::Secret;

mod pool;

/// Version of the tables below. Tables of a higher one are refused.
const FORMAT: i64 = 1;

/// Serialises the making of the tables among processes: any number, as long as it stays.
const SCHEMA_LOCK: i64 = 0x6c65_7661_6461;

/// `id` sorts by its bytes, as in every store.
const SCHEMA: &str = r#"
CREATE TABLE IF NOT EXISTS levada_accounts_state (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    format bigint NOT NULL,
    generation bigint NOT NULL
);
CREATE SEQUENCE IF NOT EXISTS levada_accounts_version;
CREATE TABLE IF NOT EXISTS levada_accounts_record (
    kind text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    owner text COLLATE "C" NOT NULL,
    version bigint NOT NULL DEFAULT nextval('levada_accounts_version'),
    expires_at bigint,
    document text NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX IF NOT EXISTS levada_accounts_owned ON levada_accounts_record (kind, owner, id);
CREATE INDEX IF NOT EXISTS levada_accounts_expiry ON levada_accounts_record (expires_at) WHERE expires_at IS NOT NULL;
"#;

const COLUMNS: &str = "id, version, owner, expires_at, document";

/// The store in PostgreSQL.
pub struct PostgresStore {
    pool: Pool,
    generation: AtomicU64,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresStore({:?})", self.pool)
    }
}

impl PostgresStore {
    /// Connects to `url` (`postgres://user:password@host/database`, or `key=value` pairs) and makes
    /// the tables that are missing. The URL is a secret and appears in no error.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the URL is not one, the database does not answer or lets us
    /// do nothing; [`StoreError::Damaged`] when its tables are of a newer version.
    pub async fn open(url: &Secret) -> Result<Self, StoreError> {
        let store = Self {
            pool: Pool::new(url)?,
            generation: AtomicU64::new(0),
        };
        store.bounded(store.prepare()).await?;
        Ok(store)
    }

    async fn prepare(&self) -> Result<(), StoreError> {
        let mut client = self.pool.take().await?;
        let transaction = client.transaction().await.map_err(refused)?;
        transaction
            .query_typed("SELECT pg_advisory_xact_lock($1)", &[(&SCHEMA_LOCK, Type::INT8)])
            .await
            .map_err(refused)?;
        // With the tables there, a role that may not create any is enough.
        let there: bool = transaction
            .query_typed_one("SELECT to_regclass('levada_accounts_record') IS NOT NULL", &[])
            .await
            .map_err(refused)?
            .try_get(0)
            .map_err(refused)?;
        if !there {
            transaction.batch_execute(SCHEMA).await.map_err(refused)?;
            transaction
                .execute_typed(
                    "INSERT INTO levada_accounts_state (format, generation) VALUES ($1, 1) ON CONFLICT DO NOTHING",
                    &[(&FORMAT, Type::INT8)],
                )
                .await
                .map_err(refused)?;
        }
        let row = transaction
            .query_typed_one("SELECT format, generation FROM levada_accounts_state", &[])
            .await
            .map_err(refused)?;
        let format: i64 = row.try_get(0).map_err(refused)?;
        if format != FORMAT {
            return Err(StoreError::Damaged(format!(
                "its format is {format}, and this version of Levada knows {FORMAT}"
            )));
        }
        self.saw_generation(&row, 1)?;
        transaction.commit().await.map_err(refused)?;
        self.pool.put(client);
        Ok(())
    }

    fn saw_generation(&self, row: &Row, column: usize) -> Result<(), StoreError> {
        let generation: i64 = row.try_get(column).map_err(refused)?;
        self.generation
            .fetch_max(u64::try_from(generation).unwrap_or(0), Ordering::AcqRel);
        Ok(())
    }

    /// Bounds an operation in time. A connection whose operation was cut off is not used again: it
    /// goes back to the pool only at the end of each operation.
    async fn bounded<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        tokio::time::timeout(POSTGRES_TIMEOUT, work)
            .await
            .map_err(|_| StoreError::Unavailable("it did not answer in time".to_owned()))?
    }

    async fn rows(
        &self,
        statement: &str,
        params: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, StoreError> {
        self.bounded(async {
            let client = self.pool.take().await?;
            let rows = client.query_typed(statement, params).await.map_err(refused)?;
            self.pool.put(client);
            Ok(rows)
        })
        .await
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn facts(&self) -> StoreFacts {
        StoreFacts {
            backend: "postgres",
            shared: true,
        }
    }

    async fn get(&self, kind: Kind, id: &str) -> Result<Option<Record>, StoreError> {
        let statement = format!("SELECT {COLUMNS} FROM levada_accounts_record WHERE kind = $1 AND id = $2");
        let rows = self
            .rows(&statement, &[(&kind.as_str(), Type::TEXT), (&id, Type::TEXT)])
            .await?;
        rows.first().map(record).transpose()
    }

    async fn list(
        &self,
        kind: Kind,
        owner: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let limit = i64::try_from(limit.min(LIST_MAX)).unwrap_or(i64::MAX);
        let whose = if owner.is_some() {
            "AND owner = $4"
        } else {
            "AND $4 = ''"
        };
        let beyond = if after.is_some() { "id > $2" } else { "$2 = ''" };
        let statement = format!(
            "SELECT {COLUMNS} FROM levada_accounts_record WHERE kind = $1 AND {beyond} {whose} ORDER BY id LIMIT $3"
        );
        let rows = self
            .rows(
                &statement,
                &[
                    (&kind.as_str(), Type::TEXT),
                    (&after.unwrap_or_default(), Type::TEXT),
                    (&limit, Type::INT8),
                    (&owner.unwrap_or_default(), Type::TEXT),
                ],
            )
            .await?;
        rows.iter().map(record).collect()
    }

    async fn count(&self, kind: Kind, owner: &str) -> Result<usize, StoreError> {
        let statement = "SELECT count(*) FROM levada_accounts_record WHERE kind = $1 AND owner = $2";
        let rows = self
            .rows(statement, &[(&kind.as_str(), Type::TEXT), (&owner, Type::TEXT)])
            .await?;
        let count: i64 = rows
            .first()
            .map_or(Ok(0), |row| row.try_get(0))
            .map_err(refused)?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    async fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        check_changes(changes)?;
        // One order for all writers, so that no two wait for each other.
        let mut ordered: Vec<&Change> = changes.iter().collect();
        ordered.sort_by(|a, b| (a.kind.as_str(), &a.id).cmp(&(b.kind.as_str(), &b.id)));
        self.bounded(async {
            let mut client = self.pool.take().await?;
            let transaction = client.transaction().await.map_err(refused)?;
            for change in ordered {
                if !apply(&transaction, change).await? {
                    transaction.rollback().await.map_err(refused)?;
                    self.pool.put(client);
                    return Err(StoreError::Conflict);
                }
            }
            let raised = if changes.iter().any(Change::matters_to_caches) {
                let statement =
                    "UPDATE levada_accounts_state SET generation = generation + 1 RETURNING generation";
                Some(
                    transaction
                        .query_typed_one(statement, &[])
                        .await
                        .map_err(refused)?,
                )
            } else {
                None
            };
            transaction.commit().await.map_err(refused)?;
            self.pool.put(client);
            raised.map_or(Ok(()), |row| self.saw_generation(&row, 0))
        })
        .await
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let statement = "WITH gone AS (DELETE FROM levada_accounts_record WHERE (kind, id) IN \
             (SELECT kind, id FROM levada_accounts_record WHERE expires_at <= $1 \
              ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING 1) SELECT count(*) FROM gone";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self
            .rows(statement, &[(&now.as_millis(), Type::INT8), (&limit, Type::INT8)])
            .await?;
        let count: i64 = rows
            .first()
            .map_or(Ok(0), |row| row.try_get(0))
            .map_err(refused)?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    async fn look_again(&self) -> Result<(), StoreError> {
        let rows = self
            .rows("SELECT generation FROM levada_accounts_state", &[])
            .await?;
        let row = rows
            .first()
            .ok_or_else(|| StoreError::Damaged("its state is gone".to_owned()))?;
        self.saw_generation(row, 0)
    }
}

/// Makes one change, and says whether it found what it expected.
async fn apply(transaction: &Transaction<'_>, change: &Change) -> Result<bool, StoreError> {
    let kind = change.kind.as_str();
    let (version, id) = (
        match change.expect {
            Expect::Version(version) => i64::try_from(version).unwrap_or(-1),
            Expect::Any | Expect::Absent => -1,
        },
        change.id.as_str(),
    );
    let key: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&kind, Type::TEXT), (&id, Type::TEXT)];
    let Some(to) = &change.to else {
        let changed = match change.expect {
            Expect::Any => {
                let statement = "DELETE FROM levada_accounts_record WHERE kind = $1 AND id = $2";
                transaction
                    .execute_typed(statement, &key)
                    .await
                    .map_err(refused)?;
                return Ok(true);
            }
            Expect::Absent => {
                let statement = "SELECT 1 FROM levada_accounts_record WHERE kind = $1 AND id = $2";
                return Ok(transaction
                    .query_typed(statement, &key)
                    .await
                    .map_err(refused)?
                    .is_empty());
            }
            Expect::Version(_) => {
                let statement =
                    "DELETE FROM levada_accounts_record WHERE kind = $1 AND id = $2 AND version = $3";
                let [kind, id] = key;
                transaction
                    .execute_typed(statement, &[kind, id, (&version, Type::INT8)])
                    .await
            }
        };
        return Ok(changed.map_err(refused)? == 1);
    };
    let expires = to.expires_at.map(Timestamp::as_millis);
    let [kind, id] = key;
    let mut params = vec![
        kind,
        id,
        (
            &to.owner as &(dyn tokio_postgres::types::ToSql + Sync),
            Type::TEXT,
        ),
        (&expires, Type::INT8),
        (&to.json, Type::TEXT),
    ];
    const INSERT: &str = "INSERT INTO levada_accounts_record (kind, id, owner, expires_at, document) VALUES ($1, $2, $3, $4, $5)";
    const SET: &str =
        "owner = $3, expires_at = $4, document = $5, version = nextval('levada_accounts_version')";
    let statement = match change.expect {
        Expect::Any => format!("{INSERT} ON CONFLICT (kind, id) DO UPDATE SET {SET}"),
        Expect::Absent => format!("{INSERT} ON CONFLICT (kind, id) DO NOTHING"),
        Expect::Version(_) => {
            params.push((&version, Type::INT8));
            format!("UPDATE levada_accounts_record SET {SET} WHERE kind = $1 AND id = $2 AND version = $6")
        }
    };
    Ok(transaction
        .execute_typed(&statement, &params)
        .await
        .map_err(refused)?
        == 1)
}

fn record(row: &Row) -> Result<Record, StoreError> {
    let version: i64 = row.try_get(1).map_err(refused)?;
    let expires_at: Option<i64> = row.try_get(3).map_err(refused)?;
    Ok(Record {
        id: row.try_get(0).map_err(refused)?,
        version: u64::try_from(version).unwrap_or(0),
        owner: row.try_get(2).map_err(refused)?,
        expires_at: expires_at.map(Timestamp::from_millis),
        json: row.try_get(4).map_err(refused)?,
    })
}

/// What the database (or the way to it) says, without parameters: they may be secrets.
fn refused(error: tokio_postgres::Error) -> StoreError {
    if let Some(said) = error.as_db_error() {
        return StoreError::Unavailable(format!("{} ({})", said.message(), said.code().code()));
    }
    let mut text = error.to_string();
    if let Some(cause) = std::error::Error::source(&error) {
        text = format!("{text}: {cause}");
    }
    StoreError::Unavailable(text)
}

//! Documents in and out of the store.

use std::sync::Arc;

use serde::Serialize;

use crate::limits::{CONFLICTS_MAX, LIST_MAX};
use crate::model::Document;
use crate::store::{Change, Content, Expect, Kind, Record, Store, StoreError};

/// A document as it was read, and the version it had.
#[derive(Debug, Clone)]
pub(crate) struct Read<T> {
    pub(crate) version: u64,
    pub(crate) value: T,
}

/// A store, spoken to in documents.
#[derive(Clone)]
pub(crate) struct Records(pub(crate) Arc<dyn Store>);

impl Records {
    pub(crate) async fn get<T: Document>(&self, id: &str) -> Result<Option<Read<T>>, StoreError> {
        self.0.get(T::KIND, id).await?.map(read).transpose()
    }

    /// One page of documents.
    pub(crate) async fn page<T: Document>(
        &self,
        owner: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Read<T>>, StoreError> {
        self.0
            .list(T::KIND, owner, after, limit)
            .await?
            .into_iter()
            .map(read)
            .collect()
    }

    /// Up to `max` documents, however many pages they take.
    pub(crate) async fn all<T: Document>(
        &self,
        owner: Option<&str>,
        max: usize,
    ) -> Result<Vec<Read<T>>, StoreError> {
        let mut all: Vec<Read<T>> = Vec::new();
        while all.len() < max {
            let after = all.last().map(|read| read.value.id().to_owned());
            let limit = LIST_MAX.min(max - all.len());
            let mut page = self.page(owner, after.as_deref(), limit).await?;
            let last = page.len() < limit;
            all.append(&mut page);
            if last {
                break;
            }
        }
        Ok(all)
    }

    pub(crate) async fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        self.0.write(changes).await
    }

    /// Reads, lets `change` decide what to write, writes; and begins anew when another writer was
    /// faster. `change` gets what is there and answers with the changes and its result.
    pub(crate) async fn update<T, R, E>(
        &self,
        id: &str,
        mut change: impl FnMut(Option<Read<T>>) -> Result<(Vec<Change>, R), E>,
    ) -> Result<R, E>
    where
        T: Document,
        E: From<StoreError>,
    {
        for _ in 0..CONFLICTS_MAX {
            let (changes, result) = change(self.get(id).await?)?;
            if changes.is_empty() {
                return Ok(result);
            }
            match self.write(&changes).await {
                Ok(()) => return Ok(result),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict.into())
    }
}

/// A change that makes `document`, which must not be there.
pub(crate) fn create<T: Document>(document: &T) -> Result<Change, StoreError> {
    change(document, Expect::Absent)
}

/// A change that puts `document` in the place of what was read.
pub(crate) fn replace<T: Document>(version: u64, document: &T) -> Result<Change, StoreError> {
    change(document, Expect::Version(version))
}

/// A change that puts `document` there, whatever there was.
pub(crate) fn put<T: Document>(document: &T) -> Result<Change, StoreError> {
    change(document, Expect::Any)
}

/// A change that removes what has this id, if anything.
pub(crate) fn remove(kind: Kind, id: &str) -> Change {
    Change {
        kind,
        id: id.to_owned(),
        expect: Expect::Any,
        to: None,
    }
}

/// A change that removes what was read.
pub(crate) fn remove_read(kind: Kind, id: &str, version: u64) -> Change {
    Change {
        kind,
        id: id.to_owned(),
        expect: Expect::Version(version),
        to: None,
    }
}

fn change<T: Document>(document: &T, expect: Expect) -> Result<Change, StoreError> {
    let content = Content {
        owner: document.owner().to_owned(),
        expires_at: document.expires_at(),
        json: json(document)?,
    };
    Ok(Change {
        kind: T::KIND,
        id: document.id().to_owned(),
        expect,
        to: Some(content),
    })
}

fn json(document: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(document).map_err(|e| StoreError::Damaged(e.to_string()))
}

fn read<T: Document>(record: Record) -> Result<Read<T>, StoreError> {
    // The parser's error could quote a secret: the place is enough.
    let value = serde_json::from_str(&record.json).map_err(|e| {
        StoreError::Damaged(format!(
            "{} {} (line {}, column {})",
            T::KIND.as_str(),
            record.id,
            e.line(),
            e.column()
        ))
    })?;
    Ok(Read {
        version: record.version,
        value,
    })
}

//! Bodies ready to be sent: composed, hashed and compressed once, until one of the feeds in them changes.

use super::compose::Kind;
use super::encoding::gzip;
use super::etag::content_hash;
use crate::feed::FeedKey;
use crate::metrics::{Kept, Metrics};
use crate::render::Format;
use crate::work::Workers;
use bytes::Bytes;
use std::future::Future;
use std::sync::Arc;

/// A body with everything that is derived from it.
#[derive(Debug)]
pub(crate) struct Document {
    /// The versions of the feeds it is made of, in the order of its key; `None` for one that is not there.
    versions: Vec<Option<u64>>,
    /// The body.
    pub(crate) body: Bytes,
    /// The body compressed, when that is worth it.
    pub(crate) packed: Option<Bytes>,
    /// Hash of the body.
    pub(crate) hash: String,
}

/// What a body is made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct DocumentKey {
    pub(crate) kind: Kind,
    pub(crate) feeds: Vec<FeedKey>,
    pub(crate) format: Format,
    /// For bodies that are not made of feeds: their name.
    pub(crate) name: String,
}

/// The bodies.
pub(crate) struct Documents {
    memory: moka::sync::Cache<DocumentKey, Arc<Document>>,
    metrics: Arc<Metrics>,
    work: Arc<Workers>,
}

impl Documents {
    /// Up to `most_bytes` of bodies.
    pub(crate) fn new(most_bytes: u64, metrics: Arc<Metrics>, work: Arc<Workers>) -> Documents {
        let memory = moka::sync::Cache::builder()
            .max_capacity(most_bytes)
            .weigher(|_: &DocumentKey, document: &Arc<Document>| {
                let packed = document.packed.as_ref().map_or(0, Bytes::len);
                u32::try_from(document.body.len() + packed + 512).unwrap_or(u32::MAX)
            })
            .eviction_policy(moka::policy::EvictionPolicy::lru())
            .build();
        Documents {
            memory,
            metrics,
            work,
        }
    }

    /// The body of `key` made of feeds of these versions; `compose` makes it when there is none yet.
    pub(crate) async fn of<F>(
        &self,
        key: DocumentKey,
        versions: Vec<Option<u64>>,
        compose: impl FnOnce() -> F,
    ) -> Arc<Document>
    where
        F: Future<Output = Bytes>,
    {
        let known = self.memory.get(&key);
        if let Some(known) = &known
            && known.versions == versions
        {
            self.metrics.cache(Kept::Reply, "hit");
            return Arc::clone(known);
        }
        self.metrics.cache(Kept::Reply, "miss");
        let body = compose().await;
        let document = match known {
            // Made anew with the same outcome: nothing to compress again.
            Some(known) if known.body == body => Document {
                versions,
                body: known.body.clone(),
                packed: known.packed.clone(),
                hash: known.hash.clone(),
            },
            _ => Document {
                versions,
                packed: gzip(&body, &self.work).await,
                hash: content_hash(&body),
                body,
            },
        };
        let document = Arc::new(document);
        self.memory.insert(key, Arc::clone(&document));
        document
    }

    /// A body that is not made of feeds, under a name.
    pub(crate) async fn named(&self, name: &str, body: Bytes) -> Arc<Document> {
        let key = DocumentKey {
            kind: Kind::Named,
            feeds: Vec::new(),
            format: Format::Json,
            name: name.to_owned(),
        };
        if let Some(known) = self.memory.get(&key)
            && known.body == body
        {
            self.metrics.cache(Kept::Reply, "hit");
            return known;
        }
        // Without a version it would be taken for the one that was there before.
        self.memory.invalidate(&key);
        self.of(key, Vec::new(), || async { body }).await
    }

    /// Bytes held in memory.
    pub(crate) fn bytes(&self) -> u64 {
        self.memory.weighted_size()
    }
}

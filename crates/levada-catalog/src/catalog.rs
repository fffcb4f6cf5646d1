//! The handle on the streams in force, and how they are read again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use crate::config::{CatalogConfig, Location, Source};
use crate::fetch::{self, CONFIG_BYTES_MAX, Fetch};
use crate::problem::Problem;
use crate::snapshot::{self, Snapshot};
use crate::source::{self, Declarations, Site};
use crate::text;

/// The streams in force. Cheap to share; readers take a [`Snapshot`] and are never in the way of a
/// refresh.
pub struct Catalog {
    config: CatalogConfig,
    fetch: Arc<dyn Fetch>,
    current: ArcSwap<Snapshot>,
    /// What each source said when it last made sense. Held through a refresh, so that refreshes
    /// come one after another.
    last: Mutex<Vec<Option<Arc<Declarations>>>>,
}

/// Why there is no catalog to start with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// No source could be read, or none declares a stream that makes sense.
    #[error("no stream is configured:{}", list(.0))]
    Empty(Vec<Problem>),
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// What came of reading the sources again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// The sources say what they said before; the snapshot is the same.
    Unchanged,
    /// A new snapshot is in force.
    Replaced {
        /// Number of its entries.
        streams: usize,
        /// What is wrong with it.
        problems: Vec<Problem>,
    },
    /// The old snapshot stays, and this is why.
    Kept {
        /// What is wrong with the sources.
        problems: Vec<Problem>,
    },
}

impl Catalog {
    /// Reads all sources. A source that cannot be read is reported in the snapshot's problems and
    /// read again at the next refresh. Without sources the catalog is empty and stays so.
    ///
    /// # Errors
    /// [`CatalogError::Empty`] if sources are configured and not one stream comes out of them.
    pub async fn open(config: CatalogConfig, fetch: Arc<dyn Fetch>) -> Result<Self, CatalogError> {
        let mut last = vec![None; config.sources.len()];
        let faults = read_all(&config, &*fetch, &mut last).await;
        let snapshot = build(&config, &last, faults, None);
        if snapshot.streams().is_empty() && !config.sources.is_empty() {
            return Err(CatalogError::Empty(snapshot.problems().to_vec()));
        }
        Ok(Self {
            config,
            fetch,
            current: ArcSwap::from_pointee(snapshot),
            last: Mutex::new(last),
        })
    }

    /// The snapshot in force.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// In which rhythm [`refresh`](Self::refresh) is to be called; `None` for never.
    pub fn ttl(&self) -> Option<Duration> {
        self.config.ttl
    }

    /// Reads all sources again and puts a new snapshot in force if they say something else. A source
    /// that cannot be read counts as saying what it said before; if no source can be read, or no
    /// stream would be left, the old snapshot stays. Safe to cancel.
    pub async fn refresh(&self) -> RefreshOutcome {
        let mut last = self.last.lock().await;
        let mut next = last.clone();
        let faults = read_all(&self.config, &*self.fetch, &mut next).await;
        let current = self.current.load_full();
        if !faults.is_empty() && faults.len() == self.config.sources.len() {
            return RefreshOutcome::Kept { problems: faults };
        }
        let snapshot = build(&self.config, &next, faults, Some(&current));
        if snapshot.streams().is_empty() && !current.streams().is_empty() {
            let mut problems = snapshot.problems().to_vec();
            problems.push(Problem::error(
                "stream configuration",
                None,
                "no stream would be left",
            ));
            return RefreshOutcome::Kept { problems };
        }
        *last = next;
        if snapshot.version() == current.version() && snapshot.problems() == current.problems() {
            return RefreshOutcome::Unchanged;
        }
        let outcome = RefreshOutcome::Replaced {
            streams: snapshot.streams().len(),
            problems: snapshot.problems().to_vec(),
        };
        self.current.store(Arc::new(snapshot));
        outcome
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Reads every source into its place in `last`; a source that fails leaves its place as it was.
async fn read_all(
    config: &CatalogConfig,
    fetch: &dyn Fetch,
    last: &mut [Option<Arc<Declarations>>],
) -> Vec<Problem> {
    let mut faults = Vec::new();
    for (source, place) in config.sources.iter().zip(last) {
        match read(config, fetch, source).await {
            Ok(declarations) => *place = Some(Arc::new(declarations)),
            Err(reason) => faults.push(Problem::error(&source.name(), None, reason)),
        }
    }
    faults
}

async fn read(config: &CatalogConfig, fetch: &dyn Fetch, source: &Source) -> Result<Declarations, String> {
    let document = match &source.location {
        Location::Inline { text, .. } => text::parse(text.as_bytes())?,
        Location::File(path) => {
            let bytes = fetch::read_file(path, CONFIG_BYTES_MAX)
                .await
                .map_err(|e| e.to_string())?;
            text::parse(&bytes)?
        }
        Location::Url(url) => {
            let bytes = fetch::read_url(fetch, url, &source.headers, CONFIG_BYTES_MAX)
                .await
                .map_err(|e| e.to_string())?;
            text::parse(&bytes)?
        }
    };
    let site = Site {
        wiki: config.wiki.as_deref(),
        tags: &config.wiki_tags,
    };
    source::read(document, &source.object_path, &source.name(), site)
}

fn build(
    config: &CatalogConfig,
    last: &[Option<Arc<Declarations>>],
    faults: Vec<Problem>,
    previous: Option<&Snapshot>,
) -> Snapshot {
    let sources: Vec<_> = last.iter().flatten().cloned().collect();
    snapshot::build(&sources, &config.aliases, faults, previous)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use async_trait::async_trait;
    use parking_lot::Mutex as SyncMutex;

    use super::*;
    use crate::fetch::{FetchError, FetchedBody};

    /// A web of texts that a test can change.
    #[derive(Default)]
    struct Web(SyncMutex<HashMap<String, String>>);

    #[async_trait]
    impl Fetch for Web {
        async fn get(&self, url: &str, _: &[(String, String)]) -> Result<FetchedBody, FetchError> {
            match self.0.lock().get(url) {
                Some(text) => Ok(FetchedBody {
                    bytes: text.clone().into(),
                }),
                None => Err(FetchError::Unavailable(format!("{url}: connection refused"))),
            }
        }
    }

    impl Web {
        fn says(&self, url: &str, text: Option<&str>) {
            match text {
                Some(text) => self.0.lock().insert(url.into(), text.into()),
                None => self.0.lock().remove(url),
            };
        }
    }

    fn config(urls: &[&str]) -> CatalogConfig {
        CatalogConfig {
            sources: urls.iter().map(|url| Source::at(url)).collect(),
            ..CatalogConfig::default()
        }
    }

    #[tokio::test]
    async fn a_bad_reload_keeps_the_old_snapshot() {
        let web = Arc::new(Web::default());
        web.says("http://a/", Some(r#"{"streams":{"s":{}}}"#));
        let catalog = Catalog::open(config(&["http://a/"]), web.clone()).await.unwrap();
        let first = catalog.snapshot();
        for bad in [
            None,
            Some("{{{"),
            Some("[1"),
            Some(r#"{"streams":{}}"#),
            Some(r#"{"error":{"code":"internal","info":"x"}}"#),
            Some(r#"{"streams":{"a b":{}}}"#),
        ] {
            web.says("http://a/", bad);
            let outcome = catalog.refresh().await;
            assert!(
                matches!(&outcome, RefreshOutcome::Kept { problems } if !problems.is_empty()),
                "{bad:?} {outcome:?}"
            );
            assert!(Arc::ptr_eq(&first, &catalog.snapshot()));
        }
        web.says("http://a/", Some(r#"{"streams":{"s":{}}}"#));
        assert_eq!(catalog.refresh().await, RefreshOutcome::Unchanged);
        web.says("http://a/", Some(r#"{"streams":{"s":{},"t":{}}}"#));
        assert_eq!(
            catalog.refresh().await,
            RefreshOutcome::Replaced {
                streams: 2,
                problems: vec![]
            }
        );
        assert!(catalog.snapshot().stream("t").is_some());
        assert!(first.stream("t").is_none());
    }

    #[tokio::test]
    async fn a_failing_source_counts_as_saying_what_it_said_before() {
        let web = Arc::new(Web::default());
        web.says("http://a/", Some(r#"{"streams":{"s":{}}}"#));
        let catalog = Catalog::open(config(&["http://a/", "http://b/"]), web.clone())
            .await
            .unwrap();
        assert_eq!(catalog.snapshot().problems()[0].source, "http://b/");
        web.says("http://b/", Some(r#"{"streams":{"t":{}}}"#));
        assert!(matches!(
            catalog.refresh().await,
            RefreshOutcome::Replaced { streams: 2, .. }
        ));
        web.says("http://a/", None);
        web.says("http://b/", Some(r#"{"streams":{"t":{},"u":{}}}"#));
        let outcome = catalog.refresh().await;
        assert!(matches!(&outcome, RefreshOutcome::Replaced { streams: 3, problems } if problems.len() == 1));
    }

    #[tokio::test]
    async fn nothing_to_start_with_is_an_error() {
        let fault = Catalog::open(config(&["http://a/"]), Arc::new(Web::default()))
            .await
            .unwrap_err();
        assert_eq!(
            fault.to_string(),
            "no stream is configured:\n  http://a/: http://a/: connection refused"
        );
        assert!(Catalog::open(config(&[]), Arc::new(Web::default())).await.is_ok());
    }

    #[tokio::test]
    async fn files_are_read_as_yaml_or_json() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("streams.yaml");
        std::fs::write(&path, "streams:\n  s: {schema_title: x}\n").unwrap();
        let location = path.display().to_string();
        let catalog = Catalog::open(config(&[&location]), Arc::new(crate::NoFetch))
            .await
            .unwrap();
        assert!(catalog.snapshot().stream("s").is_some());
        let missing = dir.path().join("none.yaml").display().to_string();
        let fault = Catalog::open(config(&[&missing]), Arc::new(crate::NoFetch))
            .await
            .unwrap_err();
        assert!(fault.to_string().contains("does not exist"));
    }
}

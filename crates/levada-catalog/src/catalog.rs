//! The handle on the streams in force, and how they are read again.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use crate::config::{CatalogConfig, Location, Source};
use crate::fetch::{self, CONFIG_BYTES_MAX, Fetch, FetchError};
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
    /// A file (or text) of the configuration cannot be used as a whole. What it says of visibility, redaction
    /// and retention would be missing, so nothing is served without it.
    #[error(
        "the streams are not served without all that is said of them; mend what is named here, or take it out of catalog.stream_config:{}",
        list(.0)
    )]
    Unusable(Vec<Problem>),
    /// No source could be read, or none declares a stream that makes sense.
    #[error("no stream is configured:{}", list(.0))]
    Empty(Vec<Problem>),
}

impl CatalogError {
    /// What is wrong, fault by fault.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Unusable(problems) | Self::Empty(problems) => problems,
        }
    }
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
    /// Reads all sources. An address that cannot be read is reported in the snapshot's problems and
    /// read again at the next refresh. Without sources the catalog is empty and stays so.
    ///
    /// # Errors
    /// [`CatalogError::Unusable`] if a file cannot be used as a whole, [`CatalogError::Empty`] if sources are
    /// configured and not one stream comes out of them.
    pub async fn open(config: CatalogConfig, fetch: Arc<dyn Fetch>) -> Result<Self, CatalogError> {
        let mut last = vec![None; config.sources.len()];
        let faults = read_all(&config, &*fetch, &mut last).await;
        let local: Vec<_> = faults
            .iter()
            .filter(|fault| config.is_local(&fault.source))
            .cloned()
            .collect();
        if !local.is_empty() {
            return Err(CatalogError::Unusable(local));
        }
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
                .map_err(|e| with_folder(path, e))?;
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

/// Names the folder in which a relative path was looked for in vain.
fn with_folder(path: &Path, error: FetchError) -> String {
    match (&error, std::env::current_dir()) {
        (FetchError::NotFound(_), Ok(folder)) if path.is_relative() => {
            format!("{error} in {}, where the command was started", folder.display())
        }
        _ => error.to_string(),
    }
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
mod tests;

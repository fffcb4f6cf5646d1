//! Where the reference data lies.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use levada_catalog::{Catalog, CatalogConfig, NoFetch, Snapshot, Source};
use serde_json::Value;

/// A path below the reference data, or `None` with a note of what is skipped.
pub(crate) fn reference(path: &str, cases: &str) -> Option<PathBuf> {
    let shared = match std::env::var_os("LEVADA_SHARED") {
        Some(shared) => PathBuf::from(shared),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
    };
    let found = shared.join("reference").join(path);
    if found.exists() {
        return Some(found);
    }
    eprintln!("skipped: {cases} ({} is not there)", found.display());
    None
}

pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub(crate) async fn snapshot(source: Source, wiki: Option<&str>, tags: &[&str]) -> Arc<Snapshot> {
    let config = CatalogConfig {
        sources: vec![source],
        wiki: wiki.map(Into::into),
        wiki_tags: tags.iter().map(ToString::to_string).collect(),
        ..CatalogConfig::default()
    };
    Catalog::open(config, Arc::new(NoFetch)).await.unwrap().snapshot()
}

/// The production configuration for a wiki.
pub(crate) async fn production(wiki: &str, tags: &[&str], cases: &str) -> Option<Arc<Snapshot>> {
    let path = reference("streamconfig/production.json", cases)?;
    Some(snapshot(Source::at(&path.display().to_string()), Some(wiki), tags).await)
}

/// A snapshot of a document in memory.
pub(crate) async fn of(document: Value) -> Arc<Snapshot> {
    snapshot(Source::inline("test", document.to_string()), None, &[]).await
}

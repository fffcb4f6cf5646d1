//! Schema documents from the configured bases: the first base that has one wins (contract
//! eventplatform §2.3, eventstreams §5.1).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::SchemaError;
use super::bundle::Documents;
use super::uri::SchemaUri;
use crate::config::is_http;
use crate::fetch::{self, Fetch, FetchError, SCHEMA_BYTES_MAX};
use crate::text;

/// Hops from file to file that only name another file, as symbolic links do that were checked out
/// where there are none. Repositories need two: `latest` names `latest.yaml`, which names a version.
const LINKS_MAX: usize = 4;

/// Entries of a directory that are looked at for the newest version.
const ENTRIES_MAX: usize = 10_000;

/// Where schemas lie.
#[derive(Debug, Clone)]
enum Base {
    Directory(PathBuf),
    Address(String),
    /// Paths and texts that are part of the program.
    Embedded(&'static [(&'static str, &'static str)]),
}

/// Reads schema documents.
pub(super) struct Loader {
    bases: Vec<Base>,
    headers: Vec<(String, String)>,
    extension: Option<String>,
    absolute: bool,
    fetch: Arc<dyn Fetch>,
}

impl Loader {
    pub(super) fn new(
        bases: &[String],
        headers: Vec<(String, String)>,
        extension: Option<String>,
        absolute: bool,
        fetch: Arc<dyn Fetch>,
    ) -> Self {
        let bases = bases
            .iter()
            .map(|base| match is_http(base) {
                true => Base::Address(base.trim_end_matches('/').to_owned()),
                false => Base::Directory(base.strip_prefix("file://").unwrap_or(base).into()),
            })
            .collect();
        let extension = extension.map(|extension| extension.trim_start_matches('.').to_owned());
        Self {
            bases,
            headers,
            extension: extension.filter(|e| !e.is_empty()),
            absolute,
            fetch,
        }
    }

    pub(super) fn add_embedded(&mut self, files: &'static [(&'static str, &'static str)]) {
        self.bases.push(Base::Embedded(files));
    }

    /// The document under a URI.
    pub(super) async fn load(&self, uri: &SchemaUri) -> Result<Value, SchemaError> {
        let mut search = Search::default();
        let path = match uri {
            SchemaUri::Path(path) => path,
            SchemaUri::Absolute(address) => {
                let bytes = fetch::read_url(&*self.fetch, address, &self.headers, SCHEMA_BYTES_MAX).await;
                return match search.take(address, bytes.map(|bytes| bytes.to_vec())) {
                    Some(document @ Value::Object(_)) => Ok(document),
                    _ => Err(search.error(uri.as_str())),
                };
            }
        };
        for base in &self.bases {
            for spelling in self.spellings(path) {
                if let Some(document) = self.follow(base, &spelling, &mut search).await {
                    return Ok(document);
                }
            }
            if let Some(title) = path.strip_suffix("/latest")
                && let Some(newest) = newest(base, title).await
                && let Some(document) = self.follow(base, &format!("{title}/{newest}"), &mut search).await
            {
                return Ok(document);
            }
        }
        Err(search.error(uri.as_str()))
    }

    /// The file names a path may stand for.
    fn spellings(&self, path: &str) -> Vec<String> {
        if has_extension(path) {
            return vec![path.to_owned()];
        }
        match &self.extension {
            Some(extension) => vec![format!("{path}.{extension}"), path.to_owned()],
            None => vec![path.to_owned(), format!("{path}.yaml"), format!("{path}.json")],
        }
    }

    /// The document in one file of one base, or in the file that this one names.
    async fn follow(&self, base: &Base, path: &str, search: &mut Search) -> Option<Value> {
        let mut path = path.to_owned();
        for _ in 0..=LINKS_MAX {
            match self.read(base, &path, search).await? {
                document @ Value::Object(_) => return Some(document),
                Value::String(name) if is_file_name(&name) => {
                    let folder = path.rfind('/').map_or("", |at| &path[..=at]);
                    path = format!("{folder}{name}");
                }
                _ => {
                    search
                        .unreadable
                        .get_or_insert_with(|| format!("{} is no map", place(base, &path)));
                    return None;
                }
            }
        }
        search
            .unreadable
            .get_or_insert_with(|| format!("{} leads from file to file", place(base, &path)));
        None
    }

    async fn read(&self, base: &Base, path: &str, search: &mut Search) -> Option<Value> {
        let place = place(base, path);
        let bytes = match base {
            Base::Directory(_) => fetch::read_file(Path::new(&place), SCHEMA_BYTES_MAX).await,
            Base::Address(_) => fetch::read_url(&*self.fetch, &place, &self.headers, SCHEMA_BYTES_MAX)
                .await
                .map(|bytes| bytes.to_vec()),
            Base::Embedded(files) => match files.iter().find(|(name, _)| same(name, path)) {
                Some((_, text)) => Ok(text.as_bytes().to_vec()),
                None => Err(FetchError::NotFound(place.clone())),
            },
        };
        search.take(&place, bytes)
    }
}

#[async_trait]
impl Documents for Loader {
    async fn document(&self, uri: &str) -> Result<Value, SchemaError> {
        self.load(&SchemaUri::parse(uri, self.absolute)?).await
    }
}

/// What a search has come across so far.
#[derive(Default)]
struct Search {
    tried: Vec<String>,
    unavailable: Option<String>,
    unreadable: Option<String>,
}

impl Search {
    /// The document in what was read, or a note of why there is none.
    fn take(&mut self, place: &str, read: Result<Vec<u8>, FetchError>) -> Option<Value> {
        match read.map(|bytes| text::parse(&bytes)) {
            Ok(Ok(document)) => return Some(document),
            Ok(Err(fault)) => {
                self.unreadable.get_or_insert_with(|| format!("{place}: {fault}"));
            }
            Err(FetchError::NotFound(_)) => {}
            Err(FetchError::Unavailable(reason)) => {
                self.unavailable.get_or_insert(reason);
            }
        }
        self.tried.push(place.to_owned());
        None
    }

    /// The most telling of the failures.
    fn error(self, uri: &str) -> SchemaError {
        let uri = uri.to_owned();
        match (self.unreadable, self.unavailable) {
            (Some(reason), _) => SchemaError::Unreadable { uri, reason },
            (None, Some(reason)) => SchemaError::Unavailable { uri, reason },
            (None, None) => SchemaError::NotFound {
                uri,
                tried: self.tried,
            },
        }
    }
}

/// A path below a base, for reading and for messages. Base and path meet in exactly one slash.
fn place(base: &Base, path: &str) -> String {
    let path = path.trim_start_matches('/');
    match base {
        Base::Directory(folder) => folder.join(path).display().to_string(),
        Base::Address(address) => format!("{address}/{path}"),
        Base::Embedded(_) => format!("embedded:{path}"),
    }
}

fn same(name: &str, path: &str) -> bool {
    name.trim_start_matches('/') == path.trim_start_matches('/')
}

/// Whether the last step has an extension: what follows its last dot, unless that is a number.
fn has_extension(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or(path);
    last.rsplit_once('.')
        .is_some_and(|(_, e)| !e.is_empty() && !e.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a document is only the name of the file beside it that is meant.
fn is_file_name(text: &str) -> bool {
    text.len() <= 255
        && !text.starts_with('.')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// The file of the highest version of a title, where no file says which is the latest.
async fn newest(base: &Base, title: &str) -> Option<String> {
    let names: Vec<String> = match base {
        Base::Address(_) => return None,
        Base::Embedded(files) => files
            .iter()
            .filter_map(|(name, _)| name.trim_start_matches('/').rsplit_once('/'))
            .filter(|(folder, _)| same(folder, title))
            .map(|(_, file)| file.to_owned())
            .collect(),
        Base::Directory(_) => {
            let mut folder = tokio::fs::read_dir(place(base, title)).await.ok()?;
            let mut names = Vec::new();
            while let Ok(Some(entry)) = folder.next_entry().await {
                if names.len() == ENTRIES_MAX {
                    break;
                }
                names.extend(entry.file_name().into_string());
            }
            names
        }
    };
    names
        .into_iter()
        .filter_map(|name| Some((version(&name)?, name)))
        .max()
        .map(|(_, name)| name)
}

/// The version a file is named for: `1.10.0`, `1.10.0.yaml`, `1.10.0.json`.
fn version(name: &str) -> Option<[u64; 3]> {
    let plain = name
        .strip_suffix(".yaml")
        .or_else(|| name.strip_suffix(".json"))
        .unwrap_or(name);
    let mut numbers = plain.split('.').map(|part| part.parse().ok());
    let version = [numbers.next()??, numbers.next()??, numbers.next()??];
    numbers.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_told_from_versions() {
        for (path, expected) in [
            ("/a/1.0.0", false),
            ("/a/latest", false),
            ("/a.b/latest", false),
            ("/a/1.0.0.yaml", true),
            ("/a/1.0.0-rc1", true),
            ("/a/b.", false),
        ] {
            assert_eq!(has_extension(path), expected, "{path}");
        }
    }

    #[test]
    fn versions_are_ordered_as_numbers() {
        assert!(version("1.10.0.yaml") > version("1.9.9"));
        assert_eq!(version("current.yaml"), None);
        assert_eq!(version("1.0"), None);
        assert_eq!(version("1.0.0.0"), None);
    }
}

//! Where stream configuration comes from and for which wiki it is read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::Compat;

/// What [`Catalog::open`](crate::Catalog::open) needs to know.
#[derive(Debug, Clone, Default)]
pub struct CatalogConfig {
    /// Where stream configuration is read from, in order. A later source's entry replaces an
    /// earlier source's entry of the same key as a whole; its `overrides` merge into it.
    pub sources: Vec<Source>,
    /// The wiki whose overrides apply (`enwiki`); `None` for the defaults alone.
    pub wiki: Option<String>,
    /// The groups that wiki belongs to, most specific first (`private`).
    pub wiki_tags: Vec<String>,
    /// Further names of streams: alias to stream name. Added to the `stream_aliases` of the sources.
    pub aliases: BTreeMap<String, String>,
    /// How long a snapshot is taken to be fresh; `None` for ever. The owner of the catalog calls
    /// [`Catalog::refresh`](crate::Catalog::refresh) in this rhythm.
    pub ttl: Option<Duration>,
    /// Quirks to keep.
    pub compat: Compat,
}

impl CatalogConfig {
    /// Whether the source of this name is no address: it is there at every start, or is not meant to be.
    pub(crate) fn is_local(&self, name: &str) -> bool {
        let mut named = self.sources.iter().filter(|source| source.name() == name);
        named.any(|source| !matches!(source.location, Location::Url(_)))
    }
}

/// One place stream configuration is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// File, address or text.
    pub location: Location,
    /// Request headers for an address, such as `Host`.
    pub headers: Vec<(String, String)>,
    /// Keys under which the configuration lies inside the document; empty for the document itself.
    pub object_path: Vec<String>,
}

/// Where a document lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A local file, YAML or JSON.
    File(PathBuf),
    /// An http or https address, answering YAML or JSON; any `action=streamconfigs` URL is one.
    Url(String),
    /// Text in memory.
    Inline {
        /// The name that problems mention.
        name: String,
        /// YAML or JSON.
        text: String,
    },
}

impl Source {
    /// `http://…` and `https://…` are addresses, everything else (also `file://…`) is a file.
    pub fn at(location: &str) -> Self {
        let location = if is_http(location) {
            Location::Url(location.into())
        } else {
            Location::File(location.strip_prefix("file://").unwrap_or(location).into())
        };
        Self {
            location,
            headers: Vec::new(),
            object_path: Vec::new(),
        }
    }

    /// A text in memory under a name for messages.
    pub fn inline(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            location: Location::Inline {
                name: name.into(),
                text: text.into(),
            },
            headers: Vec::new(),
            object_path: Vec::new(),
        }
    }

    /// How problems name this source.
    pub fn name(&self) -> String {
        match &self.location {
            Location::File(path) => path.display().to_string(),
            Location::Url(url) => url.clone(),
            Location::Inline { name, .. } => name.clone(),
        }
    }
}

/// Whether a location is an http or https address.
pub(crate) fn is_http(location: &str) -> bool {
    let scheme = location.split_once("://").map_or("", |(scheme, _)| scheme);
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

//! What the configuration says of streams and schemas, in the catalog's own terms. Used by the server
//! and by the commands that look at streams without one.

use std::sync::Arc;

use levada_catalog::{CatalogConfig, Compat, Fetch, SchemaConfig, SchemaRepository, Source, builtin, demo};

use crate::config::Config;

/// Quirks of the originals that are switched on.
pub fn compat(config: &Config) -> Compat {
    let base = if config.compat.streamconfigs {
        Compat::eventgate()
    } else {
        Compat::default()
    };
    Compat {
        absolute_schema_uris: config.catalog.allow_absolute_schema_uris,
        lax_formats: config.compat.eventgate,
        ..base
    }
}

/// Where streams are declared; with `demo`, the demo streams come first.
pub fn streams(config: &Config, with_demo: bool) -> CatalogConfig {
    let headers: Vec<_> = config.catalog.stream_config_headers.clone().into_iter().collect();
    let declared = config.catalog.stream_config.iter();
    let declared = declared.map(|location| Source {
        headers: headers.clone(),
        ..Source::at(location)
    });
    CatalogConfig {
        sources: with_demo.then(demo::source).into_iter().chain(declared).collect(),
        wiki: Some(config.catalog.wiki.clone()).filter(|wiki| !wiki.is_empty()),
        wiki_tags: config.catalog.wiki_tags.clone(),
        aliases: config.catalog.stream_aliases.clone(),
        ttl: Some(config.catalog.ttl).filter(|ttl| !ttl.is_zero()),
        compat: compat(config),
    }
}

/// Where schemas lie; with `demo`, the demo schemas too.
pub fn schemas(config: &Config, with_demo: bool, fetch: Arc<dyn Fetch>) -> SchemaRepository {
    let schema_config = SchemaConfig {
        base_uris: config.catalog.schema_base_uris.clone(),
        extension: Some(config.catalog.schema_file_extension.clone()).filter(|e| !e.is_empty()),
        ttl: config.catalog.schema_ttl,
        negative_ttl: config.catalog.schema_negative_ttl,
        compat: compat(config),
        ..SchemaConfig::default()
    };
    let repository = SchemaRepository::new(schema_config, fetch).with_embedded(builtin::SCHEMAS);
    if with_demo {
        repository.with_embedded(demo::SCHEMAS)
    } else {
        repository
    }
}

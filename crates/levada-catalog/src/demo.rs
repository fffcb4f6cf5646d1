//! The streams and schemas that come with the program: what `levada dev` and the quickstart use.
//! They are the files of `demo/` in the repository.

use crate::config::Source;

/// The stream configuration, `demo/streams.yaml`.
pub const STREAMS: &str = include_str!("../../../demo/streams.yaml");

/// The schemas below `demo/schemas`, as pairs of path and text, for
/// [`SchemaRepository::with_embedded`](crate::SchemaRepository::with_embedded).
pub const SCHEMAS: &[(&str, &str)] = &[
    (
        "demo/edit/1.0.0.yaml",
        include_str!("../../../demo/schemas/demo/edit/1.0.0.yaml"),
    ),
    (
        "demo/job/1.0.0.yaml",
        include_str!("../../../demo/schemas/demo/job/1.0.0.yaml"),
    ),
    (
        "demo/page_change/1.0.0.yaml",
        include_str!("../../../demo/schemas/demo/page_change/1.0.0.yaml"),
    ),
    (
        "demo/web_action/1.0.0.yaml",
        include_str!("../../../demo/schemas/demo/web_action/1.0.0.yaml"),
    ),
    (
        "error/2.1.0.yaml",
        include_str!("../../../demo/schemas/error/2.1.0.yaml"),
    ),
    (
        "test/0.0.1.yaml",
        include_str!("../../../demo/schemas/test/0.0.1.yaml"),
    ),
    (
        "test/event/1.0.0.yaml",
        include_str!("../../../demo/schemas/test/event/1.0.0.yaml"),
    ),
];

/// The stream configuration as a source for [`CatalogConfig`](crate::CatalogConfig).
pub fn source() -> Source {
    Source::inline("demo/streams.yaml", STREAMS)
}

//! Schemas that every server knows, because its own APIs need them. They are the files of `schemas/` in
//! the repository; a schema of the same path in a configured base is taken instead.

/// The schemas, as pairs of path and text, for
/// [`SchemaRepository::with_embedded`](crate::SchemaRepository::with_embedded).
pub const SCHEMAS: &[(&str, &str)] = &[(
    "levada/article/1.0.0.yaml",
    include_str!("../../../schemas/levada/article/1.0.0.yaml"),
)];

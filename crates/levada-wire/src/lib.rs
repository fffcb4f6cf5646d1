//! The HTTP contract of Levada in both directions: paths, error codes, reports, cursors as text, SSE and NDJSON.

//! Which fields a schema declares (contract eventplatform §2.7).

use serde_json::Value;

use super::walk;

/// References that lead to references are followed this often.
const REFERENCES_MAX: usize = 16;

/// The fields that intake fills when a schema declares them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KnownFields {
    /// `meta.id`
    pub meta_id: bool,
    /// `meta.dt`
    pub meta_dt: bool,
    /// `meta.stream`
    pub meta_stream: bool,
    /// `meta.request_id`
    pub meta_request_id: bool,
    /// `dt` on top.
    pub dt: bool,
    /// `event.date_published`, which articles have
    pub event_date_published: bool,
    /// `http.client_ip`
    pub http_client_ip: bool,
    /// `http.request_headers`
    pub http_request_headers: bool,
}

impl KnownFields {
    pub(super) fn of(schema: &Value) -> Self {
        let has = |path: &[&str]| declares(schema, path);
        Self {
            meta_id: has(&["meta", "id"]),
            meta_dt: has(&["meta", "dt"]),
            meta_stream: has(&["meta", "stream"]),
            meta_request_id: has(&["meta", "request_id"]),
            dt: has(&["dt"]),
            event_date_published: has(&["event", "date_published"]),
            http_client_ip: has(&["http", "client_ip"]),
            http_request_headers: has(&["http", "request_headers"]),
        }
    }
}

/// Whether the field is declared by name.
pub(super) fn declares(schema: &Value, path: &[&str]) -> bool {
    !reach(schema, path).is_empty()
}

/// Whether the field is declared by name, or stands in a declared object that takes other names.
pub(super) fn accepts(schema: &Value, path: &[&str]) -> bool {
    if declares(schema, path) {
        return true;
    }
    let Some((_, parent)) = path.split_last() else {
        return false;
    };
    if parent.is_empty() {
        return false;
    }
    let nodes = reach(schema, parent);
    let is_object = |node: &Value| match node.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        Some(kind) => kind == "object",
        None => false,
    };
    nodes.iter().any(|node| is_object(node))
        && !nodes
            .iter()
            .any(|node| node.get("additionalProperties") == Some(&Value::Bool(false)))
}

/// The schemas that apply to the field at `path` by name.
fn reach<'s>(root: &'s Value, path: &[&str]) -> Vec<&'s Value> {
    let mut nodes = Vec::new();
    spread(root, root, REFERENCES_MAX, &mut nodes);
    for step in path {
        let mut next = Vec::new();
        for node in nodes {
            if let Some(child) = node.get("properties").and_then(|properties| properties.get(step)) {
                spread(root, child, REFERENCES_MAX, &mut next);
            }
        }
        nodes = next;
    }
    nodes
}

/// A schema together with what it refers to and what all of it must also satisfy.
fn spread<'s>(root: &'s Value, schema: &'s Value, left: usize, nodes: &mut Vec<&'s Value>) {
    nodes.push(schema);
    if left == 0 {
        return;
    }
    if let Some(target) = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|r| walk::target(root, r))
    {
        spread(root, target, left - 1, nodes);
    }
    for part in schema
        .get("allOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        spread(root, part, left - 1, nodes);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn declared_fields_are_found_also_behind_references() {
        let schema = json!({
            "definitions": {"m": {"type": "object", "properties": {"id": {"type": "string"}}}},
            "allOf": [{"properties": {"meta": {"$ref": "#/definitions/m"}}}],
            "properties": {"dt": {"type": "string"}, "meta": {"properties": {"dt": {}}}}
        });
        let known = KnownFields::of(&schema);
        let expected = KnownFields {
            meta_id: true,
            meta_dt: true,
            dt: true,
            ..KnownFields::default()
        };
        assert_eq!(known, expected);
    }

    #[test]
    fn objects_that_take_other_names_accept_them() {
        let http = |additional: Value| {
            json!({"properties": {"http": {"type": "object", "properties": {
                "request_headers": {"type": "object", "additionalProperties": additional}}}}})
        };
        let path = ["http", "request_headers", "user-agent"];
        assert!(accepts(&http(json!({"type": "string"})), &path));
        assert!(!accepts(&http(json!(false)), &path));
        assert!(!declares(&http(json!(true)), &path));
        assert!(!accepts(&json!({"type": "object"}), &["x"]));
        assert!(!accepts(&json!({"type": "object"}), &path));
    }

    #[test]
    fn references_in_a_circle_end() {
        let schema = json!({"$ref": "#", "allOf": [{"$ref": "#"}]});
        assert!(!declares(&schema, &["x"]));
    }
}

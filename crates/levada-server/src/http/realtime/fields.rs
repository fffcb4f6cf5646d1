//! Names of fields: looked up in the stream's schema, so that a slip of the pen is an error and not an
//! empty stream (contract realtime §1.5 to §1.7).

use levada_catalog::Schema;
use levada_event::filter::{Field, FieldKind, Lists, Missing};
use levada_event::path::FieldPath;
use levada_event::splice::Dialect;
use serde_json::Value;

/// The original's internal names beside the documented JSON names (§1.7); its `truthy` and `falsy`
/// are crossed, here they mean what they say.
const INTERNAL: [(&str, &str); 4] = [
    ("sizes", "size"),
    ("contentUrl", "content_url"),
    ("truthy", "true"),
    ("falsy", "false"),
];

/// The same as the original has them.
const CROSSED: [(&str, &str); 4] = [
    ("sizes", "size"),
    ("contentUrl", "content_url"),
    ("truthy", "false"),
    ("falsy", "true"),
];

/// References that lead to references are followed this often.
const REFERENCES_MAX: usize = 16;

/// The fields that a stream's events may have.
pub(super) struct Fields<'s> {
    schema: Option<&'s Value>,
    dialect: Dialect,
    /// Only what the original knows, by its names and with its comparisons.
    strict: bool,
}

/// What a name leads to.
#[derive(Debug, PartialEq)]
enum Found {
    Object,
    Objects,
    Scalar(Scalar),
    /// The schema takes any name here.
    Open,
}

/// What stands at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scalar {
    kind: FieldKind,
    is_float: bool,
    is_list: bool,
}

impl<'s> Fields<'s> {
    /// The fields of a schema; without one every name is taken.
    /// `strict`: only the original's names and comparisons.
    pub(super) fn new(schema: Option<&'s Schema>, dialect: Dialect, strict: bool) -> Self {
        Self {
            schema: schema.map(Schema::json),
            dialect,
            strict,
        }
    }

    /// Whether the field holds numbers that need not be whole.
    pub(super) fn is_float(&self, name: &str) -> bool {
        let found = parse(name).and_then(|path| self.find(&path));
        found.is_some_and(|(.., found)| matches!(found, Found::Scalar(Scalar { is_float: true, .. })))
    }

    /// The path of an entry of `fields`.
    pub(super) fn select(&self, entry: &str) -> Result<FieldPath, String> {
        let unknown = || format!("field with name '{entry}' not found");
        let (name, wild) = match entry.strip_suffix(".*") {
            Some(name) => (name, true),
            None => (entry, false),
        };
        let path = parse(name).ok_or_else(unknown)?;
        let (path, _, found) = self.find(&path).ok_or_else(unknown)?;
        if !wild && matches!(found, Found::Object | Found::Objects) {
            return Err(format!(
                "use wildcard '{entry}.*' to select all fields from the object"
            ));
        }
        Ok(path)
    }

    /// What a filter may compare at `name`.
    pub(super) fn filter(&self, name: &str) -> Result<Field, String> {
        let unknown = || format!("there is no such field '{name}' to filter");
        let path = parse(name).ok_or_else(unknown)?;
        let (path, list_at, found) = self.find(&path).ok_or_else(unknown)?;
        let kind = match found {
            Found::Object | Found::Objects => return Err(format!("can't filter on a '{name}' object")),
            // The original cannot convert anything to these.
            Found::Scalar(scalar) if self.strict && (scalar.is_list || scalar.kind == FieldKind::Date) => {
                return Err(format!("the filter '{name}' should not be of type 'string'"));
            }
            Found::Scalar(scalar) => scalar.kind,
            Found::Open => FieldKind::Any,
        };
        Ok(Field {
            path,
            kind,
            missing: Missing::Zero,
            lists: if self.strict { Lists::All } else { Lists::Any },
            list_at,
        })
    }

    /// The path by its JSON names, which of its keys hold arrays of objects (as bits), and what is there.
    fn find(&self, path: &FieldPath) -> Option<(FieldPath, u64, Found)> {
        let Some(root) = self.schema else {
            return Some((path.clone(), 0, Found::Open));
        };
        let added = |keys: &[&str]| {
            keys.len() == 2
                && self.dialect.object() == Some(keys[0])
                && self.dialect.fields().contains(&keys[1])
        };
        let keys: Vec<&str> = path.keys().collect();
        if added(&keys) && self.strict {
            return None;
        }
        if added(&keys) {
            let kind = if keys[1] == "topic" {
                FieldKind::String
            } else {
                FieldKind::Number
            };
            let scalar = Scalar {
                kind,
                is_float: false,
                is_list: false,
            };
            return Some((path.clone(), 0, Found::Scalar(scalar)));
        }
        let spellings = if self.strict { &CROSSED } else { &INTERNAL };
        if self.strict
            && keys
                .iter()
                .any(|key| spellings.iter().any(|(_, json)| json == key))
        {
            return None;
        }
        let mut names = Vec::with_capacity(keys.len());
        let mut is_list = false;
        let mut list_at = 0;
        let mut nodes = vec![resolve(root, root)];
        let mut open = false;
        for (depth, key) in keys.iter().enumerate() {
            if open {
                names.push(*key);
                continue;
            }
            let child = |key: &str| {
                nodes
                    .iter()
                    .flat_map(|node| spread(root, node))
                    .find_map(|node| node.get("properties")?.get(key))
            };
            let internal = spellings.iter().find(|(internal, _)| internal == key);
            let (name, node) = match (child(key), internal) {
                (Some(node), _) => (*key, node),
                (None, Some((_, json))) => (*json, child(json)?),
                (None, None) => {
                    let takes_any = nodes.iter().any(|node| is_open(node));
                    if !takes_any {
                        return None;
                    }
                    open = true;
                    names.push(*key);
                    continue;
                }
            };
            names.push(name);
            let mut node = resolve(root, node);
            is_list = kind(node) == "array";
            if is_list && depth < 64 {
                node = node
                    .get("items")
                    .map_or(&Value::Null, |items| resolve(root, items));
                if is_object(root, node) {
                    list_at |= 1 << depth;
                }
            }
            nodes = vec![node];
        }
        let path = FieldPath::from_keys(names).ok()?;
        if open {
            return Some((path, list_at, Found::Open));
        }
        let node = nodes[0];
        let last_is_list = keys.len() <= 64 && list_at >> (keys.len() - 1) & 1 == 1;
        let found = match is_object(root, node) {
            true if last_is_list => Found::Objects,
            true => Found::Object,
            false => Found::Scalar(Scalar {
                kind: scalar(node),
                is_float: kind(node) == "number",
                is_list,
            }),
        };
        Some((path, list_at, found))
    }
}

fn parse(name: &str) -> Option<FieldPath> {
    FieldPath::parse(name)
        .ok()
        .filter(|path| !path.is_wildcard() && !path.is_empty())
}

fn resolve<'v>(root: &'v Value, mut node: &'v Value) -> &'v Value {
    for _ in 0..REFERENCES_MAX {
        let target = node.get("$ref").and_then(Value::as_str);
        match target
            .and_then(|t| t.strip_prefix('#'))
            .and_then(|pointer| root.pointer(pointer))
        {
            Some(next) => node = next,
            None => break,
        }
    }
    node
}

/// A node and all that it must satisfy besides.
fn spread<'v>(root: &'v Value, node: &'v Value) -> Vec<&'v Value> {
    let mut all = vec![node];
    let mut at = 0;
    while at < all.len() && all.len() < 256 {
        let node = all[at];
        for word in ["allOf", "anyOf", "oneOf"] {
            let parts = node.get(word).and_then(Value::as_array).into_iter().flatten();
            all.extend(parts.map(|part| resolve(root, part)));
        }
        at += 1;
    }
    all
}

fn kind(node: &Value) -> &str {
    match node.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null")
            .unwrap_or(""),
        _ => "",
    }
}

fn is_object(root: &Value, node: &Value) -> bool {
    kind(node) == "object" || spread(root, node).iter().any(|n| n.get("properties").is_some())
}

/// Whether an object takes names that its schema does not list.
fn is_open(node: &Value) -> bool {
    kind(node) == "object"
        && node
            .get("additionalProperties")
            .is_some_and(|more| *more != Value::Bool(false))
}

fn scalar(node: &Value) -> FieldKind {
    match (kind(node), node.get("format").and_then(Value::as_str)) {
        ("string", Some("date-time")) => FieldKind::Date,
        ("string", _) => FieldKind::String,
        ("integer" | "number", _) => FieldKind::Number,
        ("boolean", _) => FieldKind::Bool,
        _ => FieldKind::Any,
    }
}

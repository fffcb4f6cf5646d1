//! The order in which ajv reports violations: by groups of rules, properties as the schema lists them.

use levada_event::json;
use serde_json::{Map, Value};

use super::walk;

/// Where in that order a violation stands; compared step by step.
pub(super) type Rank = Vec<u32>;

/// A branch of `if` that a violation lies in.
pub(super) struct Branch {
    /// Bytes of the evaluation path up to the schema that has the `if`.
    pub(super) schema: usize,
    /// Bytes of the instance path up to the value it applies to.
    pub(super) value: usize,
    /// `then` or `else`.
    pub(super) keyword: &'static str,
    pub(super) rank: Rank,
}

/// The rank of a violation of `schema` at an evaluation path (a JSON pointer through the schema,
/// references followed) about the value at an instance path of `event`.
pub(super) fn rank(
    schema: &Value,
    event: json::Value<'_>,
    evaluation: &str,
    instance: &str,
) -> (Rank, Vec<Branch>) {
    let mut walker = Walker {
        root: schema,
        steps: Steps {
            pointer: evaluation,
            at: 0,
        },
        places: Steps {
            pointer: instance,
            at: 0,
        },
        value: Some(event),
        rank: Vec::new(),
    };
    let mut branches = Vec::new();
    walker.walk(schema, &mut branches);
    // Behind everything that lies deeper: a rule reports its alternatives' violations first.
    walker.rank.push(u32::MAX);
    (walker.rank, branches)
}

struct Walker<'a> {
    root: &'a Value,
    steps: Steps<'a>,
    places: Steps<'a>,
    value: Option<json::Value<'a>>,
    rank: Rank,
}

impl<'a> Walker<'a> {
    fn walk(&mut self, schema: &'a Value, branches: &mut Vec<Branch>) {
        let mut schema = Some(schema);
        while let Some(here) = schema {
            let before = self.steps.at;
            let Some(keyword) = self.steps.next() else { return };
            let leaf = self.steps.at == self.steps.pointer.len();
            self.rank
                .push(here.as_object().map_or(0, |here| place_of(here, &keyword, leaf)));
            let inside = here.get(&*keyword);
            schema = match &*keyword {
                "$ref" => inside
                    .and_then(Value::as_str)
                    .and_then(|reference| walk::target(self.root, reference)),
                "properties" | "patternProperties" => {
                    let found = self.named(inside);
                    self.enter(false);
                    found
                }
                "dependencies" | "dependentSchemas" | "dependentRequired" => self.named(inside),
                "allOf" | "anyOf" | "oneOf" => self.indexed(inside),
                "prefixItems" => {
                    let found = self.indexed(inside);
                    self.enter(false);
                    found
                }
                "items" if inside.is_some_and(Value::is_array) => {
                    let found = self.indexed(inside);
                    self.enter(false);
                    found
                }
                "items"
                | "additionalItems"
                | "additionalProperties"
                | "unevaluatedItems"
                | "unevaluatedProperties" => {
                    if !leaf {
                        self.enter(true);
                    }
                    inside
                }
                "then" | "else" => {
                    branches.push(Branch {
                        schema: before,
                        value: self.places.at,
                        keyword: if keyword == "then" { "then" } else { "else" },
                        rank: [&*self.rank, &[u32::MAX]].concat(),
                    });
                    inside
                }
                "not" | "if" | "contains" | "propertyNames" => inside,
                _ => None,
            };
        }
    }

    /// The schema of the next step's name in a map of schemas, ranked by its place.
    fn named(&mut self, inside: Option<&'a Value>) -> Option<&'a Value> {
        let name = self.steps.next()?;
        let map = inside?.as_object()?;
        self.rank
            .push(map.keys().position(|key| *key == name).map_or(u32::MAX, number));
        map.get(&*name)
    }

    /// The schema of the next step's index in a list of schemas.
    fn indexed(&mut self, inside: Option<&'a Value>) -> Option<&'a Value> {
        let index: usize = self.steps.next()?.parse().ok()?;
        self.rank.push(number(index));
        inside?.get(index)
    }

    /// Steps into the value, ranking by the place there if the schema does not say one.
    fn enter(&mut self, ranked: bool) {
        let step = self.places.next();
        if let (true, Some(index), None) = (
            ranked,
            step.as_deref().and_then(|step| step.parse().ok()),
            self.places.clone().next(),
        ) && self.value.is_some_and(|value| value.kind() == json::Kind::Array)
        {
            // The item itself is not needed, and finding it means walking over those before it.
            self.rank.push(number(index));
            self.value = None;
            return;
        }
        let found = step
            .as_deref()
            .zip(self.value)
            .and_then(|(step, value)| child(value, step));
        if ranked {
            self.rank.push(found.map_or(u32::MAX, |(place, _)| number(place)));
        }
        self.value = found.map(|(_, value)| value);
    }
}

fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// A value inside a value, by the step of an instance path, and its place among its siblings.
pub(super) fn child<'v>(value: json::Value<'v>, step: &str) -> Option<(usize, json::Value<'v>)> {
    match value.kind() {
        json::Kind::Object => value
            .entries()
            .enumerate()
            .find(|(_, (k, _))| k.is_str(step))
            .map(|(at, (_, v))| (at, v)),
        json::Kind::Array => {
            let index = step.parse().ok()?;
            value.items().nth(index).map(|item| (index, item))
        }
        _ => None,
    }
}

/// Rules of ajv by the type of value they apply to, in its order, and the number of the first.
const GROUPS: [(&str, u32, &[&str]); 4] = [
    (
        "number",
        100,
        &[
            "maximum",
            "exclusiveMaximum",
            "minimum",
            "exclusiveMinimum",
            "multipleOf",
        ],
    ),
    ("string", 200, &["maxLength", "minLength", "pattern", "format"]),
    (
        "array",
        300,
        &[
            "maxItems",
            "minItems",
            "additionalItems",
            "prefixItems",
            "items",
            "contains",
            "uniqueItems",
        ],
    ),
    (
        "object",
        400,
        &[
            "maxProperties",
            "minProperties",
            "required",
            "dependencies",
            "dependentRequired",
            "dependentSchemas",
            "propertyNames",
            "additionalProperties",
            "properties",
            "patternProperties",
        ],
    ),
];

/// Rules for values of any type.
const GENERAL: [&str; 10] = [
    "$ref", "const", "enum", "not", "anyOf", "oneOf", "allOf", "if", "then", "else",
];

fn place_of(schema: &Map<String, Value>, keyword: &str, leaf: bool) -> u32 {
    if keyword == "type" {
        // The type is checked with the group of rules for it, or first if there is none.
        let group = GROUPS
            .iter()
            .find(|(kind, ..)| schema.get("type").is_some_and(|t| t == kind));
        return group
            .filter(|(_, _, rules)| rules.iter().any(|rule| schema.contains_key(*rule)))
            .map_or(0, |(_, first, _)| *first);
    }
    if keyword == "additionalItems" && !leaf {
        return 300 + 50;
    }
    for (_, first, rules) in GROUPS {
        if let Some(at) = rules.iter().position(|rule| *rule == keyword) {
            return first + 1 + number(at);
        }
    }
    500 + GENERAL
        .iter()
        .position(|rule| *rule == keyword)
        .map_or(99, number)
}

/// The steps of a JSON pointer.
#[derive(Clone)]
pub(super) struct Steps<'a> {
    pub(super) pointer: &'a str,
    pub(super) at: usize,
}

impl Iterator for Steps<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let rest = self.pointer[self.at..].strip_prefix('/')?;
        let step = &rest[..rest.find('/').unwrap_or(rest.len())];
        self.at += 1 + step.len();
        Some(step.replace("~1", "/").replace("~0", "~"))
    }
}

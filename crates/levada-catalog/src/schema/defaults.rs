//! Defaults of a schema, filled into events as text (contract eventplatform §2.6).
//!
//! Filled are missing names of `properties` and missing positions of a list in `items`, at any
//! depth, also inside `allOf`, behind `$ref` and inside the values of maps and lists; not inside
//! `anyOf`, `oneOf`, `not`, `if`, `contains` and `propertyNames`, nor behind `then`, `else`,
//! `dependencies` and `patternProperties`. A field that is null is there. An object that is not
//! there is not made, unless it has a default itself.

use std::collections::HashMap;

use levada_event::json::{self, Document, Kind};
use serde_json::Value;

use super::walk;

/// How often defaults inside defaults are filled in. Only a schema whose default needs itself would
/// go on for ever.
const ROUNDS_MAX: usize = 16;

/// Schemas inside schemas and references to references are followed this far.
const DEPTH_MAX: usize = 256;

/// Longest text of one default with everything inside it.
const DEFAULT_BYTES_MAX: usize = 64 * 1024;

/// What to fill where: a graph of the schema's parts, so that schemas may refer to themselves.
#[derive(Debug)]
pub(super) struct Plan {
    parts: Vec<Part>,
    /// What applies to the whole event.
    root: Vec<usize>,
}

/// One schema of the graph: what it says about the values inside the value it applies to.
#[derive(Debug, Default)]
struct Part {
    properties: Vec<(String, Slot)>,
    /// For values of names that are not in `properties`.
    others: Vec<usize>,
    tuple: Vec<Slot>,
    /// For the items of a list, all of them or those behind `tuple`.
    items: Vec<usize>,
}

/// What to do with one value: fill it if it is missing, look inside by these parts if it is not.
#[derive(Debug, Default)]
struct Slot {
    default: Option<Box<str>>,
    inside: Vec<usize>,
}

/// Text to insert at a byte of the event.
struct Insert {
    at: usize,
    text: Vec<u8>,
}

impl Plan {
    /// The plan of a schema, `None` if it has no defaults.
    pub(super) fn of(schema: &Value) -> Option<Self> {
        let mut maker = Maker {
            root: schema,
            parts: Vec::new(),
            known: HashMap::new(),
            depth: 0,
        };
        let root = maker.apply(schema);
        let mut plan = Self {
            parts: maker.parts,
            root,
        };
        let useful = plan.useful();
        if !plan.root.iter().any(|&part| useful[part]) {
            return None;
        }
        for part in &mut plan.parts {
            let slots = part
                .properties
                .iter_mut()
                .map(|(_, slot)| slot)
                .chain(&mut part.tuple);
            let lists = slots
                .map(|slot| &mut slot.inside)
                .chain([&mut part.others, &mut part.items]);
            lists.for_each(|list| list.retain(|&part| useful[part]));
        }
        plan.root.retain(|&part| useful[part]);
        plan.complete();
        Some(plan)
    }

    /// Which parts fill something, themselves or through parts they lead to.
    fn useful(&self) -> Vec<bool> {
        let mut useful = vec![false; self.parts.len()];
        loop {
            let mut changed = false;
            for (index, part) in self.parts.iter().enumerate() {
                let mut slots = part.properties.iter().map(|(_, slot)| slot).chain(&part.tuple);
                let leads = |list: &[usize]| list.iter().any(|&part| useful[part]);
                if !useful[index]
                    && (leads(&part.others)
                        || leads(&part.items)
                        || slots.any(|slot| slot.default.is_some() || leads(&slot.inside)))
                {
                    useful[index] = true;
                    changed = true;
                }
            }
            if !changed {
                return useful;
            }
        }
    }

    /// Fills defaults into defaults.
    fn complete(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let mut changed = false;
            for index in 0..self.parts.len() {
                for place in 0..self.parts[index].properties.len() {
                    let done = self.completed(&self.parts[index].properties[place].1);
                    changed |= done.is_some();
                    let slot = &mut self.parts[index].properties[place].1;
                    slot.default = done.or(slot.default.take());
                }
                for place in 0..self.parts[index].tuple.len() {
                    let done = self.completed(&self.parts[index].tuple[place]);
                    changed |= done.is_some();
                    let slot = &mut self.parts[index].tuple[place];
                    slot.default = done.or(slot.default.take());
                }
            }
            if !changed {
                return;
            }
        }
    }

    fn completed(&self, slot: &Slot) -> Option<Box<str>> {
        let text = slot.default.as_deref()?;
        let document = Document::parse(text.as_bytes()).ok()?;
        let filled = self.fill_by(&slot.inside, text.as_bytes(), document.root())?;
        (filled.len() <= DEFAULT_BYTES_MAX).then(|| String::from_utf8(filled).ok().map(Into::into))?
    }

    /// The event with its missing defaults, `None` if none is missing.
    pub(super) fn fill(&self, text: &[u8], event: json::Value<'_>) -> Option<Vec<u8>> {
        self.fill_by(&self.root, text, event)
    }

    fn fill_by(&self, parts: &[usize], text: &[u8], event: json::Value<'_>) -> Option<Vec<u8>> {
        let mut inserts = Vec::new();
        self.look(parts, event, &mut inserts);
        if inserts.is_empty() {
            return None;
        }
        inserts.sort_by_key(|insert| insert.at);
        // A byte order mark is no part of the text that places refer to.
        let mark: &[u8] = "\u{feff}".as_bytes();
        let text = text.strip_prefix(mark).unwrap_or(text);
        let mut filled = Vec::with_capacity(text.len() + inserts.iter().map(|i| i.text.len()).sum::<usize>());
        let mut done = 0;
        for insert in &inserts {
            filled.extend_from_slice(&text[done..insert.at]);
            filled.extend_from_slice(&insert.text);
            done = insert.at;
        }
        filled.extend_from_slice(&text[done..]);
        Some(filled)
    }

    fn look(&self, parts: &[usize], value: json::Value<'_>, inserts: &mut Vec<Insert>) {
        match value.kind() {
            _ if parts.is_empty() => {}
            Kind::Object => self.look_at_object(parts, value, inserts),
            Kind::Array => self.look_at_list(parts, value, inserts),
            _ => {}
        }
    }

    fn look_at_object(&self, parts: &[usize], value: json::Value<'_>, inserts: &mut Vec<Insert>) {
        let mut added: Vec<(&str, &str)> = Vec::new();
        for part in parts.iter().map(|&part| &self.parts[part]) {
            for (name, slot) in &part.properties {
                if slot.default.is_none() && slot.inside.is_empty() {
                    continue;
                }
                match (value.get(name), &slot.default) {
                    (Some(value), _) => self.look(&slot.inside, value, inserts),
                    (None, Some(default)) if !added.iter().any(|(other, _)| other == name) => {
                        added.push((name, default));
                    }
                    _ => {}
                }
            }
            if !part.others.is_empty() {
                for (key, value) in value.entries() {
                    if !part.properties.iter().any(|(name, _)| key.is_str(name)) {
                        self.look(&part.others, value, inserts);
                    }
                }
            }
        }
        let mut text = Vec::new();
        for (name, default) in added {
            text.push(b',');
            json::write_string(&mut text, name);
            text.push(b':');
            text.extend_from_slice(default.as_bytes());
        }
        insert(
            value,
            value.entries().last().map(|(_, last)| last.end()),
            text,
            inserts,
        );
    }

    fn look_at_list(&self, parts: &[usize], value: json::Value<'_>, inserts: &mut Vec<Insert>) {
        let mut last = None;
        for (index, item) in value.items().enumerate() {
            for part in parts.iter().map(|&part| &self.parts[part]) {
                self.look(
                    part.tuple.get(index).map_or(&part.items, |slot| &slot.inside),
                    item,
                    inserts,
                );
            }
            last = Some(item.end());
        }
        // A position without default ends the filling: what came behind it would move up.
        let missing = (value.len()..).map_while(|index| {
            let mut slots = parts.iter().filter_map(|&part| self.parts[part].tuple.get(index));
            slots.find_map(|slot| slot.default.as_deref())
        });
        let text = missing
            .flat_map(|default| [b",", default.as_bytes()])
            .flatten()
            .copied()
            .collect();
        insert(value, last, text, inserts);
    }
}

/// Inserts `text`, which starts with a comma, behind the last entry or into the empty brackets.
fn insert(value: json::Value<'_>, last: Option<usize>, mut text: Vec<u8>, inserts: &mut Vec<Insert>) {
    if text.is_empty() {
        return;
    }
    let at = last.unwrap_or_else(|| {
        text.remove(0);
        value.start() + 1
    });
    inserts.push(Insert { at, text });
}

struct Maker<'s> {
    root: &'s Value,
    parts: Vec<Part>,
    /// Parts by the address of their schema.
    known: HashMap<*const Value, usize>,
    depth: usize,
}

impl<'s> Maker<'s> {
    /// The parts that apply where `schema` applies: itself, what it refers to, all of `allOf`.
    fn apply(&mut self, schema: &'s Value) -> Vec<usize> {
        let mut all = Vec::new();
        self.gather(schema, &mut all);
        all
    }

    fn gather(&mut self, schema: &'s Value, all: &mut Vec<usize>) {
        if self.depth == DEPTH_MAX {
            return;
        }
        self.depth += 1;
        self.gather_below(schema, all);
        self.depth -= 1;
    }

    fn gather_below(&mut self, schema: &'s Value, all: &mut Vec<usize>) {
        let index = match self.known.get(&std::ptr::from_ref(schema)) {
            Some(&index) => index,
            None => self.add(schema),
        };
        if all.contains(&index) {
            return;
        }
        all.push(index);
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            if let Some(target) = walk::target(self.root, reference) {
                self.gather(target, all);
            }
            return;
        }
        for part in schema
            .get("allOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            self.gather(part, all);
        }
    }

    /// Adds the part of one schema. It is known before its insides are looked at, which ends circles.
    fn add(&mut self, schema: &'s Value) -> usize {
        let index = self.parts.len();
        self.parts.push(Part::default());
        self.known.insert(std::ptr::from_ref(schema), index);
        if schema.get("$ref").is_some() {
            return index;
        }
        let mut part = Part::default();
        for (name, schema) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            part.properties.push((name.clone(), self.slot(schema)));
        }
        if let Some(schema) = schema.get("additionalProperties") {
            part.others = self.apply(schema);
        }
        match schema.get("items") {
            Some(Value::Array(list)) => {
                part.tuple = list.iter().map(|schema| self.slot(schema)).collect();
                if let Some(schema) = schema.get("additionalItems") {
                    part.items = self.apply(schema);
                }
            }
            Some(schema) => part.items = self.apply(schema),
            None => {}
        }
        self.parts[index] = part;
        index
    }

    fn slot(&mut self, schema: &'s Value) -> Slot {
        let inside = self.apply(schema);
        Slot {
            default: schema.get("default").map(|default| default.to_string().into()),
            inside,
        }
    }
}

#[cfg(test)]
mod tests;

//! Finding the items of a day page and the lines that they are made of.

use std::collections::HashMap;

use dom_query::{NodeId, NodeRef};

use super::grammar::Reader;
use super::{MAX_ITEMS, MAX_TEXT_BYTES};
use crate::lang::{DayLang, js_trim};
use crate::model::OnThisDayKind;
use crate::note::{NoteKind, Notes};
use crate::parse::html::{Step, is, is_style, text, walk};

/// Most lists in lists that are climbed for the lines above an item.
const MAX_NESTING: usize = 16;

/// Longest line above an item that is read, bytes: it is part of every item below it.
const MAX_LINE_BYTES: usize = 1_000;

/// The lists that come from a day page.
const DAY_LISTS: [OnThisDayKind; 4] = [
    OnThisDayKind::Births,
    OnThisDayKind::Deaths,
    OnThisDayKind::Events,
    OnThisDayKind::Holidays,
];

/// The leaf items under the headings of a day page, in document order: `ul li` without `ul > li`
/// inside. A heading (H2) with a known id begins a list, any other ends it; lists count up to the
/// next heading, wherever they are.
pub(super) fn leaves<'a>(
    root: NodeRef<'a>,
    rules: &DayLang,
    notes: &mut Notes,
) -> Vec<(OnThisDayKind, NodeRef<'a>)> {
    struct Found<'a> {
        kind: OnThisDayKind,
        node: NodeRef<'a>,
        leaf: bool,
    }
    let mut seen = [false; DAY_LISTS.len()];
    let mut current: Option<OnThisDayKind> = None;
    let mut found: Vec<Found<'a>> = Vec::new();
    // The items that are open, as places in `found` where they were taken; and the open `ul`s.
    let open: std::cell::RefCell<Vec<Option<usize>>> = std::cell::RefCell::default();
    let uls = std::cell::Cell::new(0_usize);
    let mut limit_reached = false;
    walk(
        root,
        |node| {
            if is(&node, "h2") {
                let at = node.id_attr().and_then(|id| list_of(&id, rules));
                if let Some(at) = at {
                    seen[at] = true;
                }
                current = at.map(|at| DAY_LISTS[at]);
            } else if is(&node, "ul") {
                uls.set(uls.get() + 1);
            } else if is(&node, "li") {
                let mut open = open.borrow_mut();
                if node.parent().is_some_and(|parent| is(&parent, "ul")) {
                    for at in open.iter().rev().filter_map(|place| *place) {
                        if !found[at].leaf {
                            break;
                        }
                        found[at].leaf = false;
                    }
                }
                let take = current.filter(|_| uls.get() > 0);
                limit_reached |= take.is_some() && found.len() >= MAX_ITEMS;
                let place = take.filter(|_| found.len() < MAX_ITEMS).map(|kind| {
                    found.push(Found {
                        kind,
                        node,
                        leaf: true,
                    });
                    found.len() - 1
                });
                open.push(place);
            }
            Step::Into
        },
        |node| {
            if is(&node, "ul") {
                uls.set(uls.get() - 1);
            } else if is(&node, "li") {
                open.borrow_mut().pop();
            }
        },
    );
    for (at, kind) in DAY_LISTS.into_iter().enumerate() {
        if !seen[at] {
            notes.add(NoteKind::ContainerMissing, format!("heading of {kind}"));
        }
    }
    if limit_reached {
        notes.add(NoteKind::LimitReached, format!("{MAX_ITEMS} items"));
    }
    found
        .into_iter()
        .filter(|f| f.leaf)
        .map(|f| (f.kind, f.node))
        .collect()
}

/// The list that a heading's id begins.
fn list_of(id: &str, rules: &DayLang) -> Option<usize> {
    let old = dot_decoded(id);
    DAY_LISTS.iter().position(|kind| {
        rules
            .heading_ids(*kind)
            .iter()
            .any(|known| known == id || Some(known) == old.as_ref())
    })
}

/// The id without the dot encoding that MediaWiki used until 2017 (`F.C3.B6dda`), when it has one.
fn dot_decoded(id: &str) -> Option<String> {
    if !id.contains('.') {
        return None;
    }
    let bytes = id.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'.');
        let byte = escape
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).ok()
}

/// The lines above an item, outermost first, and its own text.
#[derive(Debug)]
pub(super) struct Lines {
    /// One per item around it.
    pub(super) above: Vec<Above>,
    /// Its own text, trimmed.
    pub(super) own: String,
}

/// The lines above items, each read once however many items are below it.
#[derive(Default)]
pub(super) struct Headlines(HashMap<NodeId, Above>);

impl Headlines {
    fn of(&mut self, item: NodeRef<'_>, reader: &Reader<'_>) -> Above {
        let read = || {
            let line = first_line(item);
            match reader.only_year(&line) {
                Some(year) => Above::Year(year),
                None => Above::Text(line),
            }
        };
        self.0.entry(item.id).or_insert_with(read).clone()
    }
}

/// What stands above an item.
#[derive(Clone, Debug)]
pub(super) enum Above {
    /// A year and nothing else, era included: the item's year.
    Year(String),
    /// Some text.
    Text(String),
}

impl Lines {
    /// Reads them from the page.
    pub(super) fn of(item: NodeRef<'_>, reader: &Reader<'_>, known: &mut Headlines) -> Self {
        let own = text(item, MAX_TEXT_BYTES, is_style);
        let mut above = Vec::new();
        let mut at = item;
        while let Some(parent) = list_item_around(at) {
            if above.len() == MAX_NESTING {
                break;
            }
            above.push(known.of(parent, reader));
            at = parent;
        }
        above.reverse();
        Self {
            above,
            own: js_trim(&own).to_owned(),
        }
    }

    /// Everything as one text, as the original puts it together: a year and ` - `, other lines and
    /// a line break.
    pub(super) fn joined(&self) -> String {
        self.joined_with(&self.own)
    }

    /// The same with another text in the place of the item's own.
    pub(super) fn joined_with(&self, own: &str) -> String {
        let mut out = String::new();
        for line in &self.above {
            match line {
                Above::Year(year) => {
                    out.push_str(year);
                    out.push_str(" - ");
                }
                Above::Text(text) => {
                    out.push_str(text);
                    out.push('\n');
                }
            }
        }
        out.push_str(own);
        out
    }
}

/// The item in whose list an item stands: `li > ul > li`.
fn list_item_around(item: NodeRef<'_>) -> Option<NodeRef<'_>> {
    let list = item.parent().filter(|node| is(node, "ul"))?;
    list.parent().filter(|node| is(node, "li"))
}

/// The first line of an item's own text, the lists in it left out.
fn first_line(item: NodeRef<'_>) -> String {
    let text = text(item, MAX_LINE_BYTES, |node| {
        is_style(node) || is(node, "ul") || is(node, "ol")
    });
    js_trim(js_trim(&text).split('\n').next().unwrap_or_default()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::dot_decoded;

    #[test]
    fn old_ids_are_understood() {
        assert_eq!(dot_decoded("F.C3.B6dda").as_deref(), Some("Födda"));
        assert_eq!(dot_decoded("Births"), None);
        assert_eq!(dot_decoded("a.FF"), None);
        assert_eq!(dot_decoded("a.b").as_deref(), Some("a.b"));
    }
}

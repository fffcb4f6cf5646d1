//! On this day: the page of a day and the page of selected events (contract §2.6).

mod grammar;
mod items;
mod pages;

use dom_query::NodeRef;

use super::Compat;
use super::html::{Step, document, is, is_style, select, text, walk};
use super::link::Links;
use crate::lang::{DayLang, js_trim};
use crate::model::{DayEvent, DayPage, OnThisDayKind, Siteinfo};
use crate::note::{Note, NoteKind, Notes};
use grammar::Reader;
use items::{Headlines, Lines, leaves};
use pages::pages;

/// Most items that are read from a page; the longest day pages have about 1,500.
pub const MAX_ITEMS: usize = 5_000;

/// Most pages of an item; beyond that it is a list, not an event.
pub const MAX_PAGES: usize = 50;

/// Longest text of an item, bytes; the rest is left out. Items have a few hundred.
const MAX_TEXT_BYTES: usize = 16 << 10;

/// The four lists of a day page, read in one pass. Births, deaths and events are sorted by year,
/// latest first, and keep the order of the page within a year; holidays keep it altogether.
pub fn parse_day(html: &str, rules: &DayLang, site: &Siteinfo, compat: Compat) -> (DayPage, Vec<Note>) {
    let mut notes = Notes::new();
    let document = document(html, &mut notes);
    let reader = Reader::new(rules.grammar(&compat), compat);
    let links = Links { site, compat };
    let found = leaves(document.root(), rules, &mut notes);
    let mut above = Headlines::default();
    let mut day = DayPage::default();
    for (kind, element) in found {
        let lines = Lines::of(element, &reader, &mut above);
        let event = if kind == OnThisDayKind::Holidays {
            holiday(element, &lines, &reader, links, &mut notes)
        } else {
            dated(element, reader.day_item(&lines), &reader, links, &mut notes)
        };
        let Some(event) = event else {
            notes.add(NoteKind::ItemDropped, lines.joined());
            continue;
        };
        match kind {
            OnThisDayKind::Births => day.births.push(event),
            OnThisDayKind::Deaths => day.deaths.push(event),
            OnThisDayKind::Holidays => day.holidays.push(event),
            OnThisDayKind::Events | OnThisDayKind::Selected => day.events.push(event),
        }
    }
    for list in [&mut day.births, &mut day.deaths, &mut day.events] {
        sort(list);
    }
    (day, notes.finish())
}

/// The selected events of a page, sorted like [`parse_day`] does.
pub fn parse_selected(
    html: &str,
    rules: &DayLang,
    site: &Siteinfo,
    compat: Compat,
) -> (Vec<DayEvent>, Vec<Note>) {
    let mut notes = Notes::new();
    let document = document(html, &mut notes);
    let grammar = rules.grammar(&compat);
    let reader = Reader::new(grammar, compat);
    let links = Links { site, compat };
    let elements = select(&document, &grammar.selected);
    if elements.is_empty() {
        notes.add(NoteKind::NothingMatched, grammar.selected.css());
    }
    let mut events: Vec<DayEvent> = Vec::new();
    for element in elements {
        if events.len() >= MAX_ITEMS {
            notes.add(NoteKind::LimitReached, format!("{MAX_ITEMS} items"));
            break;
        }
        let parts = if grammar.selected_lines {
            lines_of(element)
        } else {
            Vec::new()
        };
        if parts.len() > 1 {
            for part in parts {
                push_line(&part, &reader, links, &mut events, &mut notes);
            }
            continue;
        }
        let text = text(element, MAX_TEXT_BYTES, |node| {
            is_style(node) && !compat.style_text
        });
        match dated(element, reader.selected_item(&text), &reader, links, &mut notes) {
            Some(event) => events.push(event),
            None => notes.add(NoteKind::ItemDropped, js_trim(&text)),
        }
    }
    sort(&mut events);
    (events, notes.finish())
}

/// Latest year first; stable.
fn sort(events: &mut [DayEvent]) {
    events.sort_by_key(|event| std::cmp::Reverse(event.year));
}

/// An item with a year, when the grammar found one.
fn dated(
    element: NodeRef<'_>,
    item: Option<grammar::Item>,
    reader: &Reader<'_>,
    links: Links<'_>,
    notes: &mut Notes,
) -> Option<DayEvent> {
    let item = item?;
    let pages = pages(element, Some(&item), reader, links, notes);
    Some(DayEvent {
        text: item.text,
        pages,
        year: Some(item.year),
    })
}

/// A holiday: the whole text, no year.
fn holiday(
    element: NodeRef<'_>,
    lines: &Lines,
    reader: &Reader<'_>,
    links: Links<'_>,
    notes: &mut Notes,
) -> Option<DayEvent> {
    let text = grammar::clean(&lines.joined());
    if text.is_empty() {
        return None;
    }
    Some(DayEvent {
        text,
        pages: pages(element, None, reader, links, notes),
        year: None,
    })
}

/// A line of an element whose items are lines: its text and its links.
struct Part<'a> {
    text: String,
    anchors: Vec<NodeRef<'a>>,
}

/// The lines of an element, divided at its line breaks.
fn lines_of(element: NodeRef<'_>) -> Vec<Part<'_>> {
    let mut parts = vec![Part {
        text: String::new(),
        anchors: Vec::new(),
    }];
    walk(
        element,
        |node| {
            if is(&node, "br") {
                parts.push(Part {
                    text: String::new(),
                    anchors: Vec::new(),
                });
            } else if let Some(part) = parts.last_mut() {
                if node.is_text() {
                    part.text.push_str(&node.text());
                } else if is(&node, "a") {
                    part.anchors.push(node);
                }
            }
            if is_style(&node) { Step::Over } else { Step::Into }
        },
        |_| {},
    );
    parts
}

fn push_line(
    part: &Part<'_>,
    reader: &Reader<'_>,
    links: Links<'_>,
    events: &mut Vec<DayEvent>,
    notes: &mut Notes,
) {
    let Some(item) = reader.selected_item(&part.text) else {
        if !js_trim(&part.text).is_empty() {
            notes.add(NoteKind::ItemDropped, js_trim(&part.text));
        }
        return;
    };
    let pages = pages::of_anchors(&part.anchors, Some(&item), reader, links, notes);
    events.push(DayEvent {
        text: item.text,
        pages,
        year: Some(item.year),
    });
}

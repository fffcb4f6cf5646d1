//! The pages that an item links to.

use dom_query::NodeRef;

use super::MAX_PAGES;
use super::grammar::{Item, Reader};
use crate::model::DbTitle;
use crate::note::{NoteKind, Notes};
use crate::parse::html::{Step, is_style, walk};
use crate::parse::link::{Links, is_anchor, is_red, is_reference};

/// Titles of the pages that an element links to, in order, each once: no missing pages, no
/// footnotes, no other sites, and not the year itself.
pub(super) fn pages(
    element: NodeRef<'_>,
    item: Option<&Item>,
    reader: &Reader<'_>,
    links: Links<'_>,
    notes: &mut Notes,
) -> Vec<DbTitle> {
    let mut anchors = Vec::new();
    walk(
        element,
        |node| {
            if is_anchor(&node) {
                anchors.push(node);
            }
            if is_style(&node) { Step::Over } else { Step::Into }
        },
        |_| {},
    );
    of_anchors(&anchors, item, reader, links, notes)
}

/// The same for anchors already found.
pub(super) fn of_anchors(
    anchors: &[NodeRef<'_>],
    item: Option<&Item>,
    reader: &Reader<'_>,
    links: Links<'_>,
    notes: &mut Notes,
) -> Vec<DbTitle> {
    let mut titles: Vec<DbTitle> = Vec::new();
    for anchor in anchors {
        if is_red(anchor) || is_reference(anchor) || is_elsewhere(anchor) {
            continue;
        }
        let is_year = item.is_some_and(|item| {
            anchor
                .attr("title")
                .is_some_and(|title| reader.is_year_page(&title, item))
        });
        if is_year {
            continue;
        }
        let Some(title) = links.title(anchor, notes) else {
            continue;
        };
        if titles.contains(&title) {
            continue;
        }
        if titles.len() == MAX_PAGES {
            notes.add(NoteKind::LimitReached, format!("{MAX_PAGES} pages of an item"));
            break;
        }
        titles.push(title);
    }
    titles
}

/// Whether the link begins with `http`.
fn is_elsewhere(anchor: &NodeRef<'_>) -> bool {
    anchor.attr("href").is_some_and(|href| href.starts_with("http"))
}

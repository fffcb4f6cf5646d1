//! Did you know (contract §2.5).

use super::html::{document, is_style, select, text};
use super::out::{Base, Style, inner_html};
use super::{Compat, pictured};
use crate::lang::{DykLang, js_trim};
use crate::model::DykItem;
use crate::note::{Note, NoteKind, Notes};

/// Most items that are read; wikis have 3 to 10.
pub const MAX_ITEMS: usize = 100;

/// Longest HTML of an item, bytes; items have a few hundred.
pub const MAX_ITEM_BYTES: usize = 64 << 10;

/// The items of a page, with absolute links.
pub fn parse(html: &str, rules: &DykLang, domain: &str, compat: Compat) -> (Vec<DykItem>, Vec<Note>) {
    let mut notes = Notes::new();
    let document = document(html, &mut notes);
    let elements = select(&document, &rules.items);
    if elements.is_empty() {
        notes.add(NoteKind::NothingMatched, rules.items.css());
    }
    let base = Base {
        domain,
        page: &rules.page,
    };
    let style = if compat.original_dyk_links {
        Style::OriginalLinks(base)
    } else {
        Style::Clean(base)
    };
    let remove = |html| pictured::remove(html, rules.pictured.as_ref(), !compat.raw_html);
    let mut items = Vec::with_capacity(elements.len().min(MAX_ITEMS));
    for element in elements {
        if items.len() == MAX_ITEMS {
            notes.add(NoteKind::LimitReached, format!("{MAX_ITEMS} items"));
            break;
        }
        let html = inner_html(element, style, |_| false);
        if html.len() > MAX_ITEM_BYTES {
            notes.add(NoteKind::ItemDropped, html);
            continue;
        }
        let html = remove(html);
        let text = text(element, MAX_ITEM_BYTES, |node| {
            is_style(node) && !compat.style_text
        });
        let text = remove(js_trim(&text).to_owned());
        if text.is_empty() && !compat.raw_html {
            notes.add(NoteKind::ItemDropped, element.html());
            continue;
        }
        items.push(DykItem { html, text });
    }
    (items, notes.finish())
}

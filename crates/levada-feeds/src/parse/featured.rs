//! Today's featured article: from the `FeedItem` special page to a title (contract §2.1).

use std::sync::LazyLock;

use dom_query::NodeRef;
use serde::Deserialize;

use super::html::{document, is, select, select_in};
use super::title::normalize;
use crate::lang::Selector;
use crate::model::{DbTitle, ImageFile, PageImages, Siteinfo};
use crate::note::{Note, NoteKind, Notes};

static CONTENT: LazyLock<Selector> = LazyLock::new(|| Selector::fixed("div#mw-content-text"));
static BOLD_LINK: LazyLock<Selector> = LazyLock::new(|| Selector::fixed("b > a, a > b"));

/// The title of the featured article: that of the first bold link of the page's content. `None`
/// (the answer is 204) when there is none, or when the wiki would refuse the title.
pub fn parse(html: &str, site: &Siteinfo) -> (Option<DbTitle>, Vec<Note>) {
    let mut notes = Notes::new();
    let title = linked_title(html, &mut notes).and_then(|title| {
        normalize(&title, site)
            .map_err(|error| notes.add(NoteKind::TitleInvalid, format!("{error}: {title}")))
            .ok()
    });
    (title.map(|title| title.db), notes.finish())
}

/// The `title` attribute of the first bold link.
fn linked_title(html: &str, notes: &mut Notes) -> Option<String> {
    let document = document(html, notes);
    let Some(content) = select(&document, &CONTENT).into_iter().next() else {
        notes.add(NoteKind::ContainerMissing, CONTENT.css());
        return None;
    };
    let Some(found) = select_in(content, &BOLD_LINK).into_iter().next() else {
        notes.add(NoteKind::NothingMatched, BOLD_LINK.css());
        return None;
    };
    let title = anchor_of(found).and_then(|anchor| anchor.attr("title"));
    let title = title.filter(|title| !title.is_empty());
    if title.is_none() {
        notes.add(NoteKind::ItemDropped, format!("no title: {}", found.html()));
    }
    title.map(|title| title.to_string())
}

/// The matched anchor, or the one around the matched bold element.
fn anchor_of(found: NodeRef<'_>) -> Option<NodeRef<'_>> {
    if is(&found, "a") {
        Some(found)
    } else {
        found.parent()
    }
}

#[derive(Deserialize)]
struct Answer {
    query: Query,
}

#[derive(Deserialize)]
struct Query {
    pages: Vec<Page>,
}

#[derive(Deserialize)]
struct Page {
    thumbnail: Option<ImageFile>,
    original: Option<ImageFile>,
}

/// The images in the answer to the `pageimages` query, with `https` sources; `None` unless the
/// first page has both (contract §2.1.5).
pub fn page_images(body: &[u8]) -> Option<PageImages> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let page = answer.query.pages.into_iter().next()?;
    Some(PageImages {
        thumbnail: secure(page.thumbnail?),
        original: secure(page.original?),
    })
}

fn secure(mut image: ImageFile) -> ImageFile {
    if let Some(rest) = image.source.strip_prefix("http:") {
        image.source = format!("https:{rest}");
    }
    image
}

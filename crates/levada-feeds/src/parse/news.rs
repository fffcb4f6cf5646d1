//! In the news (contract §2.4).

use std::sync::LazyLock;

use dom_query::NodeRef;

use super::html::{document, is, select, select_in};
use super::link::{Links, is_red};
use super::out::{Base, Style, inner_html};
use super::{Compat, pictured};
use crate::lang::{NewsLang, Selector};
use crate::model::{DbTitle, NewsItem, Siteinfo};
use crate::note::{Note, NoteKind, Notes};

/// Most headlines that are read; wikis have 2 to 11, and each costs a summary per link.
pub const MAX_STORIES: usize = 50;

/// Most links that are followed per story; wikis have up to about 15.
pub const MAX_LINKS: usize = 100;

/// Longest HTML of a story, bytes; stories have a few hundred.
pub const MAX_STORY_BYTES: usize = 64 << 10;

static LINK: LazyLock<Selector> = LazyLock::new(|| Selector::fixed(r#"a[rel="mw:WikiLink"]:not(.new)"#));

/// The news stories of a page: those with HTML and at least one link to an existing page.
pub fn parse(
    html: &str,
    rules: &NewsLang,
    domain: &str,
    site: &Siteinfo,
    compat: Compat,
) -> (Vec<NewsItem>, Vec<Note>) {
    let mut notes = Notes::new();
    let document = document(html, &mut notes);
    let headlines = select(&document, &rules.headlines);
    if headlines.is_empty() {
        notes.add(NoteKind::NothingMatched, rules.headlines.css());
    }
    let base = Base {
        domain,
        page: &rules.page,
    };
    let mut stories = Vec::with_capacity(headlines.len().min(MAX_STORIES));
    for headline in headlines {
        if stories.len() == MAX_STORIES {
            notes.add(NoteKind::LimitReached, format!("{MAX_STORIES} stories"));
            break;
        }
        let links = links(headline, rules, Links { site, compat }, &mut notes);
        let story = story(headline, rules, base, compat);
        if links.is_empty() || story.is_empty() || story.len() > MAX_STORY_BYTES {
            notes.add(NoteKind::ItemDropped, headline.text().trim());
            continue;
        }
        stories.push(NewsItem { links, story });
    }
    (stories, notes.finish())
}

/// Distinct titles that a headline links to, that of the topic first.
fn links(headline: NodeRef<'_>, rules: &NewsLang, links: Links<'_>, notes: &mut Notes) -> Vec<DbTitle> {
    let mut titles: Vec<DbTitle> = Vec::new();
    for anchor in select_in(headline, &LINK) {
        let Some(title) = links.title(&anchor, notes) else {
            continue;
        };
        if titles.contains(&title) {
            continue;
        }
        if titles.len() == MAX_LINKS {
            notes.add(NoteKind::LimitReached, format!("{MAX_LINKS} links in a story"));
            break;
        }
        titles.push(title);
    }
    let topic = select_in(headline, &rules.topic).into_iter().next();
    let topic = topic.filter(|anchor| !is_red(anchor));
    // The topic is one of the links, so that its troubles have been noted.
    let topic = topic.and_then(|anchor| links.title(&anchor, &mut Notes::new()));
    if let Some(at) = topic.and_then(|topic| titles.iter().position(|title| *title == topic)) {
        titles[..=at].rotate_right(1);
    }
    titles
}

/// The HTML of a headline without floating images and the remark "(pictured)".
fn story(headline: NodeRef<'_>, rules: &NewsLang, base: Base<'_>, compat: Compat) -> String {
    let style = if compat.raw_html {
        Style::Raw
    } else {
        Style::Clean(base)
    };
    let html = inner_html(headline, style, is_floating);
    let html = pictured::remove(html, rules.pictured.as_ref(), !compat.raw_html);
    if compat.raw_html {
        html
    } else {
        html.trim().to_owned()
    }
}

/// Whether the node is `span[style^="float:right"]`.
fn is_floating(node: &NodeRef<'_>) -> bool {
    is(node, "span")
        && node
            .attr("style")
            .is_some_and(|style| style.starts_with("float:right"))
}

//! From a link to the title of the page it leads to (contract §2.0.5).

use dom_query::NodeRef;
use percent_encoding::percent_decode_str;

use super::Compat;
use super::html::is;
use super::out::has_scheme;
use super::title::normalize;
use crate::model::{DbTitle, Siteinfo};
use crate::note::{NoteKind, Notes, OriginalError};

/// Attribute with the title before conversion to a language variant.
const VARIANT_ORIGINAL: &str = "data-mw-variant-orig";

/// Namespaces without articles: media, special, file, MediaWiki, template, category, module.
const NO_ARTICLES: [i64; 7] = [-2, -1, 6, 8, 10, 14, 828];

/// What is needed to follow links.
#[derive(Clone, Copy)]
pub(super) struct Links<'a> {
    pub(super) site: &'a Siteinfo,
    pub(super) compat: Compat,
}

impl Links<'_> {
    /// The title that an anchor leads to; `None`, and noted, when it leads to no article.
    pub(super) fn title(&self, anchor: &NodeRef<'_>, notes: &mut Notes) -> Option<DbTitle> {
        let original = anchor.attr(VARIANT_ORIGINAL);
        let href = anchor.attr("href");
        let (target, is_href) = match (&original, &href) {
            (Some(original), _) => (original.as_ref(), false),
            (None, Some(href)) => (href.as_ref(), true),
            (None, None) => {
                let text = anchor.text();
                notes.add_original(NoteKind::LinkDropped, OriginalError::TypeError, &text);
                return None;
            }
        };
        if self.compat.raw_link_titles {
            let title = original_title(target, is_href);
            return (!title.is_empty()).then(|| DbTitle::new(title));
        }
        self.article(target, is_href, notes)
    }

    /// The title by the better rules: decoded, normalised, an article's.
    fn article(&self, target: &str, is_href: bool, notes: &mut Notes) -> Option<DbTitle> {
        let Some(title) = (if is_href {
            page_of(target)
        } else {
            Some(target.into())
        }) else {
            notes.add(NoteKind::LinkDropped, target);
            return None;
        };
        let title = match normalize(&title, self.site) {
            Ok(title) => title,
            Err(error) => {
                notes.add(NoteKind::TitleInvalid, format!("{error}: {title}"));
                return None;
            }
        };
        if NO_ARTICLES.contains(&title.ns) && !self.compat.all_links {
            notes.add(NoteKind::LinkDropped, target);
            return None;
        }
        Some(title.db)
    }
}

/// The title as the original takes it: no decoding, no rules.
fn original_title(target: &str, is_href: bool) -> &str {
    let target = if is_href {
        target.strip_prefix("./").unwrap_or(target)
    } else {
        target
    };
    target.split('#').next().unwrap_or(target)
}

/// The page of this wiki that a link leads to, decoded; `None` for other sites, scripts and
/// fragments of the same page.
fn page_of(href: &str) -> Option<String> {
    if href.starts_with("//") || has_scheme(href) {
        return None;
    }
    let target = match href.strip_prefix("./").or_else(|| href.strip_prefix("/wiki/")) {
        Some(target) => target,
        None if href.starts_with('/') => return None,
        None => href,
    };
    let target = target.split(['#', '?']).next()?;
    if target.is_empty() {
        return None;
    }
    percent_decode_str(target)
        .decode_utf8()
        .ok()
        .map(std::borrow::Cow::into_owned)
}

/// Whether the anchor leads to a page that does not exist.
pub(super) fn is_red(anchor: &NodeRef<'_>) -> bool {
    anchor.has_class("new")
}

/// Whether the anchor belongs to a footnote: its parent or grandparent has the class `reference`.
pub(super) fn is_reference(anchor: &NodeRef<'_>) -> bool {
    anchor
        .ancestors_it(Some(2))
        .any(|node| node.is_element() && node.has_class("reference"))
}

/// Whether the node is an anchor.
pub(super) fn is_anchor(node: &NodeRef<'_>) -> bool {
    is(node, "a")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::original_error;
    use crate::parse::html::document;

    fn check(anchor: &str, fixed: Option<&str>, original: Option<&str>) {
        let site = Siteinfo::default();
        let doc = document(&format!("<body>{anchor}</body>"), &mut Notes::new());
        let node = doc.select_single("a").nodes()[0];
        for (compat, expected) in [(Compat::FIXED, fixed), (Compat::WIKIFEEDS, original)] {
            let links = Links { site: &site, compat };
            let title = links.title(&node, &mut Notes::new());
            assert_eq!(title.as_ref().map(DbTitle::as_str), expected, "{anchor}");
        }
    }

    #[test]
    fn titles_of_links() {
        check(r#"<a href="./Foo_bar#x">"#, Some("Foo_bar"), Some("Foo_bar"));
        check(r#"<a href="./What%3F">"#, Some("What?"), Some("What%3F"));
        check(r#"<a href="./Caf%C3%A9">"#, Some("Café"), Some("Caf%C3%A9"));
        check(r#"<a href="./100%25">"#, Some("100%"), Some("100%25"));
        check(r#"<a href="./%FF">"#, None, Some("%FF"));
        check(r#"<a href="/wiki/1987">"#, Some("1987"), Some("/wiki/1987"));
        check(r#"<a href="Foo">"#, Some("Foo"), Some("Foo"));
        check(
            r#"<a href="./Foo?action=edit&amp;redlink=1">"#,
            Some("Foo"),
            Some("Foo?action=edit&redlink=1"),
        );
        check(
            r#"<a href="./你" data-mw-variant-orig="妳#x">"#,
            Some("妳"),
            Some("妳"),
        );
    }

    #[test]
    fn links_that_lead_to_no_article() {
        check("<a href=\"#cite\">", None, None);
        check(r#"<a href="//x.org/y">"#, None, Some("//x.org/y"));
        check(r#"<a href="https://x.org/y">"#, None, Some("https://x.org/y"));
        check(r#"<a href="./File:X.jpg">"#, None, Some("File:X.jpg"));
        check(r#"<a href="./Special:Search">"#, None, Some("Special:Search"));
        check(
            r#"<a href="/w/index.php?title=X">"#,
            None,
            Some("/w/index.php?title=X"),
        );
        check(r#"<a href="./a%7Cb">"#, None, Some("a%7Cb"));
        check("<a>", None, None);
        check(r#"<a href="">"#, None, None);
    }

    #[test]
    fn an_anchor_without_target_would_have_failed_the_original() {
        let site = Siteinfo::default();
        let doc = document("<a>x</a>", &mut Notes::new());
        let mut notes = Notes::new();
        let links = Links {
            site: &site,
            compat: Compat::FIXED,
        };
        assert_eq!(links.title(&doc.select_single("a").nodes()[0], &mut notes), None);
        assert_eq!(original_error(&notes.finish()), Some(OriginalError::TypeError));
    }
}

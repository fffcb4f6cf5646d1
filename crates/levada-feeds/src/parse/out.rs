//! Writing a part of a page as HTML.
//!
//! The serialisation is that of `innerHTML` as the original's DOM has it: `&`, no-break space, `<`
//! and `>` escaped in text; `&`, no-break space and `"` in attributes, where `<` and `>` stay
//! (contract §10). By default what only Parsoid needs is left out and links are made absolute.

use std::borrow::Cow;

use dom_query::NodeRef;

use super::html::{Step, is, is_style, walk};

/// Elements without content and end tag.
const VOID: [&str; 18] = [
    "area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input", "keygen",
    "link", "meta", "param", "source", "track", "wbr",
];

/// Elements whose text is written as it is.
const RAW_TEXT: [&str; 7] = [
    "style",
    "script",
    "xmp",
    "iframe",
    "noembed",
    "noframes",
    "plaintext",
];

/// Attributes that mean something only to Parsoid, besides those that begin with [`PARSOID_DATA`].
const GENERATED: [&str; 3] = ["about", "data-parsoid", "typeof"];

/// How Parsoid's own data attributes begin: `data-mw`, `data-mw-variant`, `data-mw-section-id`.
const PARSOID_DATA: &str = "data-mw";

/// Where links lead that are relative.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base<'a> {
    /// Domain of the wiki.
    pub(super) domain: &'a str,
    /// Title of the page that the HTML is from.
    pub(super) page: &'a str,
}

/// What to do with links and generated attributes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Style<'a> {
    /// As it stands.
    Raw,
    /// As it stands, but with the link rewriting of the original's did-you-know (contract §2.5).
    OriginalLinks(Base<'a>),
    /// Absolute links, no generated attributes, no style sheets.
    Clean(Base<'a>),
}

/// The HTML of the children of a node, without the elements for which `skip` holds.
pub(super) fn inner_html(root: NodeRef<'_>, style: Style<'_>, skip: impl Fn(&NodeRef<'_>) -> bool) -> String {
    let out = std::cell::RefCell::new(String::new());
    let clean = matches!(style, Style::Clean(_));
    walk(
        root,
        |node| {
            let mut out = out.borrow_mut();
            if node.is_text() {
                let raw = node
                    .parent()
                    .and_then(|p| p.node_name())
                    .is_some_and(|name| RAW_TEXT.contains(&name.as_ref()));
                let text = node.text();
                if raw {
                    out.push_str(&text)
                } else {
                    escape(&text, false, &mut out)
                }
                return Step::Over;
            }
            if node.is_comment() {
                out.push_str(&node.html());
                return Step::Over;
            }
            let Some(name) = node.node_name() else {
                return Step::Over;
            };
            if skip(&node) || (clean && is_dropped(&node)) {
                return Step::Over;
            }
            open(&node, &name, style, &mut out);
            if VOID.contains(&name.as_ref()) {
                Step::Over
            } else {
                Step::Into
            }
        },
        |node| {
            if let Some(name) = node.node_name() {
                let mut out = out.borrow_mut();
                out.push_str("</");
                out.push_str(&name);
                out.push('>');
            }
        },
    );
    out.into_inner()
}

/// Style sheets and references to them.
fn is_dropped(node: &NodeRef<'_>) -> bool {
    is_style(node) || is(node, "link") || is(node, "meta")
}

/// Writes a start tag.
fn open(node: &NodeRef<'_>, name: &str, style: Style<'_>, out: &mut String) {
    out.push('<');
    out.push_str(name);
    for attribute in node.attrs() {
        let key: &str = &attribute.name.local;
        let value: &str = &attribute.value;
        let mut value = Cow::Borrowed(value);
        match style {
            Style::Raw => {}
            Style::OriginalLinks(base) => {
                if key == "href" && name == "a" && !value.starts_with("http") {
                    let target = value.strip_prefix("./").unwrap_or(&value);
                    value = format!("https://{}/wiki/{target}", base.domain).into();
                }
            }
            Style::Clean(base) => {
                let generated_id = key == "id" && value.starts_with("mw");
                if generated_id || GENERATED.contains(&key) || key.starts_with(PARSOID_DATA) {
                    continue;
                }
                if matches!(key, "href" | "src" | "resource" | "poster") {
                    value = absolute(&value, base).into_owned().into();
                }
            }
        }
        out.push(' ');
        if let Some(prefix) = &attribute.name.prefix {
            out.push_str(prefix);
            out.push(':');
        }
        out.push_str(key);
        out.push_str("=\"");
        escape(&value, true, out);
        out.push('"');
    }
    out.push('>');
    if matches!(name, "pre" | "textarea" | "listing") {
        let begins_with_newline = node
            .first_child()
            .is_some_and(|child| child.is_text() && child.text().starts_with('\n'));
        if begins_with_newline {
            out.push('\n');
        }
    }
}

/// A link as an absolute URL; what already is one stays as it is.
pub(super) fn absolute<'v>(target: &'v str, base: Base<'_>) -> Cow<'v, str> {
    let Base { domain, page } = base;
    if let Some(rest) = target.strip_prefix("./") {
        return format!("https://{domain}/wiki/{rest}").into();
    }
    if target.starts_with("//") {
        return format!("https:{target}").into();
    }
    if target.starts_with('/') {
        return format!("https://{domain}{target}").into();
    }
    if target.starts_with('#') {
        return format!("https://{domain}/wiki/{}{target}", page.replace(' ', "_")).into();
    }
    if has_scheme(target) {
        return target.into();
    }
    format!("https://{domain}/wiki/{target}").into()
}

/// Whether a link begins with a scheme of other sites or programs. A page may have a colon too
/// (`Talk:X`), so that a scheme is known by `//` or by name.
pub(super) fn has_scheme(target: &str) -> bool {
    let Some((scheme, rest)) = target.split_once(':') else {
        return false;
    };
    let formed = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let named = [
        "mailto",
        "tel",
        "sms",
        "data",
        "javascript",
        "geo",
        "urn",
        "bitcoin",
    ];
    formed && (rest.starts_with("//") || named.iter().any(|n| n.eq_ignore_ascii_case(scheme)))
}

/// Writes text or an attribute value, escaped.
fn escape(text: &str, attribute: bool, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '\u{A0}' => out.push_str("&nbsp;"),
            '"' if attribute => out.push_str("&quot;"),
            '<' if !attribute => out.push_str("&lt;"),
            '>' if !attribute => out.push_str("&gt;"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::Notes;
    use crate::parse::html::document;

    const BASE: Base<'static> = Base {
        domain: "en.wikipedia.org",
        page: "Template:In the news",
    };

    fn check(html: &str, style: Style<'_>, expected: &str) {
        let doc = document(&format!("<body>{html}</body>"), &mut Notes::new());
        let body = doc.body().expect("a body");
        assert_eq!(inner_html(body, style, |_| false), expected);
    }

    #[test]
    fn raw_html_is_that_of_inner_html() {
        check(
            r#"<!--Jul 07--><a title="a&lt;b&quot;&amp;&nbsp;" id="mwA">x &lt; y &amp;&nbsp;<br>z</a><style>a > b</style><pre>

x</pre>"#,
            Style::Raw,
            "<!--Jul 07--><a title=\"a<b&quot;&amp;&nbsp;\" id=\"mwA\">x &lt; y &amp;&nbsp;<br>z</a><style>a > b</style><pre>\n\nx</pre>",
        );
    }

    #[test]
    fn clean_html_has_absolute_links_and_nothing_of_parsoid() {
        check(
            r##"<b id="mwCA" about="#mwt1" data-mw-variant="{}"><a rel="mw:WikiLink" href="./A%3F" title="A?" id="mwB">A</a></b><a href="//x.org/y" id="own">y</a><a href="/wiki/Z">z</a><a href="#s">s</a><a href="mailto:a@b">m</a><style>x</style><link rel="x"><img src="//u/i.png">"##,
            Style::Clean(BASE),
            "<b><a rel=\"mw:WikiLink\" href=\"https://en.wikipedia.org/wiki/A%3F\" title=\"A?\">A</a></b><a href=\"https://x.org/y\" id=\"own\">y</a><a href=\"https://en.wikipedia.org/wiki/Z\">z</a><a href=\"https://en.wikipedia.org/wiki/Template:In_the_news#s\">s</a><a href=\"mailto:a@b\">m</a><img src=\"https://u/i.png\">",
        );
    }

    #[test]
    fn case_80_the_original_mangles_links() {
        check(
            r##"<a href="./A">a</a><a href="//x.org/y">y</a><a href="#s">s</a><a href="https://z/">z</a>"##,
            Style::OriginalLinks(BASE),
            "<a href=\"https://en.wikipedia.org/wiki/A\">a</a><a href=\"https://en.wikipedia.org/wiki///x.org/y\">y</a><a href=\"https://en.wikipedia.org/wiki/#s\">s</a><a href=\"https://z/\">z</a>",
        );
    }
}

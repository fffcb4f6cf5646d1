//! HTML of a wiki, made safe to show: a few harmless elements, links that lead to the web and nothing else.
//!
//! Wikis clean their HTML themselves; this does not rely on it, because a page of ours and other people's feed readers
//! show it.

use super::escape;
use crate::parse::html::piece;
use dom_query::NodeRef;

/// Longest piece of HTML that is cleaned, bytes; a story has a few hundred.
const LONGEST: usize = 256 << 10;
/// Elements that stay. Others go, their content stays.
const KEPT: [&str; 22] = [
    "a",
    "abbr",
    "b",
    "blockquote",
    "br",
    "cite",
    "code",
    "em",
    "i",
    "li",
    "ol",
    "p",
    "q",
    "s",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "time",
    "u",
    "ul",
];
/// Elements that go with their content.
const DROPPED: [&str; 12] = [
    "script", "style", "template", "iframe", "object", "embed", "noscript", "svg", "math", "head", "title",
    "textarea",
];

/// The HTML, safe, with relative links leading to the wiki.
pub(crate) fn clean(html: &str, domain: &str) -> String {
    let document = piece(&html[..html.floor_char_boundary(LONGEST)]);
    let mut out = String::with_capacity(html.len());
    let Some(root) = document.body() else {
        return out;
    };
    // Walked without recursion: nesting is the page's to choose.
    let mut next = root.first_child();
    while let Some(node) = next {
        if enter(&node, domain, &mut out)
            && let Some(child) = node.first_child()
        {
            next = Some(child);
            continue;
        }
        leave(&node, &mut out);
        let mut at = node;
        next = loop {
            if let Some(sibling) = at.next_sibling() {
                break Some(sibling);
            }
            match at.parent() {
                Some(parent) if parent.id != root.id => {
                    leave(&parent, &mut out);
                    at = parent;
                }
                _ => break None,
            }
        };
    }
    out
}

/// Writes what comes before the children; whether there are any to look at.
fn enter(node: &NodeRef<'_>, domain: &str, out: &mut String) -> bool {
    if node.is_text() {
        out.push_str(&escape(&node.text()));
        return false;
    }
    let Some(name) = node.node_name() else {
        return false;
    };
    let name: &str = &name;
    if DROPPED.contains(&name) {
        return false;
    }
    if KEPT.contains(&name) {
        out.push('<');
        out.push_str(name);
        for attribute in ["href", "title", "lang", "dir"] {
            let Some(value) = node.attr(attribute) else {
                continue;
            };
            let value = if attribute == "href" {
                match web_link(&value, domain) {
                    Some(link) if name == "a" => link,
                    _ => continue,
                }
            } else {
                value.to_string()
            };
            out.push_str(&format!(" {attribute}=\"{}\"", escape(&value)));
        }
        out.push('>');
    }
    true
}

fn leave(node: &NodeRef<'_>, out: &mut String) {
    if let Some(name) = node.node_name() {
        let name: &str = &name;
        if name != "br" && KEPT.contains(&name) {
            out.push_str(&format!("</{name}>"));
        }
    }
}

/// A link as an absolute URL of the web; `None` for what leads elsewhere (`javascript:`, `data:`, fragments).
fn web_link(href: &str, domain: &str) -> Option<String> {
    let href = href.trim();
    if href.starts_with("https://") || href.starts_with("http://") {
        return Some(href.to_owned());
    }
    if let Some(rest) = href.strip_prefix("//") {
        return Some(format!("https://{rest}"));
    }
    if let Some(page) = href.strip_prefix("./") {
        return Some(format!("https://{domain}/wiki/{page}"));
    }
    if href.starts_with('/') {
        return Some(format!("https://{domain}{href}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(html: &str, expected: &str) {
        assert_eq!(clean(html, "en.wikipedia.org"), expected, "{html}");
    }

    #[test]
    fn harmless_things_stay_and_links_become_absolute() {
        check(
            r#"The <b id="mwA"><a rel="mw:WikiLink" href="./A%3F" title="A?">A &amp; B</a></b><br>wins"#,
            r#"The <b><a href="https://en.wikipedia.org/wiki/A%3F" title="A?">A &amp; B</a></b><br>wins"#,
        );
        check(
            r#"<a href="//x.org/y">y</a>"#,
            r#"<a href="https://x.org/y">y</a>"#,
        );
    }

    #[test]
    fn everything_that_runs_or_loads_is_gone() {
        check(r#"a<script>alert(1)</script><style>b{}</style>c"#, "ac");
        check(r#"<a href="javascript:alert(1)" onclick="x()">x</a>"#, "<a>x</a>");
        check(r#"<a href=" JaVaScRiPt:alert(1)">x</a>"#, "<a>x</a>");
        check(r#"<img src=x onerror=alert(1)>t"#, "t");
        check(r#"<svg><a xlink:href="javascript:1">x</a></svg>t"#, "t");
        check("<!-- <script> -->t", "t");
        check(
            r#"<span title="&quot;><script>">x</span>"#,
            r#"<span title="&quot;&gt;&lt;script&gt;">x</span>"#,
        );
    }

    #[test]
    fn deep_nesting_is_no_trouble() {
        let deep = "<b>".repeat(20_000);
        assert!(clean(&deep, "x.org").starts_with("<b>"));
    }
}

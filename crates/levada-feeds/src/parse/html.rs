//! A foreign page as a tree, and walking it without recursion.

use dom_query::{Document, NodeRef};

use crate::lang::Selector;
use crate::note::{NoteKind, Notes, cut};

/// Longest page that is read, in bytes; source pages have 3 to 300 KB, and building a tree takes
/// about ten times the memory of its text.
pub const MAX_HTML_BYTES: usize = 4 << 20;

/// Parses a whole document; what is past [`MAX_HTML_BYTES`] is not read, and noted.
pub(super) fn document(html: &str, notes: &mut Notes) -> Document {
    let read = cut(html, MAX_HTML_BYTES);
    if read.len() < html.len() {
        notes.add(
            NoteKind::HtmlTruncated,
            format!("{} of {} bytes read", read.len(), html.len()),
        );
    }
    Document::from(read)
}

/// The descendants of the document that a selector matches, in document order.
pub(super) fn select<'a>(document: &'a Document, selector: &Selector) -> Vec<NodeRef<'a>> {
    document.select_matcher(selector.matcher()).nodes().to_vec()
}

/// The descendants of an element that a selector matches, in document order. As with
/// `querySelectorAll`, ancestors of the element take part in the matching.
pub(super) fn select_in<'a>(node: NodeRef<'a>, selector: &Selector) -> Vec<NodeRef<'a>> {
    dom_query::Selection::from(node)
        .select_matcher(selector.matcher())
        .nodes()
        .to_vec()
}

/// Whether to look at the children of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Into,
    Over,
}

/// Visits the descendants of a node in document order; `leave` is called for each node that was
/// entered with [`Step::Into`], after its children.
pub(super) fn walk<'a>(
    root: NodeRef<'a>,
    mut enter: impl FnMut(NodeRef<'a>) -> Step,
    mut leave: impl FnMut(NodeRef<'a>),
) {
    let mut next = root.first_child();
    while let Some(node) = next {
        if enter(node) == Step::Into {
            if let Some(child) = node.first_child() {
                next = Some(child);
                continue;
            }
            leave(node);
        }
        // Up until there is a sibling, out at the root.
        let mut at = node;
        next = loop {
            if let Some(sibling) = at.next_sibling() {
                break Some(sibling);
            }
            match at.parent() {
                Some(parent) if parent.id != root.id => {
                    leave(parent);
                    at = parent;
                }
                _ => break None,
            }
        };
    }
}

/// The text of a node and its descendants, without that of elements for which `skip` holds.
pub(super) fn text(root: NodeRef<'_>, skip: impl Fn(&NodeRef<'_>) -> bool) -> String {
    let mut out = String::new();
    walk(
        root,
        |node| {
            if node.is_text() {
                out.push_str(&node.text());
                return Step::Over;
            }
            if skip(&node) { Step::Over } else { Step::Into }
        },
        |_| {},
    );
    out
}

/// Whether the node is an element of that name, in lower case.
pub(super) fn is(node: &NodeRef<'_>, name: &str) -> bool {
    node.has_name(name)
}

/// Whether the node carries style sheets, whose text is not content.
pub(super) fn is_style(node: &NodeRef<'_>) -> bool {
    is(node, "style")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walking_visits_everything_once_and_leaves_what_it_entered() {
        let doc = document("<body><p>a<b>c<i></i></b>d</p><p>e</p></body>", &mut Notes::new());
        let body = doc.body().expect("a body");
        let (mut entered, mut left) = (Vec::new(), Vec::new());
        let name = |node: NodeRef<'_>| {
            node.node_name()
                .map_or_else(|| node.text().to_string(), |n| n.to_string())
        };
        walk(
            body,
            |node| {
                entered.push(name(node));
                if is(&node, "b") { Step::Over } else { Step::Into }
            },
            |node| left.push(name(node)),
        );
        assert_eq!(entered, ["p", "a", "b", "d", "p", "e"]);
        assert_eq!(left, ["a", "d", "p", "e", "p"]);
        assert_eq!(text(body, |n| is(n, "b")), "ade");
    }

    #[test]
    fn long_pages_are_cut_and_noted() {
        let mut notes = Notes::new();
        let html = format!("<p>{}</p>", "é".repeat(MAX_HTML_BYTES / 2));
        let doc = document(&html, &mut notes);
        assert!(doc.text().len() <= MAX_HTML_BYTES);
        assert_eq!(notes.finish()[0].kind, NoteKind::HtmlTruncated);
    }
}

//! A foreign page as a tree, and walking it without recursion.
//!
//! A tree is made within bounds of length, depth and size, so that the time and memory that a page takes are in
//! proportion to its length, whatever is in it: a parser looks through the elements that are open for every tag, and
//! opens formatting elements that were left open again in every paragraph.

use std::cell::Cell;
use std::time::{Duration, Instant};

use dom_query::{Document, NodeId, NodeRef};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::tree_builder::{Tracer, TreeBuilderOpts};
use html5ever::{ParseOpts, parse_document};

use crate::lang::Selector;
use crate::note::{NoteKind, Notes, cut};

/// Longest page that is read, in bytes; source pages have 3 to 300 KB, and building a tree takes
/// about ten times the memory of its text.
pub const MAX_HTML_BYTES: usize = 4 << 20;

/// Most elements that are open at the same time. Browsers stop at 512; pages of wikis have 30 to 60.
pub const MAX_OPEN_ELEMENTS: usize = 512;

/// Most nodes of a tree; the longest source pages have about 40,000. Selectors that count siblings take time in the
/// square of their number: a second or two for as many as fit.
pub const MAX_NODES: usize = 150_000;

/// Longest time for a tree; a source page takes 10 to 50 ms. Bounds what the others do not: the parser compares each
/// attribute of a tag with all before it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The tree is looked at whenever so many bytes have been read.
const PIECE_BYTES: usize = 4 << 10;

/// Parses a whole document. What is past [`MAX_HTML_BYTES`], past more than [`MAX_OPEN_ELEMENTS`] open elements or past
/// [`MAX_NODES`] nodes (to within 4 KiB of text) is not read, and noted.
pub(super) fn document(html: &str, notes: &mut Notes) -> Document {
    within(PATIENCE, html, notes)
}

/// Parses a piece of HTML as the content of a body, within the same bounds; what is left out is not noted.
pub(crate) fn piece(html: &str) -> Document {
    within(PATIENCE, &format!("<body>{html}"), &mut Notes::new())
}

fn within(patience: Duration, html: &str, notes: &mut Notes) -> Document {
    let began = Instant::now();
    let bounded = cut(html, MAX_HTML_BYTES);
    let opts = ParseOpts {
        tree_builder: TreeBuilderOpts {
            scripting_enabled: false,
            ..TreeBuilderOpts::default()
        },
        ..ParseOpts::default()
    };
    let mut parser = parse_document(Document::default(), opts);
    let mut rest = bounded;
    let mut obstacle = (bounded.len() < html.len()).then(|| "too long".to_owned());
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES));
        parser.process(StrTendril::from_slice(piece));
        rest = later;
        let builder = &parser.tokenizer.sink;
        let nodes = builder.sink.tree.len();
        let open = Open::default();
        builder.trace_handles(&open);
        if open.0.get() > MAX_OPEN_ELEMENTS {
            obstacle = Some(format!("more than {MAX_OPEN_ELEMENTS} elements are open"));
        } else if nodes > MAX_NODES {
            obstacle = Some(format!("more than {MAX_NODES} nodes"));
        } else if !rest.is_empty() && began.elapsed() > patience {
            obstacle = Some(format!("not done within {} ms", patience.as_millis()));
        } else {
            continue;
        }
        break;
    }
    if let Some(obstacle) = obstacle {
        let read = bounded.len() - rest.len();
        notes.add(
            NoteKind::HtmlTruncated,
            format!("{read} of {} bytes read: {obstacle}", html.len()),
        );
    }
    parser.finish()
}

/// Counts what a parser holds on to: the elements that are open, and a few others.
#[derive(Default)]
struct Open(Cell<usize>);

impl Tracer for Open {
    type Handle = NodeId;

    fn trace_handle(&self, _: &NodeId) {
        self.0.set(self.0.get() + 1);
    }
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

/// The text of a node and its descendants, without that of elements for which `skip` holds; at most about `most` bytes,
/// because what a page nests is otherwise read, and kept, once per level.
pub(super) fn text(root: NodeRef<'_>, most: usize, skip: impl Fn(&NodeRef<'_>) -> bool) -> String {
    let mut out = String::new();
    walk(
        root,
        |node| {
            if out.len() >= most {
                return Step::Over;
            }
            if node.is_text() {
                out.push_str(cut(&node.text(), most - out.len()));
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
        assert_eq!(text(body, 100, |n| is(n, "b")), "ade");
        assert_eq!(text(body, 2, |n| is(n, "b")), "ad");
    }

    #[test]
    fn long_pages_are_cut_and_noted() {
        let mut notes = Notes::new();
        let html = format!("<p>{}</p>", "é".repeat(MAX_HTML_BYTES / 2));
        let doc = document(&html, &mut notes);
        assert!(doc.text().len() <= MAX_HTML_BYTES);
        assert_eq!(notes.finish()[0].kind, NoteKind::HtmlTruncated);
    }

    #[test]
    fn pieces_make_the_same_tree_as_the_whole() {
        // Tags, entities and characters of several bytes lie across the ends of pieces.
        let item = "<li class=\"é\"><a href='./Ö'>ü &amp; &nbsp;x</a><!-- ß --></li>";
        for shift in 0..item.len() {
            let html = format!("<body>{}<ul>{}</ul>", "-".repeat(shift), item.repeat(200));
            let mut notes = Notes::new();
            assert_eq!(
                document(&html, &mut notes).html(),
                Document::from(html.as_str()).html()
            );
            assert!(notes.finish().is_empty());
        }
    }

    #[test]
    fn hostile_pages_end_early_and_are_noted() {
        let deep = "<div>".repeat(100_000);
        let open = (0..100_000).map(|n| format!("<b id={n}>")).collect::<String>();
        let reopened = (0..300)
            .map(|n| format!("<i id={n}>"))
            .chain((0..100_000).map(|_| "<p>a".to_owned()))
            .collect::<String>();
        let fostered = format!("<table>{deep}");
        let many = "<i></i>".repeat(MAX_HTML_BYTES / 7);
        for html in [&deep, &open, &reopened, &fostered, &many] {
            let mut notes = Notes::new();
            let document = document(html, &mut notes);
            let notes = notes.finish();
            assert_eq!(notes.len(), 1);
            assert_eq!(notes[0].kind, NoteKind::HtmlTruncated, "{}", notes[0].example);
            // One more piece may have been read than the bound allows.
            assert!(document.tree.len() < MAX_NODES + PIECE_BYTES * MAX_OPEN_ELEMENTS / 4);
        }
    }

    #[test]
    fn a_tag_of_attributes_without_end_does_not_hold_a_thread() {
        let attributes: String = (0..400_000).map(|n| format!(" a{n}")).collect();
        let html = format!("<p{attributes}>");
        let mut notes = Notes::new();
        // Without patience a piece is read, and no more.
        within(Duration::ZERO, &html, &mut notes);
        assert_eq!(
            notes.finish()[0].example,
            format!("{PIECE_BYTES} of {} bytes read: not done within 0 ms", html.len())
        );
    }
}

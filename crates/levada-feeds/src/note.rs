//! What a parser noticed while it read a page that is not ours.
//!
//! Parsers never fail: a template that changed, a link that leads nowhere or a row with an
//! impossible title costs the item and leaves a [`Note`]. Notes are aggregated by kind, so that
//! their number is bounded by the number of kinds however strange the page is; `levada feeds check`
//! prints them, and the service in compatibility mode reads from them where the original would have
//! answered with an error.

use std::fmt;

use serde::Serialize;

/// Longest example text kept in a note, in bytes; a page must not be able to fill a log.
pub const MAX_EXAMPLE_BYTES: usize = 200;

/// The kinds of things that a parser can notice, in no order of severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoteKind {
    /// The page is longer than [`crate::parse::MAX_HTML_BYTES`]; the rest was not read.
    HtmlTruncated,
    /// The body is not the JSON that was expected.
    MalformedJson,
    /// The container that the rule looks for (`#mw-content-text`, a section heading) is not there.
    ContainerMissing,
    /// The container is there, but the rule's selector matched nothing: the template may have changed.
    NothingMatched,
    /// A matched element was not an item (no year, no link, no text) and was dropped.
    ItemDropped,
    /// A link that can not lead to an article (no target, other site, file, fragment) was dropped.
    LinkDropped,
    /// A title that MediaWiki would refuse was dropped.
    TitleInvalid,
    /// A row on the deny list or outside the article namespace was dropped.
    RowFiltered,
    /// A summary was not available; what it belonged to was dropped.
    SummaryMissing,
    /// The view history of a row was not available.
    HistoryMissing,
    /// More items than the named bound; the rest was dropped.
    LimitReached,
    /// The template, page or entity asked for does not exist.
    NotFound,
}

impl NoteKind {
    /// The kind as it is printed and counted: `nothing-matched`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HtmlTruncated => "html-truncated",
            Self::MalformedJson => "malformed-json",
            Self::ContainerMissing => "container-missing",
            Self::NothingMatched => "nothing-matched",
            Self::ItemDropped => "item-dropped",
            Self::LinkDropped => "link-dropped",
            Self::TitleInvalid => "title-invalid",
            Self::RowFiltered => "row-filtered",
            Self::SummaryMissing => "summary-missing",
            Self::HistoryMissing => "history-missing",
            Self::LimitReached => "limit-reached",
            Self::NotFound => "not-found",
        }
    }

    /// Whether an operator should look: the page no longer has the shape that the rule describes.
    pub fn is_suspicious(self) -> bool {
        matches!(
            self,
            Self::HtmlTruncated
                | Self::MalformedJson
                | Self::ContainerMissing
                | Self::NothingMatched
                | Self::LimitReached
        )
    }
}

/// The exception that the node service throws where Levada goes on.
///
/// In compatibility mode the service answers 500 with this as the title of the error body
/// (contract §1.2: "any other exception → 500, title = JS error class").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum OriginalError {
    /// A member of `undefined` was read.
    TypeError,
    /// A title was refused by the title rules.
    TitleError,
}

impl OriginalError {
    /// The JS class name, as it appears in the `title` of the error body.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TypeError => "TypeError",
            Self::TitleError => "TitleError",
        }
    }
}

/// One kind of thing noticed, how often, and the first example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What was noticed.
    pub kind: NoteKind,
    /// How often it was noticed in this page; at least 1.
    pub count: usize,
    /// The first example, cut to [`MAX_EXAMPLE_BYTES`].
    pub example: String,
    /// Set when the node service answers this input with a 500 instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<OriginalError>,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ×{}: {}", self.kind.as_str(), self.count, self.example)
    }
}

/// The first error that the node service would have thrown on this input, if any.
pub fn original_error(notes: &[Note]) -> Option<OriginalError> {
    notes.iter().find_map(|note| note.original)
}

/// Collects notes while a parser runs: one entry per kind and original error.
#[derive(Debug, Default)]
pub struct Notes(Vec<Note>);

impl Notes {
    /// An empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes one occurrence.
    pub fn add(&mut self, kind: NoteKind, example: impl AsRef<str>) {
        self.push(kind, example.as_ref(), None);
    }

    /// Notes one occurrence on which the node service throws.
    pub fn add_original(&mut self, kind: NoteKind, error: OriginalError, example: impl AsRef<str>) {
        self.push(kind, example.as_ref(), Some(error));
    }

    /// The notes in the order in which each kind was first seen.
    pub fn finish(self) -> Vec<Note> {
        self.0
    }

    fn push(&mut self, kind: NoteKind, example: &str, original: Option<OriginalError>) {
        let known = self
            .0
            .iter_mut()
            .find(|n| n.kind == kind && n.original == original);
        if let Some(note) = known {
            note.count += 1;
            return;
        }
        self.0.push(Note {
            kind,
            count: 1,
            example: cut(example, MAX_EXAMPLE_BYTES).to_owned(),
            original,
        });
    }
}

/// The longest prefix of `text` of at most `max` bytes that ends on a character boundary.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_one_per_kind_with_a_count_and_the_first_example() {
        let mut notes = Notes::new();
        notes.add(NoteKind::LinkDropped, "first");
        notes.add(NoteKind::LinkDropped, "second");
        notes.add_original(NoteKind::LinkDropped, OriginalError::TypeError, "third");
        let notes = notes.finish();
        assert_eq!(notes.len(), 2);
        assert_eq!((notes[0].count, notes[0].example.as_str()), (2, "first"));
        assert_eq!(original_error(&notes), Some(OriginalError::TypeError));
    }

    #[test]
    fn examples_are_cut_on_a_character_boundary() {
        let mut notes = Notes::new();
        notes.add(NoteKind::ItemDropped, "é".repeat(MAX_EXAMPLE_BYTES));
        let notes = notes.finish();
        assert_eq!(notes[0].example.len(), MAX_EXAMPLE_BYTES);
        assert_eq!(notes[0].to_string().chars().filter(|&c| c == 'é').count(), 100);
    }
}

//! Projections: which parts of an event a subscriber wants to see.
//!
//! A projection is a set of [`FieldPath`]s, compiled with a filter into a
//! [`Selection`](crate::select::Selection). What comes out (contract realtime §1.6):
//! * Keys keep the event's order and values their text; nothing is invented.
//! * `meta` and `meta.*` both select the whole value; a wide and a narrow path together are their
//!   union.
//! * A path that leads through an array selects from every element that is an object; other elements are
//!   left out, and so is an array that held nothing else.
//! * An object on the way to something selected appears even if nothing of it was there to select (`{}`). A
//!   null or scalar on the way does not.

use crate::path::{FieldPath, PathError};

/// Most fields in a projection (contract realtime §1.3).
pub const FIELDS_MAX: usize = 255;

/// Why a projection is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProjectionError {
    /// A field path is malformed.
    #[error(transparent)]
    Path(#[from] PathError),
    /// No field is named.
    #[error(
        "no field is named: write field paths joined by commas, as in fields=meta.*,title, or leave the parameter out"
    )]
    Empty,
    /// More than [`FIELDS_MAX`] fields.
    #[error("at most {FIELDS_MAX} fields can be selected, here are {0}: select whole objects, as in meta.*")]
    TooMany(usize),
}

/// A set of selected fields. Projections that select the same fields are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Projection {
    /// Sorted; no path lies within another one.
    paths: Vec<FieldPath>,
}

impl Projection {
    /// A projection of these fields.
    ///
    /// # Errors
    /// [`ProjectionError`] for none or too many.
    pub fn new(paths: impl IntoIterator<Item = FieldPath>) -> Result<Self, ProjectionError> {
        let mut paths: Vec<FieldPath> = paths.into_iter().collect();
        if paths.is_empty() {
            return Err(ProjectionError::Empty);
        }
        if paths.len() > FIELDS_MAX {
            return Err(ProjectionError::TooMany(paths.len()));
        }
        paths = paths.into_iter().map(FieldPath::widened).collect();
        paths.sort_unstable();
        // In this order whatever lies within a path follows it.
        paths.dedup_by(|next, kept| next.starts_with(kept));
        Ok(Self { paths })
    }

    /// Parses a comma-separated list, as in `meta.*,title,version.editor.name`.
    ///
    /// # Errors
    /// [`ProjectionError`] names the fault.
    pub fn parse(text: &str) -> Result<Self, ProjectionError> {
        Self::new(Self::parse_list(text)?)
    }

    /// The paths of a comma-separated list, in their order.
    ///
    /// # Errors
    /// [`ProjectionError`] names the fault.
    pub fn parse_list(text: &str) -> Result<Vec<FieldPath>, ProjectionError> {
        if text.is_empty() {
            return Err(ProjectionError::Empty);
        }
        let mut paths = Vec::new();
        let mut rest = text;
        loop {
            let (path, end) = FieldPath::parse_until(rest, |c| c == ',')?;
            paths.push(path);
            if paths.len() > FIELDS_MAX {
                return Err(ProjectionError::TooMany(
                    paths.len() + rest[end..].matches(',').count(),
                ));
            }
            match rest[end..].strip_prefix(',') {
                Some(more) => rest = more,
                None => return Ok(paths),
            }
        }
    }

    /// The selected paths, sorted; none lies within another.
    pub fn paths(&self) -> &[FieldPath] {
        &self.paths
    }

    /// Whether the whole event is selected (`*`).
    pub fn is_everything(&self) -> bool {
        self.paths.first().is_some_and(FieldPath::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let projection = Projection::parse(text).unwrap();
        projection.paths().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn wide_and_narrow_are_a_union() {
        assert_eq!(
            paths("title,meta.*,meta.domain,a.b.c,a.b"),
            ["a.b.*", "meta.*", "title.*"]
        );
        assert_eq!(paths("a.b,ab,a"), ["a.*", "ab.*"]);
        assert_eq!(paths(r#"a."b,c""#), [r#"a."b,c".*"#]);
        assert!(Projection::parse("a,*").unwrap().is_everything());
        assert_eq!(Projection::parse("a,b.*"), Projection::parse("b,a,a.x"));
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(Projection::parse(""), Err(ProjectionError::Empty));
        assert!(matches!(
            Projection::parse("a,,b"),
            Err(ProjectionError::Path(PathError::MissingKey { .. }))
        ));
        assert!(matches!(
            Projection::parse("a,"),
            Err(ProjectionError::Path(PathError::MissingKey { .. }))
        ));
        let many = vec!["a"; 256].join(",");
        assert_eq!(Projection::parse(&many), Err(ProjectionError::TooMany(256)));
        assert!(Projection::parse(&many[2..]).is_ok());
    }
}

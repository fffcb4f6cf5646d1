//! What one subscriber gets of an event: filter, projection, added fields and redaction, compiled once.
//!
//! [`Selection::apply`] trusts records that intake checked and looks at each byte at most once; where
//! the answer is known before the end (all wanted keys seen, filter decided) it stops there. Records of other
//! origin are checked completely first.

mod leap;
mod pass;
mod plan;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

pub(crate) use plan::{Draft, Plan};

use crate::filter::{Filter, FilterError};
use crate::project::Projection;
use crate::record::{Flags, RecordRef};
use crate::redact::Redaction;
use crate::scan::{Text, Unreadable};
use crate::splice::{Dialect, Origin, escape_separators_from};

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is wanted, and was written.
    Sent,
    /// The filter does not hold.
    FilteredOut,
    /// The record is no event. Delivery counts it and goes on.
    Unreadable,
}

/// Whether characters that some clients take for line ends are escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Separators {
    /// U+2028, U+2029 and U+0085 stay as they are.
    #[default]
    Raw,
    /// They are written as escapes: what clients need that split lines as Python's `splitlines` does
    /// (contracts realtime case 41, client-rules). Records flagged [`Flags::NO_SEPARATORS`] are not searched.
    Escaped,
}

/// What a subscriber wants; the source of a [`Selection`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SelectionSpec {
    /// Which events; `None` is all.
    pub filter: Option<Filter>,
    /// What of them; `None` is everything.
    pub projection: Option<Projection>,
    /// Which fields are added. With a projection they are added where it leaves the object that
    /// receives them (contract realtime §1.6), and that object is created if the event has none.
    pub dialect: Dialect,
    /// Which characters are escaped.
    pub separators: Separators,
    /// What is hidden before filter and projection see the event.
    pub redaction: Option<Arc<Redaction>>,
}

impl Default for SelectionSpec {
    fn default() -> Self {
        Self {
            filter: None,
            projection: None,
            dialect: Dialect::Bare,
            separators: Separators::Raw,
            redaction: None,
        }
    }
}

/// Why a selection cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// The filter exceeds a bound.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// One object's keys are too many.
    #[error(
        "fields and filters name more than {} different keys of one object: select the whole object",
        plan::KEYS_MAX
    )]
    TooManyKeys,
}

/// A compiled selection. Cheap to clone; equal and of equal hash if made from equal wishes (whatever
/// their order), so that subscribers with equal selections can share what was rendered once.
#[derive(Debug, Clone)]
pub struct Selection(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    spec: SelectionSpec,
    /// The filter alone, for events that are then copied as they are.
    check: Option<Plan>,
    /// Everything in one pass.
    full: Plan,
}

impl PartialEq for Selection {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.spec == other.0.spec
    }
}

impl Eq for Selection {}

impl Hash for Selection {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.spec.hash(state);
    }
}

impl Selection {
    /// Compiles a selection.
    ///
    /// # Errors
    /// [`SelectionError`] when a bound is exceeded.
    pub fn new(mut spec: SelectionSpec) -> Result<Self, SelectionError> {
        spec.projection = spec.projection.filter(|p| !p.is_everything());
        spec.redaction = spec.redaction.filter(|r| !r.is_empty());
        let mut full = Draft::default();
        match &spec.projection {
            Some(projection) => full.project(projection)?,
            None => full.everything(),
        }
        full.stamp(spec.dialect)?;
        let mut check = None;
        if let Some(filter) = &spec.filter {
            filter.check()?;
            full.filter(filter, spec.dialect)?;
            if spec.projection.is_none() {
                let mut draft = Draft::default();
                draft.filter(filter, spec.dialect)?;
                check = Some(draft.finish());
            }
        }
        let full = full.finish();
        Ok(Self(Arc::new(Compiled { spec, check, full })))
    }

    /// What the selection was made from.
    pub fn spec(&self) -> &SelectionSpec {
        &self.0.spec
    }

    /// Whether every event is sent as it is stored, but for the added fields and escaped separators.
    pub fn is_plain(&self) -> bool {
        let spec = &self.0.spec;
        spec.filter.is_none() && spec.projection.is_none() && spec.redaction.is_none()
    }

    /// Appends to `out` what the subscriber gets of `record`: one JSON object without line breaks, no frame
    /// around it. `out` is as before unless the verdict is [`Verdict::Sent`].
    pub fn apply(&self, record: RecordRef<'_>, origin: &Origin, out: &mut Vec<u8>) -> Verdict {
        let start = out.len();
        match self.write(record, origin, out) {
            Ok(true) => {
                // Filter, projection, redaction and the added fields bring none in.
                if self.0.spec.separators == Separators::Escaped
                    && !record.flags.contains(Flags::CHECKED.with(Flags::NO_SEPARATORS))
                {
                    escape_separators_from(out, start);
                }
                Verdict::Sent
            }
            Ok(false) => {
                out.truncate(start);
                Verdict::FilteredOut
            }
            Err(Unreadable) => {
                out.truncate(start);
                Verdict::Unreadable
            }
        }
    }

    /// Decides as [`apply`](Self::apply) does, but writes nothing.
    pub fn test(&self, record: RecordRef<'_>, origin: &Origin) -> Verdict {
        let mut ignored = Vec::new();
        self.apply(record, origin, &mut ignored)
    }

    fn write(&self, record: RecordRef<'_>, origin: &Origin, out: &mut Vec<u8>) -> Result<bool, Unreadable> {
        let Compiled { spec, check, full } = &*self.0;
        let mut scratch = Vec::new();
        let mut text = Text::of(record, &mut scratch)?;
        // A position is only good for the text and the object for which intake found it.
        let as_stored = record.flags.contains(Flags::CHECKED) && text.bytes().len() == record.value.len();
        let mut noted = record.splice.get().filter(|_| as_stored);
        let redacted;
        if let Some(redaction) = &spec.redaction
            && let Some(changed) = redaction.redact(text)?
        {
            redacted = changed;
            text = Text::trusted(&redacted)?;
            noted = None;
        }
        let splice = noted.filter(|_| spec.dialect != Dialect::Bare && origin.stored() == spec.dialect);
        let source = Some(pass::Source {
            origin,
            offset: record.offset,
            stamped_end: noted,
        });
        let copies = spec.projection.is_none() && (splice.is_some() || spec.dialect == Dialect::Bare);
        if !copies {
            return Ok(pass::run(full, text, source, out)?);
        }
        if let Some(check) = check
            && !pass::run(check, text, source, out)?
        {
            return Ok(false);
        }
        match splice {
            Some(at) if origin.insert(spec.dialect, record.offset, text.bytes(), at, out) => Ok(true),
            Some(_) => Ok(pass::run(full, text, source, out)?),
            None => {
                out.extend_from_slice(text.bytes());
                Ok(true)
            }
        }
    }
}

/// Runs a plan that only changes text: what redaction is made of.
pub(crate) fn rewrite(plan: &Plan, text: Text<'_>) -> Result<Vec<u8>, Unreadable> {
    let mut out = Vec::with_capacity(text.bytes().len());
    pass::run(plan, text, None, &mut out)?;
    Ok(out)
}

#[cfg(test)]
impl Filter {
    /// Whether the filter holds for `text`.
    pub(crate) fn matches(&self, text: Text<'_>) -> Result<bool, Unreadable> {
        let mut draft = Draft::default();
        draft.filter(self, Dialect::Bare).map_err(|_| Unreadable)?;
        Ok(pass::run(&draft.finish(), text, None, &mut Vec::new())?)
    }
}

#[cfg(test)]
mod tests;

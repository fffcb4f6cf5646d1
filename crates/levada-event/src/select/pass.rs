//! One pass over an event's text: tests, writes and adds what a [`Plan`] says.

use std::ops::Range;

use super::leap;
use super::plan::{Added, Emit, Must, Node, Plan, Verdict};
use crate::filter::{FILTER_TESTS_MAX, Found, Lists, Op};
use crate::json::Kind;
use crate::scan::{Broken, Cursor, NESTING_MAX, Text};
use crate::splice::{Decimal, Origin};

/// Why a pass ended before the event did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The filter cannot hold any more.
    Rejected,
    /// The text is not what it should be.
    Broken,
}

impl From<Broken> for Stop {
    fn from(_: Broken) -> Self {
        Stop::Broken
    }
}

/// A set of tests.
#[derive(Clone, Copy)]
struct Bits([u64; FILTER_TESTS_MAX / 64]);

impl Bits {
    const NONE: Bits = Bits([0; FILTER_TESTS_MAX / 64]);

    fn set(&mut self, test: u16) {
        self.0[usize::from(test) / 64] |= 1 << (test % 64);
    }

    fn has(&self, test: u16) -> bool {
        self.0[usize::from(test) / 64] & 1 << (test % 64) != 0
    }
}

/// Where a text comes from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) origin: &'a Origin,
    pub(super) offset: u64,
    /// The closing brace of the object for which records of this origin note it, where that is known of
    /// this text.
    pub(super) stamped_end: Option<usize>,
}

/// Runs `plan` over `text`, appending to `out` what is selected (nothing if the plan writes nothing).
/// True if the filter holds. Otherwise, and on broken text, what was appended has to be taken back.
pub(super) fn run(
    plan: &Plan,
    text: Text<'_>,
    source: Option<Source<'_>>,
    out: &mut Vec<u8>,
) -> Result<bool, Broken> {
    let mut pass = Pass {
        cursor: Cursor::new(text.bytes()),
        plan,
        source,
        out,
        holds: Bits::NONE,
        fails: Bits::NONE,
        lists: 0,
        depth: 0,
        stamped_end: source.and_then(|source| source.stamped_end),
    };
    let emitting = matches!(plan.root.emit, Emit::Part | Emit::Edit);
    let end = pass
        .added()
        .and_then(|()| pass.object(&plan.root, emitting, true));
    match end {
        Ok(()) => Ok(plan.verdict.as_ref().is_none_or(|v| pass.decide(v))),
        Err(Stop::Rejected) => Ok(false),
        Err(Stop::Broken) => Err(Broken),
    }
}

struct Pass<'a, 't> {
    cursor: Cursor<'t>,
    plan: &'a Plan,
    source: Option<Source<'a>>,
    out: &'a mut Vec<u8>,
    /// Tests that held for some value.
    holds: Bits,
    /// Tests that did not hold for some value.
    fails: Bits,
    /// How many arrays the pass is inside of.
    lists: usize,
    depth: usize,
    /// As [`Source::stamped_end`], until it was tried.
    stamped_end: Option<usize>,
}

impl<'t> Pass<'_, 't> {
    /// Answers tests of the fields that delivery adds.
    fn added(&mut self) -> Result<(), Stop> {
        for &(test, field) in &self.plan.added {
            let Some(Source { origin, offset, .. }) = self.source else {
                self.record(test, false)?;
                continue;
            };
            let digits = Decimal::of(offset);
            let (kind, bytes) = match field {
                Added::Topic => (Kind::String, origin.topic().as_bytes()),
                Added::Partition => (Kind::Number, origin.partition().as_bytes()),
                Added::Offset => (Kind::Number, digits.as_bytes()),
            };
            let found = Found {
                kind,
                bytes,
                escaped: false,
            };
            let holds = self.plan.tests[usize::from(test)].op.matches(&found);
            self.record(test, holds)?;
        }
        Ok(())
    }

    /// The object at the cursor. `emitting` says whether it is written, as `node` wants it (part or edit).
    fn object(&mut self, node: &Node, emitting: bool, root: bool) -> Result<(), Stop> {
        self.enter()?;
        let rest = emitting && node.emit == Emit::Edit;
        let mut left = node.len();
        let mut seen = [0_u64; super::plan::KEYS_MAX / 64];
        let mut wrote = false;
        self.cursor.take(b'{')?;
        if emitting {
            self.out.push(b'{');
        }
        self.cursor.space();
        if self.cursor.peek()? == b'}' {
            self.cursor.at += 1;
        } else if left == 0 {
            self.remainder(rest, root, &mut wrote)?;
        } else {
            loop {
                let key_start = self.cursor.at;
                let key = self.cursor.key()?;
                let key_range = key_start..key_start + key.inner.len() + 2;
                match node.find(key) {
                    Some(index) => {
                        if seen[index / 64] & 1 << (index % 64) == 0 {
                            seen[index / 64] |= 1 << (index % 64);
                            left -= 1;
                        }
                        self.member(node.child(index), key_range, emitting, &mut wrote)?;
                    }
                    None => {
                        let start = self.cursor.at;
                        self.cursor.skip_value()?;
                        if rest {
                            self.copy(key_range, start, &mut wrote);
                        }
                    }
                }
                if !self.cursor.next_entry(b'}')? {
                    break;
                }
                if left == 0 {
                    self.remainder(rest, root, &mut wrote)?;
                    break;
                }
                if left == 1 && root && !rest && self.leap(node, &seen, emitting, &mut wrote) {
                    left = 0;
                    break;
                }
            }
        }
        if left > 0 {
            self.absent(node, &seen, emitting, &mut wrote)?;
        }
        if emitting {
            if node.stamp {
                self.comma(&mut wrote);
                self.stamp();
            }
            self.out.push(b'}');
        }
        self.depth -= 1;
        Ok(())
    }

    /// Only one member of the root is still to come: if it is the object whose end is known, the cursor goes
    /// to its key. True if nothing had to be looked at there and the member is written.
    fn leap(&mut self, node: &Node, seen: &[u64], emitting: bool, wrote: &mut bool) -> bool {
        let Some(Source { origin, .. }) = self.source else {
            return false;
        };
        let Some(end) = self.stamped_end.take() else {
            return false;
        };
        let stored = origin.stored();
        let Some(key) = stored.object() else {
            return false;
        };
        let unseen = |index: &usize| seen[index / 64] & 1 << (index % 64) == 0;
        let Some(index) = node.find_key(key).filter(unseen) else {
            return false;
        };
        let bytes = self.cursor.bytes;
        let Some(at) = leap::key_of_object(bytes, self.cursor.at, key, end) else {
            return false;
        };
        // Where intake notes an end, the object has none of delivery's fields yet.
        if emitting && node.child(index).only_stamped && stored == self.plan.dialect {
            self.comma(wrote);
            self.out.extend_from_slice(&bytes[at..end]);
            if bytes[at..end].trim_ascii_end().last() != Some(&b'{') {
                self.out.push(b',');
            }
            self.stamp();
            self.out.push(b'}');
            return true;
        }
        self.cursor.at = at;
        false
    }

    /// Members from here on are of no interest: copies them (`rest`) or steps over them. The cursor
    /// stands at a key; afterwards it stands behind the object, except that of the root nothing more is needed.
    fn remainder(&mut self, rest: bool, root: bool, wrote: &mut bool) -> Result<(), Stop> {
        if root && !rest {
            return Ok(());
        }
        let start = self.cursor.at;
        if root {
            self.cursor.at = self.cursor.bytes.len(); // trimmed: the last byte is the object's brace
        } else {
            self.cursor.skip_rest_of_object()?;
        }
        if rest {
            self.comma(wrote);
            let members = self.cursor.bytes.get(start..self.cursor.at - 1).ok_or(Broken)?;
            self.out.extend_from_slice(members);
        }
        Ok(())
    }

    /// What follows from members that are not there.
    fn absent(&mut self, node: &Node, seen: &[u64], emitting: bool, wrote: &mut bool) -> Result<(), Stop> {
        if !node.below.is_empty() {
            for (index, child) in node.children().enumerate() {
                if seen[index / 64] & 1 << (index % 64) == 0 {
                    self.missing(child)?;
                }
            }
        }
        if let Some(index) = node.stamped.map(usize::from).filter(|_| emitting)
            && seen[index / 64] & 1 << (index % 64) == 0
        {
            self.comma(wrote);
            self.created();
        }
        Ok(())
    }

    /// The value at the cursor, of a key that the plan knows.
    #[inline]
    fn member(
        &mut self,
        node: &Node,
        key: Range<usize>,
        emitting: bool,
        wrote: &mut bool,
    ) -> Result<(), Stop> {
        let start = self.cursor.at;
        match self.cursor.peek()? {
            b'{' => {
                self.test(node, Kind::Object, &[], false)?;
                if emitting && matches!(node.emit, Emit::Part | Emit::Edit) {
                    self.key(key, wrote);
                    return self.object(node, true, false);
                }
                if node.below.is_empty() {
                    self.cursor.skip_value()?;
                } else {
                    self.object(node, false, false)?;
                }
            }
            b'[' => {
                if emitting && node.emit == Emit::Part && !node.stamp {
                    let before = (self.out.len(), *wrote);
                    self.key(key, wrote);
                    if !self.list(node, true)? {
                        self.out.truncate(before.0);
                        *wrote = before.1;
                    }
                    return Ok(());
                }
                if node.tests.is_empty() && node.below.is_empty() {
                    self.cursor.skip_value()?;
                } else {
                    self.list(node, false)?;
                }
            }
            b'"' => {
                let string = self.cursor.string()?;
                self.test(node, Kind::String, string.inner, string.escaped)?;
                self.misfit(node)?;
            }
            b'n' => {
                self.cursor.skip_scalar()?;
                self.missing(node)?;
            }
            byte => {
                let kind = crate::scan::kind_of(byte)?;
                self.cursor.skip_scalar()?;
                self.test(node, kind, &self.cursor.bytes[start..self.cursor.at], false)?;
                self.misfit(node)?;
            }
        }
        if !emitting {
            return Ok(());
        }
        match node.emit {
            // What should receive the fields is no object: it makes way for one.
            Emit::Part | Emit::Edit if node.stamp => {
                self.key(key, wrote);
                self.braced_stamp();
            }
            Emit::Whole | Emit::Edit => self.copy(key, start, wrote),
            Emit::No | Emit::Part => {}
        }
        Ok(())
    }

    /// The array at the cursor. If `emitting`, what is selected of its objects is written; false if it held
    /// other things only.
    fn list(&mut self, node: &Node, emitting: bool) -> Result<bool, Stop> {
        let mut held = Bits::NONE;
        self.lists += 1;
        let containers = self.array(node, emitting, &mut held)?;
        self.lists -= 1;
        for &test in &node.tests {
            let exists = matches!(self.plan.tests[usize::from(test)].op, Op::Exists);
            self.record(test, exists || held.has(test))?;
        }
        Ok(containers)
    }

    /// One array of a list, which may hold further ones. `held` gathers the tests that hold for a scalar.
    fn array(&mut self, node: &Node, emitting: bool, held: &mut Bits) -> Result<bool, Stop> {
        self.enter()?;
        let mut containers = false;
        let mut wrote = false;
        self.cursor.take(b'[')?;
        if emitting {
            self.out.push(b'[');
        }
        self.cursor.space();
        if self.cursor.peek()? == b']' {
            self.cursor.at += 1;
            containers = true;
            for &test in &node.below {
                if self.plan.tests[usize::from(test)].lists == Lists::All {
                    self.record(test, true)?;
                }
            }
        } else {
            loop {
                match self.cursor.peek()? {
                    b'{' => {
                        containers = true;
                        if emitting {
                            self.comma(&mut wrote);
                            self.object(node, true, false)?;
                        } else if node.below.is_empty() {
                            self.cursor.skip_value()?;
                        } else {
                            self.object(node, false, false)?;
                        }
                    }
                    b'[' => {
                        let before = (self.out.len(), wrote);
                        if emitting {
                            self.comma(&mut wrote);
                        }
                        if self.array(node, emitting, held)? {
                            containers = true;
                        } else if emitting {
                            self.out.truncate(before.0);
                            wrote = before.1;
                        }
                    }
                    byte => {
                        self.element(node, byte, held)?;
                        self.misfit(node)?;
                    }
                }
                if !self.cursor.next_entry(b']')? {
                    break;
                }
            }
        }
        if emitting {
            self.out.push(b']');
        }
        self.depth -= 1;
        Ok(containers)
    }

    /// A scalar in an array: notes the tests that hold for it.
    fn element(&mut self, node: &Node, first: u8, held: &mut Bits) -> Result<(), Stop> {
        let kind = crate::scan::kind_of(first)?;
        let (bytes, escaped) = if kind == Kind::String {
            let string = self.cursor.string()?;
            (string.inner, string.escaped)
        } else {
            let start = self.cursor.at;
            self.cursor.skip_scalar()?;
            (&self.cursor.bytes[start..self.cursor.at], false)
        };
        let found = Found { kind, bytes, escaped };
        for &test in &node.tests {
            if kind != Kind::Null && self.plan.tests[usize::from(test)].op.matches(&found) {
                held.set(test);
            }
        }
        Ok(())
    }

    /// Tests a value that is not null and no array.
    #[inline]
    fn test(&mut self, node: &Node, kind: Kind, bytes: &'t [u8], escaped: bool) -> Result<(), Stop> {
        let found = Found { kind, bytes, escaped };
        for &test in &node.tests {
            let holds = self.plan.tests[usize::from(test)].op.matches(&found);
            self.record(test, holds)?;
        }
        Ok(())
    }

    /// The value is missing or null.
    fn missing(&mut self, node: &Node) -> Result<(), Stop> {
        node.missing
            .iter()
            .try_for_each(|&(test, holds)| self.record(test, holds))
    }

    /// The value is a scalar where tests expect objects.
    #[inline]
    fn misfit(&mut self, node: &Node) -> Result<(), Stop> {
        node.below.iter().try_for_each(|&test| self.record(test, false))
    }

    /// Notes an outcome, and stops if it decides the filter.
    #[inline]
    fn record(&mut self, test: u16, holds: bool) -> Result<(), Stop> {
        let planned = &self.plan.tests[usize::from(test)];
        let decides = if holds {
            self.holds.set(test);
            // Further elements may still fail a test that every element has to pass.
            planned.must == Must::Fail && planned.lists == Lists::Any
        } else {
            self.fails.set(test);
            // Further elements may still pass a test that one element has to pass.
            planned.must == Must::Hold && (planned.lists == Lists::All || self.lists == 0)
        };
        if decides { Err(Stop::Rejected) } else { Ok(()) }
    }

    fn decide(&self, verdict: &Verdict) -> bool {
        match verdict {
            Verdict::Test(test) => {
                let every = self.plan.tests[usize::from(*test)].lists == Lists::All;
                self.holds.has(*test) && !(every && self.fails.has(*test))
            }
            Verdict::Not(inner) => !self.decide(inner),
            Verdict::All(parts) => parts.iter().all(|part| self.decide(part)),
            Verdict::Any(parts) => parts.iter().any(|part| self.decide(part)),
        }
    }

    fn enter(&mut self) -> Result<(), Stop> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(Stop::Broken);
        }
        Ok(())
    }

    #[inline]
    fn comma(&mut self, wrote: &mut bool) {
        if *wrote {
            self.out.push(b',');
        }
        *wrote = true;
    }

    /// Writes `"key":`.
    #[inline]
    fn key(&mut self, key: Range<usize>, wrote: &mut bool) {
        self.comma(wrote);
        self.out.extend_from_slice(&self.cursor.bytes[key]);
        self.out.push(b':');
    }

    /// Writes a member as it stands; its value reaches from `start` to the cursor.
    #[inline]
    fn copy(&mut self, key: Range<usize>, start: usize, wrote: &mut bool) {
        if start == key.end + 1 {
            self.comma(wrote);
            self.out
                .extend_from_slice(&self.cursor.bytes[key.start..self.cursor.at]);
        } else {
            self.key(key, wrote);
            self.out
                .extend_from_slice(&self.cursor.bytes[start..self.cursor.at]);
        }
    }

    fn stamp(&mut self) {
        if let Some(Source { origin, offset, .. }) = self.source {
            origin.push_fields(self.plan.dialect, offset, self.out);
        }
    }

    fn braced_stamp(&mut self) {
        self.out.push(b'{');
        self.stamp();
        self.out.push(b'}');
    }

    /// Writes the whole object that receives the fields, which the event does not have.
    fn created(&mut self) {
        if let Some(key) = self.plan.dialect.object() {
            crate::json::write_string(self.out, key);
            self.out.push(b':');
            self.braced_stamp();
        }
    }
}

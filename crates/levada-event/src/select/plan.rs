//! Compiling what is wanted of an event into one tree of keys, walked once per event.
//!
//! Each node is a key some filter, projection or added field is interested in. The tree says of a
//! value what is to be tested, what of it is written, and what follows from its absence.

use super::SelectionError;
use crate::filter::{Expr, Filter, Lists, Missing, Op, Test};
use crate::path::FieldPath;
use crate::project::Projection;
use crate::scan::{Str, unescape};
use crate::splice::Dialect;

/// Most different keys of one object that a selection may name: 255 fields and 255 filters.
pub(crate) const KEYS_MAX: usize = 512;

/// What is written of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Emit {
    /// Nothing.
    No,
    /// Its text.
    Whole,
    /// Of an object its members that are themselves written.
    Part,
    /// Everything but members that are changed or dropped.
    Edit,
}

/// What an outcome of a test means for the event, known while the event is still being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Must {
    /// Nothing by itself.
    Free,
    /// Without it the event is not wanted.
    Hold,
    /// With it the event is not wanted.
    Fail,
}

#[derive(Debug)]
pub(crate) struct PlannedTest {
    pub(crate) op: Op,
    pub(crate) lists: Lists,
    pub(crate) must: Must,
    /// Outcome for a missing or null value in an object that is there.
    pub(crate) on_missing: bool,
}

#[derive(Debug)]
pub(crate) struct Node {
    /// Sorted by the length of the key.
    children: Box<[(Box<[u8]>, Node)]>,
    /// `children[by_length[n]..by_length[n + 1]]` have keys of n bytes; the last group holds all longer ones.
    by_length: [u16; LENGTHS + 2],
    pub(crate) emit: Emit,
    /// Receives delivery's fields.
    pub(crate) stamp: bool,
    /// Is written as it stands, with delivery's fields added and none tested or changed but those.
    pub(crate) only_stamped: bool,
    /// Tests of this value.
    pub(crate) tests: Box<[u16]>,
    /// Tests of values within this value.
    pub(crate) below: Box<[u16]>,
    /// Outcomes if the value is missing or null.
    pub(crate) missing: Box<[(u16, bool)]>,
    /// The node of a member that receives delivery's fields.
    pub(crate) stamped: Option<u16>,
}

/// Keys of this many bytes and more share a group.
const LENGTHS: usize = 32;

impl Node {
    pub(crate) fn len(&self) -> usize {
        self.children.len()
    }

    pub(crate) fn child(&self, index: usize) -> &Node {
        &self.children[index].1
    }

    pub(crate) fn children(&self) -> impl Iterator<Item = &Node> {
        self.children.iter().map(|(_, node)| node)
    }

    /// The child with this key.
    #[inline(always)]
    pub(crate) fn find(&self, key: Str<'_>) -> Option<usize> {
        if key.escaped {
            return self.find_unescaped(unescape(key.inner).as_bytes());
        }
        self.find_unescaped(key.inner)
    }

    /// The child with this key.
    pub(crate) fn find_key(&self, key: &str) -> Option<usize> {
        self.find_unescaped(key.as_bytes())
    }

    #[inline(always)]
    fn find_unescaped(&self, key: &[u8]) -> Option<usize> {
        let length = key.len().min(LENGTHS);
        let end = usize::from(self.by_length[length + 1]);
        let mut index = usize::from(self.by_length[length]);
        while index < end {
            if *self.children[index].0 == *key {
                return Some(index);
            }
            index += 1;
        }
        None
    }
}

/// The tree of outcomes.
#[derive(Debug)]
pub(crate) enum Verdict {
    Test(u16),
    Not(Box<Verdict>),
    All(Vec<Verdict>),
    Any(Vec<Verdict>),
}

/// A field that delivery adds and a filter asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    Topic,
    Partition,
    Offset,
}

/// A compiled selection.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) root: Node,
    pub(crate) tests: Vec<PlannedTest>,
    pub(crate) verdict: Option<Verdict>,
    /// Tests of fields that delivery adds: they are answered from the record's origin.
    pub(crate) added: Vec<(u16, Added)>,
    pub(crate) dialect: Dialect,
}

/// What will become a [`Plan`].
#[derive(Debug, Default)]
pub(crate) struct Draft {
    root: DraftNode,
    tests: Vec<(Test, Must)>,
    verdict: Option<Verdict>,
    added: Vec<(u16, Added)>,
    dialect: Option<Dialect>,
}

#[derive(Debug, Default)]
struct DraftNode {
    children: Vec<(Box<str>, DraftNode)>,
    select: Select,
    /// Nothing of it is written, whatever is selected around it.
    drop: bool,
    /// An object is written as `{}`, anything else not at all.
    empty: bool,
    stamp: bool,
    tests: Vec<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Select {
    #[default]
    No,
    Part,
    Whole,
}

impl DraftNode {
    fn child(&mut self, key: &str) -> Result<&mut DraftNode, SelectionError> {
        let found = self.children.iter().position(|(k, _)| **k == *key);
        let index = match found {
            Some(index) => index,
            None if self.children.len() == KEYS_MAX => return Err(SelectionError::TooManyKeys),
            None => {
                self.children.push((key.into(), DraftNode::default()));
                self.children.len() - 1
            }
        };
        Ok(&mut self.children[index].1)
    }

    fn at<'k>(&mut self, keys: impl IntoIterator<Item = &'k str>) -> Result<&mut DraftNode, SelectionError> {
        let mut node = self;
        for key in keys {
            node = node.child(key)?;
        }
        Ok(node)
    }
}

impl Draft {
    /// Selects the whole event.
    pub(crate) fn everything(&mut self) {
        self.root.select = Select::Whole;
    }

    /// Selects what a projection names.
    pub(crate) fn project(&mut self, projection: &Projection) -> Result<(), SelectionError> {
        for path in projection.paths() {
            self.select(path)?;
        }
        Ok(())
    }

    fn select(&mut self, path: &FieldPath) -> Result<(), SelectionError> {
        let mut node = &mut self.root;
        for key in path.keys() {
            node.select = node.select.max(Select::Part);
            node = node.child(key)?;
        }
        node.select = Select::Whole;
        Ok(())
    }

    /// Leaves the value at `keys` out.
    pub(crate) fn drop(&mut self, keys: &[&str]) -> Result<(), SelectionError> {
        self.root.at(keys.iter().copied())?.drop = true;
        Ok(())
    }

    /// Empties the object at `keys`; a value that is no object is left out.
    pub(crate) fn empty(&mut self, keys: &[&str]) -> Result<(), SelectionError> {
        self.root.at(keys.iter().copied())?.empty = true;
        Ok(())
    }

    /// Adds delivery's fields where the object that receives them is selected. Called after the projection.
    pub(crate) fn stamp(&mut self, dialect: Dialect) -> Result<(), SelectionError> {
        self.dialect = Some(dialect);
        let Some(key) = dialect.object() else {
            return Ok(());
        };
        let whole = self.root.select == Select::Whole;
        let known = self.root.children.iter().any(|(k, _)| **k == *key);
        if !whole && !known {
            return Ok(());
        }
        let node = self.root.child(key)?;
        if whole || node.select != Select::No {
            node.stamp = true;
            for field in dialect.fields() {
                node.child(field)?.drop = true;
            }
        }
        Ok(())
    }

    /// Adds a filter. `dialect` tells which fields are delivery's and not the event's.
    pub(crate) fn filter(&mut self, filter: &Filter, dialect: Dialect) -> Result<(), SelectionError> {
        let verdict = self.verdict(&filter.0, dialect, Must::Hold)?;
        self.verdict = Some(verdict);
        Ok(())
    }

    fn verdict(&mut self, expr: &Expr, dialect: Dialect, must: Must) -> Result<Verdict, SelectionError> {
        Ok(match expr {
            Expr::Test(test) => Verdict::Test(self.test(test, dialect, must)?),
            Expr::Not(inner) => {
                let must = match must {
                    Must::Hold => Must::Fail,
                    Must::Fail => Must::Hold,
                    Must::Free => Must::Free,
                };
                Verdict::Not(Box::new(self.verdict(inner, dialect, must)?))
            }
            Expr::All(parts) => {
                let must = if must == Must::Hold { must } else { Must::Free };
                Verdict::All(self.verdicts(parts, dialect, must)?)
            }
            Expr::Any(parts) => {
                let must = if must == Must::Fail { must } else { Must::Free };
                Verdict::Any(self.verdicts(parts, dialect, must)?)
            }
        })
    }

    fn verdicts(
        &mut self,
        parts: &[Expr],
        dialect: Dialect,
        must: Must,
    ) -> Result<Vec<Verdict>, SelectionError> {
        parts
            .iter()
            .map(|part| self.verdict(part, dialect, must))
            .collect()
    }

    fn test(&mut self, test: &Test, dialect: Dialect, must: Must) -> Result<u16, SelectionError> {
        let index = self.tests.len() as u16; // the filter's bound on tests is far below
        self.tests.push((test.clone(), must));
        match added_field(&test.path, dialect) {
            Some(field) => self.added.push((index, field)),
            None => self.root.at(test.path.keys())?.tests.push(index),
        }
        Ok(index)
    }

    /// The plan.
    pub(crate) fn finish(self) -> Plan {
        let tests: Vec<PlannedTest> = self
            .tests
            .iter()
            .map(|(test, must)| PlannedTest {
                op: test.op.clone(),
                lists: test.lists,
                must: *must,
                on_missing: test.missing == Missing::Zero && test.op.matches_zero(),
            })
            .collect();
        let dialect = self.dialect.unwrap_or(Dialect::Bare);
        let compile = Compile {
            sources: &self.tests,
            planned: &tests,
            added: dialect.fields(),
        };
        let root = compile.node(self.root, 0, false, false);
        Plan {
            root,
            tests,
            verdict: self.verdict,
            added: self.added,
            dialect,
        }
    }
}

fn added_field(path: &FieldPath, dialect: Dialect) -> Option<Added> {
    let mut keys = path.keys();
    if path.len() != 2 || keys.next() != dialect.object() {
        return None;
    }
    match keys.next()? {
        "topic" if dialect == Dialect::Meta => Some(Added::Topic),
        "partition" => Some(Added::Partition),
        "offset" => Some(Added::Offset),
        _ => None,
    }
}

struct Compile<'a> {
    sources: &'a [(Test, Must)],
    planned: &'a [PlannedTest],
    /// Keys of the fields that delivery adds.
    added: &'static [&'static str],
}

impl Compile<'_> {
    /// `depth` is the number of keys on the way to the node.
    fn node(&self, draft: DraftNode, depth: usize, whole: bool, dropped: bool) -> Node {
        let dropped = dropped || draft.drop;
        let whole = whole || draft.select == Select::Whole;
        let mut children: Vec<(Box<[u8]>, Node)> = draft
            .children
            .into_iter()
            .map(|(key, child)| {
                let child = self.node(child, depth + 1, whole, dropped);
                (key.into_boxed_bytes(), child)
            })
            .collect();
        children.sort_by_key(|(key, _)| key.len());
        let changed = draft.stamp
            || children
                .iter()
                .any(|(_, child)| child.stamp || matches!(child.emit, Emit::No | Emit::Part | Emit::Edit));
        let emit = match (dropped, draft.empty, whole) {
            (true, ..) => Emit::No,
            (_, true, _) => Emit::Part,
            (_, _, true) if changed => Emit::Edit,
            (_, _, true) => Emit::Whole,
            _ if draft.select == Select::Part => Emit::Part,
            _ => Emit::No,
        };
        let below: Vec<u16> = children
            .iter()
            .flat_map(|(_, child)| child.tests.iter().chain(&child.below))
            .copied()
            .collect();
        let at = draft
            .tests
            .iter()
            .map(|&t| (t, self.planned[usize::from(t)].on_missing));
        let within = below.iter().map(|&t| (t, self.passes_without(t, depth)));
        let mut by_length = [0; LENGTHS + 2];
        for (length, start) in by_length.iter_mut().enumerate() {
            *start = children.partition_point(|(key, _)| key.len().min(LENGTHS) < length) as u16;
        }
        by_length[LENGTHS + 1] = children.len() as u16;
        let stamped = children.iter().position(|(_, child)| child.stamp);
        let only_stamped = draft.stamp
            && emit == Emit::Edit
            && draft.tests.is_empty()
            && below.is_empty()
            && children
                .iter()
                .all(|(key, _)| self.added.iter().any(|added| added.as_bytes() == &**key));
        Node {
            emit,
            stamp: draft.stamp,
            only_stamped,
            missing: at.chain(within).collect(),
            tests: draft.tests.into(),
            below: below.into(),
            stamped: stamped.map(|i| i as u16),
            by_length,
            children: children.into(),
        }
    }

    /// Whether test `t` holds when the value after `depth` keys is missing: only if that is
    /// declared an array of which every element has to pass.
    fn passes_without(&self, t: u16, depth: usize) -> bool {
        let test = &self.sources[usize::from(t)].0;
        let declared = depth
            .checked_sub(1)
            .is_some_and(|key| test.list_at.checked_shr(key as u32).unwrap_or(0) & 1 == 1);
        test.lists == Lists::All && declared
    }
}

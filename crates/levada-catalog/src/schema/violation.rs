//! What is wrong with an event, as ajv 6 says it (contract eventplatform §1.3, §2.6).

use std::fmt;
use std::ops::Deref;

use serde::Serialize;
use serde_json::Value;

/// One rule of a schema that an event breaks. Serialises with the keys of ajv, in its order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Violation {
    /// The rule's keyword: `type`, `required`, …
    pub keyword: String,
    /// The value concerned, as a JavaScript expression: `.meta.id`, `.list[1]`, `.map['a-b']`, empty
    /// for the event itself. For `required` the object that lacks the field.
    #[serde(rename = "dataPath")]
    pub data_path: String,
    /// The rule's place in the schema: `#/properties/test/type`.
    #[serde(rename = "schemaPath")]
    pub schema_path: String,
    /// What the rule asks for, depending on the keyword.
    pub params: Value,
    /// The fault in words, without the value's name.
    pub message: String,
}

/// All rules that an event breaks, in the order of ajv, at most [`Violations::MAX`] of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Violations {
    list: Vec<Violation>,
    omitted: usize,
    partial: bool,
}

impl Violations {
    /// Most violations that are listed. A message of more helps nobody and costs an event's author
    /// nothing to ask for.
    pub const MAX: usize = 200;

    pub(super) fn new(mut list: Vec<Violation>, left_out: usize, partial: bool) -> Self {
        let omitted = left_out + list.len().saturating_sub(Self::MAX);
        list.truncate(Self::MAX);
        Self {
            list,
            omitted,
            partial,
        }
    }

    /// How many more there are than listed.
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// Whether the search ended at the first violation, as it does for large events.
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// Every violation as `'{dataPath}' {message}`, joined by `, `.
    pub fn errors_text(&self) -> String {
        self.to_string()
    }
}

impl Deref for Violations {
    type Target = [Violation];

    fn deref(&self) -> &[Violation] {
        &self.list
    }
}

impl Serialize for Violations {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list.serialize(serializer)
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.list.iter().enumerate() {
            let joint = if index == 0 { "" } else { ", " };
            write!(f, "{joint}'{}' {}", violation.data_path, violation.message)?;
        }
        if self.omitted > 0 {
            write!(f, ", and {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}

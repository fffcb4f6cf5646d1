//! Switches that give a quirk of the original systems back where a client may depend on it.

/// Which quirks to keep. All are off by default; each names the better behaviour it gives up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compat {
    /// `format: date-time` and `date` accept what ajv's fast mode accepts, also moments that no
    /// calendar has (month 13, day 39, hour 29). Off: the same spellings, but a real moment.
    pub lax_formats: bool,
    /// Schema URIs of events may be absolute http(s) addresses, fetched as they stand (metaschemas
    /// and `file:` stay refused). Off: only paths below the configured bases.
    pub absolute_schema_uris: bool,
    /// Schemas that fail the secure check are used all the same. Off: they are refused.
    pub insecure_schemas: bool,
    /// The streamconfigs API prints empty maps inside a stream's settings as `[]`. Off: as `{}`.
    pub empty_maps_as_lists: bool,
    /// A matching list in a constraint ends the comparison on its level, so that constraints after
    /// it are not looked at. Off: every constraint counts.
    pub list_constraint_ends_match: bool,
}

impl Compat {
    /// All quirks of EventGate and EventStreamConfig as Wikimedia runs them. Absolute schema URIs
    /// and insecure schemas stay refused, as they are there.
    pub fn eventgate() -> Self {
        Self {
            lax_formats: true,
            empty_maps_as_lists: true,
            list_constraint_ends_match: true,
            ..Self::default()
        }
    }
}

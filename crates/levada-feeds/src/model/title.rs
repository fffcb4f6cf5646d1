//! Page titles in database form.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// What `encodeURIComponent` leaves alone besides letters and digits: `- _ . ! ~ * ' ( )`.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// A page title with underscores for spaces, not percent-encoded, namespace included: the key
/// under which a summary is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DbTitle(String);

impl DbTitle {
    /// A title as it stands, spaces turned into underscores.
    pub fn new(title: impl Into<String>) -> Self {
        let title = title.into();
        Self(if title.contains(' ') {
            title.replace(' ', "_")
        } else {
            title
        })
    }

    /// The database form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The title as one path segment or query value, as `encodeURIComponent` writes it
    /// (`/` becomes `%2F`; contract §2.0.5).
    pub fn encoded(&self) -> String {
        utf8_percent_encode(&self.0, COMPONENT).to_string()
    }

    /// The title with spaces, for people.
    pub fn display(&self) -> String {
        self.0.replace('_', " ")
    }
}

impl fmt::Display for DbTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for DbTitle {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for DbTitle {
    fn from(title: &str) -> Self {
        Self::new(title)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_is_that_of_encode_uri_component() {
        let title = DbTitle::new("AC/DC (What?) é&'\"~");
        assert_eq!(title.as_str(), "AC/DC_(What?)_é&'\"~");
        assert_eq!(title.encoded(), "AC%2FDC_(What%3F)_%C3%A9%26'%22~");
        assert_eq!(title.display(), "AC/DC (What?) é&'\"~");
    }
}

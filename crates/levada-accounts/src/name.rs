//! Names of users, groups and keys as they are stored and looked up.

use crate::limits::{NAME_CHARS_MAX, TEXT_CHARS_MAX};

/// A user name as it is stored: lower case (contract realtime §3.2), 1 to 255 characters, without
/// control characters and outer spaces. `None` for a text that no user can have.
pub(crate) fn user_name(text: &str) -> Option<String> {
    let folded = text.to_lowercase();
    let usable = !folded.is_empty()
        && folded.chars().count() <= TEXT_CHARS_MAX
        && folded.trim() == folded
        && !folded.chars().any(char::is_control);
    usable.then_some(folded)
}

/// Whether `text` may name a group or an API key: 1 to 64 letters, digits and `-_.`.
pub(crate) fn is_plain_name(text: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_are_folded_or_refused() {
        assert_eq!(user_name("Ann@Example.org").as_deref(), Some("ann@example.org"));
        assert_eq!(user_name("ÉVA"), Some("éva".to_owned()));
        assert!(user_name(&"x".repeat(255)).is_some() && user_name(&"x".repeat(256)).is_none());
        for text in ["", " ann", "ann\n", "a\0b"] {
            assert_eq!(user_name(text), None, "{text:?}");
        }
    }

    #[test]
    fn plain_names_are_short_and_ascii() {
        assert!(is_plain_name("group_3") && is_plain_name("a.b-C"));
        assert!(
            !is_plain_name("")
                && !is_plain_name("a b")
                && !is_plain_name("é")
                && !is_plain_name(&"x".repeat(65))
        );
    }
}

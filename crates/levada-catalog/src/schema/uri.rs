//! Schema URIs as events carry them, taken as strangers' text (contract eventplatform §2.3).

use std::borrow::Cow;

use super::SchemaError;

/// Longest schema URI. The longest of Wikimedia's has 92 bytes.
const URI_BYTES_MAX: usize = 1024;

/// Longest step of a URI's path. File systems take names of 255 bytes, of which an extension needs some.
const STEP_BYTES_MAX: usize = 200;

/// A schema URI that is safe to look up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SchemaUri {
    /// A path from the root of a repository: starts with `/`, has neither empty steps nor `.` and `..`.
    Path(String),
    /// An http or https address, where those are allowed.
    Absolute(String),
}

impl SchemaUri {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Path(text) | Self::Absolute(text) => text,
        }
    }

    /// Checks a URI. A missing slash at the front is added, an empty fragment at the end dropped.
    pub(super) fn parse(uri: &str, absolute: bool) -> Result<Self, SchemaError> {
        check(uri, absolute).map_err(|reason| SchemaError::BadUri {
            uri: shortened(uri),
            reason: reason.into(),
        })
    }
}

fn check(uri: &str, absolute: bool) -> Result<SchemaUri, Cow<'static, str>> {
    if uri.is_empty() {
        return Err("the URI is empty".into());
    }
    if uri.len() > URI_BYTES_MAX {
        return Err(format!("the URI has more than {URI_BYTES_MAX} bytes").into());
    }
    let plain = uri.strip_suffix('#').unwrap_or(uri);
    if plain.contains('#') {
        return Err("the URI has a fragment, and events name whole schemas".into());
    }
    if is_metaschema(plain) {
        return Err("the URI names a metaschema, which describes schemas and not events".into());
    }
    if let Some((scheme, _)) = plain.split_once("://") {
        let http = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        let clean = plain.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        return match absolute && http && clean {
            true => Ok(SchemaUri::Absolute(plain.into())),
            false => Err("absolute schema URIs are not allowed".into()),
        };
    }
    let path = plain.strip_prefix('/').unwrap_or(plain);
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-+~@,=/".contains(c);
    if let Some(c) = path.chars().find(|c| !allowed(*c)) {
        return Err(format!("the URI has the character {c:?}, which paths of schemas do not have").into());
    }
    if path.split('/').any(|step| step.len() > STEP_BYTES_MAX) {
        return Err(format!("the URI has a step of more than {STEP_BYTES_MAX} bytes").into());
    }
    if path.split('/').any(|step| matches!(step, "" | "." | "..")) {
        return Err("the URI has an empty step or one of . and .., which would leave the repository".into());
    }
    Ok(SchemaUri::Path(format!("/{path}")))
}

/// Whether a URI, without its fragment, names one of the metaschemas.
pub(super) fn is_metaschema(uri: &str) -> bool {
    let host = uri
        .strip_prefix("http://")
        .or_else(|| uri.strip_prefix("https://"));
    host.is_some_and(|rest| rest.starts_with("json-schema.org/"))
}

/// A URI for messages: control characters replaced, cut to a readable length.
fn shortened(uri: &str) -> String {
    let shown: String = uri
        .chars()
        .take(200)
        .map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect();
    if shown.len() < uri.len() && uri.chars().count() > 200 {
        format!("{shown}…")
    } else {
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_in_one_spelling() {
        for uri in ["/test/0.0.1", "test/0.0.1", "/test/0.0.1#", "test/0.0.1#"] {
            assert_eq!(SchemaUri::parse(uri, false).unwrap().as_str(), "/test/0.0.1");
        }
    }

    #[test]
    fn hostile_uris_are_refused_with_a_reason() {
        for (uri, part) in [
            ("", "empty"),
            ("#", "empty step"),
            ("/a/1.0.0#/properties/meta", "fragment"),
            ("/a/1.0.0##", "fragment"),
            ("http://json-schema.org/draft-07/schema#", "metaschema"),
            ("https://json-schema.org/draft-07/schema", "metaschema"),
            ("http://127.0.0.1/x", "absolute"),
            ("file:///etc/passwd", "absolute"),
            ("file:/etc/passwd", "':'"),
            ("//host/x", "empty step"),
            ("../../x", ".."),
            ("/a/../../x", ".."),
            ("/a/./x", ".."),
            ("/a//x", "empty step"),
            ("/a/", "empty step"),
            ("/a/%2e%2e/x", "'%'"),
            ("/a\\..\\x", "'\\\\'"),
            ("/a?x=1", "'?'"),
            ("/a\n", "'\\n'"),
            ("/a\0", "'\\0'"),
            ("/é", "'é'"),
        ] {
            let fault = SchemaUri::parse(uri, false).unwrap_err().to_string();
            assert!(fault.contains(part), "{uri}: {fault}");
        }
        assert!(SchemaUri::parse(&"a".repeat(2000), false).is_err());
    }

    #[test]
    fn absolute_uris_can_be_allowed() {
        assert!(matches!(
            SchemaUri::parse("http://a/b", true),
            Ok(SchemaUri::Absolute(_))
        ));
        assert!(SchemaUri::parse("file:///etc/passwd", true).is_err());
        assert!(SchemaUri::parse("http://json-schema.org/draft-07/schema#", true).is_err());
        assert!(SchemaUri::parse("http://a/b c", true).is_err());
    }
}

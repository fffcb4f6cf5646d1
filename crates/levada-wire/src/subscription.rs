//! What a client of EventStreams asks for, as text: the stream names of the path and the parameters
//! of the query (contract eventstreams §1.1, §1.5, §7.4).
//!
//! Server and client share these types; what a filter or a field means to an event is decided by
//! delivery. Unknown parameters are ignored, as the reference does.

use levada_event::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// Most filters in one subscription: each is evaluated on every event.
pub const FILTERS_MAX: usize = 64;

/// Most selected fields in one subscription; the Realtime API's bound.
pub const FIELDS_MAX: usize = 255;

/// Longest value of a parameter in bytes after decoding.
pub const VALUE_BYTES_MAX: usize = 4096;

/// Most streams in one subscription.
pub const STREAMS_MAX: usize = 256;

/// A subscription as the client words it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subscription {
    /// Names of streams or aliases in the order asked for. Empty names stay, to be refused as unknown.
    pub streams: Vec<String>,
    /// Start at the first record at or after this time; `None` is the latest.
    pub since: Option<Timestamp>,
    /// Whether canary events are left out (`canary=false`). They are delivered by default.
    pub drop_canary: bool,
    /// All of these must hold.
    pub filters: Vec<FilterText>,
    /// Only these fields are delivered (dot paths, `.*` at the end for a whole object); empty for all.
    pub fields: Vec<String>,
}

/// One `filter=path:value` parameter, cut at its first colon and not interpreted further; displaying it
/// gives the text back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterText {
    /// What stands before the colon: a dot path, possibly behind `!`; never empty.
    pub path: String,
    /// What stands behind it.
    pub value: String,
}

impl FilterText {
    /// Reads `path:value`.
    ///
    /// # Errors
    /// [`QueryError::Filter`] when there is no colon or nothing before it.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        match text.split_once(':') {
            Some((path, value)) if !path.is_empty() => Ok(Self {
                path: path.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err(QueryError::Filter(text.to_owned())),
        }
    }
}

impl std::fmt::Display for FilterText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.path, self.value)
    }
}

/// What is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// `since` names no moment, or stands more than once (the values joined by commas). The text is
    /// the detail of the reference's answer.
    #[error("since timestamp is not a UTC milliseconds unix epoch and was not parseable: '{0}'")]
    Since(String),
    /// A filter is not `path:value`.
    #[error("filter {0:?} is not of the form path:value, such as meta.domain:en.wikipedia.org")]
    Filter(String),
    /// A field path is empty.
    #[error("fields {0:?} has an empty path")]
    Fields(String),
    /// `canary` is neither true nor false.
    #[error("canary must be true or false, not {0:?}")]
    Canary(String),
    /// More of something than a subscription may have.
    #[error("a subscription has at most {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
}

impl QueryError {
    /// The code.
    pub fn code(&self) -> crate::ErrorCode {
        use crate::ErrorCode;
        match self {
            Self::Since(_) => ErrorCode::InvalidTimestamp,
            Self::Filter(_) => ErrorCode::InvalidFilter,
            Self::Fields(_) => ErrorCode::InvalidFields,
            Self::Canary(_) | Self::TooMany { .. } => ErrorCode::InvalidParameter,
        }
    }
}

/// Splits the path's last segment into stream names: percent-decoded, then cut at commas (so `%2C`
/// cuts too). Empty names are kept.
///
/// # Errors
/// [`QueryError::TooMany`] beyond [`STREAMS_MAX`] names.
pub fn stream_names(segment: &str) -> Result<Vec<String>, QueryError> {
    let names = percent_decode_str(segment).decode_utf8_lossy();
    if names.split(',').take(STREAMS_MAX + 1).count() > STREAMS_MAX {
        return Err(QueryError::TooMany {
            what: "streams",
            max: STREAMS_MAX,
        });
    }
    Ok(names.split(',').map(str::to_owned).collect())
}

impl Subscription {
    /// Reads the query (the text behind `?`, if any) of a request for these streams.
    ///
    /// # Errors
    /// [`QueryError`]; `since` is looked at first, as in the reference. Unknown streams come before
    /// all of these, so look them up first.
    pub fn parse(streams: Vec<String>, query: Option<&str>) -> Result<Self, QueryError> {
        let mut out = Self {
            streams,
            ..Self::default()
        };
        let (mut since, mut rest) = (Vec::new(), Vec::new());
        for pair in query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
        {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match &*decoded(name)? {
                "since" => since.push(decoded(value)?),
                "filter" => rest.push(("filter", decoded(value)?)),
                "fields" => rest.push(("fields", decoded(value)?)),
                "canary" => rest.push(("canary", decoded(value)?)),
                _ => {}
            }
        }
        out.since = match &since[..] {
            [] => None,
            [empty] if empty.is_empty() => None,
            [one] => Some(Timestamp::parse_since(one).ok_or_else(|| QueryError::Since(one.clone()))?),
            many => return Err(QueryError::Since(many.join(","))),
        };
        for (name, value) in rest {
            match name {
                "filter" => out.filters.push(FilterText::parse(&value)?),
                "canary" => {
                    out.drop_canary = match &*value {
                        "false" | "0" | "no" => true,
                        "" | "true" | "1" | "yes" => false,
                        _ => return Err(QueryError::Canary(value)),
                    }
                }
                _ if value.is_empty() => {}
                _ => out.add_fields(&value)?,
            }
            if out.filters.len() > FILTERS_MAX {
                return Err(QueryError::TooMany {
                    what: "filters",
                    max: FILTERS_MAX,
                });
            }
        }
        Ok(out)
    }

    /// Adds the field paths of a comma list.
    ///
    /// # Errors
    /// [`QueryError::Fields`] for an empty path, [`QueryError::TooMany`] beyond [`FIELDS_MAX`].
    pub fn add_fields(&mut self, list: &str) -> Result<(), QueryError> {
        // Quoted keys may have commas and spaces in them; the pieces are joined again before they are
        // understood.
        let quoted = list.contains('"');
        for piece in list.split(',') {
            let field = if quoted { piece } else { piece.trim() };
            if field.is_empty() && !quoted {
                return Err(QueryError::Fields(list.to_owned()));
            }
            self.fields.push(field.to_owned());
            if self.fields.len() > FIELDS_MAX {
                return Err(QueryError::TooMany {
                    what: "fields",
                    max: FIELDS_MAX,
                });
            }
        }
        Ok(())
    }

    /// Path and query that ask for this subscription. Equal subscriptions give equal texts, so the
    /// text without `since` also tells whether a cursor belongs to a subscription.
    pub fn to_uri(&self) -> String {
        let mut out = format!("{}/{}", crate::paths::STREAM, encoded(&self.streams.join(",")));
        let mut mark = '?';
        let mut add = |name: &str, value: &str| {
            out.push(mark);
            mark = '&';
            out.push_str(name);
            out.push('=');
            out.push_str(&encoded(value));
        };
        if let Some(since) = self.since {
            add("since", &since.to_string());
        }
        if self.drop_canary {
            add("canary", "false");
        }
        for filter in &self.filters {
            add("filter", &filter.to_string());
        }
        if !self.fields.is_empty() {
            add("fields", &self.fields.join(","));
        }
        out
    }
}

/// Decodes a form-encoded text: `+` and `%20` are spaces.
fn decoded(text: &str) -> Result<String, QueryError> {
    let spaced = text.replace('+', " ");
    let out = percent_decode_str(&spaced).decode_utf8_lossy().into_owned();
    if out.len() > VALUE_BYTES_MAX {
        return Err(QueryError::TooMany {
            what: "bytes in one parameter",
            max: VALUE_BYTES_MAX,
        });
    }
    Ok(out)
}

/// Percent-encodes a text so that it can stand in a path segment and as a query value.
pub fn encoded(text: &str) -> String {
    // All but what RFC 3986 lets stand in both a path segment and a query value of a form.
    const SET: &AsciiSet = &CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'#')
        .add(b'%')
        .add(b'&')
        .add(b'+')
        .add(b'/')
        .add(b'<')
        .add(b'=')
        .add(b'>')
        .add(b'?')
        .add(b'[')
        .add(b'\\')
        .add(b']')
        .add(b'^')
        .add(b'`')
        .add(b'{')
        .add(b'|')
        .add(b'}');
    utf8_percent_encode(text, SET).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(query: &str) -> Result<Subscription, QueryError> {
        Subscription::parse(vec!["a".into()], Some(query))
    }

    fn since(query: &str) -> Option<i64> {
        parse(query).unwrap().since.map(Timestamp::as_millis)
    }

    #[test]
    fn streams_are_a_comma_list() {
        assert_eq!(stream_names("a,b").unwrap(), ["a", "b"]);
        assert_eq!(stream_names("a%2Cb").unwrap(), ["a", "b"]);
        assert_eq!(stream_names("a,").unwrap(), ["a", ""]);
        assert!(stream_names(&",".repeat(STREAMS_MAX)).is_err());
    }

    #[test]
    fn since_takes_what_clients_send() {
        assert_eq!(since(""), None);
        assert_eq!(since("since="), None);
        for text in [
            "since=1500000001000",
            "since=2017-07-14T02:40:01Z",
            "since=2017-07-14T02%3A40%3A01%2B00%3A00",
            "since=2017-07-14T02:40:01+00:00",
            "unknown=%zz&since=20170714024001&x",
        ] {
            assert_eq!(since(text), Some(1_500_000_001_000), "{text}");
        }
        assert_eq!(since("since=1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(
            parse("since=nope&filter=bad"),
            Err(QueryError::Since("nope".into()))
        );
        assert_eq!(parse("since=x&since=y"), Err(QueryError::Since("x,y".into())));
        assert_eq!(
            parse("since=nope").unwrap_err().to_string(),
            "since timestamp is not a UTC milliseconds unix epoch and was not parseable: 'nope'"
        );
    }

    #[test]
    fn additions_are_read() {
        let got =
            parse("canary=false&filter=meta.domain:en.wikipedia.org&filter=title:A:B&fields=meta.*,title")
                .unwrap();
        assert!(got.drop_canary);
        assert_eq!(
            got.filters[1],
            FilterText {
                path: "title".into(),
                value: "A:B".into()
            }
        );
        assert_eq!(got.fields, ["meta.*", "title"]);
        assert!(!parse("canary=true").unwrap().drop_canary);
        assert_eq!(parse("canary=maybe"), Err(QueryError::Canary("maybe".into())));
        assert_eq!(parse("filter=nocolon"), Err(QueryError::Filter("nocolon".into())));
        assert_eq!(parse("filter=:x"), Err(QueryError::Filter(":x".into())));
        assert_eq!(parse("fields=a,,b"), Err(QueryError::Fields("a,,b".into())));
        assert_eq!(parse("fields=").unwrap().fields, [""; 0]);
        assert_eq!(
            parse("fields=meta.dt,%20title").unwrap().fields,
            ["meta.dt", "title"]
        );
        assert_eq!(
            parse("fields=a.%22b,%20c%22").unwrap().fields.join(","),
            "a.\"b, c\""
        );
    }

    #[test]
    fn everything_is_bounded() {
        let filters = vec!["filter=a:b"; FILTERS_MAX + 1].join("&");
        assert_eq!(
            parse(&filters).unwrap_err().code(),
            crate::ErrorCode::InvalidParameter
        );
        assert!(parse(&format!("fields={}", vec!["a"; FIELDS_MAX + 1].join(","))).is_err());
        assert!(parse(&format!("filter=a:{}", "x".repeat(VALUE_BYTES_MAX))).is_err());
    }

    proptest! {
        #[test]
        fn what_is_asked_for_is_understood(
            streams in proptest::collection::vec("[a-z._-]{1,8}", 1..4),
            since in proptest::option::of(0i64..4_000_000_000_000),
            drop_canary: bool,
            filters in proptest::collection::vec(("[a-z.]{1,8}", ".{0,12}"), 0..4),
            fields in proptest::collection::vec("[a-z.*]{1,8}", 0..4),
        ) {
            let asked = Subscription {
                streams,
                since: since.map(Timestamp::from_millis),
                drop_canary,
                filters: filters.into_iter().map(|(path, value)| FilterText { path, value }).collect(),
                fields,
            };
            let uri = asked.to_uri();
            let (path, query) = uri.split_once('?').map_or((&*uri, None), |(p, q)| (p, Some(q)));
            let names = stream_names(path.strip_prefix("/v2/stream/").unwrap()).unwrap();
            prop_assert_eq!(Subscription::parse(names, query).unwrap(), asked);
        }
    }
}

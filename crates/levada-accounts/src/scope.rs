//! Scopes: what a group or an API key may do, as texts that people write.
//!
//! | text | allows |
//! |---|---|
//! | `admin` | everything |
//! | `stream:<pattern>:read` | to read the streams whose name fits, on every route |
//! | `stream:<pattern>:write` | to publish to them |
//! | `route:<methods>:<path>` | to read and publish through the routes that fit (`route:GET,POST:/v2/articles`) |
//!
//! In a stream pattern `*` stands for any run of characters. In a path `{name}` and `:name` stand
//! for one segment, and a `*` at the end for any rest (contract realtime §1.11 uses the same two).
//! Several scopes add up; nothing takes rights away.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits::SCOPE_CHARS_MAX;

/// What is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Reading events or what is known about streams.
    Read,
    /// Publishing events.
    Write,
    /// Looking into or changing the server itself.
    Admin,
}

/// One right.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everything.
    Admin,
    /// One action on the streams whose name fits.
    Stream {
        /// Name of a stream; `*` stands for any run of characters.
        pattern: String,
        /// [`Action::Read`] or [`Action::Write`].
        action: Action,
    },
    /// Reading and publishing through the routes that fit.
    Route {
        /// Methods in upper case; `*` alone means all.
        methods: Vec<String>,
        /// Path; `{name}` and `:name` are one segment, `*` at the end is any rest.
        path: String,
    },
}

/// The text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no scope: {why}")]
pub struct ScopeError {
    text: String,
    why: &'static str,
}

impl Scope {
    /// Whether this scope allows `action` through `method` and `path`, on `stream` when the request
    /// is about one. HEAD counts as GET.
    pub fn allows(&self, method: &str, path: &str, stream: Option<&str>, action: Action) -> bool {
        match self {
            Scope::Admin => true,
            Scope::Stream {
                pattern,
                action: allowed,
            } => *allowed == action && stream.is_none_or(|stream| glob(pattern, stream)),
            Scope::Route {
                methods,
                path: pattern,
            } => {
                let method = if method == "HEAD" { "GET" } else { method };
                action != Action::Admin
                    && methods.iter().any(|allowed| allowed == "*" || allowed == method)
                    && path_fits(pattern, path)
            }
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let refuse = |why| ScopeError {
            text: text.chars().take(80).collect(),
            why,
        };
        if text.chars().count() > SCOPE_CHARS_MAX {
            return Err(refuse("it is too long"));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(refuse("it has spaces or control characters"));
        }
        if text == "admin" {
            return Ok(Scope::Admin);
        }
        if let Some(rest) = text.strip_prefix("stream:") {
            let (pattern, action) = rest
                .rsplit_once(':')
                .ok_or(refuse("it must read stream:<pattern>:read or …:write"))?;
            let action = match action {
                "read" => Action::Read,
                "write" => Action::Write,
                _ => return Err(refuse("a stream is for 'read' or 'write'")),
            };
            if pattern.is_empty() {
                return Err(refuse("it names no stream ('*' means all)"));
            }
            return Ok(Scope::Stream {
                pattern: pattern.to_owned(),
                action,
            });
        }
        if let Some(rest) = text.strip_prefix("route:") {
            let (methods, path) = rest
                .split_once(':')
                .ok_or(refuse("it must read route:<METHOD,METHOD>:<path>"))?;
            if !path.starts_with('/') && path != "*" {
                return Err(refuse("its path must begin with '/'"));
            }
            if path.strip_suffix('*').unwrap_or(path).contains('*') {
                return Err(refuse("'*' may stand only at the end of a path"));
            }
            let methods: Vec<String> = methods.split(',').map(str::to_owned).collect();
            if methods
                .iter()
                .any(|m| m != "*" && (m.is_empty() || !m.bytes().all(|b| b.is_ascii_uppercase())))
            {
                return Err(refuse("methods are upper-case words with commas between, or '*'"));
            }
            return Ok(Scope::Route {
                methods,
                path: path.to_owned(),
            });
        }
        Err(refuse("it must be 'admin' or begin with 'stream:' or 'route:'"))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Admin => f.write_str("admin"),
            Scope::Stream { pattern, action } => {
                write!(
                    f,
                    "stream:{pattern}:{}",
                    if *action == Action::Read { "read" } else { "write" }
                )
            }
            Scope::Route { methods, path } => write!(f, "route:{}:{path}", methods.join(",")),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Whether `text` fits `pattern`, in which `*` is any run of characters. Linear in practice and at
/// worst the product of both lengths, which are bounded: no recursion, no backtracking beyond the
/// last star.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Whether `path` fits the pattern of a route scope.
fn path_fits(pattern: &str, path: &str) -> bool {
    let (pattern, open) = match pattern.strip_suffix('*') {
        Some(start) => (start, true),
        None => (pattern, false),
    };
    let mut wanted = pattern.split('/');
    let mut given = path.split('/');
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(want), Some(got)) => {
                // The part before a closing star is a prefix of what stands there and after it.
                if open && wanted.clone().next().is_none() {
                    return got.starts_with(want);
                }
                let any = want.starts_with(':') || (want.starts_with('{') && want.ends_with('}'));
                if !(any && !got.is_empty() || want == got) {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        text.parse().unwrap()
    }

    #[test]
    fn texts_read_back() {
        for text in [
            "admin",
            "stream:recentchange:read",
            "stream:*:write",
            "stream:mediawiki.page-*:read",
            "route:GET,POST:/v2/articles",
            "route:*:/v2/streams/*",
            "route:GET:/v2/streams/{stream}/positions",
            "route:GET:*",
        ] {
            assert_eq!(scope(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_scope_says_why() {
        for text in [
            "",
            "Admin",
            "stream:x",
            "stream::read",
            "stream:x:delete",
            "stream:a b:read",
            "route:/v2/articles",
            "route:get:/v2/articles",
            "route:GET:v2",
            "route:GET:/v2/*/x",
            "route:,GET:/v2",
            "x:y",
        ] {
            let error = text.parse::<Scope>().unwrap_err().to_string();
            assert!(error.contains("is no scope"), "{error}");
        }
        assert!("stream:x:read\n".parse::<Scope>().is_err());
        assert!(
            format!("stream:{}:read", "x".repeat(600))
                .parse::<Scope>()
                .is_err()
        );
    }

    #[test]
    fn streams_fit_their_patterns() {
        let read = |pattern: &str, stream: &str| {
            scope(&format!("stream:{pattern}:read")).allows("GET", "/any", Some(stream), Action::Read)
        };
        assert!(read("recentchange", "recentchange") && !read("recentchange", "recentchanges"));
        assert!(read("*", "anything") && read("mediawiki.*", "mediawiki.page-create"));
        assert!(read("*.page-*", "mediawiki.page-create") && !read("*.page-*", "page-create"));
        assert!(read("a*b*c", "aXXbYbZc") && !read("a*b*c", "aXXbYbZ"));
        assert!(!read("mediawiki.*", "eqiad.mediawiki.page-create"));
        let write = scope("stream:x:write");
        assert!(write.allows("POST", "/v1/events", Some("x"), Action::Write));
        assert!(!write.allows("GET", "/v2/streams/x", Some("x"), Action::Read));
        assert!(!write.allows("POST", "/v1/admin", None, Action::Admin));
    }

    #[test]
    fn many_stars_cost_no_time() {
        // The textbook case of exponential matching: every star could stop anywhere.
        assert!(!glob(&"*a".repeat(200), &format!("{}b", "a".repeat(5000))));
    }

    #[test]
    fn routes_fit_their_patterns() {
        let fits = |pattern: &str, path: &str| {
            scope(&format!("route:GET:{pattern}")).allows("GET", path, None, Action::Read)
        };
        assert!(fits("/v2/articles", "/v2/articles"));
        assert!(!fits("/v2/articles", "/v2/articles/") && !fits("/v2/articles", "/v2/articlesx"));
        assert!(
            fits("/v2/streams/*", "/v2/streams/articles/positions") && fits("/v2/streams/*", "/v2/streams/x")
        );
        assert!(!fits("/v2/streams/*", "/v2/streams") && !fits("/v2/streams/*", "/v2/status"));
        assert!(fits("/v2/streams/{s}", "/v2/streams/x") && !fits("/v2/streams/{s}", "/v2/streams/x/y"));
        assert!(fits("/v2/:what/x", "/v2/y/x") && !fits("/v2/:what/x", "/v2//x"));
        assert!(fits("/v2/art*", "/v2/articles") && fits("*", "/anything/at/all"));
    }

    #[test]
    fn routes_name_their_methods_and_never_give_admin() {
        let route = scope("route:GET,POST:/v2/articles");
        for (method, allowed) in [
            ("GET", true),
            ("POST", true),
            ("HEAD", true),
            ("PUT", false),
            ("DELETE", false),
        ] {
            assert_eq!(
                route.allows(method, "/v2/articles", None, Action::Read),
                allowed,
                "{method}"
            );
        }
        assert!(!route.allows("GET", "/v2/articles", None, Action::Admin));
        assert!(scope("admin").allows("DELETE", "/x", Some("s"), Action::Admin));
    }
}

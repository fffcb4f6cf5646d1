//! Which route a path means. Matching is lenient where the originals are (contracts eventplatform
//! §1.1, eventstreams §1.1): letter case of fixed segments, doubled slashes and one trailing slash do
//! not matter; names inside a path keep their case.

use http::Method;
use levada_wire::paths;
use percent_encoding::percent_decode_str;

use super::realtime;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Events,
    TestEvents,
    StreamConfigs(Option<String>),
    Api,
    Stream(String),
    /// A stream in the manner of the Realtime API.
    Realtime(String),
    /// Where a stream's partitions begin and end.
    Positions(String),
    Info(Option<String>),
    /// One of the account routes, which match their paths themselves.
    Account,
    Status,
    Robots,
    Livez,
    /// Readiness of everything, or of one direction.
    Readyz(Option<Direction>),
    Metrics,
    Spec,
    Doc,
    Rc,
    Root,
    NotFound,
}

/// Which way events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// In.
    Intake,
    /// Out.
    Streams,
}

impl Route {
    pub(super) fn of(path: &str, query: Option<&str>) -> Route {
        if path == paths::EVENTS {
            return Route::Events;
        }
        let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        let lower: Vec<String> = segments.iter().take(2).map(|s| s.to_ascii_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        let rest = |from: usize| {
            let text = segments[from..].join("/");
            percent_decode_str(&text)
                .decode_utf8()
                .map(|s| s.into_owned())
                .ok()
        };
        match (lower.as_slice(), segments.len()) {
            ([], _) => root(query),
            (["v1", "events"], 2) => Route::Events,
            (["v1", "_test"], 3) if segments[2].eq_ignore_ascii_case("events") => Route::TestEvents,
            (["v1", "stream-configs"], 2) => Route::StreamConfigs(None),
            (["v1", "stream-configs"], _) => {
                rest(2).map_or(Route::NotFound, |n| Route::StreamConfigs(Some(n)))
            }
            (["w", "api.php"], 2) | (["api.php"], 1) => Route::Api,
            (["v2", "stream"], 3) => rest(2).map_or(Route::NotFound, Route::Stream),
            (["v2", "articles"], 2) => Route::Realtime(realtime::ARTICLES.to_owned()),
            (["v2", "articles"], 3) if segments[2].eq_ignore_ascii_case("positions") => {
                Route::Positions(realtime::ARTICLES.to_owned())
            }
            (["v2", "streams"], 3) => rest(2).map_or(Route::NotFound, Route::Realtime),
            (["v2", "streams"], 4) if segments[3].eq_ignore_ascii_case("positions") => {
                percent_decode_str(segments[2])
                    .decode_utf8()
                    .map_or(Route::NotFound, |name| Route::Positions(name.into_owned()))
            }
            (["_info"], 1) => Route::Info(None),
            (["_info", part], 2) => Route::Info(Some((*part).to_owned())),
            (["v2", "status"], 2) => Route::Status,
            (["v1", "captcha"], 2 | 3) => Route::Account,
            (["v1", name], 2) if is_account_route(name) => Route::Account,
            (["robots.txt"], 1) => Route::Robots,
            (["livez" | "healthz"], 1) => Route::Livez,
            (["readyz"], 1) => Route::Readyz(None),
            (["readyz", "intake"], 2) => Route::Readyz(Some(Direction::Intake)),
            (["readyz", "streams"], 2) => Route::Readyz(Some(Direction::Streams)),
            (["metrics"], 1) => Route::Metrics,
            (["rc"], 1) => Route::Rc,
            _ => Route::NotFound,
        }
    }

    pub(super) fn takes(&self, method: &Method) -> bool {
        match self {
            Route::NotFound | Route::Account => true,
            Route::Events => method == Method::POST,
            Route::Realtime(_) => matches!(*method, Method::GET | Method::HEAD | Method::POST),
            Route::Api => matches!(*method, Method::GET | Method::HEAD | Method::POST),
            _ => matches!(*method, Method::GET | Method::HEAD),
        }
    }

    /// Methods of the route, as the `Allow` header lists them.
    pub(super) fn allow(&self) -> &'static str {
        match self {
            Route::Events => "POST",
            Route::Api => "GET,HEAD,POST",
            Route::Account | Route::Realtime(_) => "GET,POST,OPTIONS,HEAD",
            _ => "GET,HEAD",
        }
    }

    /// Whether the route is one of the Realtime API's, with its manners.
    pub(super) fn is_realtime(&self) -> bool {
        matches!(self, Route::Realtime(_) | Route::Positions(_))
    }

    /// Whether the route is one of EventGate's, with its headers and manners.
    pub(super) fn is_intake(&self) -> bool {
        matches!(self, Route::Events | Route::TestEvents | Route::StreamConfigs(_))
    }
}

/// Whether `/v1/{name}` is a route of the accounts.
fn is_account_route(name: &str) -> bool {
    levada_accounts::ROUTES
        .iter()
        .any(|(_, path)| path.strip_prefix("/v1/") == Some(name))
}

/// The root answers by which query parameter is there (its value does not matter).
fn root(query: Option<&str>) -> Route {
    let has = |name: &str| {
        query
            .unwrap_or_default()
            .split('&')
            .any(|pair| pair.split('=').next() == Some(name))
    };
    if has("spec") {
        Route::Spec
    } else if has("doc") {
        Route::Doc
    } else if query.is_none_or(str::is_empty) {
        Route::Root
    } else {
        Route::NotFound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match_leniently_and_names_keep_their_case() {
        for path in ["/v1/events", "/v1/events/", "/V1/EVENTS", "/v1//events"] {
            assert_eq!(Route::of(path, None), Route::Events, "{path}");
        }
        for path in ["/v2/stream/A,b", "/V2/Stream/A,b/", "/v2/stream/A%2Cb"] {
            assert_eq!(Route::of(path, None), Route::Stream("A,b".into()), "{path}");
        }
        for path in [
            "/v2/stream",
            "/v2/stream/",
            "/v1/events/x",
            "/nope",
            "/v2/stream/a/b",
            "/v1/_test",
        ] {
            assert_eq!(Route::of(path, None), Route::NotFound, "{path}");
        }
        assert_eq!(Route::of("/", Some("spec")), Route::Spec);
        assert_eq!(Route::of("/", Some("doc=1")), Route::Doc);
        assert_eq!(Route::of("/", None), Route::Root);
        assert_eq!(Route::of("/", Some("fooo=true")), Route::NotFound);
        assert_eq!(Route::of("/v1/_test/events", None), Route::TestEvents);
    }
}

//! From a path to what is asked: the routes of all three contracts (contract §1.0, §3).
//!
//! Paths are matched without regard to case and with one trailing slash, as the original does. What the segments that
//! are data mean (dates, languages) is decided later.

mod path;
mod table;

use crate::config::RestV1;
use crate::model::OnThisDayKind;
pub(crate) use path::is_domain;
use path::{has_prefix, host_name, split};
use table::{gateway, internal, public};

/// In whose words to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Contract {
    /// The service itself, `/{domain}/v1/…`.
    Internal,
    /// RESTBase in front of it, `/api/rest_v1/…`.
    Restbase,
    /// The gateway in front of it.
    Gateway,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Tfa([String; 3]),
    Image([String; 3]),
    MostRead([String; 3]),
    News,
    Dyk,
    /// One list, or all of them as the service itself composes them.
    OnThisDay(Option<OnThisDayKind>, [String; 2]),
    Announcements,
    Availability,
    Configuration,
    RandomTitle,
    RandomRedirect(String),
    Featured([String; 3]),
    /// All lists as the public routes compose them.
    AllOnThisDay([String; 2]),
    /// A list of a day that does not exist, on the route that says so.
    NoSuchList,
    /// `name`, `version` or everything.
    Info(Option<&'static str>),
    Home,
    Robots,
    /// `?spec`, `?doc` or neither.
    Root,
    Preview,
    Style,
}

/// A request, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) contract: Contract,
    /// The wiki, lower case; empty where there is none.
    pub(crate) domain: String,
    pub(crate) target: Target,
}

/// Why there is no route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoute {
    /// A percent sign that is no escape.
    Malformed,
    /// No such path.
    Unknown,
    /// The path of the wiki that the original turns away whole.
    Yue,
}

/// What of the configuration matters for routes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) rest_v1: RestV1,
    pub(crate) compat: bool,
}

impl Route {
    /// Reads a path; `host` is the `Host` header, which names the wiki on the public routes.
    pub(crate) fn read(path: &str, host: Option<&str>, rules: Rules) -> Result<Route, NoRoute> {
        if has_prefix(path, "/yue.wikipedia.org/") {
            return Err(NoRoute::Yue);
        }
        let segments = split(path)?;
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        let lower: Vec<String> = parts.iter().map(|part| part.to_ascii_lowercase()).collect();
        let names: Vec<&str> = lower.iter().map(String::as_str).collect();
        let own = |target| {
            Ok(Route {
                contract: Contract::Internal,
                domain: String::new(),
                target,
            })
        };
        match names.as_slice() {
            [] | ["feeds", "docs"] => own(Target::Root),
            ["_info"] | ["feeds", "_info"] => own(Target::Info(None)),
            ["_info", "name"] | ["feeds", "_info", "name"] => own(Target::Info(Some("name"))),
            ["_info", "version"] | ["feeds", "_info", "version"] => own(Target::Info(Some("version"))),
            ["_info", "home"] | ["feeds", "_info", "home"] => own(Target::Home),
            ["robots.txt"] => own(Target::Robots),
            ["feeds"] => own(Target::Preview),
            ["feeds", "style.css"] => own(Target::Style),
            ["feed", "v1", project, language, ..] => {
                gateway(project, language, &parts[4..], &names[4..], rules)
            }
            ["api", "rest_v1", ..] => {
                let domain = host.map(host_name).ok_or(NoRoute::Unknown)?;
                public(domain, &parts[2..], &names[2..], rules)
            }
            [domain, "api", "rest_v1", ..] => public((*domain).to_owned(), &parts[3..], &names[3..], rules),
            [domain, "v1", ..] => internal(domain, &parts[2..], &names[2..], rules),
            _ => Err(NoRoute::Unknown),
        }
    }
}

/// Whether a path belongs to the feeds when other services share the listener. Root paths (`/`, `/_info`,
/// `/robots.txt`) do not; their twins below `/feeds` do.
pub(crate) fn claims(path: &str) -> bool {
    let Ok(segments) = split(path) else {
        // A broken escape is ours if the rest of the path is.
        return has_prefix(path, "/api/rest_v1/feed/") || has_prefix(path, "/feeds/");
    };
    let lower: Vec<String> = segments.iter().map(|part| part.to_ascii_lowercase()).collect();
    let names: Vec<&str> = lower.iter().map(String::as_str).collect();
    match names.as_slice() {
        ["feeds", ..] | ["feed", "v1", ..] => true,
        ["api", "rest_v1", rest @ ..] | [_, "api", "rest_v1", rest @ ..] => {
            matches!(rest, ["feed", ..] | ["page", "random", ..])
        }
        [domain, "v1", first, ..] => {
            is_domain(domain) && matches!(*first, "page" | "media" | "feed" | "aggregated")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        rest_v1: RestV1::Restbase,
        compat: false,
    };

    fn read(path: &str) -> Result<(Contract, String, Target), NoRoute> {
        Route::read(path, Some("de.wikipedia.org:443"), RULES)
            .map(|route| (route.contract, route.domain, route.target))
    }

    #[test]
    fn paths_ignore_case_and_forgive_one_slash() {
        let news = Ok((Contract::Internal, "en.wikipedia.org".to_owned(), Target::News));
        assert_eq!(read("/en.wikipedia.org/v1/Page/NEWS/"), news);
        assert_eq!(read("/EN.wikipedia.org/v1/page/news"), news);
        assert_eq!(read("/en.wikipedia.org/v1/page/news//"), Err(NoRoute::Unknown));
        assert_eq!(read("/en.wikipedia.org/v1/page/news/x"), Err(NoRoute::Unknown));
        assert_eq!(read("/en.wikipedia.org/v1/page/n%65ws"), news);
        assert_eq!(read("/en.wikipedia.org/v1/page/%"), Err(NoRoute::Malformed));
        assert_eq!(read("/en.wikipedia.org/v1/page/%ff"), Err(NoRoute::Malformed));
    }

    #[test]
    fn case_034_missing_or_extra_segments_are_no_route() {
        assert_eq!(
            read("/en.wikipedia.org/v1/page/featured/2016/04"),
            Err(NoRoute::Unknown)
        );
        assert_eq!(
            read("/en.wikipedia.org/v1/page/featured/2016/04/15/11"),
            Err(NoRoute::Unknown)
        );
        assert!(read("/en.wikipedia.org/v1/page/featured/2016/04/15").is_ok());
    }

    #[test]
    fn case_014_one_wiki_is_turned_away() {
        assert_eq!(read("/yue.wikipedia.org/anything/at/all"), Err(NoRoute::Yue));
        assert_eq!(
            read("/yue.wikipedia.org/api/rest_v1/feed/availability"),
            Err(NoRoute::Yue)
        );
    }

    #[test]
    fn the_host_names_the_wiki_of_a_public_path() {
        let date = ["2026", "11", "20"].map(str::to_owned);
        let featured =
            |contract, domain: &str| Ok((contract, domain.to_owned(), Target::Featured(date.clone())));
        assert_eq!(
            read("/api/rest_v1/feed/featured/2026/11/20"),
            featured(Contract::Restbase, "de.wikipedia.org")
        );
        assert_eq!(
            read("/en.wikipedia.org/api/rest_v1/feed/featured/2026/11/20"),
            featured(Contract::Restbase, "en.wikipedia.org")
        );
        assert_eq!(
            read("/feed/v1/wikipedia/zh-min-nan/featured/2026/11/20"),
            featured(Contract::Gateway, "zh-min-nan.wikipedia.org")
        );
    }

    #[test]
    fn the_gateway_knows_dyk_outside_compat() {
        let path = "/feed/v1/wikipedia/en/dyk";
        assert_eq!(
            read(path),
            Ok((Contract::Gateway, "en.wikipedia.org".to_owned(), Target::Dyk))
        );
        let compat = Rules {
            compat: true,
            ..RULES
        };
        assert_eq!(Route::read(path, None, compat), Err(NoRoute::Unknown));
        assert_eq!(read("/feed/v1/wikipedia/en/../v1/x"), Err(NoRoute::Unknown));
    }

    #[test]
    fn the_feeds_claim_their_own_and_nothing_else() {
        for path in [
            "/feeds",
            "/feeds/_info",
            "/feed/v1/wikipedia/en/featured/2026/11/20",
            "/api/rest_v1/feed/anything",
            "/api/rest_v1/page/random/title",
            "/en.wikipedia.org/v1/page/news",
            "/en.wikipedia.org/api/rest_v1/feed/announcements",
            "/localhost:8080/v1/feed/availability",
        ] {
            assert!(claims(path), "{path}");
        }
        for path in [
            "/",
            "/_info",
            "/robots.txt",
            "/v1/events",
            "/v2/stream/recentchange",
            "/api/rest_v1/page/summary/X",
            "/auth/v1/feed",
            "/schemas/v1/page/x",
            "/v1/feed/x",
        ] {
            assert!(!claims(path), "{path}");
        }
    }
}

//! From a path to what is asked: the routes of all three contracts (contract §1.0, §3).
//!
//! Paths are matched without regard to case and with one trailing slash, as the original does. What the segments that
//! are data mean (dates, languages) is decided later.

use crate::config::RestV1;
use crate::model::OnThisDayKind;
use percent_encoding::percent_decode_str;

/// Segments of the longest route, with room; a longer path is none of ours.
const SEGMENTS: usize = 12;
/// Formats of the random redirect (contract §2.9).
const FORMATS: [&str; 6] = [
    "title",
    "html",
    "summary",
    "related",
    "mobile-sections",
    "mobile-sections-lead",
];

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

fn internal(domain: &str, parts: &[&str], names: &[&str], rules: Rules) -> Result<Route, NoRoute> {
    let of = |contract, target| {
        Ok(Route {
            contract,
            domain: domain.to_owned(),
            target,
        })
    };
    let own = |target| of(Contract::Internal, target);
    match names {
        ["page", "featured", ..] if parts.len() == 5 => own(Target::Tfa(three(&parts[2..]))),
        ["media", "image", "featured", ..] if parts.len() == 6 => own(Target::Image(three(&parts[3..]))),
        ["page", "most-read", ..] if parts.len() == 5 => own(Target::MostRead(three(&parts[2..]))),
        ["page", "news"] => own(Target::News),
        ["feed", "did-you-know"] => own(Target::Dyk),
        ["feed", "onthisday", "all", ..] if parts.len() == 5 => {
            own(Target::OnThisDay(None, two(&parts[3..])))
        }
        ["feed", "onthisday", list, ..] if parts.len() == 5 => match list.parse() {
            Ok(kind) => own(Target::OnThisDay(Some(kind), two(&parts[3..]))),
            Err(()) => Err(NoRoute::Unknown),
        },
        ["feed", "announcements"] => own(Target::Announcements),
        ["feed", "availability"] => own(Target::Availability),
        ["feed", "configuration"] => own(Target::Configuration),
        ["page", "random", "title"] => own(Target::RandomTitle),
        ["page", "random", "redirect", format] if FORMATS.contains(format) => {
            own(Target::RandomRedirect((*format).to_owned()))
        }
        ["aggregated", "featured", ..] if parts.len() == 5 && is_date(&parts[2..], &[4, 2, 2]) => {
            own(Target::Featured(three(&parts[2..])))
        }
        ["aggregated", "onthisday", "all", ..] if parts.len() == 5 && is_day(&parts[3..], rules) => {
            own(Target::AllOnThisDay(two(&parts[3..])))
        }
        // What the gateway makes of its public paths, for clients that were pointed at it.
        ["feed", "featured", ..] if !rules.compat && parts.len() == 5 && is_date(&parts[2..], &[4, 2, 2]) => {
            of(Contract::Gateway, Target::Featured(three(&parts[2..])))
        }
        ["page", "random", format] if !rules.compat && FORMATS.contains(format) => {
            of(Contract::Gateway, Target::RandomRedirect((*format).to_owned()))
        }
        _ => Err(NoRoute::Unknown),
    }
}

/// `/api/rest_v1/…` of a wiki.
fn public(domain: String, parts: &[&str], names: &[&str], rules: Rules) -> Result<Route, NoRoute> {
    if domain == "yue.wikipedia.org" {
        return Err(NoRoute::Yue);
    }
    match rules.rest_v1 {
        RestV1::Gateway => behind_gateway(domain, parts, names, rules),
        RestV1::Restbase => {
            let own = |target| {
                Ok(Route {
                    contract: Contract::Restbase,
                    domain,
                    target,
                })
            };
            match names {
                ["feed", "featured", ..] if parts.len() == 5 => own(Target::Featured(three(&parts[2..]))),
                ["feed", "onthisday", "all", ..] if parts.len() == 5 => {
                    own(Target::AllOnThisDay(two(&parts[3..])))
                }
                ["feed", "onthisday", list, ..] if parts.len() == 5 => match list.parse() {
                    Ok(kind) => own(Target::OnThisDay(Some(kind), two(&parts[3..]))),
                    Err(()) => own(Target::NoSuchList),
                },
                ["feed", "announcements"] => own(Target::Announcements),
                ["feed", "availability"] => own(Target::Availability),
                // Younger than this contract, and no trouble to anybody.
                ["feed", "configuration"] if !rules.compat => own(Target::Configuration),
                ["feed", "did-you-know"] if !rules.compat => own(Target::Dyk),
                ["page", "random", format] if FORMATS.contains(format) => {
                    own(Target::RandomRedirect((*format).to_owned()))
                }
                _ => Err(NoRoute::Unknown),
            }
        }
    }
}

/// `/feed/v1/{project}/{language}/…`.
fn gateway(
    project: &str,
    language: &str,
    parts: &[&str],
    names: &[&str],
    rules: Rules,
) -> Result<Route, NoRoute> {
    let is_label = |label: &str, hyphen: bool| {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (hyphen && byte == b'-');
        !label.is_empty() && label.bytes().all(letter)
    };
    // The gateway's `\w+` never matches `zh-min-nan` (W22).
    if !is_label(project, true) || !is_label(language, !rules.compat) {
        return Err(NoRoute::Unknown);
    }
    let domain = format!("{language}.{project}.org");
    if domain == "yue.wikipedia.org" {
        return Err(NoRoute::Yue);
    }
    match names {
        ["dyk"] if rules.compat => Err(NoRoute::Unknown),
        ["dyk"] => Ok(Route {
            contract: Contract::Gateway,
            domain,
            target: Target::Dyk,
        }),
        ["page", "random", _] => behind_gateway(domain, parts, names, rules),
        _ => {
            let parts: Vec<&str> = ["feed"].into_iter().chain(parts.iter().copied()).collect();
            let names: Vec<&str> = ["feed"].into_iter().chain(names.iter().copied()).collect();
            behind_gateway(domain, &parts, &names, rules)
        }
    }
}

/// A path below `/{domain}/v1` as the gateway rewrites it.
fn behind_gateway(domain: String, parts: &[&str], names: &[&str], rules: Rules) -> Result<Route, NoRoute> {
    let own = |target| {
        Ok(Route {
            contract: Contract::Gateway,
            domain,
            target,
        })
    };
    match names {
        ["feed", "announcements"] => own(Target::Announcements),
        ["feed", "availability"] => own(Target::Availability),
        ["feed", "configuration"] => own(Target::Configuration),
        ["feed", "did-you-know"] => own(Target::Dyk),
        ["feed", "onthisday", "all", ..] if parts.len() == 5 && is_day(&parts[3..], rules) => {
            own(Target::AllOnThisDay(two(&parts[3..])))
        }
        ["feed", "onthisday", list, ..] if parts.len() == 5 => match list.parse() {
            Ok(kind) => own(Target::OnThisDay(Some(kind), two(&parts[3..]))),
            Err(()) => Err(NoRoute::Unknown),
        },
        ["feed", "featured", ..] if parts.len() == 5 && is_date(&parts[2..], &[4, 2, 2]) => {
            own(Target::Featured(three(&parts[2..])))
        }
        ["page", "random", format] if FORMATS.contains(format) => {
            own(Target::RandomRedirect((*format).to_owned()))
        }
        _ => Err(NoRoute::Unknown),
    }
}

/// The segments of a path, decoded; one trailing slash is forgiven.
fn split(path: &str) -> Result<Vec<String>, NoRoute> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let raw: Vec<&str> = path.split('/').take(SEGMENTS + 1).collect();
    if raw.len() > SEGMENTS {
        return Err(NoRoute::Unknown);
    }
    raw.into_iter().map(decode).collect()
}

fn decode(segment: &str) -> Result<String, NoRoute> {
    let bytes = segment.as_bytes();
    let is_hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    let broken = bytes
        .iter()
        .enumerate()
        .any(|(at, byte)| *byte == b'%' && !(is_hex(at + 1) && is_hex(at + 2)));
    if broken {
        return Err(NoRoute::Malformed);
    }
    percent_decode_str(segment)
        .decode_utf8()
        .map(|text| text.into_owned())
        .map_err(|_| NoRoute::Malformed)
}

/// Whether a name can be the domain of a wiki: letters, digits, hyphens and dots, perhaps a port, and at least one
/// dot or port, so that `/x/v1/feed` of other services is left alone.
pub(crate) fn is_domain(name: &str) -> bool {
    let (host, port) = name.split_once(':').unwrap_or((name, ""));
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.len() <= 253
        && host.split('.').all(label)
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && (host.contains('.') || !port.is_empty())
}

fn host_name(host: &str) -> String {
    host.split(':').next().unwrap_or(host).to_ascii_lowercase()
}

fn has_prefix(path: &str, prefix: &str) -> bool {
    path.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn is_date(parts: &[&str], lengths: &[usize]) -> bool {
    parts.len() == lengths.len()
        && parts
            .iter()
            .zip(lengths)
            .all(|(part, length)| part.len() == *length && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `mm/dd`; outside compat mode each may have one digit, as on the other routes.
fn is_day(parts: &[&str], rules: Rules) -> bool {
    let fits = |part: &&str| {
        let length = if rules.compat {
            part.len() == 2
        } else {
            (1..=2).contains(&part.len())
        };
        length && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    parts.len() == 2 && parts.iter().all(fits)
}

fn three(parts: &[&str]) -> [String; 3] {
    [parts[0].to_owned(), parts[1].to_owned(), parts[2].to_owned()]
}

fn two(parts: &[&str]) -> [String; 2] {
    [parts[0].to_owned(), parts[1].to_owned()]
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

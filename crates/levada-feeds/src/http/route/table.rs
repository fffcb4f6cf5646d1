//! The routes below a wiki, one table per contract.

use super::{Contract, NoRoute, Route, Rules, Target};
use crate::config::RestV1;

/// Formats of the random redirect (contract §2.9).
const FORMATS: [&str; 6] = [
    "title",
    "html",
    "summary",
    "related",
    "mobile-sections",
    "mobile-sections-lead",
];

/// `/{domain}/v1/…`.
pub(super) fn internal(domain: &str, parts: &[&str], names: &[&str], rules: Rules) -> Result<Route, NoRoute> {
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
pub(super) fn public(domain: String, parts: &[&str], names: &[&str], rules: Rules) -> Result<Route, NoRoute> {
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
pub(super) fn gateway(
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

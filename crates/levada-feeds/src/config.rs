//! `[feeds]` of `levada.toml`: every key with its unit and default.
//!
//! Promises that a configuration accepted by [`FeedsConfig::check`] can be built into a service.

mod defaults;

use crate::upstream::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// Settings of the feeds service. Every key has a default; an empty table serves Wikimedia's wikis from the public
/// internet with caches in memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeedsConfig {
    /// Base of the wiki's scripts; `/w/api.php`, `/w/rest.php/v1` and `/w/index.php` are appended. `{domain}` is
    /// replaced by the wiki's domain; without it the domain travels in the `Host` header. Default
    /// `https://{domain}`.
    pub mediawiki: String,
    /// Path of the scripts below `mediawiki`. Default `/w`.
    pub script_path: String,
    /// Base of the page-summary service; `/page/summary/{title}` is appended. Default
    /// `https://{domain}/api/rest_v1`; a Page Content Service of one's own is
    /// `http://localhost:6012/{domain}/v1`.
    pub summaries: String,
    /// Base of the pageview service; `/pageviews/…` is appended. Default
    /// `https://wikimedia.org/api/rest_v1/metrics`.
    pub pageviews: String,
    /// Base of the scripts of the media repository, as `mediawiki`. `{domain}` stands for the repository's domain.
    /// Default: the value of `mediawiki`.
    pub commons: Option<String>,
    /// Domain of the media repository. Default `commons.wikimedia.org` (its beta twin for beta domains).
    pub commons_domain: String,
    /// Domains that may be asked for, `*.` standing for one or more labels, `*` for any domain at all. A domain
    /// outside is answered 404 and never contacted. Default: the public wikis of Wikimedia.
    pub domains: Vec<String>,
    /// `User-Agent` of every upstream request. Operators should name themselves and an address.
    pub user_agent: String,
    /// Give wire quirks of the original back (error bodies as plain JSON or HTML, time-based ETags, `aggregated=false`
    /// meaning true, 500 for missing pages …): `docs/reference/feeds.md` lists them. Default false.
    pub compat: bool,
    /// Which public contract `/api/rest_v1` speaks: `restbase` (the classic one) or `gateway` (today's). Default
    /// `restbase`.
    pub rest_v1: RestV1,
    /// Value of `Access-Control-Allow-Origin`; empty sends no CORS headers. Default `*`.
    pub cors: String,
    /// Send the content-security and framing headers. Default true.
    pub csp: bool,
    /// Directory of language rules, deny lists and campaigns that replaces the built-in ones file by file. Default
    /// none.
    pub data_dir: Option<PathBuf>,
    /// Stand still on this day (`YYYY-MM-DD`, noon UTC) instead of following the clock. Default: the moment of the
    /// recording when one is replayed, else the clock.
    pub today: Option<String>,
    /// Serve upstream answers from this recording and contact nobody.
    pub replay: Option<PathBuf>,
    /// Save every upstream answer into this directory.
    pub record: Option<PathBuf>,
    /// How upstream services are asked.
    pub upstream: UpstreamConfig,
    /// What is kept, where and how much of it.
    pub cache: CacheConfig,
    /// How long things stay fresh.
    pub fresh: FreshConfig,
}

/// The public contracts that share the path `/api/rest_v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RestV1 {
    /// RESTBase's composition: 400 for bad dates, `Location` relative, no did-you-know part.
    Restbase,
    /// The gateway in front of the service's own composition: what is served publicly today.
    Gateway,
}

/// `[feeds.upstream]`: how upstream services are asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Longest time to open a connection, milliseconds. Default 5000.
    pub connect_timeout_ms: u64,
    /// Longest time for one attempt, body included, milliseconds. Default 8000: two attempts fit under the 15 s after
    /// which gateways hang up.
    pub timeout_ms: u64,
    /// Longest time a client waits for one feed (one part of a composed feed), milliseconds. What is still under way
    /// then goes on in the background and is there for the next request. Default 10000.
    pub part_deadline_ms: u64,
    /// Attempts per request on network errors and 5xx. Default 2.
    pub attempts: u32,
    /// Attempts per page-HTML request on network errors, 5xx and 429. Default 4.
    pub html_attempts: u32,
    /// First back-off between attempts, milliseconds; doubles, with full jitter. Default 100.
    pub backoff_ms: u64,
    /// Longest back-off, also the most of a `Retry-After` that is honoured, milliseconds. Default 2000.
    pub backoff_max_ms: u64,
    /// Requests in flight to all upstreams together. Default 256.
    pub concurrency: usize,
    /// Requests in flight to one upstream service. Default 96.
    pub concurrency_per_upstream: usize,
    /// Idle connections kept per host. Default 96.
    pub pool: usize,
    /// Largest answer body accepted, bytes. Default 16 MiB.
    pub max_body: usize,
    /// Redirects followed per request. Default 5.
    pub redirects: u32,
    /// Failures in a row after which an upstream is left alone for a while. Default 20.
    pub breaker_failures: u32,
    /// How long it is left alone, milliseconds. Default 5000.
    pub breaker_open_ms: u64,
}

/// `[feeds.cache]`: what is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// File of the embedded store that lets caches survive a restart. None, or an empty path, is memory only. Default
    /// none; the server puts `feeds.redb` into its data directory.
    pub path: Option<PathBuf>,
    /// Largest size of the store's file, bytes, at least 4 MiB. The oldest entries go first; at most a quarter of the
    /// file is entries. Default 1 GiB.
    pub disk_bytes: u64,
    /// Memory for built feeds, bytes. Default 128 MiB.
    pub results_bytes: u64,
    /// Memory for composed and compressed answers, bytes. Default 128 MiB.
    pub replies_bytes: u64,
    /// Memory for page HTML, bytes; pages of days as read may take as much again. Default 64 MiB.
    pub pages_bytes: u64,
    /// Memory for page summaries, bytes. Default 128 MiB.
    pub summaries_bytes: u64,
    /// Memory for the other upstream answers (site information, pageviews, images), bytes. Default 32 MiB.
    pub answers_bytes: u64,
    /// Feeds that may be in the making at once; further ones wait. Default 64.
    pub builds: usize,
    /// How far ahead of expiry a feed that is asked for is refreshed in the background, seconds. Default 60.
    pub refresh_ahead_s: u32,
    /// A feed that nobody asked for during this time is no longer refreshed ahead, seconds. Default 1800.
    pub refresh_idle_s: u32,
    /// For how long after expiry the old feed is served while a new one is made, seconds. Default 600.
    pub stale_while_revalidate_s: u32,
    /// For how long after expiry the old feed is served when a new one cannot be made, seconds. Default 7 days.
    pub stale_if_error_s: u32,
}

/// `[feeds.fresh]`: lifetimes in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FreshConfig {
    /// Featured article. Default 3600.
    pub tfa: u32,
    /// Picture of the day. Default 3600.
    pub image: u32,
    /// Most read. Default 21600: a day's list never changes, its summaries do.
    pub mostread: u32,
    /// In the news. Default 300.
    pub news: u32,
    /// Did you know. Default 300.
    pub dyk: u32,
    /// On this day. Default 3600.
    pub onthisday: u32,
    /// A feed in which something failed. Default 30: the next request after that tries again.
    pub degraded: u32,
    /// A feed that does not exist (404 upstream). Default 300.
    pub missing: u32,
    /// Page HTML. Default 240.
    pub page: u32,
    /// A page summary. Default 3600.
    pub summary: u32,
    /// A page summary that does not exist. Default 600.
    pub summary_missing: u32,
    /// Site information. Default 86400.
    pub siteinfo: u32,
    /// Pageviews. Default 86400.
    pub pageviews: u32,
    /// Titles drawn for random pages. Default 600.
    pub random: u32,
}

/// What a store needs for its own structure and a few pages.
const SMALLEST_DISK: u64 = 4 << 20;

impl FeedsConfig {
    /// Says what is wrong with the configuration, naming the key; `Ok` when a service can be built from it.
    pub fn check(&self) -> Result<(), ConfigError> {
        let commons = self.commons.as_deref().unwrap_or(&self.mediawiki);
        let bases = [
            ("mediawiki", self.mediawiki.as_str()),
            ("summaries", &self.summaries),
            ("pageviews", &self.pageviews),
            ("commons", commons),
        ];
        for (key, base) in bases {
            if !(base.starts_with("http://") || base.starts_with("https://")) {
                return Err(ConfigError::new(
                    key,
                    format!("{base:?} must begin with http:// or https://"),
                ));
            }
        }
        if self.domains.is_empty() {
            return Err(ConfigError::new(
                "domains",
                "no domain could be served; use [\"*\"] for any".into(),
            ));
        }
        if http::HeaderValue::from_str(&self.user_agent).is_err() {
            return Err(ConfigError::new("user_agent", "must be printable ASCII".into()));
        }
        if http::HeaderValue::from_str(&self.cors).is_err() {
            return Err(ConfigError::new("cors", "must be printable ASCII".into()));
        }
        let positive = [
            ("upstream.attempts", u64::from(self.upstream.attempts)),
            ("upstream.html_attempts", u64::from(self.upstream.html_attempts)),
            ("upstream.timeout_ms", self.upstream.timeout_ms),
            ("upstream.part_deadline_ms", self.upstream.part_deadline_ms),
            ("upstream.concurrency", self.upstream.concurrency as u64),
            (
                "upstream.concurrency_per_upstream",
                self.upstream.concurrency_per_upstream as u64,
            ),
            (
                "upstream.breaker_failures",
                u64::from(self.upstream.breaker_failures),
            ),
            ("cache.builds", self.cache.builds as u64),
        ];
        if self.cache.disk_bytes < SMALLEST_DISK {
            return Err(ConfigError::new(
                "cache.disk_bytes",
                format!("must be at least {SMALLEST_DISK}, or leave out feeds.cache.path"),
            ));
        }
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::new(key, "must be at least 1".into()));
        }
        if self.replay.is_some() && self.record.is_some() {
            return Err(ConfigError::new(
                "record",
                "a replay has nothing to record".into(),
            ));
        }
        if let Some(day) = &self.today
            && day.parse::<jiff::civil::Date>().is_err()
        {
            return Err(ConfigError::new(
                "today",
                format!("{day:?} is not a day of the form YYYY-MM-DD"),
            ));
        }
        Ok(())
    }

    /// A short hash of where the wikis are asked.
    pub(crate) fn bases(&self) -> String {
        let commons = self.commons.as_deref().unwrap_or(&self.mediawiki);
        let bases = [
            self.mediawiki.as_str(),
            &self.script_path,
            &self.summaries,
            &self.pageviews,
            commons,
            &self.commons_domain,
        ];
        hex(&Sha256::digest(bases.join("\n").as_bytes())[..4])
    }

    /// Whether a wiki of this (lower-case) domain may be asked for.
    pub fn admits(&self, domain: &str) -> bool {
        self.domains
            .iter()
            .any(|pattern| match pattern.strip_prefix('*') {
                Some("") => true,
                Some(suffix) => domain.len() > suffix.len() && domain.ends_with(suffix),
                None => pattern == domain,
            })
    }
}

/// A key of `[feeds]` with a value that cannot be served with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("feeds.{key}: {problem}")]
pub struct ConfigError {
    /// The key, dotted, below `feeds`.
    pub key: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl ConfigError {
    fn new(key: &str, problem: String) -> ConfigError {
        ConfigError {
            key: key.to_owned(),
            problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_an_empty_table_is_the_default() {
        assert_eq!(FeedsConfig::default().check(), Ok(()));
        assert_eq!(
            serde_json::from_str::<FeedsConfig>("{}").expect("valid"),
            FeedsConfig::default()
        );
    }

    #[test]
    fn a_wrong_key_is_named() {
        let config = FeedsConfig {
            mediawiki: "en.wikipedia.org".into(),
            ..FeedsConfig::default()
        };
        assert_eq!(config.check().expect_err("no scheme").key, "mediawiki");
        assert!(serde_json::from_str::<FeedsConfig>(r#"{"mediawikki":""}"#).is_err());
        let config = FeedsConfig {
            today: Some("2026-02-30".into()),
            ..FeedsConfig::default()
        };
        assert_eq!(config.check().expect_err("no such day").key, "today");
    }

    #[test]
    fn domains_are_matched_by_whole_labels() {
        let config = FeedsConfig::default();
        assert!(config.admits("en.wikipedia.org"));
        assert!(!config.admits("evilwikipedia.org"));
        assert!(!config.admits(".wikipedia.org") || config.domains.contains(&"*".to_owned()));
        assert!(!config.admits("localhost"));
        assert!(
            FeedsConfig {
                domains: vec!["*".into()],
                ..config
            }
            .admits("localhost")
        );
    }
}

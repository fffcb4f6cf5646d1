//! What holds where the configuration says nothing.

use super::{CacheConfig, FeedsConfig, FreshConfig, RestV1, UpstreamConfig};

impl Default for FeedsConfig {
    fn default() -> Self {
        FeedsConfig {
            mediawiki: "https://{domain}".into(),
            script_path: "/w".into(),
            summaries: "https://{domain}/api/rest_v1".into(),
            pageviews: "https://wikimedia.org/api/rest_v1/metrics".into(),
            commons: None,
            commons_domain: "commons.wikimedia.org".into(),
            domains: PUBLIC_WIKIS.iter().map(|d| (*d).to_owned()).collect(),
            user_agent: concat!(
                "levada-feeds/",
                env!("CARGO_PKG_VERSION"),
                " (Explore feeds server; set feeds.user_agent to say who operates it)"
            )
            .into(),
            compat: false,
            rest_v1: RestV1::Restbase,
            cors: "*".into(),
            csp: true,
            data_dir: None,
            today: None,
            replay: None,
            record: None,
            upstream: UpstreamConfig::default(),
            cache: CacheConfig::default(),
            fresh: FreshConfig::default(),
        }
    }
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        UpstreamConfig {
            connect_timeout_ms: 5_000,
            timeout_ms: 8_000,
            part_deadline_ms: 10_000,
            attempts: 2,
            html_attempts: 4,
            backoff_ms: 100,
            backoff_max_ms: 2_000,
            concurrency: 256,
            concurrency_per_upstream: 96,
            pool: 96,
            max_body: 16 << 20,
            redirects: 5,
            breaker_failures: 20,
            breaker_open_ms: 5_000,
        }
    }
}

impl Default for CacheConfig {
    fn default() -> Self {
        CacheConfig {
            path: None,
            disk_bytes: 1 << 30,
            results_bytes: 128 << 20,
            replies_bytes: 128 << 20,
            pages_bytes: 64 << 20,
            summaries_bytes: 128 << 20,
            answers_bytes: 32 << 20,
            builds: 64,
            refresh_ahead_s: 60,
            refresh_idle_s: 1_800,
            stale_while_revalidate_s: 600,
            stale_if_error_s: 7 * 86_400,
        }
    }
}

impl Default for FreshConfig {
    fn default() -> Self {
        FreshConfig {
            tfa: 3_600,
            image: 3_600,
            mostread: 21_600,
            news: 300,
            dyk: 300,
            onthisday: 3_600,
            degraded: 30,
            missing: 300,
            page: 240,
            summary: 3_600,
            summary_missing: 600,
            siteinfo: 86_400,
            pageviews: 86_400,
            random: 600,
        }
    }
}

/// The wikis that are public at Wikimedia: a server that fetches any domain named in a path would be an open proxy.
const PUBLIC_WIKIS: [&str; 14] = [
    "*.wikipedia.org",
    "*.wiktionary.org",
    "*.wikibooks.org",
    "*.wikinews.org",
    "*.wikiquote.org",
    "*.wikisource.org",
    "*.wikiversity.org",
    "*.wikivoyage.org",
    "*.wikimedia.org",
    "wikimedia.org",
    "www.wikidata.org",
    "www.mediawiki.org",
    "*.beta.wmflabs.org",
    "*.beta.wmcloud.org",
];

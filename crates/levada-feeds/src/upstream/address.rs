//! Where each upstream service is, and how its URLs are built (contract §2.0.1, §7).
//!
//! Trusts the configuration to be checked. Promises that whatever stands in a title, the URL stays on the configured
//! host and below the configured path.

use super::{Request, Upstream};
use crate::config::FeedsConfig;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::sync::Arc;

/// JavaScript's `encodeURIComponent`: everything but letters, digits and `-_.!~*'()`.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// Percent-encodes a value as one path segment or query value, as `encodeURIComponent` does.
pub(crate) fn component(text: &str) -> String {
    // A lone dot segment would be resolved away by URL parsers and leave the configured path.
    match text {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => utf8_percent_encode(text, COMPONENT).to_string(),
    }
}

/// On whose behalf upstream services are asked.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// `X-Request-Id` of the request being served.
    pub(crate) request_id: Arc<str>,
    /// Language variant of the content, when the wiki has several.
    pub(crate) language: Option<Arc<str>>,
}

/// The configured bases, ready to build requests from.
#[derive(Debug, Clone)]
pub struct Addresses {
    mediawiki: String,
    commons: String,
    commons_domain: String,
    summaries: String,
    pageviews: String,
}

impl Addresses {
    /// Takes the bases from a checked configuration.
    pub fn new(config: &FeedsConfig) -> Addresses {
        let script = config.script_path.trim_matches('/');
        let scripts = |base: &str| match script {
            "" => base.trim_end_matches('/').to_owned(),
            _ => format!("{}/{script}", base.trim_end_matches('/')),
        };
        Addresses {
            mediawiki: scripts(&config.mediawiki),
            commons: scripts(config.commons.as_deref().unwrap_or(&config.mediawiki)),
            commons_domain: config.commons_domain.clone(),
            summaries: config.summaries.trim_end_matches('/').to_owned(),
            pageviews: config.pageviews.trim_end_matches('/').to_owned(),
        }
    }

    /// The domain of the media repository that serves `domain` (contract §2.2).
    pub fn commons_domain(&self, domain: &str) -> String {
        if domain.ends_with("beta.wmflabs.org") {
            "commons.wikimedia.beta.wmflabs.org".to_owned()
        } else {
            self.commons_domain.clone()
        }
    }

    /// An action API query; `format` and `formatversion` are added.
    pub(crate) fn action(&self, domain: &str, params: &[(&str, &str)], caller: &Caller) -> Request {
        let mut path = "/api.php?format=json&formatversion=2".to_owned();
        for (name, value) in params {
            path.push('&');
            path.push_str(name);
            path.push('=');
            path.push_str(&component(value));
        }
        self.request(
            Upstream::Action,
            self.scripts(domain),
            domain,
            &path,
            None,
            caller,
        )
    }

    /// A page of `index.php`, rendered.
    pub(crate) fn index(&self, domain: &str, title: &str, caller: &Caller) -> Request {
        let path = format!("/index.php?title={}", component(title));
        let accept = Some("text/html; charset=UTF-8");
        self.request(
            Upstream::Index,
            self.scripts(domain),
            domain,
            &path,
            accept,
            caller,
        )
    }

    /// A page's HTML from the core REST API.
    pub(crate) fn html(&self, domain: &str, title: &str, caller: &Caller) -> Request {
        let path = format!("/rest.php/v1/page/{}/with_html", component(title));
        self.request(Upstream::Html, self.scripts(domain), domain, &path, None, caller)
    }

    /// A page's summary.
    pub(crate) fn summary(&self, domain: &str, title: &str, caller: &Caller) -> Request {
        let path = format!("/page/summary/{}", component(title));
        self.request(Upstream::Summary, &self.summaries, domain, &path, None, caller)
    }

    /// A day's most viewed pages. `project` is the first two labels of the domain.
    pub(crate) fn top(&self, project: &str, (year, month, day): (i16, i8, i8), caller: &Caller) -> Request {
        let path = format!(
            "/pageviews/top/{}/all-access/{year:04}/{month:02}/{day:02}",
            component(project)
        );
        self.pageviews(project, &path, caller)
    }

    /// A page's views per day between two days `YYYYMMDD`, inclusive.
    pub(crate) fn history(
        &self,
        project: &str,
        article: &str,
        from: &str,
        to: &str,
        caller: &Caller,
    ) -> Request {
        let path = format!(
            "/pageviews/per-article/{}/all-access/user/{}/daily/{from}/{to}",
            component(project),
            component(article)
        );
        self.pageviews(project, &path, caller)
    }

    fn pageviews(&self, project: &str, path: &str, caller: &Caller) -> Request {
        Request {
            upstream: Upstream::Pageviews,
            domain: project.to_owned(),
            url: format!("{}{path}", self.pageviews),
            host: None,
            accept: Some("application/json; charset=utf-8"),
            language: None,
            request_id: Arc::clone(&caller.request_id),
        }
    }

    fn scripts(&self, domain: &str) -> &str {
        let is_commons = domain == self.commons_domain || domain == "commons.wikimedia.beta.wmflabs.org";
        if is_commons {
            &self.commons
        } else {
            &self.mediawiki
        }
    }

    fn request(
        &self,
        upstream: Upstream,
        base: &str,
        domain: &str,
        path: &str,
        accept: Option<&'static str>,
        caller: &Caller,
    ) -> Request {
        let named = base.contains("{domain}");
        Request {
            upstream,
            domain: domain.to_owned(),
            url: format!("{}{path}", base.replace("{domain}", domain)),
            host: (!named).then(|| domain.to_owned()),
            accept,
            language: caller.language.clone(),
            request_id: Arc::clone(&caller.request_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller() -> Caller {
        Caller {
            request_id: "r".into(),
            language: None,
        }
    }

    #[test]
    fn a_title_is_one_segment_whatever_stands_in_it() {
        let addresses = Addresses::new(&FeedsConfig::default());
        let request = addresses.summary("en.wikipedia.org", "../AC/DC? 50%#x", &caller());
        assert_eq!(
            request.url,
            "https://en.wikipedia.org/api/rest_v1/page/summary/..%2FAC%2FDC%3F%2050%25%23x"
        );
        let request = addresses.summary("en.wikipedia.org", "..", &caller());
        assert!(request.url.ends_with("/page/summary/%2E%2E"), "{}", request.url);
    }

    #[test]
    fn without_the_placeholder_the_domain_is_the_host_header() {
        let config = FeedsConfig {
            mediawiki: "http://localhost:6500".into(),
            summaries: "http://localhost:6012/{domain}/v1/".into(),
            ..FeedsConfig::default()
        };
        let addresses = Addresses::new(&config);
        let html = addresses.html("en.wikipedia.org", "Template:In_the_news", &caller());
        assert_eq!(
            html.url,
            "http://localhost:6500/w/rest.php/v1/page/Template%3AIn_the_news/with_html"
        );
        assert_eq!(html.host.as_deref(), Some("en.wikipedia.org"));
        let summary = addresses.summary("en.wikipedia.org", "A", &caller());
        assert_eq!(
            summary.url,
            "http://localhost:6012/en.wikipedia.org/v1/page/summary/A"
        );
        assert_eq!(summary.host, None);
    }

    #[test]
    fn beta_wikis_have_their_own_media_repository() {
        let addresses = Addresses::new(&FeedsConfig::default());
        assert_eq!(
            addresses.commons_domain("en.wikipedia.beta.wmflabs.org"),
            "commons.wikimedia.beta.wmflabs.org"
        );
        assert_eq!(
            addresses.commons_domain("en.wikipedia.org"),
            "commons.wikimedia.org"
        );
    }

    #[test]
    fn pageviews_are_asked_by_project_and_day() {
        let addresses = Addresses::new(&FeedsConfig::default());
        let request = addresses.top("en.wikipedia", (2016, 4, 9), &caller());
        assert!(
            request
                .url
                .ends_with("/metrics/pageviews/top/en.wikipedia/all-access/2016/04/09")
        );
        assert_eq!(request.accept, Some("application/json; charset=utf-8"));
    }
}

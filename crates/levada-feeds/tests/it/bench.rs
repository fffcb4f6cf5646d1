//! The service under test, with everything that a test may want to turn.

use crate::fixture::Fixture;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use levada_feeds::config::FeedsConfig;
use levada_feeds::upstream::Faulty;
use levada_feeds::{Clock, Feeds, StillClock};
use serde_json::{Value, json};
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

pub const EN: &str = "en.wikipedia.org";

/// The service over the fixture, on 20 November 2026, noon.
pub struct Bench {
    pub feeds: Feeds,
    pub wiki: Arc<Fixture>,
    pub faults: Arc<Faulty<Arc<Fixture>>>,
    pub clock: Arc<StillClock>,
    pub config: FeedsConfig,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Bench {
    pub fn new() -> Bench {
        Bench::of(FeedsConfig::default())
    }

    pub fn compat() -> Bench {
        Bench::of(FeedsConfig {
            compat: true,
            ..FeedsConfig::default()
        })
    }

    pub fn of(config: FeedsConfig) -> Bench {
        let clock = Arc::new(StillClock::at_noon(2026, 11, 20).expect("a day"));
        Bench::over(config, Arc::new(a_day()), clock)
    }

    pub fn over(mut config: FeedsConfig, wiki: Arc<Fixture>, clock: Arc<StillClock>) -> Bench {
        config.upstream.backoff_ms = 0;
        // A test that counts attempts must not meet an open breaker.
        if config.upstream.breaker_failures == 20 {
            config.upstream.breaker_failures = 1_000_000;
        }
        let faults = Arc::new(Faulty::new(Arc::clone(&wiki)));
        let told: Arc<dyn Clock> = clock.clone();
        let feeds = Feeds::with(config.clone(), faults.clone(), told).expect("a service");
        Bench {
            feeds,
            wiki,
            faults,
            clock,
            config,
        }
    }

    /// A new service over the same wiki, as after a restart.
    pub fn restarted(self) -> Bench {
        let Bench {
            feeds,
            wiki,
            clock,
            config,
            ..
        } = self;
        drop(feeds);
        Bench::over(config, wiki, clock)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[]).await
    }

    /// Asks until the answer is no longer marked as past its time: refreshing runs beside the requests.
    pub async fn once_fresh(&self, path: &str) -> Answer {
        for _ in 0..100_000 {
            let answer = self.get(path).await;
            if !answer.has("levada-feed-stale") {
                return answer;
            }
            tokio::task::yield_now().await;
        }
        panic!("never fresh: {path}");
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask(Method::GET, path, headers).await
    }

    pub async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self
            .feeds
            .handle(request.body(Bytes::new()).expect("a request"))
            .await;
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("ASCII"))
    }

    pub fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    pub fn text(&self) -> String {
        if self.header("content-encoding") == "gzip" {
            let mut text = String::new();
            flate2::read::GzDecoder::new(&*self.body)
                .read_to_string(&mut text)
                .expect("gzip");
            return text;
        }
        String::from_utf8(self.body.to_vec()).expect("UTF-8")
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The keys of a JSON object, in order.
    pub fn keys(&self) -> Vec<String> {
        keys(&self.json())
    }

    #[track_caller]
    pub fn ok(&self) -> &Answer {
        assert_eq!(self.status, 200, "{}: {:?}", self.text(), self.headers);
        self
    }
}

pub fn keys(value: &Value) -> Vec<String> {
    value.as_object().expect("an object").keys().cloned().collect()
}

/// Real material, when it is at hand; otherwise it is said how many cases are skipped.
pub fn shared(cases: usize) -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let root = std::env::var_os("LEVADA_SHARED").map_or_else(beside, PathBuf::from);
    let feeds = root.join("reference/feeds");
    if feeds.is_dir() {
        return Some(feeds);
    }
    println!(
        "skipped {cases} cases: no reference material at {}",
        feeds.display()
    );
    None
}

/// A wiki on which every feed of 20 November 2026 is there.
pub fn a_day() -> Fixture {
    let wiki = Fixture::default();
    wiki.feed_item(
        EN,
        "20261120",
        r#"<html><body><b><a title="Not here">x</a></b><div id="mw-content-text"><p>The <b><a href="/wiki/Tidal_wheel" title="Tidal wheel">tidal wheel</a></b> …</p></div></body></html>"#,
    );
    for day in ["20260429", "20161120", "20160429"] {
        wiki.feed_item(
            EN,
            day,
            r#"<div id="mw-content-text"><a href="/wiki/Old" title="Old mill"><b>Old mill</b></a></div>"#,
        );
    }
    wiki.page(
        EN,
        "Template:In_the_news",
        &news(&["Canal opening", "Second story"]),
    );
    wiki.page(
        EN,
        "Template:Did_you_know",
        &document(r#"<ul><li>... that <b><a rel="mw:WikiLink" href="./Weir" title="Weir">weirs</a></b> <i>(pictured)</i> hold water?</li></ul>"#),
    );
    wiki.page(
        EN,
        "Wikipedia:Selected_anniversaries/November_20",
        &document(r#"<ul><li><a rel="mw:WikiLink" href="./1820">1820</a> – A <b><a rel="mw:WikiLink" href="./Whale" title="Whale">whale</a></b> sank a ship.</li></ul>"#),
    );
    wiki.page(EN, "November_20", &day_page());
    wiki.top(
        "en.wikipedia/2026/11/19",
        &[
            ("Main_Page", 900),
            ("Water_mill", 500),
            ("Aqueduct", 400),
            ("Special:Search", 300),
        ],
    );
    wiki.top("en.wikipedia/2026/11/18", &[("Water_mill", 450)]);
    wiki.top("nl.wikipedia/2026/11/19", &[("Molen", 40), ("Sluis", 30)]);
    wiki.picture("2026-11-20", picture("File:Levada.jpg"));
    wiki.page("commons.wikimedia.org", "File:Levada.jpg", &description());
    wiki.entities(json!({"entities": {"M114092958": {"id": "M114092958", "labels": {"en": {"language": "en", "value": "A levada"}}}}, "success": 1}));
    wiki.random(&[
        ("Best page", Some("good"), true),
        ("List", Some("Wikimedia list article"), true),
        ("Plain", Some("so so"), false),
    ]);
    wiki
}

/// A Parsoid document around a section.
pub fn document(section: &str) -> String {
    format!(
        "<!DOCTYPE html><html><head><title>t</title></head><body><section data-mw-section-id=\"0\">{section}</section></body></html>"
    )
}

/// The news with one story per title.
pub fn news(titles: &[&str]) -> String {
    let stories: String = titles
        .iter()
        .map(|title| {
            let key = title.replace(' ', "_");
            format!("<li>The <b><a rel=\"mw:WikiLink\" href=\"./{key}\" title=\"{title}\">{title}</a></b> is seen <a rel=\"mw:WikiLink\" href=\"./Madeira\" title=\"Madeira\">there</a>.</li>")
        })
        .collect();
    document(&format!("<ul>{stories}</ul>"))
}

/// A page of a day with two events, a birth, a death and a holiday.
pub fn day_page() -> String {
    let link = |title: &str| {
        format!(
            "<a rel=\"mw:WikiLink\" href=\"./{0}\" title=\"{0}\">{0}</a>",
            title
        )
    };
    let section =
        |id: &str, items: &str| format!("<section><h2 id=\"{id}\">{id}</h2><ul>{items}</ul></section>");
    format!(
        "<html><body>{}{}{}{}</body></html>",
        section(
            "Events",
            &format!(
                "<li>{} – Opening of the {}.</li><li>1990 – The {} again.</li>",
                link("1820"),
                link("Canal"),
                link("Canal")
            )
        ),
        section("Births", &format!("<li>1900 – {}, engineer</li>", link("Ada"))),
        section("Deaths", &format!("<li>1950 – {}, miller</li>", link("Bob"))),
        section(
            "Holidays_and_observances",
            &format!("<li>{}</li>", link("Water_Day"))
        ),
    )
}

/// The image query's answer.
pub fn picture(title: &str) -> Value {
    json!({"batchcomplete": true, "query": {"pages": [{
        "pageid": 99, "ns": 6, "title": title, "imagerepository": "local",
        "imageinfo": [{
            "thumburl": "https://upload.example.org/640px-Levada.jpg", "thumbwidth": 640, "thumbheight": 400,
            "url": "https://upload.example.org/Levada.jpg", "width": 7680, "height": 4800, "size": 1,
            "descriptionurl": "https://commons.wikimedia.org/wiki/File:Levada.jpg",
            "extmetadata": {
                "Artist": {"value": "<a href=\"//commons.wikimedia.org/wiki/User:Ada\" title=\"User:Ada\">Ada</a>"},
                "Credit": {"value": {"en": "<span class=\"int-own-work\" lang=\"en\">Own work</span>"}},
                "LicenseShortName": {"value": "CC BY-SA 4.0"}, "License": {"value": "cc-by-sa-4.0"},
                "LicenseUrl": {"value": "https://creativecommons.org/licenses/by-sa/4.0"},
            },
        }],
    }]}})
}

/// The file's description page.
pub fn description() -> String {
    document(
        r#"<div class="description lang-en" lang="en"><span class="langlabel-en">English: </span>A water <b>channel</b></div><div class="description lang-de" lang="de">Ein Kanal</div>"#,
    )
}

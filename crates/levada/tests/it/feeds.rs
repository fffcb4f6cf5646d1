//! The feeds beside the streams: page-change events refresh exactly the feeds that are built from the
//! page, what was made survives a restart, and an outage of the wiki serves the last good answer.

mod recording;
mod wiki;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde_json::Value;

use crate::client::{self, PATIENCE};
use crate::server::{Server, Site};
use wiki::Wiki;

const EN: &str = "en.wikipedia.org";
const NEWS: &str = "/en.wikipedia.org/v1/page/news";
const FACTS: &str = "/en.wikipedia.org/v1/feed/did-you-know";
const EVENTS: &str = "/en.wikipedia.org/v1/feed/onthisday/events/11/20";
const STALE: &str = "levada-feed-stale";

const CONFIG: &str = "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n";
const STREAMS: &str = "streams:\n  page_change: {schema_title: page}\n";
const SCHEMA: &str = "title: page\n$id: /page/1.0.0\ntype: object\nproperties:\n  meta: {type: object, properties: {id: {type: string}, dt: {type: string}, domain: {type: string}}}\n  page: {type: object, properties: {page_title: {type: string}}}\n  prior_state: {type: object}\n";

/// A server with feeds over the wiki, refreshed by the stream `page_change`.
fn site(wiki: &Wiki) -> Site {
    let feeds = wiki.config();
    // A failed refreshing is tried again after a second, so that the test need not wait for half a minute.
    let site = Site::new(&format!(
        "{CONFIG}{feeds}streams = [\"page_change\"]\n[feeds.fresh]\ndegraded = 1\n"
    ));
    site.file("streams.yaml", STREAMS);
    site.file("schemas/page/1.0.0", SCHEMA);
    site
}

fn a_wiki() -> Wiki {
    let wiki = Wiki::start();
    wiki.page(EN, "Template:In_the_news", &story("Canal_opening"));
    wiki.page(
        EN,
        "Template:Did_you_know",
        "<ul><li>... that <b><a rel=\"mw:WikiLink\" href=\"./Weir\">weirs</a></b> hold water?</li></ul>",
    );
    wiki.page(
        EN,
        "November_20",
        "<h2 id=\"Events\">Events</h2><ul><li>1820 – A <a rel=\"mw:WikiLink\" href=\"./Whale\">whale</a> sinks a ship.</li></ul>",
    );
    wiki
}

fn story(topic: &str) -> String {
    format!("<ul><li>The <b><a rel=\"mw:WikiLink\" href=\"./{topic}\">topic</a></b> is seen.</li></ul>")
}

/// The body, the entity tag and the mark of an answer that is there.
#[derive(Debug, PartialEq)]
struct Served {
    body: String,
    tag: String,
    stale: Option<String>,
}

fn get(server: &Server, path: &str) -> Served {
    let response = client::get(server.address, path);
    assert_eq!(response.status, 200, "{path}");
    let header = |name| response.header(name).map(str::to_owned);
    let (tag, stale) = (header("etag").unwrap(), header(STALE));
    Served {
        body: response.text(),
        tag,
        stale,
    }
}

/// Asks again until the answer is as wanted: events and refreshing run beside the requests.
fn until(server: &Server, path: &str, wanted: impl Fn(&Served) -> bool) -> Served {
    let began = Instant::now();
    loop {
        let served = get(server, path);
        if wanted(&served) {
            return served;
        }
        assert!(began.elapsed() < PATIENCE, "{path} stays {served:?}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Says that a page has changed.
fn changed(server: &Server, domain: &str, page: &str) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let id = NUMBER.fetch_add(1, Ordering::Relaxed);
    let event = format!(
        r#"{{"$schema":"/page/1.0.0","meta":{{"stream":"page_change","id":"{id}","dt":"2026-11-20T12:00:00Z","domain":"{domain}"}},"page":{{"page_title":"{page}"}}}}"#
    );
    let response = client::post(server.address, &event);
    let (status, text) = (response.status, response.text());
    assert_eq!(status, 201, "{text}");
}

/// Value of a counter.
fn counter(server: &Server, series: &str) -> u64 {
    let text = client::get(server.address, "/metrics").text();
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

#[test]
fn page_changes_refresh_exactly_the_feeds_built_from_the_page() {
    let wiki = a_wiki();
    let site = site(&wiki);
    let server = site.start();
    let before = [NEWS, FACTS, EVENTS].map(|path| get(&server, path));
    assert!(before.iter().all(|served| served.stale.is_none()));
    assert!(before[0].body.contains("Canal_opening") && before[2].body.contains("Whale"));
    assert!(!wiki.asked().is_empty());

    // Without an event nobody looks at the changed page.
    wiki.page(EN, "Template:In_the_news", &story("Lock_opening"));
    wiki.page(
        EN,
        "Template:Did_you_know",
        "<ul><li>... that nobody says so?</li></ul>",
    );
    assert_eq!([NEWS, FACTS, EVENTS].map(|path| get(&server, path)), before);
    assert_eq!(wiki.asked(), Vec::<String>::new());

    // Events of pages that no feed is built from, and of another wiki, stand before the one that counts.
    changed(&server, EN, "Talk:Weir");
    changed(&server, "de.wikipedia.org", "Template:In_the_news");
    changed(&server, EN, "Template:In_the_news");
    let after = until(&server, NEWS, |served| served.body.contains("Lock_opening"));
    assert_eq!(after.stale, None);
    assert_ne!(after.tag, before[0].tag);
    // The page and the summary that it links to now; nothing for the other feeds, which stay as they were.
    assert_eq!(
        wiki.asked(),
        [
            format!("{} /{EN}/v1/page/summary/Lock_opening", wiki.address),
            format!("{EN} /w/rest.php/v1/page/Template:In_the_news/with_html"),
        ]
    );
    assert_eq!(get(&server, FACTS), before[1]);
    assert_eq!(get(&server, EVENTS), before[2]);
    assert_eq!(wiki.asked(), Vec::<String>::new());
    assert_eq!(counter(&server, "levada_feeds_invalidated_by_events_total"), 1);
    assert_eq!(
        counter(&server, "levada_feeds_invalidations_total{feed=\"news\"}"),
        1
    );
    assert_eq!(
        counter(&server, "levada_feeds_invalidations_total{feed=\"dyk\"}"),
        0
    );

    // An article of a feed, and a page that was moved away: its old title counts.
    changed(&server, EN, "Whale");
    let asked_for = |page: &str| {
        let began = Instant::now();
        loop {
            get(&server, EVENTS);
            let asked = wiki.asked();
            if asked.iter().any(|line| line.ends_with(page)) {
                return asked;
            }
            assert!(began.elapsed() < PATIENCE, "{page} is not asked for");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    };
    let asked = asked_for("/page/summary/Whale");
    assert!(!asked.iter().any(|line| line.contains("Template:")), "{asked:?}");
    let moved = r#"{"$schema":"/page/1.0.0","meta":{"stream":"page_change","id":"m","dt":"2026-11-20T12:00:00Z","domain":"en.wikipedia.org"},"page":{"page_title":"20_November"},"prior_state":{"page":{"page_title":"November_20"}}}"#;
    assert_eq!(client::post(server.address, moved).status, 201);
    asked_for("/page/November_20/with_html");
    assert_eq!(get(&server, FACTS), before[1]);
}

#[test]
fn what_was_made_survives_a_restart_and_an_outage() {
    let wiki = a_wiki();
    let site = site(&wiki);
    let server = site.start();
    let before = [NEWS, FACTS, EVENTS].map(|path| get(&server, path));
    assert!(server.stop().success());
    wiki.asked();

    // Everything is there again and nobody is asked for it.
    wiki.down(true);
    let server = site.start();
    assert_eq!([NEWS, FACTS, EVENTS].map(|path| get(&server, path)), before);
    assert_eq!(wiki.asked(), Vec::<String>::new());

    // What has to be made anew and cannot be is the last good one, and says so.
    wiki.page(EN, "Template:In_the_news", &story("Lock_opening"));
    changed(&server, EN, "Template:In_the_news");
    let stale = until(&server, NEWS, |served| served.stale.is_some());
    assert_eq!((&stale.body, &stale.tag), (&before[0].body, &before[0].tag));
    assert!(
        stale
            .stale
            .as_deref()
            .unwrap()
            .contains("why=\"html answered 503\""),
        "{stale:?}"
    );
    assert_eq!(get(&server, FACTS).stale, None);
    // A feed of a day of which nothing was ever made names what is lacking.
    let day = client::get(
        server.address,
        "/en.wikipedia.org/v1/aggregated/featured/2026/11/20",
    );
    assert_eq!(day.status, 200);
    let failed = day.header("levada-feed-failed").unwrap().to_owned();
    assert!(
        failed.contains("tfa;why=") && failed.contains("image;why="),
        "{failed}"
    );

    // A server started in the middle of the outage still has it.
    server.kill();
    let server = site.start();
    assert_eq!(get(&server, NEWS).body, before[0].body);

    // The outage ends.
    wiki.down(false);
    changed(&server, EN, "Template:In_the_news");
    let fresh = until(&server, NEWS, |served| {
        served.stale.is_none() && served.body.contains("Lock_opening")
    });
    let stories: Value = serde_json::from_str(&fresh.body).unwrap();
    assert_eq!(stories[0]["links"][0]["title"], "Lock_opening");
}

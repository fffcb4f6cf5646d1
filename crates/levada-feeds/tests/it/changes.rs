//! Changes of pages and rules, and what they reach: also what is being fetched or made meanwhile, and across restarts.

use crate::bench::{Answer, Bench, EN, a_day, news};
use crate::fixture::Fixture;
use async_trait::async_trait;
use levada_feeds::upstream::{Fault, Fetch, FetchError, Request, Response, Upstream};
use levada_feeds::{Feeds, FeedsConfig, StillClock};
use std::sync::Arc;
use tokio::sync::Semaphore;

const NEWS: &str = "/en.wikipedia.org/v1/page/news";
const BIRTHS: &str = "/en.wikipedia.org/v1/feed/onthisday/births/11/20";
const EVENTS: &str = "/en.wikipedia.org/v1/feed/onthisday/events/11/20";

/// A wiki that gives some answers as they were when they were asked for, but only when it is let.
struct Gate {
    wiki: Arc<Fixture>,
    holds: &'static str,
    open: Semaphore,
}

#[async_trait]
impl Fetch for Gate {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        let held = request.url.contains(self.holds);
        let answer = self.wiki.fetch(request).await;
        if held {
            let _passed = self.open.acquire().await;
        }
        answer
    }
}

/// The service over a gate.
fn gated(holds: &'static str, mut config: FeedsConfig) -> (Bench, Arc<Gate>) {
    config.upstream.backoff_ms = 0;
    let clock = Arc::new(StillClock::at_noon(2026, 11, 20).expect("a day"));
    let gate = Arc::new(Gate {
        wiki: Arc::new(a_day()),
        holds,
        open: Semaphore::new(0),
    });
    let mut bench = Bench::over(config.clone(), Arc::clone(&gate.wiki), Arc::clone(&clock));
    bench.feeds = Feeds::with(config, gate.clone(), clock).expect("a service");
    (bench, gate)
}

/// Lets others go on until the wiki was asked for it so often.
async fn until_asked(bench: &Bench, url_has: &str, times: usize) {
    while bench.wiki.count(url_has) < times {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

fn first_topic(answer: &Answer) -> String {
    let stories = answer.ok().json();
    stories[0]["links"][0]["title"]
        .as_str()
        .expect("a title")
        .to_owned()
}

#[tokio::test]
async fn a_change_of_a_redirects_target_brings_a_new_summary() {
    let bench = Bench::new();
    bench.wiki.redirect("Canal_opening", "Opening_of_the_canal");
    bench.get(NEWS).await.ok();
    assert_eq!(bench.wiki.count("summary/Canal_opening"), 1);
    bench.clock.advance_s(10);
    assert_eq!(bench.feeds.invalidate(EN, "Opening of the canal"), 1);
    bench.once_fresh(NEWS).await.ok();
    assert_eq!(bench.wiki.count("summary/Canal_opening"), 2);
    // And no other.
    assert_eq!(bench.wiki.count("summary/Madeira"), 1);
}

#[tokio::test]
async fn a_summary_that_was_under_way_when_its_page_changed_is_not_kept() {
    let (bench, gate) = gated("summary/Canal_opening", FeedsConfig::default());
    let feeds = bench.feeds.clone();
    let first = tokio::spawn(async move {
        let request = http::Request::builder()
            .uri(NEWS)
            .body(bytes::Bytes::new())
            .expect("a request");
        feeds.handle(request).await.status()
    });
    until_asked(&bench, "summary/Canal_opening", 1).await;
    bench.feeds.invalidate(EN, "Canal_opening");
    gate.open.add_permits(1_000);
    assert_eq!(first.await.expect("no panic"), 200);
    bench.clock.advance_s(10);
    bench.once_fresh(NEWS).await.ok();
    assert_eq!(bench.wiki.count("summary/Canal_opening"), 2);
}

#[tokio::test]
async fn whoever_comes_after_a_change_does_not_join_the_fetch_from_before_it() {
    let (bench, gate) = gated("/November_20/", FeedsConfig::default());
    let ask = |path: &'static str| {
        let feeds = bench.feeds.clone();
        tokio::spawn(async move {
            let request = http::Request::builder()
                .uri(path)
                .body(bytes::Bytes::new())
                .expect("a request");
            feeds.handle(request).await.into_body()
        })
    };
    let before = ask(BIRTHS);
    until_asked(&bench, "/November_20/", 1).await;
    let changed = "<html><body><section><h2 id=\"Events\">Events</h2><ul><li>1821 – The news of the day.</li></ul></section></body></html>";
    bench.wiki.page(EN, "November_20", changed);
    bench.feeds.invalidate(EN, "November_20");
    let after = ask(EVENTS);
    // It has joined, or has not.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    gate.open.add_permits(1_000);
    before.await.expect("no panic");
    let body = after.await.expect("no panic");
    assert!(
        String::from_utf8_lossy(&body).contains("The news of the day"),
        "{body:?}"
    );
    assert_eq!(bench.wiki.count("/November_20/"), 2);
}

#[tokio::test]
async fn what_a_change_outdated_is_outdated_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = FeedsConfig::default();
    config.cache.path = Some(dir.path().join("feeds.redb"));
    let bench = Bench::of(config);
    bench.get(NEWS).await.ok();
    let births = bench.get(BIRTHS).await;
    assert_eq!(bench.feeds.invalidate(EN, "Template:In_the_news"), 1);
    bench
        .wiki
        .page(EN, "Template:In_the_news", &news(&["After the change"]));
    bench.feeds.flush().await;
    let bench = bench.restarted();
    assert_eq!(first_topic(&bench.get(NEWS).await), "After_the_change");
    // What nothing has changed is served as it was, and what was made anew is fresh after the next restart.
    bench.feeds.flush().await;
    let bench = bench.restarted();
    bench.wiki.forget_log();
    assert_eq!(bench.get(BIRTHS).await.ok().body, births.body);
    assert_eq!(first_topic(&bench.get(NEWS).await), "After_the_change");
    assert_eq!(bench.wiki.asked().len(), 0);
}

#[tokio::test]
async fn what_was_made_in_another_way_is_made_anew_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = FeedsConfig::default();
    config.cache.path = Some(dir.path().join("feeds.redb"));
    let builds = |bench: &Bench| {
        bench
            .feeds
            .metrics()
            .contains("levada_feeds_builds_total{feed=\"news\",outcome=\"ok\"} 1")
    };
    let mut bench = Bench::of(config);
    bench.get(NEWS).await.ok();
    bench.feeds.flush().await;
    bench = bench.restarted();
    bench.get(NEWS).await.ok();
    assert!(!builds(&bench), "nothing was changed");
    bench.config.compat = true;
    bench = bench.restarted();
    bench.get(NEWS).await.ok();
    assert!(builds(&bench), "other wire quirks");
    bench.feeds.flush().await;
    let rules = tempfile::tempdir().expect("a directory");
    let text =
        "[[language]]\nlang = \"en\"\npage = \"Template:In the news\"\nheadlines = \"li\"\ntopic = \"b a\"\n";
    std::fs::write(rules.path().join("news.toml"), text).expect("written");
    bench.config.data_dir = Some(rules.path().to_owned());
    bench = bench.restarted();
    bench.get(NEWS).await.ok();
    assert!(builds(&bench), "other rules");
    bench.feeds.flush().await;
    bench.config.summaries = "https://{domain}/elsewhere".into();
    bench = bench.restarted();
    bench.get(NEWS).await.ok();
    assert!(builds(&bench), "other upstreams");
}

#[tokio::test]
async fn rules_that_change_while_a_feed_is_made_reach_it() {
    let rules = tempfile::tempdir().expect("a directory");
    let config = FeedsConfig {
        data_dir: Some(rules.path().to_owned()),
        ..FeedsConfig::default()
    };
    let (bench, gate) = gated("summary/Canal_opening", config);
    bench
        .wiki
        .page(EN, "Template:News", &news(&["Under other rules"]));
    let feeds = bench.feeds.clone();
    let first = tokio::spawn(async move {
        let request = http::Request::builder()
            .uri(NEWS)
            .body(bytes::Bytes::new())
            .expect("a request");
        feeds.handle(request).await.status()
    });
    until_asked(&bench, "summary/Canal_opening", 1).await;
    let text = "[[language]]\nlang = \"en\"\npage = \"Template:News\"\nheadlines = \"li\"\ntopic = \"b a\"\n";
    std::fs::write(rules.path().join("news.toml"), text).expect("written");
    bench.feeds.reload_rules().expect("they read");
    gate.open.add_permits(1_000);
    assert_eq!(first.await.expect("no panic"), 200);
    assert_eq!(first_topic(&bench.get(NEWS).await), "Under_other_rules");
}

#[tokio::test]
async fn an_edit_of_a_linked_page_makes_nobody_wait() {
    let bench = Bench::new();
    let good = bench.get(NEWS).await;
    let summaries = |bench: &Bench| bench.wiki.count("summary/Madeira");
    assert_eq!(bench.feeds.invalidate(EN, "Madeira"), 1);
    // Not more often than every few seconds, however often it is edited and asked for.
    for _ in 0..20 {
        let old = bench.get(NEWS).await;
        assert_eq!(old.ok().body, good.body);
        assert!(
            old.header("levada-feed-stale").starts_with("news;age=0;why="),
            "{old:?}"
        );
        assert_eq!(bench.feeds.tend(), 0);
        bench.feeds.invalidate(EN, "Madeira");
    }
    assert_eq!(summaries(&bench), 1);
    bench.clock.advance_s(5);
    bench.faults.set(Some(Upstream::Summary), "Madeira", Fault::Hangs);
    // The wiki hangs, and nobody notices.
    assert_eq!(bench.get(NEWS).await.ok().body, good.body);
    let bench = Bench::new();
    bench.get(NEWS).await.ok();
    bench.feeds.invalidate(EN, "Madeira");
    bench.clock.advance_s(5);
    bench.once_fresh(NEWS).await.ok();
    // The summary alone was fetched again.
    assert_eq!((summaries(&bench), bench.wiki.count("In_the_news")), (2, 1));
    // Ten minutes later nobody is given what is known to be outdated without having been waited for.
    bench.feeds.invalidate(EN, "Madeira");
    bench.clock.advance_s(601);
    assert!(!bench.get(NEWS).await.ok().has("levada-feed-stale"));
}

#[tokio::test]
async fn a_day_page_read_without_site_information_is_read_again() {
    let bench = Bench::new();
    bench.wiki.file_namespace(EN, "Bild");
    let link =
        |title: &str| format!("<a rel=\"mw:WikiLink\" href=\"./{title}\" title=\"{title}\">{title}</a>");
    let page = format!(
        "<html><body><section><h2 id=\"Births\">Births</h2><ul><li>1900 – {}, {}</li></ul></section></body></html>",
        link("Ada"),
        link("Bild:Ada.jpg")
    );
    bench.wiki.page(EN, "November_20", &page);
    bench
        .faults
        .set(Some(Upstream::Action), "siteinfo", Fault::Status(503));
    let lacking = bench.get(BIRTHS).await;
    assert!(
        lacking
            .header("levada-feed-failed")
            .starts_with("births.siteinfo"),
        "{lacking:?}"
    );
    bench.faults.clear();
    bench.clock.advance_s(31);
    let whole = bench.once_fresh(BIRTHS).await;
    assert_eq!(
        whole.ok().json()["births"][0]["pages"]
            .as_array()
            .expect("pages")
            .len(),
        1
    );
}

#[tokio::test]
async fn the_age_of_the_oldest_stale_feed_is_told_until_nobody_wants_it() {
    let bench = Bench::new();
    let other = "/en.wikipedia.org/v1/feed/onthisday/births/11/21";
    bench.wiki.page(EN, "November_21", &crate::bench::day_page());
    bench.get(BIRTHS).await.ok();
    bench.get(other).await.ok();
    bench
        .faults
        .set(Some(Upstream::Html), "/November_20/", Fault::Status(500));
    bench.clock.advance_s(3_601 + 600);
    assert!(bench.get(BIRTHS).await.ok().has("levada-feed-stale"));
    bench.get(other).await.ok();
    assert!(!bench.get(other).await.ok().has("levada-feed-stale"));
    let age = |bench: &Bench| {
        let text = bench.feeds.metrics();
        let line = text
            .lines()
            .find(|line| line.starts_with("levada_feeds_stale_age_seconds{feed=\"births\"}"));
        line.and_then(|line| line.rsplit_once(' '))
            .map(|(_, age)| age.to_owned())
    };
    assert_eq!(age(&bench).as_deref(), Some("4201"));
    bench.clock.advance_s(1_801);
    bench.get(other).await.ok();
    bench.once_fresh(other).await.ok();
    assert_eq!(age(&bench).as_deref(), Some("0"));
}

#[tokio::test(start_paused = true)]
async fn builds_that_found_no_place_in_time_are_not_made_afterwards() {
    let mut config = FeedsConfig::default();
    config.cache.builds = 1;
    let bench = Bench::of(config);
    bench.faults.set(Some(Upstream::Html), "", Fault::Hangs);
    let paths: Vec<String> = (1..=20)
        .map(|day| format!("/{EN}/v1/feed/onthisday/births/11/{day:02}"))
        .collect();
    let started = tokio::time::Instant::now();
    let answers = futures_util::future::join_all(paths.iter().map(|path| {
        let bench = &bench;
        async move {
            let answer = bench.get(path).await;
            (answer.status, started.elapsed().as_secs())
        }
    }));
    let answers = answers.await;
    assert!(answers.iter().all(|(status, _)| *status == 504), "{answers:?}");
    // One is being made, four wait, the others are told at once.
    let at_once = answers.iter().filter(|(_, took)| *took < 5).count();
    assert_eq!(at_once, 15, "{answers:?}");
    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    let attempts = bench.feeds.metrics();
    let line = attempts
        .lines()
        .find(|line| line.contains("upstream=\"html\",outcome=\"timeout\""));
    // Four attempts at the one page, none at any other.
    assert!(line.is_some_and(|line| line.ends_with(" 4")), "{line:?}");
}

//! Upstream faults in every position: no 5xx that the original would not give, nothing empty served as healthy, no
//! panic, nobody waits for ever (case 121).

use crate::bench::{Answer, Bench, EN, document};
use levada_feeds::upstream::{Fault, Upstream};
use std::collections::HashMap;

/// A place where a fault can strike: a service and a piece of its URL.
type Place = (Upstream, &'static str);

const SITEINFO: Place = (Upstream::Action, "siteinfo");
const PAGE_IMAGES: Place = (Upstream::Action, "pageimages");
const PICTURE: Place = (Upstream::Action, "generator=images");
const ENTITIES: Place = (Upstream::Action, "wbgetentities");
const RANDOM: Place = (Upstream::Action, "generator=random");
const FEED_ITEM: Place = (Upstream::Index, "");
const NEWS: Place = (Upstream::Html, "In_the_news");
const FACTS: Place = (Upstream::Html, "Did_you_know");
const SELECTED: Place = (Upstream::Html, "Selected_anniversaries");
const DAY: Place = (Upstream::Html, "/November_20/");
const FILE: Place = (Upstream::Html, "File%3A");
const ALL_PAGES: Place = (Upstream::Html, "");
const ONE_SUMMARY: Place = (Upstream::Summary, "Madeira");
const SUMMARIES: Place = (Upstream::Summary, "");
const TOP: Place = (Upstream::Pageviews, "/top/");
const HISTORY: Place = (Upstream::Pageviews, "/per-article/");
const PAGEVIEWS: Place = (Upstream::Pageviews, "");

const PLACES: [Place; 17] = [
    SITEINFO,
    PAGE_IMAGES,
    PICTURE,
    ENTITIES,
    RANDOM,
    FEED_ITEM,
    NEWS,
    FACTS,
    SELECTED,
    DAY,
    FILE,
    ALL_PAGES,
    ONE_SUMMARY,
    SUMMARIES,
    TOP,
    HISTORY,
    PAGEVIEWS,
];

/// Every route, and the places without which the original has no answer either: only a fault in one of
/// them may be a 5xx. Composed answers have none.
const ROUTES: [(&str, &[Place]); 28] = [
    (
        "/en.wikipedia.org/v1/page/featured/2026/11/20",
        &[FEED_ITEM, SITEINFO, SUMMARIES],
    ),
    (
        "/en.wikipedia.org/v1/page/featured/2026/11/20?aggregated=true",
        &[],
    ),
    (
        "/en.wikipedia.org/v1/media/image/featured/2026/11/20",
        &[PICTURE, FILE, ENTITIES, ALL_PAGES],
    ),
    (
        "/en.wikipedia.org/v1/media/image/featured/2026/11/20?aggregated=true",
        &[],
    ),
    (
        "/en.wikipedia.org/v1/page/most-read/2026/11/19",
        &[TOP, PAGEVIEWS, SITEINFO],
    ),
    (
        "/en.wikipedia.org/v1/page/most-read/2026/11/20?aggregated=true",
        &[TOP, PAGEVIEWS, SITEINFO],
    ),
    ("/en.wikipedia.org/v1/page/news", &[NEWS, ALL_PAGES]),
    ("/en.wikipedia.org/v1/page/news?format=atom", &[NEWS, ALL_PAGES]),
    ("/en.wikipedia.org/v1/feed/did-you-know", &[FACTS, ALL_PAGES]),
    (
        "/en.wikipedia.org/v1/feed/onthisday/selected/11/20",
        &[SELECTED, ALL_PAGES],
    ),
    (
        "/en.wikipedia.org/v1/feed/onthisday/events/11/20",
        &[DAY, ALL_PAGES],
    ),
    (
        "/en.wikipedia.org/v1/feed/onthisday/births/11/20",
        &[DAY, ALL_PAGES],
    ),
    (
        "/en.wikipedia.org/v1/feed/onthisday/deaths/11/20",
        &[DAY, ALL_PAGES],
    ),
    (
        "/en.wikipedia.org/v1/feed/onthisday/holidays/11/20?format=rss",
        &[DAY, ALL_PAGES],
    ),
    (
        "/en.wikipedia.org/v1/feed/onthisday/all/11/20",
        &[DAY, SELECTED, ALL_PAGES],
    ),
    ("/en.wikipedia.org/v1/page/random/title", &[RANDOM, SITEINFO]),
    (
        "/en.wikipedia.org/v1/page/random/redirect/summary",
        &[RANDOM, SITEINFO],
    ),
    ("/en.wikipedia.org/v1/aggregated/featured/2026/11/20", &[]),
    (
        "/en.wikipedia.org/v1/aggregated/featured/2026/11/20?format=jsonfeed",
        &[],
    ),
    ("/en.wikipedia.org/v1/aggregated/onthisday/all/11/20", &[]),
    ("/en.wikipedia.org/api/rest_v1/feed/featured/2026/11/20", &[]),
    ("/en.wikipedia.org/api/rest_v1/feed/onthisday/all/11/20", &[]),
    ("/feed/v1/wikipedia/en/featured/2026/11/20", &[]),
    // Two parts and no other that could name a failure for them.
    ("/nl.wikipedia.org/v1/aggregated/featured/2026/11/20", &[]),
    ("/en.wikipedia.org/v1/feed/announcements", &[]),
    ("/en.wikipedia.org/v1/feed/availability", &[]),
    ("/en.wikipedia.org/v1/feed/configuration", &[]),
    ("/feeds", &[]),
];

/// A place that leads to itself, wherever it was met.
const LOOP: &str = "/around/siteinfo/pageimages/generator=images/wbgetentities/generator=random/In_the_news/Did_you_know/Selected_anniversaries/November_20/File%3A/Madeira/top/per-article/";

fn faults() -> Vec<Fault> {
    vec![
        Fault::Status(401),
        Fault::Status(403),
        Fault::Status(404),
        Fault::Status(429),
        Fault::Status(500),
        Fault::Status(503),
        Fault::Broken,
        Fault::Hangs,
        Fault::Half,
        Fault::Redirect(LOOP.into()),
        Fault::Redirect("http://169.254.169.254/".into()),
        Fault::Body("".into()),
        Fault::Body("null".into()),
        Fault::Body("[]".into()),
        Fault::Body("{}".into()),
        Fault::Body(r#"{"error":{"code":"internal_api_error_DBQueryError","info":"x"}}"#.into()),
        Fault::Body(r#"{"query":null,"items":7,"html":{},"title":[]}"#.into()),
        Fault::Body("\u{0}\u{fffd}<html".into()),
    ]
}

/// Whether the fault is what a wiki says when there is no such thing: then the thing is left out, and nothing failed.
fn is_absence(fault: &Fault, place: Place) -> bool {
    match fault {
        Fault::Status(404) => true,
        // An action API that knows of nothing.
        Fault::Body(body) => matches!(place, PICTURE | PAGE_IMAGES | RANDOM) && &body[..] == b"{}",
        _ => false,
    }
}

/// What every route answers when nothing is wrong.
async fn healthy(bench: &Bench) -> HashMap<&'static str, Answer> {
    let mut answers = HashMap::new();
    for (path, _) in ROUTES {
        let answer = bench.get(path).await;
        assert!(matches!(answer.status, 200 | 303), "{path}: {answer:?}");
        assert!(
            !answer.has("levada-feed-failed") && !answer.has("levada-feed-stale"),
            "{path}: {answer:?}"
        );
        answers.insert(path, answer);
    }
    answers
}

#[tokio::test(start_paused = true)]
async fn every_fault_in_every_position() {
    let (good, mut wrong) = (healthy(&Bench::new()).await, Wrong::default());
    for fault in faults() {
        for place in PLACES {
            let bench = Bench::new();
            bench.faults.set(Some(place.0), place.1, fault.clone());
            for (path, needs) in ROUTES {
                let context = format!("{fault:?} at {place:?}: {path}");
                let started = tokio::time::Instant::now();
                let answer = bench.get(path).await;
                wrong.note(started.elapsed().as_secs() >= 15, "late", &context, &answer);
                if let Err(what) = check(&answer, &good[path], is_absence(&fault, place)) {
                    wrong.note(true, what, &context, &answer);
                }
                let is_ours =
                    answer.status >= 500 && (!needs.contains(&place) || fault == Fault::Status(404));
                wrong.note(is_ours, "the original has an answer", &context, &answer);
            }
            assert_eq!(bench.wiki.count("169.254"), 0, "{fault:?} at {place:?}");
        }
    }
}

/// What is wrong with an answer that is not the healthy one: it must say so.
fn check(answer: &Answer, good: &Answer, is_absence: bool) -> Result<(), &'static str> {
    if answer.status >= 400 {
        let body = answer.json();
        let is_explained = body["detail"].is_string() && body["title"].is_string();
        return is_explained.then_some(()).ok_or("not explained");
    }
    if (answer.status, &answer.body) == (good.status, &good.body) {
        return Ok(());
    }
    let is_named = answer.has("levada-feed-failed") || answer.has("levada-feed-stale");
    if !is_named && !is_absence {
        return Err("served as healthy");
    }
    // Nor does anybody keep it as if it were whole.
    let whole = "s-maxage=300, max-age=60";
    if is_named && good.header("cache-control") == whole && answer.header("cache-control") == whole {
        return Err("kept like a whole one");
    }
    let text = answer.text();
    let is_empty = ["[]", "{}"].contains(&text.as_str()) || text.contains("\":[]}");
    if is_empty && !is_named && !text.contains("\"links\":[]") && !text.contains("\"pages\":[]") {
        return Err("empty and silent");
    }
    Ok(())
}

/// Faults of the service under test, all of them at once.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn note(&mut self, is_wrong: bool, what: &str, context: &str, answer: &Answer) {
        if is_wrong {
            let text = answer.text();
            let end = text.floor_char_boundary(200);
            let (failed, stale) = (
                answer.header("levada-feed-failed"),
                answer.header("levada-feed-stale"),
            );
            self.0.push(format!(
                "{context}: {what}: {} {} failed={failed} stale={stale}",
                answer.status,
                &text[..end]
            ));
        }
    }
}

impl Drop for Wrong {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(
                self.0.is_empty(),
                "{} wrong:\n{}",
                self.0.len(),
                self.0.join("\n")
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_fault_everywhere_at_once_and_then_an_end_to_it() {
    let (good, mut wrong) = (healthy(&Bench::new()).await, Wrong::default());
    for fault in faults() {
        let bench = Bench::new();
        bench.faults.set(None, "", fault.clone());
        for (path, needs) in ROUTES {
            let context = format!("{fault:?} everywhere: {path}");
            let answer = bench.get(path).await;
            if let Err(what) = check(&answer, &good[path], is_absence(&fault, PICTURE)) {
                wrong.note(true, what, &context, &answer);
            }
            let is_ours = answer.status >= 500 && needs.is_empty();
            wrong.note(is_ours, "the original has an answer", &context, &answer);
        }
        bench.faults.clear();
        // In this test's own time, so that what still hangs ends.
        tokio::time::sleep(std::time::Duration::from_secs(300)).await;
        // The longest negative life is that of missing summaries; still the same day.
        bench.clock.advance_s(3 * 3_600);
        for (path, _) in ROUTES {
            let answer = bench.once_fresh(path).await;
            let is_good = answer.body == good[path].body && !answer.has("levada-feed-failed");
            wrong.note(
                !is_good,
                "not mended",
                &format!("{fault:?} over: {path}"),
                &answer,
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_good_answer_every_fault_everywhere_serves_it_marked() {
    let mut wrong = Wrong::default();
    for fault in faults() {
        let bench = Bench::new();
        let good = healthy(&bench).await;
        bench.faults.set(None, "", fault.clone());
        // Past every life, and still the same day.
        bench.clock.advance_s(11 * 3_600);
        for (path, _) in ROUTES {
            let context = format!("{fault:?} everywhere: {path}");
            let answer = bench.get(path).await;
            // Absence is not an outage: what is only of one day is gone when the wiki says so.
            if fault == Fault::Status(404) || fault == Fault::Body("{}".into()) {
                if let Err(what) = check(&answer, &good[path], true) {
                    wrong.note(true, what, &context, &answer);
                }
                continue;
            }
            let is_page = path == "/feeds";
            let is_same = (answer.status, &answer.body) == (good[path].status, &good[path].body);
            wrong.note(!is_same && !is_page, "another answer", &context, &answer);
            let is_static = ["announcements", "availability", "configuration", "random"]
                .iter()
                .any(|name| path.contains(name));
            let is_marked = answer.has("levada-feed-stale") != is_static;
            wrong.note(!is_marked, "not marked", &context, &answer);
        }
    }
}

/// As the original answers: 500 where it fails, but never without an answer.
#[tokio::test(start_paused = true)]
async fn with_its_quirks_no_fault_leaves_anybody_without_an_answer() {
    for fault in faults() {
        for place in PLACES {
            let bench = Bench::compat();
            bench.faults.set(Some(place.0), place.1, fault.clone());
            for (path, _) in ROUTES {
                let context = format!("{fault:?} at {place:?}: {path}");
                let answer = bench.get(path).await;
                assert!(
                    matches!(answer.status, 200 | 204 | 303 | 400..=599),
                    "{context}: {answer:?}"
                );
                if path.contains("/aggregated/") {
                    assert_eq!(answer.status, 200, "{context}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn case_121_a_slow_part_does_not_hold_up_the_others() {
    let bench = Bench::new();
    bench
        .faults
        .set(Some(Upstream::Html), "In_the_news", Fault::Hangs);
    let started = tokio::time::Instant::now();
    let answer = bench
        .get("/en.wikipedia.org/v1/aggregated/featured/2026/11/20")
        .await;
    assert!(started.elapsed().as_secs() < 15);
    assert_eq!(
        answer.ok().keys(),
        ["tfa", "mostread", "image", "onthisday", "dyk"]
    );
    assert!(answer.header("levada-feed-failed").starts_with("news;why="));
    let started = tokio::time::Instant::now();
    assert_eq!(bench.get("/en.wikipedia.org/v1/page/news").await.status, 504);
    assert!(started.elapsed().as_secs() < 15);
}

#[tokio::test]
async fn absurd_titles_and_pages() {
    let bench = Bench::new();
    let absurd = [
        "",
        "..",
        "../../etc/passwd",
        "%",
        "%00",
        "A\u{0}B",
        "|",
        "<script>",
        "#",
        "?",
        "/",
        "\u{202e}x",
        "a\nb",
        "constructor",
        "__proto__",
        &"x".repeat(70_000),
        "💧",
        "%2e%2e%2f",
        "Special:Search",
        "http://x.org/",
        "//x.org/",
    ];
    let links: String = absurd
        .iter()
        .map(|title| {
            let escaped = title.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
            format!("<li>1900 – <b><a rel=\"mw:WikiLink\" href=\"./{escaped}\" title=\"{escaped}\">t</a></b> x</li>")
        })
        .collect();
    bench.wiki.page(
        EN,
        "Template:In_the_news",
        &document(&format!("<ul>{links}</ul>")),
    );
    bench.wiki.page(
        EN,
        "Wikipedia:Selected_anniversaries/November_20",
        &document(&format!("<ul>{links}</ul>")),
    );
    bench.wiki.page(
        EN,
        "November_20",
        &format!("<body><section><h2 id=\"Births\">b</h2><ul>{links}</ul></section></body>"),
    );
    let rows: Vec<(&str, u64)> = absurd.iter().map(|title| (*title, 1)).collect();
    bench.wiki.top("en.wikipedia/2026/11/19", &rows);
    bench.wiki.feed_item(
        EN,
        "20261120",
        "<div id=\"mw-content-text\"><b><a title=\"../../w/api.php?x\">x</a></b></div>",
    );
    for (path, _) in ROUTES {
        let answer = bench.get(path).await;
        assert!(answer.status < 500, "{path}: {answer:?}");
    }
    for request in bench.wiki.asked() {
        // Whatever the title, the request stays where it belongs.
        let url = reqwest::Url::parse(&request.url).expect("a URL");
        let allowed = [
            "/w/api.php",
            "/w/index.php",
            "/w/rest.php/v1/page/",
            "/api/rest_v1/page/summary/",
            "/api/rest_v1/metrics/pageviews/",
        ];
        assert!(allowed.iter().any(|start| url.path().starts_with(start)), "{url}");
        assert!(!url.path().contains("/../"), "{url}");
    }
}

#[tokio::test]
async fn absurd_requests() {
    let bench = Bench::new();
    for path in [
        "/%2e%2e/v1/page/news",
        "/en.wikipedia.org%2f..%2f/v1/page/news",
        "/en.wikipedia.org:99999999/v1/page/news",
        "/-/v1/page/news",
        "//v1/page/news",
        "/en.wikipedia.org/v1/page/featured/%F0%9F%92%A7/11/20",
        "/en.wikipedia.org/v1/feed/onthisday/all/%00/1",
        "/en.wikipedia.org/v1/page/most-read/-2026/11/20",
        "/en.wikipedia.org/v1/aggregated/featured/9999/99/99",
        "/feeds?domain=%3Cscript%3E&date=x",
        "/feeds?date=-9999-01-01",
        "/feeds?domain=en.wikipedia.org&date=9999-12-31",
        "/en.wikipedia.org/v1/page/news?format=exe",
    ] {
        let answer = bench.get(path).await;
        assert!(answer.status < 500, "{path}: {answer:?}");
        assert!(!answer.text().contains("<script>"), "{path}");
    }
    let long = format!("/en.wikipedia.org/v1/{}", "x/".repeat(10_000));
    assert_eq!(bench.get(&long).await.status, 404);
}

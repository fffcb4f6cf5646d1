//! Upstream faults in every position: no 5xx that the original would not give, nothing empty served as healthy, no
//! panic, nobody waits for ever (case 121).

use crate::bench::{Answer, Bench, EN, document};
use levada_feeds::upstream::{Fault, Upstream};

const PATHS: [&str; 12] = [
    "/en.wikipedia.org/v1/page/featured/2026/11/20",
    "/en.wikipedia.org/v1/media/image/featured/2026/11/20",
    "/en.wikipedia.org/v1/page/most-read/2026/11/19",
    "/en.wikipedia.org/v1/page/news",
    "/en.wikipedia.org/v1/feed/did-you-know",
    "/en.wikipedia.org/v1/feed/onthisday/births/11/20",
    "/en.wikipedia.org/v1/feed/onthisday/all/11/20",
    "/en.wikipedia.org/v1/aggregated/featured/2026/11/20",
    "/en.wikipedia.org/v1/aggregated/onthisday/all/11/20",
    "/en.wikipedia.org/api/rest_v1/feed/featured/2026/11/20",
    "/en.wikipedia.org/api/rest_v1/feed/onthisday/all/11/20",
    "/en.wikipedia.org/v1/page/random/title",
];

/// Composed answers are 200 whatever happens.
fn is_composed(path: &str) -> bool {
    path.contains("/aggregated/") || path.contains("/rest_v1/feed/")
}

fn faults() -> Vec<Fault> {
    vec![
        Fault::Status(404),
        Fault::Status(429),
        Fault::Status(500),
        Fault::Status(503),
        Fault::Broken,
        Fault::Hangs,
        Fault::Half,
        Fault::Redirect("/around/and/around".into()),
        Fault::Redirect("http://169.254.169.254/".into()),
        Fault::Body("".into()),
        Fault::Body("null".into()),
        Fault::Body("[]".into()),
        Fault::Body("{}".into()),
        Fault::Body(r#"{"query":null,"items":7,"html":{},"title":[]}"#.into()),
        Fault::Body("\u{0}\u{fffd}<html".into()),
    ]
}

/// Where a fault can strike: a service and a piece of its URL.
const PLACES: [(Upstream, &str); 12] = [
    (Upstream::Action, "siteinfo"),
    (Upstream::Action, "pageimages"),
    (Upstream::Action, "generator=images"),
    (Upstream::Action, "wbgetentities"),
    (Upstream::Action, "generator=random"),
    (Upstream::Index, ""),
    (Upstream::Html, "In_the_news"),
    (Upstream::Html, "November_20"),
    (Upstream::Html, "File%3A"),
    (Upstream::Html, ""),
    (Upstream::Summary, ""),
    (Upstream::Pageviews, ""),
];

#[tokio::test(start_paused = true)]
async fn every_fault_in_every_position() {
    for fault in faults() {
        for (upstream, place) in PLACES {
            let bench = Bench::new();
            bench.faults.set(Some(upstream), place, fault.clone());
            for path in PATHS {
                let context = format!("{fault:?} at {upstream:?} {place:?}: {path}");
                check(&bench.get(path).await, path, &fault, &context);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_fault_everywhere_at_once_and_then_an_end_to_it() {
    for fault in faults() {
        let bench = Bench::new();
        bench.faults.set(None, "", fault.clone());
        for path in PATHS {
            check(
                &bench.get(path).await,
                path,
                &fault,
                &format!("{fault:?} everywhere: {path}"),
            );
        }
        bench.faults.clear();
        // In this test's own time, so that what still hangs ends.
        tokio::time::sleep(std::time::Duration::from_secs(300)).await;
        // The longest negative life is that of missing summaries.
        bench.clock.advance_s(2 * 86_400);
        for path in PATHS {
            let answer = bench.once_fresh(path).await;
            // What is past is no longer today; the lists of days and the news are what they were.
            assert!(
                answer.status == 200 || path.contains("/v1/page/featured"),
                "{fault:?} over: {path} {answer:?}"
            );
            assert!(
                !answer.has("levada-feed-failed"),
                "{fault:?} over: {path} {answer:?}"
            );
        }
    }
}

fn check(answer: &Answer, path: &str, fault: &Fault, context: &str) {
    assert!(
        matches!(answer.status, 200 | 204 | 400..=599),
        "{context}: {answer:?}"
    );
    if is_composed(path) {
        assert!(answer.status < 500, "{context}: {answer:?}");
    }
    if matches!(fault, Fault::Status(404)) {
        assert!(
            answer.status < 500,
            "a missing page is no failure of ours: {context}: {answer:?}"
        );
    }
    let text = answer.text();
    let nothing = ["[]", "{}", r#"{"births":[]}"#];
    let is_empty = answer.status == 200
        && (nothing.contains(&text.as_str()) || text.contains("\"births\":[]") || text.is_empty());
    if is_empty {
        let healthy = !answer.has("levada-feed-failed") && !answer.has("levada-feed-stale");
        assert!(!healthy, "{context}: {answer:?}");
        assert_ne!(
            answer.header("cache-control"),
            "s-maxage=300, max-age=60",
            "{context}"
        );
    }
    if answer.status >= 400 {
        let body = answer.json();
        assert!(
            body["detail"].is_string() && body["title"].is_string(),
            "{context}: {body}"
        );
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
    for path in PATHS {
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

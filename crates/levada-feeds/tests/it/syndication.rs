//! The feeds for feed readers, and the page for people.

use crate::bench::{Bench, EN, document};
use levada_feeds::upstream::{Fault, Upstream};

const PATHS: [&str; 6] = [
    "/en.wikipedia.org/v1/aggregated/featured/2026/11/20",
    "/en.wikipedia.org/v1/page/news",
    "/en.wikipedia.org/v1/feed/onthisday/events/11/20",
    "/en.wikipedia.org/v1/feed/onthisday/all/11/20",
    "/en.wikipedia.org/api/rest_v1/feed/featured/2026/11/20",
    "/en.wikipedia.org/v1/feed/did-you-know",
];

#[tokio::test]
async fn every_format_of_every_feed() {
    let bench = Bench::new();
    for path in PATHS {
        for (format, media, mark) in [
            ("atom", "application/atom+xml; charset=utf-8", "<entry>"),
            ("rss", "application/rss+xml; charset=utf-8", "<item>"),
            ("jsonfeed", "application/feed+json; charset=utf-8", "\"items\":[{"),
        ] {
            let answer = bench.get(&format!("{path}?format={format}")).await;
            assert!(
                answer.ok().text().contains(mark),
                "{path} {format}: {}",
                answer.text()
            );
            assert_eq!(answer.header("content-type"), media);
            let again = bench
                .get_with(
                    &format!("{path}?format={format}"),
                    &[("if-none-match", answer.header("etag"))],
                )
                .await;
            assert_eq!(again.status, 304, "{path} {format}");
        }
        assert_eq!(
            bench.get(&format!("{path}?format=json")).await.ok().body,
            bench.get(path).await.body
        );
        assert_eq!(bench.get(&format!("{path}?format=exe")).await.status, 400);
    }
}

#[tokio::test]
async fn the_tag_holds_when_a_feed_is_made_anew_with_the_same_content() {
    let bench = Bench::new();
    for format in ["json", "atom", "rss"] {
        let path = format!("/en.wikipedia.org/v1/page/news?format={format}");
        let before = bench.get(&path).await;
        bench.clock.advance_s(5_000);
        let after = bench.get(&path).await;
        assert_eq!(after.ok().header("etag"), before.ok().header("etag"), "{format}");
    }
}

#[tokio::test]
async fn the_page_for_people() {
    let bench = Bench::new();
    let answer = bench.get("/feeds").await;
    let html = answer.ok().text();
    for expected in [
        "Featured article",
        "Tidal wheel",
        "Water mill",
        "In the news",
        "Canal opening",
        "Did you know",
        "On this day",
    ] {
        assert!(html.contains(expected), "{expected}");
    }
    assert!(
        answer
            .header("content-security-policy")
            .starts_with("default-src 'none'")
    );
    assert!(!html.contains("<script") && !html.contains(" style="));
    assert_eq!(
        bench.get("/feeds/style.css").await.ok().header("content-type"),
        "text/css; charset=utf-8"
    );
    // What a wiki says cannot run here.
    bench.wiki.page(EN, "Template:In_the_news", &document("<ul><li><b><a rel=\"mw:WikiLink\" href=\"./A\" onclick=\"x()\">A</a></b><img src=x onerror=alert(1)><script>alert(1)</script></li></ul>"));
    bench.feeds.invalidate(EN, "Template:In_the_news");
    let html = bench
        .get("/feeds?domain=en.wikipedia.org&date=2026-11-20")
        .await
        .ok()
        .text();
    assert!(!html.contains("<script") && !html.contains("onerror") && !html.contains("onclick"));
    // Failures are shown.
    bench
        .faults
        .set(Some(Upstream::Html), "November", Fault::Status(500));
    let html = bench.get("/feeds?date=2026-11-21").await.ok().text();
    assert!(
        html.contains("class=\"warn\">Failed: ") && html.contains("html answered 500"),
        "{html}"
    );
    assert_eq!(bench.get("/feeds?date=yesterday").await.status, 400);
}

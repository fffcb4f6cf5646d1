//! Cases 104 to 111: the composed feeds of the service itself.

use crate::bench::{Bench, EN};
use levada_feeds::upstream::{Fault, Upstream};
use serde_json::json;

fn featured(date: &str) -> String {
    format!("/{EN}/v1/aggregated/featured/{date}")
}

#[tokio::test]
async fn case_104_a_day_of_the_past() {
    let bench = Bench::new();
    bench.wiki.top("en.wikipedia/2016/11/19", &[("A", 9)]);
    let answer = bench.get(&featured("2016/11/20")).await;
    assert_eq!(answer.ok().keys(), ["tfa", "mostread", "onthisday"]);
    assert_eq!(
        bench.wiki.count("In_the_news") + bench.wiki.count("Did_you_know"),
        0
    );
}

#[tokio::test]
async fn case_105_today() {
    let bench = Bench::new();
    let answer = bench.get(&featured("2026/11/20")).await;
    assert_eq!(
        answer.ok().keys(),
        ["tfa", "mostread", "image", "news", "onthisday", "dyk"]
    );
    assert_eq!(answer.json()["mostread"]["date"], "2026-11-19Z");
    assert_eq!(answer.header("cache-control"), "s-maxage=300, max-age=60");
    assert!(
        answer
            .header("content-type")
            .contains("Specs/aggregated-feed/0.5.0")
    );
    assert!(!answer.has("levada-feed-failed") && !answer.has("levada-feed-stale"));
    assert!(answer.json()["onthisday"].is_array());
    // Each distinct upstream page once.
    let mut urls: Vec<String> = bench
        .wiki
        .asked()
        .into_iter()
        .map(|request| request.url)
        .collect();
    let all = urls.len();
    urls.sort_unstable();
    urls.dedup();
    assert_eq!(urls.len(), all);
    let compat = Bench::compat().get(&featured("2026/11/20")).await;
    assert!(!compat.header("etag").contains('"'));
}

#[tokio::test]
async fn case_106_tomorrow() {
    let bench = Bench::new();
    bench.wiki.feed_item(
        EN,
        "20261121",
        r#"<div id="mw-content-text"><b><a title="Next">n</a></b></div>"#,
    );
    bench
        .wiki
        .picture("2026-11-21", crate::bench::picture("File:Levada.jpg"));
    bench.wiki.page(
        EN,
        "Wikipedia:Selected_anniversaries/November_21",
        &crate::bench::document("<ul><li>1900 – x</li></ul>"),
    );
    let answer = bench.get(&featured("2026/11/21")).await;
    assert_eq!(answer.ok().keys(), ["tfa", "image", "news", "onthisday", "dyk"]);
}

#[tokio::test]
async fn case_107_one_part_fails() {
    let bench = Bench::new();
    bench
        .faults
        .set(Some(Upstream::Html), "In_the_news", Fault::Status(500));
    let answer = bench.get(&featured("2026/11/20")).await;
    assert_eq!(
        answer.ok().keys(),
        ["tfa", "mostread", "image", "onthisday", "dyk"]
    );
    assert_eq!(
        answer.header("levada-feed-failed"),
        "news;why=\"html answered 500\""
    );
    assert_eq!(answer.header("cache-control"), "s-maxage=30, max-age=15");
}

#[tokio::test]
async fn case_108_everything_fails() {
    for (compat, cache) in [(false, "no-store"), (true, "s-maxage=300, max-age=60")] {
        let bench = if compat { Bench::compat() } else { Bench::new() };
        bench.faults.set(None, "", Fault::Broken);
        let answer = bench.get(&featured("2026/11/20")).await;
        assert_eq!(answer.ok().text(), "{}");
        assert_eq!(answer.header("cache-control"), cache);
        assert_eq!(
            answer.header("levada-feed-failed").matches("why=").count(),
            6,
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn case_109_bad_dates() {
    let bench = Bench::new();
    for date in ["2016/13/01", "2016/04/45"] {
        let answer = bench.get(&featured(date)).await;
        assert_eq!(
            (answer.status, answer.json()["title"].as_str()),
            (404, Some("Not found."))
        );
    }
    for date in ["12345/04/01", "2016/4/01"] {
        let answer = Bench::compat().get(&featured(date)).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (404, "text/html; charset=utf-8")
        );
        assert_eq!(bench.get(&featured(date)).await.status, 404);
    }
}

#[tokio::test]
async fn case_110_a_wiki_with_few_feeds() {
    let bench = Bench::new();
    bench.wiki.top("nl.wikipedia/2026/11/19", &[("A", 9)]);
    let answer = bench
        .get("/nl.wikipedia.org/v1/aggregated/featured/2026/11/20")
        .await;
    assert_eq!(answer.ok().keys(), ["mostread", "image"]);
    assert!(!answer.has("levada-feed-failed"));
}

#[tokio::test]
async fn case_111_all_lists() {
    let path = format!("/{EN}/v1/aggregated/onthisday/all/11/20");
    let order = ["selected", "births", "deaths", "events", "holidays"];
    let bench = Bench::new();
    let answer = bench.get(&path).await;
    assert_eq!(answer.ok().keys(), order);
    assert_eq!(answer.header("cache-control"), "s-maxage=300, max-age=60");
    assert!(
        answer
            .header("content-type")
            .contains("Specs/onthisday-feed/0.5.0")
    );
    // The page of the day once, though four lists are made from it; the original fetches it four times.
    assert_eq!(bench.wiki.count("November_20/with_html"), 2);
    // Unpadded, as everywhere else.
    assert_eq!(
        bench
            .get(&format!("/{EN}/v1/aggregated/onthisday/all/1/5"))
            .await
            .status,
        404
    );
    assert!(bench.wiki.count("January_5") > 0);

    for (compat, lacking) in [(false, json!([])), (true, json!({}))] {
        let bench = if compat { Bench::compat() } else { Bench::new() };
        bench
            .faults
            .set(Some(Upstream::Html), "Selected_anniversaries", Fault::Status(500));
        let answer = bench.get(&path).await;
        assert_eq!(answer.ok().keys(), order);
        assert_eq!(answer.json()["selected"], lacking);
        assert!(answer.json()["births"].is_array());
        assert!(answer.header("levada-feed-failed").starts_with("selected;why="));
    }
}

#[tokio::test]
async fn case_111_what_does_not_exist() {
    for path in [
        "/nl.wikipedia.org/v1/aggregated/onthisday/all/01/05",
        "/en.wikipedia.org/v1/aggregated/onthisday/all/42/01",
    ] {
        assert_eq!(Bench::new().get(path).await.status, 404, "{path}");
        let compat = Bench::compat().get(path).await;
        assert_eq!(
            compat.ok().text(),
            r#"{"selected":{},"births":{},"deaths":{},"events":{},"holidays":{}}"#
        );
    }
}

#[tokio::test]
async fn composed_answers_vary_by_language_variant() {
    for (compat, vary) in [
        (false, "accept-language, Accept-Encoding"),
        (true, "Accept-Encoding"),
    ] {
        let bench = if compat { Bench::compat() } else { Bench::new() };
        bench.wiki.variants("zh.wikipedia.org", &["zh", "zh-tw"]);
        bench.wiki.top("zh.wikipedia/2026/11/19", &[("A", 9)]);
        let answer = bench
            .get_with(
                "/zh.wikipedia.org/v1/aggregated/featured/2026/11/20",
                &[("accept-language", "zh-tw")],
            )
            .await;
        assert_eq!(answer.ok().header("vary"), vary, "compat: {compat}");
    }
}

//! What is and what is not "there is no such thing": a refusal is an outage, a page of another shape is no empty page.

use crate::bench::{Bench, EN};
use levada_feeds::CheckStatus;
use levada_feeds::upstream::{Fault, Upstream};
use serde_json::json;

const NEWS: &str = "/en.wikipedia.org/v1/page/news";
const BIRTHS: &str = "/en.wikipedia.org/v1/feed/onthisday/births/11/20";
const ARTICLE: &str = "/en.wikipedia.org/v1/page/featured/2026/11/20";
const IMAGE: &str = "/en.wikipedia.org/v1/media/image/featured/2026/11/20";
const MOST_READ: &str = "/en.wikipedia.org/v1/page/most-read/2026/11/19";
const DAY: &str = "/en.wikipedia.org/v1/aggregated/featured/2026/11/20";
const DUTCH: &str = "/nl.wikipedia.org/v1/aggregated/featured/2026/11/20";

/// A page of a day with so many births.
fn births(count: usize) -> String {
    let items: String = (0..count)
        .map(|n| format!("<li>19{n:02} – <a rel=\"mw:WikiLink\" href=\"./Person_{n}\" title=\"Person {n}\">Person {n}</a>, engineer</li>"))
        .collect();
    format!("<html><body><section><h2 id=\"Births\">Births</h2><ul>{items}</ul></section></body></html>")
}

#[tokio::test]
async fn a_wiki_that_refuses_takes_nothing_away() {
    for status in [400, 401, 403, 451] {
        let bench = Bench::new();
        let paths = [NEWS, BIRTHS, ARTICLE, IMAGE, MOST_READ, DAY, DUTCH];
        let mut good = Vec::new();
        for path in paths {
            good.push(bench.get(path).await.ok().clone());
        }
        bench.faults.set(None, "", Fault::Status(status));
        bench.clock.advance_s(7 * 3_600);
        for (path, good) in paths.into_iter().zip(&good) {
            let held = bench.get(path).await;
            assert_eq!(held.ok().body, good.body, "{status} {path}");
            assert!(
                held.header("levada-feed-stale")
                    .contains(&format!("answered {status}")),
                "{path}: {held:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_wiki_that_refuses_from_the_start_is_named() {
    let bench = Bench::new();
    bench.faults.set(Some(Upstream::Summary), "", Fault::Status(403));
    let births = bench.get(BIRTHS).await;
    assert_eq!(
        births.ok().header("levada-feed-failed"),
        "births.summaries;why=\"summary answered 403\""
    );
    let bench = Bench::new();
    bench.faults.set(None, "", Fault::Status(403));
    // Most read and the picture, and nothing else, is what this wiki has.
    let day = bench.get(DUTCH).await;
    assert_eq!(day.ok().text(), "{}");
    assert_eq!(
        day.header("levada-feed-failed"),
        "mostread;why=\"pageviews answered 403\", image;why=\"action answered 403\""
    );
    assert_eq!(day.header("cache-control"), "no-store");
    let article = bench.get(ARTICLE).await;
    assert_eq!(article.status, 403, "as the original has it: {article:?}");
}

#[tokio::test]
async fn a_page_that_has_no_summary_by_rule_is_no_failure() {
    // The summary service has none for pages outside the main namespace and says 204.
    let bench = Bench::new();
    bench
        .faults
        .set(Some(Upstream::Summary), "Madeira", Fault::Status(204));
    let news = bench.get(NEWS).await;
    assert!(!news.ok().has("levada-feed-failed"), "{news:?}");
    assert_eq!(news.json()[0]["links"].as_array().expect("links").len(), 1);
}

#[tokio::test]
async fn a_service_that_knows_no_page_at_all_does_not_empty_the_lists() {
    let bench = Bench::new();
    bench.wiki.page(EN, "November_20", &births(6));
    let good = bench.get(BIRTHS).await;
    assert_eq!(
        good.ok().json()["births"][0]["pages"]
            .as_array()
            .expect("pages")
            .len(),
        1
    );
    bench.faults.set(Some(Upstream::Summary), "", Fault::Status(404));
    bench.clock.advance_s(2 * 3_600);
    let held = bench.get(BIRTHS).await;
    assert_eq!(held.ok().body, good.body);
    assert!(
        held.header("levada-feed-stale").contains("none of 6 pages"),
        "{held:?}"
    );
    // With nothing to fall back to the events are there without links, and that is said.
    let bench = Bench::new();
    bench.wiki.page(EN, "November_20", &births(6));
    bench.faults.set(Some(Upstream::Summary), "", Fault::Status(404));
    let lacking = bench.get(BIRTHS).await;
    assert_eq!(lacking.ok().json()["births"].as_array().expect("births").len(), 6);
    assert_eq!(
        lacking.header("levada-feed-failed"),
        "births.summaries;count=6;why=\"none of 6 pages has a summary\""
    );
    // A single page that is gone is gone.
    let one = bench
        .get("/en.wikipedia.org/v1/feed/onthisday/selected/11/20")
        .await;
    assert!(!one.ok().has("levada-feed-failed"), "{one:?}");
}

#[tokio::test]
async fn an_article_page_of_another_shape_does_not_pass_for_nothing_that_day() {
    for page in [
        "<html><body><h1>Maintenance</h1></body></html>",
        "<div id=\"mw-content-text\"><p>The layout was changed</p></div>",
    ] {
        let bench = Bench::new();
        let good = bench.get(ARTICLE).await;
        bench.wiki.feed_item(EN, "20261120", page);
        bench.clock.advance_s(2 * 3_600);
        let held = bench.get(ARTICLE).await;
        assert_eq!(held.ok().body, good.body);
        assert!(held.has("levada-feed-stale"), "{held:?}");
        // The answer is what the contract says, but not in silence.
        let bench = Bench::new();
        bench.wiki.feed_item(EN, "20261120", page);
        let nothing = bench.get(ARTICLE).await;
        assert_eq!(nothing.status, 204);
        assert!(
            nothing.header("levada-feed-failed").starts_with("tfa.items;why="),
            "{nothing:?}"
        );
        let day = bench.get(DAY).await;
        assert!(!day.ok().keys().contains(&"tfa".to_owned()));
        assert!(
            day.header("levada-feed-failed").starts_with("tfa.items;why="),
            "{day:?}"
        );
        let metrics = bench.feeds.metrics();
        assert!(
            metrics.contains("levada_feeds_empty_total{feed=\"tfa\"} 1"),
            "{metrics}"
        );
        let report = bench.feeds.check(EN, None).await.expect("a report");
        assert_eq!(report.parts[0].status, CheckStatus::Degraded, "{report}");
        assert!(!report.is_ok());
    }
}

#[tokio::test]
async fn a_check_tells_refusals_from_what_is_not_there() {
    let bench = Bench::new();
    bench.faults.set(None, "", Fault::Status(403));
    let report = bench
        .feeds
        .check("nl.wikipedia.org", None)
        .await
        .expect("a report");
    assert!(!report.is_ok(), "{report}");
    let of = |name: &str| report.parts.iter().find(|part| part.feed == name).expect(name);
    assert_eq!(of("mostread").status, CheckStatus::Failed);
    assert_eq!(of("image").status, CheckStatus::Failed);
    assert_eq!(of("image").missing, ["action answered 403"]);
    // No picture and no list that day: the wiki says so.
    let bench = Bench::new();
    bench.wiki.picture("2026-11-21", json!({"batchcomplete": true}));
    let report = bench
        .feeds
        .check("nl.wikipedia.org", Some("2026-11-21"))
        .await
        .expect("a report");
    let of = |name: &str| report.parts.iter().find(|part| part.feed == name).expect(name);
    assert_eq!(of("mostread").status, CheckStatus::Nothing, "{report}");
    assert_eq!(of("image").status, CheckStatus::Nothing, "{report}");
    assert!(report.is_ok(), "{report}");
}

#[tokio::test]
async fn a_check_asks_for_random_pages_and_announcements() {
    let bench = Bench::new();
    let report = bench.feeds.check(EN, None).await.expect("a report");
    let of = |name: &str| {
        report
            .parts
            .iter()
            .find(|part| part.feed == name)
            .expect(name)
            .clone()
    };
    assert_eq!((of("random").status, of("random").items), (CheckStatus::Ok, 1));
    // No campaign is in force, and that is how it should be.
    assert_eq!(of("announcements").status, CheckStatus::Nothing);
    let broken = Bench::new();
    broken
        .faults
        .set(Some(Upstream::Action), "generator=random", Fault::Status(500));
    let report = broken.feeds.check(EN, None).await.expect("a report");
    let random = report
        .parts
        .iter()
        .find(|part| part.feed == "random")
        .expect("random");
    assert_eq!(random.status, CheckStatus::Failed);
    assert_eq!(random.missing, ["action answered 500"]);
    assert!(!report.is_ok());
}

#[tokio::test]
async fn a_list_of_views_that_is_not_loaded_yet_is_asked_for_again() {
    for empty in [
        r#"{"items":[]}"#,
        r#"{"items":[{"year":"2026","month":"11","day":"19","articles":[]}]}"#,
    ] {
        let bench = Bench::new();
        bench
            .faults
            .set(Some(Upstream::Pageviews), "/top/", Fault::Body(empty.into()));
        assert!(matches!(bench.get(MOST_READ).await.status, 200 | 404));
        bench.faults.clear();
        bench.clock.advance_s(301);
        let list = bench.once_fresh(MOST_READ).await;
        assert_eq!(
            list.ok().json()["articles"].as_array().expect("rows").len(),
            2,
            "{empty}"
        );
    }
    // A history without the day itself, too.
    let bench = Bench::new();
    let lacking = r#"{"items":[{"timestamp":"2026111800","views":7}]}"#;
    bench.faults.set(
        Some(Upstream::Pageviews),
        "/per-article/",
        Fault::Body(lacking.into()),
    );
    bench.get(MOST_READ).await.ok();
    bench.faults.clear();
    bench.clock.advance_s(21_601);
    let list = bench.once_fresh(MOST_READ).await;
    let history = &list.ok().json()["articles"][0]["view_history"];
    assert_eq!(history.as_array().expect("days").len(), 5, "{history}");
}

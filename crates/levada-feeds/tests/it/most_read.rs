//! Cases 51 to 66: most read.

use crate::bench::{Bench, EN};
use levada_feeds::upstream::{Fault, Upstream};
use serde_json::Value;

fn path(date: &str) -> String {
    format!("/{EN}/v1/page/most-read/{date}")
}

fn titles(body: &Value) -> Vec<&str> {
    body["articles"]
        .as_array()
        .expect("articles")
        .iter()
        .map(|row| row["title"].as_str().expect("a title"))
        .collect()
}

#[tokio::test]
async fn case_51_and_52_which_day() {
    let bench = Bench::new();
    bench.wiki.top("en.wikipedia/2016/04/29", &[("A", 9)]);
    bench.wiki.top("en.wikipedia/2016/04/28", &[("B", 8)]);
    let answer = bench.get(&path("2016/04/29")).await;
    assert_eq!(answer.ok().json()["date"], "2016-04-29Z");
    assert!(answer.header("etag").starts_with("\"20160429/"));
    let answer = bench
        .get(&format!("{}?aggregated=true", path("2016/04/29")))
        .await;
    assert_eq!(answer.ok().json()["date"], "2016-04-28Z");
    // The tag names the day that was asked for.
    assert!(answer.header("etag").starts_with("\"20160429/"));
    assert_eq!(answer.json()["articles"][0]["title"], "B");
}

#[tokio::test]
async fn case_53_five_days_of_history() {
    let bench = Bench::new();
    bench.wiki.top("da.wikipedia/2016/12/31", &[("A", 9)]);
    let body = bench
        .get("/da.wikipedia.org/v1/page/most-read/2017/01/01?aggregated=true")
        .await
        .ok()
        .json();
    let history = body["articles"][0]["view_history"]
        .as_array()
        .expect("a history")
        .clone();
    assert_eq!(history.len(), 5);
    assert_eq!(history[0]["date"], "2016-12-27Z");
    assert_eq!(history[4]["date"], "2016-12-31Z");
    assert_eq!(bench.wiki.count("/user/A/daily/20161227/20161231"), 1);
}

#[tokio::test]
async fn case_54_and_62_what_is_left_out() {
    let bench = Bench::new();
    let rows = [
        ("Main_Page", 9),
        ("Special:Search", 8),
        ("Wikipedia:About", 7),
        ("Pornhub", 6),
        ("Яндекс", 5),
        ("Fine", 4),
    ];
    bench.wiki.top("en.wikipedia/2026/11/18", &rows);
    bench.wiki.top("ru.wikipedia/2026/11/18", &rows);
    assert_eq!(
        titles(&bench.get(&path("2026/11/18")).await.json()),
        ["Яндекс", "Fine"]
    );
    let russian = bench
        .get("/ru.wikipedia.org/v1/page/most-read/2026/11/18")
        .await
        .json();
    assert_eq!(titles(&russian), ["Fine"]);
}

#[tokio::test]
async fn case_55_rows_that_lead_to_one_page() {
    let bench = Bench::new();
    bench
        .wiki
        .top("en.wikipedia/2026/11/18", &[("Mill", 9), ("Watermill", 5)]);
    bench.wiki.redirect("Watermill", "Mill");
    let body = bench.get(&path("2026/11/18")).await.json();
    assert_eq!(titles(&body), ["Mill"]);
    assert_eq!(
        (
            body["articles"][0]["views"].as_u64(),
            body["articles"][0]["rank"].as_u64()
        ),
        (Some(14), Some(1))
    );
    assert_eq!(body["articles"][0]["view_history"][4]["views"], 2 * 118);
}

#[tokio::test]
async fn case_56_only_the_first_fifty() {
    let bench = Bench::new();
    let names: Vec<String> = (1..=60)
        .map(|n| {
            if n == 1 {
                "Special:X".to_owned()
            } else {
                format!("Page{n}")
            }
        })
        .collect();
    let rows: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 9)).collect();
    bench.wiki.top("en.wikipedia/2026/11/18", &rows);
    let body = bench.get(&path("2026/11/18")).await.json();
    assert_eq!(titles(&body).len(), 49);
    assert_eq!(titles(&body).last(), Some(&"Page50"));
}

#[tokio::test]
async fn case_57_to_59_missing_pieces() {
    let bench = Bench::new();
    bench
        .wiki
        .top("en.wikipedia/2026/11/18", &[("A", 9), ("B", 8), ("C", 7)]);
    bench.wiki.without_summary("A");
    bench.wiki.without_history("B");
    let body = bench.get(&path("2026/11/18")).await.ok().json();
    assert_eq!(titles(&body), ["B", "C"]);
    assert!(body["articles"][0].get("view_history").is_none());
    assert!(body["articles"][1].get("view_history").is_some());

    for (compat, status) in [(false, 200), (true, 500)] {
        let bench = if compat { Bench::compat() } else { Bench::new() };
        bench.wiki.top("en.wikipedia/2026/11/18", &[("A", 9), ("B", 8)]);
        bench.wiki.redirect("B", "A");
        bench.wiki.without_history("B");
        assert_eq!(
            bench.get(&path("2026/11/18")).await.status,
            status,
            "compat: {compat}"
        );
    }
}

#[tokio::test]
async fn case_60_and_61_titles_that_are_none() {
    for (title, compat, status) in [
        ("A\u{fffd}", true, 200),
        ("A\u{fffd}", false, 200),
        ("Foo|bar", true, 500),
        ("Foo|bar", false, 200),
    ] {
        let bench = if compat { Bench::compat() } else { Bench::new() };
        bench
            .wiki
            .top("en.wikipedia/2026/11/18", &[(title, 9), ("Fine", 8)]);
        let answer = bench.get(&path("2026/11/18")).await;
        assert_eq!(answer.status, status, "{title}, compat: {compat}");
        if status == 200 {
            assert_eq!(titles(&answer.json()), ["Fine"]);
        } else {
            assert_eq!(answer.json()["title"], "TitleError");
        }
    }
}

#[tokio::test]
async fn case_63_not_loaded_yet() {
    let bench = Bench::new();
    let answer = bench.get(&path("2026/11/20")).await;
    assert_eq!(answer.status, 404);
    let body = answer.json();
    assert!(
        body["detail"]
            .as_str()
            .expect("a detail")
            .contains("not loaded yet")
    );
    assert_eq!(
        (body["type"].as_str(), body["method"].as_str()),
        (Some("about:blank"), Some("get"))
    );
    assert_eq!(
        bench
            .get(&format!("{}?aggregated=true", path("2026/11/21")))
            .await
            .status,
        204
    );
}

#[tokio::test]
async fn case_64_two_attempts() {
    let bench = Bench::new();
    bench
        .faults
        .set(Some(Upstream::Pageviews), "/top/", Fault::Status(500));
    assert_eq!(bench.get(&path("2026/11/19")).await.status, 500);
    let metrics = bench.feeds.metrics();
    assert!(
        metrics.contains("levada_feeds_upstream_requests_total{upstream=\"pageviews\",outcome=\"5xx\"} 2\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn case_65_an_empty_list() {
    let bench = Bench::new();
    bench.wiki.top("en.wikipedia/2026/11/18", &[]);
    let answer = bench.get(&path("2026/11/18")).await;
    assert_eq!(answer.ok().text(), r#"{"date":"2026-11-18Z","articles":[]}"#);
}

#[tokio::test]
async fn case_66_the_wiki_without_one() {
    let bench = Bench::new();
    for date in ["2026/11/19", "0/0/0", "foo/bar/baz"] {
        assert_eq!(
            bench
                .get(&format!("/fy.wikipedia.org/v1/page/most-read/{date}"))
                .await
                .status,
            204
        );
    }
    assert_eq!(bench.wiki.asked(), []);
}

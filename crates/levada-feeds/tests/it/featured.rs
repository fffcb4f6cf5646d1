//! Cases 22 to 40: the featured article.

use crate::bench::{Bench, EN};
use levada_feeds::upstream::{Fault, Upstream};
use serde_json::json;

fn path(date: &str) -> String {
    format!("/{EN}/v1/page/featured/{date}")
}

#[tokio::test]
async fn case_22_and_23_the_article_both_ways_of_bold() {
    let bench = Bench::new();
    for (date, title) in [("2026/11/20", "Tidal_wheel"), ("2016/04/29", "Old_mill")] {
        let answer = bench.get(&path(date)).await;
        let body = answer.ok().json();
        assert_eq!(body["title"], title);
        assert_eq!(body["normalizedtitle"], title.replace('_', " "));
        assert_eq!(answer.keys().last().map(String::as_str), Some("normalizedtitle"));
        assert!(answer.header("content-type").contains("Specs/Unpublished/0.0.0"));
        assert!(!answer.has("cache-control"));
        assert_eq!(answer.header("vary"), "Accept-Encoding");
    }
}

#[tokio::test]
async fn case_24_and_25_nothing_that_day() {
    let bench = Bench::new();
    bench.wiki.feed_item(
        EN,
        "20261119",
        r#"<div id="mw-content-text"><a title="Plain">x</a></div>"#,
    );
    bench
        .wiki
        .feed_item(EN, "20261118", r#"<b><a title="Outside">x</a></b>"#);
    for date in ["2026/11/19", "2026/11/18"] {
        let answer = bench.get(&path(date)).await;
        assert_eq!((answer.status, answer.body.len()), (204, 0));
        assert!(!answer.has("content-type") && !answer.has("etag"));
    }
}

#[tokio::test]
async fn case_26_to_28_images() {
    let bench = Bench::new();
    let body = bench.get(&path("2026/11/20")).await.json();
    assert_eq!(
        body["thumbnail"],
        json!({"source": "https://upload.example.org/960px-x.jpg", "width": 960, "height": 640})
    );
    assert_eq!(
        body["originalimage"]["source"],
        "https://upload.example.org/x.jpg"
    );

    let bench = Bench::new();
    bench.wiki.page_images(json!({"query": {"pages": [{"pageid": 1, "thumbnail": {"source": "http://u/t.jpg", "width": 9, "height": 9}}]}}));
    let body = bench.get(&path("2026/11/20")).await.json();
    assert_eq!(body["thumbnail"]["width"], 320);

    let bench = Bench::new();
    bench
        .faults
        .set(Some(Upstream::Action), "pageimages", Fault::Status(500));
    let answer = bench.get(&path("2026/11/20")).await;
    assert_eq!(answer.ok().json()["thumbnail"]["width"], 320);
    assert!(
        answer
            .header("levada-feed-failed")
            .starts_with("tfa.images;why=\"action answered 500\""),
        "{answer:?}"
    );
}

#[tokio::test]
async fn case_29_and_30_no_summary() {
    for (images_fail, compat, status) in [
        (true, false, 204),
        (true, true, 204),
        (false, true, 500),
        (false, false, 204),
    ] {
        let bench = if compat { Bench::compat() } else { Bench::new() };
        bench.wiki.without_summary("Tidal_wheel");
        if images_fail {
            bench
                .faults
                .set(Some(Upstream::Action), "pageimages", Fault::Status(500));
        }
        let answer = bench.get(&path("2026/11/20")).await;
        assert_eq!(
            answer.status, status,
            "images fail: {images_fail}, compat: {compat}"
        );
        if status == 500 {
            assert_eq!(answer.json()["title"], "TypeError");
        }
    }
}

#[tokio::test]
async fn case_31_no_feed_item() {
    let bench = Bench::new();
    assert_eq!(bench.get(&path("2026/11/21")).await.status, 404);
    assert_eq!(
        bench
            .get(&format!("{}?aggregated=true", path("2026/11/21")))
            .await
            .status,
        204
    );
}

#[tokio::test]
async fn case_32_and_33_dates_that_are_none() {
    let bench = Bench::new();
    let answer = bench.get(&path("2016/4/29")).await;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.text(),
        r#"{"status":404,"type":"not_found","title":"Not found.","detail":"Invalid date provided.  Please request a valid date of format yyyy/mm/dd","method":"GET","uri":"/en.wikipedia.org/v1/page/featured/2016/4/29"}"#
    );
    for date in [
        "2015/12/31",
        "2028/01/01",
        "2027/02/29",
        "1970/12/31",
        "2016/02/30",
    ] {
        let answer = bench.get(&path(date)).await;
        assert_eq!(
            (answer.status, answer.json()["type"].as_str()),
            (404, Some("not_found")),
            "{date}"
        );
    }
    assert_eq!(bench.wiki.asked(), []);
    let compat = Bench::compat().get(&path("2016/4/29")).await;
    assert_eq!(compat.header("content-type"), "application/json; charset=utf-8");
}

#[tokio::test]
async fn case_34_other_numbers_of_segments() {
    let bench = Bench::new();
    for date in ["2016/04", "2016/04/15/11"] {
        let answer = bench.get(&path(date)).await;
        assert_eq!(answer.status, 404);
        assert!(answer.text().contains("Cannot GET"));
    }
}

#[tokio::test]
async fn case_35_languages_without_one() {
    let bench = Bench::new();
    let path = "/is.wikipedia.org/v1/page/featured/2026/11/20";
    let answer = bench.get(path).await;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.json()["detail"],
        "The language you have requested is not yet supported."
    );
    assert_eq!(bench.get(&format!("{path}?aggregated=true")).await.status, 204);
    // Names that are special to other languages are names like any other (W29).
    for domain in ["constructor.wikipedia.org", "__proto__.wikipedia.org"] {
        assert_eq!(bench.get(&format!("/{domain}/v1/page/news")).await.status, 404);
    }
}

#[tokio::test]
async fn case_36_the_german_window() {
    let bench = Bench::new();
    let german = |date: &str| format!("/de.wikipedia.org/v1/page/featured/{date}");
    bench.get(&german("2026/11/17")).await;
    assert_eq!(bench.wiki.count("FeedItem"), 1);
    for date in ["2026/11/16", "2026/11/21"] {
        assert_eq!(bench.get(&german(date)).await.status, 204);
    }
    assert_eq!(bench.wiki.count("FeedItem"), 1);
}

#[tokio::test]
async fn case_37_norwegian_has_another_code() {
    let bench = Bench::new();
    bench.get("/no.wikipedia.org/v1/page/featured/2026/11/20").await;
    assert_eq!(
        bench
            .wiki
            .count("title=Special%3AFeedItem%2Ffeatured%2F20261120000000%2Fnb"),
        1
    );
}

#[tokio::test]
async fn case_38_variants() {
    let bench = Bench::new();
    let zh = "zh.wikipedia.org";
    bench.wiki.variants(zh, &["zh", "zh-hans", "zh-hant", "zh-tw"]);
    bench.wiki.feed_item(
        zh,
        "20261120",
        r#"<div id="mw-content-text"><b><a title="水車">水車</a></b></div>"#,
    );
    let path = format!("/{zh}/v1/page/featured/2026/11/20");
    let answer = bench
        .get_with(&path, &[("accept-language", "zh-TW,zh;q=0.8")])
        .await;
    assert_eq!(answer.ok().header("vary"), "accept-language, Accept-Encoding");
    let sent = bench.wiki.asked();
    let of = |upstream| sent.iter().filter(move |request| request.upstream == upstream);
    assert!(of(Upstream::Summary).all(|request| request.language.as_deref() == Some("zh-tw")));
    assert!(of(Upstream::Index).all(|request| request.language.as_deref() == Some("zh-tw")));
    assert_eq!(of(Upstream::Summary).count(), 1);
    // Another variant is another feed, the same one is not asked for twice.
    bench.get_with(&path, &[("accept-language", "zh-tw")]).await.ok();
    assert_eq!(bench.wiki.count("page/summary"), 1);
    bench
        .get_with(&path, &[("accept-language", "zh-hans")])
        .await
        .ok();
    assert_eq!(bench.wiki.count("page/summary"), 2);
    // Other wikis have nothing to vary by.
    let english = bench
        .get_with(
            &format!("/{EN}/v1/page/featured/2026/11/20"),
            &[("accept-language", "en-GB")],
        )
        .await;
    assert_eq!(english.ok().header("vary"), "Accept-Encoding");
}

#[tokio::test]
async fn case_39_and_40_what_aggregated_means() {
    let bad = |value: &str| format!("{}?aggregated={value}", path("2016/4/29"));
    let (bench, compat) = (Bench::new(), Bench::compat());
    assert_eq!(compat.get(&bad("false")).await.status, 204);
    assert_eq!(bench.get(&bad("false")).await.status, 404);
    for bench in [&bench, &compat] {
        assert_eq!(bench.get(&bad("")).await.status, 404);
        assert_eq!(bench.get(&bad("true")).await.status, 204);
    }
}

//! Cases 112 to 117: what RESTBase and the gateway made of the feeds.

use crate::bench::Bench;
use levada_feeds::FeedsConfig;
use levada_feeds::config::RestV1;
use levada_feeds::upstream::{Fault, Upstream};

const HOST: [(&str, &str); 1] = [("host", "en.wikipedia.org")];

#[tokio::test]
async fn case_112_parameters_are_checked() {
    let bench = Bench::new();
    for (date, name) in [("2016/1/01", "mm"), ("2016/01/1", "dd"), ("0000/01/01", "yyyy")] {
        let answer = bench
            .get_with(&format!("/api/rest_v1/feed/featured/{date}"), &HOST)
            .await;
        assert_eq!(answer.status, 400);
        assert!(
            answer
                .header("content-type")
                .starts_with("application/problem+json")
        );
        let body = answer.json();
        assert_eq!(
            body["type"],
            "https://mediawiki.org/wiki/HyperSwitch/errors/bad_request"
        );
        assert_eq!(body["detail"], format!("Invalid {name} parameter"));
        assert_eq!(body["method"], "get");
    }
    assert_eq!(bench.wiki.asked(), []);
}

#[tokio::test]
async fn case_113_the_feed_of_a_day() {
    let bench = Bench::new();
    let path = "/api/rest_v1/feed/featured/2026/11/20";
    let answer = bench.get_with(path, &HOST).await;
    assert_eq!(
        answer.ok().keys(),
        ["tfa", "mostread", "image", "news", "onthisday"]
    );
    assert!(answer.header("etag").starts_with("\"2026-11-20/"), "{answer:?}");
    assert_eq!(answer.header("vary"), "Accept-Encoding");
    assert_eq!(answer.header("cache-control"), "s-maxage=300, max-age=60");
    assert_eq!(
        answer.header("content-location"),
        "https://en.wikipedia.org/api/rest_v1/feed/featured/2026/11/20"
    );
    assert_eq!(answer.header("access-control-allow-methods"), "GET,HEAD");
    assert_eq!(answer.header("referrer-policy"), "origin-when-cross-origin");
    assert_eq!(
        answer.header("content-security-policy"),
        "default-src 'none'; frame-ancestors 'none'"
    );
    let named = bench.get(&format!("/en.wikipedia.org{path}")).await;
    assert_eq!(named.ok().body, answer.body);
    let echoed = bench.get_with(path, &[HOST[0], ("x-request-id", "abc")]).await;
    assert_eq!(echoed.header("x-request-id"), "abc");
    let compat = Bench::compat().get_with(path, &HOST).await;
    let tag = compat.ok().header("etag");
    assert!(tag.starts_with("2026-11-20/") && tag.len() == 11 + 36, "{tag}");
}

#[tokio::test]
async fn case_113_it_varies_when_a_part_does() {
    let bench = Bench::new();
    bench.wiki.variants("zh.wikipedia.org", &["zh", "zh-tw"]);
    bench.wiki.top("zh.wikipedia/2026/11/19", &[("A", 9)]);
    let answer = bench
        .get("/zh.wikipedia.org/api/rest_v1/feed/featured/2026/11/20")
        .await;
    assert_eq!(answer.ok().header("vary"), "accept-language, Accept-Encoding");
}

#[tokio::test]
async fn case_114_all_lists() {
    let bench = Bench::new();
    let answer = bench
        .get_with("/api/rest_v1/feed/onthisday/all/11/20", &HOST)
        .await;
    assert_eq!(
        answer.ok().keys(),
        ["selected", "births", "deaths", "events", "holidays"]
    );
    assert!(answer.header("etag").starts_with("\"1120/"));
    assert!(
        answer
            .header("content-type")
            .contains("Specs/onthisday-feed/0.5.0")
    );
    let single = bench
        .get_with("/api/rest_v1/feed/onthisday/births/11/20", &HOST)
        .await;
    assert_eq!(single.ok().keys(), ["births"]);
    assert!(
        single
            .header("content-type")
            .contains("Specs/onthisday-feed/0.5.0")
    );
    // One failing list: meant to be ignored, and fatal in the original.
    for (bench, status) in [(Bench::new(), 200), (Bench::compat(), 500)] {
        bench
            .faults
            .set(Some(Upstream::Html), "Selected_anniversaries", Fault::Status(500));
        let answer = bench
            .get_with("/api/rest_v1/feed/onthisday/all/11/20", &HOST)
            .await;
        assert_eq!(answer.status, status);
    }
}

#[tokio::test]
async fn case_115_no_such_list() {
    let answer = Bench::new()
        .get_with("/api/rest_v1/feed/onthisday/foo/11/20", &HOST)
        .await;
    assert_eq!(
        (answer.status, answer.json()["title"].as_str()),
        (400, Some("Invalid parameters"))
    );
}

#[tokio::test]
async fn case_116_random() {
    let bench = Bench::new();
    bench.wiki.random(&[("AC/DC? é", Some("x"), true)]);
    let answer = bench.get_with("/api/rest_v1/page/random/summary", &HOST).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, "../summary/AC%2FDC%3F_%C3%A9")
    );
    assert_eq!(
        answer.header("cache-control"),
        "private, max-age=0, s-maxage=0, must-revalidate"
    );
}

#[tokio::test]
async fn case_117_announcements_and_availability() {
    let bench = Bench::new();
    let answer = bench.get_with("/api/rest_v1/feed/announcements", &HOST).await;
    assert_eq!(
        answer.ok().header("cache-control"),
        "s-maxage=86400, max-age=86400"
    );
    let answer = bench
        .get_with("/api/rest_v1/feed/availability", &[("host", "wikimedia.org")])
        .await;
    assert_eq!(answer.ok().keys().len(), 6);
    assert_eq!(
        bench.get("/api/rest_v1/feed/availability").await.status,
        404,
        "no host, no wiki"
    );
}

#[tokio::test]
async fn the_gateway_speaks_differently() {
    let bench = Bench::of(FeedsConfig {
        rest_v1: RestV1::Gateway,
        ..FeedsConfig::default()
    });
    let answer = bench
        .get_with("/api/rest_v1/feed/featured/2026/11/20", &HOST)
        .await;
    assert_eq!(
        answer.ok().keys(),
        ["tfa", "mostread", "image", "news", "onthisday", "dyk"]
    );
    assert!(!answer.has("x-webkit-csp") && answer.has("content-security-policy"));
    assert_eq!(
        bench
            .get_with("/api/rest_v1/feed/featured/2016/13/01", &HOST)
            .await
            .status,
        404
    );
    let random = bench.get_with("/api/rest_v1/page/random/html", &HOST).await;
    assert_eq!(
        random.header("location"),
        "https://en.wikipedia.org/api/rest_v1/page/html/Best_page"
    );
    let announcements = bench.get_with("/api/rest_v1/feed/announcements", &HOST).await;
    assert_eq!(
        announcements.header("cache-control"),
        "public, max-age=86400, s-maxage=900"
    );

    let bench = Bench::new();
    for path in [
        "featured/2026/11/20",
        "onthisday/all/11/20",
        "onthisday/births/11/20",
        "announcements",
        "availability",
        "configuration",
        "dyk",
    ] {
        bench.get(&format!("/feed/v1/wikipedia/en/{path}")).await.ok();
    }
    assert_eq!(
        bench
            .get("/feed/v1/wikipedia/en/page/random/summary")
            .await
            .status,
        303
    );
    assert_eq!(Bench::compat().get("/feed/v1/wikipedia/en/dyk").await.status, 404);
    // The gateway's paths before it rewrites them.
    bench
        .get("/en.wikipedia.org/v1/feed/featured/2026/11/20")
        .await
        .ok();
    assert_eq!(
        bench.get("/en.wikipedia.org/v1/page/random/summary").await.status,
        303
    );
}

//! Cases 67 to 80: the news and did you know.

use crate::bench::{Bench, EN, document, news, shared};
use levada_feeds::upstream::{Fault, Upstream};
use serde_json::Value;

const PATH: &str = "/en.wikipedia.org/v1/page/news";

fn links(story: &Value) -> Vec<&str> {
    story["links"]
        .as_array()
        .expect("links")
        .iter()
        .map(|page| page["title"].as_str().expect("a title"))
        .collect()
}

#[tokio::test]
async fn case_67_and_68_the_pages_of_real_wikis() {
    let Some(feeds) = shared(2) else { return };
    let counts = [
        ("bs", 11),
        ("da", 10),
        ("de", 3),
        ("el", 4),
        ("en", 4),
        ("es", 7),
        ("fi", 5),
        ("fr", 2),
        ("ko", 5),
        ("no", 3),
        ("pl", 2),
        ("ru", 6),
        ("sv", 5),
    ];
    let bench = Bench::new();
    let rules = levada_feeds::lang::Rules::embedded();
    for (lang, stories) in counts {
        let html =
            std::fs::read_to_string(feeds.join(format!("html/news/news-site-{lang}.html"))).expect("a page");
        let domain = format!("{lang}.wikipedia.org");
        let page = rules
            .news(&domain, &levada_feeds::parse::Compat::FIXED)
            .expect("supported")
            .page
            .clone();
        bench.wiki.page(&domain, &page, &html);
        let body = bench.get(&format!("/{domain}/v1/page/news")).await.ok().json();
        let body = body.as_array().expect("stories");
        assert_eq!(body.len(), stories, "{lang}");
        assert!(body.iter().all(|story| !links(story).is_empty()), "{lang}");
        if lang == "en" {
            assert_eq!(
                links(&body[0]),
                ["Zamfara_kidnapping", "Zamfara_State", "Secondary_school"]
            );
        }
    }
}

#[tokio::test]
async fn case_69_to_74_stories() {
    let bench = Bench::new();
    let link =
        |title: &str| format!("<a rel=\"mw:WikiLink\" href=\"./{title}\" title=\"{title}\">{title}</a>");
    let items = [
        format!(
            "<li>{} then <b>{}</b> then {} <i>(pictured)</i></li>",
            link("First"),
            link("Topic"),
            link("First")
        ),
        format!(
            "<li>{}</li>",
            "<a rel=\"mw:WikiLink\" class=\"new\" href=\"./Red\">Red</a>"
        ),
        "<li>No links at all</li>".to_owned(),
        format!("<li>{} alone</li>", link("Gone")),
    ];
    bench.wiki.page(
        EN,
        "Template:In_the_news",
        &document(&format!("<ul>{}</ul>", items.concat())),
    );
    bench.wiki.without_summary("Gone");
    let body = bench.get(PATH).await.ok().json();
    assert_eq!(body.as_array().expect("stories").len(), 2);
    assert_eq!(links(&body[0]), ["Topic", "First"]);
    assert!(!body[0]["story"].as_str().expect("a story").contains("pictured"));
    assert_eq!(body[1]["links"], serde_json::json!([]));
    assert_eq!(crate::bench::keys(&body[0]), ["links", "story"]);
}

#[tokio::test]
async fn case_75_page_html_is_tried_four_times() {
    let bench = Bench::new();
    bench
        .faults
        .set_times(Some(Upstream::Html), "In_the_news", Fault::Status(500), 3);
    bench.get(PATH).await.ok();
    let metrics = bench.feeds.metrics();
    assert!(
        metrics.contains("levada_feeds_upstream_requests_total{upstream=\"html\",outcome=\"5xx\"} 3\n"),
        "{metrics}"
    );
    assert_eq!(bench.wiki.count("In_the_news"), 1);
}

#[tokio::test]
async fn case_76_no_page() {
    for (compat, status) in [(false, 404), (true, 500)] {
        let bench = if compat { Bench::compat() } else { Bench::new() };
        bench.wiki.drop_page(EN, "Template:In_the_news");
        let answer = bench.get(PATH).await;
        assert_eq!(answer.status, status);
        if compat {
            assert_eq!(answer.json()["title"], "AxiosError");
            assert_eq!(answer.json()["detail"], "Request failed with status code 404");
        }
        assert_eq!(bench.wiki.count("In_the_news"), 1, "a 404 is final");
        // And remembered.
        bench.get(PATH).await;
        assert_eq!(bench.wiki.count("In_the_news"), 1);
    }
}

#[tokio::test]
async fn case_77_languages_without_news() {
    let bench = Bench::new();
    assert_eq!(bench.get("/is.wikipedia.org/v1/page/news").await.status, 404);
    assert_eq!(
        bench
            .get("/is.wikipedia.org/v1/page/news?aggregated=true")
            .await
            .status,
        204
    );
    assert_eq!(
        bench.get("/is.wikipedia.org/v1/feed/did-you-know").await.status,
        404
    );
    // A sister project is no Wikipedia, except to the original.
    assert_eq!(bench.get("/en.wiktionary.org/v1/page/news").await.status, 404);
    assert_eq!(
        Bench::compat()
            .get("/en.wiktionary.org/v1/page/news")
            .await
            .status,
        500
    );
}

#[tokio::test]
async fn case_78_to_80_did_you_know() {
    let bench = Bench::new();
    let answer = bench.get("/en.wikipedia.org/v1/feed/did-you-know").await;
    let body = answer.ok().json();
    assert_eq!(crate::bench::keys(&body[0]), ["html", "text"]);
    assert!(
        body[0]["html"]
            .as_str()
            .expect("HTML")
            .contains("href=\"https://en.wikipedia.org/wiki/Weir\""),
        "{body}"
    );
    assert!(!body[0]["text"].as_str().expect("text").contains("pictured"));
    assert_eq!(answer.header("cache-control"), "s-maxage=300, max-age=60");
    assert!(answer.header("content-type").contains("Specs/DidYouKnow/0.1.0"));

    bench.wiki.page(
        "pt.wikipedia.org",
        "Predefinição:Sabia_que",
        &document("<p>… que <b>a</b>?</p><p class=\"mw-empty-elt\"></p><p>… que b?</p>"),
    );
    let body = bench
        .get("/pt.wikipedia.org/v1/feed/did-you-know")
        .await
        .ok()
        .json();
    assert_eq!(body.as_array().expect("items").len(), 2);

    let foreign = document(r#"<ul><li>... that <a href="//x.org/y">y</a>?</li></ul>"#);
    for (bench, expected) in [
        (Bench::new(), "https://x.org/y"),
        (Bench::compat(), "https://en.wikipedia.org/wiki///x.org/y"),
    ] {
        bench.wiki.page(EN, "Template:Did_you_know", &foreign);
        let body = bench
            .get("/en.wikipedia.org/v1/feed/did-you-know")
            .await
            .ok()
            .json();
        assert!(
            body[0]["html"]
                .as_str()
                .expect("HTML")
                .contains(&format!("href=\"{expected}\"")),
            "{body}"
        );
    }
}

#[tokio::test]
async fn case_118_site_information_recovers() {
    let bench = Bench::new();
    bench
        .faults
        .set_times(Some(Upstream::Action), "siteinfo", Fault::Status(500), 2);
    let path = "/en.wikipedia.org/v1/page/featured/2026/11/20";
    assert_eq!(bench.get(path).await.status, 500);
    bench.get(path).await.ok();
}

#[tokio::test]
async fn case_119_asking_often_costs_no_memory_and_no_requests() {
    let bench = Bench::new();
    bench.wiki.page(EN, "Template:In_the_news", &news(&["A", "B"]));
    bench.get(PATH).await.ok();
    let asked = bench.wiki.asked().len();
    for _ in 0..3_000 {
        bench.get(PATH).await.ok();
    }
    assert_eq!(bench.wiki.asked().len(), asked);
}

#[tokio::test]
async fn case_120_one_request_id_for_all() {
    let bench = Bench::new();
    let answer = bench.get_with(PATH, &[("x-request-id", "abc")]).await;
    answer.ok();
    assert!(!answer.has("x-request-id"));
    let asked = bench.wiki.asked();
    assert!(
        asked.len() >= 5 && asked.iter().all(|request| &*request.request_id == "abc"),
        "{asked:?}"
    );
}

//! Cases 1 to 21: what no wiki is asked for.

use crate::bench::{Bench, EN};
use http::Method;
use levada_feeds::FeedsConfig;

const PATHS: [&str; 4] = [
    "/en.wikipedia.org/v1/feed/availability",
    "/en.wikipedia.org/v1/page/news",
    "/en.wikipedia.org/v1/aggregated/featured/2026/11/20",
    "/en.wikipedia.org/v1/feed/onthisday/nothing/01/01",
];

#[tokio::test]
async fn case_1_to_3_info() {
    let bench = Bench::new();
    for root in ["/_info", "/feeds/_info"] {
        let info = bench.get(root).await.ok().json();
        for key in ["name", "version", "description", "home"] {
            assert!(!info[key].as_str().expect(key).is_empty());
        }
        for key in ["name", "version"] {
            assert_eq!(bench.get(&format!("{root}/{key}")).await.ok().keys(), [key]);
        }
        let home = bench.ask(Method::POST, &format!("{root}/home"), &[]).await;
        assert_eq!(
            (home.status, home.header("location")),
            (301, info["home"].as_str().expect("a URL"))
        );
    }
    let compat = Bench::compat();
    assert_eq!(
        compat.get("/_info/name").await.json()["name"],
        "@wikimedia/wikifeeds"
    );
}

#[tokio::test]
async fn case_4_robots() {
    let robots = Bench::new().get("/robots.txt").await;
    assert_eq!(robots.text(), "User-agent: *\nDisallow: /\n");
    assert!(robots.header("content-type").starts_with("text/plain"));
}

#[tokio::test]
async fn case_5_description_plain_and_compressed() {
    let bench = Bench::new();
    let plain = bench.get("/?spec").await;
    for key in ["info", "swagger", "paths"] {
        assert!(plain.json().get(key).is_some());
    }
    assert!(!plain.has("content-encoding"));
    let packed = bench
        .get_with("/?spec", &[("accept-encoding", "gzip, deflate")])
        .await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert_eq!(packed.json(), plain.json());
    assert!(bench.get("/?doc").await.ok().text().contains("/v1/page/news"));
    assert!(
        bench
            .get("/feeds/docs")
            .await
            .ok()
            .text()
            .contains("/v1/page/news")
    );
}

#[tokio::test]
async fn case_6_and_9_no_such_path() {
    let bench = Bench::new();
    for path in [
        "/",
        "/nothing",
        "/en.wikipedia.org/v1/page/news/more",
        "/en.wikipedia.org/v2/page/news",
    ] {
        let answer = bench.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json()["detail"], format!("Cannot GET {path}"));
        assert_eq!(
            answer.header("content-type"),
            "application/problem+json; charset=utf-8"
        );
    }
    let answer = Bench::compat().get("/noth&ing").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(answer.header("content-security-policy"), "default-src 'none'");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(answer.text().contains("<pre>Cannot GET /noth&amp;ing</pre>"));
}

#[tokio::test]
async fn case_7_and_8_headers_of_every_answer() {
    let bench = Bench::new();
    for path in PATHS {
        let answer = bench.get(path).await;
        for (name, value) in [
            ("access-control-allow-origin", "*"),
            (
                "access-control-allow-headers",
                "accept, x-requested-with, content-type",
            ),
            ("access-control-expose-headers", "etag"),
            ("x-xss-protection", "1; mode=block"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "SAMEORIGIN"),
            (
                "x-webkit-csp",
                "default-src 'self'; object-src 'none'; media-src *; img-src *; style-src *; frame-ancestors 'self'",
            ),
        ] {
            assert_eq!(answer.header(name), value, "{name} of {path}");
        }
    }
    let off = Bench::of(FeedsConfig {
        csp: false,
        cors: String::new(),
        ..FeedsConfig::default()
    });
    for path in PATHS {
        let answer = off.get(path).await;
        assert!(
            !answer.has("x-frame-options") && !answer.has("content-security-policy"),
            "{path}"
        );
        assert!(!answer.has("access-control-allow-origin"), "{path}");
    }
}

#[tokio::test]
async fn case_10_to_12_methods() {
    let bench = Bench::new();
    let path = "/en.wikipedia.org/v1/feed/availability";
    assert_eq!(bench.ask(Method::POST, path, &[]).await.status, 404);
    let options = bench.ask(Method::OPTIONS, path, &[]).await;
    assert_eq!(
        (options.status, options.header("allow"), options.text().as_str()),
        (200, "GET,HEAD", "GET,HEAD")
    );
    for path in &PATHS[..3] {
        let get = bench.get(path).await;
        let head = bench.ask(Method::HEAD, path, &[]).await;
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        assert_eq!(head.headers, get.headers, "{path}");
        assert_eq!(get.header("content-length"), get.body.len().to_string(), "{path}");
    }
}

#[tokio::test]
async fn case_13_conditional_requests() {
    let bench = Bench::new();
    for path in &PATHS[..3] {
        let answer = bench.get(path).await;
        let tag = answer.header("etag");
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
        for wanted in ["*", tag, &format!("\"other\", W/{tag}")] {
            let again = bench.get_with(path, &[("if-none-match", wanted)]).await;
            assert_eq!((again.status, again.body.len()), (304, 0), "{path} {wanted}");
            assert_eq!(again.header("etag"), tag);
            assert_eq!(again.header("cache-control"), answer.header("cache-control"));
            assert!(!again.has("content-type") && !again.has("content-length"));
        }
        assert_eq!(
            bench
                .get_with(path, &[("if-none-match", "\"other\"")])
                .await
                .status,
            200
        );
    }
    // The compressed form is another representation, with a weak tag that names the same content.
    let packed = bench.get_with(PATHS[0], &[("accept-encoding", "gzip")]).await;
    assert!(
        packed.header("etag").starts_with("W/\""),
        "{}",
        packed.header("etag")
    );
    assert!(packed.header("vary").contains("Accept-Encoding"));
    let again = bench
        .get_with(
            PATHS[0],
            &[
                ("accept-encoding", "gzip"),
                ("if-none-match", packed.header("etag")),
            ],
        )
        .await;
    assert_eq!(again.status, 304);
}

#[tokio::test]
async fn case_14_the_wiki_that_is_turned_away() {
    let answer = Bench::new().get("/yue.wikipedia.org/v1/feed/availability").await;
    assert_eq!((answer.status, answer.text().as_str()), (404, "Domain not found"));
    assert!(!answer.has("content-type"));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
}

#[tokio::test]
async fn case_15_to_17_availability() {
    let bench = Bench::new();
    let first = bench.get("/en.wikipedia.org/v1/feed/availability").await;
    assert_eq!(
        first.ok().keys(),
        [
            "todays_featured_article",
            "most_read",
            "picture_of_the_day",
            "in_the_news",
            "on_this_day",
            "did_you_know"
        ]
    );
    assert_eq!(
        first.header("cache-control"),
        "private, max-age=0, s-maxage=0, must-revalidate"
    );
    assert!(
        first
            .header("content-type")
            .ends_with("profile=\"https://www.mediawiki.org/wiki/Specs/Availability/1.0.1\"")
    );
    let elsewhere = bench.get("/wikimedia.org/v1/feed/availability").await;
    assert_eq!(elsewhere.body, first.body);
    assert!(
        first.header("etag").starts_with("\"-34575097082/"),
        "{}",
        first.header("etag")
    );
    assert_eq!(first.header("etag"), elsewhere.header("etag"));

    let compat = Bench::compat();
    let tags = [
        compat.get("/en.wikipedia.org/v1/feed/availability").await,
        compat.get("/en.wikipedia.org/v1/feed/availability").await,
    ];
    let [one, two] = tags
        .each_ref()
        .map(|answer| answer.header("etag").split_once('/').expect("two halves"));
    assert_eq!(one.0, two.0);
    assert_ne!(one.1, two.1);
}

#[tokio::test]
async fn case_18_no_announcements() {
    let bench = Bench::new();
    for domain in [EN, "cs.wikipedia.org", "wikimedia.org"] {
        let answer = bench.get(&format!("/{domain}/v1/feed/announcements")).await;
        assert_eq!(answer.text(), r#"{"announce":[]}"#);
        assert!(answer.header("etag").starts_with("\"1230862227/"));
        assert_eq!(
            answer.header("cache-control"),
            "public, max-age=86400, s-maxage=900"
        );
        assert!(
            answer
                .header("content-type")
                .contains("Specs/Announcements/0.3.0")
        );
    }
}

#[tokio::test]
async fn case_19_and_20_campaigns_come_from_a_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let campaign = r#"
        [[campaign]]
        id_prefix = "AUTUMN26"
        type = "fundraising"
        start_time = "2026-11-21T00:00:00Z"
        end_time = "2026-12-31T23:59:00Z"
        active_wikis = ["en.wikipedia.org"]
        [[campaign.item]]
        platforms = ["AndroidAppV2"]
        suffix = "EN"
        text = "Help us."
        action = { title = "Donate", url = "https://example.org/donate" }
    "#;
    std::fs::write(dir.path().join("announcements.toml"), campaign).expect("written");
    let config = FeedsConfig {
        data_dir: Some(dir.path().to_owned()),
        ..FeedsConfig::default()
    };
    let path = "/en.wikipedia.org/v1/feed/announcements";
    let bench = Bench::of(FeedsConfig {
        compat: true,
        ..config.clone()
    });
    let listed = bench.get(path).await.json();
    assert_eq!(listed["announce"][0]["id"], "AUTUMN26ANDROIDV2EN");
    assert_eq!(
        bench.get("/cs.wikipedia.org/v1/feed/announcements").await.text(),
        r#"{"announce":[]}"#
    );
    // Rules are read again on demand, and bad ones leave the good ones in force.
    let bench = Bench::of(config);
    std::fs::write(dir.path().join("announcements.toml"), "campaign = 7").expect("written");
    assert!(bench.feeds.reload_rules().is_err());
    bench.clock.advance_s(86_400);
    assert_eq!(bench.get(path).await.json()["announce"][0]["domain"], EN);
    std::fs::write(dir.path().join("announcements.toml"), "campaign = []").expect("written");
    bench.feeds.reload_rules().expect("good rules");
    assert_eq!(bench.get(path).await.text(), r#"{"announce":[]}"#);
    // Feeds that were made after the old rules are made anew.
    let news = "/en.wikipedia.org/v1/page/news";
    assert_eq!(
        bench.get(news).await.ok().json().as_array().map(Vec::len),
        Some(2)
    );
    let moved = "[[language]]\nlang = \"en\"\npage = \"Template:Elsewhere\"\nheadlines = \"ul > li\"\ntopic = \"b a\"\n";
    std::fs::write(dir.path().join("news.toml"), moved).expect("written");
    bench
        .wiki
        .page(EN, "Template:Elsewhere", &crate::bench::news(&["Elsewhere"]));
    bench.feeds.reload_rules().expect("good rules");
    assert_eq!(
        bench.get(news).await.ok().json().as_array().map(Vec::len),
        Some(1)
    );
}

#[tokio::test(start_paused = true)]
async fn rules_that_change_in_the_directory_come_into_force_by_themselves() {
    let dir = tempfile::tempdir().expect("a directory");
    let bench = Bench::of(FeedsConfig {
        data_dir: Some(dir.path().to_owned()),
        ..FeedsConfig::default()
    });
    let running = bench.feeds.clone();
    let task = tokio::spawn(async move { running.run(std::future::pending()).await });
    let stories = || async {
        let news = bench.get("/en.wikipedia.org/v1/page/news").await.ok().json();
        news.as_array().map(Vec::len)
    };
    let a_while = std::time::Duration::from_secs(25);
    tokio::time::sleep(a_while).await;
    assert_eq!(stories().await, Some(2));
    bench
        .wiki
        .page(EN, "Template:Elsewhere", &crate::bench::news(&["Elsewhere"]));
    let moved = "[[language]]\nlang = \"en\"\npage = \"Template:Elsewhere\"\nheadlines = \"ul > li\"\ntopic = \"b a\"\n";
    std::fs::write(dir.path().join("news.toml"), moved).expect("written");
    tokio::time::sleep(a_while).await;
    assert_eq!(stories().await, Some(1));
    // Bad ones leave the good ones in force.
    std::fs::write(
        dir.path().join("news.toml"),
        "language = 7 # not a list of tables",
    )
    .expect("written");
    tokio::time::sleep(a_while).await;
    assert_eq!(stories().await, Some(1));
    task.abort();
}

#[tokio::test]
async fn case_21_configuration() {
    let answer = Bench::new().get("/en.wikipedia.org/v1/feed/configuration").await;
    assert_eq!(answer.ok().keys(), ["commonv1", "androidv1", "iosv1"]);
    assert_eq!(answer.header("cache-control"), "s-maxage=300, max-age=60");
    assert!(
        answer
            .header("content-type")
            .contains("Specs/Configuration/0.1.0")
    );
}

#[tokio::test]
async fn broken_escapes_in_the_path() {
    let path = "/en.wikipedia.org/v1/page/%zz";
    assert_eq!(Bench::new().get(path).await.status, 400);
    let compat = Bench::compat().get(path).await;
    assert_eq!(
        (compat.status, compat.json()["title"].as_str()),
        (500, Some("URIError"))
    );
    assert!(!compat.has("access-control-allow-origin"));
}

#[tokio::test]
async fn only_admitted_wikis_are_contacted() {
    let bench = Bench::new();
    for domain in [
        "evil.example",
        "127.0.0.1",
        "localhost:8080",
        "en.wikipedia.org.evil.example",
        "wikipedia.org",
    ] {
        for path in [
            "page/news",
            "media/image/featured/2026/11/20",
            "page/most-read/2026/11/19",
            "page/random/title",
        ] {
            let answer = bench.get(&format!("/{domain}/v1/{path}")).await;
            assert_eq!(answer.status, 404, "{domain} {path}");
        }
        assert_eq!(
            bench.get(&format!("/feeds?domain={domain}")).await.status,
            404,
            "{domain}"
        );
    }
    assert_eq!(bench.wiki.asked(), []);
}

#[tokio::test]
async fn the_service_says_what_it_claims() {
    let bench = Bench::new();
    let claims = |path: &str| bench.feeds.claims(&Method::GET, Some(EN), path);
    assert!(claims("/en.wikipedia.org/v1/page/news") && claims("/feeds") && !claims("/v1/events"));
}

#[tokio::test]
async fn a_body_without_a_tag_is_never_not_modified() {
    let bench = Bench::new();
    for path in ["/en.wikipedia.org/v1/page/random/title", "/_info", "/feeds"] {
        for wanted in ["\"a\",", "W/", ",", "\"a\"", "*"] {
            let answer = bench.get_with(path, &[("if-none-match", wanted)]).await;
            assert_eq!(answer.status, 200, "{path} {wanted}");
            assert!(!answer.body.is_empty(), "{path} {wanted}");
        }
    }
    let tagged = "/en.wikipedia.org/v1/feed/availability";
    for wanted in ["W/", ",", ""] {
        let answer = bench.get_with(tagged, &[("if-none-match", wanted)]).await;
        assert_eq!(answer.status, 200, "{wanted}");
    }
}

//! Cases 81 to 98: on this day.

use crate::bench::{Bench, EN, day_page, document, shared};
use serde_json::{Value, json};

fn path(what: &str) -> String {
    format!("/{EN}/v1/feed/onthisday/{what}")
}

fn list<'a>(body: &'a Value, name: &str) -> &'a Vec<Value> {
    body[name].as_array().expect(name)
}

#[tokio::test]
async fn case_81_and_82_a_real_day() {
    let Some(feeds) = shared(2) else { return };
    let bench = Bench::new();
    let html = std::fs::read_to_string(feeds.join("html/onthisday/en.December_1.html")).expect("a page");
    bench.wiki.page(EN, "December_1", &html);
    let mut asked = 0;
    for (name, count) in [("births", 203), ("deaths", 99), ("events", 41), ("holidays", 23)] {
        let body = bench.get(&path(&format!("{name}/12/01"))).await.ok().json();
        assert_eq!(crate::bench::keys(&body), [name]);
        let items = list(&body, name);
        assert_eq!(items.len(), count, "{name}");
        assert_eq!(items[0].get("year").is_some(), name != "holidays");
        let years: Vec<i64> = items.iter().filter_map(|item| item["year"].as_i64()).collect();
        assert!(years.is_sorted_by(|a, b| a >= b), "{name}");
        assert!(bench.wiki.count("page/summary") > asked);
        asked = bench.wiki.count("page/summary");
    }
    // The page of the day was fetched once for all four lists, and each linked page once.
    assert_eq!(bench.wiki.count("December_1/with_html"), 1);
    let mut urls: Vec<String> = bench
        .wiki
        .asked()
        .into_iter()
        .map(|request| request.url)
        .collect();
    let all = urls.len();
    urls.sort_unstable();
    urls.dedup();
    assert_eq!(urls.len(), all, "nothing was asked for twice");
}

#[tokio::test]
async fn case_83_to_91_items() {
    let bench = Bench::new();
    let link =
        |title: &str| format!("<a rel=\"mw:WikiLink\" href=\"./{title}\" title=\"{title}\">{title}</a>");
    let events = [
        format!("<li>{} – twice {} and {}<style>.x{{}}</style></li>", link("2001"), link("Same"), link("Same")),
        format!("<li>1992<ul><li>This happened to {}.</li></ul></li>", link("Nested")),
        format!("<li><a rel=\"mw:WikiLink\" href=\"./58_BC\" title=\"58 BC\">58 BC</a> – {} rules</li>", link("Livia")),
        "<li>AD 33 – x</li>".to_owned(),
        "<li>44 CE – first</li>".to_owned(),
        "<li>44 – second</li>".to_owned(),
        "<li>23 BCX – x</li>".to_owned(),
        "<li>XX – x</li>".to_owned(),
        "<li>1969 –</li>".to_owned(),
        "<li>1500 – <a class=\"new\" href=\"./Red\">r</a> <span class=\"reference\"><a href=\"./Note\">n</a></span> <a href=\"http://x.org/\">h</a> text</li>".to_owned(),
    ]
    .concat();
    let html =
        format!("<html><body><section><h2 id=\"Events\">E</h2><ul>{events}</ul></section></body></html>");
    bench.wiki.page(EN, "January_5", &html);
    let body = bench.get(&path("events/01/05")).await.ok().json();
    let found: Vec<(i64, &str, usize)> = list(&body, "events")
        .iter()
        .map(|event| {
            let pages = event["pages"].as_array().expect("pages").len();
            (
                event["year"].as_i64().expect("a year"),
                event["text"].as_str().expect("a text"),
                pages,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (2001, "twice Same and Same", 1),
            (1992, "This happened to Nested.", 1),
            (1500, "r n h text", 0),
            (44, "first", 0),
            (44, "second", 0),
            (33, "x", 0),
            (-58, "Livia rules", 1),
        ]
    );
    assert_eq!(
        crate::bench::keys(&list(&body, "events")[0]),
        ["text", "pages", "year"]
    );
}

#[tokio::test]
async fn case_92_unpadded_days() {
    let bench = Bench::new();
    bench.wiki.page(EN, "January_5", &day_page());
    let padded = bench.get(&path("events/01/05")).await;
    let unpadded = bench.get(&path("events/1/5")).await;
    assert_eq!(padded.ok().body, unpadded.ok().body);
    assert_eq!(padded.header("etag"), unpadded.header("etag"));
    assert_eq!(bench.wiki.count("January_5"), 1);
    assert_eq!(padded.header("cache-control"), "s-maxage=300, max-age=60");
    assert!(padded.header("content-type").contains("Specs/OnThisDay/0.5.0"));
}

#[tokio::test]
async fn case_93_languages_without_one() {
    let bench = Bench::new();
    for name in ["selected", "births", "deaths", "events", "holidays", "all"] {
        let answer = bench
            .get(&format!("/nl.wikipedia.org/v1/feed/onthisday/{name}/01/05"))
            .await;
        assert_eq!(answer.status, 404);
        assert_eq!(
            answer.json()["detail"],
            "The language you have requested is not yet supported."
        );
        let cache = if name == "all" {
            ""
        } else {
            "s-maxage=300, max-age=60"
        };
        assert_eq!(answer.header("cache-control"), cache, "{name}");
    }
}

#[tokio::test]
async fn case_94_days_that_are_none() {
    let (bench, compat) = (Bench::new(), Bench::compat());
    for day in ["13/01", "02/30", "foo/bar", "0/1"] {
        assert_eq!(
            bench.get(&path(&format!("births/{day}"))).await.status,
            404,
            "{day}"
        );
        let answer = compat.get(&path(&format!("births/{day}"))).await;
        assert_eq!(
            (answer.status, answer.json()["title"].as_str()),
            (500, Some("AxiosError")),
            "{day}"
        );
    }
    assert_eq!(bench.wiki.asked(), []);
}

#[tokio::test]
async fn case_95_all_lists() {
    let bench = Bench::new();
    let answer = bench.get(&path("all/11/20")).await;
    assert_eq!(
        answer.ok().keys(),
        ["selected", "events", "births", "deaths", "holidays"]
    );
    assert!(!answer.has("cache-control"));
    assert!(!answer.header("etag").is_empty());
    let body = answer.json();
    for (name, count) in [
        ("selected", 1),
        ("events", 2),
        ("births", 1),
        ("deaths", 1),
        ("holidays", 1),
    ] {
        assert_eq!(list(&body, name).len(), count, "{name}");
    }
    assert_eq!(bench.wiki.count("with_html"), 2);
}

#[tokio::test]
async fn case_97_and_98_titles_of_the_selected_pages() {
    let bench = Bench::new();
    for (domain, day, title) in [
        ("fr.wikipedia.org", "04/01", "Wikipédia:Éphéméride/1_avril"),
        ("fr.wikipedia.org", "01/01", "Wikipédia:Éphéméride/1er_janvier"),
        ("ru.wikipedia.org", "05/03", "Шаблон:События_дня/05-3"),
    ] {
        bench
            .wiki
            .page(domain, title, &document("<ul><li>1900 – x</li></ul>"));
        bench
            .get(&format!("/{domain}/v1/feed/onthisday/selected/{day}"))
            .await
            .ok();
    }
}

#[tokio::test]
async fn what_links_to_nothing_is_still_an_event() {
    let bench = Bench::new();
    bench.wiki.page(
        EN,
        "January_6",
        "<body><section><h2 id=\"Births\">B</h2><ul><li>1900 – <a>Nobody</a></li></ul></section></body>",
    );
    let body = bench.get(&path("births/1/6")).await.ok().json();
    assert_eq!(
        body["births"][0],
        json!({"text": "Nobody", "pages": [], "year": 1900})
    );
}

//! Cases 99 to 103: random pages.

use crate::bench::{Bench, EN};
use levada_feeds::upstream::{Fault, Upstream};
use std::collections::HashSet;

const TITLE: &str = "/en.wikipedia.org/v1/page/random/title";

#[tokio::test]
async fn case_99_the_best_candidate() {
    let bench = Bench::new();
    for _ in 0..10 {
        let answer = bench.get(TITLE).await;
        assert_eq!(answer.ok().text(), r#"{"items":[{"title":"Best_page"}]}"#);
        assert!(answer.header("content-type").contains("Specs/Random/0.7.0"));
        assert!(!answer.has("etag") && !answer.has("cache-control"));
    }
}

#[tokio::test]
async fn case_100_equally_good_ones() {
    let bench = Bench::new();
    bench
        .wiki
        .random(&[("A", Some("x"), true), ("B", Some("y"), true), ("C", None, false)]);
    let mut seen = HashSet::new();
    for _ in 0..50 {
        seen.insert(bench.get(TITLE).await.ok().text());
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
}

#[tokio::test]
async fn case_101_to_103_redirects() {
    let bench = Bench::new();
    let path = |format: &str| format!("/{EN}/v1/page/random/redirect/{format}");
    let answer = bench.get(&path("summary")).await;
    assert_eq!(answer.status, 303);
    assert_eq!(
        answer.header("location"),
        "https://en.wikipedia.org/api/rest_v1/page/summary/Best_page"
    );
    assert_eq!(
        answer.header("cache-control"),
        "private, max-age=0, s-maxage=0, must-revalidate"
    );
    assert_eq!(answer.header("vary"), "Accept, Accept-Encoding");
    assert_eq!(bench.get(&path("bogus")).await.status, 404);
    for (bench, expected) in [(Bench::new(), "Who%3F"), (Bench::compat(), "Who?")] {
        bench.wiki.random(&[("Who?", Some("x"), true)]);
        let answer = bench.get(&path("title")).await;
        assert_eq!(
            answer.header("location"),
            format!("https://en.wikipedia.org/api/rest_v1/page/title/{expected}")
        );
    }
}

#[tokio::test]
async fn drawn_titles_outlast_an_outage_for_a_while() {
    let bench = Bench::new();
    bench.wiki.random(&[
        ("A", Some("x"), true),
        ("B", Some("y"), true),
        ("C", Some("z"), true),
    ]);
    bench.get(TITLE).await.ok();
    bench.faults.set(Some(Upstream::Action), "", Fault::Status(500));
    let mut drawn = vec![bench.get(TITLE).await.ok().text()];
    // Past their time they are handed out again, in turn, until they are too old for that too.
    bench.clock.advance_s(601);
    for _ in 0..6 {
        drawn.push(bench.get(TITLE).await.ok().text());
    }
    assert_eq!(
        (&drawn[1..4], drawn[1] != drawn[2]),
        (&drawn[4..7], true),
        "{drawn:?}"
    );
    bench.clock.advance_s(8 * 86_400);
    assert_eq!(bench.get(TITLE).await.status, 500);
    // The original has none to hand out again.
    let compat = Bench::compat();
    compat.get(TITLE).await.ok();
    compat.faults.set(Some(Upstream::Action), "", Fault::Status(500));
    compat.clock.advance_s(601);
    assert_eq!(compat.get(TITLE).await.status, 500);
}

#[tokio::test]
async fn requests_at_the_same_time_share_a_draw_and_use_it_up_once() {
    let bench = Bench::new();
    let good = ["A", "B", "C", "D", "E", "F"].map(|title| (title, Some("x"), true));
    bench.wiki.random(&good);
    let drawn = futures_util::future::join_all((0..6).map(|_| bench.get(TITLE))).await;
    let titles: HashSet<String> = drawn.iter().map(|answer| answer.ok().text()).collect();
    assert_eq!(titles.len(), 6, "{titles:?}");
    assert_eq!(bench.wiki.count("generator=random"), 1);
    // They are used up: the wiki is asked for others.
    bench.wiki.random(&[("G", Some("x"), true)]);
    assert_eq!(bench.get(TITLE).await.ok().text(), r#"{"items":[{"title":"G"}]}"#);
    // More than an answer has for: everybody is served all the same.
    bench.wiki.random(&good);
    let drawn = futures_util::future::join_all((0..40).map(|_| bench.get(TITLE))).await;
    assert!(drawn.iter().all(|answer| answer.status == 200));
}

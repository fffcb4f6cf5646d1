//! What is kept, for how long, what outdates it, and what survives a restart. Time moves only when a test moves it.

use crate::bench::{Answer, Bench, EN, document, news};
use levada_feeds::FeedsConfig;
use levada_feeds::upstream::{Fault, Upstream};

const NEWS: &str = "/en.wikipedia.org/v1/page/news";

fn titles(answer: &Answer) -> Vec<String> {
    let body = answer.ok().json();
    let stories = body.as_array().expect("stories").iter();
    stories
        .map(|story| story["links"][0]["title"].as_str().unwrap_or("").to_owned())
        .collect()
}

#[tokio::test]
async fn warm_answers_ask_nobody_and_keep_their_tag() {
    let bench = Bench::new();
    for path in [
        NEWS,
        "/en.wikipedia.org/v1/aggregated/featured/2026/11/20",
        "/en.wikipedia.org/v1/feed/onthisday/all/11/20",
        "/en.wikipedia.org/api/rest_v1/feed/featured/2026/11/20",
    ] {
        let cold = bench.get(path).await;
        let asked = bench.wiki.asked().len();
        let mut warm = bench.get(path).await;
        assert_eq!(bench.wiki.asked().len(), asked, "{path}");
        if let Some(id) = cold.headers.get("x-request-id") {
            warm.headers.insert("x-request-id", id.clone());
        }
        assert_eq!((warm.body, warm.headers), (cold.body, cold.headers), "{path}");
    }
}

#[tokio::test]
async fn parts_are_shared_between_routes() {
    let bench = Bench::new();
    bench
        .get("/en.wikipedia.org/v1/aggregated/featured/2026/11/20")
        .await
        .ok();
    let asked = bench.wiki.asked().len();
    for path in [
        "page/news",
        "page/featured/2026/11/20",
        "page/most-read/2026/11/19",
        "media/image/featured/2026/11/20",
        "feed/did-you-know",
        "feed/onthisday/selected/11/20",
    ] {
        bench.get(&format!("/{EN}/v1/{path}")).await.ok();
    }
    bench
        .get("/en.wikipedia.org/api/rest_v1/feed/featured/2026/11/20")
        .await
        .ok();
    assert_eq!(bench.wiki.asked().len(), asked);
}

#[tokio::test]
async fn many_at_once_are_served_by_one_making() {
    let bench = Bench::new();
    let answers = futures_util::future::join_all((0..50).map(|_| bench.get(NEWS))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(bench.wiki.count("In_the_news"), 1);
    assert_eq!(bench.wiki.count("summary/Madeira"), 1);
}

#[tokio::test]
async fn past_its_time_the_old_one_serves_while_a_new_one_is_made() {
    let bench = Bench::new();
    assert_eq!(titles(&bench.get(NEWS).await), ["Canal_opening", "Second_story"]);
    bench.wiki.page(EN, "Template:In_the_news", &news(&["Third"]));
    bench.clock.advance_s(299);
    assert_eq!(titles(&bench.get(NEWS).await).len(), 2);
    bench.clock.advance_s(2);
    let old = bench.get(NEWS).await;
    assert_eq!(titles(&old).len(), 2);
    assert!(
        old.header("levada-feed-stale").starts_with("news;age=301;why="),
        "{old:?}"
    );
    assert_eq!(titles(&bench.once_fresh(NEWS).await), ["Third"]);
}

#[tokio::test]
async fn long_past_its_time_whoever_asks_waits_for_the_new_one() {
    let bench = Bench::new();
    bench.get(NEWS).await.ok();
    bench.wiki.page(EN, "Template:In_the_news", &news(&["Third"]));
    bench.clock.advance_s(300 + 601);
    let answer = bench.get(NEWS).await;
    assert_eq!(titles(&answer), ["Third"]);
    assert!(!answer.has("levada-feed-stale"));
}

#[tokio::test]
async fn an_outage_serves_the_last_good_answer_marked() {
    let bench = Bench::new();
    let good = bench.get(NEWS).await;
    bench.faults.set(None, "", Fault::Status(503));
    bench.clock.advance_s(3_600);
    let stale = bench.get(NEWS).await;
    assert_eq!(stale.ok().body, good.body);
    assert_eq!(
        stale.header("levada-feed-stale"),
        "news;age=3600;why=\"html answered 503\""
    );
    assert_eq!(stale.header("etag"), good.header("etag"));
    // Nobody is asked again for a while.
    let asked = bench.feeds.metrics();
    bench.get(NEWS).await.ok();
    let upstream = |text: &str| {
        text.lines()
            .find(|line| line.contains("upstream=\"html\",outcome=\"5xx\""))
            .map(str::to_owned)
    };
    assert_eq!(upstream(&bench.feeds.metrics()), upstream(&asked));
    // The outage ends.
    bench.faults.clear();
    bench.wiki.page(EN, "Template:In_the_news", &news(&["After"]));
    bench.clock.advance_s(31);
    bench.get(NEWS).await;
    assert_eq!(titles(&bench.once_fresh(NEWS).await), ["After"]);
    // Older than the longest time, nothing serves any more.
    bench.faults.set(None, "", Fault::Broken);
    bench.clock.advance_s(8 * 86_400);
    assert_eq!(bench.get(NEWS).await.status, 504);
}

#[tokio::test]
async fn a_composed_feed_keeps_its_parts_through_an_outage() {
    let bench = Bench::new();
    let path = "/en.wikipedia.org/v1/aggregated/featured/2026/11/20";
    let good = bench.get(path).await;
    bench.faults.set(None, "", Fault::Broken);
    bench.clock.advance_s(7 * 3_600);
    let stale = bench.get(path).await;
    assert_eq!(stale.ok().body, good.body);
    assert_eq!(
        stale.header("levada-feed-stale").matches("age=25200").count(),
        6,
        "{stale:?}"
    );
    assert_eq!(stale.header("cache-control"), "s-maxage=30, max-age=15");
    assert!(!stale.has("levada-feed-failed"));
}

#[tokio::test]
async fn after_midnight_an_outage_serves_yesterdays_parts() {
    let bench = Bench::new();
    bench
        .get("/en.wikipedia.org/v1/aggregated/featured/2026/11/20")
        .await
        .ok();
    bench.faults.set(None, "", Fault::Broken);
    bench.clock.advance_s(86_400);
    let path = "/en.wikipedia.org/v1/aggregated/featured/2026/11/21";
    let answer = bench.get(path).await;
    assert_eq!(answer.ok().keys(), ["tfa", "mostread", "image", "news", "dyk"]);
    assert!(
        answer
            .header("levada-feed-stale")
            .contains("tfa;age=86400;day=2026-11-20;why="),
        "{answer:?}"
    );
    assert!(
        answer.header("levada-feed-failed").starts_with("selected;why="),
        "the wrong anniversaries are none"
    );
    // A day of the past is not made up from another.
    let past = bench
        .get("/en.wikipedia.org/v1/aggregated/featured/2026/11/19")
        .await;
    assert_eq!(past.ok().text(), "{}");
}

#[tokio::test]
async fn an_empty_page_does_not_replace_a_full_one() {
    let bench = Bench::new();
    let good = bench.get(NEWS).await;
    bench.wiki.page(
        EN,
        "Template:In_the_news",
        &document("<p>The template was rebuilt</p>"),
    );
    bench.clock.advance_s(1_000);
    let held = bench.get(NEWS).await;
    assert_eq!(held.ok().body, good.body);
    assert!(
        held.header("levada-feed-stale").starts_with("news;age=1000;why="),
        "{held:?}"
    );
    assert!(
        bench
            .feeds
            .metrics()
            .contains("levada_feeds_empty_total{feed=\"news\"} 1")
    );
    // With nothing to fall back to it is empty, and says so.
    let bench = Bench::new();
    bench.wiki.page(
        EN,
        "Template:In_the_news",
        &document("<p>The template was rebuilt</p>"),
    );
    let empty = bench.get(NEWS).await;
    assert_eq!(empty.ok().text(), "[]");
    assert!(
        empty.header("levada-feed-failed").starts_with("news.items;why="),
        "{empty:?}"
    );
}

#[tokio::test]
async fn a_source_page_that_was_moved_does_not_take_the_feed_with_it() {
    let bench = Bench::new();
    let good = bench.get(NEWS).await;
    bench.wiki.drop_page(EN, "Template:In_the_news");
    bench.feeds.invalidate(EN, "Template:In the news");
    let held = bench.get(NEWS).await;
    assert_eq!(held.ok().body, good.body);
    assert_eq!(
        held.header("levada-feed-stale"),
        "news;age=0;why=\"html answered 404\""
    );
    // What is only of one day is gone when it is gone.
    let article = "/en.wikipedia.org/v1/media/image/featured/2026/11/20";
    bench.get(article).await.ok();
    bench.wiki.picture("2026-11-20", serde_json::json!({}));
    bench
        .feeds
        .invalidate("commons.wikimedia.org", "Template:Potd/2026-11-20");
    assert_eq!(bench.get(article).await.status, 404);
}

#[tokio::test]
async fn many_lacking_summaries_do_not_replace_a_full_feed_but_one_does() {
    let bench = Bench::new();
    let many: Vec<String> = (0..12).map(|n| format!("Story {n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    bench.wiki.page(EN, "Template:In_the_news", &news(&many));
    let good = bench.get(NEWS).await;
    bench.clock.advance_s(3_600 + 1);
    bench
        .faults
        .set(Some(Upstream::Summary), "Story_3", Fault::Status(500));
    bench.feeds.invalidate(EN, "Story_3");
    let lacking = bench.get(NEWS).await;
    assert_eq!(lacking.ok().body, good.body, "the old summary serves");
    assert!(
        lacking
            .header("levada-feed-stale")
            .contains("summary answered 500"),
        "{lacking:?}"
    );
    let bench = Bench::new();
    bench.wiki.page(EN, "Template:In_the_news", &news(&many));
    bench
        .faults
        .set(Some(Upstream::Summary), "Story_3", Fault::Status(500));
    let lacking = bench.get(NEWS).await;
    assert_eq!(
        lacking.ok().json()[3]["links"].as_array().expect("links").len(),
        1
    );
    assert_eq!(
        lacking.header("levada-feed-failed"),
        "news.summaries;why=\"summary answered 500\""
    );
    bench.faults.clear();
    bench.clock.advance_s(31);
    bench.get(NEWS).await;
    assert_eq!(
        bench.once_fresh(NEWS).await.json()[3]["links"]
            .as_array()
            .expect("links")
            .len(),
        2
    );
}

#[tokio::test]
async fn a_page_change_outdates_exactly_the_feeds_built_from_it() {
    let bench = Bench::new();
    let paths = [
        NEWS,
        "/en.wikipedia.org/v1/feed/did-you-know",
        "/en.wikipedia.org/v1/page/featured/2026/11/20",
        "/en.wikipedia.org/v1/feed/onthisday/births/11/20",
        "/en.wikipedia.org/v1/feed/onthisday/events/11/20",
        "/en.wikipedia.org/v1/media/image/featured/2026/11/20",
    ];
    for path in paths {
        bench.get(path).await.ok();
    }
    let asked_by = |path: &'static str| {
        let bench = &bench;
        async move {
            let before = bench.wiki.asked().len();
            bench.get(path).await.ok();
            bench.wiki.asked().len() - before
        }
    };
    // Nothing is built from an unknown page, nor from a page of that name elsewhere.
    assert_eq!(bench.feeds.invalidate(EN, "Talk:Nothing"), 0);
    assert_eq!(
        bench.feeds.invalidate("de.wikipedia.org", "Template:In the news"),
        0
    );
    // The template: the news and nothing else. Spaces are underscores.
    assert_eq!(bench.feeds.invalidate(EN, "Template:In the news"), 1);
    bench.wiki.page(EN, "Template:In_the_news", &news(&["Changed"]));
    assert_eq!(titles(&bench.get(NEWS).await), ["Changed"]);
    for path in &paths[1..] {
        assert_eq!(asked_by(path).await, 0, "{path}");
    }
    // The page of the day: the two lists that were made from it.
    assert_eq!(bench.feeds.invalidate(EN, "November_20"), 2);
    assert!(asked_by(paths[3]).await > 0 && asked_by(paths[4]).await <= 1);
    assert_eq!(asked_by(NEWS).await, 0);
    // The featured article itself.
    assert_eq!(bench.feeds.invalidate(EN, "Tidal_wheel"), 1);
    let before = bench.wiki.count("summary/Tidal_wheel");
    assert!(asked_by(paths[2]).await > 0);
    assert_eq!(bench.wiki.count("summary/Tidal_wheel"), before + 1);
    // The picture's page is on another wiki.
    assert_eq!(
        bench.feeds.invalidate("commons.wikimedia.org", "File:Levada.jpg"),
        1
    );
    assert!(asked_by(paths[5]).await > 0);
    assert!(
        bench
            .feeds
            .metrics()
            .contains("levada_feeds_invalidations_total{feed=\"news\"} 1")
    );
}

#[tokio::test]
async fn a_redirect_is_outdated_by_its_target() {
    let bench = Bench::new();
    bench.wiki.redirect("Canal_opening", "Opening_of_the_canal");
    bench.get(NEWS).await.ok();
    assert_eq!(bench.feeds.invalidate(EN, "Opening of the canal"), 1);
}

#[tokio::test]
async fn an_outdated_feed_still_serves_when_the_wiki_is_down() {
    let bench = Bench::new();
    let good = bench.get(NEWS).await;
    bench.feeds.invalidate(EN, "Template:In_the_news");
    bench.faults.set(None, "", Fault::Status(500));
    let stale = bench.get(NEWS).await;
    assert_eq!(stale.ok().body, good.body);
    assert!(stale.has("levada-feed-stale"));
}

#[tokio::test]
async fn what_is_asked_for_is_refreshed_ahead_of_expiry() {
    let bench = Bench::new();
    bench.get(NEWS).await.ok();
    assert_eq!(bench.feeds.tend(), 0, "fresh");
    bench.wiki.page(EN, "Template:In_the_news", &news(&["Ahead"]));
    bench.clock.advance_s(245);
    assert_eq!(bench.feeds.tend(), 1);
    for _ in 0..10_000 {
        if titles(&bench.get(NEWS).await) == ["Ahead"] {
            break;
        }
        tokio::task::yield_now().await;
    }
    let answer = bench.get(NEWS).await;
    assert_eq!(titles(&answer), ["Ahead"]);
    assert!(!answer.has("levada-feed-stale"), "nobody ever got an old one");
    // What nobody asks for expires in peace.
    bench.clock.advance_s(10_000);
    assert_eq!(bench.feeds.tend(), 0);
}

#[tokio::test]
async fn refreshing_ahead_ends_when_nobody_asks_any_more() {
    let bench = Bench::new();
    bench.get(NEWS).await.ok();
    let mut refreshed = 0;
    for _ in 0..40 {
        bench.clock.advance_s(100);
        if bench.feeds.tend() > 0 {
            refreshed += 1;
            let made = format!(
                "levada_feeds_builds_total{{feed=\"news\",outcome=\"ok\"}} {}\n",
                refreshed + 1
            );
            while !bench.feeds.metrics().contains(&made) {
                tokio::task::yield_now().await;
            }
        }
    }
    // Every 300 seconds during the half hour after the only request, and never after it.
    assert_eq!(refreshed, 6);
}

#[tokio::test]
async fn an_outdated_feed_that_is_asked_for_is_made_anew_by_itself() {
    let bench = Bench::new();
    bench.get(NEWS).await.ok();
    bench.feeds.invalidate(EN, "Template:In_the_news");
    assert_eq!(bench.feeds.tend(), 1);
}

#[tokio::test]
async fn caches_survive_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = FeedsConfig::default();
    config.cache.path = Some(dir.path().join("feeds.redb"));
    let bench = Bench::of(config);
    let paths = [
        "/en.wikipedia.org/v1/aggregated/featured/2026/11/20",
        "/en.wikipedia.org/v1/feed/onthisday/all/11/20",
    ];
    let mut before = Vec::new();
    for path in paths {
        before.push(bench.get(path).await);
    }
    bench.feeds.flush().await;
    let bench = bench.restarted();
    bench.wiki.forget_log();
    bench.faults.set(None, "", Fault::Broken);
    for (path, before) in paths.into_iter().zip(&before) {
        let after = bench.get(path).await;
        assert_eq!(after.ok().body, before.body, "{path}");
        assert_eq!(after.header("etag"), before.header("etag"), "{path}");
        assert!(!after.has("levada-feed-stale"), "{path}");
    }
    // Page changes find what was made before the restart.
    assert_eq!(bench.feeds.invalidate(EN, "Template:In_the_news"), 1);
    // And an outage after the restart serves what was made before it.
    bench.clock.advance_s(2 * 86_400);
    let stale = bench.get(NEWS).await;
    assert!(
        stale
            .ok()
            .header("levada-feed-stale")
            .starts_with("news;age=172800"),
        "{stale:?}"
    );
    bench.feeds.flush().await;
    // Summaries too: a feed made anew needs only its page.
    let bench = bench.restarted();
    bench.wiki.forget_log();
    bench.clock.advance_s(-2 * 86_400 + 1);
    bench.feeds.invalidate(EN, "Template:In_the_news");
    bench.get(NEWS).await.ok();
    assert_eq!(
        (bench.wiki.count("In_the_news"), bench.wiki.count("page/summary")),
        (1, 0)
    );
}

#[tokio::test]
async fn two_services_cannot_share_a_store() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = FeedsConfig::default();
    config.cache.path = Some(dir.path().join("feeds.redb"));
    let bench = Bench::of(config.clone());
    let second = levada_feeds::Feeds::with(config, bench.wiki.clone(), bench.clock.clone());
    assert!(
        second
            .expect_err("in use")
            .to_string()
            .contains("in use by another process")
    );
}

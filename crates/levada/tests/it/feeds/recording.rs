//! Feeds recorded, checked and served from the recording by the commands, and the page on which a person
//! looks at them, in a real browser.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::wiki::Wiki;
use super::{EN, a_wiki, story};
use crate::browser::program;
use crate::client;
use crate::server::{Server, Site, binary};

/// A wiki on which every feed of 20 November 2026 is there.
fn a_day() -> Wiki {
    let wiki = a_wiki();
    wiki.page(
        EN,
        "Wikipedia:Selected_anniversaries/November_20",
        "<ul><li>1820 – A <b><a rel=\"mw:WikiLink\" href=\"./Whale\">whale</a></b> sinks a ship.</li></ul>",
    );
    let item = |id: &str, text: &str| format!("<h2 id=\"{id}\">{id}</h2><ul><li>{text}</li></ul>");
    let day = [
        item(
            "Events",
            "1820 – A <a rel=\"mw:WikiLink\" href=\"./Whale\">whale</a> sinks a ship.",
        ),
        item(
            "Births",
            "1900 – <a rel=\"mw:WikiLink\" href=\"./Ada\">Ada</a>, engineer",
        ),
        item(
            "Deaths",
            "1950 – <a rel=\"mw:WikiLink\" href=\"./Bob\">Bob</a>, miller",
        ),
        item(
            "Holidays_and_observances",
            "<a rel=\"mw:WikiLink\" href=\"./Water_Day\">Water Day</a>",
        ),
    ];
    wiki.page(EN, "November_20", &day.concat());
    wiki.answer(
        "FeedItem/featured/20261120",
        "<div id=\"mw-content-text\"><p><b><a title=\"Tidal wheel\">x</a></b></p></div>",
    );
    let source = |name: &str, width: u32| json!({"source": format!("https://upload.example.org/{name}.jpg"), "width": width, "height": 600});
    wiki.answer(
        "prop=pageimages",
        json!({"query": {"pages": [{"pageid": 1, "thumbnail": source("wheel-960", 960), "original": source("wheel", 4000)}]}}),
    );
    wiki.answer(
        "generator=images",
        json!({"query": {"pages": [{"pageid": 9, "ns": 6, "title": "File:Levada.jpg", "imageinfo": [{
            "thumburl": "https://upload.example.org/640px-Levada.jpg", "thumbwidth": 640, "thumbheight": 400,
            "url": "https://upload.example.org/Levada.jpg", "width": 7680, "height": 4800,
            "descriptionurl": "https://commons.wikimedia.org/wiki/File:Levada.jpg",
            "extmetadata": {"Artist": {"value": "Ada"}, "Credit": {"value": "Own work"}, "LicenseShortName": {"value": "CC BY-SA 4.0"}},
        }]}]}}),
    );
    wiki.page(
        "commons.wikimedia.org",
        "File:Levada.jpg",
        "<div class=\"description lang-en\" lang=\"en\">A water channel</div>",
    );
    wiki.answer(
        "wbgetentities",
        json!({"entities": {"M1": {"id": "M1", "labels": {}}}}),
    );
    let rows = ["Water_mill", "Aqueduct"].map(|title| json!({"article": title, "views": 400, "rank": 1}));
    wiki.answer(
        "/pageviews/top/",
        json!({"items": [{"project": "en.wikipedia", "access": "all-access", "year": "2026", "month": "11", "day": "19", "articles": rows}]}),
    );
    wiki.answer(
        "generator=random",
        json!({"query": {"pages": [{"pageid": 5, "ns": 0, "title": "Water mill", "description": "a mill", "pageprops": {"page_image_free": "x.jpg"}}]}}),
    );
    let views = |day: u32| json!({"timestamp": format!("202611{day}00"), "views": day});
    wiki.answer(
        "/pageviews/per-article/",
        json!({"items": [views(18), views(19)]}),
    );
    wiki
}

fn site(wiki: &Wiki) -> Site {
    Site::new(&format!("{}today = \"2026-11-20\"\n", wiki.config()))
}

/// `levada feeds …` on the configuration of a site.
fn feeds(site: &Site, arguments: &[&str]) -> Command {
    let mut command = binary();
    command
        .arg("feeds")
        .args(arguments)
        .arg("--config")
        .arg(site.path().join("levada.toml"));
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_recording_is_checked_and_served_while_the_wiki_is_away() {
    let wiki = a_day();
    let site = site(&wiki);
    let dir = site.path().join("recording");
    let dir = dir.to_str().unwrap();
    let recorded = feeds(&site, &["record", dir]).output().unwrap();
    assert!(recorded.status.success(), "{recorded:?}");
    for feed in [
        "tfa", "mostread", "image", "news", "dyk", "selected", "births", "random",
    ] {
        assert!(
            text(&recorded).contains(&format!("  {feed:<9} ok")),
            "{}",
            text(&recorded)
        );
    }

    wiki.down(true);
    wiki.asked();
    let checked = feeds(&site, &["check", "--replay", dir]).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let server = Server::spawn(feeds(&site, &["serve", "--replay", dir]));
    let day = client::get(
        server.address,
        "/en.wikipedia.org/v1/aggregated/featured/2026/11/20",
    );
    assert_eq!((day.status, day.header("levada-feed-failed")), (200, None));
    let day: Value = serde_json::from_str(&day.text()).unwrap();
    let keys: Vec<&String> = day.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["tfa", "mostread", "image", "news", "onthisday", "dyk"]);
    assert_eq!(day["tfa"]["thumbnail"]["width"], 960);
    assert_eq!(day["mostread"]["articles"][0]["view_history"][1]["views"], 19);
    let random = client::get(server.address, "/en.wikipedia.org/v1/page/random/title");
    assert_eq!(random.text(), r#"{"items":[{"title":"Water_mill"}]}"#);
    assert_eq!(wiki.asked(), Vec::<String>::new());
    looked_at(&server, site.path());
}

/// The feeds alone have the root of their listener, and every path but those that tell how the server does.
#[test]
fn the_feeds_alone_answer_on_every_path() {
    let wiki = a_day();
    let site = site(&wiki);
    let server = Server::spawn(feeds(&site, &["serve"]));
    let get = |path: &str| client::get(server.address, path);
    let json = |path: &str| -> Value { serde_json::from_str(&get(path).text()).unwrap() };
    assert_eq!(json("/_info")["name"], "levada-feeds");
    assert!(json("/_info/version")["version"].is_string());
    assert_eq!(get("/_info/home").status, 301);
    assert_eq!(get("/robots.txt").text(), "User-agent: *\nDisallow: /\n");
    let spec = json("/?spec");
    assert!(
        spec["swagger"].is_string() && spec["paths"]["/{domain}/v1/page/news"].is_object(),
        "{spec}"
    );
    let page = get("/?doc");
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.text().contains("/v1/page/news"));
    for path in [
        "/",
        "/nothing",
        "/v1/events",
        "/v2/stream/recentchange",
        "/v1/stream-configs",
    ] {
        let none = get(path);
        assert_eq!(
            (none.status, none.header("content-type")),
            (404, Some("application/problem+json; charset=utf-8")),
            "{path}"
        );
        assert_eq!(json(path)["detail"], format!("Cannot GET {path}"), "{path}");
    }
    let turned_away = get("/yue.wikipedia.org/anything");
    assert_eq!(
        (turned_away.status, turned_away.text().as_str()),
        (404, "Domain not found")
    );
    for path in ["/metrics", "/livez", "/readyz", "/readyz/streams/"] {
        assert_eq!(get(path).status, 200, "{path}");
    }
    assert!(get("/metrics").text().contains("levada_feeds_requests_total"));
}

/// What is recorded of a day is a recording of that day, whenever it is made.
#[test]
fn a_recording_of_a_day_stands_still_on_that_day() {
    let wiki = a_day();
    let site = Site::new(&wiki.config());
    let dir = site.path().join("recording");
    let dir = dir.to_str().unwrap();
    let recorded = feeds(&site, &["record", dir, "--date", "2026-11-20"])
        .output()
        .unwrap();
    assert!(recorded.status.success(), "{recorded:?}");
    wiki.down(true);
    let server = Server::spawn(feeds(&site, &["serve", "--replay", dir]));
    let day = client::get(
        server.address,
        "/en.wikipedia.org/v1/aggregated/featured/2026/11/20",
    );
    let day: Value = serde_json::from_str(&day.text()).unwrap();
    let keys: Vec<&String> = day.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["tfa", "mostread", "image", "news", "onthisday", "dyk"]);
}

#[test]
fn a_check_names_the_template_that_was_rebuilt() {
    let wiki = a_day();
    let site = site(&wiki);
    wiki.page(EN, "Template:In_the_news", "<p>The template was rebuilt</p>");
    // Beside a server on the same configuration, whose caches it neither needs nor disturbs.
    let server = Server::spawn(feeds(&site, &["serve"]));
    let checked = feeds(&site, &["check"]).output().unwrap();
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    let report = text(&checked);
    let news: Vec<&str> = report
        .lines()
        .skip_while(|line| !line.contains(" news "))
        .take(2)
        .collect();
    assert!(
        news[0].contains("degraded") && news[1].contains("missing: items"),
        "{report}"
    );
    assert!(report.contains("  dyk       ok"), "{report}");
    wiki.page(EN, "Template:In_the_news", &story("Canal_opening"));
    assert!(feeds(&site, &["check"]).output().unwrap().status.success());
    drop(server);
    // What makes no sense is a mistake of the command line, not a fault of a feed.
    for wrong in [["--date", "2026-02-30"], ["--domain", "evil.example"]] {
        let refused = feeds(&site, &["check", wrong[0], wrong[1]]).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    }
}

/// The page of the feeds, as a browser renders it.
fn looked_at(server: &Server, folder: &Path) {
    let Some(chromium) = program(&["chromium", "chromium-browser", "google-chrome"]) else {
        return;
    };
    let page = format!("http://{}/feeds?domain={EN}&date=2026-11-20", server.address);
    let browse = |arguments: &[&str]| {
        Command::new(&chromium)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ])
            .args(["--no-first-run", "--window-size=1000,1400", "--timeout=10000"])
            .arg(format!("--user-data-dir={}", folder.join("profile").display()))
            .args(arguments)
            .output()
            .unwrap()
    };
    let seen = browse(&["--dump-dom", &page]);
    assert!(seen.status.success(), "{seen:?}");
    let seen = text(&seen);
    for expected in [
        "Tidal wheel is a page.",
        "Water mill",
        "A water channel",
        "topic</a></b> is seen.",
        "weirs",
        "sinks a ship",
        "value=\"2026-11-20\"",
    ] {
        assert!(seen.contains(expected), "{expected} is not in {seen}");
    }
    assert!(!seen.contains("class=\"warn\""), "{seen}");
    // Something is painted: a page without its style, or an empty one, is a far smaller picture.
    let shot = |name: &str, page: &str| {
        let file = folder.join(name);
        browse(&[&format!("--screenshot={}", file.display()), page]);
        std::fs::metadata(&file).unwrap().len()
    };
    let (painted, blank) = (shot("feeds.png", &page), shot("blank.png", "about:blank"));
    assert!(painted > 4 * blank, "{painted} bytes, blank is {blank}");
}

//! A day in the life: a feed made of recorded material looks like the one that production gave, key for key.

use crate::bench::{Answer, Bench, EN, document, keys, shared};
use crate::fixture::Fixture;
use levada_feeds::{Feeds, FeedsConfig, StillClock};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A wiki as it was on 7 July 2024, put together again from what production said of it.
fn july(recorded: &Value, summaries: &str) -> Fixture {
    let wiki = Fixture::default();
    // The recording was trimmed: of some stories only the topic's summary is left.
    wiki.only_recorded();
    let learn = |summary: &Value| {
        let title = summary["title"].as_str().expect("a title");
        wiki.recorded_summary(title, &original(summary).to_string());
        title.to_owned()
    };
    let tfa = learn(&recorded["tfa"]);
    wiki.feed_item(
        EN,
        "20240707",
        &format!(
            "<div id=\"mw-content-text\"><p><b><a title=\"{}\">x</a></b></p></div>",
            tfa.replace('_', " ")
        ),
    );
    let tfa = &recorded["tfa"];
    wiki.page_images(
        json!({"query": {"pages": [{"thumbnail": tfa["thumbnail"], "original": tfa["originalimage"]}]}}),
    );
    let rows: Vec<(String, u64)> = recorded["mostread"]["articles"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| (learn(row), row["views"].as_u64().expect("views")))
        .collect();
    let rows: Vec<(&str, u64)> = rows
        .iter()
        .map(|(title, views)| (title.as_str(), *views))
        .collect();
    wiki.top("en.wikipedia/2024/07/06", &rows);
    let stories = recorded["news"].as_array().expect("stories").iter().map(|story| {
        story["links"]
            .as_array()
            .expect("links")
            .iter()
            .for_each(|page| drop(learn(page)));
        format!("<li>{}</li>", story["story"].as_str().expect("a story"))
    });
    wiki.page(
        EN,
        "Template:In_the_news",
        &document(&format!("<ul>{}</ul>", stories.collect::<String>())),
    );
    let events = recorded["onthisday"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| {
            let links = event["pages"].as_array().expect("pages").iter().map(|page| {
                let title = learn(page);
                format!(
                    "<a rel=\"mw:WikiLink\" href=\"./{0}\" title=\"{0}\">x</a>",
                    title.replace('"', "&quot;")
                )
            });
            format!(
                "<li>{} – {} {}</li>",
                event["year"],
                event["text"].as_str().expect("a text"),
                links.collect::<String>()
            )
        });
    let title = "Wikipedia:Selected_anniversaries/July_7";
    wiki.page(
        EN,
        title,
        &document(&format!("<ul>{}</ul>", events.collect::<String>())),
    );
    let image = &recorded["image"];
    wiki.picture("2024-07-07", json!({"query": {"pages": [{
        "pageid": 1, "ns": 6, "title": image["title"],
        "imageinfo": [{
            "thumburl": image["thumbnail"]["source"], "thumbwidth": image["thumbnail"]["width"],
            "thumbheight": image["thumbnail"]["height"], "url": image["image"]["source"],
            "width": image["image"]["width"], "height": image["image"]["height"],
            "descriptionurl": image["file_page"],
            "extmetadata": {
                "Artist": {"value": image["artist"]["html"]}, "Credit": {"value": image["credit"]["html"]},
                "LicenseShortName": {"value": image["license"]["type"]}, "LicenseUrl": {"value": image["license"]["url"]},
            },
        }],
    }]}}));
    wiki.page(
        "commons.wikimedia.org",
        image["title"].as_str().expect("a title"),
        &document(&format!(
            "<div class=\"description lang-en\" lang=\"en\">{}</div>",
            image["description"]["html"].as_str().expect("HTML")
        )),
    );
    for line in summaries.lines() {
        let summary: Value = serde_json::from_str(line).expect("JSON");
        let title = summary["titles"]["canonical"]
            .as_str()
            .or(summary["title"].as_str())
            .expect("a title");
        wiki.recorded_summary(title, &original(&summary).to_string());
    }
    let id = image["wb_entity_id"].as_str().expect("an id");
    wiki.entities(json!({"entities": { id: {"id": id, "labels": []} }}));
    wiki
}

/// A summary before the feed edited it.
fn original(summary: &Value) -> Value {
    let fields = summary.as_object().expect("an object");
    let added = ["normalizedtitle", "views", "rank", "view_history", "isTopic"];
    let kept = fields.iter().filter(|(key, _)| !added.contains(&key.as_str()));
    let mut fields: serde_json::Map<String, Value> =
        kept.map(|(key, value)| (key.clone(), value.clone())).collect();
    if let Some(title) = summary.get("normalizedtitle") {
        fields.insert("title".into(), title.clone());
    }
    Value::Object(fields)
}

/// Every path of keys in a value, arrays as one step.
fn paths(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = format!("{at}/{key}");
                found.insert(path.clone());
                paths(value, &path, found);
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| paths(item, &format!("{at}[]"), found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_feed_of_a_day_looks_like_the_recorded_one() {
    let Some(feeds) = shared(1) else { return };
    let read = |name: &str| std::fs::read_to_string(feeds.join("recorded").join(name)).expect(name);
    let recorded: Value = serde_json::from_str(&read("featured_en_2024-07.json")).expect("JSON");
    let wiki = Arc::new(july(&recorded, &read("page_summaries.ndjson")));
    let clock = Arc::new(StillClock::at_noon(2024, 7, 7).expect("a day"));
    // Recorded from that wiki, then served from the recording alone, on the day of the recording.
    let path = "/en.wikipedia.org/api/rest_v1/feed/featured/2024/07/07";
    let dir = tempfile::tempdir().expect("a directory");
    let recording = FeedsConfig {
        record: Some(dir.path().to_owned()),
        ..FeedsConfig::default()
    };
    let live = Bench::over(recording, wiki, clock).get(path).await;
    let replay = Feeds::new(FeedsConfig {
        replay: Some(dir.path().to_owned()),
        ..FeedsConfig::default()
    });
    let answer = of(&replay.expect("a replay"), path).await;
    assert_eq!(answer.body, live.ok().body);
    let made = answer.ok().json();
    assert!(!answer.has("levada-feed-failed"), "{:?}", answer.headers);
    let mut names = keys(&recorded);
    names.sort_by_key(|name| {
        ["tfa", "mostread", "image", "news", "onthisday"]
            .iter()
            .position(|known| known == name)
    });
    assert_eq!(keys(&made), names);
    let (mut of_recorded, mut of_made) = (BTreeSet::new(), BTreeSet::new());
    paths(&recorded, "", &mut of_recorded);
    paths(&made, "", &mut of_made);
    let lacking: Vec<&String> = of_recorded.difference(&of_made).collect();
    let added: Vec<&String> = of_made.difference(&of_recorded).collect();
    assert!(
        lacking.is_empty() && added.is_empty(),
        "lacking {lacking:?}, added {added:?}"
    );
    // And the same content, in the same order of keys.
    assert_eq!(made["tfa"].to_string(), recorded["tfa"].to_string());
    let column = |value: &Value, name: &str| -> Vec<Value> {
        value["mostread"]["articles"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| row[name].clone())
            .collect()
    };
    assert_eq!(column(&made, "title"), column(&recorded, "title"));
    assert_eq!(column(&made, "views"), column(&recorded, "views"));
    assert_eq!(
        keys(&made["mostread"]["articles"][0]),
        keys(&recorded["mostread"]["articles"][0])
    );
    assert_eq!(keys(&made["image"]), keys(&recorded["image"]));
    for key in [
        "title",
        "thumbnail",
        "image",
        "file_page",
        "credit",
        "license",
        "wb_entity_id",
        "structured",
    ] {
        assert_eq!(made["image"][key], recorded["image"][key], "{key}");
    }
    assert_eq!(
        made["image"]["artist"]["text"],
        recorded["image"]["artist"]["text"]
    );
    let pages = |value: &Value| -> Vec<Vec<Value>> {
        let events = value["onthisday"].as_array().expect("events").iter();
        events
            .map(|event| {
                event["pages"]
                    .as_array()
                    .expect("pages")
                    .iter()
                    .map(|page| page["title"].clone())
                    .collect()
            })
            .collect()
    };
    let mut expected = pages(&recorded);
    // The recorded list is in the order of the years, as ours is.
    let years = |value: &Value| -> Vec<Value> {
        value["onthisday"]
            .as_array()
            .expect("events")
            .iter()
            .map(|event| event["year"].clone())
            .collect()
    };
    assert_eq!(years(&made), years(&recorded));
    let mut found = pages(&made);
    expected.sort_by_key(|titles| format!("{titles:?}"));
    found.sort_by_key(|titles| format!("{titles:?}"));
    assert_eq!(found, expected);
    let links = |value: &Value| -> Vec<Value> {
        value["news"][0]["links"]
            .as_array()
            .expect("links")
            .iter()
            .map(|page| page["title"].clone())
            .collect()
    };
    let sorted = |mut titles: Vec<Value>| {
        titles.sort_by_key(Value::to_string);
        titles
    };
    assert_eq!(sorted(links(&made)), sorted(links(&recorded)));
}

/// An answer of a service.
async fn of(feeds: &Feeds, path: &str) -> Answer {
    let request = http::Request::get(path).body(bytes::Bytes::new());
    let (parts, body) = feeds.handle(request.expect("a request")).await.into_parts();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
    }
}

/// The recorded lists as a page of the day and a page of selected events, read and hydrated again: the same items in
/// the same order with the same pages.
#[tokio::test]
async fn the_lists_of_a_day_hold_the_recorded_content() {
    let Some(feeds) = shared(1) else { return };
    let text =
        std::fs::read_to_string(feeds.join("recorded/onthisday_all_en_02-06_2017.json")).expect("JSON");
    let recorded: Value = serde_json::from_str(&text).expect("JSON");
    let wiki = Fixture::default();
    wiki.only_recorded();
    let list = |name: &str| -> String {
        let items = recorded[name].as_array().expect("items").iter().map(|item| {
            let links = item["pages"].as_array().expect("pages").iter().map(|page| {
                let title = page["title"].as_str().expect("a title");
                wiki.recorded_summary(title, &original(page).to_string());
                format!(
                    "<a rel=\"mw:WikiLink\" href=\"./{}\"></a>",
                    title.replace('"', "&quot;")
                )
            });
            let year = item["year"].as_i64().map_or_else(String::new, |year| match year {
                ..0 => format!("{} BC – ", -year),
                _ => format!("{year} – "),
            });
            let text = item["text"]
                .as_str()
                .expect("a text")
                .replace('&', "&amp;")
                .replace('<', "&lt;");
            format!("<li>{year}{text}{}</li>", links.collect::<String>())
        });
        format!("<ul>{}</ul>", items.collect::<String>())
    };
    let sections = [
        ("Events", "events"),
        ("Births", "births"),
        ("Deaths", "deaths"),
        ("Holidays_and_observances", "holidays"),
    ];
    let page =
        sections.map(|(id, name)| format!("<section><h2 id=\"{id}\">{id}</h2>{}</section>", list(name)));
    wiki.page(
        EN,
        "February_6",
        &format!("<html><body>{}</body></html>", page.concat()),
    );
    wiki.page(
        EN,
        "Wikipedia:Selected_anniversaries/February_6",
        &document(&list("selected")),
    );
    let clock = Arc::new(StillClock::at_noon(2017, 2, 6).expect("a day"));
    let bench = Bench::over(FeedsConfig::default(), Arc::new(wiki), clock);
    let made = bench
        .get("/en.wikipedia.org/v1/feed/onthisday/all/02/06")
        .await
        .ok()
        .json();
    assert_eq!(keys(&made), keys(&recorded));
    // Pages that an item leads to twice were still there twice in 2017; today the first stays.
    let pages = |item: &Value| -> Vec<Value> {
        let mut titles = BTreeSet::new();
        let pages = item["pages"].as_array().expect("pages").iter();
        pages
            .filter(|page| titles.insert(page["title"].to_string()))
            .cloned()
            .collect()
    };
    let seen = |item: &Value| {
        let titles: Vec<Value> = pages(item).iter().map(|page| page["title"].clone()).collect();
        (keys(item), item["year"].clone(), item["text"].clone(), titles)
    };
    for name in keys(&recorded) {
        let (made, recorded) = (
            made[&name].as_array().expect("a list"),
            recorded[&name].as_array().expect("a list"),
        );
        assert_eq!(made.len(), recorded.len(), "{name}");
        for (made, recorded) in made.iter().zip(recorded) {
            assert_eq!(seen(made), seen(recorded), "{name}");
            for (made, recorded) in pages(made).into_iter().zip(pages(recorded)) {
                // What the original noted for itself until 2020.
                let mut recorded = recorded.as_object().expect("a page").clone();
                recorded.shift_remove("isTopic");
                assert_eq!(made.to_string(), Value::Object(recorded).to_string(), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn the_lists_of_a_day_have_the_recorded_shape() {
    let Some(feeds) = shared(1) else { return };
    let text =
        std::fs::read_to_string(feeds.join("recorded/onthisday_all_en_02-06_2017.json")).expect("JSON");
    let recorded: Value = serde_json::from_str(&text).expect("JSON");
    let bench = Bench::new();
    let html = std::fs::read_to_string(feeds.join("html/onthisday/en.December_1.html")).expect("a page");
    bench.wiki.page(EN, "December_1", &html);
    bench.wiki.page(
        EN,
        "Wikipedia:Selected_anniversaries/December_1",
        &document("<ul><li>1900 – <a rel=\"mw:WikiLink\" href=\"./A\">A</a></li></ul>"),
    );
    let made = bench
        .get("/en.wikipedia.org/v1/feed/onthisday/all/12/01")
        .await
        .ok()
        .json();
    assert_eq!(keys(&made), keys(&recorded));
    for name in keys(&recorded) {
        assert_eq!(keys(&made[&name][0]), keys(&recorded[&name][0]), "{name}");
    }
}

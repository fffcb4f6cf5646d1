//! The wire forms against recorded answers: read into the types and written again, byte for byte.

use levada_feeds::model::{
    Event, Featured, FeaturedImage, KeyOrder, MostRead, MostReadArticle, NewsStory, OnThisDayAll,
    OnThisDayKind, Summary,
};
use serde_json::Value;

use crate::material::{json, real};

fn summary(value: &Value) -> Summary {
    Summary::from_stored(value.to_string().as_bytes()).expect("a summary")
}

fn summaries(value: &Value) -> Vec<Summary> {
    value.as_array().expect("an array").iter().map(summary).collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

fn event(value: &Value) -> Event {
    Event {
        text: text(&value["text"]),
        pages: summaries(&value["pages"]),
        year: value["year"].as_i64(),
    }
}

fn events(value: &Value) -> Vec<Event> {
    value.as_array().expect("an array").iter().map(event).collect()
}

fn article(value: &Value) -> MostReadArticle {
    let mut members = value.as_object().expect("an object").clone();
    let mut take = |key: &str| members.shift_remove(key).unwrap_or(Value::Null);
    let (views, rank, history) = (take("views"), take("rank"), take("view_history"));
    MostReadArticle {
        views: views.as_u64().expect("views"),
        rank: rank.as_u64().expect("a rank"),
        view_history: serde_json::from_value(history).expect("a history"),
        summary: summary(&Value::Object(members)),
    }
}

#[test]
fn the_aggregated_feed_of_a_day_key_for_key() {
    let Some(recorded) = real("recorded/featured_en_2024-07.json", 1) else {
        return;
    };
    let day: Value = serde_json::from_str(&recorded).expect("json");
    let image: FeaturedImage = serde_json::from_value(day["image"].clone()).expect("an image");
    let news = day["news"]
        .as_array()
        .expect("news")
        .iter()
        .map(|story| NewsStory {
            links: summaries(&story["links"]),
            story: text(&story["story"]),
        });
    let articles = day["mostread"]["articles"].as_array().expect("articles");
    let mut featured = Featured {
        tfa: Some(summary(&day["tfa"])),
        mostread: Some(MostRead {
            date: text(&day["mostread"]["date"]),
            articles: articles.iter().map(article).collect(),
        }),
        image: Some(image),
        news: None,
        onthisday: Some(events(&day["onthisday"])),
        dyk: None,
    };
    let order = |text: &str| {
        let value: Value = serde_json::from_str(text).expect("json");
        value
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(order(&json(&featured)), ["tfa", "mostread", "image", "onthisday"]);
    featured.news = Some(news.collect());
    // The recording is of the older composition, which put the news last.
    let mut ours: Value = serde_json::from_str(&json(&featured)).expect("json");
    assert_eq!(
        order(&ours.to_string()),
        ["tfa", "mostread", "image", "news", "onthisday"]
    );
    let moved = ours
        .as_object_mut()
        .and_then(|day| day.shift_remove("news"))
        .expect("news");
    ours["news"] = moved;
    assert_eq!(ours.to_string(), day.to_string());
}

#[test]
fn on_this_day_all_key_for_key() {
    let Some(recorded) = real("recorded/onthisday_all_en_02-06_2017.json", 1) else {
        return;
    };
    let mut day: Value = serde_json::from_str(&recorded).expect("json");
    let mut all = OnThisDayAll {
        order: KeyOrder::Internal,
        ..OnThisDayAll::default()
    };
    for kind in OnThisDayKind::ALL {
        let items = day[kind.as_str()].as_array_mut().expect("a list");
        for item in items.iter_mut() {
            // Summaries were without normalised titles then, and pages said which was the topic.
            item["pages"]
                .as_array_mut()
                .expect("pages")
                .retain(|page| page["title"].is_string());
        }
        all.set(kind, Some(events(&day[kind.as_str()])));
    }
    assert_eq!(json(&all), day.to_string());
}

#[test]
fn recorded_summaries_pass_through_but_for_two_edits() {
    let Some(recorded) = real("recorded/page_summaries.ndjson", 1) else {
        return;
    };
    let mut seen = 0;
    for line in recorded.lines() {
        let value: Value = serde_json::from_str(line).expect("json");
        // The recording has the two edits already; undo them, and they must come back.
        let mut upstream = value.clone();
        let members = upstream.as_object_mut().expect("an object");
        let Some(title) = members.shift_remove("normalizedtitle") else {
            continue;
        };
        members["title"] = title;
        let summary = Summary::from_json(upstream.to_string().as_bytes()).expect("a summary");
        assert_eq!(summary.as_json(), value.to_string());
        seen += 1;
    }
    assert!(seen > 0, "the recording has summaries");
    let Some(tokyo) = real("recorded/page_summary_Tokyo.json", 1) else {
        return;
    };
    let summary = Summary::from_json(tokyo.as_bytes()).expect("a summary");
    assert_eq!(
        (summary.title().as_str(), summary.namespace_id()),
        ("Tokyo", Some(0))
    );
}

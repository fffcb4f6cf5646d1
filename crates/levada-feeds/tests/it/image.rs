//! Cases 41 to 50: the picture of the day.

use crate::bench::{Bench, description, document, picture};
use levada_feeds::upstream::{Fault, Upstream};
use serde_json::{Value, json};

const PATH: &str = "/en.wikipedia.org/v1/media/image/featured/2026/11/20";

#[tokio::test]
async fn case_41_the_picture() {
    let bench = Bench::new();
    let answer = bench.get(PATH).await;
    assert_eq!(
        answer.ok().keys(),
        [
            "title",
            "thumbnail",
            "image",
            "file_page",
            "artist",
            "credit",
            "license",
            "description",
            "wb_entity_id",
            "structured"
        ]
    );
    let body = answer.json();
    assert_eq!(
        body["description"],
        json!({"html": "A water <b>channel</b>", "text": "A water channel", "lang": "en"})
    );
    assert_eq!(body["wb_entity_id"], "M114092958");
    assert_eq!(body["structured"]["captions"], json!({"en": "A levada"}));
    assert!(!answer.has("cache-control") && !answer.header("etag").is_empty());
    let hosts: Vec<String> = bench
        .wiki
        .asked()
        .iter()
        .map(|request| request.authority().to_owned())
        .collect();
    assert!(
        hosts.iter().all(|host| host == "commons.wikimedia.org"),
        "{hosts:?}"
    );
}

#[tokio::test]
async fn case_42_and_43_the_language_of_the_description() {
    let lang = |body: &Value| body["description"]["lang"].as_str().map(str::to_owned);
    let bench = Bench::new();
    for (domain, expected) in [("de.wikipedia.org", "de"), ("he.wikipedia.org", "en")] {
        let body = bench
            .get(&format!("/{domain}/v1/media/image/featured/2026/11/20"))
            .await
            .json();
        assert_eq!(lang(&body).as_deref(), Some(expected), "{domain}");
    }
    let bench = Bench::new();
    bench.wiki.page(
        "commons.wikimedia.org",
        "File:Levada.jpg",
        &document(r#"<div class="description lang-fr" lang="fr">Un canal</div>"#),
    );
    assert_eq!(lang(&bench.get(PATH).await.json()).as_deref(), Some("fr"));
    let bench = Bench::new();
    bench.wiki.page(
        "commons.wikimedia.org",
        "File:Levada.jpg",
        &document("<p>no words</p>"),
    );
    assert!(bench.get(PATH).await.ok().json().get("description").is_none());
}

#[tokio::test]
async fn case_44_artists() {
    let body = Bench::new().get(PATH).await.json();
    assert_eq!(body["artist"]["name"], "Ada");
    assert_eq!(
        body["artist"]["user_page"],
        "https://commons.wikimedia.org/wiki/User:Ada"
    );
}

#[tokio::test]
async fn case_45_and_46_captions_and_entities() {
    let bench = Bench::new();
    bench
        .wiki
        .entities(json!({"entities": {"M1": {"id": "M1", "labels": []}}}));
    assert_eq!(bench.get(PATH).await.json()["structured"]["captions"], json!({}));
    for (compat, status) in [(false, 200), (true, 500)] {
        let bench = if compat { Bench::compat() } else { Bench::new() };
        bench.wiki.entities(json!({"entities": {}}));
        let answer = bench.get(PATH).await;
        assert_eq!(answer.status, status);
        assert!(answer.json().get("wb_entity_id").is_none());
    }
}

#[tokio::test]
async fn case_47_no_template() {
    let path = "/en.wikipedia.org/v1/media/image/featured/2026/11/01";
    assert_eq!(Bench::new().get(path).await.status, 404);
    assert_eq!(Bench::compat().get(path).await.status, 500);
    for bench in [Bench::new(), Bench::compat()] {
        assert_eq!(bench.get(&format!("{path}?aggregated=1")).await.status, 204);
    }
}

#[tokio::test]
async fn case_48_no_page() {
    let bench = Bench::new();
    let mut answer = picture("File:Gone.jpg");
    let page = &mut answer["query"]["pages"][0];
    page.as_object_mut().expect("a page").remove("pageid");
    page["missing"] = json!(true);
    bench.wiki.picture("2026-11-20", answer);
    let answer = bench.get(PATH).await;
    assert_eq!(
        (answer.status, answer.json()["title"].as_str()),
        (404, Some("No picture of the day for this date"))
    );
    assert_eq!(
        answer.json()["detail"],
        "There is no picture of the day for this date."
    );
}

#[tokio::test]
async fn case_49_beta_wikis_have_their_own_repository() {
    let bench = Bench::new();
    bench
        .get("/en.wikipedia.beta.wmflabs.org/v1/media/image/featured/2026/11/20")
        .await;
    let asked = bench.wiki.asked();
    assert_eq!(asked[0].authority(), "commons.wikimedia.beta.wmflabs.org");
}

#[tokio::test]
async fn case_50_before_the_first_year() {
    let bench = Bench::new();
    let path = "/en.wikipedia.org/v1/media/image/featured/2004/01/01";
    assert_eq!(bench.get(path).await.status, 404);
    assert_eq!(bench.get(&format!("{path}?aggregated=true")).await.status, 204);
}

#[tokio::test]
async fn a_picture_without_its_description_is_still_one() {
    let bench = Bench::new();
    bench.faults.set(Some(Upstream::Html), "", Fault::Status(503));
    let answer = bench.get(PATH).await;
    assert!(answer.ok().json().get("description").is_none());
    assert!(
        answer
            .header("levada-feed-failed")
            .starts_with("image.description")
    );
    // When it can be had again, it is.
    bench.faults.clear();
    bench
        .wiki
        .page("commons.wikimedia.org", "File:Levada.jpg", &description());
    bench.clock.advance_s(31);
    assert_eq!(bench.once_fresh(PATH).await.json()["description"]["lang"], "en");
}

//! Picture of the day: cases 41 to 50.

use levada_feeds::date::FeedDate;
use levada_feeds::model::{FeaturedImage, PictureEntity, PictureFile};
use levada_feeds::note::{NoteKind, OriginalError, original_error};
use levada_feeds::parse::picture::{
    PictureQuery, assemble, commons_domain, parse_descriptions, parse_entity, parse_query, template_title,
};

use crate::material::{json, kinds, real};

const QUERY: &str = r#"{"batchcomplete":true,"query":{"pages":[{"pageid":7,"ns":6,"title":"File:A b.jpg","imagerepository":"local","imageinfo":[{"size":1,"width":4000,"height":3000,"thumburl":"https://u/640px-A_b.jpg","thumbwidth":640,"thumbheight":480,"url":"https://u/A_b.jpg","descriptionurl":"https://commons.wikimedia.org/wiki/File:A_b.jpg","descriptionshorturl":"https://commons.wikimedia.org/w/index.php?curid=7","extmetadata":{"LicenseShortName":{"value":"CC BY-SA 4.0","source":"x","hidden":""},"LicenseUrl":{"value":"https://l/","source":"x"},"License":{"value":"cc-by-sa-4.0"},"Artist":{"value":"A. Savin"},"Credit":{"value":"<span class=\"int-own-work\" lang=\"en\">Own work</span>"}}}]}]}}"#;

const PAGE: &str = r#"<body><div class="description mw-content-ltr en lang-en" dir="ltr" lang="en"><span class="langlabel-en" lang="en"><b>English:</b></span> The <a href="./X">lake</a> &amp; hills </div>
    <div class="description fr lang-fr" lang="fr"><span class="langlabel-fr">Français : </span> Le lac</div>
    <div class="description lang-xx">no language</div><div class="description">neither</div></body>"#;

const ENTITY: &str = r#"{"entities":{"M7":{"pageid":7,"id":"M7","type":"mediainfo","labels":{"en":{"language":"en","value":"A lake"},"fr":{"language":"fr","value":"Un lac"}}}},"success":1}"#;

fn file(query: &str) -> PictureFile {
    match parse_query(query.as_bytes()).0 {
        PictureQuery::Found(file) => *file,
        other => panic!("{other:?}"),
    }
}

fn picture(domain: &str, query: &str, page: &str, entity: &str) -> FeaturedImage {
    let (texts, _) = parse_descriptions(page);
    let (entity, _) = parse_entity(entity.as_bytes());
    assemble(domain, &file(query), &texts, &entity)
}

#[test]
fn case_41_all_keys_in_order() {
    let image = picture("en.wikipedia.org", QUERY, PAGE, ENTITY);
    assert_eq!(
        json(&image),
        r#"{"title":"File:A b.jpg","thumbnail":{"source":"https://u/640px-A_b.jpg","width":640,"height":480},"image":{"source":"https://u/A_b.jpg","width":4000,"height":3000},"file_page":"https://commons.wikimedia.org/wiki/File:A_b.jpg","artist":{"html":"A. Savin","text":"A. Savin","name":"A. Savin"},"credit":{"html":"<span class=\"int-own-work\" lang=\"en\">Own work</span>","text":"Own work"},"license":{"type":"CC BY-SA 4.0","code":"cc-by-sa-4.0","url":"https://l/"},"description":{"html":"The <a href=\"./X\">lake</a> &amp; hills","text":"The lake &amp; hills","lang":"en"},"wb_entity_id":"M7","structured":{"captions":{"en":"A lake","fr":"Un lac"}}}"#
    );
}

#[test]
fn case_41_pages_and_duration_stand_around_the_file_page() {
    let query = QUERY.replace(r#""size":1,"#, r#""size":1,"pagecount":3,"duration":12.5,"#);
    let text = json(&picture("en.wikipedia.org", &query, PAGE, ENTITY));
    let keys = [
        r#""image":"#,
        r#""page_count":3"#,
        r#""file_page":"#,
        r#""duration":12.5"#,
        r#""artist":"#,
    ];
    let places: Vec<_> = keys.iter().map(|key| text.find(key).expect(key)).collect();
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn case_42_the_language_of_the_description() {
    let lang = |domain: &str, page: &str| {
        picture(domain, QUERY, page, ENTITY)
            .description
            .expect("a description")
            .lang
    };
    assert_eq!(lang("fr.wikipedia.org", PAGE).as_deref(), Some("fr"));
    assert_eq!(lang("he.wikipedia.org", PAGE).as_deref(), Some("en"));
    let fr_first = format!(r#"<p class="description lang-fr" lang="fr">Le lac</p>{PAGE}"#);
    assert_eq!(lang("he.wikipedia.org", &fr_first).as_deref(), Some("en"));
    let only_fr = PAGE.replace("lang-en", "no").replace("lang=\"en\"", "");
    assert_eq!(lang("he.wikipedia.org", &only_fr).as_deref(), Some("fr"));
}

#[test]
fn case_42_metadata_by_language_follows_the_same_rule() {
    let query = QUERY.replace(
        r#""Credit":{"value":"<span class=\"int-own-work\" lang=\"en\">Own work</span>"}"#,
        r#""Credit":{"value":{"_type":"lang","de":"Eigenes <i>Werk</i>","en":"Own work"}}"#,
    );
    let credit = |domain: &str| json(&picture(domain, &query, PAGE, ENTITY).credit);
    assert_eq!(
        credit("de.wikipedia.org"),
        r#"{"html":"Eigenes <i>Werk</i>","text":"Eigenes Werk","lang":"de"}"#
    );
    assert_eq!(
        credit("he.wikipedia.org"),
        r#"{"html":"Own work","text":"Own work","lang":"en"}"#
    );
    let query = query.replace(r#","en":"Own work""#, "");
    assert_eq!(
        json(&picture("he.wikipedia.org", &query, PAGE, ENTITY).credit),
        r#"{"html":"Eigenes <i>Werk</i>","text":"Eigenes Werk","lang":"de"}"#
    );
}

#[test]
fn case_43_no_descriptions() {
    let (texts, notes) = parse_descriptions("<body><p>none</p></body>");
    assert_eq!(kinds(&notes), [NoteKind::NothingMatched]);
    let image = assemble(
        "en.wikipedia.org",
        &file(QUERY),
        &texts,
        &PictureEntity::default(),
    );
    assert!(image.description.is_none() && !json(&image).contains("description\":"));
}

#[test]
fn of_several_descriptions_in_a_language_the_last_is_kept() {
    let html = r#"<p class="description lang-en" lang="en">one</p><p class="description lang-de" lang="de">zwei</p><p class="description lang-en" lang="en">three</p>"#;
    let texts = parse_descriptions(html).0.0;
    let pairs: Vec<_> = texts
        .iter()
        .map(|(lang, text)| (lang.as_str(), text.as_str()))
        .collect();
    assert_eq!(pairs, [("en", "three"), ("de", "zwei")]);
}

#[test]
fn case_44_artists() {
    let artist = |html: &str| {
        let quoted = serde_json::to_string(html).expect("json");
        let query = QUERY.replace(
            r#""Artist":{"value":"A. Savin"}"#,
            &format!(r#""Artist":{{"value":{quoted}}}"#),
        );
        picture("en.wikipedia.org", &query, PAGE, ENTITY).artist
    };
    let plain = artist("Jane").expect("an artist");
    assert_eq!((plain.name.as_deref(), plain.user_page), (Some("Jane"), None));
    for target in ["User:Jane_Doe", "User:Jane%20Doe"] {
        let html =
            format!(r#"<a href="//commons.wikimedia.org/wiki/{target}" title="User:Jane Doe">Jane Doe</a>"#);
        let user = artist(&html).expect("an artist");
        assert_eq!(user.name.as_deref(), Some("Jane Doe"));
        assert_eq!(
            user.user_page,
            Some(format!("https://commons.wikimedia.org/wiki/{target}"))
        );
    }
    for html in [
        r#"<a href="//commons.wikimedia.org/wiki/User:J" title="User:J">Jane</a>"#,
        r#"<a href="//evil.org/wiki/User:J" title="User:J">J</a>"#,
        r#"<a href="//commons.wikimedia.org/wiki/User:J" title="User:J">J</a> and others"#,
        "<b>Jane</b>",
    ] {
        let other = artist(html).expect("an artist");
        assert_eq!((other.name, other.user_page), (None, None), "{html}");
    }
    assert_eq!(artist("<b> </b>"), None);
}

#[test]
fn case_45_and_46_entities_without_labels_and_no_entity() {
    for labels in ["{}", "[]"] {
        let body = format!(r#"{{"entities":{{"M7":{{"id":"M7","labels":{labels}}}}}}}"#);
        let (entity, notes) = parse_entity(body.as_bytes());
        assert_eq!((entity.id.as_deref(), entity.captions.len()), (Some("M7"), 0));
        assert!(notes.is_empty());
    }
    for body in [r#"{"entities":{}}"#, r#"{"error":{}}"#, "<html>"] {
        let (entity, notes) = parse_entity(body.as_bytes());
        assert_eq!(entity, PictureEntity::default());
        assert_eq!(original_error(&notes), Some(OriginalError::TypeError));
    }
    let image = assemble(
        "en.wikipedia.org",
        &file(QUERY),
        &Default::default(),
        &Default::default(),
    );
    assert!(json(&image).ends_with(r#""structured":{"captions":{}}}"#));
    assert!(!json(&image).contains("wb_entity_id"));
}

#[test]
fn case_47_and_48_no_template_and_no_file() {
    let (found, notes) = parse_query(br#"{"batchcomplete":true}"#);
    assert_eq!(found, PictureQuery::NoTemplate);
    assert_eq!(original_error(&notes), Some(OriginalError::TypeError));
    for page in [
        r#"{"title":"File:X","missing":true}"#,
        r#"{"title":"File:X","missing":"","pageid":3}"#,
    ] {
        let (found, notes) = parse_query(format!(r#"{{"query":{{"pages":[{page}]}}}}"#).as_bytes());
        assert_eq!(found, PictureQuery::Missing);
        assert_eq!(original_error(&notes), None);
    }
}

#[test]
fn case_49_and_50_where_the_picture_is_looked_for() {
    assert_eq!(commons_domain("en.wikipedia.org"), "commons.wikimedia.org");
    assert_eq!(
        commons_domain("en.wikipedia.beta.wmflabs.org"),
        "commons.wikimedia.beta.wmflabs.org"
    );
    let date = FeedDate::from_ymd(2004, 1, 1).expect("a day");
    assert_eq!(template_title(date), "Template:Potd/2004-01-01");
}

#[test]
fn a_recorded_picture_is_put_together_again() {
    let Some(text) = real("recorded/featured_en_2024-07.json", 1) else {
        return;
    };
    let recorded: serde_json::Value = serde_json::from_str(&text).expect("json");
    let image = &recorded["image"];
    let query = serde_json::json!({"query": {"pages": [{
        "pageid": 1, "title": image["title"],
        "imageinfo": [{
            "thumburl": image["thumbnail"]["source"], "thumbwidth": image["thumbnail"]["width"],
            "thumbheight": image["thumbnail"]["height"], "url": image["image"]["source"],
            "width": image["image"]["width"], "height": image["image"]["height"],
            "descriptionurl": image["file_page"],
            "extmetadata": {
                "Artist": {"value": image["artist"]["html"]},
                "Credit": {"value": image["credit"]["html"]},
                "LicenseShortName": {"value": image["license"]["type"]},
                "LicenseUrl": {"value": image["license"]["url"]},
            },
        }],
    }]}});
    let page = format!(
        "<div class=\"description lang-en\" lang=\"en\">{}</div>",
        image["description"]["html"].as_str().expect("html")
    );
    let entity = serde_json::json!({"entities": {"M": {"id": image["wb_entity_id"], "labels": []}}});
    let built = picture("en.wikipedia.org", &query.to_string(), &page, &entity.to_string());
    assert_eq!(json(&built), image.to_string());
}

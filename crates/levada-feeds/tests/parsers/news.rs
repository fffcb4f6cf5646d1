//! In the news: cases 67 to 74.

use levada_feeds::lang::NewsLang;
use levada_feeds::model::{DbTitle, NewsItem, Siteinfo};
use levada_feeds::note::{Note, NoteKind};
use levada_feeds::parse::{Compat, news};

use crate::material::{fixture, kinds, pretty, rare, real, rules, strs, summary};

const LANGS: [&str; 19] = [
    "test", "bs", "da", "de", "el", "en", "es", "fi", "fr", "he", "ko", "no", "pl", "pt", "ru", "sco", "sv",
    "uk", "vi",
];

fn parse(lang: &str, html: &str, compat: Compat) -> (Vec<NewsItem>, Vec<Note>) {
    let domain = format!("{lang}.wikipedia.org");
    let rules = rules();
    let entry: &NewsLang = rules.news(&domain, &compat).expect(lang);
    news::parse(html, entry, &domain, &Siteinfo::default(), compat)
}

fn both(lang: &str, html: &str) -> [Vec<NewsItem>; 2] {
    [
        parse(lang, html, Compat::FIXED).0,
        parse(lang, html, Compat::WIKIFEEDS).0,
    ]
}

#[test]
fn case_67_the_english_page() {
    let Some(html) = real("html/news/news-site-en.html", 1) else {
        return;
    };
    for stories in both("en", &html) {
        assert_eq!(stories.len(), 4);
        assert_eq!(
            strs(&stories[0].links)[..3],
            ["Zamfara_kidnapping", "Zamfara_State", "Secondary_school"]
        );
    }
}

#[test]
fn case_68_headlines_of_every_real_page() {
    let expected = [
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
        ("he", 4),
        ("pt", 5),
        // Of three headlines each, one and three link only to pages that do not exist.
        ("sco", 2),
        ("test", 0),
        ("uk", 3),
        ("vi", 3),
    ];
    for (lang, count) in expected {
        let Some(html) = rare(&format!("html/news/news-site-{lang}.html")) else {
            continue;
        };
        // One was saved by a browser, which made its links absolute.
        let html = html.replace(&format!("https://{lang}.wikipedia.org/wiki/"), "./");
        for stories in both(lang, &html) {
            assert_eq!(stories.len(), count, "{lang}");
            assert!(stories.iter().all(|story| !story.links.is_empty()), "{lang}");
        }
    }
}

#[test]
fn case_68_every_language_on_its_own_page() {
    for lang in LANGS {
        let html = fixture(&format!("news/{lang}.html"));
        let (stories, notes) = parse(lang, &html, Compat::FIXED);
        let expected = expect_test::expect_file![format!("../../fixtures/news/{lang}.json")];
        expected.assert_eq(&pretty(&(stories, notes)));
    }
}

fn en(items: &str) -> String {
    format!("<html><body><section><ul>{items}</ul></section></body></html>")
}

const LINK: &str = r#"<a rel="mw:WikiLink" href="./A" title="A">a</a>"#;

#[test]
fn case_69_links_are_distinct_and_the_topic_comes_first() {
    let html = en(
        r#"<li><a rel="mw:WikiLink" href="./X">x</a> <a rel="mw:WikiLink" href="./Y">y</a> wins the <b><a rel="mw:WikiLink" href="./100_metres_hurdles#Men">hurdles</a></b> <a rel="mw:WikiLink" href="./X">x</a> <a rel="mw:ExtLink" href="https://e.org">e</a></li>"#,
    );
    for stories in both("en", &html) {
        assert_eq!(strs(&stories[0].links), ["100_metres_hurdles", "X", "Y"]);
    }
}

#[test]
fn case_70_a_story_of_missing_pages_is_dropped() {
    let html = en(&format!(
        r#"<li><a rel="mw:WikiLink" href="./Red" class="new">red</a> news</li><li>{LINK} news</li>"#
    ));
    for stories in both("en", &html) {
        assert_eq!(stories.len(), 1);
        assert_eq!(strs(&stories[0].links), ["A"]);
    }
}

#[test]
fn case_71_floating_images_are_removed() {
    let html = format!(
        r#"<body><ul><li><span style="float:right; margin:1em"><img src="//u/x.png"></span>{LINK} hat <span style="color:red">x</span></li></ul></body>"#
    );
    let [fixed, original] = both("de", &html);
    assert_eq!(
        original[0].story,
        format!(r#"{LINK} hat <span style="color:red">x</span>"#)
    );
    assert_eq!(
        fixed[0].story,
        r#"<a rel="mw:WikiLink" href="https://de.wikipedia.org/wiki/A" title="A">a</a> hat <span style="color:red">x</span>"#
    );
}

#[test]
fn case_72_pictured_goes_and_the_date_comment_stays() {
    let html = en(&format!(
        r#"<li><!--Jul 07--><b id="mwAg">{LINK} <i id="mwAw">(pictured)</i></b> and (<i>pictured too</i>)</li>"#
    ));
    let [fixed, original] = both("en", &html);
    assert_eq!(
        original[0].story,
        format!(r#"<!--Jul 07--><b id="mwAg">{LINK} <i id="mwAw"></i></b> and (<i>pictured too</i>)"#)
    );
    assert_eq!(
        fixed[0].story,
        r#"<!--Jul 07--><b><a rel="mw:WikiLink" href="https://en.wikipedia.org/wiki/A" title="A">a</a></b> and (<i>pictured too</i>)"#
    );
}

#[test]
fn case_73_and_w17_merging_summaries() {
    let item = NewsItem {
        links: ["A", "B", "C"].map(DbTitle::from).to_vec(),
        story: "s".into(),
    };
    assert_eq!(
        crate::material::json(&item.hydrate(&|_| None, true)),
        r#"{"links":[],"story":"s"}"#
    );
    let redirect = |title: &DbTitle| match title.as_str() {
        "A" | "B" => Some(summary("One page")),
        _ => None,
    };
    assert_eq!(item.hydrate(&redirect, true).links.len(), 1);
    assert_eq!(
        item.hydrate(&redirect, false).links.len(),
        2,
        "the original keeps both"
    );
}

#[test]
fn case_74_headlines_without_links_or_text_are_dropped() {
    let html = en(&format!("<li>nothing</li><li></li><li>{LINK}</li>"));
    for stories in both("en", &html) {
        assert_eq!(stories.len(), 1);
    }
    let (_, notes) = parse("en", &html, Compat::FIXED);
    assert_eq!(kinds(&notes), [NoteKind::ItemDropped]);
    assert_eq!((notes[0].count, notes[0].example.as_str()), (2, "nothing"));
}

#[test]
fn w10_and_w11_links_are_decoded_and_files_are_not_articles() {
    let html = en(
        r#"<li><a rel="mw:WikiLink" href="./What%3F">w</a><a rel="mw:WikiLink" href="./File:X.jpg">f</a></li>"#,
    );
    let [fixed, original] = both("en", &html);
    assert_eq!(strs(&fixed[0].links), ["What?"]);
    assert_eq!(strs(&original[0].links), ["What%3F", "File:X.jpg"]);
}

#[test]
fn a_changed_template_is_noted() {
    let (stories, notes) = parse("en", "<body><p>moved</p></body>", Compat::FIXED);
    assert!(stories.is_empty());
    assert_eq!(kinds(&notes), [NoteKind::NothingMatched]);
    assert_eq!(notes[0].example, "section > ul > li");
}

#[test]
fn a_recorded_story_survives_parsing_byte_for_byte() {
    let Some(text) = real("recorded/featured_en_2024-07.json", 1) else {
        return;
    };
    let recorded: serde_json::Value = serde_json::from_str(&text).expect("json");
    for news in recorded["news"].as_array().expect("news") {
        let story = news["story"].as_str().expect("a story");
        let (stories, _) = parse("en", &en(&format!("<li>{story}</li>")), Compat::WIKIFEEDS);
        assert_eq!(stories[0].story, story);
        assert_eq!(
            Some(stories[0].links[0].as_str()),
            news["links"][0]["title"].as_str()
        );
    }
}

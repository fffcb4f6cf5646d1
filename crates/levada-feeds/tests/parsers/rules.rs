//! The tables: cases 15, 21, 35, 66, 77, 93, and changing them without a rebuild.

use levada_feeds::lang::{Rules, RulesError};
use levada_feeds::model::static_hash;
use levada_feeds::parse::Compat;

use crate::material::{json, rules};

#[test]
fn case_15_availability_has_the_known_body() {
    let body = json(rules().availability());
    assert!(body.starts_with(r#"{"todays_featured_article":["bg.wikipedia.org","bn.wikipedia.org""#));
    assert_eq!(static_hash(&body), -34_575_097_082, "{body}");
}

#[test]
fn case_21_configuration_has_the_three_parts() {
    let rules = rules();
    let body: serde_json::Value = serde_json::from_str(rules.configuration_json()).expect("json");
    let keys: Vec<_> = body.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["commonv1", "androidv1", "iosv1"]);
    assert!(!rules.configuration_json().contains([' ', '\n']));
}

#[test]
fn case_35_66_77_and_93_what_is_not_supported() {
    let rules = rules();
    let fixed = Compat::FIXED;
    assert!(rules.news("is.wikipedia.org", &fixed).is_none());
    assert!(rules.on_this_day("nl.wikipedia.org", &fixed).is_none());
    assert!(rules.did_you_know("fr.wikipedia.org").is_none());
    assert!(!rules.most_read_supported("fy.wikipedia.org"));
    assert!(rules.most_read_supported("nl.wikipedia.org"));
    // By the first label alone, a dictionary has news.
    assert!(rules.news("en.wiktionary.org", &fixed).is_none());
    assert!(rules.news("en.wiktionary.org", &Compat::WIKIFEEDS).is_some());
    for label in ["constructor", "__proto__", ""] {
        assert!(
            rules
                .news(&format!("{label}.wikipedia.org"), &Compat::WIKIFEEDS)
                .is_none()
        );
    }
}

#[test]
fn deny_lists_have_the_known_lengths() {
    let rules = rules();
    let counts = ["*", "ru", "pt", "test"].map(|lang| rules.most_read().denied_count(lang));
    assert_eq!(counts, [52, 3, 2, 1]);
    assert!(rules.most_read().denies("en", "XXX_(film_series)"));
    assert!(!rules.most_read().denies("en", "xxx_(film_series)"));
}

#[test]
fn rules_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    shared(&*rules());
}

#[test]
fn a_directory_is_laid_over_entry_by_entry() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
    write(
        "news.toml",
        "remove = [\"fr\"]\n[[language]]\nlang = \"en\"\npage = \"Template:News\"\nheadlines = \".n\"\ntopic = \"b a\"\n\
         [[language]]\nlang = \"own\"\ndomains = [\"wiki.example\"]\npage = \"News\"\nheadlines = \"li\"\ntopic = \"link\"\n",
    );
    write("configuration.json", "{ \"commonv1\": {} }");
    write(".note", "not looked at");
    let rules = Rules::load_dir(dir.path()).expect("loads");
    let fixed = Compat::FIXED;
    assert_eq!(
        rules.news("en.wikipedia.org", &fixed).expect("en").page,
        "Template:News"
    );
    assert_eq!(rules.news("wiki.example", &fixed).expect("own").lang, "own");
    assert!(rules.news("fr.wikipedia.org", &fixed).is_none());
    assert!(rules.news("de.wikipedia.org", &fixed).is_some(), "others stay");
    assert_eq!(rules.configuration_json(), r#"{"commonv1":{}}"#);
    let listed = &rules.availability().in_the_news;
    assert_eq!((listed.len(), listed[5].as_str()), (19, "en.wikipedia.org"));
    assert_eq!(listed.last().map(String::as_str), Some("wiki.example"));
    assert!(!listed.iter().any(|domain| domain.starts_with("fr.")));
}

#[test]
fn mistakes_refuse_the_whole_and_say_where() {
    let refused = |file: &str, text: &str| Rules::from_sources(&[(file, text)]).expect_err(file).to_string();
    assert!(refused("nwes.toml", "").contains("is not a table of the feeds; known are featured.toml"));
    assert!(refused("news.toml", "[[language]]\nlang = 1").starts_with("news.toml: "));
    assert!(
        refused(
            "news.toml",
            "[[language]]\nlang = \"en\"\npage = \"x\"\nheadlines = \">>\"\ntopic = \"bold\""
        )
        .contains("entry \"en\": headlines")
    );
    assert!(refused("configuration.json", "[]").starts_with("configuration.json: "));
    assert!(refused("pictured.toml", "[[language]]\nlang = \"en\"\npattern = \"(\"").contains("pattern"));
    assert!(refused("random.toml", &" ".repeat(2 << 20)).contains("larger than"));
    let missing = Rules::load_dir(std::path::Path::new("no/such/directory"));
    assert!(matches!(missing, Err(RulesError::Io { .. })));
}

#[test]
fn an_item_pattern_must_find_year_and_text() {
    let sources = Rules::embedded_sources();
    let (_, days) = sources
        .iter()
        .find(|(name, _)| *name == "on-this-day.toml")
        .expect("a table");
    let broken = days.replacen(
        "{Y}{s}*(?:(?<era>bce?)|ad|ce)",
        "[0-9]+{s}*(?:(?<era>bce?)|ad|ce)",
        1,
    );
    assert_ne!(*days, broken);
    let error = Rules::from_sources(&[("on-this-day.toml", &broken)]).expect_err("refused");
    assert!(error.to_string().contains("no group \"year\""), "{error}");
}

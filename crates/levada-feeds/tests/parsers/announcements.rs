//! Announcements: cases 18 to 20.

use jiff::Timestamp;
use levada_feeds::lang::Rules;
use levada_feeds::model::{Announcement, static_hash};
use levada_feeds::parse::Compat;
use levada_feeds::parse::announcements::build;

use crate::material::{json, real, rules};

const CAMPAIGN: &str = r#"
[[campaign]]
id_prefix = "Spring27"
type = "fundraising"
start_time = "2027-03-01T00:00:00Z"
end_time = "2027-03-31T23:59:00Z"
active_wikis = ["en.wikipedia.org"]
  [[campaign.item]]
  platforms = ["iOSApp", "iOSAppV2", "AndroidAppV2"]
  suffix = "en"
  countries = ["US", "GB"]
  border = true
  placement = "feed"
  text = "<b>Help&nbsp;us.</b><br/>It matters."
  caption_HTML = "<a href=\"https://example.org/\">Privacy</a>"
  negative_text = "No thanks"
  action = { title = "Donate", url = "https://example.org/donate" }
"#;

fn campaign() -> Rules {
    Rules::from_sources(&[("announcements.toml", CAMPAIGN)]).expect("loads")
}

fn at(time: &str) -> Timestamp {
    time.parse().expect("a time")
}

#[test]
fn case_18_nothing_is_announced_and_the_hash_is_known() {
    let none = build(
        &rules(),
        "en.wikipedia.org",
        at("2026-11-20T00:00:00Z"),
        Compat::FIXED,
    );
    assert_eq!(json(&none), r#"{"announce":[]}"#);
    assert_eq!(static_hash(&json(&none)), 1_230_862_227);
}

#[test]
fn case_19_an_active_campaign() {
    let now = at("2027-03-15T00:00:00Z");
    let found = build(&campaign(), "en.wikipedia.org", now, Compat::FIXED).announce;
    let ids: Vec<_> = found.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["SPRING27IOSEN", "SPRING27IOSV2EN", "SPRING27ANDROIDV2EN"]);
    assert_eq!(
        json(&found[0]),
        r#"{"type":"fundraising","start_time":"2027-03-01T00:00:00Z","end_time":"2027-03-31T23:59:00Z","domain":"en.wikipedia.org","id":"SPRING27IOSEN","platforms":["iOSApp"],"countries":["US","GB"],"border":true,"placement":"feed","text":"Help us.\nIt matters.","caption_HTML":"<p><a href=\"https://example.org/\">Privacy</a></p>","negative_text":"No thanks","action":{"title":"Donate","url":"https://example.org/donate"},"min_version":"5.8.0","max_version":"6.1.0"}"#
    );
    assert_eq!(found[2].text, "<b>Help&nbsp;us.</b><br/>It matters.");
    assert_eq!(found[2].min_version, None);
    let cs = build(&campaign(), "cs.wikipedia.org", now, Compat::FIXED);
    assert!(cs.announce.is_empty());
    let later = build(
        &campaign(),
        "en.wikipedia.org",
        at("2027-04-01T00:00:00Z"),
        Compat::FIXED,
    );
    assert!(later.announce.is_empty());
}

#[test]
fn case_20_a_campaign_is_listed_before_it_starts() {
    let listed = |now: &str, compat| {
        !build(&campaign(), "en.wikipedia.org", at(now), compat)
            .announce
            .is_empty()
    };
    // Within the day for which answers are cached, clients must learn of it.
    assert!(listed("2027-02-28T00:00:00Z", Compat::FIXED));
    assert!(!listed("2027-02-27T23:59:59Z", Compat::FIXED));
    assert!(listed("2020-01-01T00:00:00Z", Compat::WIKIFEEDS));
}

#[test]
fn campaigns_with_mistakes_are_refused_when_they_are_loaded() {
    for (good, bad, says) in [
        ("2027-03-31T23:59:00Z", "soon", "end_time"),
        (
            "2027-03-31T23:59:00Z",
            "2026-03-31T23:59:00Z",
            "earlier than start_time",
        ),
        ("\"fundraising\"", "\"party\"", "type"),
        ("\"feed\"", "\"moon\"", "placement"),
        ("border = true", "boarder = true", "boarder"),
    ] {
        let text = CAMPAIGN.replace(good, bad);
        let error = Rules::from_sources(&[("announcements.toml", &text)]).expect_err(bad);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn recorded_announcements_have_the_shape() {
    let Some(text) = real("recorded/announcements_2016.json", 1) else {
        return;
    };
    let recorded: serde_json::Value = serde_json::from_str(&text).expect("json");
    let mut read = 0;
    for item in recorded["announce"].as_array().expect("announcements") {
        // Some of the recorded ones are wrong on purpose: no dates, unknown types.
        let mut item = item.clone();
        item["domain"] = "en.wikipedia.org".into();
        let Ok(parsed) = serde_json::from_value::<Announcement>(item.clone()) else {
            continue;
        };
        let back = serde_json::to_value(&parsed).expect("json");
        for (key, value) in back.as_object().expect("an object") {
            assert_eq!(item.get(key), Some(value), "{key}");
        }
        read += 1;
    }
    assert!(read >= 3, "{read}");
}

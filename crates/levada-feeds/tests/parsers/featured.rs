//! Today's featured article: cases 22 to 28 and 35 to 37.

use levada_feeds::date::FeedDate;
use levada_feeds::model::{DbTitle, Siteinfo};
use levada_feeds::note::NoteKind;
use levada_feeds::parse::featured::{page_images, parse};

use crate::material::{kinds, rules, site, summary};

fn title(body: &str) -> (Option<String>, Vec<NoteKind>) {
    let html = format!("<html><body><div id=\"mw-content-text\">{body}</div></body></html>");
    let (title, notes) = parse(&html, &Siteinfo::default());
    (title.map(|title| title.to_string()), kinds(&notes))
}

#[test]
fn case_22_and_23_the_first_bold_link() {
    let link = r#"<a href="/wiki/X" title="X y">x</a>"#;
    let inner = r#"<a href="/wiki/X" title="X y"><b>x</b></a>"#;
    let plain = r#"<a href="/wiki/P" title="P">p</a>"#;
    assert_eq!(
        title(&format!("{plain}<b>{link}</b>")),
        (Some("X_y".into()), vec![])
    );
    assert_eq!(title(&format!("{plain}{inner}")), (Some("X_y".into()), vec![]));
    let other = r#"<b><a title="Later">l</a></b>"#;
    assert_eq!(title(&format!("<p>{inner}</p>{other}")).0.as_deref(), Some("X_y"));
    assert_eq!(
        title(&format!("<p>{other}</p>{inner}")).0.as_deref(),
        Some("Later")
    );
}

#[test]
fn case_22_the_summary_on_the_wire() {
    let summary = summary("Statue of Liberty");
    assert_eq!(summary.title().as_str(), "Statue_of_Liberty");
    assert!(
        summary
            .as_json()
            .ends_with(r#""normalizedtitle":"Statue of Liberty"}"#)
    );
}

#[test]
fn case_24_and_25_no_bold_link_no_content_no_title() {
    assert_eq!(
        title("<b>x</b> <a title=\"y\">y</a>"),
        (None, vec![NoteKind::NothingMatched])
    );
    let (none, notes) = parse("<b><a title=\"X\">x</a></b>", &Siteinfo::default());
    assert_eq!((none, kinds(&notes)), (None, vec![NoteKind::ContainerMissing]));
    assert_eq!(
        title("<b><a href=\"/x\">x</a></b>"),
        (None, vec![NoteKind::ItemDropped])
    );
    assert_eq!(
        title("<b><a title=\"a|b\">x</a></b>"),
        (None, vec![NoteKind::TitleInvalid])
    );
}

#[test]
fn titles_follow_the_rules_of_the_wiki() {
    let html = "<div id=mw-content-text><b><a title='benutzer: x'>x</a></b></div>";
    let (title, _) = parse(html, &site("de", &[(2, "Benutzer")]));
    assert_eq!(title, Some(DbTitle::from("Benutzer:X")));
}

#[test]
fn case_26_and_27_page_images_are_both_or_none() {
    let body = |page: &str| format!(r#"{{"query":{{"pages":[{page}]}}}}"#);
    let both = body(
        r#"{"title":"X","thumbnail":{"source":"http://u/960px-x.jpg","width":960,"height":500},"original":{"source":"https://u/x.jpg","width":2000,"height":1000}}"#,
    );
    let images = page_images(both.as_bytes()).expect("images");
    assert_eq!(images.thumbnail.source, "https://u/960px-x.jpg");
    let with = summary("X").with_images(&images);
    assert!(
        with.as_json()
            .contains(r#""thumbnail":{"source":"https://u/960px-x.jpg","width":960,"height":500}"#)
    );
    let thumb = body(r#"{"thumbnail":{"source":"x","width":1,"height":1}}"#);
    for body in [thumb.as_str(), &body("{}"), r#"{"query":{}}"#, "{}", "<html>", ""] {
        assert_eq!(page_images(body.as_bytes()), None, "{body}");
    }
}

#[test]
fn case_35_where_there_is_a_featured_article() {
    let rules = rules();
    for domain in ["en.wikipedia.org", "sco.wikipedia.org", "EN.wikipedia.org"] {
        assert!(rules.featured(domain).is_some(), "{domain}");
    }
    for domain in [
        "is.wikipedia.org",
        "en.wiktionary.org",
        "en.wikipedia.beta.wmflabs.org",
        "en",
    ] {
        assert!(rules.featured(domain).is_none(), "{domain}");
    }
}

#[test]
fn case_36_the_german_window() {
    let rules = rules();
    let today = FeedDate::from_ymd(2026, 11, 20).expect("a day");
    let open = |domain: &str, days| {
        rules
            .featured(domain)
            .expect(domain)
            .in_window(today.plus_days(days), today)
    };
    let de: Vec<bool> = [-4, -3, 0, 1].map(|days| open("de.wikipedia.org", days)).into();
    assert_eq!(de, [false, true, true, false]);
    assert!(open("en.wikipedia.org", -3000) && open("en.wikipedia.org", 300));
}

#[test]
fn case_37_the_special_page() {
    let rules = rules();
    let date = FeedDate::from_ymd(2016, 4, 29).expect("a day");
    let special =
        |domain: &str, site: &Siteinfo| rules.featured(domain).expect(domain).feed_item_title(site, date);
    assert_eq!(
        special("en.wikipedia.org", &Siteinfo::default()),
        "Special:FeedItem/featured/20160429000000/en"
    );
    let no = site("no", &[(-1, "Spesial")]);
    assert_eq!(
        special("no.wikipedia.org", &no),
        "Spesial:FeedItem/featured/20160429000000/nb"
    );
    let mut vi = site("vi", &[(-1, "Đặc biệt")]);
    vi.feed_item_alias = "Mục".into();
    assert_eq!(
        special("vi.wikipedia.org", &vi),
        "Đặc_biệt:Mục/featured/20160429000000/vi"
    );
}

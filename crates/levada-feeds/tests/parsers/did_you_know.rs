//! Did you know: cases 78 to 80.

use levada_feeds::model::DykItem;
use levada_feeds::note::Note;
use levada_feeds::parse::{Compat, did_you_know};

use crate::material::{fixture, pretty, rules};

const LANGS: [&str; 7] = ["ar", "de", "en", "hi", "pt", "ru", "uk"];

fn parse(lang: &str, html: &str, compat: Compat) -> (Vec<DykItem>, Vec<Note>) {
    let domain = format!("{lang}.wikipedia.org");
    let rules = rules();
    did_you_know::parse(html, rules.did_you_know(&domain).expect(lang), &domain, compat)
}

#[test]
fn case_78_every_language_on_its_own_page() {
    for lang in LANGS {
        let html = fixture(&format!("did-you-know/{lang}.html"));
        let found = parse(lang, &html, Compat::FIXED);
        let expected = expect_test::expect_file![format!("../../fixtures/did-you-know/{lang}.json")];
        expected.assert_eq(&pretty(&found));
    }
}

#[test]
fn case_78_items_have_absolute_links_and_no_pictured() {
    let html = r#"<body><section><ul><li>... that <b><a rel="mw:WikiLink" href="./A" id="mwBg">A &amp; B</a></b> <i>(pictured)</i> ran?</li></ul></section></body>"#;
    let (fixed, _) = parse("en", html, Compat::FIXED);
    assert_eq!(
        fixed,
        [DykItem {
            html: r#"... that <b><a rel="mw:WikiLink" href="https://en.wikipedia.org/wiki/A">A &amp; B</a></b> ran?"#.into(),
            text: "... that A & B ran?".into(),
        }]
    );
    let (original, _) = parse("en", html, Compat::WIKIFEEDS);
    assert_eq!(
        original[0].html,
        r#"... that <b><a rel="mw:WikiLink" href="https://en.wikipedia.org/wiki/A" id="mwBg">A &amp; B</a></b> <i></i> ran?"#
    );
    assert_eq!(original[0].text, "... that A & B ran?");
}

#[test]
fn case_79_portuguese_items_are_paragraphs() {
    let html = r#"<body><section><p>... um?</p><p class="mw-empty-elt"></p><p>... dois (imagem)?</p></section></body>"#;
    for compat in [Compat::FIXED, Compat::WIKIFEEDS] {
        let (items, _) = parse("pt", html, compat);
        let texts: Vec<_> = items.iter().map(|item| item.text.as_str()).collect();
        assert_eq!(texts, ["... um?", "... dois?"]);
    }
}

#[test]
fn case_80_links_of_all_kinds() {
    let html = r##"<body><section><ul><li><a href="//x.org/y">y</a><a href="/wiki/Z">z</a><a href="#s">s</a></li></ul></section></body>"##;
    let (fixed, _) = parse("en", html, Compat::FIXED);
    assert_eq!(
        fixed[0].html,
        r#"<a href="https://x.org/y">y</a><a href="https://en.wikipedia.org/wiki/Z">z</a><a href="https://en.wikipedia.org/wiki/Template:Did_you_know#s">s</a>"#
    );
    let (original, _) = parse("en", html, Compat::WIKIFEEDS);
    assert_eq!(
        original[0].html,
        r#"<a href="https://en.wikipedia.org/wiki///x.org/y">y</a><a href="https://en.wikipedia.org/wiki//wiki/Z">z</a><a href="https://en.wikipedia.org/wiki/#s">s</a>"#
    );
}

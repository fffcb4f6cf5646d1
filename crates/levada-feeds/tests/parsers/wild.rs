//! No parser fails or panics on anything, and every one ends.

use levada_feeds::model::{PictureEntity, PictureFile, PictureText, Siteinfo, Summary};
use levada_feeds::parse::{
    Compat, did_you_know, featured, most_read, news, on_this_day, picture, random, title,
};
use proptest::prelude::*;

use crate::material::{fixture, rules, shared};

/// Reads a page with every parser of HTML, in every language.
fn read_everything(html: &str) {
    let rules = rules();
    let site = Siteinfo::default();
    for compat in [Compat::FIXED, Compat::WIKIFEEDS] {
        for domain in rules.availability().in_the_news.iter() {
            let entry = rules.news(domain, &compat).expect("listed");
            for story in news::parse(html, entry, domain, &site, compat).0 {
                assert!(!story.links.is_empty() && !story.story.is_empty());
            }
        }
        for domain in rules.availability().did_you_know.iter() {
            let entry = rules.did_you_know(domain).expect("listed");
            did_you_know::parse(html, entry, domain, compat);
        }
        for domain in rules.availability().on_this_day.iter() {
            let entry = rules.on_this_day(domain, &compat).expect("listed");
            let (day, _) = on_this_day::parse_day(html, entry, &site, compat);
            assert!(day.events.is_sorted_by_key(|event| std::cmp::Reverse(event.year)));
            on_this_day::parse_selected(html, entry, &site, compat);
        }
    }
    featured::parse(html, &site);
    let (texts, _) = picture::parse_descriptions(html);
    picture::assemble(
        "en.wikipedia.org",
        &PictureFile::default(),
        &texts,
        &PictureEntity::default(),
    );
}

/// Reads a body with every parser of JSON.
fn read_every_answer(body: &[u8]) {
    let (rules, site) = (rules(), Siteinfo::default());
    featured::page_images(body);
    if let picture::PictureQuery::Found(file) = picture::parse_query(body).0 {
        let entity = picture::parse_entity(body).0;
        picture::assemble("x", &file, &PictureText::default(), &entity);
    }
    picture::parse_entity(body);
    if let Some(top) = most_read::parse_top(body).0 {
        most_read::select(&top, &rules, &site);
    }
    most_read::parse_history(body);
    random::choose(&random::parse(body, &rules, &site, Compat::FIXED).0, 7);
    let _ = Siteinfo::from_json(body);
    let _ = Summary::from_json(body);
}

/// Pieces that pages are made of, as well as pieces that they should not be made of.
fn piece() -> impl Strategy<Value = String> {
    let tags = [
        "<ul>",
        "</ul>",
        "<li>",
        "</li>",
        "<section>",
        "</section>",
        "<div>",
        "</div>",
        "<p>",
        "<b>",
        "</b>",
        "<a>",
        "</a>",
        "<i>",
        "<table>",
        "<tr>",
        "<td>",
        "<dl>",
        "<dt>",
        "<svg>",
        "<math>",
        "<template>",
        "</template>",
        "<style>",
        "</style>",
        "<script>",
        "<select>",
        "<h2 id=\"Events\">",
        "<h2 id=\"Births\">",
        "<h2 id=\"大事记\">",
        "</h2>",
        "<br>",
        "<!--",
        "-->",
        "<a rel=\"mw:WikiLink\" href=\"./A%3F#b\" title=\"1900\">",
        "<a href>",
        "<a href=\"\">",
        "<a rel=\"mw:WikiLink\" href=\"./%FF%00\">",
        "<sup class=\"reference\">",
        "<li",
        "<span style=\"float:right\">",
        "<div class=\"event\">",
        "<div class=\"itn-story\">",
        "<div id=\"mw-content-text\">",
        "<div class=\"description lang-en\" lang=\"en\">",
        "<plaintext>",
        "<frameset>",
        "<body>",
        "</body>",
        "</html>",
        "<pre>\n",
        "<textarea>",
    ];
    let words = [
        "1900 – x",
        "58 BC – y",
        "44 v. Chr.: z",
        "前753年：",
        "(pictured)",
        "(Bild)",
        "\n",
        "[1]",
        "99999999999999999999 - x",
        "&nbsp;",
        "&",
        "&#0;",
        "\u{0}",
        "\u{FFFD}",
        "\u{202E}",
        "é",
    ];
    prop_oneof![
        4 => prop::sample::select(tags.to_vec()).prop_map(str::to_owned),
        2 => prop::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

/// How often each property is tried: `$PROPTEST_CASES`, else few enough for every day.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(32)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_html_is_read_without_panic(pieces in prop::collection::vec(piece(), 0..60)) {
        read_everything(&pieces.concat());
    }

    #[test]
    fn truncated_pages_are_read_without_panic(which in 0..6_usize, share in 0.0..1.0_f64) {
        let names = ["news/en.html", "on-this-day/en.html", "on-this-day/zh.html",
            "on-this-day/zh-selected.html", "did-you-know/en.html", "news/es.html"];
        let html = fixture(names[which]);
        let end = html.floor_char_boundary((html.len() as f64 * share) as usize);
        read_everything(&html[..end]);
    }

    #[test]
    fn arbitrary_bodies_are_read_without_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        read_every_answer(&body);
    }

    #[test]
    fn arbitrary_titles_are_normalised_or_refused(text in any::<String>()) {
        let site = Siteinfo::default();
        if let Ok(once) = title::normalize(&text, &site) {
            // What was accepted once is accepted again, and is the same.
            prop_assert_eq!(title::normalize(once.db.as_str(), &site), Ok(once));
        }
    }
}

/// Pages on which a careless reader takes time or memory in the square of their length.
#[test]
fn hostile_pages_cost_in_proportion_to_their_length() {
    let heading = "<h2 id=\"Events\">Events</h2>";
    let words = "one two three ".repeat(5_000);
    let leaves = "<li>1900 – x</li>".repeat(1_000);
    let pages = [
        ("nested", "<div>".repeat(20_000)),
        (
            "nested lists",
            format!("{heading}{}", "<ul><li>1900 – x".repeat(10_000)),
        ),
        (
            "a long line above",
            format!("{heading}<ul><li>{words}<ul>{leaves}</ul></li></ul>"),
        ),
        (
            "many lists below a line",
            format!(
                "{heading}<ul><li>{words}{}</li></ul>",
                "<ul><li>1900 – x</li></ul>".repeat(1_000)
            ),
        ),
        (
            "text at the bottom",
            format!(
                "{heading}<ul>{}<li>1900 – {words}",
                "<li>1900 – x<ol>".repeat(200)
            ),
        ),
        (
            "siblings",
            format!(
                "<div></div><div><div>{}</div></div>",
                "<ul><li><a rel=\"mw:WikiLink\" href=\"./A\">a</a></li></ul>".repeat(1_000)
            ),
        ),
        (
            "tables",
            format!(
                "<table></table><table>{}</table>",
                "<div><ul><li>x</li></ul></div>".repeat(1_000)
            ),
        ),
    ];
    let (rules, site, compat) = (rules(), Siteinfo::default(), Compat::FIXED);
    for (name, html) in pages {
        let began = std::time::Instant::now();
        for domain in [
            "en.wikipedia.org",
            "es.wikipedia.org",
            "pt.wikipedia.org",
            "pl.wikipedia.org",
        ] {
            let entry = rules.news(domain, &compat).expect("listed");
            let (stories, _) = news::parse(&html, entry, domain, &site, compat);
            let bytes: usize = stories.iter().map(|story| story.story.len()).sum();
            assert!(
                bytes <= news::MAX_STORIES * news::MAX_STORY_BYTES,
                "{name}: {bytes}"
            );
        }
        let entry = rules.did_you_know("en.wikipedia.org").expect("listed");
        did_you_know::parse(&html, entry, "en.wikipedia.org", compat);
        let entry = rules.on_this_day("en.wikipedia.org", &compat).expect("listed");
        let (day, _) = on_this_day::parse_day(&html, entry, &site, compat);
        let bytes: usize = day.events.iter().map(|event| event.text.len()).sum();
        assert!(
            bytes <= 16 * html.len() + (4 << 20),
            "{name}: {bytes} bytes of {}",
            html.len()
        );
        on_this_day::parse_selected(&html, entry, &site, compat);
        featured::parse(&html, &site);
        picture::parse_descriptions(&html);
        // Built without optimisation it takes about a second.
        let took = began.elapsed();
        println!("{name}: {took:?} for {} bytes", html.len());
        assert!(took < std::time::Duration::from_secs(60), "{name}: {took:?}");
    }
}

/// JSON of every kind in every place that the parsers look at.
#[test]
fn answers_of_the_wrong_types_are_read_without_panic() {
    let values = [
        "null",
        "[]",
        "{}",
        "7",
        "-1",
        "\"x\"",
        "[null]",
        "[7]",
        "{\"a\":null}",
        "true",
    ];
    let places = [
        r#"{"query":@}"#,
        r#"{"query":{"pages":@,"general":@}}"#,
        r#"{"query":{"pages":[@]}}"#,
        r#"{"query":{"pages":[{"pageid":1,"title":"File:X","imageinfo":@,"thumbnail":@,"original":@}]}}"#,
        r#"{"query":{"pages":[{"pageid":1,"title":"X","imageinfo":[{"extmetadata":@,"url":@,"width":@}],"pageprops":@,"description":@}]}}"#,
        r#"{"query":{"pages":[{"pageid":1,"title":"X","imageinfo":[{"extmetadata":{"Artist":@,"Credit":{"value":@},"License":{"value":{"en":@}}}}]}]}}"#,
        r#"{"entities":@}"#,
        r#"{"entities":{"M":@}}"#,
        r#"{"entities":{"M":{"id":@,"labels":@}}}"#,
        r#"{"entities":{"M":{"labels":{"en":@}}}}"#,
        r#"{"items":@}"#,
        r#"{"items":[{"year":@,"month":@,"day":@,"articles":@}]}"#,
        r#"{"items":[{"year":@,"month":"1","day":"1","articles":[@,{"article":@,"views":@,"rank":@}]}]}"#,
        r#"{"items":[{"timestamp":@,"views":@}]}"#,
        r#"{"items":[{"timestamp":"2016é","views":1}]}"#,
        r#"{"query":{"general":{"lang":"x","legaltitlechars":@},"namespaces":@,"namespacealiases":@,"specialpagealiases":@,"languagevariants":@}}"#,
        r#"{"query":{"general":{"lang":"x"},"namespaces":{"1":@},"namespacealiases":[@],"specialpagealiases":[@,{"realname":"FeedItem","aliases":@}]}}"#,
        r#"{"title":@,"titles":@,"namespace":@}"#,
        r#"{"title":"x","titles":{"canonical":@},"namespace":{"id":@}}"#,
    ];
    for place in places {
        for value in values {
            read_every_answer(place.replace('@', value).as_bytes());
        }
    }
}

/// Lists in lists, links in links: the tree is deep, the stack and the time are not.
#[test]
fn deep_pages_end() {
    let depth = 3_000;
    for open in [
        "<ul><li>1900 – x",
        "<div>",
        "<b>",
        "<a href=\"./A\">",
        "<span class=\"event\">",
    ] {
        let html = format!("<body><h2 id=\"Events\">e</h2><section>{}", open.repeat(depth));
        let rules = rules();
        let site = Siteinfo::default();
        for compat in [Compat::FIXED, Compat::WIKIFEEDS] {
            let en = rules.on_this_day("en.wikipedia.org", &compat).expect("en");
            let (day, _) = on_this_day::parse_day(&html, en, &site, compat);
            assert!(day.events.len() <= 1);
            let entry = rules.news("en.wikipedia.org", &compat).expect("en");
            news::parse(&html, entry, "en.wikipedia.org", &site, compat);
        }
    }
}

/// Deep pages on a stack as small as those of the threads that the service parses on.
#[test]
fn the_deepest_page_ends() {
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let read = || {
        let rules = rules();
        let site = Siteinfo::default();
        for (open, times) in [("<div>", 3_000), ("<ul><li>", 1_500), ("<svg><g>", 1_500)] {
            let html = format!(
                "<body><section><ul><li>{}1900 - x <a rel=\"mw:WikiLink\" href=\"./A\">a</a>",
                open.repeat(times)
            );
            let entry = rules.did_you_know("en.wikipedia.org").expect("en");
            did_you_know::parse(&html, entry, "en.wikipedia.org", Compat::FIXED);
            featured::parse(&html, &site);
            picture::parse_descriptions(&html);
        }
    };
    thread.spawn(read).expect("a thread").join().expect("no panic");
}

/// Every real page with the rules of every language.
#[test]
fn real_pages_are_read_with_foreign_rules() {
    let Some(root) = shared() else {
        println!("skipped 7 cases: no real material");
        return;
    };
    for folder in ["html/news", "html/onthisday"] {
        let mut read = 0;
        for item in std::fs::read_dir(root.join(folder)).expect(folder) {
            let path = item.expect("an entry").path();
            let html = std::fs::read_to_string(&path).expect("a page");
            if html.len() < 11_000 {
                read_everything(&html);
                read += 1;
            }
        }
        assert!(read > 0, "{folder}");
    }
}

//! On this day: cases 81 to 91 and 96 to 98.

use levada_feeds::date::MonthDay;
use levada_feeds::model::{DayEvent, DayPage, DbTitle, Siteinfo};
use levada_feeds::note::{Note, NoteKind, OriginalError, original_error};
use levada_feeds::parse::{Compat, on_this_day};

use crate::material::{fixture, kinds, pretty, rare, real, rules, strs, summary};

const LANGS: [&str; 14] = [
    "en", "de", "fr", "sv", "pt", "ru", "es", "ar", "bs", "uk", "it", "tr", "zh", "cs",
];

fn day(lang: &str, html: &str, compat: Compat) -> (DayPage, Vec<Note>) {
    let rules = rules();
    let entry = rules
        .on_this_day(&format!("{lang}.wikipedia.org"), &compat)
        .expect(lang);
    on_this_day::parse_day(html, entry, &Siteinfo::default(), compat)
}

fn selected(lang: &str, html: &str, compat: Compat) -> (Vec<DayEvent>, Vec<Note>) {
    let rules = rules();
    let entry = rules
        .on_this_day(&format!("{lang}.wikipedia.org"), &compat)
        .expect(lang);
    on_this_day::parse_selected(html, entry, &Siteinfo::default(), compat)
}

/// The events of a page whose list of events has these items.
fn events(lang: &str, heading: &str, items: &str, compat: Compat) -> Vec<DayEvent> {
    let html = format!("<body><h2 id=\"{heading}\">x</h2><ul>{items}</ul></body>");
    day(lang, &html, compat).0.events
}

fn en(items: &str) -> Vec<DayEvent> {
    events("en", "Events", items, Compat::FIXED)
}

fn en_original(items: &str) -> Vec<DayEvent> {
    events("en", "Events", items, Compat::WIKIFEEDS)
}

fn short(events: &[DayEvent]) -> Vec<(i64, &str)> {
    events
        .iter()
        .map(|event| (event.year.expect("a year"), event.text.as_str()))
        .collect()
}

#[test]
fn case_81_and_82_items_of_real_pages() {
    for (page, expected) in [
        ("en.December_1.html", [203, 99, 41, 23]),
        ("de.1._Dezember.html", [188, 101, 80, 5]),
        ("bs.1._januar.html", [28, 8, 49, 3]),
    ] {
        let Some(html) = rare(&format!("html/onthisday/{page}")) else {
            continue;
        };
        for compat in [Compat::FIXED, Compat::WIKIFEEDS] {
            let (day, _) = day(&page[..2], &html, compat);
            let counts = [
                day.births.len(),
                day.deaths.len(),
                day.events.len(),
                day.holidays.len(),
            ];
            let mut expected = expected;
            if page.starts_with("bs") && compat == Compat::FIXED {
                // "45. p. n. e – …", with a stop after the year that the original does not know there.
                expected[2] += 1;
                assert_eq!(day.events.last().and_then(|event| event.year), Some(-45));
            }
            assert_eq!(counts, expected, "{page}");
            for list in [&day.births, &day.deaths, &day.events] {
                assert!(
                    list.iter()
                        .all(|event| event.year.is_some() && !event.text.is_empty())
                );
                assert!(list.windows(2).all(|pair| pair[0].year >= pair[1].year));
            }
            assert!(day.holidays.iter().all(|event| event.year.is_none()));
        }
    }
    let Some(html) = real("html/onthisday/sv.Augusti_25.html", 1) else {
        return;
    };
    assert_eq!(day("sv", &html, Compat::WIKIFEEDS).0.deaths.len(), 39);
}

#[test]
fn case_83_nested_holidays_of_a_real_page() {
    let Some(html) = real("html/onthisday/en.December_1.html", 1) else {
        return;
    };
    let (day, _) = day("en", &html, Compat::FIXED);
    let saint = day
        .holidays
        .iter()
        .find(|holiday| holiday.text.contains("Bruna Pellesi"));
    assert_eq!(
        saint.expect("a holiday").text,
        "Christian feast day:\nBlessed Bruna Pellesi"
    );
}

#[test]
fn case_81_to_91_every_language_on_its_own_pages() {
    for lang in LANGS {
        let page = day(lang, &fixture(&format!("on-this-day/{lang}.html")), Compat::FIXED);
        let expected = expect_test::expect_file![format!("../../fixtures/on-this-day/{lang}.json")];
        expected.assert_eq(&pretty(&page));
        let chosen = selected(
            lang,
            &fixture(&format!("on-this-day/{lang}-selected.html")),
            Compat::FIXED,
        );
        let name = format!("../../fixtures/on-this-day/{lang}-selected.json");
        expect_test::expect_file![name].assert_eq(&pretty(&chosen));
    }
}

#[test]
fn case_83_a_line_above_is_part_of_a_holiday() {
    let html = r#"<body><h2 id="Holidays_and_observances">H</h2><ul><li>Christian <a href="./Feast">feast</a> day:
        <ul><li><a href="./B">Blessed B</a></li><li>C [1]</li></ul></li><li>D</li></ul></body>"#;
    for compat in [Compat::FIXED, Compat::WIKIFEEDS] {
        let (page, _) = day("en", html, compat);
        let texts: Vec<_> = page.holidays.iter().map(|event| event.text.as_str()).collect();
        assert_eq!(
            texts,
            ["Christian feast day:\nBlessed B", "Christian feast day:\nC", "D"]
        );
        assert_eq!(
            strs(&page.holidays[0].pages),
            ["B"],
            "links above are not the item's"
        );
    }
}

#[test]
fn case_84_items_nested_under_a_year() {
    let items = "<li>1992:\n<ul><li>This <b>happened</b>.</li><li>That.</li></ul></li>";
    for events in [en(items), en_original(items)] {
        assert_eq!(short(&events), [(1992, "This happened."), (1992, "That.")]);
    }
    let items = "<li><a href=\"./58_BC\">58 BC</a>\n<ul><li>Then.</li></ul></li>";
    assert_eq!(short(&en(items)), [(-58, "Then.")]);
    assert_eq!(short(&en_original(items)), []);
    let items = "<li>1992 год\n<ul><li>Так.</li></ul></li>";
    assert_eq!(
        short(&events("ru", "События", items, Compat::WIKIFEEDS)),
        [(1992, "Так.")]
    );
}

#[test]
fn case_84_lines_above_are_read_from_the_outside_in() {
    let items = "<li>1992\n<ul><li>War\n<ul><li>It ended.</li></ul></li><li>Peace.</li></ul></li>";
    assert_eq!(short(&en(items)), [(1992, "War\nIt ended."), (1992, "Peace.")]);
    assert_eq!(short(&en_original(items)), [(1992, "War"), (1992, "Peace.")]);
}

#[test]
fn w18_items_nested_under_a_text_keep_theirs() {
    let items = "<li>1900 – two\n<ul><li>first</li><li>second\nmore</li></ul></li>";
    assert_eq!(short(&en(items)), [(1900, "two\nfirst"), (1900, "two\nsecond")]);
    assert_eq!(short(&en_original(items)), [(1900, "two"), (1900, "two")]);
    let items = "<li>Battles\n<ul><li>1900 – one</li><li>1901 – other</li></ul></li>";
    assert_eq!(short(&en(items)), [(1901, "other"), (1900, "one")]);
    assert_eq!(short(&en_original(items)), []);
}

#[test]
fn case_85_before_the_common_era() {
    let item =
        r#"<li><a href="./58_BC" title="58 BC">58 BC</a> – <a href="./Livia" title="Livia">Livia</a></li>"#;
    for events in [en(item), en_original(item)] {
        assert_eq!(short(&events), [(-58, "Livia")]);
        assert_eq!(strs(&events[0].pages), ["Livia"]);
    }
}

#[test]
fn case_86_and_87_what_is_an_item() {
    let good =
        "<li>AD 33 – x</li><li>44 CE – x</li><li>516 BCE - x</li><li> 7 — x</li><li>8\u{a0}−x[2][33]</li>";
    for events in [en(good), en_original(good)] {
        assert_eq!(
            short(&events),
            [(44, "x"), (33, "x"), (8, "x"), (7, "x"), (-516, "x")]
        );
    }
    let bad = "<li>23 BCX – x</li><li>XX – x</li><li>1969 –</li><li>1969 x</li><li></li><li>99999999999999999999 - x</li>";
    assert_eq!(short(&en(bad)), []);
    assert_eq!(short(&en_original(bad)), []);
}

#[test]
fn case_88_items_of_a_year_keep_their_order() {
    let items = "<li>1900 – a</li><li>1950 – b</li><li>1900 – c</li><li>1950 – d</li>";
    assert_eq!(
        short(&en(items)),
        [(1950, "b"), (1950, "d"), (1900, "a"), (1900, "c")]
    );
}

#[test]
fn case_89_and_91_which_links_are_pages() {
    let item = r##"<li>1900 – <a href="./A">a</a> <a href="./Red" class="new">r</a> <a href="https://x.org/">w</a>
        <sup class="mw-ref reference"><a href="./Day#cite_note-1"><span>[1]</span></a></sup>
        <sup class="reference"><span><a href="./Note">n</a></span></sup> <i class="reference"><u><s><a href="./Deep">d</a></s></u></i>
        <a href="//x.org/y">p</a> <a href="#z">z</a> <a href="./File:F.jpg">f</a> <a href="./A#b">again</a></li>"##;
    assert_eq!(
        strs(&en(item)[0].pages),
        ["A", "Deep"],
        "reference counts for two levels"
    );
    // The original asks for these too; a lookup that fails removes them later.
    assert_eq!(
        strs(&en_original(item)[0].pages),
        ["A", "Deep", "//x.org/y", "File:F.jpg"]
    );
    let event = DayEvent {
        text: "t".into(),
        pages: vec!["A".into(), "B".into()],
        year: Some(1),
    };
    let redirect = |_: &DbTitle| Some(summary("One page"));
    assert_eq!(event.hydrate(&redirect).pages.len(), 1);
}

#[test]
fn case_90_style_sheets_are_not_text() {
    let item = "<li>1900 – <style>.a{color:red}</style>x</li>";
    for events in [en(item), en_original(item)] {
        assert_eq!(short(&events), [(1900, "x")]);
    }
    let html = format!("<body><ul>{item}</ul></body>");
    assert_eq!(short(&selected("en", &html, Compat::FIXED).0), [(1900, "x")]);
    let (original, _) = selected("en", &html, Compat::WIKIFEEDS);
    assert_eq!(short(&original), [(1900, ".a{color:red}x")]);
}

#[test]
fn w9_an_anchor_without_target_costs_the_link_only() {
    let html = "<body><h2 id=\"Events\">e</h2><ul><li>1900 – <a>x</a> <a href=\"./B\">b</a></li></ul></body>";
    let (page, notes) = day("en", html, Compat::FIXED);
    assert_eq!(strs(&page.events[0].pages), ["B"]);
    assert_eq!(original_error(&notes), Some(OriginalError::TypeError));
}

#[test]
fn case_96_years_before_the_common_era_by_language() {
    let check = |lang: &str, heading: &str, line: &str, year: i64| {
        let found = events(lang, heading, &format!("<li>{line}</li>"), Compat::FIXED);
        assert_eq!(short(&found), [(year, "x")], "{lang}: {line}");
    };
    check("de", "Ereignisse", "44 v. Chr.: x", -44);
    check("de", "Ereignisse", "1944: x", 1944);
    check("fr", "Événements", "44 av. J.-C. : x", -44);
    check("fr", "Événements", "1944 : x", 1944);
    check("sv", "Händelser", "44 f.Kr. – x", -44);
    check("ru", "События", "44 до н. э. — x", -44);
    check("ru", "События", "1944 год — x", 1944);
    check("uk", "Події", "44 до н. е. — x", -44);
    check("uk", "Події", "1944 рік — x", 1944);
    check("es", "Acontecimientos", "44 a. C.: x", -44);
    check("es", "Acontecimientos", "1944.: x", 1944);
    check("pt", "Eventos", "44 a.C. — x", -44);
    check("it", "Eventi", "44 a.C. - x", -44);
    check("ar", "أحداث", "44 ق.م - x", -44);
    check("zh", "大事记", "前44年：x", -44);
    check("zh", "大事记", "1944年：x", 1944);
    check("bs", "Događaji", "44 p. n. e. – x", -44);
    check("bs", "Događaji", "1944. – x", 1944);
    check("tr", "Olaylar", "44 MÖ - x", -44);
    check("tr", "Olaylar", "MÖ 44 - x", -44);
    check("tr", "Olaylar", "1944 yılı - x", 1944);
    check("cs", "Události", "44 př. n. l. – x", -44);
    check("cs", "Události", "44 n. l. – x", 44);
    check("cs", "Události", "1944 – x", 1944);
}

#[test]
fn w19_the_original_gets_some_languages_wrong() {
    let check = |lang: &str, heading: &str, line: &str, expected: &[(i64, &str)]| {
        let found = events(lang, heading, &format!("<li>{line}</li>"), Compat::WIKIFEEDS);
        assert_eq!(short(&found), expected, "{lang}: {line}");
    };
    check("cs", "Události", "př.n.l. 44 – x", &[(44, "x")]);
    check("cs", "Události", "44 n.l. – x", &[(-44, "x")]);
    check("tr", "Olaylar", "1944 yılı - x", &[]);
    check("bs", "Događaji", "44 p. n. e. – x", &[]);
    check("zh", "大事记", "1944年：x\ny", &[]);
    let lines = events("zh", "大事记", "<li>1944年：x\ny</li>", Compat::FIXED);
    assert_eq!(short(&lines), [(1944, "x\ny")]);
}

#[test]
fn w19_links_to_the_year_are_not_pages() {
    let check = |lang: &str, heading: &str, title: &str, line: &str, fixed: &[&str], original: &[&str]| {
        let item = format!(
            "<li>{}</li>",
            line.replace('@', &format!("<a href=\"./{title}\" title=\"{title}\">"))
                .replace('|', "</a>")
        );
        let pages = |compat| {
            let events = events(lang, heading, &item, compat);
            strs(&events[0].pages)
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(pages(Compat::FIXED), fixed, "{lang}");
        assert_eq!(pages(Compat::WIKIFEEDS), original, "{lang}");
    };
    check("ru", "События", "1944 год", "@1944| — x", &[], &["1944_год"]);
    check("zh", "大事记", "前753年", "@前753年|：x", &[], &["前753年"]);
    check("de", "Ereignisse", "44 v. Chr.", "@44 v. Chr.|: x", &[], &[]);
    check("de", "Ereignisse", "1944", "@1944|: x", &[], &[]);
}

#[test]
fn headings_begin_and_end_lists() {
    let html = r#"<body><ul><li>1900 – before</li></ul>
        <div class="mw-heading"><h2 id="Births">b</h2></div><h3 id="x">x</h3><div><ul><li>1901 – b</li></ul></div><ol><li>1902 – no</li></ol>
        <h2 id="Other">o</h2><ul><li>1903 – no</li></ul>
        <h2 id="Deaths">d</h2><ul><li>1904 – d</li></ul></body>"#;
    let (page, notes) = day("en", html, Compat::FIXED);
    assert_eq!(short(&page.births), [(1901, "b")]);
    assert_eq!(short(&page.deaths), [(1904, "d")]);
    assert_eq!(kinds(&notes), [NoteKind::ContainerMissing]);
    assert_eq!(
        (notes[0].count, notes[0].example.as_str()),
        (2, "heading of events")
    );
}

#[test]
fn w32_italian_selected_events_are_lines_of_a_paragraph() {
    let html = r#"<body><section><p><b>Nati</b><br><a href="./1861" title="1861">1861</a> - <a href="./A">a</a><br>44 a.C. - b <a href="./B">B</a></p></section></body>"#;
    let (events, _) = selected("it", html, Compat::FIXED);
    assert_eq!(short(&events), [(1861, "a"), (-44, "b B")]);
    assert_eq!(
        (strs(&events[0].pages), strs(&events[1].pages)),
        (vec!["A"], vec!["B"])
    );
    assert!(selected("it", html, Compat::WIKIFEEDS).0.is_empty());
}

#[test]
fn selected_items_are_taken_straight_from_the_selector() {
    let Some(html) = real("html/onthisday/event-and-holiday-list-elements.html", 1) else {
        return;
    };
    let (events, _) = selected("en", &html, Compat::FIXED);
    let years: Vec<_> = events.iter().map(|event| event.year.expect("a year")).collect();
    assert_eq!(years, [1987, 1948, 1946, -58, -516]);
    assert_eq!(strs(&events[3].pages), ["Livia", "Augustus"]);
    let html = html.replace("<div class=\"event\">", "<section><dl><div class=\"event\">");
    let (fixed, _) = selected("zh", &html, Compat::FIXED);
    let (original, _) = selected("zh", &html, Compat::WIKIFEEDS);
    assert_eq!((fixed[0].year, original[0].year), (Some(-753), Some(-753)));
    assert!(
        fixed[0].text.starts_with("根据古罗马学者马库斯"),
        "{}",
        fixed[0].text
    );
    assert_eq!(strs(&fixed[0].pages)[0], "古羅馬");
    assert_eq!(
        strs(&original[0].pages)[0],
        "前753年",
        "the original keeps the year"
    );
}

#[test]
fn case_97_and_98_titles_of_pages() {
    let rules = rules();
    let check = |lang: &str, month: u8, date: u8, page: &str, chosen: &str| {
        let entry = rules
            .on_this_day(&format!("{lang}.wikipedia.org"), &Compat::FIXED)
            .expect(lang);
        let at = MonthDay::new(month, date).expect("a day");
        assert_eq!(entry.day_title(at, &Compat::FIXED).as_str(), page);
        assert_eq!(entry.selected_title(at).as_str(), chosen);
    };
    check(
        "en",
        12,
        1,
        "December_1",
        "Wikipedia:Selected_anniversaries/December_1",
    );
    check(
        "de",
        12,
        1,
        "1._Dezember",
        "Wikipedia:Hauptseite/Jahrestage/Dezember/1",
    );
    check("fr", 4, 1, "1er_avril", "Wikipédia:Éphéméride/1_avril");
    check("fr", 1, 1, "1er_janvier", "Wikipédia:Éphéméride/1er_janvier");
    check("fr", 4, 2, "2_avril", "Wikipédia:Éphéméride/2_avril");
    check("sv", 8, 25, "25_augusti", "Mall:25_augusti");
    check("pt", 3, 9, "9_de_março", "Wikipédia:Efemérides/9_de_março");
    check("ru", 5, 3, "3_мая", "Шаблон:События_дня/05-3");
    check("es", 5, 22, "22_de_mayo", "Plantilla:Efemérides_-_22_de_mayo");
    check("ar", 1, 1, "1_يناير", "ويكيبيديا:في_هذا_اليوم/1_يناير");
    check("bs", 1, 1, "1._januar", "Šablon:Na_današnji_dan/1._januar");
    check(
        "uk",
        1,
        1,
        "1_січня",
        "Вікіпедія:Проект:Цей_день_в_історії/1_січня",
    );
    check(
        "it",
        1,
        1,
        "1_gennaio",
        "Template:PaginaPrincipale/Attualita/1_gennaio",
    );
    check("tr", 1, 15, "15_Ocak", "Şablon:Tarihte_bugün/15_Ocak");
    check("zh", 4, 21, "4月21日", "Wikipedia:历史上的今天/4月21日");
    check(
        "cs",
        12,
        31,
        "31._prosinec",
        "Wikipedie:Vybraná_výročí_dne/31._prosinec",
    );
    let bs = rules
        .on_this_day("bs.wikipedia.org", &Compat::WIKIFEEDS)
        .expect("bs");
    let first = MonthDay::new(1, 1).expect("a day");
    assert_eq!(bs.day_title(first, &Compat::WIKIFEEDS).as_str(), "1_januar");
}

#[test]
fn recorded_texts_survive_parsing() {
    let Some(text) = real("recorded/onthisday_all_en_02-06_2017.json", 1) else {
        return;
    };
    let recorded: serde_json::Value = serde_json::from_str(&text).expect("json");
    let mut seen = 0;
    for (key, heading) in [("events", "Events"), ("births", "Births"), ("deaths", "Deaths")] {
        let items: Vec<_> = recorded[key].as_array().expect(key).iter().collect();
        let list: String = items
            .iter()
            .map(|item| {
                let year = item["year"].as_i64().expect("a year");
                let era = if year < 0 { " BC" } else { "" };
                let text = item["text"].as_str().expect("a text").replace('&', "&amp;");
                format!("<li>{}{era} – {text}</li>", year.abs())
            })
            .collect();
        let html = format!("<body><h2 id=\"{heading}\">h</h2><ul>{list}</ul></body>");
        let (page, _) = day("en", &html, Compat::WIKIFEEDS);
        let found = match key {
            "events" => page.events,
            "births" => page.births,
            _ => page.deaths,
        };
        assert_eq!(found.len(), items.len(), "{key}");
        for (event, item) in found.iter().zip(&items) {
            assert_eq!(Some(event.text.as_str()), item["text"].as_str());
            assert_eq!(event.year, item["year"].as_i64());
            seen += 1;
        }
    }
    assert!(seen > 300);
}

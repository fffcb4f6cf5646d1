//! Most read: cases 51 to 65.

use levada_feeds::model::{MostRead, Siteinfo, Summary, TopRow, ViewDay};
use levada_feeds::note::{Note, NoteKind, OriginalError, original_error};
use levada_feeds::parse::most_read::{TopDay, merge, parse_history, parse_top, select};

use crate::material::{json, kinds, rules, site, summary};

fn top(articles: &[&str]) -> TopDay {
    let rows: Vec<String> = articles
        .iter()
        .enumerate()
        .map(|(at, title)| {
            let title = serde_json::to_string(title).expect("json");
            format!(r#"{{"article":{title},"views":{},"rank":{}}}"#, 1000 - at, at + 1)
        })
        .collect();
    let body = format!(
        r#"{{"items":[{{"project":"en.wikipedia","access":"all-access","year":"2016","month":"04","day":"29","articles":[{}]}}]}}"#,
        rows.join(",")
    );
    let (top, notes) = parse_top(body.as_bytes());
    assert!(notes.is_empty());
    top.expect("a list")
}

fn chosen(articles: &[&str], site: &Siteinfo) -> (Vec<String>, Vec<Note>) {
    let (rows, notes) = select(&top(articles), &rules(), site);
    (
        rows.into_iter().map(|row| row.article.to_string()).collect(),
        notes,
    )
}

fn history(views: &[u64]) -> Option<Vec<ViewDay>> {
    let day = |(at, &views)| ViewDay {
        date: format!("2016-04-{:02}Z", 25 + at),
        views,
    };
    Some(views.iter().enumerate().map(day).collect())
}

fn row(article: &str, views: u64, rank: u64) -> TopRow {
    TopRow {
        article: article.into(),
        views,
        rank,
    }
}

fn merged(rows: Vec<(TopRow, Summary, Option<Vec<ViewDay>>)>) -> (MostRead, Vec<Note>) {
    merge(&top(&[]), rows, &rules(), &Siteinfo::default())
}

#[test]
fn case_51_the_date_is_that_of_the_list() {
    assert_eq!(top(&["A"]).date, "2016-04-29Z");
    let numbers = r#"{"items":[{"year":2016,"month":4,"day":9,"articles":[]}]}"#;
    assert_eq!(
        parse_top(numbers.as_bytes()).0.expect("a list").date,
        "2016-04-09Z"
    );
}

#[test]
fn case_53_view_history_days() {
    let body = r#"{"items":[{"project":"da.wikipedia","article":"X","granularity":"daily","timestamp":"2016123000","views":5},{"timestamp":"2016123100","views":7}]}"#;
    let days = parse_history(body.as_bytes()).expect("a history");
    assert_eq!(
        json(&days),
        r#"[{"date":"2016-12-30Z","views":5},{"date":"2016-12-31Z","views":7}]"#
    );
    for body in [r#"{"type":"about:blank"}"#, "", "[]"] {
        assert_eq!(parse_history(body.as_bytes()), None);
    }
}

#[test]
fn case_54_what_is_not_an_article_is_left_out() {
    let (rows, notes) = chosen(
        &[
            "Special:Search",
            "Wikipedia:X",
            "XXXX_(beer)",
            "-",
            "A",
            "xHamster",
            "project:Y",
        ],
        &site("en", &[(4, "Wikipedia")]),
    );
    assert_eq!(rows, ["A"]);
    assert_eq!(kinds(&notes), [NoteKind::RowFiltered]);
    let (most_read, _) = merged(vec![
        (row("Main_Page", 9, 1), summary("Main Page"), None),
        (row("main", 8, 2), summary("main page"), None),
        (row("A", 7, 3), summary("A"), None),
        (row("Redirect", 6, 4), summary("Pornhub"), None),
    ]);
    let titles: Vec<_> = most_read
        .articles
        .iter()
        .map(|a| a.summary.title().as_str())
        .collect();
    assert_eq!(titles, ["A"]);
}

#[test]
fn case_54_pages_outside_the_article_namespace_are_left_out_after_redirects() {
    let portal = Summary::from_json(br#"{"title":"Portal:X","namespace":{"id":100,"text":"Portal"}}"#);
    let bare = Summary::from_json(br#"{"title":"Bare"}"#);
    let rows = vec![
        (row("P", 2, 1), portal.expect("a summary"), None),
        (row("B", 1, 2), bare.expect("a summary"), None),
    ];
    assert_eq!(merged(rows).0.articles.len(), 1);
}

#[test]
fn case_55_rows_of_one_page_become_one() {
    let (most_read, notes) = merged(vec![
        (row("A", 100, 3), summary("A"), history(&[1, 2, 3])),
        (row("B", 90, 4), summary("B"), history(&[9])),
        (row("a", 50, 7), summary("A"), history(&[10, 20])),
    ]);
    assert_eq!(
        json(&most_read),
        r#"{"date":"2016-04-29Z","articles":[{"views":150,"rank":3,"view_history":[{"date":"2016-04-25Z","views":11},{"date":"2016-04-26Z","views":22},{"date":"2016-04-27Z","views":3}],"type":"standard","title":"A","namespace":{"id":0,"text":""},"titles":{"canonical":"A"},"normalizedtitle":"A"},{"views":90,"rank":4,"view_history":[{"date":"2016-04-25Z","views":9}],"type":"standard","title":"B","namespace":{"id":0,"text":""},"titles":{"canonical":"B"},"normalizedtitle":"B"}]}"#
    );
    assert!(notes.is_empty());
}

#[test]
fn case_56_rows_past_the_fiftieth_do_not_count() {
    let mut titles: Vec<String> = (0..60).map(|at| format!("T{at}")).collect();
    titles[0] = "Special:Search".into();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let (rows, _) = chosen(&titles, &Siteinfo::default());
    assert_eq!(rows.len(), 49);
    assert_eq!(rows.last().map(String::as_str), Some("T49"));
}

#[test]
fn case_58_a_row_without_history_has_no_key_for_it() {
    let (most_read, notes) = merged(vec![(row("A", 1, 1), summary("A"), None)]);
    assert!(!json(&most_read).contains("view_history"));
    assert_eq!(
        (kinds(&notes), original_error(&notes)),
        (vec![NoteKind::HistoryMissing], None)
    );
}

#[test]
fn case_59_a_duplicate_without_history() {
    let (most_read, notes) = merged(vec![
        (row("A", 10, 1), summary("A"), history(&[1])),
        (row("a", 5, 2), summary("A"), None),
    ]);
    assert_eq!(most_read.articles[0].views, 15);
    assert_eq!(most_read.articles[0].view_history, history(&[1]));
    assert_eq!(original_error(&notes), Some(OriginalError::TypeError));
    let (most_read, notes) = merged(vec![
        (row("A", 10, 1), summary("A"), None),
        (row("a", 5, 2), summary("A"), history(&[1])),
    ]);
    assert_eq!(most_read.articles[0].view_history, history(&[1]));
    assert_eq!(original_error(&notes), None);
}

#[test]
fn case_60_and_61_titles_that_are_none() {
    let (rows, notes) = chosen(&["A", "B\u{FFFD}", "C"], &Siteinfo::default());
    assert_eq!((rows.len(), original_error(&notes)), (2, None));
    let (rows, notes) = chosen(&["A", "Foo|bar", "C"], &Siteinfo::default());
    assert_eq!(
        (rows.len(), original_error(&notes)),
        (2, Some(OriginalError::TitleError))
    );
}

#[test]
fn case_62_deny_lists_by_language() {
    assert_eq!(chosen(&["Яндекс"], &site("ru", &[])).0, Vec::<String>::new());
    assert_eq!(chosen(&["Яндекс"], &site("en", &[])).0, ["Яндекс"]);
}

#[test]
fn case_65_and_an_empty_answer() {
    let (most_read, _) = merged(Vec::new());
    assert_eq!(json(&most_read), r#"{"date":"2016-04-29Z","articles":[]}"#);
    for body in [r#"{"items":[]}"#, "{}", "<html>"] {
        let (none, notes) = parse_top(body.as_bytes());
        assert_eq!(none, None);
        assert_eq!(original_error(&notes), Some(OriginalError::TypeError));
    }
}

#[test]
fn rows_of_another_shape_are_noted() {
    let body = r#"{"items":[{"year":"2016","month":"04","day":"29","articles":[{"article":"A"},null,{"article":"B","views":1,"rank":2}]}]}"#;
    let (top, notes) = parse_top(body.as_bytes());
    assert_eq!(top.expect("a list").rows.len(), 1);
    assert_eq!((notes[0].kind, notes[0].count), (NoteKind::ItemDropped, 2));
}

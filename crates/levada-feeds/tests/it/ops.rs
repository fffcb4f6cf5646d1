//! The report for operators, the counters, and the board and alerts over them.

use crate::bench::{Bench, EN, document};
use levada_feeds::CheckStatus;
use levada_feeds::upstream::{Fault, Upstream};
use std::collections::{BTreeMap, BTreeSet};

#[tokio::test]
async fn a_check_tells_what_is_missing_and_why() {
    let bench = Bench::new();
    let report = bench.feeds.check(EN, Some("2026-11-20")).await.expect("a report");
    assert!(report.is_ok(), "{report}");
    assert_eq!(report.parts.len(), 12);
    // No campaign is in force.
    let (last, parts) = report.parts.split_last().expect("parts");
    assert_eq!((last.feed, last.status), ("announcements", CheckStatus::Nothing));
    assert!(
        parts
            .iter()
            .all(|part| part.status == CheckStatus::Ok && part.items > 0),
        "{report}"
    );

    bench
        .wiki
        .page(EN, "Template:In_the_news", &document("<p>rebuilt</p>"));
    bench
        .faults
        .set(Some(Upstream::Pageviews), "/top/", Fault::Status(500));
    bench.wiki.drop_page(EN, "Template:Did_you_know");
    let bench = Bench::over(bench.config.clone(), bench.wiki.clone(), bench.clock.clone());
    bench
        .faults
        .set(Some(Upstream::Pageviews), "/top/", Fault::Status(500));
    let report = bench.feeds.check(EN, None).await.expect("a report");
    assert!(!report.is_ok());
    let of = |name: &str| report.parts.iter().find(|part| part.feed == name).expect(name);
    assert_eq!(of("news").status, CheckStatus::Degraded);
    assert!(!of("news").missing.is_empty());
    assert_eq!(
        (of("mostread").status, of("dyk").status),
        (CheckStatus::Failed, CheckStatus::Failed)
    );
    assert_eq!(of("mostread").missing, ["pageviews answered 500"]);
    let text = report.to_string();
    assert!(
        text.contains("FAILED") && text.contains("missing: pageviews answered 500"),
        "{text}"
    );
    assert!(
        serde_json::to_string(&report)
            .expect("JSON")
            .contains("\"status\":\"failed\"")
    );

    let dutch = bench
        .feeds
        .check("nl.wikipedia.org", Some("2026-11-20"))
        .await
        .expect("a report");
    assert_eq!(dutch.parts[0].status, CheckStatus::Unsupported);
    for (domain, date) in [(EN, Some("2026-02-30")), ("evil.example", None)] {
        assert!(bench.feeds.check(domain, date).await.is_err());
    }
}

/// The metrics of a service that has served, refused, failed and been told of changes, so that every series is there.
async fn lively() -> String {
    let bench = Bench::new();
    for path in [
        "/en.wikipedia.org/v1/aggregated/featured/2026/11/20",
        "/en.wikipedia.org/v1/feed/onthisday/all/11/20",
        "/en.wikipedia.org/v1/page/random/title",
        "/en.wikipedia.org/v1/media/image/featured/2026/11/20",
        "/en.wikipedia.org/v1/page/most-read/2026/11/19",
        "/nothing",
    ] {
        bench.get(path).await;
    }
    bench.feeds.invalidate(EN, "Template:In_the_news");
    bench.faults.set(None, "", Fault::Broken);
    bench.clock.advance_s(3_600);
    for path in [
        "/en.wikipedia.org/v1/page/news",
        "/en.wikipedia.org/v1/feed/onthisday/all/12/24",
    ] {
        bench.get(path).await;
    }
    let rebuilt = Bench::new();
    rebuilt
        .wiki
        .page(EN, "Template:In_the_news", &document("<p>rebuilt</p>"));
    rebuilt.get("/en.wikipedia.org/v1/page/news").await;
    bench.feeds.metrics() + &rebuilt.feeds.metrics()
}

/// Series names with the names and the values of their labels.
fn series(metrics: &str) -> BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> {
    let mut series: BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("a value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let (name, labels) = name.split_once('{').unwrap_or((name, ""));
        let known = series.entry(name).or_default();
        for pair in labels
            .trim_end_matches('}')
            .split(',')
            .filter(|pair| !pair.is_empty())
        {
            let (label, text) = pair.split_once('=').expect("a label");
            known.entry(label).or_default().insert(text.trim_matches('"'));
        }
    }
    series
}

/// Checks an expression of PromQL: brackets are closed, every metric is a series that is there, the labels that it is
/// grouped by and chosen by are labels of the metrics, and values asked for with `=` have been seen.
fn check(expr: &str, series: &BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>>) {
    let mut open = Vec::new();
    for letter in expr.chars() {
        match letter {
            '(' | '{' | '[' => open.push(letter),
            ')' | '}' | ']' => {
                let wanted = ['(', '{', '['][[')', '}', ']'].iter().position(|c| *c == letter).expect("one")];
                assert_eq!(open.pop(), Some(wanted), "{expr}");
            }
            _ => {}
        }
    }
    assert!(open.is_empty(), "{expr}");
    let mut labels = BTreeSet::new();
    let names: Vec<&str> = expr
        .match_indices("levada_feeds_")
        .map(|(at, _)| {
            let end = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
            expr[at..].split(end).next().expect("a name")
        })
        .collect();
    assert!(!names.is_empty(), "{expr}");
    for name in names {
        let known = series
            .get(name)
            .unwrap_or_else(|| panic!("{expr}: no series {name}"));
        labels.extend(known.keys().copied());
        let Some(chosen) = expr.split(name).nth(1).and_then(|rest| rest.strip_prefix('{')) else {
            continue;
        };
        for pair in chosen.split('}').next().expect("the labels").split(',') {
            let end = pair.find(['=', '!']).expect("a choice");
            let (label, wanted) = (pair[..end].trim(), pair[end..].trim_start_matches('='));
            let values = known
                .get(label)
                .unwrap_or_else(|| panic!("{expr}: {name} has no label {label}"));
            if let Some(value) = wanted.strip_prefix('"') {
                assert!(
                    values.contains(value.trim_matches('"')),
                    "{expr}: {label} is never {value}: {values:?}"
                );
            }
        }
    }
    for group in expr.split("by (").skip(1) {
        for label in group.split(')').next().expect("labels").split(',') {
            assert!(labels.contains(label.trim()), "{expr}: no label {label}");
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Alerts {
    groups: Vec<Group>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    alert: String,
    expr: String,
    r#for: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

#[tokio::test]
async fn the_alert_rules_are_whole_and_ask_for_what_is_counted() {
    let metrics = lively().await;
    let series = series(&metrics);
    let text = include_str!("../../ops/alerts.yml");
    let alerts: Alerts = serde_saphyr::from_str(text).expect("rules");
    let rules: Vec<&Rule> = alerts.groups.iter().flat_map(|group| &group.rules).collect();
    let names: BTreeSet<&str> = rules.iter().map(|rule| rule.alert.as_str()).collect();
    assert_eq!((alerts.groups.len(), names.len()), (1, rules.len()), "{names:?}");
    assert_eq!(alerts.groups[0].name, "levada-feeds");
    for rule in &rules {
        check(&rule.expr, &series);
        let minutes: u32 = rule.r#for.trim_end_matches(['m', 'h']).parse().expect("a time");
        assert!(
            minutes > 0 && rule.labels.contains_key("severity"),
            "{}",
            rule.alert
        );
        let summary = &rule.annotations["summary"];
        for label in ["endpoint", "feed", "upstream"] {
            let is_grouped = rule.expr.contains(&format!("by ({label}"));
            assert!(
                is_grouped || !summary.contains(&format!("$labels.{label} ")),
                "{}",
                rule.alert
            );
        }
    }
    // The objectives: 1 in 1000, 500, 250, 200 and 100 ms, 100 and 10 requests a second.
    for objective in ["> 0.001", "> 0.5", "> 0.25", "> 0.2", "> 0.1", "> 100", "> 10\n"] {
        assert!(
            rules
                .iter()
                .any(|rule| format!("{}\n", rule.expr).contains(objective)),
            "{objective}"
        );
    }
}

#[tokio::test]
async fn every_panel_of_the_board_shows_what_is_counted() {
    let metrics = lively().await;
    let series = series(&metrics);
    let board: serde_json::Value =
        serde_json::from_str(include_str!("../../ops/grafana-board.json")).expect("JSON");
    assert!(board["title"].is_string() && board["schemaVersion"].is_u64());
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in board["panels"].as_array().expect("panels") {
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{panel}");
        let place = &panel["gridPos"];
        assert!(
            places.insert((place["x"].as_u64(), place["y"].as_u64())),
            "{panel}"
        );
        assert!(
            place["x"].as_u64().expect("x") + place["w"].as_u64().expect("w") <= 24,
            "{panel}"
        );
        let targets = panel["targets"].as_array().expect("targets");
        assert!(!targets.is_empty(), "{panel}");
        for target in targets {
            check(target["expr"].as_str().expect("an expression"), &series);
        }
    }
    assert!(ids.len() >= 10);
}

#[test]
#[should_panic(expected = "no label")]
fn the_check_of_expressions_notices_a_label() {
    check(
        "sum by (wiki) (levada_feeds_x)",
        &series("levada_feeds_x{feed=\"news\"} 1"),
    );
}

#[test]
#[should_panic(expected = "no series")]
fn the_check_of_expressions_notices_a_name() {
    check(
        "rate(levada_feeds_y[5m])",
        &series("levada_feeds_x{feed=\"news\"} 1"),
    );
}

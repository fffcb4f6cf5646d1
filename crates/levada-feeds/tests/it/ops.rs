//! The report for operators, the counters, and the board and alerts over them.

use crate::bench::{Bench, EN, document};
use levada_feeds::CheckStatus;
use levada_feeds::upstream::{Fault, Upstream};
use std::collections::BTreeSet;

#[tokio::test]
async fn a_check_tells_what_is_missing_and_why() {
    let bench = Bench::new();
    let report = bench.feeds.check(EN, Some("2026-11-20")).await.expect("a report");
    assert!(report.is_ok(), "{report}");
    assert_eq!(report.parts.len(), 10);
    assert!(
        report
            .parts
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

#[tokio::test]
async fn the_board_and_the_alerts_know_the_counters() {
    let bench = Bench::new();
    bench.get("/en.wikipedia.org/v1/page/news").await.ok();
    let metrics = bench.feeds.metrics();
    let known: BTreeSet<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/ops/");
    for file in ["grafana-board.json", "alerts.yml"] {
        let text = std::fs::read_to_string(format!("{root}{file}")).expect(file);
        let mut used = 0;
        for (at, _) in text.match_indices("levada_feeds_") {
            let name: &str = text[at..]
                .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .next()
                .expect("a name");
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end))
                .unwrap_or(name);
            assert!(known.contains(family) || known.contains(name), "{file}: {name}");
            used += 1;
        }
        assert!(used > 5, "{file}");
    }
    let board = std::fs::read_to_string(format!("{root}grafana-board.json")).expect("a board");
    serde_json::from_str::<serde_json::Value>(&board).expect("JSON");
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').expect("a value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

//! Lines of the Realtime API (contract realtime §8, cases 41, 42, 117): one for every way of splitting
//! lines, never longer than clients read, with numbers as they were sent.

use serde_json::{Value, json};

use crate::articles::{open, publish_json, site};

/// Where Python's `splitlines` splits.
const SEPARATORS: &str = "\n\r\u{b}\u{c}\u{1c}\u{1d}\u{1e}\u{85}\u{2028}\u{2029}";

/// Longest line that the Go SDK reads, without its line feed.
const LINE_MAX: usize = 20_971_519;

#[test]
fn a_line_is_a_line_to_everyone() {
    let site = site("");
    let server = site.start();
    let text = format!("a{SEPARATORS}<b> & \u{1f600} \u{7f}\u{feff}é");
    let article = json!({"name": text, "identifier": 9_007_199_254_740_993_u64, "abstract": text, "is_part_of": {"identifier": "enwiki"}, "version": {"identifier": 3_000_000_000_u64}, "event": {"type": "update"}});
    // Control characters are escaped in any JSON, these three need not be.
    let body = article.to_string();
    assert!(
        ["\u{85}", "\u{2028}", "\u{2029}"]
            .iter()
            .all(|raw| body.contains(raw))
    );
    assert_eq!(publish_json(&server, &[], &article).status, 201);
    for parameters in [
        json!({"since": "2020-01-01T00:00:00Z"}),
        json!({"since": "2020-01-01T00:00:00Z", "fields": ["name", "identifier", "version.identifier"]}),
        json!({"since": "2020-01-01T00:00:00Z", "filters": [{"field": "identifier", "value": 9_007_199_254_740_993_u64}, {"field": "abstract", "prefix": "a"}]}),
    ] {
        let mut stream = open(&server, &[("accept", "application/x-ndjson")], &parameters).stream();
        let line = stream.line().unwrap();
        assert!(!line.contains(|c| SEPARATORS.contains(c)), "{line}");
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["name"], json!(text));
        // 117: no digit is lost.
        assert!(
            line.contains("\"identifier\":9007199254740993") && line.contains("\"identifier\":3000000000"),
            "{line}"
        );
    }
    let mut sse = open(&server, &[], &json!({"since": "2020-01-01T00:00:00Z"})).stream();
    let frame = sse.event();
    assert_eq!(frame.event()["abstract"], json!(text));
}

#[test]
fn the_largest_article_fits_into_a_line_and_what_would_not_is_refused() {
    let site = site(
        "[intake]\nevent_bytes_max = \"20MiB\"\nbody_bytes_max = \"24MiB\"\n[log]\ndurability = \"os\"\n",
    );
    let server = site.start();
    let article = |text: &str| json!({"name": "Large", "identifier": 1, "article_body": {"html": text}, "is_part_of": {"identifier": "enwiki"}, "event": {"type": "update"}});
    let largest = 20 * 1024 * 1024 - 4096 - 500;
    assert_eq!(
        publish_json(&server, &[], &article(&"x".repeat(largest))).status,
        201
    );
    let mut stream = open(
        &server,
        &[("accept", "application/x-ndjson")],
        &json!({"since": "2020-01-01T00:00:00Z"}),
    )
    .stream();
    let line = stream.line().unwrap();
    assert!(line.len() > largest && line.len() <= LINE_MAX, "{}", line.len());
    // Each escape is twice as long as what it stands for.
    let answer = publish_json(&server, &[], &article(&"\u{2028}".repeat(3_600_000)));
    assert!((400..500).contains(&answer.status), "{}", answer.status);
    let told = answer.text();
    assert!(
        told.contains("event_too_large"),
        "{}",
        &told[..told.len().min(300)]
    );
}

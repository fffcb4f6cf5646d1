//! Every conformance case of the contracts that this server speaks is a step of a scenario, or stands in
//! the table of compatibility.md that says where else it is shown, or why it is not there.

use std::collections::BTreeSet;
use std::path::Path;

/// Cases of the contracts eventplatform (E intake, S stream configuration) and eventstreams (numbers).
fn all() -> BTreeSet<String> {
    let intake = (1..=104).map(|n| format!("E{n}"));
    let configs = (1..=44).map(|n| format!("S{n}"));
    let streams = (1..=100).map(|n| n.to_string());
    intake
        .chain(configs)
        .chain(streams)
        .chain(["E64b".to_owned()])
        .collect()
}

/// Cases that a text names: E and S with their numbers anywhere, and, where plain numbers are cases, those
/// of the list that the text begins with.
fn named(text: &str, numbers: bool) -> BTreeSet<String> {
    let is_case = |word: &&str| {
        let digits = word.strip_prefix(['E', 'S']).unwrap_or_default();
        let digits = digits.strip_suffix('b').unwrap_or(digits);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    };
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let mut cases: BTreeSet<String> = words.filter(is_case).map(ToOwned::to_owned).collect();
    if numbers {
        for word in text.split(' ') {
            let number = word.strip_suffix(',').unwrap_or(word);
            if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
                break;
            }
            cases.insert(number.to_owned());
            if !word.ends_with(',') {
                break;
            }
        }
    }
    cases
}

#[test]
fn every_case_is_shown_or_listed() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(here.join("tests/scenarios")).unwrap() {
        let path = entry.unwrap().path();
        let numbers = path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("streams_");
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            if let Some(case) = line.trim_start().strip_prefix("- case: ") {
                found.extend(named(case.trim_matches(['\'', '"']), numbers));
            }
        }
    }
    let page = std::fs::read_to_string(here.join("../../docs/reference/compatibility.md")).unwrap();
    let listed = page
        .split("## Cases without a scenario")
        .nth(1)
        .expect("the page has the table");
    let mut elsewhere = BTreeSet::new();
    for line in listed.lines().filter_map(|line| line.strip_prefix("| ")) {
        let (cases, place) = line.split_once(" | ").unwrap();
        elsewhere.extend(named(cases, true));
        // A file that is named must be there.
        for path in place.split('`').filter(|part| part.ends_with(".rs")) {
            assert!(here.join("../..").join(path).is_file(), "there is no {path}");
        }
    }
    let missing: Vec<_> = all()
        .into_iter()
        .filter(|case| !found.contains(case) && !elsewhere.contains(case))
        .collect();
    assert!(
        missing.is_empty(),
        "neither in a scenario nor listed: {missing:?}"
    );
    let twice: Vec<_> = elsewhere.intersection(&found).collect();
    assert!(twice.is_empty(), "listed although there is a scenario: {twice:?}");
}

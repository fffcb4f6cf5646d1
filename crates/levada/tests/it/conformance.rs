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

/// Numbers at the beginning of each clause of a text, and those in brackets: cases of the contract realtime.
fn realtime(text: &str) -> BTreeSet<u32> {
    let mut cases = BTreeSet::new();
    for clause in text.split(';') {
        let words = clause.split([' ', ',']).filter(|word| !word.is_empty());
        cases.extend(words.map_while(|word| word.parse::<u32>().ok()));
        let bracketed = clause
            .split('(')
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        cases.extend(bracketed.filter_map(|word| word.parse::<u32>().ok()));
    }
    cases
}

/// Cases of the contract realtime.
const REALTIME: u32 = 140;

/// The rows of a table of the page: what is listed, and where. A file that is named must be there.
fn table<'p>(page: &'p str, heading: &str) -> Vec<(&'p str, &'p str)> {
    let text = page.split(heading).nth(1).expect("the page has the table");
    let text = text.split("\n## ").next().unwrap_or_default();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| "));
    let rows: Vec<_> = rows.filter_map(|row| row.split_once(" | ")).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (_, place) in &rows {
        for path in place.split('`').filter(|part| part.ends_with(".rs")) {
            assert!(root.join(path).is_file(), "there is no {path}");
        }
    }
    rows
}

/// The names of the cases in scenario files whose names begin so.
fn scenarios(prefix: &str) -> Vec<(String, String)> {
    let mut names = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        if !file.starts_with(prefix) {
            continue;
        }
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            if let Some(case) = line.trim_start().strip_prefix("- case: ") {
                names.push((file.clone(), case.trim_matches(['\'', '"']).to_owned()));
            }
        }
    }
    names
}

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/compatibility.md");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn every_case_of_the_realtime_api_is_shown_or_listed() {
    let found: BTreeSet<u32> = scenarios("realtime")
        .iter()
        .flat_map(|(_, case)| realtime(case))
        .collect();
    let page = page();
    let rows = table(&page, "## Cases of the Realtime API without a scenario");
    let elsewhere: BTreeSet<u32> = rows.iter().flat_map(|(cases, _)| realtime(cases)).collect();
    let missing: Vec<_> = (1..=REALTIME)
        .filter(|case| !found.contains(case) && !elsewhere.contains(case))
        .collect();
    assert!(
        missing.is_empty(),
        "neither in a scenario nor listed: {missing:?}"
    );
    let beyond: Vec<_> = found.union(&elsewhere).filter(|case| **case > REALTIME).collect();
    assert!(beyond.is_empty(), "no such cases: {beyond:?}");
}

#[test]
fn every_case_is_shown_or_listed() {
    let mut found = BTreeSet::new();
    for (file, case) in scenarios("") {
        found.extend(named(&case, file.starts_with("streams_")));
    }
    let page = page();
    let rows = table(&page, "## Cases without a scenario");
    let elsewhere: BTreeSet<String> = rows.iter().flat_map(|(cases, _)| named(cases, true)).collect();
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

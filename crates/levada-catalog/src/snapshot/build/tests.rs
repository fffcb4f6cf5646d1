use serde_json::json;

use super::*;
use crate::source::{self, Site};

fn declarations(document: Value, name: &str) -> Arc<Declarations> {
    Arc::new(
        source::read(
            document,
            &[],
            name,
            Site {
                wiki: None,
                tags: &[],
            },
        )
        .unwrap(),
    )
}

fn snapshot(documents: &[Value], previous: Option<&Snapshot>) -> Snapshot {
    let sources: Vec<_> = documents
        .iter()
        .zip(["one", "two"])
        .map(|(d, name)| declarations(d.clone(), name))
        .collect();
    build(&sources, &BTreeMap::new(), Vec::new(), previous)
}

fn problems(snapshot: &Snapshot) -> Vec<String> {
    snapshot.problems().iter().map(ToString::to_string).collect()
}

#[test]
fn names_are_found_exactly_then_by_the_first_pattern() {
    let got = snapshot(
        &[json!({"streams": {
            "/^a\\./": {"schema_title": "first"}, "/^a\\.b/": {"schema_title": "second"},
            "a.b.c": {"schema_title": "exact"}
        }})],
        None,
    );
    let title = |name: &str| got.stream(name).and_then(|s| s.schema_title.clone());
    assert_eq!(title("a.b.c").as_deref(), Some("exact"));
    for _ in 0..2 {
        assert_eq!(title("a.b.d").as_deref(), Some("first"));
        assert_eq!(title("b"), None);
    }
    assert_eq!(title("/^a\\.b/").as_deref(), Some("second"));
    assert_eq!(title("a.b d"), None);
    assert_eq!(got.stream("a.b.d").unwrap().name, "a.b.d");
}

#[test]
fn a_bad_entry_is_reported_and_an_earlier_sound_one_stays() {
    let good = json!({"streams": {"a": {"schema_title": "x"}, "b": {}}});
    let bad = json!({"streams": {"a": {"schema_title": 1}, "b": {}, "/(/": {}}});
    let first = snapshot(std::slice::from_ref(&good), None);
    let alone = snapshot(std::slice::from_ref(&bad), None);
    assert!(alone.stream("a").is_none() && alone.stream("b").is_some());
    assert_eq!(problems(&alone)[0], "one: stream a: schema_title is no string");
    let after = snapshot(&[bad], Some(&first));
    assert_eq!(after.stream("a").unwrap().schema_title.as_deref(), Some("x"));
    assert!(
        problems(&after)[0].ends_with("schema_title is no string; the definition from before stays in force")
    );
    assert!(problems(&after)[1].starts_with("one: stream /(/: the pattern does not compile"));
}

#[test]
fn an_entry_that_is_no_map_leaves_the_definition_from_before() {
    let good = json!({"streams": {"a": {"schema_title": "x"}, "b": {"schema_title": "y"}}});
    let first = snapshot(std::slice::from_ref(&good), None);
    assert!(first.is_whole());
    let bad = json!({"streams": {"a": null, "b": {}}});
    let alone = snapshot(std::slice::from_ref(&bad), None);
    assert!(alone.stream("a").is_none() && !alone.is_whole());
    assert_eq!(problems(&alone), ["one: stream a: the settings are no map"]);
    let after = snapshot(&[bad], Some(&first));
    assert_eq!(after.stream("a").unwrap().schema_title.as_deref(), Some("x"));
    assert_eq!(after.stream("b").unwrap().schema_title, None);
    // A list whose items lost their names may be about any of the streams.
    let listed = json!([{"stream": "b"}, null]);
    let after = snapshot(&[listed], Some(&first));
    assert_eq!(after.stream("a").unwrap().schema_title.as_deref(), Some("x"));
    assert_eq!(after.stream("b").unwrap().schema_title, None);
    assert!(problems(&after)[1].ends_with("the definition from before stays in force"));
    let gone = snapshot(&[json!([{"stream": "b"}])], Some(&first));
    assert!(gone.stream("a").is_none() && gone.is_whole());
}

#[test]
fn later_sources_replace_and_override() {
    let got = snapshot(
        &[
            json!({"streams": {"a": {"schema_title": "x", "description": "d"}, "b": {"schema_title": "y"}}}),
            json!({"streams": {"a": {"schema_title": "z"}},
                   "overrides": {"/./": {"levada": {"visibility": "private"}},
                                 "b": {"levada": {"visibility": "public"}}, "c": {}}}),
        ],
        None,
    );
    let a = got.stream("a").unwrap();
    assert_eq!(
        (a.schema_title.as_deref(), a.description.as_deref(), a.is_public()),
        (Some("z"), None, false)
    );
    assert!(got.stream("b").unwrap().is_public());
    assert_eq!(
        problems(&got),
        [
            "two: stream a: replaces the entry of one as a whole",
            "two: stream c: the override applies to no stream"
        ]
    );
}

#[test]
fn aliases_lead_to_streams() {
    let got = snapshot(
        &[json!({"streams": {"a": {}, "b": {}, "/^j/": {}},
                 "stream_aliases": {"x": "a", "b": "a", "y": "nowhere", "z": "/^j/", "w": "j1"}})],
        None,
    );
    assert_eq!(got.resolve("x").unwrap().name, "a");
    assert_eq!(got.resolve("b").unwrap().name, "b");
    assert_eq!(got.resolve("w").unwrap().name, "j1");
    assert!(got.stream("x").is_none() && got.resolve("y").is_none());
    assert_eq!(got.aliases().keys().collect::<Vec<_>>(), ["w", "x"]);
    assert_eq!(problems(&got).len(), 3);
}

#[test]
fn the_version_tells_contents_apart() {
    let one = snapshot(&[json!({"streams": {"a": {"x": 1}}})], None);
    let same = snapshot(&[json!({"streams": {"a": {"x": 1}}})], None);
    let other = snapshot(&[json!({"streams": {"a": {"x": 2}}})], None);
    assert_eq!(one.version(), same.version());
    assert_ne!(one.version(), other.version());
    assert_eq!(one.version().len(), 32);
}

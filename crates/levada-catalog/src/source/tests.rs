use serde_json::json;

use super::*;

fn read_for(document: Value, wiki: Option<&str>, tags: &[String]) -> Declarations {
    read(document, &[], "test", Site { wiki, tags }).unwrap()
}

fn settings_of(declarations: &Declarations, index: usize) -> Value {
    Value::Object(declarations.streams[index].settings.clone().unwrap())
}

fn keys(declarations: &Declarations) -> Vec<&str> {
    declarations.streams.iter().map(|d| d.key.as_str()).collect()
}

#[test]
fn all_shapes_are_read() {
    let map = json!({"a": {"schema_title": "x"}, "b": {}});
    for document in [
        json!({"streams": map}),
        json!({"streams": [{"stream": "a", "schema_title": "x"}, {"stream": "b"}]}),
        json!({"streams": {"default": map}}),
        json!({"streams": {"0": {"stream": "a", "schema_title": "x"}, "b": []}}),
        json!([{"stream": "a", "schema_title": "x"}, {"stream": "b"}]),
        map.clone(),
    ] {
        let read = read_for(document.clone(), None, &[]);
        assert_eq!(keys(&read), ["a", "b"], "{document}");
        assert_eq!(settings_of(&read, 0)["schema_title"], "x");
        assert!(read.problems.is_empty(), "{:?}", read.problems);
    }
}

#[test]
fn both_sections_resolve_for_the_site() {
    let document = json!({
        "default_settings": {"default": {"p": {"on": true}}, "+private": {"p": {"on": 0, "x": 1}}},
        "streams": {"default": {"a": {"r": 5}}, "+w": {"a": {"r": 0}}}
    });
    let read = read_for(document.clone(), Some("w"), &["private".into()]);
    assert_eq!(settings_of(&read, 0), json!({"p": {"on": 0, "x": 1}, "r": 0}));
    let read = read_for(document, Some("v"), &[]);
    assert_eq!(settings_of(&read, 0), json!({"p": {"on": true}, "r": 5}));
}

#[test]
fn a_bad_entry_is_named_and_leaves_the_others() {
    let read = read_for(
        json!({"streams": {"a": null, "1": {}, "b": {}}, "typo": 1}),
        None,
        &[],
    );
    assert_eq!(keys(&read), ["a", "b"]);
    assert_eq!(
        read.streams[0].settings.as_ref().unwrap_err(),
        "the settings are no map"
    );
    let problems: Vec<String> = read.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems[0], "test: the key \"typo\" means nothing here");
    assert!(problems[1].starts_with("test: stream 1: the entry has a number"));
    assert_eq!(read.nameless.as_deref(), Some("test"));
}

#[test]
fn an_override_that_cannot_be_used_is_a_fault_of_the_whole() {
    let read = |overrides| {
        let document = json!({"streams": {"a": {}}, "overrides": overrides});
        let site = Site {
            wiki: None,
            tags: &[],
        };
        read(document, &[], "test", site)
    };
    assert!(read(json!({"/./": {"levada": {}}, "b": []})).is_ok());
    let fault = read(json!({"/./": null, "levada": {}, "/(/": {}})).unwrap_err();
    assert!(
        fault.starts_with("the override \"/./\" cannot be used: it is no map; the override \"/(/\" cannot"),
        "{fault}"
    );
}

#[test]
fn documents_of_another_kind_are_refused() {
    let refuse = |document| {
        read(
            document,
            &[],
            "test",
            Site {
                wiki: None,
                tags: &[],
            },
        )
        .unwrap_err()
    };
    assert!(refuse(json!("x")).contains("neither"));
    assert!(refuse(json!({"a": 1})).contains("streams"));
    assert!(refuse(json!({"error": {"code": "badvalue", "info": "No."}})).contains("badvalue: No."));
    assert!(refuse(json!({"streams": 1})).contains("neither a map nor a list"));
    let at = ["x".to_owned()];
    assert!(
        read(
            json!({"y": 1}),
            &at,
            "test",
            Site {
                wiki: None,
                tags: &[]
            }
        )
        .is_err()
    );
    assert_eq!(
        keys(
            &read(
                json!({"x": {"a": {}}}),
                &at,
                "t",
                Site {
                    wiki: None,
                    tags: &[]
                }
            )
            .unwrap()
        ),
        ["a"]
    );
}

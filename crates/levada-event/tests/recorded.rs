//! Recorded events of the reference data, looked at by the scanner and by serde_json: both have to see the same.
//! The data is read from `$LEVADA_SHARED` or `<workspace>/../shared`; without it the test says so and passes.

use std::path::PathBuf;

use levada_event::filter::Filter;
use levada_event::project::Projection;
use levada_event::select::{Selection, SelectionSpec, Verdict};
use levada_event::splice::{Dialect, Origin, find_splice};
use levada_event::{Flags, RecordRef, Splice, Timestamp};
use serde_json::{Value, json};

fn recorded() -> Vec<String> {
    let shared = std::env::var_os("LEVADA_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let mut events = Vec::new();
    for name in ["page-create", "recentchange", "revision-create", "revision-score"] {
        let path = shared.join(format!("reference/events/{name}.ndjson"));
        match std::fs::read_to_string(&path) {
            Ok(text) => events.extend(text.lines().filter(|l| !l.is_empty()).map(str::to_owned)),
            Err(error) => println!("1 file of cases skipped: {}: {error}", path.display()),
        }
    }
    events
}

fn record(text: &str, flags: Flags, splice: Splice) -> RecordRef<'_> {
    RecordRef {
        offset: 77,
        timestamp: Timestamp::from_millis(0),
        splice,
        flags,
        key: None,
        value: text.as_bytes(),
    }
}

fn apply(spec: &SelectionSpec, event: RecordRef<'_>, origin: &Origin) -> (Verdict, String) {
    let selection = Selection::new(spec.clone()).expect("the selection is within its bounds");
    let mut out = Vec::new();
    let verdict = selection.apply(event, origin, &mut out);
    (verdict, String::from_utf8(out).expect("the output is UTF-8"))
}

#[test]
fn recorded_events_come_out_as_serde_json_sees_them() {
    let origin = Origin::new("eqiad.again", 5, Dialect::Meta);
    let spec = |fields: Option<&str>, filter: Option<&str>| SelectionSpec {
        projection: fields.map(|f| Projection::parse(f).expect("a good projection")),
        filter: filter.map(|f| Filter::parse_query(f).expect("a good filter")),
        dialect: Dialect::Meta,
        ..SelectionSpec::default()
    };
    let events = recorded();
    let mut english = 0;
    for text in &events {
        let value: Value = serde_json::from_str(text).expect("recorded events are JSON");
        // They were mirrored: meta carries another topic, partition and offset.
        assert_eq!(
            find_splice(text.as_bytes(), Dialect::Meta),
            Splice::UNKNOWN,
            "{text}"
        );
        let mut expected = value.clone();
        for (key, new) in [
            ("topic", json!("eqiad.again")),
            ("partition", json!(5)),
            ("offset", json!(77)),
        ] {
            let meta = expected["meta"].as_object_mut().expect("events have meta");
            meta.shift_remove(key);
            meta.insert(key.to_owned(), new);
        }
        for flags in [Flags::CHECKED, Flags::NONE] {
            let event = record(text, flags, Splice::UNKNOWN);
            let (verdict, whole) = apply(&spec(None, None), event, &origin);
            assert_eq!(verdict, Verdict::Sent);
            let read: Value = serde_json::from_str(&whole).expect("the output is JSON");
            assert_eq!(read.to_string(), expected.to_string());

            // What delivery wrote can be stored again, with a known position.
            let bare = whole.replace(r#","topic":"eqiad.again","partition":5,"offset":77}"#, "}");
            let splice = find_splice(bare.as_bytes(), Dialect::Meta);
            assert_ne!(splice, Splice::UNKNOWN);
            assert_eq!(
                apply(&spec(None, None), record(&bare, Flags::CHECKED, splice), &origin).1,
                whole
            );

            let (_, part) = apply(
                &spec(Some("performer.user_text,user,length.new"), None),
                event,
                &origin,
            );
            let read: Value = serde_json::from_str(&part).expect("the output is JSON");
            let mut kept = serde_json::Map::new();
            for (key, inner) in value.as_object().expect("events are objects") {
                match key.as_str() {
                    "user" => drop(kept.insert(key.clone(), inner.clone())),
                    "performer" | "length" => {
                        let name = if key == "length" { "new" } else { "user_text" };
                        let mut object = serde_json::Map::new();
                        object.extend(inner.get(name).map(|v| (name.to_owned(), v.clone())));
                        kept.insert(key.clone(), Value::Object(object));
                    }
                    _ => {}
                }
            }
            assert_eq!(read.to_string(), Value::Object(kept).to_string());

            let (verdict, _) = apply(
                &spec(None, Some("meta.domain:en.*|www.wikidata.org")),
                event,
                &origin,
            );
            let domain = value["meta"]["domain"].as_str().unwrap_or_default();
            let wanted = domain.starts_with("en.") || domain == "www.wikidata.org";
            assert_eq!(verdict == Verdict::Sent, wanted, "{domain}");
            english += usize::from(wanted);
        }
    }
    println!("{} recorded events, {english} outcomes wanted", events.len());
}

//! The contract's cases, and random events against a slow reading with serde_json.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::Timestamp;
use crate::filter::{Field, Lists, Literal, Missing, Range};
use crate::path::FieldPath;
use crate::record::Splice;
use crate::splice::find_splice;

fn record(value: &[u8], flags: Flags, splice: Splice) -> RecordRef<'_> {
    RecordRef {
        offset: 42,
        timestamp: Timestamp::from_millis(0),
        splice,
        flags,
        key: None,
        value,
    }
}

fn spec(fields: &str, dialect: Dialect) -> SelectionSpec {
    SelectionSpec {
        projection: (!fields.is_empty()).then(|| Projection::parse(fields).unwrap()),
        dialect,
        ..SelectionSpec::default()
    }
}

/// What a selection makes of `event`, checked to be the same with and without a known position and
/// for records that intake has not checked.
fn apply(spec: SelectionSpec, event: &str) -> (Verdict, String) {
    let dialect = spec.dialect;
    let selection = Selection::new(spec).unwrap();
    let mut results = Vec::new();
    let known = find_splice(event.as_bytes(), dialect);
    for (flags, splice, stored) in [
        (Flags::CHECKED, known, dialect),
        (Flags::CHECKED, known, Dialect::Bare),
        (Flags::CHECKED, Splice::UNKNOWN, dialect),
        (Flags::CHECKED, Splice::at(3), dialect),
        (Flags::NONE, Splice::at(event.len() - 1), dialect),
    ] {
        let origin = Origin::new("eqiad.t", 3, stored);
        let mut out = b"kept".to_vec();
        let verdict = selection.apply(record(event.as_bytes(), flags, splice), &origin, &mut out);
        let text = String::from_utf8(out).unwrap();
        let text = text.strip_prefix("kept").unwrap().to_owned();
        assert_eq!(
            selection.test(record(event.as_bytes(), flags, splice), &origin),
            verdict
        );
        assert!(verdict == Verdict::Sent || text.is_empty());
        results.push((verdict, text));
    }
    // Copied and rewritten texts agree but for spaces between tokens.
    let first = results.swap_remove(0);
    let value = |text: &str| serde_json::from_str::<Value>(text).ok().map(|v| v.to_string());
    for other in &results {
        assert_eq!(other.0, first.0, "{event}");
        assert_eq!(value(&other.1), value(&first.1), "{event}");
    }
    first
}

fn sent(fields: &str, dialect: Dialect, event: &str) -> String {
    let (verdict, text) = apply(spec(fields, dialect), event);
    assert_eq!(verdict, Verdict::Sent, "{event}");
    text
}

const ARTICLE: &str = r#"{"name":"X","identifier":12345678901,"categories":[{"name":"A","url":"u"},{"url":"v"},7,null],"version":{"tags":["t"],"editor":{"name":"E","edit_count":1.50},"size":null},"namespace":{"identifier":0,"name":"N"},"event":{"identifier":"i","type":"update","date_published":"d"}}"#;

#[test]
fn fields_of_the_contract() {
    let event = |fields: &str| sent(fields, Dialect::Event, ARTICLE);
    // Cases 44 to 56.
    assert_eq!(
        event("event.*"),
        r#"{"event":{"identifier":"i","type":"update","date_published":"d","partition":3,"offset":42}}"#
    );
    assert_eq!(event("name"), r#"{"name":"X"}"#);
    assert_eq!(
        event("event.type"),
        r#"{"event":{"type":"update","partition":3,"offset":42}}"#
    );
    assert_eq!(event("event.offset"), r#"{"event":{"partition":3,"offset":42}}"#);
    assert_eq!(event("categories.name"), r#"{"categories":[{"name":"A"},{}]}"#);
    assert_eq!(
        event("version.editor.name,version.editor.*"),
        r#"{"version":{"editor":{"name":"E","edit_count":1.50}}}"#
    );
    assert_eq!(event("namespace.name"), r#"{"namespace":{"name":"N"}}"#);
    assert_eq!(
        event(""),
        ARTICLE.replace("\"d\"}", "\"d\",\"partition\":3,\"offset\":42}")
    );
    assert_eq!(event("*"), event(""));
    // Order is the event's; parents that are there appear, null ones and scalars do not.
    assert_eq!(
        event("identifier,name"),
        r#"{"name":"X","identifier":12345678901}"#
    );
    assert_eq!(event("namespace.nope,name"), r#"{"name":"X","namespace":{}}"#);
    assert_eq!(event("version.size.value"), r#"{"version":{}}"#);
    assert_eq!(event("version.tags.x"), r#"{"version":{}}"#);
    assert_eq!(event("name.x"), "{}");
    assert_eq!(event("nope.x"), "{}");
    assert_eq!(
        event("version.size,version.tags"),
        r#"{"version":{"tags":["t"],"size":null}}"#
    );
}

#[test]
fn what_stands_in_front_of_the_noted_object_is_left_out() {
    let body = r#""article_body":{"html":"\"event\":{ 1 } and \\\"event\":{"},"q\"event":{"type":"no"},"version":{"event":{"type":"no"}},"#;
    let body = format!("{body}\"text\":{:?},", "lorem ipsum } { ".repeat(20));
    for event in [
        r#""event":{"type":"yes"}"#,
        r#""event":{"type":"yes","event":{"type":"no"}}"#,
        r#""event" : {"type":"yes"}"#,
        r#""\u0065vent":{"type":"yes"}"#,
        r#""event":{"type":"yes"},"image":{"event":{"type":"no"}}"#,
        r#""event":{"note":"}{","type":"yes"}"#,
    ] {
        for text in [
            format!(r#"{{"name":"N",{body}{event}}}"#),
            format!(r#"{{{body}"name":"N",{event}}}"#),
            format!(r#"{{{event},{body}"name":"N"}}"#),
        ] {
            let stored: Value = serde_json::from_str(&text).unwrap();
            let whole = sent("name,event.*", Dialect::Event, &text);
            let value: Value = serde_json::from_str(&whole).unwrap();
            let mut event = stored["event"].clone();
            event["partition"] = json!(3);
            event["offset"] = json!(42);
            assert_eq!(value, json!({"name": "N", "event": event}), "{whole}");
            let text = sent("name,event.type", Dialect::Event, &text);
            let value: Value = serde_json::from_str(&text).unwrap();
            let event = json!({"type": "yes", "partition": 3, "offset": 42});
            assert_eq!(value, json!({"name": "N", "event": event}), "{text}");
        }
    }
    for (empty, written) in [("{}", "{"), ("{ }", "{ ")] {
        let text = format!("{{\"name\":\"N\",{body}\"event\":{empty}}}");
        let whole = sent("name,event", Dialect::Event, &text);
        let expected = format!(r#"{{"name":"N","event":{written}"partition":3,"offset":42}}}}"#);
        assert_eq!(whole, expected);
    }
    let no_event = format!(r#"{{"name":"N",{body}"end":{{}}}}"#);
    let text = sent("name,event.type", Dialect::Event, &no_event);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        value,
        json!({"name": "N", "event": {"partition": 3, "offset": 42}})
    );
}

#[test]
fn added_fields_replace_and_create() {
    let fields = r#""topic":"eqiad.t","partition":3,"offset":42"#;
    for (event, expected) in [
        (r#"{"a":1}"#, r#"{"a":1,"meta":{F}}"#),
        ("{}", r#"{"meta":{F}}"#),
        (r#"{ "meta" : { } , "b":1 }"#, r#"{ "meta" : { F} , "b":1 }"#),
        (r#"{"meta":{"x":1 }}"#, r#"{"meta":{"x":1 ,F}}"#),
        (r#"{"meta":null,"b":1}"#, r#"{"meta":{F},"b":1}"#),
        (r#"{"meta":"x","b":1}"#, r#"{"meta":{F},"b":1}"#),
        (r#"{"meta":[{"x":1}]}"#, r#"{"meta":{F}}"#),
        (r#"{"meta":{"topic":"old","x":1}}"#, r#"{"meta":{"x":1,F}}"#),
        (
            r#"{"meta":{"x":1,"topic":{"a":[1]},"y":2,"offset":null},"z":"}"}"#,
            r#"{"meta":{"x":1,"y":2,F},"z":"}"}"#,
        ),
        (r#"{"meta":{"\u0074opic":"old"}}"#, r#"{"meta":{F}}"#),
    ] {
        assert_eq!(
            sent("", Dialect::Meta, event),
            expected.replace('F', fields),
            "{event}"
        );
    }
    assert_eq!(sent("", Dialect::Bare, r#"{"meta":{} }"#), r#"{"meta":{} }"#);
    // With a projection they come with the object, which is created when it was asked for.
    assert_eq!(
        sent("a,meta.x", Dialect::Meta, r#"{"a":1}"#),
        format!(r#"{{"a":1,"meta":{{{fields}}}}}"#)
    );
    assert_eq!(
        sent("a,meta.*", Dialect::Meta, r#"{"meta":7,"a":1}"#),
        format!(r#"{{"meta":{{{fields}}},"a":1}}"#)
    );
    assert_eq!(
        sent("a", Dialect::Meta, r#"{"meta":{"x":1},"a":1}"#),
        r#"{"a":1}"#
    );
    assert_eq!(
        sent("", Dialect::Event, r#"{"event":{"partition":9,"topic":"x"}}"#),
        r#"{"event":{"topic":"x","partition":3,"offset":42}}"#
    );
}

#[test]
fn filters_see_the_added_fields_as_the_client_does() {
    for (filter, expected) in [
        ("meta.topic:eqiad.t", Verdict::Sent),
        ("meta.topic:old", Verdict::FilteredOut),
        ("meta.offset:40..42", Verdict::Sent),
        ("!meta.partition:3", Verdict::FilteredOut),
    ] {
        let spec = SelectionSpec {
            filter: Some(Filter::parse_query(filter).unwrap()),
            ..spec("", Dialect::Meta)
        };
        let (verdict, _) = apply(spec, r#"{"meta":{"topic":"old","offset":1}}"#);
        assert_eq!(verdict, expected, "{filter}");
    }
}

#[test]
fn what_is_no_event_is_unreadable() {
    let selection = Selection::new(spec("a", Dialect::Meta)).unwrap();
    let origin = Origin::new("t", 0, Dialect::Meta);
    for (value, flags) in [
        (&b"[1]"[..], Flags::NONE),
        (b"", Flags::NONE),
        (b"{\"a\":1,\"a\":2}", Flags::NONE),
        (b"{\"a\":\"\xff\"}", Flags::NONE),
        (b"{\"a\":1}{", Flags::NONE),
        (b"", Flags::CHECKED),
        (b"null", Flags::CHECKED),
        (b"{\"b\" 1}", Flags::CHECKED),
        (b"{\"b\":}", Flags::CHECKED),
        (b"{\"b\":[}", Flags::CHECKED),
        (b"{\"b\":\"}", Flags::CHECKED),
        (b"{\"b\":\"\\}", Flags::CHECKED),
    ] {
        let mut out = b"x".to_vec();
        let verdict = selection.apply(record(value, flags, Splice::UNKNOWN), &origin, &mut out);
        assert_eq!((verdict, &out[..]), (Verdict::Unreadable, &b"x"[..]), "{value:?}");
    }
    let mut out = Vec::new();
    let pretty = record(b"\n{\n\t\"a\": [\n1 ]\r\n}\n", Flags::NONE, Splice::at(2));
    assert_eq!(selection.apply(pretty, &origin, &mut out), Verdict::Sent);
    assert_eq!(out, b"{\"a\":[1 ]}");
}

#[test]
fn line_separators_are_escaped_when_asked_for() {
    let event = "{\"a\u{2028}\":\"\u{85}é\u{2029}\",\"b\":\"\u{2028}\"}";
    let escaped = |fields: &str| {
        let spec = SelectionSpec {
            separators: Separators::Escaped,
            ..spec(fields, Dialect::Bare)
        };
        apply(spec, event).1
    };
    assert_eq!(escaped(""), r#"{"a\u2028":"\u0085é\u2029","b":"\u2028"}"#);
    assert_eq!(escaped("b"), r#"{"b":"\u2028"}"#);
    assert_eq!(sent("", Dialect::Bare, event), event);
    // Intake has looked already: what it flags is not searched.
    let spec = SelectionSpec {
        separators: Separators::Escaped,
        ..spec("", Dialect::Bare)
    };
    let flags = Flags::CHECKED.with(Flags::NO_SEPARATORS);
    let mut out = Vec::new();
    let flagged = record(event.as_bytes(), flags, Splice::UNKNOWN);
    let selection = Selection::new(spec).unwrap();
    assert_eq!(
        selection.apply(flagged, &Origin::new("t", 0, Dialect::Bare), &mut out),
        Verdict::Sent
    );
    assert_eq!(out, event.as_bytes());
}

#[test]
fn redaction_comes_before_filter_and_projection() {
    let redaction = Arc::new(Redaction::new([("d", ["T"])]));
    let event = r#"{"meta":{"domain":"d","stream":"mediawiki.page_change.v1"},"page":{"page_title":"T"},"performer":{"user_text":"E"},"n":1}"#;
    let with = |filter: Option<&str>, fields: &str| {
        let filter = filter.map(|f| Filter::parse_query(f).unwrap());
        let redaction = Some(redaction.clone());
        let spec = SelectionSpec {
            filter,
            redaction,
            ..spec(fields, Dialect::Meta)
        };
        apply(spec, event)
    };
    assert_eq!(with(Some("performer.user_text:E"), "").0, Verdict::FilteredOut);
    assert_eq!(with(None, "performer.*,n").1, r#"{"performer":{},"n":1}"#);
    assert_eq!(
        with(None, "").1,
        r#"{"meta":{"domain":"d","stream":"mediawiki.page_change.v1","topic":"eqiad.t","partition":3,"offset":42},"page":{"page_title":"T"},"performer":{},"n":1}"#
    );
}

#[test]
fn equal_wishes_are_equal_selections() {
    let hash = |selection: &Selection| {
        let mut hasher = std::hash::DefaultHasher::new();
        selection.hash(&mut hasher);
        hasher.finish()
    };
    let make = |filters: &[&str], fields: &str| {
        let filters = filters.iter().map(|f| Filter::parse_query(f).unwrap());
        Selection::new(SelectionSpec {
            filter: Some(Filter::all(filters)),
            ..spec(fields, Dialect::Meta)
        })
        .unwrap()
    };
    let one = make(&["a:1|2", "b:x"], "meta.*,title");
    let same = make(&["b:x", "a:2|1", "b:x"], "title,meta");
    assert!(one == same && hash(&one) == hash(&same));
    assert_ne!(one, make(&["b:x", "a:2"], "title,meta"));
    assert_ne!(one, make(&["b:x", "a:2|1"], "title"));
    assert!(!one.is_plain());
    assert!(Selection::new(spec("*", Dialect::Meta)).unwrap().is_plain());
}

#[test]
fn bounds_are_errors() {
    let fields = |range: std::ops::Range<usize>| {
        Projection::new(range.map(|i| FieldPath::parse(&format!("k{i}")).unwrap())).unwrap()
    };
    let filter = |range: std::ops::Range<usize>| {
        Filter::all(range.map(|i| Filter::parse_query(&format!("f{i}:1")).unwrap()))
    };
    let make = |fields, filter| {
        Selection::new(SelectionSpec {
            projection: Some(fields),
            filter: Some(filter),
            ..spec("", Dialect::Meta)
        })
    };
    assert!(make(fields(0..255), filter(0..255)).is_ok());
    assert!(matches!(
        make(fields(0..255), filter(0..300)),
        Err(SelectionError::TooManyKeys)
    ));
    let tests = Filter::all((0..1025).map(|i| Filter::parse_query(&format!("f:{i}")).unwrap()));
    assert!(matches!(
        make(fields(0..1), tests),
        Err(SelectionError::Filter(FilterError::TooManyTests(1025)))
    ));
    // All 1024 tests are told apart.
    let tests = Filter::any((0..1024).map(|i| Filter::parse_query(&format!("f:{i}*")).unwrap()));
    let spec = SelectionSpec {
        filter: Some(tests),
        ..spec("", Dialect::Bare)
    };
    assert_eq!(apply(spec.clone(), r#"{"f":"1023"}"#).0, Verdict::Sent);
    assert_eq!(apply(spec, r#"{"f":"x"}"#).0, Verdict::FilteredOut);
}

#[test]
fn nothing_is_looked_at_beyond_what_decides() {
    let origin = Origin::new("t", 0, Dialect::Bare);
    let filter = |f: &str| Some(Filter::parse_query(f).unwrap());
    let verdict = |filter, fields, event: &str| {
        let spec = SelectionSpec {
            filter,
            ..spec(fields, Dialect::Bare)
        };
        let selection = Selection::new(spec).unwrap();
        selection.test(record(event.as_bytes(), Flags::CHECKED, Splice::UNKNOWN), &origin)
    };
    // No intake lets this pass; here it shows how far the scanner went.
    let event = r#"{"a":{"x":1},"b":2,broken}"#;
    assert_eq!(verdict(filter("a.x:2"), "", event), Verdict::FilteredOut);
    assert_eq!(verdict(filter("!a.x:1|7"), "", event), Verdict::FilteredOut);
    assert_eq!(verdict(filter("a.y:1"), "", event), Verdict::FilteredOut);
    assert_eq!(verdict(filter("b:2"), "a", event), Verdict::Sent);
    assert_eq!(verdict(None, "b,c", event), Verdict::Unreadable);
}

#[test]
fn deep_text_is_refused_not_followed() {
    let selection = Selection::new(SelectionSpec {
        filter: Some(Filter::parse_query("a.b:1").unwrap()),
        ..spec("a.c", Dialect::Bare)
    })
    .unwrap();
    let origin = Origin::new("t", 0, Dialect::Bare);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    for flags in [Flags::NONE, Flags::CHECKED] {
        let verdict = selection.test(record(deep.as_bytes(), flags, Splice::UNKNOWN), &origin);
        assert_eq!(verdict, Verdict::Unreadable);
    }
}

// ---- random events against serde_json ----

const KEYS: [&str; 9] = [
    "a",
    "b",
    "c",
    "meta",
    "event",
    "topic",
    "offset",
    "partition",
    "q\"\\é😀 long key of more than 32 bytes",
];

fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..4).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!(0.5)),
        Just(json!("")),
        "[xy]{1,2}".prop_map(Value::from),
        "[\"\\\\{}\\[\\]:,é😀\u{1} ]{0,9}".prop_map(Value::from),
        "[a-z<>=\"/ ]{30,160}".prop_map(Value::from),
        Just(json!("2025-01-01T00:00:00Z")),
        Just(json!("2025-01-01T01:00:00+01:00")),
    ];
    scalar.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            2 => object(inner),
        ]
    })
}

fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::vec((prop::sample::select(&KEYS[..]), inner), 0..6).prop_map(|entries| {
        let map: Map<String, Value> = entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        Value::from(map)
    })
}

/// Writes `value` with spaces and escapes as `taste` has it.
fn spell(value: &Value, taste: &mut impl Iterator<Item = u8>, out: &mut String) {
    match value {
        Value::Object(map) => {
            out.push('{');
            for (i, (key, value)) in map.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                spell_string(key, taste, out);
                out.push(':');
                spell(value, taste, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                spell(item, taste, out);
            }
            out.push(']');
        }
        Value::String(text) => spell_string(text, taste, out),
        other => out.push_str(&other.to_string()),
    }
}

fn spell_string(text: &str, taste: &mut impl Iterator<Item = u8>, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match (c, taste.next().unwrap_or(0) % 8) {
            ('"' | '\\', _) => out.extend(['\\', c]),
            ('/', 0) => out.push_str("\\/"),
            (c, 0) | (c @ '\0'..='\x1f', _) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

/// Puts spaces between tokens.
fn spaced(text: &str, taste: &[u8]) -> String {
    let mut out = String::new();
    let (mut inside, mut escaped) = (false, false);
    for (i, c) in text.chars().enumerate() {
        let taste = taste.get(i % taste.len().max(1)).copied().unwrap_or(0);
        let structural = !inside && "{}[]:,".contains(c);
        if structural && taste & 3 == 1 {
            out.push(' ');
        }
        out.push(c);
        if structural && taste & 3 == 2 {
            out.push_str("  ");
        }
        if inside && !escaped && c == '\\' {
            escaped = true;
        } else {
            inside ^= c == '"' && !escaped;
            escaped = false;
        }
    }
    // Spaces at the very end belong to no token.
    out.trim().to_owned()
}

fn event() -> impl Strategy<Value = (Value, String)> {
    (object(value()), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(value, taste)| {
        let mut text = String::new();
        spell(
            &value,
            &mut taste.iter().cycle().copied().take(taste.len() * 5),
            &mut text,
        );
        let text = if taste[0] % 2 == 0 {
            text
        } else {
            spaced(&text, &taste)
        };
        (value, text)
    })
}

fn path() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(&KEYS[..]), 1..4)
}

fn slow_project(value: &Value, paths: &[&[&str]]) -> Option<Value> {
    match value {
        Value::Object(map) => {
            let mut out = Map::new();
            for (key, value) in map {
                let inner: Vec<&[&str]> = paths.iter().filter(|p| p[0] == key).map(|p| &p[1..]).collect();
                let kept = if inner.iter().any(|p| p.is_empty()) {
                    Some(value.clone())
                } else if inner.is_empty() {
                    None
                } else {
                    slow_project(value, &inner)
                };
                out.extend(kept.map(|v| (key.clone(), v)));
            }
            Some(Value::Object(out))
        }
        Value::Array(items) => {
            let kept: Vec<Value> = items
                .iter()
                .filter_map(|item| slow_project(item, paths))
                .collect();
            (items.is_empty() || !kept.is_empty()).then_some(Value::Array(kept))
        }
        _ => None,
    }
}

fn slow_stamp(source: &Value, projected: &mut Value, dialect: Dialect, selected: bool) {
    let (Some(key), true) = (dialect.object(), selected) else {
        return;
    };
    let mut fields = json!({"topic": "eqiad.t", "partition": 3, "offset": 42});
    if dialect == Dialect::Event {
        fields.as_object_mut().unwrap().shift_remove("topic");
    }
    let source = source.as_object().unwrap();
    let mut out = Map::new();
    let mut add = |out: &mut Map<String, Value>, value: Option<&Value>| {
        let mut object = value.and_then(Value::as_object).cloned().unwrap_or_default();
        dialect
            .fields()
            .iter()
            .for_each(|f| drop(object.shift_remove(*f)));
        object.extend(fields.as_object_mut().unwrap().clone());
        out.insert(key.to_owned(), Value::Object(object));
    };
    let projected = projected.as_object_mut().unwrap();
    for name in source.keys() {
        if name == key {
            add(&mut out, projected.get(key));
        } else if let Some(value) = projected.get(name) {
            out.insert(name.clone(), value.clone());
        }
    }
    if !source.contains_key(key) {
        add(&mut out, None);
    }
    *projected = out;
}

#[derive(Debug, Clone)]
enum Ask {
    Exists,
    Equals(Value),
    Prefix(&'static str),
    AtLeast(i64),
}

#[derive(Debug, Clone)]
struct Asked {
    path: Vec<&'static str>,
    ask: Ask,
    missing: Missing,
    lists: Lists,
    list_at: u64,
}

fn asked() -> impl Strategy<Value = Asked> {
    let ask = prop_oneof![
        Just(Ask::Exists),
        prop::sample::select(vec![
            json!(0),
            json!(1),
            json!(""),
            json!("x"),
            json!(true),
            json!(false),
            json!(0.5),
            json!("2025-01-01T00:00:00Z")
        ])
        .prop_map(Ask::Equals),
        Just(Ask::Prefix("x")),
        Just(Ask::Prefix("")),
        (-1_i64..2).prop_map(Ask::AtLeast),
    ];
    (path(), ask, any::<bool>(), any::<bool>(), 0_u64..8).prop_map(|(path, ask, zero, all, list_at)| Asked {
        path,
        ask,
        missing: if zero { Missing::Zero } else { Missing::Never },
        lists: if all { Lists::All } else { Lists::Any },
        list_at,
    })
}

impl Asked {
    fn filter(&self) -> Filter {
        let field = Field {
            missing: self.missing,
            lists: self.lists,
            list_at: self.list_at,
            ..Field::plain(FieldPath::from_keys(self.path.iter().copied()).unwrap())
        };
        let number = |text: String| Literal::Number(crate::filter::Number::parse(&text).unwrap());
        match &self.ask {
            Ask::Exists => Filter::exists(field),
            Ask::Equals(Value::String(text)) => Filter::equals(field, Literal::String(text.as_str().into())),
            Ask::Equals(Value::Bool(value)) => Filter::equals(field, Literal::Bool(*value)),
            Ask::Equals(value) => Filter::equals(field, number(value.to_string())),
            Ask::Prefix(prefix) => Filter::prefix(field, prefix),
            Ask::AtLeast(limit) => Filter::range(
                field,
                Range {
                    gte: Some(number(limit.to_string())),
                    ..Range::default()
                },
            ),
        }
    }

    fn slow(&self, event: &Value) -> bool {
        self.within(event, 0)
    }

    fn within(&self, value: &Value, depth: usize) -> bool {
        match value {
            Value::Object(map) => match map.get(self.path[depth]).filter(|v| !v.is_null()) {
                Some(value) if depth + 1 == self.path.len() => match value {
                    Value::Array(_) if matches!(self.ask, Ask::Exists) => true,
                    Value::Array(items) => self.any_scalar(items),
                    value => self.holds(value),
                },
                Some(value) => self.within(value, depth + 1),
                None if depth + 1 == self.path.len() => self.missing == Missing::Zero && self.zero(),
                None => self.lists == Lists::All && self.list_at >> depth & 1 == 1,
            },
            Value::Array(items) if self.lists == Lists::All => {
                items.iter().all(|item| self.within(item, depth))
            }
            Value::Array(items) => items.iter().any(|item| self.within(item, depth)),
            _ => false,
        }
    }

    fn any_scalar(&self, items: &[Value]) -> bool {
        items.iter().any(|item| match item {
            Value::Array(items) => self.any_scalar(items),
            Value::Null | Value::Object(_) => false,
            scalar => self.holds(scalar),
        })
    }

    fn holds(&self, value: &Value) -> bool {
        match &self.ask {
            Ask::Exists => true,
            Ask::Equals(wanted @ Value::Number(_)) => value.is_number() && value.as_f64() == wanted.as_f64(),
            Ask::Equals(wanted) => {
                value == wanted || wanted == "2025-01-01T00:00:00Z" && value == "2025-01-01T01:00:00+01:00"
            }
            Ask::Prefix(prefix) => value.as_str().is_some_and(|s| s.starts_with(prefix)),
            Ask::AtLeast(limit) => value.is_number() && value.as_f64().is_some_and(|f| f >= *limit as f64),
        }
    }

    fn zero(&self) -> bool {
        match &self.ask {
            Ask::Exists => false,
            Ask::Equals(value) => *value == json!(0) || value == "" || *value == json!(false),
            Ask::Prefix(prefix) => prefix.is_empty(),
            Ask::AtLeast(limit) => *limit <= 0,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn projections_are_what_serde_json_says(
        (value, text) in event(),
        paths in prop::collection::vec(path(), 0..6),
        dialect in prop::sample::select(vec![Dialect::Bare, Dialect::Meta, Dialect::Event]),
    ) {
        let slices: Vec<&[&str]> = paths.iter().map(Vec::as_slice).collect();
        let mut expected = if paths.is_empty() { value.clone() } else { slow_project(&value, &slices).unwrap() };
        let selected = paths.is_empty() || paths.iter().any(|p| Some(p[0]) == dialect.object());
        slow_stamp(&value, &mut expected, dialect, selected);
        let projection = (!paths.is_empty()).then(|| {
            Projection::new(paths.iter().map(|p| FieldPath::from_keys(p.iter().copied()).unwrap())).unwrap()
        });
        let spec = SelectionSpec { projection, dialect, ..SelectionSpec::default() };
        let (verdict, out) = apply(spec, &text);
        prop_assert_eq!(verdict, Verdict::Sent);
        let read: Value = serde_json::from_str(&out).unwrap();
        prop_assert_eq!(read.to_string(), expected.to_string(), "{} from {}", out, text);
    }

    #[test]
    fn filters_are_what_serde_json_says(
        (value, text) in event(),
        asked in prop::collection::vec((asked(), any::<bool>()), 1..5),
        any in any::<bool>(), not in any::<bool>(),
        fields in prop::option::of(path()),
    ) {
        let filters: Vec<Filter> = asked.iter().map(|(a, negated)| {
            if *negated { Filter::not(a.filter()) } else { a.filter() }
        }).collect();
        let outcomes = asked.iter().map(|(a, negated)| a.slow(&value) ^ negated);
        let (filter, expected) = if any {
            (Filter::any(filters), outcomes.into_iter().any(|o| o))
        } else {
            (Filter::all(filters), outcomes.into_iter().all(|o| o))
        };
        let (filter, expected) = if not { (Filter::not(filter), !expected) } else { (filter, expected) };
        let projection = fields.map(|p| Projection::new([FieldPath::from_keys(p).unwrap()]).unwrap());
        // Stored fields keep their meaning here: none is added.
        let spec = SelectionSpec { filter: Some(filter), projection, ..SelectionSpec::default() };
        let (verdict, _) = apply(spec, &text);
        prop_assert_eq!(verdict == Verdict::Sent, expected, "{} of {}", text, value);
    }

    #[test]
    fn values_are_found_where_serde_json_finds_them((value, text) in event(), path in path()) {
        let found = Text::trusted(text.as_bytes()).unwrap().get_keys(path.iter().copied()).unwrap();
        let expected = path.iter().try_fold(&value, |v, key| v.as_object()?.get(*key));
        let read = found.map(|raw| serde_json::from_slice::<Value>(raw.bytes()).unwrap());
        prop_assert_eq!(read.as_ref(), expected);
        for dialect in [Dialect::Meta, Dialect::Event] {
            let document = crate::json::Document::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(find_splice(text.as_bytes(), dialect), crate::splice::find_splice_in(document.root(), dialect));
        }
    }

    #[test]
    fn broken_text_never_panics(
        (_, text) in event(), cut in any::<prop::sample::Index>(), put in any::<prop::sample::Index>(), byte in any::<u8>(),
        asked in asked(), fields in path(), splice in 0_usize..80
    ) {
        let mut bytes = text.into_bytes();
        let at = put.index(bytes.len());
        bytes[at] = byte;
        let end = if byte % 2 == 0 { bytes.len() } else { cut.index(bytes.len()) };
        let projection = Some(Projection::new([FieldPath::from_keys(fields).unwrap()]).unwrap());
        let redaction = Some(Arc::new(Redaction::new([("x", ["y"])])));
        for projection in [None, projection] {
            let spec = SelectionSpec {
                filter: Some(asked.filter()), projection, dialect: Dialect::Meta, separators: Separators::Escaped,
                redaction: redaction.clone(),
            };
            let selection = Selection::new(spec).unwrap();
            let origin = Origin::new("t", 0, Dialect::Meta);
            let mut out = Vec::new();
            for flags in [Flags::CHECKED, Flags::NONE] {
                let verdict = selection.apply(record(&bytes[..end], flags, Splice::at(splice)), &origin, &mut out);
                if flags == Flags::NONE {
                    // Untrusted bytes are events or refused (lone surrogates are for each reader to judge).
                    let readable = serde_json::from_slice::<Map<String, Value>>(&bytes[..end]).is_ok()
                        || memchr::memmem::find(&bytes, b"\\ud").is_some();
                    prop_assert!(readable || verdict == Verdict::Unreadable);
                }
                prop_assert!(verdict == Verdict::Sent || out.is_empty());
                out.clear();
            }
        }
    }
}

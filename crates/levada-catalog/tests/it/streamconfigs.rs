//! The cases S1 to S44 of contract eventplatform §6.3.

use std::sync::Arc;
use std::time::SystemTime;

use levada_catalog::{Compat, Snapshot, api};
use serde_json::{Value, json};

use crate::shared::of;

const JOB: &str = r"/^mediawiki\.job\..+/";

fn fixture() -> Value {
    json!({
        "default_settings": {"topic_prefixes": ["eqiad.", "codfw."]},
        "streams": {
            "0": {"stream": "integer_indexed", "destination_event_service": "eventgate-main"},
            "nonya": {"topics": ["nonya_topic"], "destination_event_service": "eventgate-analytics"},
            "eventlogging_Test": {"topic_prefixes": null, "destination_event_service": "eventgate-analytics"},
            "test.event": {"topic_prefixes": ["dc1.", "dc2."], "destination_event_service": "eventgate-main"},
            JOB: {"destination_event_service": "eventgate-main"}
        }
    })
}

fn answer(snapshot: &Snapshot, parameters: &str) -> api::ApiAnswer {
    answer_as(snapshot, parameters, &Compat::default())
}

fn answer_as(snapshot: &Snapshot, parameters: &str, compat: &Compat) -> api::ApiAnswer {
    let query = api::Query::parse(&format!("action=streamconfigs&{parameters}"));
    api::stream_configs(snapshot, &query, None, SystemTime::UNIX_EPOCH, compat)
}

fn text(snapshot: &Snapshot, parameters: &str) -> String {
    String::from_utf8(answer(snapshot, parameters).body.to_vec()).unwrap()
}

fn body(snapshot: &Snapshot, parameters: &str) -> Value {
    serde_json::from_str(&text(snapshot, parameters)).unwrap()
}

fn names(snapshot: &Snapshot, parameters: &str) -> Vec<String> {
    body(snapshot, parameters)["streams"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

fn header<'a>(answer: &'a api::ApiAnswer, name: &str) -> Option<&'a str> {
    answer
        .headers
        .iter()
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.as_str())
}

/// A stream's settings when nothing but the name is asked for.
async fn merged(document: Value, name: &str) -> Value {
    body(&*of(document).await, &format!("streams={name}"))["streams"][name].clone()
}

#[tokio::test]
async fn streams_are_selected_by_name() {
    let f = of(fixture()).await;
    // S1
    assert_eq!(
        names(&f, ""),
        ["integer_indexed", "nonya", "eventlogging_Test", "test.event", JOB]
    );
    assert_eq!(
        body(&f, "")["streams"][JOB]["topics"],
        json!([r"/^(eqiad\.|codfw\.)mediawiki\.job\..+/"])
    );
    // S2
    let nonya = &body(&f, "streams=nonya")["streams"]["nonya"];
    assert_eq!(nonya["topics"], json!(["nonya_topic"]));
    assert_eq!(nonya["topic_prefixes"], json!(["eqiad.", "codfw."]));
    // S3
    let legacy = &body(&f, "streams=eventlogging_Test")["streams"]["eventlogging_Test"];
    assert_eq!(legacy["topics"], json!(["eventlogging_Test"]));
    assert_eq!(legacy["topic_prefixes"], Value::Null);
    // S4
    let test = &body(&f, "streams=test.event")["streams"]["test.event"];
    assert_eq!(test["topics"], json!(["dc1.test.event", "dc2.test.event"]));
    // S5
    let jobs = body(&f, "streams=mediawiki.job.B|mediawiki.job.A")["streams"].clone();
    assert_eq!(
        jobs.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["mediawiki.job.B", "mediawiki.job.A"]
    );
    assert_eq!(jobs["mediawiki.job.A"]["stream"], JOB);
    assert_eq!(
        jobs["mediawiki.job.A"]["topics"],
        json!(["eqiad.mediawiki.job.A", "codfw.mediawiki.job.A"])
    );
    // S6, S8
    for parameters in ["streams=unconfigured", "streams="] {
        assert_eq!(text(&f, parameters), r#"{"streams":{}}"#);
        assert_eq!(answer(&f, parameters).status, 200);
    }
    // S7
    assert_eq!(names(&f, "streams=nonya|unconfigured"), ["nonya"]);
    // S9
    assert_eq!(names(&f, "streams=/%5Emediawiki%5C.job%5C..%2B/"), [JOB]);
    // S10
    let many: Vec<String> = (0..251).map(|i| format!("s{i}")).collect();
    let refused = answer(&f, &format!("streams={}", many.join("|")));
    assert_eq!(
        (refused.status, header(&refused, "MediaWiki-API-Error")),
        (200, Some("toomanyvalues"))
    );
    let error = serde_json::from_slice::<Value>(&refused.body).unwrap()["error"].clone();
    assert_eq!(error["code"], "toomanyvalues");
    assert_eq!(
        error["info"],
        "Too many values supplied for parameter \"streams\". The limit is 250."
    );
    assert_eq!(
        (&error["parameter"], &error["limit"]),
        (&json!("streams"), &json!(250))
    );
    assert_eq!(
        (&error["lowlimit"], &error["highlimit"]),
        (&json!(250), &json!(500))
    );
    assert!(header(&refused, "Cache-Control").unwrap().starts_with("private"));
    // S11
    assert_eq!(
        names(&f, "streams=%1Fnonya%1Ftest.event"),
        ["nonya", "test.event"]
    );
    // S12
    assert_eq!(names(&f, "streams=nonya|nonya"), ["nonya"]);
}

#[tokio::test]
async fn streams_are_selected_by_constraints() {
    let f = of(fixture()).await;
    // S13
    let main = "constraints=destination_event_service%3Deventgate-main";
    assert_eq!(names(&f, main), ["integer_indexed", "test.event", JOB]);
    // S14
    assert_eq!(
        names(&f, &format!("{main}&streams=mediawiki.job.x")),
        ["mediawiki.job.x"]
    );
    assert!(names(&f, &format!("{main}&streams=nonya")).is_empty());
    // S22, S25
    assert!(names(&f, "constraints=topics[0]%3Deqiad.integer_indexed").is_empty());
    assert_eq!(names(&f, "constraints=topics[0]%3Dnonya_topic"), ["nonya"]);
    assert_eq!(names(&f, "constraints=stream%3Dmediawiki.job.foo"), [JOB]);
    assert_eq!(names(&f, "constraints=stream%3Dnonya"), ["nonya"]);
    // S23, S26
    assert!(!names(&f, "constraints=topic_prefixes%3D").contains(&"eventlogging_Test".to_owned()));
    assert!(names(&f, "constraints=nosuch%3D1").is_empty());
    assert_eq!(names(&f, "constraints=").len(), 5);
}

#[tokio::test]
async fn constraints_compare_as_in_php() {
    let f = of(json!({"streams": {
        "nested": {"foo": {"bar": "baz"}},
        "on": {"canary_events_enabled": true}, "off": {"canary_events_enabled": false},
        "qux_producer": {"x": ["hello", "world"]}, "map": {"m": {"a": "b"}},
        "numbers": {"rate": 0.15, "n": 5, "one": 1.0}
    }}))
    .await;
    for (constraints, expected) in [
        ("foo[bar]%3Dbaz", &["nested"][..]),    // S15
        ("foo%3Dtrue", &[]),                    // S16
        ("canary_events_enabled%3D1", &["on"]), // S17
        ("canary_events_enabled%3Dtrue", &[]),
        ("canary_events_enabled%3D", &["off"]),
        ("canary_events_enabled", &["off"]),
        ("n%3D5|rate%3D0.15", &["numbers"]), // S18
        ("n%3D5%26rate%3D0.15", &["numbers"]),
        ("n%3D5|n%3D6", &[]),                // S19
        ("x[0]%3Dworld", &["qux_producer"]), // S20
        ("x[0]%3Dhello|x[1]%3Dworld|x[2]%3Dquux", &[]),
        ("m[0]%3Db", &[]),             // S21
        ("rate%3D0.15", &["numbers"]), // S24
        ("rate%3D.15", &[]),
        ("n%3D5.0", &[]),
        ("one%3D1", &["numbers"]),
        ("one%3D1.0", &[]),
    ] {
        assert_eq!(
            names(&f, &format!("constraints={constraints}")),
            expected,
            "{constraints}"
        );
    }
}

#[tokio::test]
async fn other_parameters_are_taken_as_they_come() {
    let f = of(fixture()).await;
    // S27
    let deprecated = body(&f, "all_settings=1");
    assert_eq!(deprecated["streams"], body(&f, "")["streams"]);
    assert!(
        deprecated["warnings"]["streamconfigs"]["warnings"]
            .as_str()
            .unwrap()
            .contains("deprecated")
    );
    // S28
    assert_eq!(names(&f, "all_settings=truestreams=a%7Cb").len(), 5);
    // S29
    for format in [
        "",
        "format=json",
        "format=xml",
        "format=php&formatversion=latest",
        "formatversion=2",
    ] {
        assert_eq!(names(&f, format).len(), 5);
        assert_eq!(
            header(&answer(&f, format), "Content-Type"),
            Some("application/json; charset=utf-8")
        );
    }
    // S30
    let refused = answer(&f, "formatversion=1");
    assert_eq!(header(&refused, "MediaWiki-API-Error"), Some("badvalue"));
    // S41
    assert_eq!(
        header(&answer(&f, ""), "Cache-Control"),
        Some("max-age=600, s-maxage=600, public")
    );
    assert!(
        header(&answer(&f, ""), "Vary")
            .unwrap()
            .contains("Treat-as-Untrusted")
    );
    // Ours: the tag of the answer.
    let first = answer(&f, "streams=nonya");
    let query = api::Query::parse("action=streamconfigs&streams=nonya");
    let again =
        |tag: &str| api::stream_configs(&f, &query, Some(tag), SystemTime::UNIX_EPOCH, &Compat::default());
    assert_eq!(again(header(&first, "ETag").unwrap()).status, 304);
    assert_eq!(again("\"other\"").status, 200);
    let query = api::Query::parse("action=query");
    let refused = api::stream_configs(&f, &query, None, SystemTime::UNIX_EPOCH, &Compat::default());
    assert_eq!(header(&refused, "MediaWiki-API-Error"), Some("badvalue"));
}

#[tokio::test]
async fn answers_are_printed_as_declared() {
    let document =
        json!({"streams": {"empty": {}, "s": {"map": {}, "list": [], "on": true, "off": false, "u": "é/"}}});
    let f = of(document).await;
    // S31: stream and topics are all there is to an empty entry; nothing turns into a list.
    let plain = text(&f, "streams=empty");
    assert_eq!(
        plain,
        r#"{"streams":{"empty":{"stream":"empty","topics":["empty"]}}}"#
    );
    // S32, S33
    let expected = r#""map":{},"list":[],"on":true,"off":false,"u":"é/""#;
    assert!(text(&f, "").contains(expected), "{}", text(&f, ""));
    let compat = Compat {
        empty_maps_as_lists: true,
        ..Compat::default()
    };
    let php = String::from_utf8(answer_as(&f, "", &compat).body.to_vec()).unwrap();
    assert!(php.contains(r#""map":[],"list":[],"on":true"#), "{php}");
    assert_eq!(text(&f, "streams=none"), r#"{"streams":{}}"#);
    let hidden =
        of(json!({"streams": {"s": {"levada": {"partitions": 2, "redaction": {"d": ["Secret"]}}}}})).await;
    assert!(text(&hidden, "").contains(r#""levada":{"partitions":2}"#));
}

#[tokio::test]
async fn entries_merge_over_the_defaults() {
    // S34
    let lists = |own: Value| json!({"default_settings": {"l": ["a", "b"]}, "streams": {"s": {"l": own}}});
    assert_eq!(merged(lists(json!(["x"])), "s").await["l"], json!(["x", "b"]));
    // S35
    assert_eq!(merged(lists(json!([])), "s").await["l"], json!(["a", "b"]));
    // S36
    let over =
        |below: Value, own: Value| json!({"default_settings": {"k": below}, "streams": {"s": {"k": own}}});
    assert_eq!(merged(over(json!({"a": 1}), json!("x")), "s").await["k"], "x");
    assert_eq!(
        merged(over(json!("x"), json!({"a": 1})), "s").await["k"],
        json!({"a": 1})
    );
    // S37
    let ingestion = |settings: Value| json!({"consumers": {"analytics_hadoop_ingestion": settings}});
    let document = json!({
        "default_settings": ingestion(json!({"job_name": "event_default", "enabled": true})),
        "streams": {"s": ingestion(json!({"job_name": "eventlogging_legacy"}))}
    });
    assert_eq!(
        merged(document, "s").await["consumers"]["analytics_hadoop_ingestion"],
        json!({"job_name": "eventlogging_legacy", "enabled": true})
    );
    // S38
    assert_eq!(
        merged(json!({"streams": {"s": {"stream": "other"}}}), "s").await["stream"],
        "s"
    );
    // Key order: defaults first, then what is new, then stream, then topics.
    let document = json!({
        "default_settings": {"topic_prefixes": ["p."], "canary_events_enabled": true},
        "streams": {"s": {"schema_title": "t", "canary_events_enabled": false}}
    });
    assert_eq!(
        merged(document, "s").await.to_string(),
        r#"{"topic_prefixes":["p."],"canary_events_enabled":false,"schema_title":"t","stream":"s","topics":["p.s"]}"#
    );
}

#[tokio::test]
async fn patterns_and_sources_are_ranked() {
    // S39: reported, and the others stay.
    let f = of(json!({"streams": {"/a": {}, "/a/b": {}, "/(a/": {}, "good": {}}})).await;
    assert_eq!(names(&f, ""), ["good"]);
    assert_eq!(f.problems().len(), 3);
    // S40
    let f = of(json!({"streams": {"/^a/": {"n": 1}, "/^ab/": {"n": 2}, "abc": {"n": 3}}})).await;
    let number = |name: &str| body(&f, &format!("streams={name}"))["streams"][name]["n"].clone();
    assert_eq!((number("abd"), number("abc")), (json!(1), json!(3)));
    // S44: a later source's entry wins entirely, as the configuration file does over a hook's.
    let sources = vec![
        levada_catalog::Source::inline("hook", json!({"streams": {"s": {"a": 1}, "t": {}}}).to_string()),
        levada_catalog::Source::inline("file", json!({"streams": {"s": {"b": 2}}}).to_string()),
    ];
    let config = levada_catalog::CatalogConfig {
        sources,
        ..Default::default()
    };
    let catalog = levada_catalog::Catalog::open(config, Arc::new(levada_catalog::NoFetch))
        .await
        .unwrap();
    let both = catalog.snapshot();
    assert_eq!(names(&both, ""), ["s", "t"]);
    assert_eq!(
        body(&both, "")["streams"]["s"],
        json!({"b": 2, "stream": "s", "topics": ["s"]})
    );
}

#[tokio::test]
async fn eventgate_shows_its_own_view() {
    let f = of(fixture()).await;
    let view = |names: Option<&str>, service: Option<&str>| {
        let answer = api::eventgate_stream_configs(&f, names, service);
        let map: Value = serde_json::from_slice(&answer.body).unwrap();
        map.as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(view(None, None).len(), 5);
    assert_eq!(
        view(None, Some("eventgate-analytics")),
        ["nonya", "eventlogging_Test"]
    );
    assert_eq!(
        view(Some("nonya,unconfigured|mediawiki.job.x"), None),
        ["nonya", "mediawiki.job.x"]
    );
    assert_eq!(
        view(Some("nonya|mediawiki.job.x"), Some("eventgate-main")),
        ["mediawiki.job.x"]
    );
}

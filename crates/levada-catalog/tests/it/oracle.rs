//! The merge against the exact results of the reference, and constraints against its counts.

use std::sync::Arc;
use std::time::SystemTime;

use levada_catalog::{Compat, Snapshot, Source, api};
use serde_json::{Map, Value};

use crate::shared::{json, production, reference, snapshot};

fn settings(snapshot: &Snapshot) -> Value {
    let streams = snapshot.streams().iter();
    Value::Object(
        streams
            .map(|s| (s.key.clone(), Value::Object(s.settings.clone())))
            .collect::<Map<_, _>>(),
    )
}

/// Text and not value: so keys are compared in their order, and numbers as they are written.
fn assert_same(ours: &Value, theirs: &Value) {
    let (ours, theirs) = (ours.as_object().unwrap(), theirs.as_object().unwrap());
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (name, theirs) in theirs {
        assert_eq!(ours[name].to_string(), theirs.to_string(), "{name}");
    }
}

#[tokio::test]
async fn the_merge_equals_the_reference() {
    for wiki in ["metawiki", "enwiki"] {
        let Some(ours) = production(wiki, &[], "2 merged configurations").await else {
            return;
        };
        assert!(ours.problems().is_empty(), "{:?}", ours.problems());
        let oracle = reference(&format!("streamconfig/merged-{wiki}.json"), "an oracle").unwrap();
        let theirs = json(&oracle);
        assert_eq!(theirs.as_object().unwrap().len(), 244);
        assert_same(&settings(&ours), &theirs);
    }
}

/// A merged configuration read back is the same configuration, in either of its shapes.
#[tokio::test]
async fn answers_of_the_api_read_as_what_they_were_made_from() {
    let Some(path) = reference("streamconfig/merged-enwiki.json", "2 answers") else {
        return;
    };
    let oracle = json(&path);
    let bare = snapshot(Source::at(&path.display().to_string()), None, &[]).await;
    assert_same(&settings(&bare), &oracle);
    let ours = production("enwiki", &[], "an answer").await.unwrap();
    let answer = ask(&ours, "");
    let again = snapshot(Source::inline("api", answer), None, &[]).await;
    assert_same(&settings(&again), &oracle);
    let job = again.stream("mediawiki.job.refreshLinks").unwrap();
    assert_eq!(
        job.topics,
        [
            "eqiad.mediawiki.job.refreshLinks",
            "codfw.mediawiki.job.refreshLinks"
        ]
    );
}

#[tokio::test]
async fn overrides_apply_to_their_wikis() {
    let rate = async |wiki: &str, tags: &[&str]| {
        let snapshot = production(wiki, tags, "4 overrides").await?;
        Some(snapshot.stream("mediawiki.web_ui_actions").unwrap().settings["sample"]["rate"].to_string())
    };
    if rate("metawiki", &[]).await.is_none() {
        return;
    }
    // S42
    assert_eq!(rate("metawiki", &[]).await.unwrap(), "0.2");
    assert_eq!(rate("enwiki", &[]).await.unwrap(), "0.01");
    assert_eq!(rate("testwiki", &[]).await.unwrap(), "1");
    assert_eq!(rate("officewiki", &["private"]).await.unwrap(), "0");
    // S43
    let office = production("officewiki", &["private"], "1 override")
        .await
        .unwrap();
    let enabled = |name: &str| {
        office.stream(name).unwrap().settings["producers"]["mediawiki_eventbus"]["enabled"].clone()
    };
    assert_eq!(enabled("mediawiki.job.A"), true);
    assert_eq!(enabled("mediawiki.page_change.private.v1"), true);
    assert_eq!(enabled("mediawiki.page_change.v1"), false);
}

fn ask(snapshot: &Arc<Snapshot>, parameters: &str) -> String {
    let query = api::Query::parse(&format!("action=streamconfigs&format=json&{parameters}"));
    let answer = api::stream_configs(snapshot, &query, None, SystemTime::UNIX_EPOCH, &Compat::default());
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// The counts measured on the reference (contract eventplatform §4.4).
const MATCHES: &[(&str, usize)] = &[
    ("", 244),
    ("destination_event_service=eventgate-main", 64),
    ("destination_event_service=eventgate-analytics", 17),
    ("destination_event_service=eventgate-analytics-external", 146),
    ("destination_event_service=eventgate-logging-external", 5),
    ("canary_events_enabled=1", 217),
    ("canary_events_enabled=true", 0),
    ("canary_events_enabled=", 27),
    ("canary_events_enabled", 27),
    (
        "canary_events_enabled=1|destination_event_service=eventgate-main",
        52,
    ),
    (
        "destination_event_service=eventgate-main&canary_events_enabled=1",
        52,
    ),
    (
        "destination_event_service=eventgate-main|destination_event_service=eventgate-analytics",
        0,
    ),
    ("destination_event_service=eventgate-main=x", 64),
    ("consumers[analytics_hadoop_ingestion][enabled]=1", 231),
    ("consumers[analytics_hadoop_ingestion][enabled]=", 13),
    (
        "consumers[analytics_hadoop_ingestion][job_name]=eventlogging_legacy",
        43,
    ),
    ("topic_prefixes[0]=eqiad.", 200),
    ("topic_prefixes[0]=codfw.", 200),
    ("topic_prefixes[]=eqiad.", 0),
    ("topic_prefixes[0]=eqiad.|topic_prefixes[1]=codfw.", 200),
    (
        "producers[eventgate][enrich_fields_from_http_headers][http.request_headers.user-agent]=user-agent",
        137,
    ),
    (
        "producers[metrics_platform_client][provide_values][0]=mediawiki_skin",
        6,
    ),
    ("producers[eventgate][use_edge_uniques]=1", 4),
    ("sample[unit]=session", 3),
    ("stream=mediawiki.job.foo", 1),
    ("schema_title=mediawiki/page/change", 5),
    ("message_key_fields[page_id]=page.page_id", 8),
    ("topics[0]=eqiad.mediawiki.page_change.v1", 0),
    ("nosuch=1", 0),
    ("producers[mediawiki_eventbus]=1", 0),
];

#[tokio::test]
async fn constraints_match_as_often_as_in_the_reference() {
    let cases = format!("{} counts", MATCHES.len());
    let Some(snapshot) = production("metawiki", &[], &cases).await else {
        return;
    };
    for (constraints, count) in MATCHES {
        let encoded: String = constraints
            .bytes()
            .map(|b| {
                if b.is_ascii_alphanumeric() {
                    char::from(b).to_string()
                } else {
                    format!("%{b:02X}")
                }
            })
            .collect();
        let parameter = if constraints.is_empty() {
            String::new()
        } else {
            format!("constraints={encoded}")
        };
        let answer: Value = serde_json::from_str(&ask(&snapshot, &parameter)).unwrap();
        assert_eq!(
            answer["streams"].as_object().unwrap().len(),
            *count,
            "{constraints}"
        );
    }
    let answer: Value =
        serde_json::from_str(&ask(&snapshot, "constraints=stream%3Dmediawiki.job.foo")).unwrap();
    assert!(answer["streams"].get(r"/^mediawiki\.job\..+/").is_some());
    let full = ask(&snapshot, "");
    assert!((150_000..170_000).contains(&full.len()), "{}", full.len());
}

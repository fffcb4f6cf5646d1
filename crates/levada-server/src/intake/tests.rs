//! Where error events go, and how long a batch waits for a log that does not answer.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use levada_catalog::{
    Catalog, CatalogConfig, Compat, NoFetch, SchemaConfig, SchemaRepository, Source, canary_event,
};
use levada_event::{Bounds, Offset, Position, Record, RecordBatch, Timestamp, TopicName, TopicPartition};
use levada_log::embedded::{Embedded, EmbeddedOptions};
use levada_log::memory::{Memory, MemoryOptions};
use levada_log::{Log, LogError, LogFacts, Partitioner, ReadLimit, Retention, TopicInfo, TopicSpec};
use tokio::time::Instant;

use super::{Intake, IntakeOptions, RequestContext};

mod repeats;

const STREAMS: &str = "streams:
  a: {schema_title: test, topics: [east.a, west.a]}
  once: {schema_title: test, levada: {dedupe_window: 1h}}
  errors: {schema_title: error}
  for_an_hour: {schema_title: test, topics: [east.a, west.a], levada: {retention: {age: 1h}}}
  for_a_day: {schema_title: test, levada: {retention: {age: 1d}}}
  elsewhere: {schema_title: test, topics: [west.a]}
";
const TEST: &str = "title: test
$id: /test/1.0.0
type: object
properties: {$schema: {type: string}, meta: {type: object, properties: {stream: {type: string}, id: {type: string}, domain: {type: string}, dt: {type: string}}}, n: {type: integer}}
examples: [{$schema: /test/1.0.0, meta: {stream: x}, n: no number}]
";
const ERROR: &str = "{title: error, $id: /error/2.1.0, type: object}";
const DEADLINE: Duration = Duration::from_secs(2);

struct Site {
    _folder: tempfile::TempDir,
    catalog: Arc<Catalog>,
    schemas: Arc<SchemaRepository>,
    intake: Intake,
}

async fn site(log: Arc<dyn Log>) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("streams.yaml", STREAMS);
    write("test/1.0.0", TEST);
    write("error/2.1.0", ERROR);
    let at = |path: &Path| path.to_str().unwrap().to_owned();
    let streams = CatalogConfig {
        sources: vec![Source::at(&at(&folder.path().join("streams.yaml")))],
        wiki: None,
        wiki_tags: Vec::new(),
        aliases: Default::default(),
        ttl: None,
        compat: Compat::default(),
    };
    let catalog = Arc::new(Catalog::open(streams, Arc::new(NoFetch)).await.unwrap());
    let bases = SchemaConfig {
        base_uris: vec![format!("{}/", at(folder.path()))],
        ..SchemaConfig::default()
    };
    let schemas = Arc::new(SchemaRepository::new(bases, Arc::new(NoFetch)));
    for uri in ["/test/1.0.0", "/error/2.1.0"] {
        schemas.schema(uri).await.unwrap();
    }
    let options = IntakeOptions {
        service: None,
        topic_prefix: String::new(),
        error_stream: Some("errors".into()),
        event_bytes_max: 1 << 20,
        batch_events_max: 100,
        deadline: DEADLINE,
        retention: Retention {
            age: None,
            bytes: None,
        },
        emitter: "test".into(),
        partitioner: Partitioner::default(),
    };
    let intake = Intake::new(catalog.clone(), schemas.clone(), log, options);
    Site {
        _folder: folder,
        catalog,
        schemas,
        intake,
    }
}

fn request(topic: Option<&str>) -> RequestContext {
    RequestContext {
        headers: Box::new(|_| None),
        peer: std::net::Ipv4Addr::LOCALHOST.into(),
        request_id: "r".to_owned().into(),
        schema_uri: None,
        stream: None,
        received: Timestamp::from_millis(1_700_000_000_000),
        due: Instant::now() + DEADLINE,
        may_write: None,
        hasty: false,
        topic: topic.map(str::to_owned),
    }
}

async fn texts(log: &Memory, topic: &str) -> Vec<String> {
    let of = TopicPartition::new(TopicName::new(topic).unwrap(), 0);
    let limit = ReadLimit {
        bytes: 1 << 20,
        wait: Duration::ZERO,
    };
    match log.read(&of.at(0), limit).await {
        Ok(batch) => batch
            .iter()
            .map(|record| String::from_utf8_lossy(record.value).into_owned())
            .collect(),
        Err(LogError::UnknownTopic(_)) => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn error_events_of_a_canary_go_to_the_error_stream() {
    let log = Arc::new(Memory::new(MemoryOptions::default()));
    let site = site(log.clone()).await;
    let stream = site.catalog.snapshot().stream("a").unwrap();
    let schema = site.schemas.schema("/test/1.0.0").await.unwrap();
    let canary = canary_event(&stream, &schema, None).unwrap();
    let report = site
        .intake
        .submit(&canary, &request(Some("west.a")))
        .await
        .unwrap();
    assert_eq!(report.failures.len(), 1, "the example breaks its own schema");
    let errors = texts(&log, "errors").await;
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains(r#""errored_stream_name":"a""#), "{errors:?}");
    for topic in ["west.a", "east.a"] {
        assert_eq!(texts(&log, topic).await, Vec::<String>::new());
    }
    // What is valid still goes to the topic that the request names.
    let good = br#"{"$schema":"/test/1.0.0","meta":{"stream":"a"},"n":1}"#;
    let report = site.intake.submit(good, &request(Some("west.a"))).await.unwrap();
    assert!(report.failures.is_empty());
    assert_eq!(texts(&log, "west.a").await.len(), 1);
}

#[tokio::test]
async fn keys_stay_where_they_are_until_a_restart() {
    let log = Arc::new(Memory::new(MemoryOptions::default()));
    let site = site(log.clone()).await;
    let due = Instant::now() + DEADLINE;
    // As stream `a` is declared at different times.
    let partitions = async |declared, named| {
        let stream = site.catalog.snapshot().stream(declared).unwrap();
        let topic = site.intake.topic(&stream, ("a", named), due).await;
        topic.map(|topic| topic.partitions()).unwrap()
    };
    assert_eq!(partitions("a", None).await, 1);
    log.widen(&TopicName::new("east.a").unwrap(), 8);
    assert_eq!(partitions("a", None).await, 1);
    // What is declared anew is told to the log; the topic is the same.
    assert_eq!(partitions("for_an_hour", None).await, 1);
    assert_eq!(partitions("a", Some("east.a")).await, 1);
    // Where it is another, that one's number counts.
    log.create(&TopicSpec {
        name: TopicName::new("west.a").unwrap(),
        partitions: 3,
        retention: Retention {
            age: None,
            bytes: None,
        },
    });
    assert_eq!(partitions("elsewhere", None).await, 3);
}

#[tokio::test]
async fn a_shared_topic_is_kept_as_long_as_the_most_generous_stream_says() {
    let folder = tempfile::tempdir().unwrap();
    let log = Embedded::open(EmbeddedOptions::new(folder.path())).unwrap();
    let site = site(log.clone()).await;
    // `a` shares its topic with this stream and keeps events for ever.
    for (stream, topic) in [("for_an_hour", "east.a"), ("for_a_day", "for_a_day")] {
        let event = format!(r#"{{"$schema":"/test/1.0.0","meta":{{"stream":"{stream}"}},"n":1}}"#);
        let report = site
            .intake
            .submit(event.as_bytes(), &request(None))
            .await
            .unwrap();
        assert!(report.failures.is_empty());
        let topics = log.topics();
        let made = topics.iter().find(|made| made.name.as_str() == topic).unwrap();
        let age = (stream == "for_a_day").then_some(Duration::from_secs(24 * 3600));
        assert_eq!(made.retention, Retention { age, bytes: None }, "{stream}");
    }
    log.close().await;
}

/// A log that does not answer: not when asked for topics, or only not when asked what they hold.
struct Silent {
    facts: LogFacts,
    tells_topics: bool,
}

#[async_trait]
impl Log for Silent {
    fn facts(&self) -> &LogFacts {
        &self.facts
    }

    async fn topic(&self, spec: &TopicSpec) -> Result<TopicInfo, LogError> {
        if !self.tells_topics {
            std::future::pending::<()>().await;
        }
        Ok(TopicInfo {
            partitions: spec.partitions,
        })
    }

    async fn append(&self, _: &TopicPartition, _: Vec<Record>) -> Result<Offset, LogError> {
        std::future::pending().await
    }

    async fn read(&self, _: &Position, _: ReadLimit) -> Result<RecordBatch, LogError> {
        std::future::pending().await
    }

    async fn bounds(&self, _: &TopicPartition) -> Result<Bounds, LogError> {
        std::future::pending().await
    }

    async fn offset_at(&self, _: &TopicPartition, _: Timestamp) -> Result<Option<Offset>, LogError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_batch_waits_once_for_a_log_that_does_not_answer() {
    let silent = |tells_topics| {
        let facts = Memory::new(MemoryOptions::default()).facts().clone();
        site(Arc::new(Silent { facts, tells_topics }))
    };
    let (no_topics, no_records) = (silent(false).await, silent(true).await);
    tokio::time::pause();
    for (site, told) in [
        (no_topics, "within the request's deadline; try again"),
        (no_records, "are still being looked up; try again"),
    ] {
        let events: Vec<_> = (0..5)
            .map(|n| format!(r#"{{"$schema":"/test/1.0.0","meta":{{"stream":"once","id":"{n}"}},"n":{n}}}"#))
            .collect();
        let (request, began) = (request(None), Instant::now());
        let body = format!("[{}]", events.join(","));
        let report = site.intake.submit(body.as_bytes(), &request).await.unwrap();
        // The clock of the runtime moves in steps of a millisecond.
        let took = began.elapsed();
        assert!(took < DEADLINE + Duration::from_millis(10), "{took:?}");
        assert_eq!(report.failures.len(), 5);
        for failure in &report.failures {
            assert_eq!(failure.code.as_str(), "storage_unavailable");
            assert!(
                failure.context.text().ends_with(told),
                "{}",
                failure.context.text()
            );
        }
    }
}

#[tokio::test]
async fn the_error_event_of_a_large_event_is_cut_and_not_lost() {
    let log = Arc::new(Memory::new(MemoryOptions::default()));
    let site = site(log.clone()).await;
    let quotes = r#"\""#.repeat(400_000);
    let (id, uri) = ("i".repeat(1000), "u".repeat(100_000));
    let event = format!(
        r#"{{"$schema":"/test/1.0.0","meta":{{"stream":"a","id":"{id}","uri":"{uri}"}},"n":"{quotes}"}}"#
    );
    assert!(event.len() < 1 << 20);
    let report = site
        .intake
        .submit(event.as_bytes(), &request(None))
        .await
        .unwrap();
    assert_eq!(report.failures.len(), 1);
    let errors = texts(&log, "errors").await;
    assert_eq!(errors.len(), 1, "the error event was lost");
    assert!(errors[0].len() <= 1 << 20, "{}", errors[0].len());
    let error: serde_json::Value = serde_json::from_str(&errors[0]).unwrap();
    let raw = error["raw_event"].as_str().unwrap();
    assert!(raw.starts_with(r#"{"$schema":"/test/1.0.0""#) && raw.contains(&id));
    assert!(
        errors[0].len() > (1 << 20) - 10_000,
        "as much as fits: {}",
        raw.len()
    );
    let message = error["message"].as_str().unwrap();
    let told = format!("(raw_event is cut: the first {} of ", raw.len());
    assert!(message.contains(&told), "{message}");
}

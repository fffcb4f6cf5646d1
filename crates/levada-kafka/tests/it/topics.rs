//! Topics as they should be, and as they are.

use std::time::Duration;

use levada_kafka::{Admin, Creation, KafkaLog};
use levada_log::{Log, LogError, Retention};

use super::cluster::Cluster;
use super::records::spec;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_created_to_spec_and_checked() {
    let Some(mut cluster) = Cluster::shared("topics_are_created_to_spec_and_checked") else {
        return;
    };
    cluster
        .settings
        .topics
        .config
        .insert("segment.bytes".into(), "2097152".into());
    let admin = Admin::connect(cluster.settings.clone())
        .await
        .expect("the broker answers");
    let mut wanted = spec(&format!("{}topic", cluster.prefix), 50);
    wanted.retention = Retention {
        age: Some(Duration::from_secs(48 * 3600)),
        bytes: Some(1 << 30),
    };
    let missing = spec(&format!("{}missing", cluster.prefix), 1);
    assert_eq!(admin.create(&wanted).await, Ok(Creation::Created));
    assert_eq!(admin.create(&wanted).await, Ok(Creation::Existed));
    let reports = admin
        .check(&[wanted.clone(), missing.clone()])
        .await
        .expect("checked");
    assert_eq!(
        (&reports[0].name, &reports[1].name),
        (&wanted.name, &missing.name)
    );
    let state = reports[0].state.as_ref().expect("it exists");
    assert_eq!((state.partitions, state.replication_factor), (50, 1));
    assert_eq!((&reports[0].deviations, &reports[1].state), (&Vec::new(), &None));

    let mut other = wanted.clone();
    other.partitions = 10;
    other.retention.age = None;
    let reports = admin.check(&[other]).await.expect("checked");
    let deviations: Vec<_> = reports[0]
        .deviations
        .iter()
        .map(|d| (d.setting.as_str(), d.wanted.as_str(), d.found.as_str()))
        .collect();
    assert_eq!(
        deviations,
        [("partitions", "10", "50"), ("retention.ms", "-1", "172800000")]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_may_not_be_created_is_unknown() {
    let Some(mut cluster) = Cluster::shared("a_topic_that_may_not_be_created_is_unknown") else {
        return;
    };
    cluster.settings.topics.create = false;
    let log = cluster.log().await;
    let wanted = spec(&format!("{}forbidden", cluster.prefix), 1);
    assert!(!log.facts().creates_topics);
    assert!(matches!(log.topic(&wanted).await, Err(LogError::UnknownTopic(_))));
    let admin = Admin::connect(cluster.settings.clone())
        .await
        .expect("the broker answers");
    assert_eq!(admin.check(&[wanted]).await.expect("checked")[0].state, None);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_refused_with_their_key() {
    let refused = async |key: &str, value: &str| {
        let mut settings = levada_kafka::Settings::new("127.0.0.1:1");
        settings.request_timeout = Duration::from_millis(100);
        settings.properties.insert(key.into(), value.into());
        KafkaLog::open(settings)
            .await
            .expect_err("nothing is there")
            .to_string()
    };
    for (key, value, why) in [
        ("acks", "1", "every in-sync replica"),
        ("message.max.bytes", "1000", "intake.event_bytes_max"),
        ("no.such.property", "1", "No such configuration property"),
        ("security.protocol", "carrier pigeon", "security.protocol"),
        ("linger.ms", "1", "no answer from Kafka at 127.0.0.1:1"),
    ] {
        let error = refused(key, value).await;
        assert!(error.contains(why), "{key}: {error}");
    }
    let empty = KafkaLog::open(levada_kafka::Settings::new(" ,")).await;
    assert!(empty.expect_err("no servers").to_string().contains("host:port"));
}

/// The build has them: a client with such settings is made and fails only for want of a broker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_sasl_are_in_the_build() {
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let mut settings = levada_kafka::Settings::new("127.0.0.1:1");
        settings.request_timeout = Duration::from_millis(100);
        for (key, value) in [
            ("security.protocol", "sasl_ssl"),
            ("sasl.mechanism", mechanism),
            ("sasl.username", "u"),
            ("sasl.password", "p"),
            ("compression.codec", "zstd"),
        ] {
            settings.properties.insert(key.into(), value.into());
        }
        assert!(!format!("{settings:?}").contains("\"p\""));
        let error = KafkaLog::open(settings)
            .await
            .expect_err("nothing is there")
            .to_string();
        assert!(error.contains("no answer from Kafka"), "{mechanism}: {error}");
    }
}

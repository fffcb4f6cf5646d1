//! TLS and SASL against a broker that asks for both.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use levada_kafka::{KafkaLog, Settings};
use levada_kafka_broker::Broker;
use levada_log::Log;

use super::cluster::settings;
use super::records::{append, partition, spec, values_from};

/// The tests' patience with a cluster that does not answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A key and a certificate for loopback: `broker.p12` for the broker, `ca.pem` for its clients.
fn certificate(folder: &Path) {
    let store = folder.join("broker.p12");
    let keytool = |arguments: &[&str]| {
        let output = Command::new("keytool")
            .args(arguments)
            .args(["-alias", "broker", "-storepass", "changeit", "-keystore"])
            .arg(&store)
            .output()
            .expect("keytool comes with Java");
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    keytool(&[
        "-genkeypair",
        "-keyalg",
        "EC",
        "-dname",
        "CN=localhost",
        "-ext",
        "san=dns:localhost,ip:127.0.0.1",
        "-validity",
        "2",
        "-storetype",
        "PKCS12",
    ]);
    let pem = keytool(&["-exportcert", "-rfc"]);
    std::fs::write(folder.join("ca.pem"), pem).expect("a file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_travel_over_tls_with_a_login() {
    let Some(jars) = levada_kafka_broker::jars("events_travel_over_tls_with_a_login") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    certificate(folder.path());
    let port = levada_kafka_broker::free_port().expect("a port");
    let server = format!(
        "\
listeners=PLAINTEXT://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{{controller}},SECURED://127.0.0.1:{port}
advertised.listeners=PLAINTEXT://127.0.0.1:{{port}},SECURED://127.0.0.1:{port}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURED:SASL_SSL
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.secured.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secured.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule \
required user_levada=\"right\";
listener.name.secured.ssl.keystore.type=PKCS12
listener.name.secured.ssl.keystore.password=changeit
listener.name.secured.ssl.keystore.location={}
",
        folder.path().join("broker.p12").display()
    );
    let broker = Broker::start_with_users(&jars, &server, &[("levada", "scrambled")]);
    let _broker = broker.expect("the broker starts");

    let with = |mechanism: &str, password: &str, ca: Option<&Path>| -> Settings {
        let mut settings = settings(&format!("127.0.0.1:{port}"));
        for (key, value) in [
            ("security.protocol", "sasl_ssl"),
            ("sasl.mechanism", mechanism),
            ("sasl.username", "levada"),
            ("sasl.password", password),
        ] {
            settings.properties.insert(key.into(), value.into());
        }
        if let Some(ca) = ca {
            settings
                .properties
                .insert("ssl.ca.location".into(), ca.display().to_string());
        }
        settings
    };
    let ca = folder.path().join("ca.pem");
    let (plain, scram) = (("PLAIN", "right"), ("SCRAM-SHA-512", "scrambled"));
    for (topic, (mechanism, password)) in [("plain", plain), ("scram", scram)] {
        let log = KafkaLog::open(with(mechanism, password, Some(&ca))).await;
        let log = log.unwrap_or_else(|error| panic!("the login by {mechanism} is good: {error}"));
        log.topic(&spec(topic, 3)).await.expect("a topic");
        let of = partition(topic, 2);
        append(&log, &of, &["a", "b"]).await;
        assert_eq!(values_from(&log, &of, 0).await, ["a", "b"]);
        log.close().await;
    }

    for (settings, why) in [
        (with("PLAIN", "wrong", Some(&ca)), "uthentication failed"),
        // A password of the other mechanism.
        (with("SCRAM-SHA-512", "right", Some(&ca)), "uthentication failed"),
        (with("PLAIN", "right", None), "certificate"),
    ] {
        // Long before the patience of the settings ends.
        let begun = Instant::now();
        let error = KafkaLog::open(settings)
            .await
            .expect_err("it is refused")
            .to_string();
        assert!(error.contains(why), "{error}");
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    }
}

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
sasl.enabled.mechanisms=PLAIN
listener.name.secured.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule \
required user_levada=\"right\";
listener.name.secured.ssl.keystore.type=PKCS12
listener.name.secured.ssl.keystore.password=changeit
listener.name.secured.ssl.keystore.location={}
",
        folder.path().join("broker.p12").display()
    );
    // A broker ends with the thread that started it, so it gets one that lasts as long as the test.
    let (ready, started) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let keeping = std::thread::spawn(move || {
        let broker = Broker::start(&jars, &server);
        ready
            .send(broker.as_ref().map(|_| ()).map_err(ToString::to_string))
            .expect("the test waits");
        let _ = ended.recv();
    });
    let waiting = tokio::task::spawn_blocking(move || started.recv());
    waiting
        .await
        .expect("no panic")
        .expect("an answer")
        .expect("the broker starts");

    let with = |password: &str, ca: Option<&Path>| -> Settings {
        let mut settings = settings(&format!("127.0.0.1:{port}"));
        for (key, value) in [
            ("security.protocol", "sasl_ssl"),
            ("sasl.mechanism", "PLAIN"),
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
    let log = KafkaLog::open(with("right", Some(&ca)))
        .await
        .expect("the login is good");
    log.topic(&spec("secured", 3)).await.expect("a topic");
    let of = partition("secured", 2);
    append(&log, &of, &["a", "b"]).await;
    assert_eq!(values_from(&log, &of, 0).await, ["a", "b"]);
    log.close().await;

    for (settings, why) in [
        (with("wrong", Some(&ca)), "uthentication failed"),
        (with("right", None), "certificate"),
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
    drop(end);
    keeping.join().expect("no panic");
}

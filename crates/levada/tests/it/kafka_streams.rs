//! Streams over Kafka from outside: topics of two datacentres in one subscription, the command that
//! compares and creates topics, health and metrics of a server whose cluster is gone.

use std::collections::BTreeSet;
use std::process::Output;

use levada_kafka_broker::Broker;

use crate::client;
use crate::kafka::{alter_or_create_topic, flags, kcat, unique, widen_topic};
use crate::realtime_resume;
use crate::server::{Server, Site, binary};

const CONFIG: &str = "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n[intake]\ntopic_prefix = \"here.\"\n";

const SCHEMA: &str = "title: any\n$id: /any/1.0.0\ntype: object\nproperties:\n  meta: {type: object}\n  number: {type: integer}\n";

/// A site with one stream of two datacentres, `here` (which the server fills) and `there`.
fn site(address: &str, stream: &str, flags_more: &[&str]) -> Site {
    let site = Site::new(CONFIG);
    site.file(
        "streams.yaml",
        &format!("streams:\n  {stream}: {{schema_title: any, topic_prefixes: [here., there.], levada: {{partitions: 2, retention: {{age: 48h}}}}}}\n"),
    );
    site.file("schemas/any/1.0.0", SCHEMA);
    let mut all = flags(address);
    all.extend(flags_more.iter().map(ToString::to_string));
    site.with_flags(&all)
}

fn event(stream: &str, number: u32) -> String {
    format!(r#"{{"$schema":"/any/1.0.0","meta":{{"stream":"{stream}"}},"number":{number}}}"#)
}

fn topics(site: &Site, address: &str, args: &[&str]) -> Output {
    let mut command = binary();
    command.arg("topics").args(args).arg("--config");
    command.arg(site.path().join("levada.toml")).args(flags(address));
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn topics_of_two_datacentres_are_one_stream() {
    let Some(address) = levada_kafka_broker::shared("topics_of_two_datacentres_are_one_stream") else {
        return;
    };
    let stream = unique("merged");
    let site = site(&address, &stream, &[]);
    let server = site.start();
    // Neither topic exists: the subscription stands all the same.
    let mut reader = client::get(server.address, &format!("/v2/stream/{stream}?since=1970-01-01")).stream();
    let posted = client::post(server.address, &event(&stream, 1));
    let (status, text) = (posted.status, posted.text());
    assert_eq!(status, 201, "{text}");
    let first = reader.event().event();
    assert_eq!(
        (&first["number"], &first["meta"]["topic"]),
        (&1.into(), &format!("here.{stream}").into())
    );

    let checked = topics(&site, &address, &["check"]);
    let text = said(&checked);
    assert!(checked.status.success(), "{text}");
    assert!(text.contains(&format!("note: there.{stream}")), "{text}");
    let created = topics(&site, &address, &["create"]);
    let text = said(&created);
    assert!(created.status.success(), "{text}");
    assert!(
        text.contains(&format!("there.{stream}: created with 2 partitions")) && text.contains("1 created"),
        "{text}"
    );

    let there = format!("there.{stream}");
    kcat(
        &address,
        &["-P", "-t", &there, "-p", "1"],
        &(event(&stream, 2) + "\n"),
    );
    let second = reader.event();
    assert_eq!(second.event()["number"], 2);
    assert_eq!(second.event()["meta"]["topic"], there.as_str());
    // The cursor names both topics and holds at another server.
    let id = second.field("id").unwrap().to_owned();
    assert!(
        id.contains(&there) && id.contains(&format!("here.{stream}")),
        "{id}"
    );
    let other = site.start();
    assert_eq!(client::post(server.address, &event(&stream, 3)).status, 201);
    let mut resumed = client::request(
        other.address,
        "GET",
        &format!("/v2/stream/{stream}"),
        &[("last-event-id", &id)],
        b"",
    )
    .stream();
    assert_eq!(resumed.event().event()["number"], 3);
    assert_eq!(reader.event().event()["number"], 3);
}

#[test]
fn topics_wider_than_declared_are_read_whole() {
    let Some(address) = levada_kafka_broker::shared("topics_wider_than_declared_are_read_whole") else {
        return;
    };
    let stream = unique("wider");
    let site = site(&address, &stream, &[]);
    let server = site.start();
    let target = format!("/v2/stream/{stream}");
    let mut reader = client::get(server.address, &target).stream();
    // Somebody else creates what the reader waits for, with four partitions where two are declared.
    let here = format!("here.{stream}");
    let other = self::site(&address, &stream, &[]);
    let declared = std::fs::read_to_string(site.path().join("streams.yaml")).unwrap();
    other.file(
        "streams.yaml",
        &declared.replace("partitions: 2", "partitions: 4"),
    );
    let created = topics(&other, &address, &["create", "--written"]);
    assert!(
        said(&created).contains("created with 4 partitions"),
        "{}",
        said(&created)
    );
    let put = |partition: &str, number| {
        let line = event(&stream, number) + "\n";
        kcat(&address, &["-P", "-t", &here, "-p", partition], &line);
    };
    put("3", 1);
    let first = reader.event();
    let place = |event: &serde_json::Value| (event["number"].clone(), event["meta"]["partition"].clone());
    assert_eq!(place(&first.event()), (1.into(), 3.into()));
    let id = first.field("id").unwrap().to_owned();
    // Partitions that are added while it is read, and while another reader is away.
    widen_topic(&address, &here, 6);
    put("5", 2);
    assert_eq!(place(&reader.event().event()), (2.into(), 5.into()));
    put("0", 3);
    assert_eq!(place(&reader.event().event()), (3.into(), 0.into()));
    let away = [("last-event-id", id.as_str())];
    let other = other.start();
    let mut resumed = client::request(other.address, "GET", &target, &away, b"").stream();
    let missed: BTreeSet<u64> = (0..2)
        .map(|_| resumed.event().event()["number"].as_u64().unwrap())
        .collect();
    assert_eq!(missed, BTreeSet::from([2, 3]));
}

#[test]
fn readers_of_articles_go_on_at_another_process() {
    let Some(address) = levada_kafka_broker::shared("readers_of_articles_go_on_at_another_process") else {
        return;
    };
    let topic = unique("articles");
    let site =
        Site::new("[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n")
            .with_flags(&flags(&address));
    let streams =
        realtime_resume::STREAMS.replace("{schema_title", &format!("{{topics: [{topic}], schema_title"));
    site.file("streams.yaml", &streams);
    site.file("schemas/article/1.0.0", realtime_resume::SCHEMA);
    let second =
        Site::new("[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n")
            .with_flags(&flags(&address));
    second.file("streams.yaml", &streams);
    second.file("schemas/article/1.0.0", realtime_resume::SCHEMA);
    let (first, second) = (site.start(), second.start());
    for round in 0..2 {
        let to = [&first, &second][round];
        assert_eq!(
            client::post(to.address, &realtime_resume::articles(round)).status,
            201
        );
    }
    let all = 2 * realtime_resume::ROUND;
    let file = site.path().join("offsets");
    let read = |server: &Server, count: usize, arguments: &[&str]| {
        let mut tail = realtime_resume::tail(&server.url(), &["-n", &count.to_string()]);
        let child = tail.args(arguments).spawn().unwrap();
        realtime_resume::places(child)
    };
    let resume = ["--connections", "7", "--resume", file.to_str().unwrap()];
    let mut seen = read(&first, all / 3, &resume);
    first.kill();
    seen.extend(read(&second, all - seen.len(), &resume));
    // What one reader at the second process sees is what both together saw, each once.
    let one: BTreeSet<_> = read(&second, all, &["--parts", "0,1,2,3,4,5,6,7,8,9"])
        .into_iter()
        .collect();
    assert_eq!(one.len(), all);
    assert_eq!(seen.len(), all);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), one);
}

#[test]
fn topics_are_compared_with_the_cluster() {
    let Some(address) = levada_kafka_broker::shared("topics_are_compared_with_the_cluster") else {
        return;
    };
    let stream = unique("compared");
    let site = site(&address, &stream, &["--set", "kafka.create_topics=false"]);
    let here = format!("here.{stream}");
    let server = site.start();
    // Nobody may create the topic: a clear error, at once.
    let refused = client::post(server.address, &event(&stream, 1));
    assert_eq!(refused.status, 503);
    let text = refused.text();
    assert!(text.contains(&here) && text.contains("create"), "{text}");
    let checked = topics(&site, &address, &["check", "--set", "kafka.create_topics=false"]);
    let text = said(&checked);
    assert_eq!(checked.status.code(), Some(1), "{text}");
    assert!(text.contains(&format!("error: {here}")), "{text}");

    let dry = topics(&site, &address, &["create", "--written", "--dry-run"]);
    assert!(
        said(&dry).contains(&format!("{here}: would be created")),
        "{}",
        said(&dry)
    );
    let created = topics(&site, &address, &["create", "--written"]);
    assert!(
        said(&created).contains(&format!("{here}: created")),
        "{}",
        said(&created)
    );
    assert!(!said(&created).contains("there."), "{}", said(&created));
    assert_eq!(client::post(server.address, &event(&stream, 2)).status, 201);
    // A topic of others must take the events that intake takes, and what is added to them.
    let there = format!("there.{stream}");
    for (largest, fits) in [(4 << 20, false), (5 << 20, true)] {
        alter_or_create_topic(&address, &there, largest);
        let checked = topics(&site, &address, &["check"]);
        let text = said(&checked);
        assert_eq!(checked.status.success(), fits, "{text}");
        assert_ne!(
            text.contains("max.message.bytes is 4194304, not "),
            fits,
            "{text}"
        );
    }
    // What was created is as it should be; what is declared otherwise is named.
    let checked = topics(&site, &address, &["check"]);
    assert!(checked.status.success(), "{}", said(&checked));
    site.file(
        "streams.yaml",
        &format!("streams:\n  {stream}: {{schema_title: any, topic_prefixes: [here.], levada: {{partitions: 5, retention: {{age: 24h}}}}}}\n"),
    );
    let checked = topics(&site, &address, &["check"]);
    let text = said(&checked);
    assert_eq!(checked.status.code(), Some(1), "{text}");
    assert!(
        text.contains("partitions is 2, not 5") && text.contains("retention.ms is 172800000, not 86400000"),
        "{text}"
    );
    let unknown = topics(&site, &address, &["check", "no.such.stream"]);
    assert_eq!(unknown.status.code(), Some(1), "{}", said(&unknown));
}

#[test]
fn a_server_says_what_its_cluster_does() {
    let Some(jars) = levada_kafka_broker::jars("a_server_says_what_its_cluster_does") else {
        return;
    };
    let mut broker = Broker::start(&jars, "").unwrap();
    let stream = "watched";
    let site = site(
        &broker.address(),
        stream,
        &[
            "--set",
            "intake.deadline=3s",
            "--set",
            "kafka.request_timeout=2s",
            "--set",
            "streams.heartbeat=1s",
        ],
    );
    let server = site.start();
    let target = format!("/v2/stream/{stream}?since=1970-01-01");
    let mut reader = client::get(server.address, &target).stream();
    assert_eq!(client::post(server.address, &event(stream, 1)).status, 201);
    reader.event();
    let metric = |name: &str| -> Option<f64> {
        let text = client::get(server.address, "/metrics").text();
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    for name in [
        "levada_kafka_produce_queue_records",
        "levada_kafka_produce_queue_bytes",
        "levada_kafka_delivery_seconds_bucket",
        "levada_kafka_consumer_lag_records{topic=\"here.watched\"",
        "levada_kafka_consumer_lag_seconds{topic=\"here.watched\"",
    ] {
        // The lag is known when the fetch loop has taken the partition over.
        let began = std::time::Instant::now();
        while metric(name).is_none() {
            assert!(began.elapsed() < client::PATIENCE, "there is {name}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
    assert_eq!(metric("levada_kafka_delivery_seconds_count"), Some(1.0));

    broker.stop().unwrap();
    // Alive and ready: a server that is taken away for its cluster would take all others with it.
    assert_eq!(client::get(server.address, "/readyz").status, 200);
    // An event is refused within the deadline and not silently dropped or held.
    let refused = client::post(server.address, &event(stream, 2));
    let (status, text) = (refused.status, refused.text());
    assert_eq!(status, 503, "{text}");
    // The reader is told, with a place to resume from: never a silent stall. Until then it sees that the
    // server is there.
    let mut heartbeats = 0;
    let error = loop {
        let frame = reader.frame().expect("the stream says why it ends");
        match frame.field("event") {
            Some("error") => break frame,
            _ => assert_eq!(frame.lines, [":"], "nothing but heartbeats"),
        }
        heartbeats += 1;
    };
    assert!(heartbeats >= 3, "{heartbeats} heartbeats in an outage of 15 s");
    assert!(!error.lines.is_empty());
    let id = error.field("id").expect("the place to go on from").to_owned();
    while reader.frame().is_some() {}
    let kinds = client::get(server.address, "/metrics").text();
    assert!(kinds.contains("levada_kafka_errors_total{kind="), "{kinds}");

    broker.start_again().unwrap();
    let began = std::time::Instant::now();
    while client::post(server.address, &event(stream, 3)).status != 201 {
        assert!(
            began.elapsed() < client::PATIENCE,
            "the server finds its cluster again"
        );
    }
    let mut resumed = client::request(
        server.address,
        "GET",
        &format!("/v2/stream/{stream}"),
        &[("last-event-id", &id)],
        b"",
    )
    .stream();
    // Event 1 was read before. Event 2 was refused as not stored or as of unknown outcome; event 3 was stored.
    let mut seen = Vec::new();
    while seen.last() != Some(&3) {
        seen.push(resumed.event().event()["number"].as_u64().unwrap());
    }
    assert!(seen == [3] || seen == [2, 3], "{seen:?}");
}

#[test]
fn settings_that_make_no_sense_are_refused_before_anything_is_served() {
    let check = |args: &[&str]| {
        let output = binary().args(["config", "check"]).args(args).output().unwrap();
        (output.status.code(), said(&output))
    };
    let kafka = ["--set", "log.kind=kafka"];
    let (code, text) = check(&kafka);
    assert_eq!(code, Some(78), "{text}");
    assert!(text.contains("bootstrap_servers"), "{text}");
    let servers = ["--set", "kafka.bootstrap_servers=127.0.0.1:1"];
    let with = |property: &str| {
        let set = format!("kafka.properties={property}");
        check(&[&kafka[..], &servers[..], &["--set", &set]].concat())
    };
    assert_eq!(with("{ linger.ms = 7 }").0, Some(0));
    for (property, named) in [
        ("{ enable.idempotence = false }", "enable.idempotence"),
        ("{ no.such.property = 1 }", "no.such.property"),
        ("{ linger.ms = \"soon\" }", "linger.ms"),
        ("{ linger.ms = [1] }", "linger.ms"),
    ] {
        let (code, text) = with(property);
        assert_eq!(code, Some(78), "{property}: {text}");
        assert!(text.contains(named), "{property}: {text}");
    }
    let printed = binary()
        .args(["config", "print", "--set"])
        .arg("kafka.properties={ sasl.password = \"hush\", sasl.username = \"me\" }")
        .env("LEVADA_KAFKA__SASL_PASSWORD", "12345")
        .output()
        .unwrap();
    let text = said(&printed);
    assert!(
        !text.contains("hush") && !text.contains("12345") && text.contains("\"me\""),
        "{text}"
    );
}

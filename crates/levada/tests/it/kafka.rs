//! What the tests on Kafka share: settings of servers, topics, and kcat as the foreign client.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;

use crate::client::PATIENCE;
use crate::server::{Site, binary};

/// Arguments that make a cluster the log of a server.
pub fn flags(address: &str) -> Vec<String> {
    let set = [
        "log.kind=kafka".to_owned(),
        format!("kafka.bootstrap_servers={address}"),
    ];
    set.into_iter()
        .flat_map(|setting| ["--set".to_owned(), setting])
        .collect()
}

/// Creates the topics that a site's streams declare.
pub fn create_topics(site: &Site, flags: &[String]) {
    let mut command = binary();
    command.args(["topics", "create", "--config"]);
    command.arg(site.path().join("levada.toml")).args(flags);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// A name that nobody else on the shared broker uses.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{name}.{}.{number}", std::process::id())
}

/// Deletes all topics that are not Kafka's own, and returns when they are gone.
pub fn delete_topics(address: &str) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address);
    let consumer: BaseConsumer = config.create().unwrap();
    let names = || -> Vec<String> {
        let metadata = consumer.fetch_metadata(None, PATIENCE).unwrap();
        let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
        names.filter(|name| !name.starts_with("__")).collect()
    };
    let there = names();
    if there.is_empty() {
        return;
    }
    let there: Vec<&str> = there.iter().map(String::as_str).collect();
    administer(address, async |admin, options| {
        for outcome in admin.delete_topics(&there, options).await.unwrap() {
            outcome.unwrap();
        }
    });
    while !names().is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Adds partitions to a topic, so that it has `partitions`.
pub fn widen_topic(address: &str, topic: &str, partitions: usize) {
    administer(address, async |admin, options| {
        let wider = [NewPartitions::new(topic, partitions)];
        for outcome in admin.create_partitions(&wider, options).await.unwrap() {
            outcome.unwrap();
        }
    });
}

/// Gives the cluster a topic of two partitions that keeps events for 48 hours and takes messages of up to
/// `largest` bytes, whether or not there is one.
pub fn alter_or_create_topic(address: &str, topic: &str, largest: usize) {
    let largest = largest.to_string();
    let forever = i64::MAX.to_string();
    let settings = [
        ("retention.ms", "172800000"),
        ("message.timestamp.before.max.ms", &forever),
        ("message.timestamp.after.max.ms", &forever),
        ("max.message.bytes", &largest),
    ];
    administer(address, async |admin, options| {
        let mut new = NewTopic::new(topic, 2, TopicReplication::Fixed(1));
        let mut altered = AlterConfig::new(ResourceSpecifier::Topic(topic));
        for (key, value) in settings {
            new = new.set(key, value);
            altered = altered.set(key, value);
        }
        let created = admin.create_topics(&[new], options).await.unwrap();
        if let [Err((_, RDKafkaErrorCode::TopicAlreadyExists))] = created[..] {
            for outcome in admin.alter_configs(&[altered], options).await.unwrap() {
                outcome.unwrap();
            }
        }
    });
}

/// Does something as an operator of the cluster.
fn administer(address: &str, act: impl AsyncFnOnce(&AdminClient<DefaultClientContext>, &AdminOptions)) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address);
    let admin = config.create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    runtime.block_on(act(&admin, &options));
}

/// A record as kcat reads it.
#[derive(Debug)]
pub struct Record {
    pub partition: u32,
    pub timestamp: i64,
    pub key: String,
    pub value: String,
}

/// The first `count` records of a topic, or of one partition of it.
pub fn consume(address: &str, topic: &str, partition: Option<&str>, count: usize) -> Vec<Record> {
    // Not "to the end": in a topic just created kcat takes partitions for empty that have no leader yet.
    let count = count.to_string();
    let mut args = vec!["-C", "-t", topic, "-o", "beginning", "-c", &count];
    args.extend(partition.iter().flat_map(|partition| ["-p", partition]));
    args.extend(["-f", "%p|%T|%k|%s\\x1e"]);
    let record = |text: &str| {
        let mut fields = text.splitn(4, '|');
        let mut next = || fields.next().unwrap();
        Record {
            partition: next().parse().unwrap(),
            timestamp: next().parse().unwrap(),
            key: next().to_owned(),
            value: next().to_owned(),
        }
    };
    kcat(address, &args, "")
        .split_terminator('\u{1e}')
        .map(record)
        .collect()
}

/// Runs kcat with `input` and answers what it prints.
pub fn kcat(address: &str, args: &[&str], input: &str) -> String {
    // What it waits for must come; when it does not, the test fails and does not hang.
    let patience = PATIENCE.as_secs().to_string();
    let mut child = Command::new("timeout")
        .args([&patience, "kcat", "-q", "-b", address])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kcat runs; `cargo xtask test` installs it");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "kcat {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

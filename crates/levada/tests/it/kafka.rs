//! What the tests on Kafka share: settings of servers, topics, and kcat as the foreign client.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

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

//! The unmodified Go SDK of the Realtime API: login, stream, kill, resume, revoke.
//!
//! Its module is not to be had from the module proxy, so this runs where `WME_SDK_GO` names a folder
//! with a checkout of `github.com/wikimedia-enterprise/wme-sdk-go`, and `go` is there. Only the program that
//! uses it is ours: `tests/go/main.go`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::accounts::reader_and_publisher;
use crate::articles::{assert_dense, full_article, publish, publish_json, site};
use crate::server::{free_port, skipped};

const ROUND: usize = 500;

/// How long nothing is published, with a heartbeat each second.
const IDLE: Duration = Duration::from_millis(3500);

fn go(folder: &Path, arguments: &[&str]) {
    let out = Command::new("go")
        .args(arguments)
        .current_dir(folder)
        .env("GOFLAGS", "-mod=mod")
        .output()
        .unwrap_or_else(|error| panic!("WME_SDK_GO is set, and go cannot be run: {error}"));
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "go {arguments:?}: {said}");
}

#[test]
fn the_go_sdk_reads_every_event_once_over_kills_of_both_sides() {
    let Some(sdk) = std::env::var_os("WME_SDK_GO") else {
        skipped("the Go SDK of the Realtime API: WME_SDK_GO names no checkout of it");
        return;
    };
    let sdk = std::fs::canonicalize(sdk).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let program = include_str!("../go/main.go");
    std::fs::write(folder.path().join("main.go"), program).unwrap();
    let module = format!(
        "module levada.example/sdktest\n\ngo 1.19\n\nrequire github.com/wikimedia-enterprise/wme-sdk-go v0.0.0\n\nreplace github.com/wikimedia-enterprise/wme-sdk-go => {}\n",
        sdk.display()
    );
    std::fs::write(folder.path().join("go.mod"), module).unwrap();
    go(folder.path(), &["mod", "tidy"]);
    go(folder.path(), &["build", "-o", "reader", "."]);
    let reader = folder.path().join("reader");
    let said = read_over_kills(|url, lines, count| {
        let mut command = Command::new(&reader);
        command
            .args([url, "ann", "correct horse"])
            .arg(lines)
            .arg(count.to_string());
        command
    });
    // 131: fields, filters, parts and offsets all count; 132: cancelling is no error.
    let selected = said.lines().find_map(|line| line.strip_prefix("selected: "));
    let selected = selected.unwrap_or_else(|| panic!("{said}"));
    let (seen, ended) = selected.split_once(", ").unwrap();
    assert!(
        seen.parse::<usize>().unwrap() >= 100 && ended == "cancelled: <nil>",
        "{said}"
    );
    // 133: a refusal is our words; 127: both tokens of a revoked session are dead.
    assert!(
        said.contains("refused: {\"status\":422,\"message\":\"field with name 'nope' not found\"}"),
        "{said}"
    );
    assert_eq!(said.matches("revoked: {\"status\":401").count(), 2, "{said}");
}

/// Runs a program that appends a line `partition offset name` for each event to a file, goes on behind
/// the lines that are there, and ends behind so many. It is killed and started again, and so is the server.
/// Fails unless every event stands in the file once; returns what the program said at its end.
pub(crate) fn read_over_kills(command: impl Fn(&str, &Path, usize) -> Command) -> String {
    let port = free_port();
    let site = site("[auth]\nmode = \"required\"\n[streams]\nheartbeat = \"1s\"\n");
    let key = &*reader_and_publisher(&site);
    let start = || site.start_at(port);
    let server = start();
    let url = server.url();
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("lines");
    let read = || {
        let mut command = command(&url, &lines, 3 * ROUND);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let count = || std::fs::read_to_string(&lines).map_or(0, |text| text.lines().count());
    let wait_for = |number: usize| {
        let begun = Instant::now();
        while count() < number {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{} of {number} lines",
                count()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let mut first = read();
    // 107: nothing but heartbeats for a while.
    let begun = Instant::now();
    while server.metric("levada_delivery_sessions_open") == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not read");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(IDLE);
    // 139: the first has every field there is.
    let answer = publish_json(&server, &[("x-api-key", key)], &full_article(0));
    assert_eq!(answer.status, 201);
    publish(&server, &[("x-api-key", key)], 1..ROUND, 100);
    wait_for(ROUND / 2);
    first.kill().unwrap();
    first.wait().unwrap();
    let second = read();
    publish(&server, &[("x-api-key", key)], ROUND..2 * ROUND, 100);
    wait_for(ROUND + 1);
    server.kill();
    let server = start();
    publish(&server, &[("x-api-key", key)], 2 * ROUND..3 * ROUND, 100);
    let out = second.wait_with_output().unwrap();
    let (said, told) = (
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr),
    );
    assert!(out.status.success(), "{said}{told}");
    let text = std::fs::read_to_string(&lines).unwrap();
    let places = text.lines().map(|line| {
        let mut words = line.split(' ').map(|word| word.parse().unwrap_or(u64::MAX));
        (words.next().unwrap(), words.next().unwrap())
    });
    assert_dense(places, "the SDK");
    let mut names: Vec<&str> = text
        .lines()
        .map(|line| line.splitn(3, ' ').nth(2).unwrap())
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 3 * ROUND);
    said.into_owned()
}

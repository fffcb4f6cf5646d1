//! `levada log` on data folders that are sound, torn, damaged or in use.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use levada_event::{Flags, Record, Splice, Timestamp, TopicName, TopicPartition};
use levada_log::embedded::{Embedded, EmbeddedOptions};
use levada_log::{Log, Retention, TopicSpec};
use serde_json::Value;

fn levada(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_levada"))
        .arg("log")
        .arg(args[0])
        .arg(dir)
        .args(&args[1..])
        .env_remove("LEVADA_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn lines(output: &Output) -> Vec<Value> {
    out(output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn open(dir: &Path) -> Arc<Embedded> {
    let mut options = EmbeddedOptions::new(dir);
    options.segment_bytes = 4096;
    options.maintain_every = None;
    Embedded::open(options).unwrap()
}

/// 100 events in turn over two partitions, closed in good order.
async fn fill(dir: &Path) {
    let log = open(dir);
    let name = TopicName::new("t").unwrap();
    let spec = TopicSpec {
        name: name.clone(),
        partitions: 2,
        retention: Retention {
            age: None,
            bytes: None,
        },
    };
    log.topic(&spec).await.unwrap();
    for number in 0..100u32 {
        let record = Record {
            key: Some(format!("k{}", number % 2).into()),
            value: event(number).into(),
            timestamp: Timestamp::from_millis(1_700_000_000_000 + i64::from(number)),
            splice: Splice::UNKNOWN,
            flags: Flags::NONE,
        };
        let to = TopicPartition::new(name.clone(), number % 2);
        log.append(&to, vec![record]).await.unwrap();
    }
    log.close().await;
}

/// An event as a producer may send it, over several lines.
fn event(number: u32) -> String {
    let filler = "y".repeat(150);
    format!("{{\n\"n\":{number},\r\n\"big\":12345678901234567890,\"text\":\"a\\nb{filler}\"}}")
}

fn exported(number: u32) -> String {
    event(number).replace(['\n', '\r'], " ")
}

/// The segments of partition 0, oldest first.
fn segments(dir: &Path) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(dir.join("topics/t/0")).unwrap();
    let mut found: Vec<_> = listed.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|e| e == "seg"));
    found.sort();
    assert!(found.len() >= 3);
    found
}

#[tokio::test]
async fn a_sound_folder_is_checked_inspected_and_exported() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fill(dir).await;
    let check = levada(dir, &["check"]);
    assert_eq!(code(&check), Some(0), "{}{}", out(&check), err(&check));
    assert!(out(&check).contains("100 sound records; 0 damaged places, 0 torn tails"));

    let listed = lines(&levada(
        dir,
        &["inspect", "--output", "ndjson", "--partition", "0"],
    ));
    let mut next = 0;
    for segment in &listed {
        assert_eq!(segment["first_offset"], next);
        assert_eq!(
            (&segment["index"], &segment["faults"]),
            (&"sound".into(), &0.into())
        );
        next = segment["next_offset"].as_u64().unwrap();
    }
    assert_eq!(next, 50);
    let records = levada(
        dir,
        &["inspect", "--partition", "1", "--from", "30", "--count", "2"],
    );
    let records = lines(&records);
    assert_eq!(records.len(), 2);
    assert_eq!(records[1]["offset"], 31);
    assert_eq!(records[1]["key"], "k1");
    assert_eq!(records[1]["value"], event(63));
    assert_eq!(records[1]["timestamp"], "2023-11-14T22:13:20.063Z");

    let file = dir.join("events.ndjson");
    let export = levada(dir, &["export", "--to", file.to_str().unwrap()]);
    assert_eq!(code(&export), Some(0), "{}", err(&export));
    let text = std::fs::read_to_string(&file).unwrap();
    let expected: Vec<_> = (0..100)
        .step_by(2)
        .chain((1..100).step_by(2))
        .map(exported)
        .collect();
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    let again = levada(dir, &["export", "--to", file.to_str().unwrap()]);
    assert_eq!(code(&again), Some(6), "a file is not written over");
    let unknown = levada(dir, &["check", "--topic", "nope"]);
    assert_eq!(code(&unknown), Some(2));
    assert!(err(&unknown).contains("there is no topic \"nope\""));
}

#[tokio::test]
async fn damage_is_named_with_its_place_and_read_around() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fill(dir).await;
    let segment = &segments(dir)[1];
    let mut bytes = std::fs::read(segment).unwrap();
    let good = bytes.clone();
    // The body of the first block: the header has 72 bytes.
    bytes[100] ^= 1;
    std::fs::write(segment, &bytes).unwrap();
    let check = levada(dir, &["check", "--output", "ndjson"]);
    assert_eq!(code(&check), Some(1));
    let found = lines(&check);
    assert_eq!(found.len(), 2, "{found:?}");
    let base: u64 = segment.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    assert_eq!(found[0]["kind"], "damage");
    assert_eq!(
        (&found[0]["topic"], &found[0]["partition"]),
        (&"t".into(), &0.into())
    );
    assert_eq!(found[0]["segment"], segment.to_str().unwrap());
    assert_eq!(
        (&found[0]["position"], &found[0]["offset"]),
        (&0.into(), &base.into())
    );
    assert_eq!(found[0]["resumes_at_offset"], base + 1);
    assert_eq!(found[1]["records"], 99);
    let text = out(&levada(dir, &["check"]));
    assert!(text.contains(&format!("damage: t/0 offset {base}")), "{text}");
    assert!(text.contains("fails its checksum; readable before it, and again from offset"));

    let export = levada(dir, &["export"]);
    assert_eq!(code(&export), Some(5));
    assert!(err(&export).contains("at byte 0"), "{}", err(&export));
    let lost = exported(2 * base as u32);
    assert_eq!(out(&export).lines().count(), 99);
    assert!(!out(&export).lines().any(|line| line == lost));

    // A segment that is gone leaves a gap.
    std::fs::write(segment, &good).unwrap();
    std::fs::remove_file(segment).unwrap();
    let check = levada(dir, &["check"]);
    assert_eq!(code(&check), Some(1));
    assert!(out(&check).contains("the next one begins at"), "{}", out(&check));
    std::fs::write(segment, &good).unwrap();

    std::fs::write(dir.join("topics/t/topic"), "nonsense").unwrap();
    let check = levada(dir, &["check"]);
    assert_eq!(code(&check), Some(1));
    assert!(out(&check).contains("none of its partitions was read"));
}

#[tokio::test]
async fn a_torn_tail_is_told_apart_from_damage_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fill(dir).await;
    let last = segments(dir).pop().unwrap();
    let mut bytes = std::fs::read(&last).unwrap();
    let end = bytes.len();
    let head = bytes[..40].to_vec();
    bytes.extend_from_slice(&head);
    std::fs::write(&last, &bytes).unwrap();
    let check = levada(dir, &["check", "--output", "ndjson"]);
    let found = lines(&check);
    assert_eq!(code(&check), Some(0), "{found:?}");
    assert_eq!(found[0]["kind"], "torn_tail");
    assert_eq!(found[0]["position"], end);
    assert_eq!(found[1]["torn_tails"], 1);
    assert_eq!(std::fs::read(&last).unwrap(), bytes, "nothing was changed");
    assert_eq!(out(&levada(dir, &["export"])).lines().count(), 100);
    // What was durable and is gone is damage.
    std::fs::write(&last, &bytes[..end - 10]).unwrap();
    assert_eq!(code(&levada(dir, &["check"])), Some(1));
}

#[tokio::test]
async fn a_folder_in_use_and_other_folders_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for command in ["check", "inspect", "export"] {
        let refused = levada(dir.path(), &[command]);
        assert_eq!(code(&refused), Some(3));
        let told = err(&refused);
        assert!(told.contains("in use by another process (pid"), "{told}");
        assert!(told.contains("stop the server"), "{told}");
    }
    log.close().await;
    let other = tempfile::tempdir().unwrap();
    let refused = levada(other.path(), &["check"]);
    assert_eq!(code(&refused), Some(6));
    assert!(err(&refused).contains("is not the data directory of a log"));
    assert_eq!(
        std::fs::read_dir(other.path()).unwrap().count(),
        0,
        "nothing was made"
    );
}

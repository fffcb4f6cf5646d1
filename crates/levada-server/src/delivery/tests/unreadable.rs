//! A partition none of which can be read: who is refused, who is served without it, and what happens when it
//! can be read again.

use std::fs;
use std::sync::Arc;

use levada_log::embedded::{Embedded, EmbeddedOptions};
use levada_log::{Durability, Log};
use levada_wire::{ErrorCode, GapReason};

use super::super::From;
use super::super::Options;
use super::fixture::*;
use levada_event::Start;

fn open(folder: &std::path::Path) -> Arc<Embedded> {
    let mut options = EmbeddedOptions::new(folder.join("log"));
    options.durability = Durability::Os;
    options.committers = 2;
    options.maintain_every = None;
    Embedded::open(options).unwrap()
}

/// An id as a reader got it, but for the exact positions: what it says of each partition.
fn said(id: &str) -> Vec<serde_json::Value> {
    let mut elements: Vec<serde_json::Value> = serde_json::from_str(id).unwrap();
    for element in &mut elements {
        element
            .as_object_mut()
            .unwrap()
            .retain(|key, _| ["topic", "partition", "offset", "timestamp"].contains(&key.as_str()));
    }
    elements
}

#[tokio::test]
async fn a_partition_that_cannot_be_read_keeps_nobody_from_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    for topic in ["a", "b"] {
        log.topic(&spec(topic, 2)).await.unwrap();
        for partition in [0, 1] {
            for i in 0..3 {
                let one = vec![event(&format!("{topic}{partition}.{i}"), T0 + i)];
                log.append(&tp(topic, partition), one).await.unwrap();
            }
        }
    }
    log.close().await;
    drop(log);
    // The file is a folder: nobody can read it, not even root.
    let segment = folder.path().join("log/topics/a/1/00000000000000000000.seg");
    let bytes = fs::read(&segment).unwrap();
    fs::remove_file(&segment).unwrap();
    fs::create_dir(&segment).unwrap();
    let asked = |from| {
        let mut asked = request(&[]);
        asked.topics = vec![topic_request("a", 2), topic_request("b", 2)];
        asked.from = from;
        asked
    };
    let rig = Rig::on(open(folder.path()), Options::default());
    let refused = rig.try_open(asked(earliest())).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::StorageDamaged);
    let unread: Vec<_> = rig
        .log
        .stats()
        .partitions
        .into_iter()
        .filter(|p| !p.readable)
        .collect();
    assert_eq!(unread.len(), 1);
    rig.log.close().await;

    let passing = Options {
        pass_damage: true,
        ..Options::default()
    };
    let rig = Rig::on(open(folder.path()), passing);
    let at = format!(
        r#"[{{"topic":"a","partition":0,"offset":0}},{{"topic":"a","partition":1,"offset":1}},{{"topic":"b","partition":0,"timestamp":{T0}}},{{"topic":"b","partition":1,"offset":0}}]"#
    );
    let mut ids = Vec::new();
    for (from, kept) in [
        (earliest(), Some(-2)),
        (last_event_id(&at), Some(1)),
        (since(T0), None),
    ] {
        let opened = rig.try_open(asked(from)).await.unwrap();
        let told: Vec<_> = opened
            .gaps
            .iter()
            .map(|gap| (gap.partition, gap.reason))
            .collect();
        assert_eq!(told, [(1, GapReason::Damaged)]);
        let mut reader = Reader::new(opened);
        let mut id = String::new();
        for _ in 0..9 {
            let event = reader.event_soon().await.unwrap();
            assert_eq!(event.name, "message", "{event:?}");
            assert_ne!((event.topic.as_str(), event.partition), ("a", 1));
            id = event.id;
        }
        let element = &said(&id)[1];
        assert_eq!(element["partition"], 1, "{id}");
        match kept {
            Some(offset) => assert_eq!(element["offset"], offset, "{id}"),
            None => assert_eq!(element["timestamp"], T0, "{id}"),
        }
        ids.push((id, kept.map_or(0, |offset| offset.max(0) as u64)));
    }
    // What comes is delivered, too.
    let mut reader = rig.open(asked(From::Everywhere(Start::Latest))).await;
    reader.text().await;
    let next = rig
        .log
        .append(&tp("b", 1), vec![event("late", T0 + 9)])
        .await
        .unwrap();
    assert_eq!(reader.event_soon().await.unwrap().offset, next);
    drop(reader);
    rig.settled().await;
    rig.log.close().await;
    drop(rig);
    // It can be read again: who comes back with an id has missed nothing of it.
    fs::remove_dir(&segment).unwrap();
    fs::write(&segment, &bytes).unwrap();
    let rig = Rig::on(open(folder.path()), passing);
    for (id, first) in ids {
        let mut reader = rig.open(asked(last_event_id(&id))).await;
        let mut got = Vec::new();
        while got.len() < 1 + (3 - first as usize) {
            let event = reader.event_soon().await.unwrap();
            got.push((event.topic, event.partition, event.offset));
        }
        got.retain(|(topic, ..)| topic == "a");
        let wanted: Vec<_> = (first..3).map(|offset| ("a".to_owned(), 1, offset)).collect();
        assert_eq!(got, wanted);
    }
    rig.settled().await;
    rig.log.close().await;
}

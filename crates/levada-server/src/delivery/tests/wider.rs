//! Topics that come with more partitions than their stream declares, or are given more while they are read.

use std::time::Duration;

use levada_log::memory::MemoryOptions;

use super::super::limits::{LANES_MAX, WIDER_EVERY};
use super::super::request::Format;
use super::super::{From, Options};
use super::fixture::*;

fn rig() -> Rig {
    let memory = MemoryOptions {
        creates_topics: false,
        hole_every: 0,
        ..MemoryOptions::default()
    };
    Rig::with(Options::default(), memory)
}

/// An event in each partition from `first` on, and what a reader gets of them: partitions and offsets.
async fn one_each(rig: &Rig, reader: &mut Reader, first: u32) -> Vec<(u32, u64)> {
    let mut sent = Vec::new();
    for partition in first..4 {
        let id = format!("in {partition}");
        sent.push((partition, rig.append("t", partition, &[event(&id, T0)]).await));
    }
    let mut got = Vec::new();
    while got.len() < sent.len() {
        let event = reader.event().await.unwrap();
        got.push((event.partition, event.offset));
    }
    got.sort_unstable();
    assert_eq!(got, sent);
    assert_eq!(reader.event_soon().await, None, "each once");
    got
}

#[tokio::test(start_paused = true)]
async fn an_awaited_topic_is_read_in_all_its_partitions() {
    let rig = rig();
    let mut reader = rig.open(request(&["t"])).await;
    assert_eq!(reader.text().await, ":ok\n\n");
    rig.log.create(&spec("t", 4));
    one_each(&rig, &mut reader, 0).await;
    // And at once, from then on.
    let sent = rig.append("t", 3, &[event("live", T0)]).await;
    let live = reader.event_soon().await.unwrap();
    assert_eq!((live.partition, live.offset), (3, sent));
    for partition in 0..4 {
        assert!(
            live.id.contains(&format!(r#""partition":{partition},"#)),
            "{}",
            live.id
        );
    }
}

#[tokio::test(start_paused = true)]
async fn partitions_that_are_added_are_read_from_their_first_record() {
    let rig = rig();
    rig.log.create(&spec("t", 2));
    let name = spec("t", 1).name;
    let mut reader = rig.open(request(&["t"])).await;
    let mut lines = request(&["t"]);
    lines.format = Format::Ndjson;
    let mut lines = rig.open(lines).await;
    let before = rig.append("t", 1, &[event("before", T0)]).await;
    assert_eq!(reader.event().await.unwrap().offset, before);
    assert!(lines.text().await.contains("before"));
    rig.log.widen(&name, 4);
    // The reader learns of them some time after.
    rig.append("t", 3, &[event("early", T0)]).await;
    let early = reader.event().await.unwrap();
    assert_eq!((early.partition, early.offset), (3, 0));
    one_each(&rig, &mut reader, 0).await;
    let told = lines.until("in 3").await;
    assert!(told.contains("early") && !told.contains("before"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn readers_that_are_away_meanwhile_are_given_them_too() {
    let rig = rig();
    rig.log.create(&spec("t", 2));
    let mut first = rig.open(request(&["t"])).await;
    rig.append("t", 1, &[event("before", T0)]).await;
    // Declared with one partition, while the topic has two: an id of both is of the whole topic.
    let id = first.event().await.unwrap().id;
    drop(first);
    rig.log.widen(&spec("t", 1).name, 4);
    let missed = rig.append("t", 2, &[event("missed", T0)]).await;
    let gone = rig.append("t", 3, &[event("gone", T0), event("kept", T0)]).await;
    rig.log.trim(&tp("t", 3), gone + 1);
    let mut asked = request(&["t"]);
    asked.from = last_event_id(&id);
    let mut again = rig.open(asked.clone()).await;
    let gap = again.header.clone().unwrap_or_default();
    let mut got = Default::default();
    again.by_partition(&mut got).await;
    let offsets: Vec<_> = got
        .values()
        .flatten()
        .map(|got| (got.partition, got.offset))
        .collect();
    assert_eq!(offsets, [(2, missed), (3, gone + 1)]);
    assert!(gap.contains("expired"), "{gap}");
    // In the manner of the other API.
    asked.from = match asked.from {
        From::Exactly { elements, bare } => From::Each { elements, rest: bare },
        other => other,
    };
    let mut each = rig.open(asked).await;
    assert_eq!(each.offsets().await, [missed, gone + 1]);
}

#[tokio::test(start_paused = true)]
async fn whoever_wants_some_partitions_gets_no_others() {
    let rig = rig();
    rig.log.create(&spec("t", 2));
    let mut some = request(&["t"]);
    some.topics[0].partitions = Some(vec![0, 1]);
    let mut by_hand = request(&["t"]);
    by_hand.from =
        last_event_id(r#"[{"topic":"t","partition":0,"offset":-1},{"topic":"t","partition":1,"offset":-1}]"#);
    // Fewer than are declared, though in an id of this log.
    let mut fewer = request(&["t"]);
    fewer.topics[0].spec.partitions = 2;
    fewer.from = last_event_id(&format!(
        r#"[{{"topic":"t","partition":0,"offset":-1,"at":"{LOG_ID}:0"}}]"#
    ));
    for asked in [some, by_hand, fewer] {
        let mut reader = rig.open(asked).await;
        reader.text().await;
        rig.log.widen(&spec("t", 1).name, 3);
        tokio::time::sleep(2 * WIDER_EVERY).await;
        rig.append("t", 2, &[event("other", T0)]).await;
        let own = rig.append("t", 0, &[event("own", T0)]).await;
        let got = reader.event().await.unwrap();
        assert_eq!((got.partition, got.offset), (0, own));
        assert_eq!(reader.event_soon().await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn as_many_partitions_as_a_subscription_may_have_are_read() {
    let rig = rig();
    let mut asked = request(&[]);
    for topic in ["t", "u"] {
        rig.log.create(&spec(topic, 1000));
        asked.topics.push(topic_request(topic, 1000));
    }
    let mut reader = rig.open(asked).await;
    reader.text().await;
    // As many as one subscription may have, and then one more.
    let widen = |topic, partitions| rig.log.widen(&spec(topic, 1).name, partitions);
    widen("u", 1024);
    tokio::time::sleep(2 * WIDER_EVERY).await;
    let sent = rig.append("u", 1023, &[event("last", T0)]).await;
    assert_eq!(reader.event().await.unwrap().offset, sent);
    assert_eq!(LANES_MAX, 2 * 1024);
    widen("t", 1024);
    tokio::time::sleep(2 * WIDER_EVERY).await;
    let sent = rig.append("t", 1023, &[event("last", T0)]).await;
    assert_eq!(reader.event().await.unwrap().offset, sent);
}

#[tokio::test(start_paused = true)]
async fn too_many_partitions_end_a_subscription_with_the_reason() {
    let rig = rig();
    let mut asked = request(&[]);
    for topic in ["t", "u", "v"] {
        rig.log.create(&spec(topic, 680));
        asked.topics.push(topic_request(topic, 680));
    }
    let mut reader = rig.open(asked).await;
    reader.text().await;
    rig.log.widen(&spec("v", 1).name, 689);
    tokio::time::sleep(2 * WIDER_EVERY).await;
    let told = reader.event().await.unwrap();
    assert_eq!(told.name, "error");
    assert!(told.data.contains("v has 689 partitions now"), "{}", told.data);
    assert_eq!(reader.event().await, None);
}

#[tokio::test(start_paused = true)]
async fn sessions_far_in_the_past_learn_of_them_when_they_arrive() {
    let rig = rig();
    rig.log.create(&spec("t", 1));
    rig.append("t", 0, &[event("old", T0)]).await;
    let mut asked = request(&["t"]);
    asked.from = earliest();
    let mut reader = rig.open(asked).await;
    rig.log.widen(&spec("t", 1).name, 4);
    rig.append("t", 3, &[event("new", T0)]).await;
    let got = [reader.event().await.unwrap(), reader.event().await.unwrap()];
    assert_eq!(got.map(|got| got.partition), [0, 3]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(reader.event_soon().await, None, "each once");
}

#[tokio::test(start_paused = true)]
async fn a_forged_cursor_with_the_largest_number_names_a_partition_that_never_comes() {
    let rig = Rig::of_the_contract().await;
    let mut asked = request(&["single"]);
    asked.from = last_event_id(&format!(
        r#"[{{"topic":"single","partition":{},"timestamp":1,"at":"{LOG_ID}:4"}}]"#,
        u32::MAX
    ));
    assert_eq!(rig.open(asked).await.text().await, ":ok\n\n");
}

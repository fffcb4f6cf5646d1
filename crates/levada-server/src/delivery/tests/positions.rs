//! Where sessions start (contract eventstreams §1.4, §1.5, §2.7, cases 46 to 76; realtime §1.4).

use std::time::Duration;

use levada_event::{Start, Timestamp};
use levada_log::memory::MemoryOptions;
use levada_log::{Log, Retention};
use levada_wire::cursor::PartitionElement;
use levada_wire::{Element, ErrorCode};

use super::super::{From, OpenError, Options};
use super::fixture::*;

/// Offsets of `eqiad.a` that a session gets which starts like this.
async fn offsets(from: From) -> Vec<u64> {
    let rig = Rig::of_the_contract().await;
    let mut asked = request(&["eqiad.a", "codfw.a"]);
    asked.from = from;
    let mut reader = rig.open(asked).await;
    let mut got = reader.offsets().await;
    rig.append("eqiad.a", 0, &[event("new", T0 + 9000)]).await;
    got.extend(reader.offsets().await);
    got
}

#[tokio::test(start_paused = true)]
async fn since_starts_at_the_first_record_at_or_after() {
    for (millis, want) in [
        (T0 + 1000, &[1, 2, 3][..]),
        (T0 + 500, &[1, 2, 3]),
        (0, &[0, 1, 2, 3]),
        (T0 + 1_000_000_000, &[3]),
    ] {
        assert_eq!(offsets(since(millis)).await, want, "{millis}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cursor_is_taken_in_all_its_forms() {
    let at = |rest: &str| last_event_id(&format!(r#"[{{"topic":"eqiad.a","partition":0,{rest}}}]"#));
    for (rest, want) in [
        (r#""offset":1"#, &[1, 2, 3][..]),
        (r#""timestamp":1500000000001"#, &[1, 2, 3]),
        (r#""offset":2,"timestamp":0"#, &[2, 3]),
        (r#""offset":-2"#, &[0, 1, 2, 3]),
        (r#""offset":-1"#, &[3]),
        (r#""offset":99999999999"#, &[3]),
        (r#""timestamp":1500000000001,"at":"00ab12ef:2""#, &[2, 3]),
        (r#""offset":-1,"at":"00ab12ef:2""#, &[2, 3]),
        (r#""timestamp":1500000000001,"at":"ffffffff:2""#, &[1, 2, 3]),
        (r#""offset":0,"color":[{}]"#, &[0, 1, 2, 3]),
    ] {
        assert_eq!(offsets(at(rest)).await, want, "{rest}");
    }
    assert_eq!(offsets(last_event_id(r#"["eqiad.a"]"#)).await, [3]);
    let mixed = last_event_id(r#"["codfw.a",{"topic":"eqiad.a","partition":0,"offset":0}]"#);
    assert_eq!(offsets(mixed).await, [0, 1, 2, 3]);
    let bare_and_exact = last_event_id(r#"["eqiad.a",{"topic":"eqiad.a","partition":0,"offset":1}]"#);
    assert_eq!(offsets(bare_and_exact).await, [1, 2, 3]);
    let bare_since = From::Exactly {
        elements: vec![Element::Topic("eqiad.a".into())],
        bare: Start::Since(Timestamp::from_millis(T0 + 1000)),
    };
    assert_eq!(offsets(bare_since).await, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn the_cursor_replaces_the_assignment() {
    let rig = Rig::of_the_contract().await;
    let mut asked = request(&["eqiad.a", "codfw.a"]);
    asked.from = last_event_id(r#"[{"topic":"eqiad.a","partition":0,"offset":1}]"#);
    let mut reader = rig.open(asked).await;
    let first = reader.event_soon().await.unwrap();
    assert_eq!(
        first.id,
        r#"[{"topic":"eqiad.a","partition":0,"timestamp":1500000001001,"at":"00ab12ef:2"}]"#
    );
    assert_eq!(reader.offsets().await, [2]);
    rig.append("codfw.a", 0, &[event("c", T0)]).await;
    assert_eq!(reader.event_soon().await, None);
}

#[tokio::test(start_paused = true)]
async fn the_first_id_after_since_repeats_what_was_found() {
    let rig = Rig::of_the_contract().await;
    let mut asked = request(&["codfw.a", "eqiad.a"]);
    asked.from = since(T0 + 2000);
    let mut reader = rig.open(asked).await;
    assert_eq!(
        reader.event_soon().await.unwrap().id,
        concat!(
            r#"[{"offset":-1,"partition":0,"topic":"codfw.a","at":"00ab12ef:0"},"#,
            r#"{"topic":"eqiad.a","partition":0,"timestamp":1500000002001,"at":"00ab12ef:3"}]"#
        )
    );
}

#[tokio::test(start_paused = true)]
async fn an_id_resumes_exactly_also_among_events_of_one_millisecond() {
    let rig = Rig::of_the_contract().await;
    let same: Vec<_> = (0..3).map(|i| event(&format!("same{i}"), T0 + 2000)).collect();
    rig.append("eqiad.a", 0, &same).await;
    let mut asked = request(&["eqiad.a", "codfw.a"]);
    asked.from = earliest();
    let mut reader = rig.open(asked).await;
    let mut ids = Vec::new();
    while let Some(got) = reader.event_soon().await {
        ids.push((got.offset, got.id));
    }
    assert_eq!(ids.len(), 6);
    for (offset, id) in ids {
        let mut asked = request(&["eqiad.a", "codfw.a"]);
        asked.from = last_event_id(&id);
        let got = rig.open(asked).await.offsets().await;
        assert_eq!(got, (offset + 1..6).collect::<Vec<_>>(), "after {id}");
    }
}

#[tokio::test(start_paused = true)]
async fn ids_keep_the_time_of_a_quiet_partition_over_a_reconnect() {
    let rig = Rig::of_the_contract().await;
    rig.append("codfw.a", 0, &[event("c", T0 + 77)]).await;
    let mut asked = request(&["eqiad.a", "codfw.a"]);
    asked.from = earliest();
    let mut reader = rig.open(asked).await;
    assert_eq!(reader.offsets().await.len(), 4);
    rig.append("eqiad.a", 0, &[event("live", T0)]).await;
    let live = reader.event_soon().await.unwrap();
    assert!(
        live.id
            .contains(r#"{"topic":"codfw.a","partition":0,"timestamp":1500000000078,"at":"00ab12ef:1"}"#),
        "{}",
        live.id
    );
}

#[tokio::test(start_paused = true)]
async fn latest_is_a_place_and_loses_nothing_before_the_first_poll() {
    let rig = Rig::of_the_contract().await;
    let mut reader = rig.open(request(&["eqiad.a", "codfw.a"])).await;
    // The response has not begun, and yet these belong to it.
    rig.append("eqiad.a", 0, &[event("x", T0)]).await;
    rig.append("codfw.a", 0, &[event("y", T0)]).await;
    let mut got = [
        reader.event_soon().await.unwrap(),
        reader.event_soon().await.unwrap(),
    ];
    got.sort_by(|a, b| a.topic.cmp(&b.topic));
    assert_eq!((got[0].offset, got[1].offset), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn foreign_topics_are_refused_with_the_list() {
    let rig = Rig::of_the_contract().await;
    let mut asked = request(&["eqiad.a", "codfw.a"]);
    asked.from = last_event_id(
        r#"[{"topic":"eqiad.b","partition":0,"offset":0},"x",{"topic":"eqiad.a","partition":0,"offset":0}]"#,
    );
    let error = rig.try_open(asked).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::TopicNotAvailable);
    assert_eq!(
        String::from_utf8(error.stream_error().to_json()).unwrap(),
        r#"{"message":"Topics eqiad.b,x are not available for consumption.","origin":"KafkaSSE","name":"TopicNotAvailableError","availableTopics":["eqiad.a","codfw.a"],"statusCode":404}"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_does_not_exist_is_silence() {
    let rig = Rig::of_the_contract().await;
    for element in [
        r#"{"topic":"eqiad.a","partition":7,"offset":0}"#,
        r#"{"topic":"eqiad.a","partition":7,"timestamp":5}"#,
        r#"{"topic":"eqiad.a","partition":-3,"offset":0}"#,
    ] {
        let mut asked = request(&["eqiad.a"]);
        asked.from = last_event_id(&format!(
            "[{element},{}]",
            r#"{"topic":"codfw.a","partition":0,"offset":-1}"#
        ));
        asked.topics.push(topic_request("codfw.a", 1));
        let mut reader = rig.open(asked).await;
        assert_eq!(reader.text().await, ":ok\n\n");
        let offset = rig.append("codfw.a", 0, &[event("x", T0)]).await;
        let got = reader.event_soon().await.unwrap();
        assert_eq!(got.offset, offset);
        // What the client sent comes back, so that it does not lose the element.
        let own = element.trim_end_matches('}');
        assert_eq!(got.id.contains(own), !element.contains("-3"), "{}", got.id);
    }
}

#[tokio::test(start_paused = true)]
async fn a_position_that_is_gone_is_told_and_replaced_by_the_nearest() {
    let rig = Rig::of_the_contract().await;
    rig.log.trim(&tp("eqiad.a", 0), 2);
    for (cursor, want, header, comment) in [
        (
            r#"[{"topic":"eqiad.a","partition":0,"timestamp":1,"at":"00ab12ef:1"}]"#,
            vec![2],
            Some("eqiad.a/0;expired;1;2"),
            Some(r#"gap {"topic":"eqiad.a","partition":0,"reason":"expired","asked":1,"resumed":2}"#),
        ),
        (
            r#"[{"topic":"eqiad.a","partition":0,"offset":0}]"#,
            vec![2],
            Some("eqiad.a/0;expired;0;2"),
            Some(r#"gap {"topic":"eqiad.a","partition":0,"reason":"expired","asked":0,"resumed":2}"#),
        ),
        (
            r#"[{"topic":"eqiad.a","partition":0,"offset":77}]"#,
            vec![],
            Some("eqiad.a/0;beyond_end;77;3"),
            Some(r#"gap {"topic":"eqiad.a","partition":0,"reason":"beyond_end","asked":77,"resumed":3}"#),
        ),
        (
            r#"[{"topic":"eqiad.a","partition":0,"timestamp":1500000002000,"at":"0badcafe:5"}]"#,
            vec![2],
            // By time, and of that time something may have been removed too.
            Some("eqiad.a/0;foreign_log;5;2, eqiad.a/0;expired;-;2"),
            Some(r#"gap {"topic":"eqiad.a","partition":0,"reason":"foreign_log","asked":5,"resumed":2}"#),
        ),
        (
            r#"[{"topic":"eqiad.a","partition":0,"offset":2}]"#,
            vec![2],
            None,
            None,
        ),
    ] {
        let before = rig.stat("gaps");
        let mut asked = request(&["eqiad.a"]);
        asked.from = last_event_id(cursor);
        let mut reader = rig.open(asked).await;
        assert_eq!(reader.header.as_deref(), header, "{cursor}");
        assert_eq!(reader.offsets().await, want, "{cursor}");
        assert_eq!(
            reader
                .comments
                .iter()
                .find(|c| c.starts_with("gap"))
                .map(String::as_str),
            comment
        );
        let told = header.map_or(0, |header| header.split(", ").count());
        assert_eq!(rig.stat("gaps") - before, told as i64);
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_of_which_events_may_be_gone_is_told() {
    let rig = Rig::of_the_contract().await;
    let hour = Duration::from_secs(3600);
    let at = |millis: i64, age: Option<Duration>, bytes: Option<u64>| {
        let mut asked = request(&["eqiad.a"]);
        asked.from = since(millis);
        // A minute for clocks that differ.
        asked.now = Timestamp::from_millis(T0 + 2000 + 60_000);
        asked.topics[0].spec.retention = Retention { age, bytes };
        asked
    };
    // Of a topic that never lost anything, no time is too early.
    for millis in [1, T0 - 1, T0 + 1000, T0 + 9000] {
        let reader = rig.open(at(millis, Some(Duration::ZERO), None)).await;
        assert_eq!(reader.header, None, "{millis}");
    }
    rig.log.trim(&tp("eqiad.a", 0), 1);
    let second = Duration::from_secs(1);
    for (asked, told) in [
        // Older than what is kept for sure, and nothing older is left.
        (at(T0, Some(second), None), true),
        (at(T0 + 999, Some(second), None), true),
        // Nothing as young can have been removed.
        (at(T0 + 1000, Some(second), None), false),
        (at(T0, Some(hour), None), false),
        // Something older is left.
        (at(T0 + 1001, Some(Duration::ZERO), None), false),
        (at(T0 + 9000, Some(Duration::ZERO), None), false),
        // Where the size decides, or nothing that was declared, age says nothing.
        (at(T0, Some(hour), Some(1)), true),
        (at(T0, None, None), true),
        // Whatever is kept.
        (at(0, None, None), false),
        (at(-5, None, None), false),
    ] {
        let from = format!("{:?} {:?}", asked.from, asked.topics[0].spec.retention);
        let mut reader = rig.open(asked).await;
        assert_eq!(
            reader.header.as_deref(),
            told.then_some("eqiad.a/0;expired;-;1"),
            "{from}"
        );
        reader.offsets().await;
        let comment = reader.comments.iter().find(|c| c.starts_with("gap"));
        let text = r#"gap {"topic":"eqiad.a","partition":0,"reason":"expired","resumed":1}"#;
        assert_eq!(comment.map(String::as_str), told.then_some(text), "{from}");
    }
    // Nothing at all is left.
    rig.log.trim(&tp("eqiad.a", 0), 3);
    let reader = rig.open(at(T0, Some(second), None)).await;
    assert_eq!(reader.header.as_deref(), Some("eqiad.a/0;expired;-;3"));
    // Ids that say a time only are times too.
    let mut asked = at(T0, Some(second), None);
    asked.from = last_event_id(&format!(
        r#"[{{"topic":"eqiad.a","partition":0,"timestamp":{T0}}}]"#
    ));
    let reader = rig.open(asked).await;
    assert_eq!(reader.header.as_deref(), Some("eqiad.a/0;expired;-;3"));
}

#[tokio::test(start_paused = true)]
async fn the_header_has_a_bound() {
    let rig = Rig::new();
    rig.log.create(&spec("wide", 1000));
    let mut asked = request(&["wide"]);
    let elements = (0..1000).map(|p| format!(r#"{{"topic":"wide","partition":{p},"offset":5}}"#));
    asked.from = last_event_id(&format!("[{}]", elements.collect::<Vec<_>>().join(",")));
    let opened = rig.try_open(asked).await.unwrap();
    assert_eq!(opened.gaps.len(), 1000);
    let header = opened.gap_header().unwrap();
    let items: Vec<&str> = header.split(", ").collect();
    let (last, told) = items.split_last().unwrap();
    assert!(
        told.iter().all(|item| item.ends_with(";beyond_end;5;0")),
        "{header}"
    );
    assert_eq!(*last, format!("+{}", 1000 - told.len()));
    assert!(header.len() <= 4096 && header.len() > 4000, "{}", header.len());
}

#[tokio::test(start_paused = true)]
async fn topics_named_twice_are_delivered_once() {
    let rig = Rig::of_the_contract().await;
    let mut asked = request(&["eqiad.a", "codfw.a", "eqiad.a"]);
    asked.from = earliest();
    assert_eq!(rig.open(asked).await.offsets().await, [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn named_partitions_start_there_and_the_rest_elsewhere() {
    let rig = Rig::with(
        Options::default(),
        MemoryOptions {
            hole_every: 0,
            ..MemoryOptions::default()
        },
    );
    rig.log.create(&spec("articles", 5));
    for partition in 0..5 {
        let three: Vec<_> = (0..3).map(|i| event(&i.to_string(), T0 + 1000 * i)).collect();
        rig.append("articles", partition, &three).await;
    }
    let element = |partition, offset, timestamp| {
        Element::Partition(PartitionElement {
            topic: "articles".into(),
            partition,
            offset,
            timestamp,
            at: None,
        })
    };
    let mut asked = request(&["articles"]);
    asked.topics[0].partitions = Some(vec![0, 1, 2, 2, 9]);
    asked.from = From::Each {
        elements: vec![
            element(0, Some(1), None),
            element(1, None, Some(T0 + 2000)),
            element(4, Some(0), None),
            element(77, Some(0), None),
        ],
        rest: Start::Latest,
    };
    let mut reader = rig.open(asked).await;
    let mut got = Default::default();
    reader.by_partition(&mut got).await;
    let offsets: Vec<Vec<u64>> = got
        .values()
        .map(|list| list.iter().map(|g| g.offset).collect())
        .collect();
    assert_eq!(offsets, [vec![1, 2], vec![2]]);
    rig.append("articles", 2, &[event("live", T0)]).await;
    rig.append("articles", 3, &[event("not asked for", T0)]).await;
    assert_eq!(reader.offsets().await, [3]);
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_does_not_exist_yet_is_waited_for() {
    let rig = Rig::without_topics();
    let mut live = rig.open(request(&["later"])).await;
    assert_eq!(live.text().await, ":ok\n\n");
    // At once where this process makes the topic, however long it was waited for.
    tokio::time::sleep(Duration::from_secs(1000)).await;
    let made = tokio::time::Instant::now();
    rig.log.create(&spec("later", 1));
    let first = rig.append("later", 0, &[event("first", T0)]).await;
    let got = live.event().await.unwrap();
    assert_eq!(got.offset, first);
    assert!(
        made.elapsed() < Duration::from_millis(100),
        "{:?}",
        made.elapsed()
    );
    assert_eq!(rig.log.topic(&spec("later", 1)).await.unwrap().partitions, 1);
}

#[tokio::test(start_paused = true)]
async fn what_went_before_an_awaited_topic_was_seen_is_a_gap() {
    let rig = Rig::without_topics();
    let mut live = rig.open(request(&["later"])).await;
    assert_eq!(live.text().await, ":ok\n\n");
    rig.log.create(&spec("later", 1));
    rig.append("later", 0, &[event("gone", T0), event("kept", T0)])
        .await;
    rig.log.trim(&tp("later", 0), 1);
    let told = live.until("kept").await;
    assert!(told.starts_with(": gap ") && told.contains("expired"), "{told}");
    assert!(!told.contains("gone"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn too_many_of_anything_is_refused_before_the_first_byte() {
    let rig = Rig::with(
        Options {
            channels_max: 1,
            ..Options::default()
        },
        MemoryOptions::default(),
    );
    let mut first = rig.open(request(&["a"])).await;
    first.text().await;
    let mut second = rig.open(request(&["a"])).await;
    second.text().await;
    assert_eq!((rig.stat("channels"), rig.stat("tails")), (1, 1));
    assert_eq!(
        rig.try_open(request(&["b"])).await.unwrap_err(),
        OpenError::TooManyChannels
    );
    drop((first, second));
    rig.open(request(&["b"])).await;

    let mut wide = request(&[]);
    wide.topics = (0..3).map(|i| topic_request(&format!("w{i}"), 1000)).collect();
    assert_eq!(
        rig.try_open(wide).await.unwrap_err(),
        OpenError::TooManyPartitions
    );
}

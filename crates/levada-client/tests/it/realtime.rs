//! The Realtime API: a callback per event and the position behind it, resuming, notices, refusals.

use std::ops::ControlFlow;

use levada_client::{
    RealtimeConfig, RealtimeDelivery, RealtimeNotice, RealtimePosition, RealtimeQuery, RealtimeSubscriber,
    SubscribeError,
};
use levada_event::Timestamp;
use serde_json::{Value, json};

use crate::server::{Part, Reply, Scripted, quick, reply, text};

fn lines(parts: impl IntoIterator<Item = Part>) -> Reply {
    Reply {
        status: 200,
        headers: vec![
            ("content-type", "application/x-ndjson; charset=utf-8"),
            ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ],
        body: parts.into_iter().collect(),
    }
}

fn line(partition: u32, offset: u64) -> String {
    format!("{{\"event\":{{\"partition\":{partition},\"offset\":{offset}}}}}\n")
}

/// A server that does not tell positions.
fn untold() -> Reply {
    reply(404, "{}")
}

fn config(stream: &str) -> RealtimeConfig {
    let query = RealtimeQuery {
        stream: stream.to_owned(),
        parts: vec![0],
        ..RealtimeQuery::default()
    };
    RealtimeConfig {
        backoff: quick(),
        ..RealtimeConfig::new(query)
    }
}

fn body(scripted: &Scripted, number: usize) -> Value {
    serde_json::from_str(&scripted.bodies()[number]).unwrap()
}

#[tokio::test]
async fn positions_are_handed_out_after_the_callback() {
    let scripted = Scripted::start([
        untold(),
        lines([
            text(&line(0, 7)),
            text(" "),
            text(&format!("{}{}", line(3, 1), line(0, 8))),
            text(&line(0, 9)),
            Part::Hang,
        ]),
    ])
    .await;
    let mut subscriber = RealtimeSubscriber::new(scripted.server(), config("")).unwrap();
    let seen = std::cell::RefCell::new(Vec::new());
    subscriber
        .run(
            |event| {
                seen.borrow_mut()
                    .push(format!("event {} {}", event.partition, event.offset));
                if event.offset == 8 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
            |position| seen.borrow_mut().push(format!("{:?}", position.offsets())),
        )
        .await
        .unwrap();
    assert_eq!(
        seen.into_inner(),
        [
            "event 0 7",
            "{0: 8}",
            "event 3 1",
            "{0: 8, 3: 2}",
            "event 0 8",
            "{0: 9, 3: 2}"
        ]
    );
    // Ended by the callback, it can go on with the next event.
    match subscriber.next().await.unwrap() {
        RealtimeDelivery::Event(event) => assert_eq!((event.partition, event.offset), (0, 9)),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        subscriber.position().offsets().get(&0),
        Some(&9),
        "not processed yet"
    );
    let kept: RealtimePosition = subscriber.position().to_string().parse().unwrap();
    assert_eq!(&kept, subscriber.position());
}

#[tokio::test]
async fn a_cut_line_is_read_again_and_a_gap_is_told() {
    let cut = line(1, 5);
    let mut gap = lines([text(&line(1, 5)), Part::Hang]);
    gap.headers.push(("levada-gap", "articles/0;expired;3;9"));
    let scripted = Scripted::start([
        untold(),
        lines([text(&line(1, 4)), text(&cut[..9]), Part::Cut]),
        reply(503, "{}"),
        gap,
    ])
    .await;
    let mut subscriber = RealtimeSubscriber::new(scripted.server(), config("articles")).unwrap();
    let (mut events, mut cuts, mut gaps) = (Vec::new(), 0, Vec::new());
    while events.len() < 2 {
        match subscriber.next().await.unwrap() {
            RealtimeDelivery::Event(event) => {
                subscriber.processed(&event);
                events.push(event.offset);
            }
            RealtimeDelivery::Notice(RealtimeNotice::Disconnected { .. }) => cuts += 1,
            RealtimeDelivery::Notice(RealtimeNotice::Gap { text, .. }) => gaps.push(text),
            RealtimeDelivery::Notice(_) => {}
        }
    }
    assert_eq!((events, cuts), (vec![4, 5], 2));
    assert_eq!(gaps, ["articles/0;expired;3;9"]);
    let again = body(&scripted, 3);
    assert_eq!(again["offsets"], json!({"1": 5}));
    let times = again["since_per_partition"].as_object().unwrap();
    assert_eq!(times.len(), 49);
    assert!(times.values().all(|time| *time == "2026-01-01T00:00:00.000Z"));
}

/// A position of log `a`, and where reading began.
fn of_log_a() -> RealtimePosition {
    r#"{"log":"aaaaaaaa","offsets":{"1":5,"9":3},"since":"2025-12-31T00:00:00.000Z"}"#
        .parse()
        .unwrap()
}

/// Everything up to the first event, which is processed.
async fn until_event(subscriber: &mut RealtimeSubscriber) -> Vec<RealtimeNotice> {
    let mut notices = Vec::new();
    loop {
        match subscriber.next().await.unwrap() {
            RealtimeDelivery::Event(event) => {
                subscriber.processed(&event);
                return notices;
            }
            RealtimeDelivery::Notice(notice) => notices.push(notice),
        }
    }
}

fn other_log(notices: &[RealtimeNotice]) -> Option<(&str, &str)> {
    notices.iter().find_map(|notice| match notice {
        RealtimeNotice::OtherLog { known, found, .. } => Some((&**known, &**found)),
        _ => None,
    })
}

#[tokio::test]
async fn offsets_of_another_log_are_not_asked_for() {
    let mut told = reply(
        200,
        r#"{"log":"bbbbbbbb","splice":"event","partitions":[{"topic":"articles","partition":0,"next":2},{"topic":"articles","partition":1,"next":7}]}"#,
    );
    told.headers.push(("content-type", "application/json"));
    let mut stream = lines([text(&line(1, 0)), Part::Hang]);
    stream.headers.push(("levada-log", "bbbbbbbb"));
    let scripted = Scripted::start([told, stream]).await;
    let mut config = config("articles");
    config.position = of_log_a();
    let mut subscriber = RealtimeSubscriber::new(scripted.server(), config).unwrap();
    let notices = until_event(&mut subscriber).await;
    assert_eq!(other_log(&notices), Some(("aaaaaaaa", "bbbbbbbb")), "{notices:?}");
    let asked = body(&scripted, 1);
    assert_eq!(asked.get("offsets"), None, "{asked}");
    assert_eq!(
        asked["since_per_partition"],
        json!({"0": "2025-12-31T00:00:00.000Z", "1": "2025-12-31T00:00:00.000Z"})
    );
    assert_eq!(
        subscriber.position().to_string(),
        r#"{"log":"bbbbbbbb","offsets":{"1":1},"since":"2025-12-31T00:00:00.000Z"}"#
    );
}

#[tokio::test]
async fn a_log_that_is_replaced_between_two_connections_is_noticed() {
    let of = |log: &'static str, parts: Vec<Part>| {
        let mut stream = lines(parts);
        stream.headers.push(("levada-log", log));
        stream
    };
    let scripted = Scripted::start([
        untold(),
        of("aaaaaaaa", vec![text(&line(1, 5)), Part::Cut]),
        // Asked for with the offsets of the old log: what it brings does not count.
        of("bbbbbbbb", vec![text(&line(1, 6)), Part::Hang]),
        untold(),
        of("bbbbbbbb", vec![text(&line(1, 0)), Part::Hang]),
    ])
    .await;
    let mut config = config("articles");
    config.position = of_log_a();
    let mut subscriber = RealtimeSubscriber::new(scripted.server(), config).unwrap();
    let notices = until_event(&mut subscriber).await;
    assert_eq!(other_log(&notices), None, "{notices:?}");
    let notices = until_event(&mut subscriber).await;
    assert_eq!(other_log(&notices), Some(("aaaaaaaa", "bbbbbbbb")), "{notices:?}");
    assert_eq!(body(&scripted, 2)["offsets"], json!({"1": 6, "9": 3}));
    assert_eq!(body(&scripted, 4).get("offsets"), None);
    assert_eq!(
        subscriber.position().to_string(),
        r#"{"log":"bbbbbbbb","offsets":{"1":1},"since":"2025-12-31T00:00:00.000Z"}"#
    );
}

fn positions(topics: &[&str], partitions: u32) -> Reply {
    let row = |topic: &str, partition: u32| json!({"topic": topic, "partition": partition, "next": 10});
    let rows = topics
        .iter()
        .flat_map(|topic| (0..partitions).map(|partition| row(topic, partition)));
    let rows: Vec<Value> = rows.collect();
    reply(
        200,
        json!({"stream": "edits", "splice": "meta", "partitions": rows}).to_string(),
    )
}

#[tokio::test]
async fn other_streams_tell_where_they_are_and_quiet_partitions_keep_their_place() {
    let line = |offset: u64| format!("{{\"n\":1,\"meta\":{{\"partition\":2,\"offset\":{offset}}}}}\n");
    let scripted = Scripted::start([
        positions(&["edits"], 64),
        lines([text(&line(10)), Part::Cut]),
        positions(&["edits"], 64),
        lines([text(&line(11)), Part::Hang]),
    ])
    .await;
    let mut config = config("edits");
    config.query.fields = vec!["n".into()];
    let mut subscriber = RealtimeSubscriber::new(scripted.server(), config).unwrap();
    let mut events = 0;
    while events < 2 {
        if let RealtimeDelivery::Event(event) = subscriber.next().await.unwrap() {
            subscriber.processed(&event);
            events += 1;
        }
    }
    let asked: Vec<String> = scripted.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(
        asked,
        [
            "GET /v2/streams/edits/positions",
            "POST /v2/streams/edits",
            // Partitions may have been added.
            "GET /v2/streams/edits/positions",
            "POST /v2/streams/edits"
        ]
    );
    // Part 0 of 64 partitions is seven of them, read from where they were.
    let first = body(&scripted, 1);
    assert_eq!(first["fields"], json!(["n", "meta.partition", "meta.offset"]));
    assert_eq!(
        first["offsets"],
        json!({"0": 10, "1": 10, "2": 10, "3": 10, "4": 10, "5": 10, "6": 10})
    );
    assert_eq!(body(&scripted, 3)["offsets"]["2"], 11);
    let offsets = subscriber.position().offsets();
    assert_eq!((offsets.len(), offsets[&2], offsets[&6]), (7, 12, 10));
}

#[tokio::test]
async fn streams_of_several_topics_are_refused_in_words() {
    let scripted = Scripted::start([positions(&["east.edits", "west.edits"], 1)]).await;
    let mut subscriber = RealtimeSubscriber::new(scripted.server(), config("edits")).unwrap();
    match subscriber.next().await {
        Err(SubscribeError::Unexpected(why)) => assert!(why.contains("several topics"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn refusals_are_final() {
    let scripted = Scripted::start([untold(), reply(422, "{\"status\":422,\"message\":\"no\"}")]).await;
    let mut subscriber = RealtimeSubscriber::new(scripted.server(), config("")).unwrap();
    for _ in 0..2 {
        match subscriber.next().await {
            Err(SubscribeError::Refused {
                status: 422, message, ..
            }) => assert_eq!(message, "no"),
            other => panic!("{other:?}"),
        }
    }
}

/// What a server tells of a stream.
fn told(splice: &str, partitions: &Value) -> Reply {
    reply(
        200,
        json!({"stream": "x", "splice": splice, "partitions": partitions}).to_string(),
    )
}

/// Partitions from which `next` comes next, in one topic.
fn rows(partitions: u32, next: u64) -> Value {
    let row = |partition| json!({"topic": "x", "partition": partition, "next": next, "latest": next - 1});
    (0..partitions).map(row).collect()
}

/// Processes so many events; returns why connections were lost meanwhile.
async fn process(subscriber: &mut RealtimeSubscriber, count: usize) -> Vec<String> {
    let (mut lost, mut events) = (Vec::new(), 0);
    while events < count {
        match subscriber.next().await.unwrap() {
            RealtimeDelivery::Event(event) => {
                subscriber.processed(&event);
                events += 1;
            }
            RealtimeDelivery::Notice(RealtimeNotice::Disconnected { reason, .. }) => lost.push(reason),
            RealtimeDelivery::Notice(_) => {}
        }
    }
    lost
}

#[tokio::test]
async fn articles_in_more_partitions_than_usual_are_read_from_all_of_them() {
    let since = Timestamp::from_millis(1_767_225_600_000);
    for position in [RealtimePosition::default(), RealtimePosition::since(since)] {
        let scripted = Scripted::start([
            told("event", &rows(64, 10)),
            lines([text(&line(63, 10)), Part::Hang]),
        ])
        .await;
        let mut config = config("");
        config.query.parts = vec![9];
        config.position = position.clone();
        let mut subscriber = RealtimeSubscriber::new(scripted.server(), config).unwrap();
        assert!(process(&mut subscriber, 1).await.is_empty());
        assert_eq!(scripted.seen()[0].line, "GET /v2/articles/positions");
        let asked = body(&scripted, 1);
        if position.start().is_none() {
            // Part 9 of 64 partitions.
            let expected = json!({"58": 10, "59": 10, "60": 10, "61": 10, "62": 10, "63": 10});
            assert_eq!(asked["offsets"], expected);
            let kept = subscriber.position().offsets();
            assert_eq!((kept.len(), kept[&58], kept[&63]), (6, 10, 11));
        } else {
            let times = asked["since_per_partition"].as_object().unwrap();
            assert!(times.len() == 64 && times.contains_key("63"), "{times:?}");
        }
    }
}

#[tokio::test]
async fn a_look_at_the_partitions_that_fails_is_made_again() {
    for (stream, splice) in [("articles", "event"), ("edits", "meta")] {
        let line = json!({splice: {"partition": 60, "offset": 10}}).to_string() + "\n";
        let scripted = Scripted::start([
            reply(503, "{\"status\":503,\"message\":\"the log sleeps\"}"),
            reply(200, "{\"partitions\":"),
            Reply {
                body: vec![text("{"), Part::Cut],
                ..reply(200, "")
            },
            told(splice, &rows(64, 10)),
            lines([text(&line), Part::Hang]),
        ])
        .await;
        let mut config = config(stream);
        config.query.parts = vec![9];
        config.first_attempts = None;
        let mut subscriber = RealtimeSubscriber::new(scripted.server(), config).unwrap();
        let lost = process(&mut subscriber, 1).await;
        assert!(
            lost.len() == 3
                && lost[0].contains("the log sleeps")
                && lost.iter().all(|why| why.contains("/positions")),
            "{lost:?}"
        );
        assert_eq!(body(&scripted, 4)["offsets"]["63"], 10);
    }
    // As elsewhere, who may not look gets no stream of another layout either.
    let scripted = Scripted::start([reply(401, "{\"status\":401,\"message\":\"who?\"}")]).await;
    let mut subscriber = RealtimeSubscriber::new(scripted.server(), config("")).unwrap();
    match subscriber.next().await {
        Err(SubscribeError::Refused {
            status: 401, message, ..
        }) => assert!(message.contains("who?"), "{message}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stream_without_partitions_yet_is_looked_at_again() {
    let line = |offset| format!("{}\n", json!({"meta": {"partition": 1, "offset": offset}}));
    let scripted = Scripted::start([
        told("meta", &json!([])),
        lines([text(&line(0)), Part::Cut]),
        told("meta", &rows(64, 10)),
        lines([text(&line(1)), Part::Hang]),
    ])
    .await;
    let mut config = config("edits");
    config.query.fields = vec!["n".into()];
    let mut subscriber = RealtimeSubscriber::new(scripted.server(), config).unwrap();
    assert_eq!(process(&mut subscriber, 2).await.len(), 1);
    assert_eq!(
        body(&scripted, 1)["fields"],
        json!(["n", "meta.partition", "meta.offset"])
    );
    // Since the first connection, partitions have come that it did not know of.
    let again = body(&scripted, 3);
    assert_eq!(
        again["offsets"],
        json!({"0": 0, "1": 1, "2": 0, "3": 0, "4": 0, "5": 0, "6": 0})
    );
}

#[tokio::test]
async fn partitions_that_are_at_their_end_go_on_by_offset() {
    let row = |partition: u32, next: u64, last: Option<&str>| match last {
        Some(last) => {
            json!({"topic": "x", "partition": partition, "next": next, "latest": next - 1, "latest_dt": last})
        }
        None => json!({"topic": "x", "partition": partition, "next": next}),
    };
    let rows = json!([
        row(0, 10, Some("2025-12-31T23:00:00.000Z")),
        row(1, 20, Some("2026-01-01T00:00:00.000Z")),
        // Clocks of servers differ a little.
        row(2, 30, Some("2025-12-31T23:59:59.000Z")),
        row(3, 0, None),
        // What was there is gone, which the server has to tell.
        row(4, 40, None),
    ]);
    // Elsewhere times are what producers say, in any order.
    for (stream, splice, expected) in [
        ("articles", "event", json!({"0": 10, "3": 0})),
        ("edits", "meta", json!({"3": 0})),
    ] {
        let line = json!({splice: {"partition": 1, "offset": 19}}).to_string() + "\n";
        let scripted = Scripted::start([
            told(splice, &rows),
            lines([text(&line), Part::Cut]),
            told(splice, &rows),
            lines([text(&line), Part::Hang]),
        ])
        .await;
        let mut config = config(stream);
        config.query.parts = Vec::new();
        config.position = RealtimePosition::since(Timestamp::from_millis(1_767_225_600_000));
        let mut subscriber = RealtimeSubscriber::new(scripted.server(), config).unwrap();
        process(&mut subscriber, 2).await;
        let asked = body(&scripted, 1);
        assert_eq!(asked["offsets"], expected);
        let times = asked["since_per_partition"].as_object().unwrap();
        assert_eq!(times.len(), 5 - expected.as_object().unwrap().len());
        assert!(times.contains_key("1") && times.contains_key("2") && times.contains_key("4"));
        let again = &body(&scripted, 3)["offsets"];
        assert!(again["1"] == 20 && again["3"] == 0, "{again}");
        assert_eq!(subscriber.position().offsets().get(&3), Some(&0));
    }
}

#[tokio::test]
async fn partitions_that_come_later_are_read_from_their_first_event() {
    let new = json!([
        {"topic": "x", "partition": 0, "next": 10, "latest": 9, "latest_dt": "2001-01-01T00:00:00.000Z"},
        {"topic": "x", "partition": 1, "next": 10, "latest": 9, "latest_dt": "2001-01-01T00:00:00.000Z"},
    ]);
    let line = |partition: u32, offset: u64| {
        let line = json!({"meta": {"partition": partition, "offset": offset}});
        text(&format!("{line}\n"))
    };
    let since = RealtimePosition::since(Timestamp::from_millis(1_767_225_600_000));
    // No topic at first, or one partition; then a back-fill of old events.
    for (first, position, offsets) in [
        (json!([]), RealtimePosition::default(), json!({"0": 0, "1": 0})),
        (
            json!([{"topic": "x", "partition": 0, "next": 3}]),
            RealtimePosition::default(),
            json!({"0": 3, "1": 0}),
        ),
        (json!([]), since, Value::Null),
    ] {
        let by_time = offsets.is_null();
        let scripted = Scripted::start([
            told("meta", &first),
            lines([Part::Cut]),
            told("meta", &new),
            lines([line(1, 0), Part::Hang]),
        ])
        .await;
        let mut config = config("edits");
        config.query.parts = Vec::new();
        config.position = position;
        let mut subscriber = RealtimeSubscriber::new(scripted.server(), config).unwrap();
        process(&mut subscriber, 1).await;
        assert_eq!(body(&scripted, 3)["offsets"], offsets);
        let kept = subscriber.position().offsets();
        assert_eq!(kept[&1], 1);
        assert_eq!(kept.contains_key(&0), !by_time);
    }
}

/// A response of this log.
fn lines_of(log: &'static str, parts: impl IntoIterator<Item = Part>) -> Reply {
    let mut stream = lines(parts);
    stream.headers.push(("levada-log", log));
    stream
}

#[tokio::test]
async fn events_of_the_old_log_do_not_move_the_position_in_the_new_one() {
    let scripted = Scripted::start([
        untold(),
        lines_of("aaaaaaaa", [text(&line(1, 1_000_000)), Part::Cut]),
        lines_of("bbbbbbbb", [Part::Cut]),
        untold(),
        lines_of("bbbbbbbb", [text(&line(1, 4)), Part::Hang]),
    ])
    .await;
    let mut config = config("articles");
    config.position = of_log_a();
    let mut subscriber = RealtimeSubscriber::new(scripted.server(), config).unwrap();
    let (mut held, mut told) = (None, false);
    loop {
        match subscriber.next().await.unwrap() {
            RealtimeDelivery::Event(event) if held.is_none() => held = Some(event),
            RealtimeDelivery::Event(event) => {
                subscriber.processed(&event);
                break;
            }
            RealtimeDelivery::Notice(RealtimeNotice::OtherLog { .. }) => {
                told = true;
                // Held in the caller's hands all the while.
                subscriber.processed(held.as_ref().unwrap());
                assert!(subscriber.position().offsets().is_empty());
            }
            RealtimeDelivery::Notice(_) => {}
        }
    }
    assert!(told);
    assert_eq!(
        subscriber.position().to_string(),
        r#"{"log":"bbbbbbbb","offsets":{"1":5},"since":"2025-12-31T00:00:00.000Z"}"#
    );
}

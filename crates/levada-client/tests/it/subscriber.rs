//! Reconnecting, resuming, notices, refusals.

use std::time::Duration;

use levada_client::{Delivery, Notice, Server, SubscribeError, Subscriber, SubscriberConfig};
use levada_event::Timestamp;
use levada_wire::{ErrorCode, GapReason, Subscription};

use crate::server::{Part, Reply, Scripted, events, quick, reply, text};

fn config() -> SubscriberConfig {
    let subscription = Subscription {
        streams: vec!["a".into(), "b".into()],
        ..Subscription::default()
    };
    SubscriberConfig {
        backoff: quick(),
        ..SubscriberConfig::new(subscription)
    }
}

fn subscriber(scripted: &Scripted, config: SubscriberConfig) -> Subscriber {
    Subscriber::new(scripted.server(), config)
}

fn frame(id: u32) -> String {
    format!("event: message\nid: [{id}]\ndata: {{\"n\":{id}}}\n\n")
}

/// The next event's data; notices are left out.
async fn event(subscriber: &mut Subscriber) -> String {
    loop {
        match subscriber.next().await.unwrap() {
            Delivery::Event(event) => return event.data,
            Delivery::Notice(_) => {}
        }
    }
}

#[tokio::test]
async fn a_cut_inside_a_frame_is_resumed_behind_the_last_whole_event() {
    let cut = frame(3);
    let scripted = Scripted::start([
        events([
            text(":ok\n\n"),
            text(&frame(1)),
            text(&frame(2)),
            text(&cut[..cut.len() - 3]),
            Part::Cut,
        ]),
        events([text(":ok\n\n"), text(&frame(3)), text("event: mess")]),
        events([text(":ok\n\n"), text(&frame(4)), Part::Hang]),
    ])
    .await;
    let mut subscriber = subscriber(&scripted, config());
    for n in 1..=4 {
        assert_eq!(event(&mut subscriber).await, format!("{{\"n\":{n}}}"));
        assert_eq!(subscriber.position().map(|p| &**p), Some(&*format!("[{n}]")));
    }
    let seen = scripted.seen();
    assert!(
        seen.iter().all(|request| request.line == "GET /v2/stream/a,b"),
        "{seen:?}"
    );
    let cursors: Vec<_> = seen
        .iter()
        .map(|request| request.header("last-event-id"))
        .collect();
    assert_eq!(cursors, [None, Some("[2]"), Some("[3]")]);
    assert_eq!(seen[0].header("accept"), Some("text/event-stream"));
}

#[tokio::test]
async fn notices_say_what_happens() {
    let gap = r#": gap {"topic":"t","partition":0,"reason":"expired","asked":1,"resumed":9}"#;
    let error = "event: error\nid: [1]\ndata: {\"message\":\"disk\",\"code\":\"storage_damaged\"}\n\n";
    let scripted = Scripted::start([
        events([
            text(":ok\n\nretry: 1\n\n"),
            text(&format!("{gap}\n\n")),
            text(error),
        ]),
        events([text(":ok\n\n"), text(&frame(5)), Part::Hang]),
    ])
    .await;
    let mut subscriber = subscriber(&scripted, config());
    let mut notices = Vec::new();
    loop {
        match subscriber.next().await.unwrap() {
            Delivery::Notice(notice) => notices.push(notice),
            Delivery::Event(event) => {
                assert_eq!(event.cursor.as_deref(), Some("[5]"));
                break;
            }
        }
    }
    assert_eq!(notices.len(), 5, "{notices:?}");
    assert_eq!(notices[0], Notice::Connected);
    assert!(matches!(&notices[1], Notice::Gap(gap) if gap.reason == GapReason::Expired && gap.resumed == 9));
    assert_eq!(
        notices[2],
        Notice::ServerError {
            code: Some(ErrorCode::StorageDamaged),
            message: "disk".into()
        }
    );
    assert!(
        matches!(&notices[3], Notice::Disconnected { reason, .. } if reason == "the server ended the stream")
    );
    assert_eq!(notices[4], Notice::Connected);
}

#[tokio::test]
async fn busy_servers_are_asked_again() {
    let mut busy = reply(503, "");
    busy.headers.push(("retry-after", "0"));
    let mut many = reply(429, r#"{"title":"Too Many","detail":"connections"}"#);
    many.headers.push(("retry-after", "0"));
    let scripted = Scripted::start([busy, many, events([text(&frame(1)), Part::Hang])]).await;
    let mut subscriber = subscriber(&scripted, config());
    assert_eq!(event(&mut subscriber).await, "{\"n\":1}");
    assert_eq!(scripted.seen().len(), 3);
}

#[tokio::test]
async fn silence_is_taken_for_death() {
    let scripted = Scripted::start([
        events([text(":ok\n\n"), text(&frame(1)), text(":\n\n"), Part::Hang]),
        events([text(&frame(2)), Part::Hang]),
    ])
    .await;
    let config = SubscriberConfig {
        idle_timeout: Duration::from_millis(40),
        ..config()
    };
    let mut subscriber = subscriber(&scripted, config);
    assert_eq!(event(&mut subscriber).await, "{\"n\":1}");
    assert_eq!(event(&mut subscriber).await, "{\"n\":2}");
    assert_eq!(scripted.seen()[1].header("last-event-id"), Some("[1]"));
}

#[tokio::test]
async fn frames_without_data_move_the_position() {
    let scripted = Scripted::start([
        events([text("id: [7]\n\n"), Part::Cut]),
        events([text("data: no id yet\n\n"), Part::Hang]),
    ])
    .await;
    let mut subscriber = subscriber(&scripted, config());
    assert_eq!(event(&mut subscriber).await, "no id yet");
    assert_eq!(scripted.seen()[1].header("last-event-id"), Some("[7]"));
    assert_eq!(subscriber.position().map(|p| &**p), Some("[7]"));
}

#[tokio::test]
async fn since_counts_until_there_is_a_position() {
    let scripted = Scripted::start([
        events([text(":ok\n\n")]),
        events([text(":ok\n\n"), text(&frame(1))]),
        events([text(&frame(2)), Part::Hang]),
    ])
    .await;
    let mut config = config();
    config.subscription.since = Some(Timestamp::from_millis(1_500_000_000_000));
    let mut subscriber = subscriber(&scripted, config);
    event(&mut subscriber).await;
    event(&mut subscriber).await;
    let since = "GET /v2/stream/a,b?since=2017-07-14T02:40:00.000Z";
    let seen = scripted.seen();
    assert_eq!((&*seen[0].line, seen[0].header("last-event-id")), (since, None));
    assert_eq!((&*seen[1].line, seen[1].header("last-event-id")), (since, None));
    assert_eq!(seen[2].header("last-event-id"), Some("[1]"));
}

#[tokio::test]
async fn a_connection_lost_before_the_first_position_goes_on_from_its_beginning() {
    let mut first = events([text(":ok\n\n")]);
    first.headers.push(("date", "Fri, 14 Jul 2017 02:40:00 GMT"));
    let mut second = events([text(&frame(1)), Part::Hang]);
    second.headers.push(("date", "Fri, 14 Jul 2017 03:00:00 GMT"));
    let scripted = Scripted::start([first, second]).await;
    let mut subscriber = subscriber(&scripted, config());
    event(&mut subscriber).await;
    let lines: Vec<_> = scripted.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(
        lines,
        [
            "GET /v2/stream/a,b",
            "GET /v2/stream/a,b?since=2017-07-14T02:40:00.000Z"
        ]
    );
}

#[tokio::test]
async fn an_earlier_position_is_sent() {
    let scripted = Scripted::start([events([text(&frame(1)), Part::Hang])]).await;
    let mut subscriber = subscriber(
        &scripted,
        SubscriberConfig {
            cursor: Some("[0]".into()),
            ..config()
        },
    );
    event(&mut subscriber).await;
    assert_eq!(scripted.seen()[0].header("last-event-id"), Some("[0]"));
}

async fn ends(reply: Reply) -> SubscribeError {
    let scripted = Scripted::start([reply]).await;
    let mut subscriber = subscriber(
        &scripted,
        SubscriberConfig {
            frame_bytes: 100,
            ..config()
        },
    );
    loop {
        if let Err(error) = subscriber.next().await {
            assert_eq!(
                subscriber.next().await,
                Err(error.clone()),
                "the end stays the end"
            );
            assert_eq!(scripted.seen().len(), 1);
            return error;
        }
    }
}

#[tokio::test]
async fn refusals_are_final() {
    let problem = r#"{"status":400,"type":"not_found","title":"Stream Not Found","detail":"Invalid streams: b","method":"GET","uri":"/"}"#;
    assert_eq!(
        ends(reply(400, problem)).await,
        SubscribeError::Refused {
            status: 400,
            code: Some("not_found".into()),
            message: "Stream Not Found: Invalid streams: b".into(),
        }
    );
    let cursor = r#"{"message":"Unexpected end","origin":"KafkaSSE","name":"InvalidAssignmentError","statusCode":400}"#;
    assert!(matches!(
        ends(reply(400, cursor)).await,
        SubscribeError::Refused { code: Some(code), message, .. } if code == "InvalidAssignmentError" && message == "Unexpected end"
    ));
    assert!(matches!(
        ends(reply(404, "<html>")).await,
        SubscribeError::Refused {
            status: 404,
            code: None,
            ..
        }
    ));
    assert!(matches!(
        ends(reply(200, "{}")).await,
        SubscribeError::Unexpected(_)
    ));
    let endless = events([text("data: "), text(&"x".repeat(200)), Part::Hang]);
    assert!(matches!(ends(endless).await, SubscribeError::Frame(_)));
}

#[tokio::test]
async fn gives_up_when_it_never_succeeds() {
    // No other test takes ports of this address.
    let url = "127.0.0.9:9";
    let config = SubscriberConfig {
        first_attempts: Some(3),
        ..config()
    };
    let mut subscriber = Subscriber::new(Server::new(url, None).unwrap(), config);
    let mut notices = 0;
    let error = loop {
        match subscriber.next().await {
            Ok(_) => notices += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(notices, 2);
    assert!(
        matches!(error, SubscribeError::Unreachable { attempts: 3, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn cancelled_calls_lose_nothing() {
    let mut parts = Vec::new();
    for n in 1..=20 {
        let frame = frame(n);
        let (head, tail) = frame.split_at(n as usize % frame.len());
        parts.extend([text(head), text(tail)]);
    }
    parts.push(Part::Hang);
    let scripted = Scripted::start([events(parts)]).await;
    let mut subscriber = subscriber(&scripted, config());
    // Every call is cancelled at its first wait, connecting included.
    let mut got = Vec::new();
    while got.len() < 20 {
        match tokio::time::timeout(Duration::ZERO, subscriber.next()).await {
            Ok(Ok(Delivery::Event(event))) => got.push(event.data),
            Ok(Ok(Delivery::Notice(Notice::Connected))) => {}
            Ok(other) => panic!("{other:?}"),
            Err(_) => tokio::task::yield_now().await,
        }
    }
    let want: Vec<_> = (1..=20).map(|n| format!("{{\"n\":{n}}}")).collect();
    assert_eq!(got, want);
    assert_eq!(scripted.seen().len(), 1);
}

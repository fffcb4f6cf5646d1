//! Logging in with a name and a password: tokens that are over before their time, logins that get no answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use levada_client::{
    Cause, Failed, Producer, ProducerConfig, RealtimeConfig, RealtimeDelivery, RealtimeQuery,
    RealtimeSubscriber, Server, Verdict,
};
use tokio::sync::Barrier;

use crate::server::{Part, Reply, Scripted, quick, reply, text};

const CONNECTIONS: usize = 3;

fn with_login(scripted: &Scripted) -> Server {
    scripted.server().with_login("ann", "correct horse")
}

fn token(token: &str) -> Reply {
    reply(200, format!(r#"{{"access_token":"{token}","expires_in":86400}}"#))
}

/// Makes every token so old that a refusal means its end.
async fn age() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
}

/// An event of the first partition of a part.
fn event(part: u64, offset: u64, then: Part) -> Reply {
    let partition = part * 5;
    Reply {
        headers: vec![("content-type", "application/x-ndjson")],
        body: vec![
            text(&format!(
                "{{\"event\":{{\"partition\":{partition},\"offset\":{offset}}}}}\n"
            )),
            then,
        ],
        ..reply(200, "")
    }
}

#[tokio::test]
async fn a_session_that_ends_is_replaced_once_for_all_connections() {
    let over = Arc::new(AtomicBool::new(false));
    let logins = Arc::new(AtomicUsize::new(0));
    let refused = Arc::new(Barrier::new(CONNECTIONS));
    let (is_over, counted) = (over.clone(), logins.clone());
    let scripted = Scripted::start_with(move |asked| {
        let old = asked.header("authorization") == Some("Bearer t1");
        let over = is_over.load(Ordering::Acquire);
        let (mut wait, reply) = match asked.line.as_str() {
            "POST /v1/login" => {
                let number = counted.fetch_add(1, Ordering::AcqRel) + 1;
                (None, token(&format!("t{number}")))
            }
            "POST /v2/articles" => {
                let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
                let part = body["parts"][0].as_u64().unwrap();
                match (old, over) {
                    (true, false) => (None, event(part, 1, Part::Cut)),
                    // All are on their way with the old token when the first is refused.
                    (true, true) => (
                        Some(refused.clone()),
                        reply(401, r#"{"status":401,"message":"Unauthorized."}"#),
                    ),
                    (false, _) => (None, event(part, 2, Part::Hang)),
                }
            }
            _ => (None, reply(404, "{}")),
        };
        async move {
            if let Some(wait) = wait.take() {
                wait.wait().await;
            }
            reply
        }
    })
    .await;
    let query = RealtimeQuery {
        parts: vec![0, 1, 2],
        ..RealtimeQuery::default()
    };
    let config = RealtimeConfig {
        connections: CONNECTIONS,
        backoff: quick(),
        ..RealtimeConfig::new(query)
    };
    let mut subscriber = RealtimeSubscriber::new(with_login(&scripted), config).unwrap();
    for offset in [1, 2] {
        let mut seen = BTreeSet::new();
        while seen.len() < CONNECTIONS {
            if let RealtimeDelivery::Event(event) = subscriber.next().await.unwrap()
                && event.offset == offset
            {
                seen.insert(event.partition);
            }
        }
        age().await;
        over.store(true, Ordering::Release);
    }
    assert_eq!(logins.load(Ordering::Acquire), 2);
}

/// Sends one event after the other, each when the one before has its verdict; tokens grow old in between.
async fn publish(script: Vec<Reply>, count: usize) -> (Scripted, Vec<Verdict>) {
    let scripted = Scripted::start(script).await;
    let config = ProducerConfig {
        backoff: quick(),
        ..ProducerConfig::default()
    };
    let producer = Producer::new(with_login(&scripted), config);
    let mut verdicts = Vec::new();
    for number in 0..count {
        if number > 0 {
            age().await;
        }
        verdicts.extend(producer.send_all(&[Bytes::from_static(b"{}")]).await);
    }
    producer.close().await;
    (scripted, verdicts)
}

/// The requests, each with its token.
fn asked(scripted: &Scripted) -> Vec<String> {
    let seen = scripted.seen();
    let brief = seen.iter().map(|seen| {
        let token = seen.header("authorization").unwrap_or("-");
        format!("{} {}", seen.line, token.trim_start_matches("Bearer "))
    });
    brief.collect()
}

fn unauthorized() -> Reply {
    reply(
        401,
        r#"{"status":401,"type":"t","title":"T","detail":"who?","method":"POST","uri":"/v1/events"}"#,
    )
}

#[tokio::test]
async fn a_producer_logs_in_again_when_its_token_is_over() {
    let script = vec![
        token("t1"),
        reply(201, ""),
        unauthorized(),
        token("t2"),
        reply(201, ""),
        reply(201, ""),
    ];
    let (scripted, verdicts) = publish(script, 3).await;
    assert_eq!(verdicts, [const { Verdict::Accepted }; 3]);
    assert_eq!(
        asked(&scripted),
        [
            "POST /v1/login -",
            "POST /v1/events t1",
            "POST /v1/events t1",
            "POST /v1/login -",
            "POST /v1/events t2",
            "POST /v1/events t2",
        ]
    );
}

#[tokio::test]
async fn a_producer_waits_for_a_login_that_is_away_and_sends_nothing_without() {
    let script = vec![
        reply(503, r#"{"status":503,"message":"too many logins at once"}"#),
        reply(429, r#"{"status":429,"message":"later"}"#),
        token("t1"),
        reply(201, ""),
    ];
    let (scripted, verdicts) = publish(script, 1).await;
    assert_eq!(verdicts, [Verdict::Accepted]);
    let login = "POST /v1/login -";
    assert_eq!(asked(&scripted), [login, login, login, "POST /v1/events t1"]);
}

#[tokio::test]
async fn a_producer_that_may_not_log_in_or_is_refused_anew_is_denied() {
    let wrong = reply(
        401,
        r#"{"status":401,"message":"Incorrect username or password."}"#,
    );
    for (script, said, requests) in [
        (vec![wrong], "Incorrect username or password.", 1),
        // A token that is refused as soon as it is there.
        (vec![token("t1"), unauthorized()], "who?", 2),
    ] {
        let (scripted, verdicts) = publish(script, 1).await;
        match &verdicts[..] {
            [
                Verdict::Failed(Failed {
                    cause: Cause::Denied,
                    message,
                    ..
                }),
            ] => assert!(message.contains(said), "{message}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(scripted.seen().len(), requests);
    }
}

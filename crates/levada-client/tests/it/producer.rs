//! Verdicts, retries, splitting, order.

use std::time::Duration;

use bytes::Bytes;
use levada_client::{Cause, Failed, Producer, ProducerConfig, Server, Verdict};
use levada_wire::Outcome;

use crate::server::{Part, Reply, Scripted, quick, reply};

fn config() -> ProducerConfig {
    ProducerConfig {
        backoff: quick(),
        ..ProducerConfig::default()
    }
}

fn events(texts: &[&'static str]) -> Vec<Bytes> {
    texts
        .iter()
        .map(|text| Bytes::from_static(text.as_bytes()))
        .collect()
}

async fn send(script: Vec<Reply>, config: ProducerConfig, texts: &[&'static str]) -> (Scripted, Vec<String>) {
    let scripted = Scripted::start(script).await;
    let producer = Producer::new(scripted.server(), config);
    let verdicts = producer.send_all(&events(texts)).await;
    producer.close().await;
    (scripted, verdicts.iter().map(brief).collect())
}

fn brief(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Accepted => "accepted".to_owned(),
        Verdict::Invalid { code, .. } => format!("invalid {code}"),
        Verdict::Failed(Failed {
            cause, code, outcome, ..
        }) => format!("failed {cause:?} {code} {outcome:?}"),
    }
}

fn problem(status: u16, code: &str) -> Reply {
    reply(
        status,
        format!(
            r#"{{"status":{status},"type":"t","title":"T","detail":"d","method":"POST","uri":"/v1/events","code":"{code}"}}"#
        ),
    )
}

#[tokio::test]
async fn accepted_events_arrive_as_written_and_in_order() {
    let (server, verdicts) = send(
        vec![reply(201, "")],
        config(),
        &[r#"{"n": 12345678901234567890, "a":1.0}"#, "{}"],
    )
    .await;
    assert_eq!(verdicts, ["accepted", "accepted"]);
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].line, "POST /v1/events");
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
    assert_eq!(seen[0].body, r#"[{"n": 12345678901234567890, "a":1.0},{}]"#);
}

#[tokio::test]
async fn every_event_of_a_mixed_batch_has_its_verdict() {
    let body = r#"{"invalid":[{"status":"invalid","index":1,"code":"schema_violation","event":{},"context":{"errors":[],"errorsText":"no"}}],"error":[{"status":"error","index":2,"code":"stream_unknown","event":{},"context":{"message":"no"}}]}"#;
    let (server, verdicts) = send(vec![reply(207, body)], config(), &["{}", "{}", "{}"]).await;
    assert_eq!(
        verdicts,
        ["accepted", "invalid schema_violation", "invalid stream_unknown"]
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn only_what_was_not_accepted_is_sent_again() {
    let body =
        r#"{"invalid":[],"error":[{"index":1,"code":"storage_unavailable","context":{"message":"later"}}]}"#;
    let (server, verdicts) = send(
        vec![reply(207, body), reply(201, "")],
        config(),
        &[r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#],
    )
    .await;
    assert_eq!(verdicts, ["accepted"; 3]);
    assert_eq!(server.bodies(), [r#"[{"a":1},{"a":2},{"a":3}]"#, r#"[{"a":2}]"#]);
}

#[tokio::test]
async fn busy_servers_are_asked_again() {
    let mut busy = problem(503, "storage_unavailable");
    busy.headers.push(("retry-after", "0"));
    let mut many = reply(429, "slow down");
    many.headers.push(("retry-after", "0"));
    let (server, verdicts) = send(
        vec![busy, many, reply(502, "<html>"), reply(201, "")],
        config(),
        &["{}"],
    )
    .await;
    assert_eq!(verdicts, ["accepted"]);
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again() {
    let cut = Reply {
        status: 207,
        headers: vec![],
        body: vec![Part::Text("{".into()), Part::Cut],
    };
    let hang = Reply {
        status: 207,
        headers: vec![],
        body: vec![Part::Hang],
    };
    let config = ProducerConfig {
        request_timeout: Duration::from_millis(50),
        ..config()
    };
    let (server, verdicts) = send(vec![cut, hang, reply(201, "")], config, &["{}"]).await;
    assert_eq!(verdicts, ["accepted"]);
    assert_eq!(server.bodies(), ["[{}]"; 3]);
}

#[tokio::test]
async fn a_success_needs_no_body() {
    let cut = Reply {
        status: 201,
        headers: vec![],
        body: vec![Part::Text("x".into()), Part::Cut],
    };
    let (server, verdicts) = send(vec![cut], config(), &["{}"]).await;
    assert_eq!(verdicts, ["accepted"]);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn one_event_does_not_spoil_a_batch() {
    let refused = problem(413, "body_too_large");
    let script = vec![
        refused.clone(),
        reply(201, ""),
        refused.clone(),
        reply(201, ""),
        refused,
    ];
    let (server, verdicts) = send(script, config(), &["[1]", "[2]", "[3]", "[4]"]).await;
    assert_eq!(
        verdicts,
        ["accepted", "accepted", "accepted", "invalid body_too_large"]
    );
    assert_eq!(
        server.bodies(),
        ["[[1],[2],[3],[4]]", "[[1],[2]]", "[[3],[4]]", "[[3]]", "[[4]]"]
    );
}

#[tokio::test]
async fn what_is_no_json_is_not_even_sent() {
    let texts = ["{\"a\":", "{}", "{\"a\":1,\"a\":2}", ""];
    let (server, verdicts) = send(vec![reply(201, "")], config(), &texts).await;
    assert_eq!(
        verdicts,
        [
            "invalid malformed_json",
            "accepted",
            "invalid duplicate_key",
            "invalid malformed_json"
        ]
    );
    assert_eq!(server.bodies(), ["[{}]"]);
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_is_not_begun() {
    let config = ProducerConfig {
        deadline: Duration::from_secs(300),
        ..config()
    };
    let mut later = problem(503, "storage_unavailable");
    later.headers.push(("retry-after", "500"));
    let (server, verdicts) = send(
        vec![problem(503, "outcome_unknown"), later],
        config,
        &["{}", "{}"],
    )
    .await;
    assert_eq!(verdicts, ["failed Unavailable storage_unavailable Unknown"; 2]);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn the_deadline_cuts_an_attempt_short() {
    let config = ProducerConfig {
        deadline: Duration::from_millis(60),
        ..config()
    };
    let hang = Reply {
        status: 207,
        headers: vec![],
        body: vec![Part::Hang],
    };
    let (_, verdicts) = send(vec![hang], config, &["{}"]).await;
    assert_eq!(verdicts, ["failed Unreachable unreachable Unknown"]);
}

#[tokio::test]
async fn nobody_there() {
    // No other test takes ports of this address.
    let url = "127.0.0.9:9";
    let config = ProducerConfig {
        deadline: Duration::from_millis(60),
        ..config()
    };
    let producer = Producer::new(Server::new(url, None).unwrap(), config);
    let verdicts = producer.send_all(&events(&["{}"])).await;
    let Verdict::Failed(failed) = &verdicts[0] else {
        panic!("{verdicts:?}")
    };
    assert_eq!(
        (failed.cause, failed.outcome),
        (Cause::Unreachable, Outcome::Nothing),
        "{failed:?}"
    );
}

#[tokio::test]
async fn hopeless_answers_are_final() {
    for (answer, want) in [
        (
            reply(404, "<html>Cannot POST /v1/events"),
            "failed Unexpected http_404 Nothing",
        ),
        (problem(401, "unauthorized"), "failed Denied unauthorized Nothing"),
        (
            problem(415, "unsupported_media_type"),
            "failed Unexpected unsupported_media_type Nothing",
        ),
        (
            problem(500, "storage_damaged"),
            "failed Fault storage_damaged Nothing",
        ),
        (
            reply(207, r#"{"error":[{"index":7}]}"#),
            "failed Unexpected http_207 Unknown",
        ),
    ] {
        let (server, verdicts) = send(vec![answer], config(), &["{}"]).await;
        assert_eq!(verdicts, [want]);
        assert_eq!(server.seen().len(), 1, "{want}");
    }
}

#[tokio::test]
async fn queued_events_are_batched_in_order() {
    let scripted = Scripted::start(vec![reply(201, ""); 3]).await;
    let config = ProducerConfig {
        batch_events: 2,
        linger: Duration::from_secs(3600),
        hasty: true,
        ..config()
    };
    let producer = Producer::new(scripted.server(), config);
    let mut receipts = Vec::new();
    for text in ["[1]", "[2]", "[3]", "[4]", "[5]"] {
        receipts.push(producer.send(text).await.unwrap());
    }
    // The last batch is not full; closing ends its linger.
    producer.close().await;
    for receipt in receipts {
        assert_eq!(receipt.await, Verdict::Accepted);
    }
    assert_eq!(scripted.bodies(), ["[[1],[2]]", "[[3],[4]]", "[[5]]"]);
    assert_eq!(scripted.seen()[0].line, "POST /v1/events?hasty=true");
}

//! Faults that librdkafka's mock cluster injects: slow and absent brokers, refusals, moved leaders.

use std::sync::Arc;
use std::time::{Duration, Instant};

use levada_event::{Offset, RecordBatch, TopicPartition};
use levada_kafka::{KafkaLog, Settings};
use levada_log::{Log, LogError, ReadLimit};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::task::JoinHandle;

use super::cluster::settings;
use super::records::{NOW, PATIENTLY, append, follow, followed, partition, record, values_from};

type Mock = MockCluster<'static, DefaultProducerContext>;

/// Three brokers and a topic `t` of two partitions on all of them. Nothing of it is a real Kafka, so
/// these tests do not count as such.
fn mock() -> (Mock, Settings) {
    let mock = MockCluster::new(3).expect("a mock cluster");
    mock.create_topic("t", 2, 3).expect("a topic");
    let mut settings = settings(&mock.bootstrap_servers());
    settings.topics.create = false;
    settings.outage_grace = Duration::from_secs(2);
    (mock, settings)
}

async fn open(settings: &Settings) -> Arc<KafkaLog> {
    Arc::new(KafkaLog::open(settings.clone()).await.expect("the mock answers"))
}

const REFUSED: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;

/// How often the log was told of [`REFUSED`].
fn refusals(log: &KafkaLog) -> u64 {
    let errors = log.stats().errors;
    let refused = errors.iter().find(|(kind, _)| kind == "TopicAuthorizationFailed");
    refused.map_or(0, |(_, count)| *count)
}

/// One read that waits at `next`, the end of `of`.
async fn waiting(
    log: &Arc<KafkaLog>,
    of: &TopicPartition,
    next: Offset,
) -> JoinHandle<Result<RecordBatch, LogError>> {
    let reading = {
        let (log, from) = (log.clone(), of.at(next));
        tokio::spawn(async move { log.read(&from, PATIENTLY).await })
    };
    followed(log, 1).await;
    reading
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_broker_slows_and_breaks_nothing() {
    let (mock, settings) = mock();
    let log = open(&settings).await;
    let to = partition("t", 0);
    append(&*log, &to, &["a"]).await;
    mock.broker_round_trip_time(-1, Duration::from_millis(300))
        .expect("a slower network");
    let begun = Instant::now();
    append(&*log, &to, &["b", "c"]).await;
    assert!(
        begun.elapsed() >= Duration::from_millis(300),
        "the mock is not slow"
    );
    let first = log.bounds(&to).await.expect("bounds").earliest;
    assert_eq!(values_from(&*log, &to, first).await, ["a", "b", "c"]);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_that_pass_are_retried_and_leave_each_record_once() {
    let (mock, settings) = mock();
    let log = open(&settings).await;
    let to = partition("t", 0);
    append(&*log, &to, &["before"]).await;
    mock.request_errors(
        RDKafkaApiKey::Produce,
        &[
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
        ],
    );
    append(&*log, &to, &["retried"]).await;
    // The mock gives its errors in their order: the next append meets the one for good only because the
    // four before it were met and retried.
    let answer = log.append(&to, vec![record("refused")]).await;
    assert!(matches!(answer, Err(LogError::TooLarge { .. })), "{answer:?}");
    let mut expected = vec!["before".to_owned(), "retried".to_owned()];
    for i in 0..9 {
        let value = i.to_string();
        append(&*log, &to, &[&value]).await;
        expected.push(value);
    }
    assert_eq!(values_from(&*log, &to, 0).await, expected);
    assert_eq!(log.stats().delivered_records, 11);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_for_good_says_that_nothing_was_stored() {
    let (mock, settings) = mock();
    let log = open(&settings).await;
    let to = partition("t", 1);
    let refused = |code| mock.request_errors(RDKafkaApiKey::Produce, &[code]);
    refused(RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    let answer = log.append(&to, vec![record("a")]).await;
    assert!(
        matches!(answer, Err(LogError::TooLarge { bytes: 1, .. })),
        "{answer:?}"
    );
    append(&*log, &to, &["b"]).await;
    // Last, because librdkafka remembers this one for a while.
    refused(RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    let answer = log.append(&to, vec![record("c")]).await;
    assert!(
        matches!(&answer, Err(LogError::Unavailable(why)) if why.contains("Authorization")),
        "{answer:?}"
    );
    assert_eq!(values_from(&*log, &to, 0).await, ["b"]);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_was_stored_is_not_certain() {
    let (mock, mut settings) = mock();
    for (key, value) in [("batch.num.messages", "1"), ("max.in.flight", "1")] {
        settings.properties.insert(key.into(), value.into());
    }
    let log = open(&settings).await;
    let to = partition("t", 0);
    append(&*log, &to, &["before"]).await;
    mock.request_errors(
        RDKafkaApiKey::Produce,
        &[
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD,
        ],
    );
    let records = ["a", "b", "c"].map(record).to_vec();
    let answer = log.append(&to, records).await;
    let Err(LogError::Indeterminate(why)) = answer else {
        panic!("{answer:?}");
    };
    assert!(why.contains("of 3 records were stored"), "{why}");
    append(&*log, &to, &["after"]).await;
    let values = values_from(&*log, &to, 0).await;
    assert_eq!(
        (values.first(), values.last()),
        (Some(&"before".to_owned()), Some(&"after".to_owned()))
    );
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_away_are_an_unknown_outcome_and_then_all_is_well() {
    let (mock, mut settings) = mock();
    settings.delivery_timeout = Duration::from_secs(2);
    settings.request_timeout = Duration::from_secs(3);
    let log = open(&settings).await;
    let to = partition("t", 0);
    append(&*log, &to, &["before"]).await;
    mock.broker_down(-1).expect("no broker");
    let answer = log.append(&to, vec![record("away")]).await;
    assert!(matches!(answer, Err(LogError::Indeterminate(_))), "{answer:?}");
    assert!(matches!(log.bounds(&to).await, Err(LogError::Unavailable(_))));
    assert!(
        log.append_hasty(&to, vec![record("hasty")]).await.is_ok(),
        "hasty ones are only taken"
    );
    mock.broker_up(-1).expect("brokers");
    let begun = Instant::now();
    loop {
        match log.append(&to, vec![record("after")]).await {
            Ok(_) => break,
            Err(LogError::Indeterminate(_) | LogError::Unavailable(_))
                if begun.elapsed() < Duration::from_secs(60) => {}
            other => panic!("{other:?}"),
        }
    }
    // Each client connects again in its own time.
    while log.bounds(&to).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    let mut values = values_from(&*log, &to, 0).await;
    assert_eq!(values.iter().filter(|value| *value == "before").count(), 1);
    // The hasty one may have arrived at any time, or never.
    values.retain(|value| value != "hasty");
    assert_eq!(values.last().map(String::as_str), Some("after"));
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_reader_is_told_of_an_outage_and_goes_on_after_it() {
    let (mock, mut settings) = mock();
    settings.request_timeout = Duration::from_secs(3);
    let log = open(&settings).await;
    let to = partition("t", 0);
    append(&*log, &to, &["before"]).await;
    let next = log.bounds(&to).await.expect("bounds").next;
    let reading = waiting(&log, &to, next).await;
    let begun = Instant::now();
    mock.broker_down(-1).expect("no broker");
    let answer = reading.await.expect("no panic");
    assert!(matches!(answer, Err(LogError::Unavailable(_))), "{answer:?}");
    // The grace, the seconds of the statistics, and a busy machine; far from the wait of the read.
    let told = begun.elapsed();
    assert!(
        told >= settings.outage_grace && told < Duration::from_secs(20),
        "{told:?}"
    );
    mock.broker_up(-1).expect("brokers");
    let begun = Instant::now();
    while log.append(&to, vec![record("after")]).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    loop {
        match log.read(&to.at(next), PATIENTLY).await {
            Ok(batch) if batch.is_empty() => {}
            Ok(batch) => {
                assert_eq!(batch.get(0).map(|record| record.value), Some(&b"after"[..]));
                break;
            }
            Err(LogError::Unavailable(_)) if begun.elapsed() < Duration::from_secs(60) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_that_move_lose_and_repeat_nothing() {
    let (mock, settings) = mock();
    let log = open(&settings).await;
    let to = partition("t", 0);
    append(&*log, &to, &["first"]).await;
    let from = log.bounds(&to).await.expect("bounds").next;
    let reading = follow(&log, &to, from, 60, 0);
    let mut expected = Vec::new();
    for i in 0..60 {
        if i % 20 == 10 {
            mock.partition_leader("t", 0, Some(1 + (i / 20) % 3))
                .expect("another leader");
        }
        let value = i.to_string();
        append(&*log, &to, &[&value]).await;
        expected.push(value);
    }
    assert_eq!(reading.await.expect("no panic").0, expected);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_the_past_is_told_when_the_brokers_are_gone() {
    let (mock, mut settings) = mock();
    settings.request_timeout = Duration::from_secs(2);
    let log = open(&settings).await;
    let to = partition("t", 1);
    for i in 0..5 {
        append(&*log, &to, &[&i.to_string()]).await;
    }
    let limit = ReadLimit { bytes: 1, ..NOW };
    log.read(&to.at(0), limit).await.expect("read");
    mock.broker_down(-1).expect("no broker");
    let begun = Instant::now();
    let answer = log.read(&to.at(4), limit).await;
    assert!(matches!(answer, Err(LogError::Unavailable(_))), "{answer:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    mock.broker_up(-1).expect("brokers");
    let begun = Instant::now();
    while log.read(&to.at(4), limit).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    assert_eq!(values_from(&*log, &to, 0).await.len(), 5);
    log.close().await;
}

/// As far as TCP is concerned all is well; only the answers do not come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_hangs_is_an_outage_too() {
    let (mock, mut settings) = mock();
    settings.request_timeout = Duration::from_secs(3);
    let log = open(&settings).await;
    let to = partition("t", 0);
    append(&*log, &to, &["before"]).await;
    let next = log.bounds(&to).await.expect("bounds").next;
    let reading = waiting(&log, &to, next).await;
    let begun = Instant::now();
    mock.broker_round_trip_time(-1, Duration::from_secs(120))
        .expect("a hanging network");
    let answer = reading.await.expect("no panic");
    assert!(matches!(answer, Err(LogError::Unavailable(_))), "{answer:?}");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    mock.broker_round_trip_time(-1, Duration::ZERO)
        .expect("a network");
}

/// librdkafka says of a partition without a leader what it says of one that does not exist.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_nobody_leads_is_there() {
    let (mock, mut settings) = mock();
    settings.request_timeout = Duration::from_secs(2);
    let log = open(&settings).await;
    let (of, other) = (partition("t", 0), partition("t", 1));
    append(&*log, &of, &["a"]).await;
    mock.partition_leader("t", 0, None).expect("nobody");
    // A topic that was seen first just now may not have come to its brokers, so nothing is believed yet.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let told = |answer: Result<(), LogError>| match answer {
        Err(LogError::Unavailable(why)) => assert!(why.contains("t/0 has no leader"), "{why}"),
        answer => panic!("{answer:?}"),
    };
    told(log.bounds(&of).await.map(|_| ()));
    told(log.offset_at(&of, record("a").timestamp).await.map(|_| ()));
    told(log.read(&of.at(0), NOW).await.map(|_| ()));
    assert!(log.bounds(&other).await.is_ok());
    let missing = partition("t", 2);
    assert!(matches!(
        log.bounds(&missing).await,
        Err(LogError::UnknownTopic(of)) if of == missing
    ));
    let waiting = {
        let (log, of) = (log.clone(), of.clone());
        tokio::spawn(async move { log.bounds(&of).await })
    };
    mock.partition_leader("t", 0, Some(2)).expect("a leader");
    let begun = Instant::now();
    while log.bounds(&of).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
    waiting.await.expect("no panic").expect("a leader was awaited");
    assert_eq!(values_from(&*log, &of, 0).await, ["a"]);
    log.close().await;
}

/// Questions are asked together; one that has no answer must not make the others wait.
#[tokio::test]
async fn a_partition_whose_broker_is_away_does_not_hold_up_the_others() {
    let (mock, mut settings) = mock();
    settings.request_timeout = Duration::from_secs(3);
    let log = open(&settings).await;
    let (away, well) = (partition("t", 0), partition("t", 1));
    mock.partition_leader("t", 0, Some(1)).expect("a leader");
    mock.partition_leader("t", 1, Some(2)).expect("a leader");
    append(&*log, &away, &["a"]).await;
    append(&*log, &well, &["a"]).await;
    mock.broker_down(1).expect("no broker");
    // What is asked while the first two turns are under way shares the next.
    let ask = |rounds: usize| {
        let mut asked = tokio::task::JoinSet::new();
        for of in [&away, &well].into_iter().cycle().take(2 * rounds) {
            let (log, of) = (log.clone(), of.clone());
            asked.spawn(async move {
                let begun = Instant::now();
                (of.partition, log.bounds(&of).await, begun.elapsed())
            });
        }
        asked.join_all()
    };
    for (partition, bounds, took) in ask(4).await {
        assert_eq!(bounds.is_ok(), partition == 1, "{bounds:?} after {took:?}");
    }
    for (partition, bounds, took) in ask(4).await {
        assert_eq!(bounds.is_ok(), partition == 1, "{bounds:?} after {took:?}");
        assert!(partition == 0 || took < Duration::from_millis(700), "{took:?}");
    }
    log.close().await;
}

/// Clients of a stream whose broker is away come back again and again, and all of them ask.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_asks_in_vain_does_not_hold_up_the_others() {
    let (mock, mut settings) = mock();
    settings.request_timeout = Duration::from_secs(3);
    let log = open(&settings).await;
    let (away, well) = (partition("t", 0), partition("t", 1));
    mock.partition_leader("t", 0, Some(1)).expect("a leader");
    mock.partition_leader("t", 1, Some(2)).expect("a leader");
    append(&*log, &away, &["a"]).await;
    append(&*log, &well, &["a"]).await;
    mock.broker_down(1).expect("no broker");
    for round in 0..2 {
        let mut crowd = tokio::task::JoinSet::new();
        for asker in 0..100 {
            let (log, away) = (log.clone(), away.clone());
            crowd.spawn(async move {
                if asker % 2 == 0 {
                    log.bounds(&away).await.map(|_| ())
                } else {
                    log.offset_at(&away, record("a").timestamp).await.map(|_| ())
                }
            });
        }
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let begun = Instant::now();
            log.bounds(&well).await.expect("bounds");
            log.offset_at(&well, record("a").timestamp)
                .await
                .expect("an offset");
            let took = begun.elapsed();
            assert!(took < Duration::from_millis(700), "{took:?} in round {round}");
        }
        assert!(
            !crowd.is_empty() && crowd.try_join_next().is_none(),
            "they still wait"
        );
        let begun = Instant::now();
        for answer in crowd.join_all().await {
            assert!(matches!(answer, Err(LogError::Unavailable(_))), "{answer:?}");
        }
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    }
    mock.broker_up(1).expect("a broker");
    let begun = Instant::now();
    while log.bounds(&away).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    log.close().await;
}

/// A broker comes back busy: each fetch takes longer than a read is given while it counts as away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_slow_after_an_outage_can_be_read_while_others_try_in_vain() {
    let (mock, mut settings) = mock();
    settings.request_timeout = Duration::from_secs(3);
    settings.catch_up_bytes_max = 0;
    let log = open(&settings).await;
    let of = partition("t", 0);
    append(&*log, &of, &["a", "b", "c"]).await;
    let limit = ReadLimit { bytes: 1, ..NOW };
    let busy = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; 200];
    mock.request_errors(RDKafkaApiKey::Fetch, &busy);
    let answer = log.read(&of.at(1), limit).await;
    assert!(
        matches!(&answer, Err(LogError::Unavailable(why)) if why.contains("gave no records")),
        "{answer:?}"
    );
    mock.clear_request_errors(RDKafkaApiKey::Fetch);
    mock.broker_round_trip_time(-1, Duration::from_millis(700))
        .expect("a slower network");
    let begun = Instant::now();
    let others = {
        let (log, of) = (log.clone(), of.clone());
        tokio::spawn(async move {
            loop {
                let _ = log.read(&of.at(2), limit).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
    };
    while let Err(error) = log.read(&of.at(0), limit).await {
        assert!(begun.elapsed() < Duration::from_secs(40), "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    others.abort();
    log.close().await;
}

/// Sessions begin reads ahead and look at them when their client has taken what came before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_nobody_looks_at_hold_no_place() {
    let (mock, mut settings) = mock();
    settings.request_timeout = Duration::from_secs(4);
    settings.catch_up_bytes_max = 0;
    let log = open(&settings).await;
    let to = partition("t", 0);
    for i in 0..10 {
        append(&*log, &to, &[&i.to_string()]).await;
    }
    mock.broker_round_trip_time(-1, Duration::from_millis(200))
        .expect("a slower network");
    let limit = ReadLimit { bytes: 1, ..NOW };
    let positions: Vec<_> = (0..4).map(|offset| to.at(offset)).collect();
    let mut parked: Vec<_> = positions
        .iter()
        .map(|from| Box::pin(log.read(from, limit)))
        .collect();
    let begun = Instant::now();
    while log.stats().catch_up_readers < 4 {
        assert!(begun.elapsed() < Duration::from_secs(30), "places for all four");
        for read in &mut parked {
            let looked = tokio::time::timeout(Duration::from_millis(1), read.as_mut()).await;
            assert!(looked.is_err(), "{looked:?} came too early");
        }
    }
    let batch = log.read(&to.at(7), limit).await.expect("a place");
    assert_eq!(batch.iter().next().map(|record| record.offset), Some(7));
    for (read, offset) in parked.into_iter().zip(0..) {
        let batch = read.await.expect("what came meanwhile");
        assert_eq!(batch.iter().next().map(|record| record.offset), Some(offset));
    }
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_questions_and_of_readers_of_the_past_are_counted_by_kind() {
    let (mock, settings) = mock();
    let log = open(&settings).await;
    let past = partition("t", 0);
    append(&*log, &past, &["a", "b"]).await;
    assert_eq!(refusals(&log), 0);
    mock.request_errors(RDKafkaApiKey::ListOffsets, &[REFUSED]);
    assert!(log.offset_at(&past, record("a").timestamp).await.is_err());
    assert_eq!(refusals(&log), 1);
    mock.request_errors(RDKafkaApiKey::Fetch, &[REFUSED]);
    assert!(log.read(&past.at(0), NOW).await.is_err());
    assert_eq!(refusals(&log), 2);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_live_readers_are_told_and_counted_by_kind() {
    let (mock, settings) = mock();
    let log = open(&settings).await;
    let live = partition("t", 0);
    append(&*log, &live, &["a"]).await;
    let next = log.bounds(&live).await.expect("bounds").next;
    let reading = waiting(&log, &live, next).await;
    assert_eq!(refusals(&log), 0);
    // More than once: the mock cluster tells the end beside an error, which no broker does, and librdkafka
    // takes the first answer at the end for nothing but that.
    let mut reading = std::pin::pin!(reading);
    let answer = loop {
        mock.request_errors(RDKafkaApiKey::Fetch, &[REFUSED]);
        if let Ok(answer) = tokio::time::timeout(Duration::from_millis(500), reading.as_mut()).await {
            break answer.expect("no panic");
        }
    };
    mock.clear_request_errors(RDKafkaApiKey::Fetch);
    // The reason is told, and not only that it did not work.
    assert!(
        matches!(&answer, Err(LogError::Unavailable(why)) if why.contains("uthorization")),
        "{answer:?}"
    );
    assert!(refusals(&log) > 0);
    // Where it begins again there is nothing wrong any more.
    let reading = waiting(&log, &live, next).await;
    append(&*log, &live, &["b"]).await;
    let batch = reading.await.expect("no panic").expect("a record");
    assert_eq!(batch.get(0).map(|record| record.value), Some(&b"b"[..]));
    log.close().await;
}

/// With the broker of one topic away, hasty events for it fill no more than their share of the memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_hasty_events_leaves_room_for_guaranteed_ones() {
    let (mock, mut settings) = mock();
    settings.produce_bytes_max = 256 * 1024;
    let log = open(&settings).await;
    let (away, well) = (partition("t", 0), partition("t", 1));
    mock.partition_leader("t", 0, Some(1)).expect("a leader");
    mock.partition_leader("t", 1, Some(2)).expect("a leader");
    append(&*log, &away, &["before"]).await;
    append(&*log, &well, &["before"]).await;
    mock.broker_down(1).expect("no broker");
    let hasty = || record("h".repeat(8 * 1024));
    let mut taken = 0;
    let full = Duration::from_millis(500);
    while tokio::time::timeout(full, log.append_hasty(&away, vec![hasty()]))
        .await
        .is_ok()
    {
        taken += 1;
        assert!(taken < 256 / 8, "their bytes are bounded");
    }
    // More hasty events stand in line; the guaranteed ones are not behind them.
    let line: Vec<_> = (0..20)
        .map(|_| {
            let (log, away) = (log.clone(), away.clone());
            tokio::spawn(async move { log.append_hasty(&away, vec![hasty()]).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    for i in 0..5 {
        let append = log.append(&well, vec![record(format!("{i}{}", "g".repeat(16 * 1024)))]);
        let appended = tokio::time::timeout(Duration::from_secs(10), append).await;
        appended.expect("room for it").expect("taken");
    }
    mock.broker_up(1).expect("a broker");
    for hasty in line {
        hasty.await.expect("no panic").expect("room in the end");
    }
    log.close().await;
}

/// What the producer was doing is of unknown outcome, and what comes next is taken: nobody has to
/// restart anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_that_failed_for_good_is_replaced() {
    let (mock, settings) = mock();
    let log = open(&settings).await;
    let to = partition("t", 0);
    append(&*log, &to, &["before"]).await;
    // The broker's view of the sequence is not the producer's, with nothing sent before that would
    // explain it: from here on, order and uniqueness cannot be promised by this client.
    mock.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER],
    );
    let answer = log.append(&to, vec![record("lost")]).await;
    assert!(matches!(answer, Err(LogError::Indeterminate(_))), "{answer:?}");
    for i in 0..5 {
        append(&*log, &to, &[&i.to_string()]).await;
    }
    assert_eq!(
        values_from(&*log, &to, 0).await,
        ["before", "0", "1", "2", "3", "4"]
    );
    log.close().await;
}

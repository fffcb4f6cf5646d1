//! Promises of `read` and `bounds`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use levada_event::{
    Bounds, Flags, Offset, Record, RecordBatch, RecordRef, Splice, Timestamp, TopicPartition,
};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::support::{
    FOR_EVER, NOW, append, declare, fill, one, patiently, read_all, record, texts, topic_name, values,
};
use super::{Outcome, Subject};
use crate::{LogError, OnRead, ReadLimit};

pub(super) async fn records_come_back_byte_for_byte(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "byte_for_byte").await;
    let log = subject.log();
    let all_bytes: Bytes = (0..=255).collect::<Vec<u8>>().into();
    let of = |key: Option<&[u8]>, value: &Bytes, millis, splice, flags| Record {
        key: key.map(Bytes::copy_from_slice),
        value: value.clone(),
        timestamp: Timestamp::from_millis(millis),
        splice,
        flags,
    };
    let json = Bytes::from_static("{\"meta\":{},\"n\":1e400,\"t\":\"\\u00e9é\"}".as_bytes());
    let written = vec![
        of(None, &json, 0, Splice::UNKNOWN, Flags::NONE),
        of(Some(b"key"), &json, 1, Splice::at(8), Flags::CHECKED),
        of(
            Some(&all_bytes),
            &all_bytes,
            1_700_000_000_123,
            Splice::at(0),
            Flags::CANARY,
        ),
        of(
            Some(b""),
            &json,
            4_102_444_800_000,
            Splice::at(1_000_000),
            Flags::CANARY.with(Flags::CHECKED),
        ),
    ];
    log.append(&to, written.clone()).await.expect("taken");
    let batch = log.read(&to.at(0), NOW).await.expect("read");
    let read: Vec<_> = batch
        .iter()
        .map(|r| Record {
            key: r.key.map(Bytes::copy_from_slice),
            value: Bytes::copy_from_slice(r.value),
            timestamp: r.timestamp,
            splice: r.splice,
            flags: r.flags,
        })
        .collect();
    assert_eq!(read, written);
    Outcome::Kept
}

pub(super) async fn partitions_are_apart(subject: &mut dyn Subject) -> Outcome {
    let partitions = declare(subject, "apart", 3, FOR_EVER).await;
    let log = subject.log();
    for round in 0..4 {
        for to in &partitions[..2] {
            append(&log, to, &[&format!("{}:{round}", to.partition)]).await;
        }
    }
    assert_eq!(values(&log, &partitions[0]).await, ["0:0", "0:1", "0:2", "0:3"]);
    assert_eq!(values(&log, &partitions[1]).await, ["1:0", "1:1", "1:2", "1:3"]);
    assert!(values(&log, &partitions[2]).await.is_empty());
    Outcome::Kept
}

pub(super) async fn who_looks_sees_what_is_read(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "looked_at").await;
    fill(subject, &to, "n").await;
    let log = subject.log();
    let values = |batch: &RecordBatch| -> Vec<(Offset, Bytes)> {
        let value = |record: RecordRef<'_>| (record.offset, Bytes::copy_from_slice(record.value));
        batch.iter().map(value).collect()
    };
    let bounds = log.bounds(&to).await.expect("bounds");
    let newest = read_all(&log, &to).await.last().expect("a record").0;
    // The oldest records, the newest, the end, and what lies behind it.
    for from in [bounds.earliest, newest, bounds.next, bounds.next + 1] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let look: OnRead = {
            let seen = seen.clone();
            Arc::new(move |batch| seen.lock().push(values(batch)))
        };
        let read = log.read_and_look(&to.at(from), NOW, look).await;
        let seen = std::mem::take(&mut *seen.lock());
        match read {
            Ok(batch) => {
                assert_eq!(seen, [values(&batch)]);
                assert_eq!(batch.is_empty(), from == bounds.next);
            }
            Err(error) => {
                assert!(from > bounds.next && seen.is_empty(), "{from}: {error}, {seen:?}");
                assert_eq!(error, LogError::OutOfRange(bounds));
            }
        }
    }
    Outcome::Kept
}

pub(super) async fn one_record_is_always_returned(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "always_one").await;
    let log = subject.log();
    append(&log, &to, &["first", "second"]).await;
    let limit = ReadLimit { bytes: 1, ..NOW };
    let batch = log.read(&to.at(0), limit).await.expect("read");
    assert_eq!(texts(&batch), ["first"]);
    let batch = log.read(&to.at(batch.next()), limit).await.expect("read");
    assert_eq!(texts(&batch), ["second"]);
    Outcome::Kept
}

pub(super) async fn the_limit_is_kept(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "limit_kept").await;
    let log = subject.log();
    let value = "v".repeat(100);
    for _ in 0..10 {
        append(&log, &to, &[&value, &value, &value]).await;
    }
    for bytes in [150, 250, 1000, 2999] {
        let limit = ReadLimit { bytes, ..NOW };
        let mut position = to.at(0);
        let mut count = 0;
        while count < 30 {
            let batch = log.read(&position, limit).await.expect("read");
            assert!(!batch.is_empty() && batch.value_bytes() <= bytes);
            count += batch.len();
            position.offset = batch.next();
        }
        assert_eq!(count, 30);
    }
    Outcome::Kept
}

pub(super) async fn reading_on_meets_each_record_once(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "reading_on").await;
    let log = subject.log();
    let mut expected = Vec::new();
    for i in 0..60 {
        let group: Vec<_> = (0..=i % 4).map(|j| format!("{i}.{j}")).collect();
        append(&log, &to, &group.iter().map(String::as_str).collect::<Vec<_>>()).await;
        expected.extend(group);
    }
    assert_eq!(values(&log, &to).await, expected);
    // From the middle: any record's own offset is a place to start.
    let all = read_all(&log, &to).await;
    let (offset, _, value) = &all[all.len() / 2];
    let batch = log.read(&to.at(*offset), NOW).await.expect("read");
    assert_eq!(batch.get(0).map(|r| r.value), Some(&value[..]));
    Outcome::Kept
}

pub(super) async fn an_empty_partition_answers_empty(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "empty").await;
    let log = subject.log();
    let bounds = log.bounds(&to).await.expect("bounds");
    assert_eq!(bounds.earliest, bounds.next);
    let batch = log.read(&to.at(bounds.next), NOW).await.expect("read");
    assert!(batch.is_empty());
    assert_eq!(batch.next(), bounds.next);
    Outcome::Kept
}

pub(super) async fn a_wait_without_records_ends_empty(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "wait_ends").await;
    let log = subject.log();
    append(&log, &to, &["a"]).await;
    let next = log.bounds(&to).await.expect("bounds").next;
    let limit = ReadLimit {
        wait: Duration::from_millis(20),
        ..NOW
    };
    let batch = log.read(&to.at(next), limit).await.expect("read");
    assert!(batch.is_empty());
    Outcome::Kept
}

pub(super) async fn a_waiting_read_wakes_on_append(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "wakes").await;
    let subject: &dyn Subject = subject;
    let log = subject.log();
    for i in 0..50 {
        let next = log.bounds(&to).await.expect("bounds").next;
        let value = i.to_string();
        let position = to.at(next);
        let (batch, _) = tokio::join!(patiently(subject, &log, &position), async {
            tokio::task::yield_now().await;
            append(&log, &to, &[&value]).await
        });
        assert_eq!(texts(&batch.expect("read")), [value]);
    }
    Outcome::Kept
}

pub(super) async fn all_waiting_readers_wake(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "all_wake").await;
    let log = subject.log();
    let next = log.bounds(&to).await.expect("bounds").next;
    let mut readers = JoinSet::new();
    for _ in 0..50 {
        let (log, from) = (subject.log(), to.at(next));
        let limit = ReadLimit {
            wait: subject.patience(),
            ..NOW
        };
        readers.spawn(async move { log.read(&from, limit).await.expect("read") });
    }
    tokio::task::yield_now().await;
    append(&log, &to, &["news"]).await;
    for batch in readers.join_all().await {
        assert_eq!(texts(&batch), ["news"]);
    }
    Outcome::Kept
}

pub(super) async fn outside_the_bounds_is_out_of_range(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "out_of_range").await;
    let log = subject.log();
    append(&log, &to, &["a", "b"]).await;
    let bounds = log.bounds(&to).await.expect("bounds");
    for beyond in [bounds.next + 1, bounds.next + 1000, i64::MAX as u64] {
        let answer = log.read(&to.at(beyond), NOW).await;
        assert_eq!(
            answer.expect_err("nothing is there"),
            LogError::OutOfRange(bounds)
        );
    }
    Outcome::Kept
}

pub(super) async fn reading_needs_a_topic(subject: &mut dyn Subject) -> Outcome {
    let log = subject.log();
    let mut behind = one(subject, "no_second_partition").await;
    behind.partition = 1;
    for none in [
        TopicPartition::new(topic_name(subject, "never_declared"), 0),
        behind,
    ] {
        let unknown = LogError::UnknownTopic(none.clone());
        assert_eq!(log.read(&none.at(0), NOW).await.expect_err("unknown"), unknown);
        assert_eq!(log.bounds(&none).await.expect_err("unknown"), unknown);
        let at = Timestamp::from_millis(0);
        assert_eq!(log.offset_at(&none, at).await.expect_err("unknown"), unknown);
    }
    Outcome::Kept
}

pub(super) async fn bounds_follow_appends(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "bounds_follow").await;
    let log: Arc<dyn crate::Log> = subject.log();
    let mut before: Option<Bounds> = None;
    for i in 0..10 {
        log.append(&to, vec![record("a", i), record("b", i)])
            .await
            .expect("taken");
        let bounds = log.bounds(&to).await.expect("bounds");
        if let Some(before) = before {
            assert_eq!(bounds.earliest, before.earliest);
            assert!(bounds.next > before.next);
        }
        before = Some(bounds);
    }
    let all = read_all(&log, &to).await;
    assert_eq!(all.first().map(|r| r.0), before.map(|b| b.earliest));
    Outcome::Kept
}

//! Promises of `append`.

use bytes::Bytes;
use levada_event::TopicPartition;
use tokio::task::JoinSet;

use super::support::{append, one, patiently, read_all, record, texts, topic_name, values};
use super::{Outcome, Subject};
use crate::LogError;

pub(super) async fn the_first_offset_is_returned(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "the_first_offset").await;
    let log = subject.log();
    let mut firsts = Vec::new();
    for values in [&["a"][..], &["b", "c", "d"], &["e"], &["f", "g"]] {
        firsts.push((append(&log, &to, values).await, values[0]));
    }
    let all = read_all(&log, &to).await;
    for (offset, value) in firsts {
        let found = all.iter().find(|(at, _, _)| *at == offset);
        let (_, _, found) = found.expect("the offset that append returned is a record's");
        assert_eq!(found, value.as_bytes());
    }
    Outcome::Kept
}

pub(super) async fn offsets_strictly_increase(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "offsets_increase").await;
    let log = subject.log();
    let mut last = None;
    for i in 0..20 {
        let offset = append(&log, &to, &[&i.to_string(), "x"]).await;
        assert!(last.is_none_or(|last| offset > last));
        last = Some(offset);
    }
    let all = read_all(&log, &to).await;
    assert_eq!(all.len(), 40);
    assert!(all.is_sorted_by(|a, b| a.0 < b.0));
    let bounds = log.bounds(&to).await.expect("bounds");
    assert!(all.last().is_some_and(|(offset, _, _)| *offset < bounds.next));
    Outcome::Kept
}

pub(super) async fn an_append_stays_together(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "stays_together").await;
    let mut tasks = JoinSet::new();
    for writer in 0..8 {
        let (log, to) = (subject.log(), to.clone());
        tasks.spawn(async move {
            for round in 0..10 {
                let records = (0..5).map(|i| record(format!("{writer}:{round}:{i}"), 0));
                log.append(&to, records.collect()).await.expect("taken");
            }
        });
    }
    tasks.join_all().await;
    let values = values(&subject.log(), &to).await;
    assert_eq!(values.len(), 8 * 10 * 5);
    for append in values.chunks(5) {
        let of = append[0]
            .strip_suffix(":0")
            .expect("an append starts with its first record");
        for (i, value) in append.iter().enumerate() {
            assert_eq!(*value, format!("{of}:{i}"));
        }
    }
    Outcome::Kept
}

pub(super) async fn awaited_appends_keep_their_order(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "keep_order").await;
    let log = subject.log();
    let expected: Vec<_> = (0..50).map(|i| i.to_string()).collect();
    for value in &expected {
        append(&log, &to, &[value]).await;
    }
    assert_eq!(values(&log, &to).await, expected);
    Outcome::Kept
}

pub(super) async fn an_empty_append_appends_nothing(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "empty_append").await;
    let log = subject.log();
    append(&log, &to, &["a"]).await;
    log.append(&to, Vec::new()).await.expect("nothing is no fault");
    append(&log, &to, &["b"]).await;
    assert_eq!(values(&log, &to).await, ["a", "b"]);
    Outcome::Kept
}

pub(super) async fn concurrent_appends_are_each_there_once(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "each_once").await;
    let mut tasks = JoinSet::new();
    for i in 0..100 {
        let (log, to) = (subject.log(), to.clone());
        tasks.spawn(async move {
            let value = format!("{i}");
            let offset = log.append(&to, vec![record(&value, 0)]).await.expect("taken");
            (offset, Bytes::from(value))
        });
    }
    let mut acknowledged = tasks.join_all().await;
    acknowledged.sort();
    let read: Vec<_> = read_all(&subject.log(), &to)
        .await
        .into_iter()
        .map(|(offset, _, value)| (offset, value))
        .collect();
    assert_eq!(read, acknowledged);
    Outcome::Kept
}

/// Nobody waits for them, but where nothing goes wrong they are all there.
pub(super) async fn hasty_appends_are_each_there_once(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "hasty").await;
    let log = subject.log();
    let mut expected = Vec::new();
    for i in 0..10 {
        let pair = [format!("{i}a"), format!("{i}b")];
        let records = pair.iter().map(|value| record(value, 0)).collect();
        log.append_hasty(&to, records).await.expect("taken");
        expected.extend(pair);
    }
    log.append_hasty(&to, Vec::new())
        .await
        .expect("nothing is taken too");
    let max = log.facts().record_bytes_max;
    let large = vec![record("before", 0), record(vec![b'x'; max + 1], 0)];
    let refused = log.append_hasty(&to, large).await;
    assert_eq!(refused, Err(LogError::TooLarge { bytes: max + 1, max }));
    let mut from = to.at(log.bounds(&to).await.expect("bounds").earliest);
    let mut seen = Vec::new();
    while seen.len() < expected.len() {
        let batch = patiently(subject, &log, &from).await.expect("read");
        assert!(batch.next() > from.offset, "only {seen:?} came");
        seen.extend(texts(&batch));
        from.offset = batch.next();
    }
    assert_eq!(values(&log, &to).await.len(), expected.len());
    seen.sort();
    assert_eq!(seen, expected);
    Outcome::Kept
}

pub(super) async fn a_dropped_append_loses_no_other(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "dropped").await;
    let mut kept = JoinSet::new();
    for i in 0..20 {
        let (log, of) = (subject.log(), to.clone());
        let dropped = tokio::spawn(async move { log.append(&of, vec![record("dropped", 0)]).await });
        let (log, to) = (subject.log(), to.clone());
        kept.spawn(async move {
            let offset = log.append(&to, vec![record(format!("{i}"), 0)]).await;
            (offset.expect("taken"), format!("{i}"))
        });
        tokio::task::yield_now().await;
        dropped.abort();
    }
    let mut acknowledged = kept.join_all().await;
    acknowledged.sort();
    let read: Vec<_> = read_all(&subject.log(), &to)
        .await
        .into_iter()
        .map(|(offset, _, value)| (offset, String::from_utf8_lossy(&value).into_owned()))
        .filter(|(_, value)| value != "dropped")
        .collect();
    assert_eq!(read, acknowledged);
    Outcome::Kept
}

pub(super) async fn a_record_too_large_refuses_the_whole_append(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "too_large").await;
    let log = subject.log();
    let max = log.facts().record_bytes_max;
    let large = vec![b'x'; max + 1];
    let refused = log
        .append(
            &to,
            vec![record("before", 0), record(large, 0), record("after", 0)],
        )
        .await;
    assert_eq!(refused, Err(LogError::TooLarge { bytes: max + 1, max }));
    append(&log, &to, &["next"]).await;
    assert_eq!(values(&log, &to).await, ["next"]);
    Outcome::Kept
}

pub(super) async fn the_largest_record_is_taken(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "largest").await;
    let log = subject.log();
    let key = Bytes::from_static(b"key");
    let mut largest = record(vec![b'x'; log.facts().record_bytes_max - key.len()], 0);
    largest.key = Some(key);
    log.append(&to, vec![record("a", 0), largest.clone(), record("b", 0)])
        .await
        .expect("taken");
    let all = read_all(&log, &to).await;
    let sizes: Vec<_> = all.iter().map(|(_, _, value)| value.len()).collect();
    assert_eq!(sizes, [1, largest.value.len(), 1]);
    assert!(all[1].2 == largest.value, "the value came back changed");
    Outcome::Kept
}

pub(super) async fn appending_needs_a_topic(subject: &mut dyn Subject) -> Outcome {
    let log = subject.log();
    let none = TopicPartition::new(topic_name(subject, "never_declared"), 0);
    let refused = log.append(&none, vec![record("a", 0)]).await;
    assert_eq!(refused, Err(LogError::UnknownTopic(none)));
    let mut behind = one(subject, "one_partition").await;
    behind.partition = 1;
    let refused = log.append(&behind, vec![record("a", 0)]).await;
    assert_eq!(refused, Err(LogError::UnknownTopic(behind)));
    Outcome::Kept
}

//! Promises of `offset_at`.

use std::time::Duration;

use levada_event::{Offset, Timestamp};

use super::support::{FOR_EVER, declare, fill, one, read_all, record};
use super::{Outcome, Subject};
use crate::{Log, Retention};

/// What the contract says, by looking at every record.
fn expected(all: &[(Offset, i64, bytes::Bytes)], at: i64) -> Option<Offset> {
    all.iter()
        .find(|(_, time, _)| *time >= at)
        .map(|(offset, _, _)| *offset)
}

async fn seek(log: &dyn Log, of: &levada_event::TopicPartition, at: i64) -> Option<Offset> {
    let answer = log.offset_at(of, Timestamp::from_millis(at)).await;
    answer.expect("a seek by time answers")
}

pub(super) async fn a_time_finds_the_first_record_at_or_after_it(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "time_first").await;
    let log = subject.log();
    assert_eq!(seek(&*log, &to, 0).await, None);
    for time in [1000, 2000, 2000, 3000] {
        log.append(&to, vec![record(time.to_string(), time)])
            .await
            .expect("taken");
    }
    let all = read_all(&log, &to).await;
    for (at, index) in [
        (i64::MIN, 0),
        (0, 0),
        (1000, 0),
        (1001, 1),
        (2000, 1),
        (2001, 3),
        (3000, 3),
    ] {
        assert_eq!(seek(&*log, &to, at).await, Some(all[index].0), "at {at}");
    }
    assert_eq!(seek(&*log, &to, 3001).await, None);
    Outcome::Kept
}

pub(super) async fn timestamps_need_not_be_monotonic(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "time_jumps").await;
    let log = subject.log();
    let times = [5000, 1000, 7000, 2000, 6000, 9000, 3000, 8000];
    for pair in times.chunks(2) {
        let records = pair.iter().map(|time| record(time.to_string(), *time));
        log.append(&to, records.collect()).await.expect("taken");
    }
    let all = read_all(&log, &to).await;
    for at in (0..10_000).step_by(500) {
        assert_eq!(seek(&*log, &to, at).await, expected(&all, at), "at {at}");
    }
    Outcome::Kept
}

pub(super) async fn a_time_seek_in_a_long_history(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "time_long").await;
    let log = subject.log();
    // A rising time with a step back in every seventh record, padded so that backends that keep
    // units (segments, blocks, index entries) have many of them.
    let padding = "p".repeat(subject.bytes_to_roll() / 16);
    for round in 0..60_i64 {
        let records = (0..4).map(|i| {
            let n = round * 4 + i;
            let time = n * 1000 - if n % 7 == 0 { 50_000 } else { 0 };
            record(format!("{n}{padding}"), time.max(0))
        });
        log.append(&to, records.collect()).await.expect("taken");
    }
    let all = read_all(&log, &to).await;
    assert_eq!(all.len(), 240);
    for at in (0..242_000).step_by(777) {
        assert_eq!(seek(&*log, &to, at).await, expected(&all, at), "at {at}");
    }
    Outcome::Kept
}

pub(super) async fn a_time_seek_sees_only_what_is_kept(subject: &mut dyn Subject) -> Outcome {
    let hour = Duration::from_secs(3600);
    let retention = Retention {
        age: Some(hour),
        ..FOR_EVER
    };
    let to = declare(subject, "time_kept", 1, retention).await.swap_remove(0);
    let log = subject.log();
    log.append(&to, vec![record("old", 5000)]).await.expect("taken");
    fill(subject, &to, "old").await;
    if !subject.pass(2 * hour).await {
        return Outcome::Skipped("time cannot be moved");
    }
    log.append(&to, vec![record("young", 4000)]).await.expect("taken");
    assert!(subject.pass(Duration::ZERO).await);
    let all = read_all(&log, &to).await;
    assert_eq!(seek(&*log, &to, 1).await, expected(&all, 1));
    assert_eq!(seek(&*log, &to, 4500).await, None);
    Outcome::Kept
}

//! Promises about topics, retention and restarts.

use std::time::Duration;

use levada_event::TopicPartition;

use super::support::{FOR_EVER, NOW, append, declare, fill, one, read_all, record, spec, topic_name, values};
use super::{Outcome, Subject};
use crate::{LogError, Retention};

const HOUR: Duration = Duration::from_secs(3600);
const NO_TIME: Outcome = Outcome::Skipped("time cannot be moved");
const NO_RESTART: Outcome = Outcome::Skipped("the log cannot be restarted");

pub(super) async fn the_number_of_partitions_never_changes(subject: &mut dyn Subject) -> Outcome {
    declare(subject, "never_changes", 3, FOR_EVER).await;
    for partitions in [1, 3, 7] {
        let again = spec(subject, "never_changes", partitions, FOR_EVER);
        let info = subject.log().topic(&again).await.expect("declared again");
        assert_eq!(info.partitions, 3);
    }
    let last = TopicPartition::new(topic_name(subject, "never_changes"), 2);
    append(&subject.log(), &last, &["a"]).await;
    if subject.restart().await {
        let again = spec(subject, "never_changes", 1, FOR_EVER);
        let info = subject.log().topic(&again).await.expect("declared again");
        assert_eq!(info.partitions, 3);
    }
    Outcome::Kept
}

pub(super) async fn topics_have_names_of_their_own(subject: &mut dyn Subject) -> Outcome {
    let longest = "n".repeat(200);
    let mut names = vec!["a.b", "a-b", "a.b.c", "0", "-", "_", longest.as_str()];
    if !subject.confuses_dots_and_underscores() {
        names.push("a_b");
    }
    for name in &names {
        let to = one(subject, name).await;
        append(&subject.log(), &to, &[name]).await;
    }
    subject.restart().await;
    for name in names {
        let to = TopicPartition::new(topic_name(subject, name), 0);
        assert_eq!(values(&subject.log(), &to).await, [name]);
    }
    Outcome::Kept
}

pub(super) async fn a_topic_that_is_made_is_told_of(subject: &mut dyn Subject) -> Outcome {
    let Some(mut made) = subject.log().topics_made() else {
        return Outcome::Skipped("the log does not tell of topics");
    };
    let of = TopicPartition::new(topic_name(subject, "told"), 0);
    assert!(subject.log().bounds(&of).await.is_err(), "nobody made it");
    made.mark_unchanged();
    declare(subject, "told", 1, FOR_EVER).await;
    assert!(made.has_changed().expect("the log is there"), "it was not told");
    assert!(subject.log().bounds(&of).await.is_ok());
    Outcome::Kept
}

pub(super) async fn retention_counts_from_appending(subject: &mut dyn Subject) -> Outcome {
    let retention = Retention {
        age: Some(HOUR),
        ..FOR_EVER
    };
    let to = declare(subject, "from_appending", 1, retention)
        .await
        .swap_remove(0);
    let log = subject.log();
    // Events of 2001 and of the far future: neither vanishes early nor stays for ever.
    for time in [1_000_000_000_000, 32_503_680_000_000] {
        log.append(&to, vec![record("dated", time)]).await.expect("taken");
    }
    let count = 2 + fill(subject, &to, "x").await;
    if !subject.pass(HOUR / 2).await {
        return NO_TIME;
    }
    assert_eq!(read_all(&log, &to).await.len(), count);
    assert!(subject.pass(2 * HOUR).await);
    assert!(
        read_all(&log, &to).await.len() < count,
        "the future date held it back"
    );
    Outcome::Kept
}

pub(super) async fn age_removes_and_answers_out_of_range(subject: &mut dyn Subject) -> Outcome {
    let retention = Retention {
        age: Some(HOUR),
        ..FOR_EVER
    };
    let to = declare(subject, "age_removes", 1, retention).await.swap_remove(0);
    let log = subject.log();
    fill(subject, &to, "old").await;
    let before = log.bounds(&to).await.expect("bounds");
    if !subject.pass(2 * HOUR).await {
        return NO_TIME;
    }
    append(&log, &to, &["young"]).await;
    assert!(subject.pass(Duration::ZERO).await);
    let after = log.bounds(&to).await.expect("bounds");
    assert!(after.earliest > before.earliest && after.next > before.next);
    let gone = log.read(&to.at(before.earliest), NOW).await;
    assert_eq!(gone.expect_err("it is gone"), LogError::OutOfRange(after));
    assert_eq!(values(&log, &to).await.last().map(String::as_str), Some("young"));
    // All of it goes in the end, and the offsets go on.
    assert!(subject.pass(2 * HOUR).await);
    let empty = log.bounds(&to).await.expect("bounds");
    assert_eq!((empty.earliest, empty.next), (after.next, after.next));
    assert!(append(&log, &to, &["next"]).await >= after.next);
    Outcome::Kept
}

pub(super) async fn bytes_remove_the_oldest(subject: &mut dyn Subject) -> Outcome {
    let bytes = Some(2 * subject.bytes_to_roll() as u64);
    let retention = Retention { bytes, ..FOR_EVER };
    let to = declare(subject, "bytes_remove", 1, retention)
        .await
        .swap_remove(0);
    let log = subject.log();
    let mut before = Vec::new();
    for round in 0..8 {
        fill(subject, &to, &round.to_string()).await;
        // Some may be gone before the last has come.
        let now = read_all(&log, &to).await;
        let known = before.last().map(|(offset, _, _)| *offset);
        before.extend(now.into_iter().filter(|(offset, _, _)| Some(*offset) > known));
    }
    if !subject.pass(Duration::ZERO).await {
        return NO_TIME;
    }
    let after = read_all(&log, &to).await;
    assert!(after.len() < before.len() && !after.is_empty());
    assert_eq!(
        after,
        before[before.len() - after.len()..],
        "the newest records stay"
    );
    Outcome::Kept
}

pub(super) async fn redeclared_retention_takes_force(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "redeclared").await;
    let log = subject.log();
    fill(subject, &to, "x").await;
    let bounds = log.bounds(&to).await.expect("bounds");
    if !subject.pass(1000 * HOUR).await {
        return NO_TIME;
    }
    assert_eq!(log.bounds(&to).await.expect("bounds"), bounds);
    let age = Some(HOUR);
    let short = spec(subject, "redeclared", 1, Retention { age, ..FOR_EVER });
    log.topic(&short).await.expect("declared again");
    assert!(subject.pass(Duration::ZERO).await);
    assert!(log.bounds(&to).await.expect("bounds").earliest > bounds.earliest);
    Outcome::Kept
}

pub(super) async fn a_restart_loses_nothing(subject: &mut dyn Subject) -> Outcome {
    let partitions = declare(subject, "restart", 2, FOR_EVER).await;
    let mut before = Vec::new();
    for round in 0..4 {
        let log = subject.log();
        for to in &partitions {
            append(&log, to, &[&format!("{}:{round}", to.partition), "x"]).await;
            fill(subject, to, "f").await;
        }
        before = vec![
            read_all(&log, &partitions[0]).await,
            read_all(&log, &partitions[1]).await,
        ];
        drop(log);
        if !subject.restart().await {
            return NO_RESTART;
        }
        let log = subject.log();
        for (to, before) in partitions.iter().zip(&before) {
            assert_eq!(read_all(&log, to).await, *before);
        }
    }
    assert!(before.iter().all(|all| all.len() > 8));
    Outcome::Kept
}

pub(super) async fn offsets_are_not_reused_after_a_restart(subject: &mut dyn Subject) -> Outcome {
    let to = one(subject, "not_reused").await;
    let mut last = None;
    for round in 0..5 {
        let offset = append(&subject.log(), &to, &["a", "b"]).await;
        assert!(last.is_none_or(|last| offset > last), "round {round}");
        let bounds = subject.log().bounds(&to).await.expect("bounds");
        last = Some(bounds.next - 1);
        if !subject.restart().await {
            return NO_RESTART;
        }
        assert_eq!(subject.log().bounds(&to).await.expect("bounds"), bounds);
    }
    Outcome::Kept
}

pub(super) async fn offsets_are_not_reused_after_retention_and_restart(subject: &mut dyn Subject) -> Outcome {
    let age = Some(HOUR);
    let to = declare(subject, "gone_and_back", 1, Retention { age, ..FOR_EVER })
        .await
        .swap_remove(0);
    append(&subject.log(), &to, &["a", "b", "c"]).await;
    let before = subject.log().bounds(&to).await.expect("bounds");
    if !subject.pass(2 * HOUR).await {
        return NO_TIME;
    }
    let empty = subject.log().bounds(&to).await.expect("bounds");
    assert_eq!((empty.earliest, empty.next), (before.next, before.next));
    if !subject.restart().await {
        return NO_RESTART;
    }
    assert_eq!(subject.log().bounds(&to).await.expect("bounds"), empty);
    assert!(append(&subject.log(), &to, &["d"]).await >= before.next);
    Outcome::Kept
}

pub(super) async fn facts_stay_the_same(subject: &mut dyn Subject) -> Outcome {
    let before = subject.log().facts().clone();
    assert_eq!(before.id.len(), 8);
    assert!(before.id.bytes().all(|b| b.is_ascii_hexdigit()));
    assert!(
        before.record_bytes_max >= 1 << 20,
        "events of a megabyte are common"
    );
    if !subject.restart().await {
        return NO_RESTART;
    }
    assert_eq!(*subject.log().facts(), before);
    Outcome::Kept
}

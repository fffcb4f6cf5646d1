//! The contract suite of the log, on a real broker, with topics of fifty partitions.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use levada_log::Log;
use levada_log::suite::{PROMISES, Subject, try_promise};

use super::cluster::Cluster;
use super::records::spec;
use super::spread::{Declared, Spread};

struct OnKafka {
    cluster: Cluster,
    log: Arc<Spread>,
}

#[async_trait]
impl Subject for OnKafka {
    fn log(&self) -> Arc<dyn Log> {
        self.log.clone()
    }

    /// New clients, as a process that starts has them; the broker's restarts are tested elsewhere.
    async fn restart(&mut self) -> bool {
        self.log.log.close().await;
        self.log = Arc::new(Spread {
            log: Arc::new(self.cluster.log().await),
            declared: self.log.declared.clone(),
        });
        true
    }

    /// Retention is the broker's and counts by its own clock.
    async fn pass(&mut self, _: Duration) -> bool {
        false
    }

    fn confuses_dots_and_underscores(&self) -> bool {
        true
    }

    fn prefix(&self) -> String {
        self.cluster.prefix.clone()
    }
}

/// What cannot be tried here, because the broker's clock cannot be moved. [`retention`](super::retention)
/// shows with short times what Kafka keeps of it, and `guarantees.md` says what it does in its own way: age counts
/// from the events' times, and retention that is declared again changes nothing.
const SKIPPED: &[&str] = &[
    "a_time_seek_sees_only_what_is_kept",
    "retention_counts_from_appending",
    "age_removes_and_answers_out_of_range",
    "bytes_remove_the_oldest",
    "redeclared_retention_takes_force",
    "offsets_are_not_reused_after_retention_and_restart",
];

macro_rules! promises {
    ($($name:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let name = stringify!($name);
                let Some(cluster) = Cluster::found(name) else { return };
                let log = Arc::new(Spread {
                    log: Arc::new(cluster.log().await),
                    declared: Declared::default(),
                });
                let mut subject = OnKafka { cluster, log };
                try_promise(name, &mut subject, SKIPPED).await;
                if !SKIPPED.contains(&name) {
                    levada_kafka_broker::note(name);
                }
                subject.log.log.close().await;
            }
        )+

        #[test]
        fn no_promise_is_left_out() {
            let tried = [$(stringify!($name)),+];
            let all: Vec<_> = PROMISES.iter().map(|promise| promise.name).collect();
            assert_eq!(all, tried);
        }
    };
}

promises![
    the_first_offset_is_returned,
    offsets_strictly_increase,
    an_append_stays_together,
    awaited_appends_keep_their_order,
    an_empty_append_appends_nothing,
    concurrent_appends_are_each_there_once,
    hasty_appends_are_each_there_once,
    a_dropped_append_loses_no_other,
    a_record_too_large_refuses_the_whole_append,
    the_largest_record_is_taken,
    appending_needs_a_topic,
    records_come_back_byte_for_byte,
    partitions_are_apart,
    one_record_is_always_returned,
    who_looks_sees_what_is_read,
    the_limit_is_kept,
    reading_on_meets_each_record_once,
    an_empty_partition_answers_empty,
    a_wait_without_records_ends_empty,
    a_waiting_read_wakes_on_append,
    all_waiting_readers_wake,
    outside_the_bounds_is_out_of_range,
    reading_needs_a_topic,
    bounds_follow_appends,
    a_time_finds_the_first_record_at_or_after_it,
    timestamps_need_not_be_monotonic,
    a_time_seek_in_a_long_history,
    a_time_seek_sees_only_what_is_kept,
    the_number_of_partitions_never_changes,
    topics_have_names_of_their_own,
    a_topic_that_is_made_is_told_of,
    retention_counts_from_appending,
    age_removes_and_answers_out_of_range,
    bytes_remove_the_oldest,
    redeclared_retention_takes_force,
    a_restart_loses_nothing,
    offsets_are_not_reused_after_a_restart,
    offsets_are_not_reused_after_retention_and_restart,
    facts_stay_the_same,
];

/// Without the spreading, which would hide it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_of_a_topic_is_the_clusters() {
    let Some(cluster) = Cluster::shared("the_number_of_a_topic_is_the_clusters") else {
        return;
    };
    let topic = format!("{}number", cluster.prefix);
    for partitions in [3, 1, 7] {
        let log = cluster.log().await;
        let info = log.topic(&spec(&topic, partitions)).await.expect("declared");
        assert_eq!(info.partitions, 3);
        log.close().await;
    }
}

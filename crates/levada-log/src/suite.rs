//! The contract as tests: one per promise of [`Log`], run on every backend.
//!
//! A backend is brought in as a [`Subject`]; [`contract_suite!`](crate::contract_suite) makes one
//! `#[tokio::test]` per promise of it, and [`PROMISES`] lists them for harnesses that drive them in
//! their own way. A promise that a subject cannot be put to (a model without storage cannot restart)
//! answers [`Outcome::Skipped`], and must be named beforehand.
//!
//! The tests trust nothing but the contract: they never add to an offset, assert on no time, and use
//! topics of their own, so that they can run side by side on one log.

mod appending;
mod keeping;
mod reading;
mod seeking;
mod support;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::Log;

/// A log under test and what can be done to it from outside.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The log as it runs now.
    fn log(&self) -> Arc<dyn Log>;

    /// Stops the log in good order and starts it again on the same storage. `false` when it has no
    /// storage of its own or cannot be restarted from a test.
    async fn restart(&mut self) -> bool;

    /// Lets `by` pass as retention sees it and applies retention, so that whatever may go is gone
    /// when this returns. `false` when a test cannot do that.
    async fn pass(&mut self, by: Duration) -> bool;

    /// Put before the names of topics, so that runs that share one log do not meet.
    fn prefix(&self) -> String {
        String::new()
    }

    /// Whether names that differ only in `.` and `_` are taken for one, as Kafka does. (Its names of
    /// metrics would be the same, so it refuses to create the second.)
    fn confuses_dots_and_underscores(&self) -> bool {
        false
    }

    /// How long to wait for what must come. Long: it is only waited out when a promise is broken.
    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// Bytes of values that make retention by age and bytes let go of something: more than the
    /// backend's unit of removal.
    fn bytes_to_roll(&self) -> usize {
        4096
    }
}

/// What became of a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The log kept it.
    Kept,
    /// It could not be tried on this subject, for this reason.
    Skipped(&'static str),
}

/// The future of a running promise.
pub type Trial<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// One promise of the contract.
#[derive(Clone, Copy)]
pub struct Promise {
    /// Its name, unique in the suite.
    pub name: &'static str,
    /// Tries it; panics when it is broken.
    pub run: for<'a> fn(&'a mut dyn Subject) -> Trial<'a>,
}

impl std::fmt::Debug for Promise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! promises {
    ($($module:ident :: $name:ident),+ $(,)?) => {
        /// Every promise of the contract.
        pub const PROMISES: &[Promise] = &[
            $(Promise { name: stringify!($name), run: |subject| Box::pin($module::$name(subject)) }),+
        ];

        /// Makes a module of `#[tokio::test]`s, one per promise. The second argument is an expression
        /// of type `impl Future<Output = impl Subject>` that is evaluated for each test; the
        /// third names the promises that this subject cannot try.
        ///
        /// ```ignore
        /// levada_log::contract_suite!(memory, async { MySubject::new() }, &[]);
        /// ```
        #[macro_export]
        macro_rules! contract_suite {
            ($suite:ident, $subject:expr, $skipped:expr) => {
                mod $suite {
                    #[allow(unused_imports, reason = "the subject may need names of the place of use")]
                    use super::*;
                    $(
                        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                        async fn $name() {
                            let mut subject = $subject.await;
                            $crate::suite::try_promise(stringify!($name), &mut subject, $skipped).await;
                        }
                    )+
                }
            };
        }
    };
}

promises![
    appending::the_first_offset_is_returned,
    appending::offsets_strictly_increase,
    appending::an_append_stays_together,
    appending::awaited_appends_keep_their_order,
    appending::an_empty_append_appends_nothing,
    appending::concurrent_appends_are_each_there_once,
    appending::hasty_appends_are_each_there_once,
    appending::a_dropped_append_loses_no_other,
    appending::a_record_too_large_refuses_the_whole_append,
    appending::the_largest_record_is_taken,
    appending::appending_needs_a_topic,
    reading::records_come_back_byte_for_byte,
    reading::partitions_are_apart,
    reading::one_record_is_always_returned,
    reading::who_looks_sees_what_is_read,
    reading::the_limit_is_kept,
    reading::reading_on_meets_each_record_once,
    reading::an_empty_partition_answers_empty,
    reading::a_wait_without_records_ends_empty,
    reading::a_waiting_read_wakes_on_append,
    reading::all_waiting_readers_wake,
    reading::outside_the_bounds_is_out_of_range,
    reading::reading_needs_a_topic,
    reading::bounds_follow_appends,
    seeking::a_time_finds_the_first_record_at_or_after_it,
    seeking::timestamps_need_not_be_monotonic,
    seeking::a_time_seek_in_a_long_history,
    seeking::a_time_seek_sees_only_what_is_kept,
    keeping::the_number_of_partitions_never_changes,
    keeping::topics_have_names_of_their_own,
    keeping::a_topic_that_is_made_is_told_of,
    keeping::retention_counts_from_appending,
    keeping::age_removes_and_answers_out_of_range,
    keeping::bytes_remove_the_oldest,
    keeping::redeclared_retention_takes_force,
    keeping::a_restart_loses_nothing,
    keeping::offsets_are_not_reused_after_a_restart,
    keeping::offsets_are_not_reused_after_retention_and_restart,
    keeping::facts_stay_the_same,
];

/// Tries the promise of this name; panics when it is broken or unknown, and when it is skipped without
/// being among `skipped`, or the other way round.
pub async fn try_promise(name: &str, subject: &mut dyn Subject, skipped: &[&str]) {
    let promise = PROMISES.iter().find(|promise| promise.name == name);
    let promise = promise.unwrap_or_else(|| panic!("no promise is called {name}"));
    let outcome = (promise.run)(subject).await;
    let expected = skipped.contains(&name);
    assert_eq!(
        matches!(outcome, Outcome::Skipped(_)),
        expected,
        "{name}: {outcome:?}"
    );
}

#[cfg(test)]
mod tests;

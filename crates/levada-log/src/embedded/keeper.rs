//! The keeper: one thread that does what has time: retention, rewriting, closing idle files, and the
//! syncs that `durability = os` leaves out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use levada_event::Timestamp;

use super::engine::Engine;
use super::partition::{Health, Partition};
use crate::Durability;

/// A partition without appends for this long gives up its open file.
const IDLE_AFTER: Duration = Duration::from_secs(60);

/// The life of the keeper thread.
pub(super) fn run(engine: &Engine, every: Duration) {
    let mut wait = every;
    while !engine.pause(wait) {
        let began = Instant::now();
        maintain_within(engine, Some(every));
        wait = every.saturating_sub(began.elapsed());
    }
}

/// Everything there is to do.
pub(super) fn maintain(engine: &Engine) {
    maintain_within(engine, None);
}

/// Everything that is due, once over all partitions; then packing, which has the time that is left of
/// `within`, but always does one segment. What cannot wait is never behind it.
pub(super) fn maintain_within(engine: &Engine, within: Option<Duration>) {
    // One at a time, also when asked for from outside.
    let mut turn = engine.maintaining.lock();
    let began = Instant::now();
    // Nobody else may ask, and what is shown of it should be true.
    engine.refusal.probe(&*engine.disk, &engine.options.path);
    engine.refusal.settle();
    let partitions = engine.partitions();
    for partition in &partitions {
        let now = engine.clock.now();
        partition.retain(engine, now);
        if engine.facts.durability == Durability::Os {
            partition.sync_behind(engine);
        }
        partition.rest_if_idle(engine, now);
    }
    let mut nothing = 0;
    while nothing < partitions.len() && engine.options.compress && !engine.closing.load(Ordering::Relaxed) {
        // A segment of each in turn: one that seals more than can be packed keeps none of the others.
        let at = *turn % partitions.len();
        *turn = at + 1;
        if !partitions[at].rewrite_one(engine) {
            nothing += 1;
            continue;
        }
        nothing = 0;
        if within.is_some_and(|within| began.elapsed() >= within) {
            return;
        }
    }
}

impl Partition {
    /// Syncs what the operating system has not written yet, without holding up appends, and saves the
    /// index as far as it is durable.
    fn sync_behind(self: &Arc<Self>, engine: &Engine) {
        let (file, segment, len, next) = {
            let writer = self.writer.lock();
            // After a failed sync the next one would succeed and lie.
            if self.view.read().health != Health::Sound {
                return;
            }
            let Some(active) = &writer.active else {
                return;
            };
            let Some(file) = active.files[0].clone().filter(|_| active.synced.0 < active.len) else {
                return;
            };
            (file, active.segment.clone(), active.len, writer.next)
        };
        let synced = engine.timed_sync(&*file);
        let mut writer = self.writer.lock();
        if let Err(error) = synced {
            if self.view.read().health == Health::Sound {
                self.poison(&format!("a sync failed: {error}"));
            }
            return;
        }
        if let Some(active) = &mut writer.active
            && Arc::ptr_eq(&active.segment, &segment)
            && active.synced.0 < len
        {
            active.synced = (len, next);
        }
        self.save_index(engine, &mut writer, false);
    }

    fn rest_if_idle(&self, engine: &Engine, now: Timestamp) {
        let Some(mut writer) = self.writer.try_lock() else {
            return;
        };
        let idle = writer.active.as_ref().is_some_and(|active| {
            let passed = now.as_millis().saturating_sub(active.last_used.as_millis());
            active.files.iter().any(Option::is_some)
                && active.synced.0 == active.len
                && u128::from(passed.unsigned_abs()) > IDLE_AFTER.as_millis()
        });
        if idle {
            if self.view.read().health == Health::Sound {
                self.save_index(engine, &mut writer, true);
            }
            if let Some(active) = &mut writer.active {
                active.files = Default::default();
            }
        }
    }
}

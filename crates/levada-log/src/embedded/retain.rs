//! Retention: whole segments go, oldest first, counted from the time of appending.
//!
//! A segment leaves the view before its file is removed, so that a reader finds either the file or
//! the new bounds. Each removal is made durable before the next, so that a crash cannot leave a gap
//! between segments; a removal that fails is tried again before any other.

use std::io;
use std::sync::Arc;

use levada_event::Timestamp;

use super::disk::Disk;
use super::engine::Engine;
use super::partition::Partition;
use super::segment::{Segment, sidecar_of};

impl Partition {
    /// Removes what retention lets go at the time `now`.
    pub(super) fn retain(self: &Arc<Self>, engine: &Engine, now: Timestamp) {
        self.roll_by_age(engine, now);
        let mut doomed = self.doomed.lock();
        loop {
            while let Some(segment) = doomed.front() {
                if let Err(error) = remove(&*engine.disk, &self.dir, segment) {
                    tracing::warn!(
                        segment = %segment.path.display(), %error,
                        "a segment whose time is over could not be removed; it is tried again"
                    );
                    return;
                }
                doomed.pop_front();
            }
            match self.take_oldest(engine, now) {
                Some(segment) => doomed.push_back(segment),
                None => return,
            }
        }
    }

    /// Seals the active segment when it has taken appends for long enough.
    fn roll_by_age(self: &Arc<Self>, engine: &Engine, now: Timestamp) {
        let Some(age) = self.topic.segment_age() else {
            return;
        };
        let millis = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        if let Err(error) = self.roll_if_begun(engine, now.plus_millis(-millis)) {
            tracing::warn!(partition = %self.of, %error, "no new segment could be started; it is tried again");
        }
    }

    /// Takes the oldest segment out of the view, if retention lets it go.
    fn take_oldest(&self, engine: &Engine, now: Timestamp) -> Option<Arc<Segment>> {
        let retention = self.topic.retention();
        let (oldest, next, bytes) = {
            let view = self.view.read();
            let next = view.segments.get(1)?.clone();
            (view.segments.first()?.clone(), next, view.bytes())
        };
        let over_bytes = retention.bytes.is_some_and(|max| bytes - oldest.len() >= max);
        let over_age = || {
            let last = last_appended(engine, &oldest, &next)?;
            Some(older(last, now, retention.age?))
        };
        if !over_bytes && over_age() != Some(true) {
            return None;
        }
        let mut view = self.view.write();
        Some(view.segments.remove(0))
    }
}

/// When the last record of a sealed segment was appended, or an upper bound of that.
fn last_appended(engine: &Engine, segment: &Arc<Segment>, next: &Arc<Segment>) -> Option<Timestamp> {
    let (disk, open) = (&*engine.disk, &engine.open_segments);
    match segment.end(disk, open, next.base) {
        Ok(end) if end.offset == next.base => Some(end.appended),
        // Its blocks cannot all be read; what follows it was appended later.
        Ok(_) => next.first_appended(disk, open),
        Err(error) => {
            tracing::debug!(segment = %segment.path.display(), %error, "its age is told by what follows");
            next.first_appended(disk, open)
        }
    }
}

fn older(time: Timestamp, now: Timestamp, age: std::time::Duration) -> bool {
    let passed = i128::from(now.as_millis()) - i128::from(time.as_millis());
    passed > 0 && passed as u128 > age.as_millis()
}

fn remove(disk: &dyn Disk, dir: &std::path::Path, segment: &Segment) -> io::Result<()> {
    for path in [&segment.path, &sidecar_of(&segment.path)] {
        match disk.remove(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    disk.sync_dir(dir)
}

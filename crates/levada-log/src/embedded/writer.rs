//! Writing a partition: blocks to the active segment, sync, what readers see, roll.
//!
//! The writer trusts nothing that was not synced. A write that fails is rolled back and may be tried
//! again; a sync that fails ends the partition's life as a writer, because the kernel may have dropped
//! the pages and marked them clean, so that a second sync would report a success that is none.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use levada_event::{Offset, Timestamp};
use parking_lot::MutexGuard;

use super::block::{Builder, Header, Stamp};
use super::disk::{File, Open, write_all};
use super::engine::Engine;
use super::hot::HotBlock;
use super::index::{self, Entry};
use super::partition::{Health, Partition};
use super::pending::{Filling, Waiter};
use super::segment::{Indexer, Segment, file_name, sidecar_of, write_sidecar};
use crate::{Durability, LogError};

/// Rounds of one partition that may be under way at once: while one is being synced the next is
/// written and synced behind it, so that an append waits for its own sync and hardly for another's.
/// Each has a descriptor of its own, because the kernel reports a failed write-back once to each
/// descriptor, and so to each round that it may concern.
pub(super) const LANES: usize = 2;

/// The writer's own state, behind the partition's writer lock.
#[derive(Default)]
pub(super) struct Writer {
    /// The active segment; `None` before the first append to the partition.
    pub(super) active: Option<Active>,
    /// The next offset, behind everything that is written.
    pub(super) next: Offset,
    /// Rounds that are written and not synced yet, in order.
    in_flight: VecDeque<Round>,
    /// Number of the next round.
    round: u64,
    /// Which lanes are taken.
    taken: [bool; LANES],
}

/// The active segment as the writer knows it.
pub(super) struct Active {
    pub(super) segment: Arc<Segment>,
    /// A descriptor per lane, opened when needed and closed when idle.
    pub(super) files: [Option<Arc<dyn File>>; LANES],
    /// Bytes written. Readers see [`Segment::len`] of them.
    pub(super) len: u64,
    /// Bytes known to be synced, and the offset there.
    pub(super) synced: (u64, Offset),
    /// When the first block was appended; `None` while empty.
    pub(super) first_appended: Option<Timestamp>,
    pub(super) last_used: Timestamp,
    /// A new segment was to be started and may be there by name: nothing is appended to this one.
    pub(super) must_roll: bool,
    pub(super) indexer: Indexer,
    /// Index entries, the implied first one included, and how many of them the sidecar has.
    pub(super) entries: usize,
    pub(super) entries_saved: usize,
}

/// What was written at once.
struct Round {
    number: u64,
    first: Offset,
    /// The offset and the position behind it.
    end: (Offset, u64),
    blocks: Vec<(Header, Bytes)>,
    waiters: Waiters,
}

/// Those who wait for the blocks of a round, with the number of records of each block.
type Waiters = Vec<(u32, Vec<Waiter>)>;

/// Appends and what they will be told: the offset of the first block, or the error.
type Answers = Vec<(Result<Offset, LogError>, Waiters)>;

/// Blocks as they were written, each with its header.
type Blocks = Vec<(Header, Bytes)>;

/// A descriptor, and whether it was opened just now.
type Opened = (Arc<dyn File>, bool);

impl Active {
    /// A new and empty segment.
    pub(super) fn empty(
        base: Offset,
        path: PathBuf,
        place: u32,
        file: Arc<dyn File>,
        now: Timestamp,
    ) -> Self {
        let start = Entry::start(base);
        let mut files: [_; LANES] = Default::default();
        files[0] = Some(file);
        Self {
            segment: Arc::new(Segment::active(base, path, place, 0, vec![start])),
            files,
            len: 0,
            synced: (0, base),
            first_appended: None,
            last_used: now,
            must_roll: false,
            indexer: Indexer::new(start),
            entries: 1,
            entries_saved: 1,
        }
    }

    fn file(&mut self, engine: &Engine, lane: usize) -> io::Result<Opened> {
        match &self.files[lane] {
            Some(file) => Ok((file.clone(), false)),
            None => {
                let file = engine.disk.open(&self.segment.path, Open::Existing)?;
                self.files[lane] = Some(file.clone());
                Ok((file, true))
            }
        }
    }
}

impl Partition {
    /// Writes everything that waits, syncs it and tells those who wait.
    pub(super) fn commit(self: &Arc<Self>, engine: &Engine) {
        let mut writer = self.writer.lock();
        let room = self.make_room(engine, &mut writer);
        let batch = self.pending.lock().take();
        if batch.is_empty() {
            return;
        }
        let Some(lane) = writer.taken.iter().position(|taken| !taken) else {
            // There are as many lanes as committers can hold of one partition.
            let error = LogError::Unavailable("too many committers at once".into());
            return self.answer(engine, vec![(Err(error), waiters_of(batch).1)]);
        };
        let (blocks, waiters) = waiters_of(batch);
        let joins = !writer.in_flight.is_empty();
        let written = room.and_then(|()| self.write(engine, &mut writer, lane, blocks));
        let (blocks, (file, opened)) = match written {
            Ok(written) => written,
            Err(error) => {
                drop(writer);
                return self.answer(engine, vec![(Err(error), waiters)]);
            }
        };
        let number = writer.round;
        writer.round += 1;
        let round = Round {
            number,
            first: blocks.first().map_or(writer.next, |(header, _)| header.base),
            end: (writer.next, writer.active.as_ref().map_or(0, |active| active.len)),
            blocks,
            waiters,
        };
        writer.in_flight.push_back(round);
        let answers = if engine.facts.durability == Durability::Fsync {
            writer.taken[lane] = true;
            drop(writer);
            let synced = engine.timed_sync(&*file);
            writer = self.writer.lock();
            writer.taken[lane] = false;
            if opened && joins && synced.is_ok() {
                // A descriptor is not told of a failure that another was told of before it was opened: its
                // first sync says nothing of the rounds that were under way then.
                self.wait_for_those_before(&mut writer, number);
            }
            match synced {
                Ok(()) => self.complete(engine, &mut writer, number, true),
                Err(error) => self.sync_failed(&mut writer, &error),
            }
        } else {
            self.complete(engine, &mut writer, number, false)
        };
        self.settled.notify_all();
        drop(writer);
        self.answer(engine, answers);
    }

    /// Waits until no round before this one is under way; if one failed, this one is answered too.
    fn wait_for_those_before(&self, writer: &mut MutexGuard<'_, Writer>, number: u64) {
        while writer
            .in_flight
            .front()
            .is_some_and(|round| round.number < number)
        {
            self.settled.wait(writer);
        }
    }

    fn answer(&self, engine: &Engine, answers: Answers) {
        let mut cost = 0;
        for (outcome, waiters) in answers {
            let mut base = *outcome.as_ref().unwrap_or(&0);
            for (count, waiters) in waiters {
                for waiter in waiters {
                    cost += waiter.cost as usize;
                    waiter.answer(match &outcome {
                        Ok(_) => Ok(base),
                        Err(error) => Err(error),
                    });
                }
                base += u64::from(count);
            }
        }
        self.room.add_permits(cost);
        engine.room.add_permits(cost);
    }

    /// Shows the rounds up to `number` to readers. A sync covers all that was written before it
    /// began, so it completes the rounds before its own too.
    fn complete(
        self: &Arc<Self>,
        engine: &Engine,
        writer: &mut Writer,
        number: u64,
        synced: bool,
    ) -> Answers {
        let mut answers = Vec::new();
        while writer
            .in_flight
            .front()
            .is_some_and(|round| round.number <= number)
            && let (Some(round), Some(active)) = (writer.in_flight.pop_front(), &mut writer.active)
        {
            if synced {
                active.synced = (round.end.1, round.end.0);
            }
            answers.push((Ok(round.first), round.waiters));
            self.publish(engine, active, round.blocks, round.end);
        }
        answers
    }

    /// Ends the partition's life as a writer: nothing that is in flight can be relied on.
    fn sync_failed(&self, writer: &mut Writer, error: &io::Error) -> Answers {
        let reason = format!("a sync failed: {error}");
        self.poison(&reason);
        if let Some(active) = &mut writer.active {
            // Best effort: what was not synced should not be found by a restart, which cannot tell
            // pages that the kernel kept from pages that the disk has.
            active.len = active.segment.len();
            writer.next = active.synced.1;
            // Not by the descriptor whose sync failed: its segment may have been sealed meanwhile, when a
            // later sync answered its round.
            let file = active.files.iter().flatten().next();
            if let Some(Err(error)) = file.map(|file| file.set_len(active.len)) {
                tracing::error!(partition = %self.of, %error, "the unsynced tail could not be cut off");
            }
        }
        let lost = writer.in_flight.drain(..);
        lost.map(|round| (Err(LogError::Indeterminate(reason.clone())), round.waiters))
            .collect()
    }

    /// After a fault of the program: nobody waits for ever.
    pub(super) fn abandon(&self) {
        self.poison("a fault of the program while writing; see the log");
        let mut writer = self.writer.lock();
        // Dropping those who wait tells them that their outcome is not known.
        writer.in_flight.clear();
        self.settled.notify_all();
    }

    /// Writes blocks behind what is there; answers them with their headers, and the lane's descriptor.
    fn write(
        &self,
        engine: &Engine,
        writer: &mut Writer,
        lane: usize,
        blocks: Vec<Builder>,
    ) -> Result<(Blocks, Opened), LogError> {
        let Some(active) = &mut writer.active else {
            return Err(LogError::Unavailable("no segment is open".into()));
        };
        let unavailable = |error: io::Error| LogError::Unavailable(error.to_string());
        let (file, opened) = active.file(engine, lane).map_err(unavailable)?;
        let mut stamp = Stamp {
            place: self.place,
            base: writer.next,
            durable: active.synced.1,
            appended: engine.clock.now(),
        };
        let finish = |block: Builder| {
            let (header, block) = block.finish(stamp);
            stamp.base = header.end();
            (header, block)
        };
        let blocks: Vec<_> = blocks.into_iter().map(finish).collect();
        let parts: Vec<&[u8]> = blocks.iter().map(|(_, block)| &block[..]).collect();
        if let Err(error) = write_all(&*file, active.len, &parts) {
            let error = self.roll_back(engine, active, &*file, &error);
            if opened {
                // Its first sync is still to come, and whoever opens one anew knows that.
                active.files[lane] = None;
            }
            return Err(error);
        }
        active.len += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        writer.next = stamp.base;
        Ok((blocks, (file, opened)))
    }

    /// Takes a failed write back, durably, so that "unavailable" means that nothing happened.
    fn roll_back(&self, engine: &Engine, active: &Active, file: &dyn File, error: &io::Error) -> LogError {
        let undone = file.set_len(active.len).and_then(|()| {
            if engine.facts.durability == Durability::Fsync {
                file.sync()
            } else {
                Ok(())
            }
        });
        match undone {
            Ok(()) => {
                engine.refusal.refused(error);
                LogError::Unavailable(format!("writing failed: {error}"))
            }
            Err(undoing) => {
                let reason = format!("writing failed ({error}) and could not be undone: {undoing}");
                self.poison(&reason);
                LogError::Indeterminate(reason)
            }
        }
    }

    /// Makes sure that there is an active segment with room for what waits.
    fn make_room(
        self: &Arc<Self>,
        engine: &Engine,
        writer: &mut MutexGuard<'_, Writer>,
    ) -> Result<(), LogError> {
        loop {
            if let Health::Poisoned(reason) = &self.view.read().health {
                return Err(LogError::Poisoned(reason.clone()));
            }
            let bytes = self.pending.lock().bytes() as u64;
            let full = match &writer.active {
                Some(active) => {
                    let limit = self.topic.segment_bytes(&engine.options);
                    active.len > 0 && (active.must_roll || active.len + bytes > limit)
                }
                None => {
                    let now = engine.clock.now();
                    return self.start_segment(engine, writer, now);
                }
            };
            if !full || bytes == 0 {
                return Ok(());
            }
            if writer.in_flight.is_empty() {
                return self.roll(engine, writer);
            }
            // A segment is sealed when all of it is synced.
            self.settled.wait(writer);
        }
    }

    /// Seals the active segment when it took its first append at `before` or earlier: at once, or
    /// with the next append when something is in flight.
    pub(super) fn roll_if_begun(
        self: &Arc<Self>,
        engine: &Engine,
        before: Timestamp,
    ) -> Result<(), LogError> {
        let mut writer = self.writer.lock();
        if self.view.read().health != Health::Sound {
            return Ok(());
        }
        let idle = writer.in_flight.is_empty();
        match &mut writer.active {
            Some(active) if active.first_appended.is_some_and(|first| first <= before) => {
                active.must_roll = true;
            }
            _ => return Ok(()),
        }
        if idle {
            self.roll(engine, &mut writer)?;
        }
        Ok(())
    }

    /// Seals the active segment, which is not empty, and starts a new one. Nothing is in flight.
    pub(super) fn roll(self: &Arc<Self>, engine: &Engine, writer: &mut Writer) -> Result<(), LogError> {
        let now = engine.clock.now();
        self.sync_active(engine, writer)?;
        self.save_index(engine, writer, true);
        let Some(active) = &mut writer.active else {
            return Ok(());
        };
        let end = Entry {
            position: active.len,
            offset: writer.next,
            ..active.indexer.now()
        };
        let sealed = active.segment.clone();
        self.start_segment(engine, writer, now)?;
        sealed.seal(end, &engine.open_segments);
        Ok(())
    }

    /// Creates the segment that begins at the next offset and makes its name durable.
    fn start_segment(
        self: &Arc<Self>,
        engine: &Engine,
        writer: &mut Writer,
        now: Timestamp,
    ) -> Result<(), LogError> {
        let path = self.dir.join(file_name(writer.next));
        let unavailable = |error: io::Error| {
            LogError::Unavailable(format!(
                "the segment {} cannot be created: {error}",
                path.display()
            ))
        };
        let sync_dir = |dir: &Path| {
            engine.disk.sync_dir(dir).map_err(|error| {
                let reason = format!("a sync of the directory {} failed: {error}", dir.display());
                self.poison(&reason);
                LogError::Poisoned(reason)
            })
        };
        match &mut writer.active {
            Some(active) => active.must_roll = true,
            None => {
                self.topic.establish(&*engine.disk)?;
                let made = engine.disk.create_dir(&self.dir);
                made.inspect_err(|error| engine.refusal.refused(error))
                    .map_err(unavailable)?;
                sync_dir(&self.topic.dir)?;
            }
        }
        let file = engine.disk.open(&path, Open::Fresh);
        let file = file
            .inspect_err(|error| engine.refusal.refused(error))
            .map_err(unavailable)?;
        sync_dir(&self.dir)?;
        let active = Active::empty(writer.next, path, self.place, file, now);
        self.view.write().segments.push(active.segment.clone());
        writer.active = Some(active);
        Ok(())
    }

    /// Shows blocks, which end at this offset and position, to readers and wakes those who wait.
    fn publish(
        self: &Arc<Self>,
        engine: &Engine,
        active: &mut Active,
        blocks: Vec<(Header, Bytes)>,
        (next, end): (Offset, u64),
    ) {
        let Some(appended) = blocks.first().map(|(header, _)| header.appended) else {
            return;
        };
        let mut position = active.segment.len();
        let bytes = end - position;
        let mut entries = Vec::new();
        let mut records = 0;
        for (header, block) in &blocks {
            entries.extend(active.indexer.block(header, position));
            position += block.len() as u64;
            records += u64::from(header.count);
        }
        active.entries += entries.len();
        active.first_appended.get_or_insert(appended);
        active.last_used = appended;
        let hot: Vec<_> = blocks
            .into_iter()
            .map(|(header, block)| Arc::new(HotBlock { header, block }))
            .collect();
        {
            let mut view = self.view.write();
            active.segment.grow(end, &entries);
            view.next = next;
            view.last_appended = Some(appended);
            engine.hot.keep(&mut view.hot, &hot);
        }
        self.next.send_replace(next);
        engine.hot.settle(self, &hot);
        engine.counters.appended(hot.len() as u64, records, bytes);
        engine.refusal.accepted();
        if active.entries >= active.entries_saved + index::RUN {
            self.save_active_index(engine, active);
        }
    }

    /// Syncs what is not synced yet ([`Durability::Os`]).
    pub(super) fn sync_active(&self, engine: &Engine, writer: &mut Writer) -> Result<(), LogError> {
        let next = writer.next;
        let Some(active) = &mut writer.active else {
            return Ok(());
        };
        if active.synced.0 == active.len {
            return Ok(());
        }
        if let Health::Poisoned(reason) = &self.view.read().health {
            return Err(LogError::Poisoned(reason.clone()));
        }
        let (file, _) = active
            .file(engine, 0)
            .map_err(|error| LogError::Unavailable(error.to_string()))?;
        if let Err(error) = engine.timed_sync(&*file) {
            let reason = format!("a sync failed: {error}");
            self.poison(&reason);
            return Err(LogError::Poisoned(reason));
        }
        active.synced = (active.len, next);
        Ok(())
    }

    /// Brings the sidecar up to date; `end` adds the entry for the end of the segment.
    pub(super) fn save_index(&self, engine: &Engine, writer: &mut Writer, end: bool) {
        let next = writer.next;
        let Some(active) = &mut writer.active else {
            return;
        };
        if end
            && active.synced.0 == active.len
            && let Some(entry) = active.indexer.end(active.len, next)
        {
            active.segment.grow(active.len, &[entry]);
            active.entries += 1;
        }
        self.save_active_index(engine, active);
    }

    fn save_active_index(&self, engine: &Engine, active: &mut Active) {
        let synced = active.synced.0;
        let sidecar = sidecar_of(&active.segment.path);
        let saved = active.entries_saved;
        let place = self.place;
        let base = active.segment.base;
        let written = active.segment.active_index(|entries| -> io::Result<usize> {
            let durable = entries.partition_point(|entry| entry.position <= synced);
            if durable <= saved {
                return Ok(saved);
            }
            if saved <= 1 {
                write_sidecar(&*engine.disk, &sidecar, place, base, &entries[..durable])?;
            } else {
                let file = engine.disk.open(&sidecar, Open::Existing)?;
                let at = index::HEADER_BYTES + (saved - 1) * index::ENTRY_BYTES;
                let bytes = index::encode(place, base, &entries[saved..durable]);
                write_all(&*file, at as u64, &[&bytes])?;
            }
            Ok(durable)
        });
        match written {
            Ok(saved) => active.entries_saved = saved,
            Err(error) => {
                // Only a cache. It is written whole the next time.
                active.entries_saved = 1;
                tracing::debug!(%error, sidecar = %sidecar.display(), "index not saved");
            }
        }
    }
}

fn waiters_of(batch: Vec<Filling>) -> (Vec<Builder>, Waiters) {
    let apart = |filling: Filling| {
        let count = filling.block.count();
        (filling.block, (count, filling.waiters))
    };
    batch.into_iter().map(apart).unzip()
}

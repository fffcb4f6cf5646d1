//! Writing a partition: blocks to the active segment, sync, what readers see, roll.
//!
//! The writer trusts nothing that was not synced. A write that fails is rolled back and may be tried
//! again; a sync that fails ends the partition's life as a writer, because the kernel may have dropped
//! the pages and marked them clean, so that a second sync would report a success that is none.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use levada_event::{Offset, Timestamp};

use super::block::{Header, Stamp};
use super::disk::{File, Open, write_all};
use super::engine::Engine;
use super::hot::HotBlock;
use super::index::{self, Entry};
use super::partition::{Health, Partition};
use super::pending::Filling;
use super::segment::{Indexer, Segment, file_name, sidecar_of, write_sidecar};
use crate::{Durability, LogError};

/// The writer's own state, behind the partition's writer lock.
pub(super) struct Writer {
    /// The active segment; `None` before the first append to the partition.
    pub(super) active: Option<Active>,
    /// The next offset.
    pub(super) next: Offset,
}

/// The active segment as the writer knows it.
pub(super) struct Active {
    pub(super) segment: Arc<Segment>,
    /// Opened at the first append and closed when idle.
    pub(super) file: Option<Arc<dyn File>>,
    /// Bytes written and, with [`Durability::Fsync`], synced.
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

/// Why a write did not come about, as the appends will be told.
struct Failed(LogError);

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
        Self {
            segment: Arc::new(Segment::active(base, path, place, 0, vec![start])),
            file: Some(file),
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

    fn file(&mut self, engine: &Engine) -> io::Result<Arc<dyn File>> {
        match &self.file {
            Some(file) => Ok(file.clone()),
            None => {
                let file = engine.disk.open(&self.segment.path, Open::Existing)?;
                self.file = Some(file.clone());
                Ok(file)
            }
        }
    }
}

impl Partition {
    /// Writes everything that waits and tells those who wait; `false` when nothing waited.
    pub(super) fn commit(self: &Arc<Self>, engine: &Engine) -> bool {
        let mut writer = self.writer.lock();
        let mut batch = self.pending.lock().take();
        if batch.is_empty() {
            return false;
        }
        let waiters: Vec<_> = batch
            .iter_mut()
            .map(|filling| (filling.block.count(), std::mem::take(&mut filling.waiters)))
            .collect();
        let outcome = self.write(engine, &mut writer, batch);
        drop(writer);
        let mut base = *outcome.as_ref().unwrap_or(&0);
        let mut cost = 0;
        for (count, waiters) in waiters {
            for waiter in waiters {
                cost += waiter.cost as usize;
                waiter.answer(match &outcome {
                    Ok(_) => Ok(base),
                    Err(Failed(error)) => Err(error),
                });
            }
            base += u64::from(count);
        }
        self.room.add_permits(cost);
        engine.room.add_permits(cost);
        true
    }

    fn write(
        self: &Arc<Self>,
        engine: &Engine,
        writer: &mut Writer,
        batch: Vec<Filling>,
    ) -> Result<Offset, Failed> {
        if let Health::Poisoned(reason) = &self.view.read().health {
            return Err(Failed(LogError::Poisoned(reason.clone())));
        }
        let now = engine.clock.now();
        let body_bytes: usize = batch.iter().map(|filling| filling.block.body_len()).sum();
        self.make_room(engine, writer, body_bytes as u64, now)?;
        let first = writer.next;
        let Some(active) = &mut writer.active else {
            return Err(Failed(LogError::Unavailable("no segment is open".into())));
        };
        let mut stamp = Stamp {
            place: self.place,
            base: first,
            durable: active.synced.1,
            appended: now,
        };
        let blocks: Vec<(Header, Bytes)> = batch
            .into_iter()
            .map(|filling| {
                let (header, block) = filling.block.finish(stamp);
                stamp.base = header.end();
                (header, block)
            })
            .collect();
        self.write_and_sync(engine, active, &blocks)?;
        self.publish(engine, active, stamp.base, now, blocks);
        writer.next = stamp.base;
        Ok(first)
    }

    /// Makes sure that there is an active segment with room for `bytes`.
    fn make_room(
        self: &Arc<Self>,
        engine: &Engine,
        writer: &mut Writer,
        bytes: u64,
        now: Timestamp,
    ) -> Result<(), Failed> {
        match &writer.active {
            Some(active) if active.len == 0 => Ok(()),
            Some(active)
                if !active.must_roll && active.len + bytes <= self.topic.segment_bytes(&engine.options) =>
            {
                Ok(())
            }
            Some(_) => self.roll(engine, writer, now).map_err(Failed),
            None => self.start_segment(engine, writer, now).map_err(Failed),
        }
    }

    /// Seals the active segment and starts a new one. Holds for segments that are not empty.
    pub(super) fn roll(
        self: &Arc<Self>,
        engine: &Engine,
        writer: &mut Writer,
        now: Timestamp,
    ) -> Result<(), LogError> {
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
                engine.disk.create_dir(&self.dir).map_err(unavailable)?;
                sync_dir(&self.topic.dir)?;
            }
        }
        let file = engine.disk.open(&path, Open::Fresh).map_err(unavailable)?;
        sync_dir(&self.dir)?;
        let active = Active::empty(writer.next, path, self.place, file, now);
        self.view.write().segments.push(active.segment.clone());
        writer.active = Some(active);
        Ok(())
    }

    fn write_and_sync(
        &self,
        engine: &Engine,
        active: &mut Active,
        blocks: &[(Header, Bytes)],
    ) -> Result<(), Failed> {
        let file = active
            .file(engine)
            .map_err(|error| Failed(LogError::Unavailable(error.to_string())))?;
        let parts: Vec<&[u8]> = blocks.iter().map(|(_, block)| &block[..]).collect();
        if let Err(error) = write_all(&*file, active.len, &parts) {
            return Err(self.roll_back(engine, active, &*file, &error));
        }
        let end = active.len + parts.iter().map(|part| part.len() as u64).sum::<u64>();
        if engine.facts.durability == Durability::Fsync {
            if let Err(error) = engine.timed_sync(&*file) {
                let reason = format!("a sync failed: {error}");
                self.poison(&reason);
                // Best effort: what was not synced should not be found by a restart, which cannot
                // tell pages that the kernel kept from pages that the disk has.
                if let Err(error) = file.set_len(active.len) {
                    tracing::error!(partition = %self.of, %error, "the unsynced tail could not be cut off");
                }
                return Err(Failed(LogError::Indeterminate(reason)));
            }
            active.synced = (
                end,
                blocks.last().map_or(active.synced.1, |(header, _)| header.end()),
            );
        }
        active.len = end;
        Ok(())
    }

    /// Takes a failed write back, durably, so that "unavailable" means that nothing happened.
    fn roll_back(&self, engine: &Engine, active: &Active, file: &dyn File, error: &io::Error) -> Failed {
        let undone = file.set_len(active.len).and_then(|()| {
            if engine.facts.durability == Durability::Fsync {
                file.sync()
            } else {
                Ok(())
            }
        });
        match undone {
            Ok(()) => Failed(LogError::Unavailable(format!("writing failed: {error}"))),
            Err(undoing) => {
                let reason = format!("writing failed ({error}) and could not be undone: {undoing}");
                self.poison(&reason);
                Failed(LogError::Indeterminate(reason))
            }
        }
    }

    /// Shows the blocks to readers and wakes them.
    fn publish(
        self: &Arc<Self>,
        engine: &Engine,
        active: &mut Active,
        next: Offset,
        now: Timestamp,
        blocks: Vec<(Header, Bytes)>,
    ) {
        let mut position = active.segment.len();
        let mut entries = Vec::new();
        let mut records = 0;
        for (header, block) in &blocks {
            entries.extend(active.indexer.block(header, position));
            position += block.len() as u64;
            records += u64::from(header.count);
        }
        active.entries += entries.len();
        active.first_appended.get_or_insert(now);
        active.last_used = now;
        let bytes = active.len - active.segment.len();
        let hot: Vec<_> = blocks
            .into_iter()
            .map(|(header, block)| Arc::new(HotBlock { header, block }))
            .collect();
        {
            let mut view = self.view.write();
            active.segment.grow(active.len, &entries);
            view.next = next;
            view.last_appended = Some(now);
            engine.hot.keep(&mut view.hot, &hot);
        }
        self.next.send_replace(next);
        engine.hot.settle(self, &hot);
        engine.counters.appended(hot.len() as u64, records, bytes);
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
        let file = active
            .file(engine)
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

//! Rewriting sealed segments: small blocks are joined, bodies packed with zstd.
//!
//! The new file is complete and durable before it takes the old one's name, so a crash leaves one or
//! the other. Readers that are in the old file stay in it. Offsets, records and times of appending do
//! not change; a joined block carries the youngest time of its parts.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::block::{BODY_BYTES_AIM, Builder, Header, Stamp};
use super::disk::{File, Open, write_all};
use super::engine::Engine;
use super::index::Entry;
use super::partition::{Partition, Spot};
use super::scan::{Found, Scanner};
use super::segment::{Indexer, Segment, sidecar_of, write_sidecar};

impl Partition {
    /// Rewrites the oldest sealed segment that was not rewritten yet; `false` when there is none.
    pub(super) fn rewrite_one(self: &Arc<Self>, engine: &Engine) -> bool {
        let (disk, open) = (&*engine.disk, &engine.open_segments);
        let mut skip = self.unsound.lock();
        let found = self.spots().into_iter().find(|spot| {
            let segment = &spot.segment;
            segment.is_sealed()
                && segment.len() > 0
                && !skip.contains(&segment.base)
                && !segment.rewritten(disk, open)
        });
        let Some(spot) = found else {
            return false;
        };
        if let Err(error) = self.rewrite(engine, &spot) {
            tracing::warn!(segment = %spot.segment.path.display(), %error, "the segment stays as it is");
            skip.insert(spot.segment.base);
        }
        true
    }

    fn rewrite(&self, engine: &Engine, spot: &Spot) -> io::Result<()> {
        let disk = &*engine.disk;
        let segment = &spot.segment;
        let temporary = segment.path.with_extension("seg.tmp");
        let source = disk.open(&segment.path, Open::Read)?;
        let target = disk.open(&temporary, Open::Fresh)?;
        let (entries, len) = match pack(&*source, &*target, segment, spot.end, self.place) {
            Ok(packed) => packed,
            Err(error) => {
                // It would be removed at the next start anyway.
                let _ = disk.remove(&temporary);
                return Err(error);
            }
        };
        target.sync()?;
        let sidecar = sidecar_of(&segment.path);
        match disk.remove(&sidecar) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
        let rewritten = Segment::sealed(segment.base, segment.path.clone(), self.place, len);
        let rewritten = Arc::new(rewritten);
        {
            // Under the lock, so that a reader that finds the wrong file also finds a new view and
            // starts again.
            let mut view = self.view.write();
            disk.rename(&temporary, &segment.path)?;
            for known in &mut view.segments {
                if Arc::ptr_eq(known, segment) {
                    *known = rewritten.clone();
                }
            }
        }
        disk.sync_dir(&self.dir)?;
        write_sidecar(disk, &sidecar, self.place, segment.base, &entries)
    }
}

/// Copies all blocks of a segment into joined and packed ones; answers the new index and length.
fn pack(
    source: &dyn File,
    target: &dyn File,
    segment: &Segment,
    end: u64,
    place: u32,
) -> io::Result<(Vec<Entry>, u64)> {
    let mut scanner = Scanner::new(source, place, 0, segment.base, segment.len());
    let mut packer = Packer {
        target,
        place,
        len: 0,
        next: segment.base,
        entries: vec![Entry::start(segment.base)],
        indexer: Indexer::new(Entry::start(segment.base)),
        block: Builder::new(BODY_BYTES_AIM),
        last: None,
    };
    while let Some(found) = scanner.step()? {
        match found {
            Found::Block { header, position } => {
                let raw = header
                    .unpack(scanner.body(&header, position))
                    .map_err(io::Error::other)?;
                packer.add(&header, &raw)?;
            }
            Found::Damage { position, reason, .. } => {
                return Err(io::Error::other(format!(
                    "it is damaged at byte {position}: {reason}"
                )));
            }
        }
    }
    packer.flush()?;
    if packer.next != end {
        return Err(io::Error::other("records are missing at its end"));
    }
    let end = packer.indexer.end(packer.len, packer.next);
    packer.entries.extend(end);
    Ok((packer.entries, packer.len))
}

struct Packer<'a> {
    target: &'a dyn File,
    place: u32,
    len: u64,
    next: u64,
    entries: Vec<Entry>,
    indexer: Indexer,
    block: Builder,
    /// Header of the last part of the block being filled.
    last: Option<Header>,
}

impl Packer<'_> {
    fn add(&mut self, header: &Header, body: &[u8]) -> io::Result<()> {
        if self.block.count() > 0 && self.block.body_len() + body.len() > BODY_BYTES_AIM {
            self.flush()?;
        }
        self.block.push_body(header, body);
        self.last = Some(*header);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(last) = self.last.take() else {
            return Ok(());
        };
        let block = std::mem::replace(&mut self.block, Builder::new(BODY_BYTES_AIM));
        let stamp = Stamp {
            place: self.place,
            base: self.next,
            durable: last.durable,
            appended: last.appended,
        };
        let (header, block): (Header, Bytes) = block.finish_rewritten(stamp)?;
        write_all(self.target, self.len, &[&block])?;
        self.entries.extend(self.indexer.block(&header, self.len));
        self.len += block.len() as u64;
        self.next = header.end();
        Ok(())
    }
}

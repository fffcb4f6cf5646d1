//! What a simulated file holds: in the page cache, and on the disk.

use std::collections::BTreeSet;

use super::Random;

/// Bytes that the disk writes at once or not at all.
const SECTOR: usize = 512;

/// The bytes of a file.
#[derive(Default)]
pub(super) struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors that a sync has to write.
    dirty: BTreeSet<usize>,
    /// Sectors that a failed sync lost: clean, and not on the disk.
    lost: BTreeSet<usize>,
    failures: u64,
}

impl Content {
    pub(super) fn now(&self) -> &[u8] {
        &self.now
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures
    }

    pub(super) fn write(&mut self, position: usize, bytes: &[u8]) {
        let end = position + bytes.len();
        if self.now.len() < end {
            self.now.resize(end, 0);
        }
        self.now[position..end].copy_from_slice(bytes);
        for sector in position / SECTOR..end.div_ceil(SECTOR) {
            self.dirty.insert(sector);
            self.lost.remove(&sector);
        }
    }

    pub(super) fn set_len(&mut self, len: usize) {
        let sectors = self.now.len().max(len).div_ceil(SECTOR);
        self.now.resize(len, 0);
        for sector in len / SECTOR..sectors {
            self.dirty.insert(sector);
        }
    }

    pub(super) fn sync(&mut self) {
        let kept: Vec<_> = self.lost.iter().copied().collect();
        let before = std::mem::replace(&mut self.durable, self.now.clone());
        for sector in kept {
            let (start, end) = self.range(sector);
            for at in start..end {
                self.durable[at] = before.get(at).copied().unwrap_or(0);
            }
        }
        self.dirty.clear();
    }

    pub(super) fn sync_fails(&mut self, random: &mut Random) {
        for sector in std::mem::take(&mut self.dirty) {
            if random.chance(60) {
                self.lost.insert(sector);
            } else {
                self.store(sector);
            }
        }
        self.failures += 1;
    }

    /// Brings a sector to the disk.
    fn store(&mut self, sector: usize) {
        let (start, end) = self.range(sector);
        if self.durable.len() < end {
            self.durable.resize(end, 0);
        }
        self.durable[start..end].copy_from_slice(&self.now[start..end]);
    }

    fn range(&self, sector: usize) -> (usize, usize) {
        let end = ((sector + 1) * SECTOR).min(self.now.len());
        ((sector * SECTOR).min(end), end)
    }

    pub(super) fn power_fails(&mut self, random: &mut Random, stale: &[u8]) {
        let unsynced = !self.dirty.is_empty() || self.durable.len() != self.now.len();
        let (low, high) = (
            self.durable.len().min(self.now.len()),
            self.durable.len().max(self.now.len()),
        );
        let len = match random.below(4) {
            _ if !unsynced => self.durable.len(),
            0 => self.durable.len(),
            1 => low + random.below((high - low + 1) as u64) as usize,
            _ => self.now.len(),
        };
        let mut disk = self.durable.clone();
        let before = disk.len();
        disk.resize(len, 0);
        if len > before && random.chance(30) {
            // Sectors that were never written show what the disk held there.
            for (at, byte) in disk[before..].iter_mut().enumerate() {
                *byte = stale.get(at).copied().unwrap_or(0xa5);
            }
        }
        let survives = [0, 50, 90, 100][random.below(4) as usize];
        for sector in std::mem::take(&mut self.dirty) {
            let (start, end) = self.range(sector);
            let end = end.min(len);
            if start < end && random.chance(survives) {
                disk[start..end].copy_from_slice(&self.now[start..end]);
            }
        }
        self.lost.clear();
        self.now.clone_from(&disk);
        self.durable = disk;
    }

    pub(super) fn replace(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.now);
        self.durable.clone_from(&self.now);
        self.dirty.clear();
        self.lost.clear();
    }
}

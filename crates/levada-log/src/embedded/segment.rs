//! A segment: a file of blocks that follow each other, with its sparse index.
//!
//! The last segment of a partition is active: the writer appends to it and keeps its index. The others
//! are sealed: they never change, and their file and index are opened when someone reads.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use levada_event::{Offset, Timestamp};
use parking_lot::{Mutex, RwLock};

use super::block::{HEADER_BYTES, Header};
use super::disk::{Disk, File, Open, read_file, read_some, write_all};
use super::index::{self, Entry};
use super::scan::{Found, Scanner};

/// Name of the segment file that starts at `base`.
pub(super) fn file_name(base: Offset) -> String {
    format!("{base:020}.seg")
}

/// The base offset in the name of a segment file.
pub(super) fn base_of(name: &str) -> Option<Offset> {
    let digits = name.strip_suffix(".seg")?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// Name of the sidecar that belongs to a segment file.
pub(super) fn sidecar_of(segment: &Path) -> PathBuf {
    segment.with_extension("idx")
}

/// A segment of a partition.
pub(super) struct Segment {
    /// Offset of its first record.
    pub(super) base: Offset,
    pub(super) path: PathBuf,
    pub(super) place: u32,
    /// Bytes that readers may see: durable, and the end of a block.
    len: AtomicU64,
    sealed: AtomicBool,
    file: Mutex<Option<Arc<dyn File>>>,
    /// `None` while not needed; an active segment always has it.
    index: RwLock<Option<Vec<Entry>>>,
    end: OnceLock<Entry>,
    rewritten: OnceLock<bool>,
}

impl Segment {
    /// A segment that is complete, `len` bytes long.
    pub(super) fn sealed(base: Offset, path: PathBuf, place: u32, len: u64) -> Self {
        Self {
            base,
            path,
            place,
            len: AtomicU64::new(len),
            sealed: AtomicBool::new(true),
            file: Mutex::new(None),
            index: RwLock::new(None),
            end: OnceLock::new(),
            rewritten: OnceLock::new(),
        }
    }

    /// A segment that is being written, of which `len` bytes are there with this index.
    pub(super) fn active(base: Offset, path: PathBuf, place: u32, len: u64, index: Vec<Entry>) -> Self {
        Self {
            sealed: AtomicBool::new(false),
            index: RwLock::new(Some(index)),
            ..Self::sealed(base, path, place, len)
        }
    }

    /// Bytes that readers may see.
    pub(super) fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    /// The writer made this much readable, with these new index entries.
    pub(super) fn grow(&self, len: u64, entries: &[Entry]) {
        if let (false, Some(index)) = (entries.is_empty(), self.index.write().as_mut()) {
            index.extend_from_slice(entries);
        }
        self.len.store(len, Ordering::Release);
    }

    /// The writer will not append any more; `end` describes the end of the segment. The index stays
    /// in memory as long as other open segments do.
    pub(super) fn seal(self: &Arc<Self>, end: Entry, open: &OpenSegments) {
        // It is sealed once, and with the same end that a reader would find.
        let _ = self.end.set(end);
        self.sealed.store(true, Ordering::Release);
        open.opened(self);
    }

    /// Whether the writer has left it.
    pub(super) fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    /// Calls `look` with the index of an active segment.
    pub(super) fn active_index<T>(&self, look: impl FnOnce(&[Entry]) -> T) -> T {
        look(self.index.read().as_deref().unwrap_or_default())
    }

    /// The file, opened when it is not.
    pub(super) fn file(self: &Arc<Self>, disk: &dyn Disk, open: &OpenSegments) -> io::Result<Arc<dyn File>> {
        let mut slot = self.file.lock();
        if let Some(file) = &*slot {
            return Ok(file.clone());
        }
        let file = disk.open(&self.path, Open::Read)?;
        *slot = Some(file.clone());
        drop(slot);
        open.opened(self);
        Ok(file)
    }

    fn close(&self) {
        *self.file.lock() = None;
        if self.sealed.load(Ordering::Acquire) {
            *self.index.write() = None;
        }
    }

    /// Calls `look` with the index, loaded or rebuilt when it is not there. `end` is the offset
    /// behind the segment.
    pub(super) fn with_index<T>(
        self: &Arc<Self>,
        disk: &dyn Disk,
        open: &OpenSegments,
        end: Offset,
        look: impl FnOnce(&[Entry]) -> T,
    ) -> io::Result<T> {
        if let Some(index) = &*self.index.read() {
            return Ok(look(index));
        }
        let entries = self.load_index(disk, open, end)?;
        let answer = look(&entries);
        let mut slot = self.index.write();
        slot.get_or_insert(entries);
        Ok(answer)
    }

    fn load_index(
        self: &Arc<Self>,
        disk: &dyn Disk,
        open: &OpenSegments,
        end: Offset,
    ) -> io::Result<Vec<Entry>> {
        let sidecar = sidecar_of(&self.path);
        if let Ok(bytes) = read_file(disk, &sidecar, index::SIDECAR_BYTES_MAX) {
            let entries = index::decode(self.place, self.base, &bytes);
            if entries.last().is_some_and(|last| self.is_end(last, end)) {
                return Ok(entries);
            }
        }
        let file = self.file(disk, open)?;
        let entries = rebuild(&*file, self.place, self.base, self.len())?;
        tracing::debug!(segment = %self.path.display(), entries = entries.len(), "index rebuilt");
        if entries.last().is_some_and(|last| self.is_end(last, end)) {
            // Only a cache: the next one to need it can rebuild it again.
            if let Err(error) = write_sidecar(disk, &sidecar, self.place, self.base, &entries) {
                tracing::debug!(%error, sidecar = %sidecar.display(), "index not saved");
            }
        }
        Ok(entries)
    }

    fn is_end(&self, entry: &Entry, end: Offset) -> bool {
        entry.position == self.len() && entry.offset == end
    }

    /// The end of a sealed segment, from the last entry of its sidecar or index.
    pub(super) fn end(
        self: &Arc<Self>,
        disk: &dyn Disk,
        open: &OpenSegments,
        end: Offset,
    ) -> io::Result<Entry> {
        if let Some(end) = self.end.get() {
            return Ok(*end);
        }
        let found = match self.end_from_sidecar(disk, end) {
            Some(entry) => entry,
            None => self
                .with_index(disk, open, end, |entries| entries.last().copied())?
                .unwrap_or(Entry::start(self.base)),
        };
        Ok(*self.end.get_or_init(|| found))
    }

    fn end_from_sidecar(&self, disk: &dyn Disk, end: Offset) -> Option<Entry> {
        let file = disk.open(&sidecar_of(&self.path), Open::Read).ok()?;
        let at = file.len().ok()?.checked_sub(index::ENTRY_BYTES as u64)?;
        let mut bytes = index::header(self.place).to_vec();
        bytes.extend(read_some(&*file, at, index::ENTRY_BYTES).ok()?);
        let entries = index::decode(self.place, self.base, &bytes);
        entries.last().copied().filter(|last| self.is_end(last, end))
    }

    /// When its first block was appended, `None` when that cannot be read.
    pub(super) fn first_appended(
        self: &Arc<Self>,
        disk: &dyn Disk,
        open: &OpenSegments,
    ) -> Option<Timestamp> {
        self.first_header(disk, open).map(|header| header.appended)
    }

    /// Whether its blocks were written by the rewriting of sealed segments.
    pub(super) fn rewritten(self: &Arc<Self>, disk: &dyn Disk, open: &OpenSegments) -> bool {
        *self.rewritten.get_or_init(|| {
            self.first_header(disk, open)
                .is_some_and(|header| header.rewritten())
        })
    }

    fn first_header(self: &Arc<Self>, disk: &dyn Disk, open: &OpenSegments) -> Option<Header> {
        let file = self.file(disk, open).ok()?;
        let bytes = read_some(&*file, 0, HEADER_BYTES).ok()?;
        Header::read(&bytes, self.place).ok()
    }
}

/// The index of a file from a scan of its headers; entries behind damage are kept, so that what lies
/// there can be found.
pub(super) fn rebuild(file: &dyn File, place: u32, base: Offset, len: u64) -> io::Result<Vec<Entry>> {
    let mut entries = vec![Entry::start(base)];
    let mut scanner = Scanner::new(file, place, 0, base, len).headers_only();
    let mut maker = Indexer::new(Entry::start(base));
    while let Some(found) = scanner.step()? {
        if let Found::Block { header, position } = found {
            entries.extend(maker.block(&header, position));
        } else {
            maker.due = true;
        }
    }
    entries.extend(maker.end(scanner.position(), scanner.expected()));
    Ok(entries)
}

/// Writes a whole sidecar.
pub(super) fn write_sidecar(
    disk: &dyn Disk,
    path: &Path,
    place: u32,
    base: Offset,
    entries: &[Entry],
) -> io::Result<()> {
    let file = disk.open(path, Open::Fresh)?;
    let body = index::encode(place, base, entries.get(1..).unwrap_or_default());
    write_all(&*file, 0, &[&index::header(place), &body])
}

/// Decides which blocks get an index entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Indexer {
    last: u64,
    max: Timestamp,
    appended: Timestamp,
    due: bool,
}

impl Indexer {
    /// Goes on behind `entry`.
    pub(super) fn new(entry: Entry) -> Self {
        Self {
            last: entry.position,
            max: entry.max,
            appended: entry.appended,
            due: false,
        }
    }

    /// A block begins at `position`: its entry, if it is due.
    pub(super) fn block(&mut self, header: &Header, position: u64) -> Option<Entry> {
        let due = position >= self.last + index::SPACING || (self.due && position > self.last);
        let entry = due.then(|| self.entry(position, header.base));
        self.due = false;
        self.max = self.max.max(header.max);
        self.appended = header.appended;
        entry
    }

    /// The blocks end at `position`: the entry for that, unless there is one.
    pub(super) fn end(&mut self, position: u64, offset: Offset) -> Option<Entry> {
        (position > self.last).then(|| self.entry(position, offset))
    }

    /// What is known of the blocks so far, without a place.
    pub(super) fn now(&self) -> Entry {
        Entry {
            offset: 0,
            position: 0,
            max: self.max,
            appended: self.appended,
        }
    }

    fn entry(&mut self, position: u64, offset: Offset) -> Entry {
        self.last = position;
        Entry {
            offset,
            position,
            max: self.max,
            appended: self.appended,
        }
    }
}

/// Bounds how many segments are open for reading at once.
#[derive(Default)]
pub(super) struct OpenSegments(Mutex<VecDeque<Weak<Segment>>>);

/// Segments open for reading: a file and an index (up to 80 KiB) each. Readers far apart in the past
/// each need one; 256 leave room in the customary limit of 1024 open files.
const OPEN_SEGMENTS_MAX: usize = 256;

impl OpenSegments {
    fn opened(&self, segment: &Arc<Segment>) {
        let mut open = self.0.lock();
        open.push_back(Arc::downgrade(segment));
        while open.len() > OPEN_SEGMENTS_MAX {
            if let Some(oldest) = open.pop_front().and_then(|weak| weak.upgrade()) {
                oldest.close();
            }
        }
    }
}

//! Finding out, at the start, what a partition holds.
//!
//! Sealed segments are trusted by name and length and checked when they are read. The last segment is
//! scanned from the last place that its sidecar vouches for. Where the scan ends before the file does,
//! one question decides: was what is missing there ever durable? Blocks tell, because each says what was
//! durable when it was written, and the sidecar tells, because it names durable places only.
//!
//! - Nothing vouches for it: a torn tail, left by a crash. It was never acknowledged and is cut off.
//! - Something does: damage. Nothing is cut off, what is sound stays readable, and the partition takes no
//!   appends, because the place of the next record is not certain.

use std::io;
use std::path::Path;
use std::sync::Arc;

use levada_event::{Offset, Timestamp};

use super::block::{HEADER_BYTES, Header};
use super::disk::{Disk, File, Open, read_file, read_some};
use super::index::{self, Entry};
use super::partition::{Health, Partition, View};
use super::scan::{Found, Scanner};
use super::segment::{Indexer, Segment, base_of, sidecar_of};
use super::topic::Topic;
use super::writer::{Active, Writer};

/// What the scan of a last segment found.
struct Scan {
    entries: Vec<Entry>,
    indexer: Indexer,
    saved: usize,
    /// Where the sound part ends, and the offset there.
    end: (u64, Offset),
    damage: Option<String>,
    /// Whether anything was read that the sidecar did not vouch for.
    unsure: bool,
    last_appended: Option<Timestamp>,
}

/// Opens the partition `number` of a topic.
///
/// # Errors
/// Those of the file system: then this partition cannot be used. Damage is no error: the partition then
/// reports it itself.
pub(super) fn recover(
    disk: &dyn Disk,
    topic: &Arc<Topic>,
    number: u32,
    place: u32,
) -> io::Result<Arc<Partition>> {
    let dir = topic.partition_dir(number);
    let mut files = segment_files(disk, &dir)?;
    let mut view = View::default();
    let mut writer = Writer::default();
    if let Some((base, len)) = files.pop() {
        for (base, len) in files {
            let path = dir.join(super::segment::file_name(base));
            let sealed = Segment::sealed(base, path, place, len);
            view.segments.push(Arc::new(sealed));
        }
        open_last(disk, topic, number, place, (base, len), &mut view, &mut writer)?;
    }
    Ok(Partition::new(topic.clone(), number, place, view, writer))
}

/// The segments in a directory with their lengths, oldest first; left-overs of unfinished work are
/// removed.
fn segment_files(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<(Offset, u64)>> {
    let listed = match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut files: Vec<_> = listed
        .iter()
        .filter_map(|file| Some((base_of(&file.name)?, file.len)))
        .collect();
    files.sort_unstable();
    for file in &listed {
        let orphan = file.name.strip_suffix(".idx").is_some_and(|stem| {
            base_of(&format!("{stem}.seg")).is_none_or(|base| !files.iter().any(|(known, _)| *known == base))
        });
        if orphan || file.name.ends_with(".tmp") {
            disk.remove(&dir.join(&file.name))?;
        }
    }
    Ok(files)
}

fn open_last(
    disk: &dyn Disk,
    topic: &Arc<Topic>,
    number: u32,
    place: u32,
    (base, len): (Offset, u64),
    view: &mut View,
    writer: &mut Writer,
) -> io::Result<()> {
    let path = topic.partition_dir(number).join(super::segment::file_name(base));
    let file = disk.open(&path, Open::Existing)?;
    let scan = scan_last(disk, &*file, &path, place, base, len)?;
    let (end, next) = scan.end;
    if let Some(reason) = &scan.damage {
        tracing::error!(
            topic = %topic.name, partition = number, segment = %path.display(), reason,
            "the segment is damaged; the partition takes no appends"
        );
        view.health = Health::Poisoned(format!("the segment {} is damaged: {reason}", path.display()));
    } else {
        if end < len {
            tracing::warn!(
                topic = %topic.name, partition = number, bytes = len - end, next_offset = next,
                "a torn tail was cut off; none of it had been acknowledged"
            );
            file.set_len(end)?;
        }
        if scan.unsure {
            // What is shown to readers is durable: the crash may have come between write and sync.
            file.sync()?;
        }
        if end == 0 {
            // The crash may have come between the making of the segment and the sync of its name; a
            // segment that holds a block was begun behind that sync.
            disk.sync_dir(&topic.partition_dir(number))?;
        }
    }
    let segment = Segment::active(base, path, place, end, scan.entries.clone());
    let segment = Arc::new(segment);
    view.segments.push(segment.clone());
    view.next = next;
    view.last_appended = scan.last_appended;
    writer.next = next;
    writer.active = Some(Active {
        first_appended: first_header(&*file, place, end)?.map(|header| header.appended),
        files: Default::default(),
        len: end,
        synced: (end, next),
        last_used: Timestamp::from_millis(0),
        must_roll: false,
        indexer: scan.indexer,
        entries: scan.entries.len(),
        entries_saved: scan.saved,
        segment,
    });
    Ok(())
}

/// Where the part of a last segment ends that a start would keep, and why it takes no appends if it
/// is damaged. Changes nothing.
///
/// # Errors
/// Those of the file system.
pub(super) fn tail(
    disk: &dyn Disk,
    file: &dyn File,
    path: &Path,
    place: u32,
    base: Offset,
    len: u64,
) -> io::Result<(u64, Option<String>)> {
    let scan = scan_last(disk, file, path, place, base, len)?;
    Ok((scan.end.0, scan.damage))
}

fn first_header(file: &dyn File, place: u32, len: u64) -> io::Result<Option<Header>> {
    let bytes = read_some(
        file,
        0,
        HEADER_BYTES.min(usize::try_from(len).unwrap_or(usize::MAX)),
    )?;
    Ok(Header::read(&bytes, place).ok())
}

fn scan_last(
    disk: &dyn Disk,
    file: &dyn File,
    path: &Path,
    place: u32,
    base: Offset,
    len: u64,
) -> io::Result<Scan> {
    let vouched = sidecar_entries(disk, path, place, base);
    let durable = vouched.last().copied().unwrap_or(Entry::start(base));
    let mut entries = vouched;
    if durable.position > len || !leads_to_a_block(file, place, &entries, len)? {
        entries.truncate(1);
    }
    let start = entries.last().copied().unwrap_or(Entry::start(base));
    let saved = entries.len();
    let mut indexer = Indexer::new(start);
    let mut scanner = Scanner::new(file, place, start.position, start.offset, len);
    // Behind the last append that is whole: an append over several blocks counts only with its last.
    let mut sound = (start, indexer, entries.len());
    let mut last_appended = (start.position > 0).then_some(start.appended);
    while let Some(found) = scanner.step()? {
        match found {
            Found::Block { header, position } => {
                entries.extend(indexer.block(&header, position));
                if !header.continues() {
                    let end = Entry {
                        position: scanner.position(),
                        offset: scanner.expected(),
                        ..indexer.now()
                    };
                    sound = (end, indexer, entries.len());
                    last_appended = Some(header.appended);
                }
            }
            Found::Damage {
                position,
                expected,
                reason,
                resume,
            } => {
                let next = resume.map_or(0, |(_, header)| header.durable);
                let proof = durable.offset.max(next).max(newest_proof(&mut scanner)?);
                if proof > expected {
                    return damaged(file, place, base, len, expected, position, reason, proof);
                }
                break;
            }
        }
    }
    let (end, indexer, known) = sound;
    if durable.offset > end.offset {
        let reason = "the file ends before a place that was durable";
        let (position, expected, proof) = (end.position, end.offset, durable.offset);
        return damaged(file, place, base, len, expected, position, reason, proof);
    }
    entries.truncate(known);
    Ok(Scan {
        indexer,
        saved: saved.min(entries.len()),
        entries,
        end: (end.position, end.offset),
        damage: None,
        unsure: start.position < len,
        last_appended,
    })
}

/// What the blocks behind damage say was durable when they were written.
fn newest_proof(scanner: &mut Scanner<'_>) -> io::Result<Offset> {
    let mut proof = 0;
    while let Some(found) = scanner.step()? {
        if let Found::Block { header, .. }
        | Found::Damage {
            resume: Some((_, header)),
            ..
        } = found
        {
            proof = proof.max(header.durable);
        }
    }
    Ok(proof)
}

/// A damaged segment: its index leads around the damage to what can still be read.
#[expect(clippy::too_many_arguments, reason = "the facts of one place in one file")]
fn damaged(
    file: &dyn File,
    place: u32,
    base: Offset,
    len: u64,
    expected: Offset,
    position: u64,
    reason: &str,
    proof: Offset,
) -> io::Result<Scan> {
    let entries = super::segment::rebuild(file, place, base, len)?;
    let end = entries.last().copied().unwrap_or(Entry::start(base));
    Ok(Scan {
        indexer: Indexer::new(end),
        saved: entries.len(),
        entries,
        end: (len, end.offset.max(proof)),
        damage: Some(format!("offset {expected} at byte {position}: {reason}")),
        unsure: false,
        last_appended: (end.position > 0).then_some(end.appended),
    })
}

/// The sidecar's entries, behind the implied one at the start. It is only a cache: one that cannot be read
/// is as one that is not there.
fn sidecar_entries(disk: &dyn Disk, path: &Path, place: u32, base: Offset) -> Vec<Entry> {
    match read_file(disk, &sidecar_of(path), index::SIDECAR_BYTES_MAX) {
        Ok(bytes) => index::decode(place, base, &bytes),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(segment = %path.display(), %error, "the segment's index cannot be read");
            }
            vec![Entry::start(base)]
        }
    }
}

/// Whether the last entries of an index fit the file: a block begins where one should.
fn leads_to_a_block(file: &dyn File, place: u32, entries: &[Entry], len: u64) -> io::Result<bool> {
    let Some(entry) = entries.iter().rev().find(|entry| entry.position < len) else {
        return Ok(true);
    };
    if entries.len() == 1 {
        return Ok(true);
    }
    let bytes = read_some(file, entry.position, HEADER_BYTES)?;
    Ok(Header::read(&bytes, place).is_ok_and(|header| header.base == entry.offset))
}

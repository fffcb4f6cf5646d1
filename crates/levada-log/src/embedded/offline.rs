//! Looking into a data directory while no server runs on it: every byte is read and checked, nothing
//! is repaired. What a start would cut off is told apart from damage.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use levada_event::{Offset, Timestamp, TopicName, TopicPartition};

use super::block::{Header, place};
use super::disk::{Disk, File, Open, OsDisk, read_file};
use super::frame::Frames;
use super::index;
use super::recover::tail;
use super::root::{self, OpenError, Root};
use super::scan::{Found, Scanner};
use super::segment::{base_of, file_name, sidecar_of};
use super::topic::{Stored, Topic};

/// A data directory, locked against servers until this is dropped.
pub struct Offline {
    disk: Arc<dyn Disk>,
    root: Root,
}

/// A topic as its directory shows it.
pub struct StoredTopic {
    /// Its name.
    pub name: TopicName,
    /// Its partitions that have segments, or why its records cannot be told apart.
    pub partitions: Result<Vec<StoredPartition>, String>,
}

/// A partition with segments.
pub struct StoredPartition {
    /// Which one.
    pub of: TopicPartition,
    /// Its segments, oldest first.
    pub segments: Vec<StoredSegment>,
    place: u32,
}

/// A segment file.
#[derive(Debug, Clone)]
pub struct StoredSegment {
    /// The file.
    pub path: PathBuf,
    /// Offset of its first record.
    pub base: Offset,
    /// Offset behind it, where the next segment begins; `None` for the last one.
    pub end: Option<Offset>,
    /// Bytes of the file.
    pub bytes: u64,
}

/// A record as it is stored.
pub struct StoredRecord<'a> {
    /// Its offset.
    pub offset: Offset,
    /// Its own time.
    pub timestamp: Timestamp,
    /// When its block was appended.
    pub appended: Timestamp,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: &'a [u8],
}

/// A place where a segment is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The byte in the file.
    pub position: u64,
    /// The offset expected there.
    pub offset: Offset,
    /// What is wrong.
    pub reason: String,
    /// Left by a crash and never acknowledged: the next start cuts it off. Everything else is damage.
    pub torn: bool,
    /// Where the next sound block begins, and its offset; `None` when nothing follows in this file.
    pub resumes: Option<(u64, Offset)>,
}

/// What was found in a segment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SegmentReport {
    /// Sound blocks.
    pub blocks: u64,
    /// Records in them.
    pub records: u64,
    /// Offset of the first and behind the last sound record.
    pub offsets: Option<(Offset, Offset)>,
    /// Smallest and largest timestamp of the records.
    pub times: Option<(Timestamp, Timestamp)>,
    /// When the first and the last block was appended.
    pub appended: Option<(Timestamp, Timestamp)>,
    /// Whether blocks are packed or joined.
    pub rewritten: bool,
    /// State of the sidecar: `sound`, `missing`, `damaged`, or `behind` when it does not reach the
    /// end of a sealed segment. It is a cache; all of these are harmless.
    pub index: &'static str,
    /// Torn tail and damage, by position.
    pub faults: Vec<Fault>,
}

impl Offline {
    /// Opens the data directory at `path` and takes its lock.
    ///
    /// # Errors
    /// See [`OpenError`]; `Locked` while a server runs on it.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let disk = Arc::new(OsDisk);
        let root = root::open_existing(&*disk, path, true)?;
        Ok(Self { disk, root })
    }

    /// All topics, by name.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn topics(&self) -> io::Result<Vec<StoredTopic>> {
        let mut topics = Vec::new();
        for listed in self.disk.list(&self.root.topics)? {
            let Some(name) = TopicName::new(&listed.name).ok().filter(|_| listed.is_dir) else {
                continue;
            };
            let partitions = match Topic::load(&*self.disk, &self.root.topics, name.clone())? {
                Stored::Topic(topic, count) => Ok(self.partitions(&topic, count)?),
                Stored::Nothing => Ok(Vec::new()),
                Stored::Damaged(reason) => Err(reason),
            };
            topics.push(StoredTopic { name, partitions });
        }
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    fn partitions(&self, topic: &Topic, count: u32) -> io::Result<Vec<StoredPartition>> {
        let mut partitions = Vec::new();
        for number in 0..count {
            let dir = topic.partition_dir(number);
            let listed = match self.disk.list(&dir) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            let mut files: Vec<_> = listed
                .iter()
                .filter_map(|file| Some((base_of(&file.name)?, file.len)))
                .collect();
            files.sort_unstable();
            let segments = files.iter().enumerate().map(|(i, (base, bytes))| StoredSegment {
                path: dir.join(file_name(*base)),
                base: *base,
                end: files.get(i + 1).map(|(next, _)| *next),
                bytes: *bytes,
            });
            let segments: Vec<_> = segments.collect();
            if !segments.is_empty() {
                partitions.push(StoredPartition {
                    of: TopicPartition::new(topic.name.clone(), number),
                    segments,
                    place: place(&self.root.id, topic.name.as_str(), number),
                });
            }
        }
        Ok(partitions)
    }

    /// Reads a whole segment and hands every sound record that a start would keep to `see`, in the
    /// order of offsets, around damage.
    ///
    /// # Errors
    /// Those of the file system, and those that `see` answers.
    pub fn read(
        &self,
        partition: &StoredPartition,
        segment: &StoredSegment,
        see: &mut dyn FnMut(StoredRecord<'_>) -> io::Result<()>,
    ) -> io::Result<SegmentReport> {
        let file = self.disk.open(&segment.path, Open::Read)?;
        let (end, broken) = match segment.end {
            Some(_) => (segment.bytes, None),
            None => tail(
                &*self.disk,
                &*file,
                &segment.path,
                partition.place,
                segment.base,
                segment.bytes,
            )?,
        };
        let mut report = SegmentReport {
            index: self.index_state(partition, segment)?,
            ..SegmentReport::default()
        };
        let next = walk(&*file, partition.place, segment.base, end, &mut report, see)?;
        let fault = |reason: String, torn| Fault {
            position: end,
            offset: next,
            reason,
            torn,
            resumes: None,
        };
        if let Some(following) = segment.end.filter(|following| *following != next) {
            let reason = format!("the segment ends at offset {next}, the next one begins at {following}");
            report.faults.push(fault(reason, false));
        }
        if let Some(reason) = broken.filter(|_| report.faults.is_empty()) {
            report.faults.push(fault(reason, false));
        }
        if end < segment.bytes {
            let reason = format!(
                "{} bytes of a write that was never acknowledged",
                segment.bytes - end
            );
            report.faults.push(fault(reason, true));
        }
        Ok(report)
    }

    fn index_state(&self, partition: &StoredPartition, segment: &StoredSegment) -> io::Result<&'static str> {
        let bytes = match read_file(&*self.disk, &sidecar_of(&segment.path), index::SIDECAR_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok("missing"),
            other => other?,
        };
        let entries = index::decode(partition.place, segment.base, &bytes);
        let whole = index::HEADER_BYTES + (entries.len() - 1) * index::ENTRY_BYTES;
        let last = entries.last().map_or(0, |entry| entry.position);
        Ok(if whole != bytes.len() || last > segment.bytes {
            "damaged"
        } else if segment.end.is_some() && last < segment.bytes {
            "behind"
        } else {
            "sound"
        })
    }
}

/// Walks the blocks up to `end`; answers the offset expected there.
fn walk(
    file: &dyn File,
    place: u32,
    base: Offset,
    end: u64,
    report: &mut SegmentReport,
    see: &mut dyn FnMut(StoredRecord<'_>) -> io::Result<()>,
) -> io::Result<Offset> {
    let mut scanner = Scanner::new(file, place, 0, base, end);
    loop {
        let found = match scanner.step() {
            Ok(Some(found)) => found,
            Ok(None) => break,
            Err(error) => {
                let place = scanner.position();
                let reason = format!("{error}, at byte {place} or behind it");
                return Err(io::Error::new(error.kind(), reason));
            }
        };
        match found {
            Found::Block { header, position } => {
                let records = header
                    .unpack(scanner.body(&header, position))
                    .and_then(|body| check(&header, &body).map(|()| body));
                match records {
                    Ok(body) => {
                        count(report, &header);
                        emit(&header, &body, see)?;
                    }
                    Err(reason) => report.faults.push(Fault {
                        position,
                        offset: header.base,
                        reason: reason.into(),
                        torn: false,
                        resumes: Some((scanner.position(), header.end())),
                    }),
                }
            }
            Found::Damage {
                position,
                expected,
                reason,
                resume,
            } => report.faults.push(Fault {
                position,
                offset: expected,
                reason: reason.into(),
                torn: false,
                resumes: resume.map(|(at, header)| (at, header.base)),
            }),
        }
    }
    Ok(scanner.expected())
}

/// Whether a body holds the records that its header promises.
fn check(header: &Header, body: &[u8]) -> Result<(), &'static str> {
    let mut count = 0;
    for frame in Frames::new(body, 0..body.len()) {
        if frame.is_none() {
            return Err("a record of the block does not fit into it");
        }
        count += 1;
    }
    if count == header.count {
        Ok(())
    } else {
        Err("the block does not hold as many records as it says")
    }
}

fn emit(
    header: &Header,
    body: &[u8],
    see: &mut dyn FnMut(StoredRecord<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let frames = Frames::new(body, 0..body.len()).flatten();
    for (offset, frame) in (header.base..).zip(frames) {
        see(StoredRecord {
            offset,
            timestamp: frame.timestamp,
            appended: header.appended,
            key: frame.key.map(|key| &body[key]),
            value: &body[frame.value],
        })?;
    }
    Ok(())
}

fn count(report: &mut SegmentReport, header: &Header) {
    report.blocks += 1;
    report.records += u64::from(header.count);
    report.rewritten |= header.rewritten();
    let first = report.offsets.map_or(header.base, |(first, _)| first);
    report.offsets = Some((first, header.end()));
    let (min, max) = report.times.unwrap_or((header.min, header.max));
    report.times = Some((min.min(header.min), max.max(header.max)));
    let first = report.appended.map_or(header.appended, |(first, _)| first);
    report.appended = Some((first, header.appended));
}

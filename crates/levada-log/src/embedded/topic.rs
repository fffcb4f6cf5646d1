//! A topic's directory and the file in it that says how many partitions there are.
//!
//! Declaring hundreds of topics at a first start must not wait for hundreds of syncs, so a new topic
//! is made durable before the first record is appended to it, not before: a topic that never held a
//! record may be gone after a power failure, and is declared again. From then on its file is replaced
//! atomically and never lost; if it cannot be read, the topic is refused and not guessed at.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use levada_event::TopicName;
use levada_event::limits::PARTITIONS_MAX;
use parking_lot::{Mutex, RwLock};

use super::EmbeddedOptions;
use super::disk::{Disk, Listed, Open, read_file, replace_file, write_all};
use super::segment::base_of;
use crate::{LogError, Retention};

/// Name of the file in a topic's directory.
const FILE: &str = "topic";
/// More than the file ever needs.
const FILE_BYTES_MAX: usize = 4096;

/// No segment is made smaller than this on account of retention by bytes, so that a partition is
/// not shattered into files.
const SEGMENT_BYTES_MIN: u64 = 1 << 20;
/// Segments in which a partition at its byte bound is kept, so that an eighth is removed at a time.
const SEGMENTS_PER_RETENTION: u32 = 8;
/// A segment takes appends for at most this long, where retention has an age.
const SEGMENT_AGE_MAX: Duration = Duration::from_secs(24 * 3600);

/// What all partitions of a topic share.
pub(super) struct Topic {
    pub(super) name: TopicName,
    pub(super) dir: PathBuf,
    /// Looked at with every append; held for moments.
    retention: RwLock<Retention>,
    /// Held while the file is replaced, so that file and memory agree.
    storing: Mutex<()>,
    established: Mutex<Established>,
}

enum Established {
    No,
    Yes,
    Failed(String),
}

/// A topic as its directory shows it.
pub(super) enum Stored {
    /// A topic with this many partitions.
    Topic(Topic, u32),
    /// The remains of a topic that never held a record.
    Nothing,
    /// There are records, but how they are divided cannot be told.
    Damaged(String),
}

impl Topic {
    /// Makes the directory and file of a new topic.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn create(
        disk: &dyn Disk,
        topics: &Path,
        name: &TopicName,
        partitions: u32,
        retention: Retention,
    ) -> io::Result<Self> {
        let dir = topics.join(name.as_str());
        disk.create_dir(&dir)?;
        let file = disk.open(&dir.join(FILE), Open::Fresh)?;
        write_all(&*file, 0, &[&text(partitions, retention)])?;
        Ok(Self::new(name.clone(), dir, retention))
    }

    fn new(name: TopicName, dir: PathBuf, retention: Retention) -> Self {
        Self {
            name,
            dir,
            retention: RwLock::new(retention),
            storing: Mutex::new(()),
            established: Mutex::new(Established::No),
        }
    }

    /// Reads the topic in a directory.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn load(disk: &dyn Disk, topics: &Path, name: TopicName) -> io::Result<Stored> {
        let dir = topics.join(name.as_str());
        let read = read_file(disk, &dir.join(FILE), FILE_BYTES_MAX);
        if let Some((partitions, retention)) = read.as_ref().ok().and_then(|bytes| parse(bytes)) {
            return Ok(Stored::Topic(Self::new(name, dir, retention), partitions));
        }
        for listed in disk.list(&dir)? {
            let inside = if listed.is_dir {
                disk.list(&dir.join(&listed.name))?
            } else {
                Vec::new()
            };
            // The one segment of a partition whose records have all expired is empty and tells by its name
            // which offsets were given out.
            let held = |file: &Listed| file.len > 0 || base_of(&file.name).is_some_and(|base| base > 0);
            if inside.iter().any(held) {
                let file = dir.join(FILE);
                return Ok(Stored::Damaged(match read {
                    Ok(_) => format!("the file {} is damaged", file.display()),
                    Err(error) => format!("the file {} cannot be read: {error}", file.display()),
                }));
            }
        }
        Ok(Stored::Nothing)
    }

    pub(super) fn partition_dir(&self, number: u32) -> PathBuf {
        self.dir.join(number.to_string())
    }

    pub(super) fn retention(&self) -> Retention {
        *self.retention.read()
    }

    /// Gives the topic another retention, durably.
    ///
    /// # Errors
    /// Those of the file system; the old retention then stays in force.
    pub(super) fn set_retention(
        &self,
        disk: &dyn Disk,
        partitions: u32,
        retention: Retention,
    ) -> io::Result<()> {
        let _storing = self.storing.lock();
        if self.retention() != retention {
            replace_file(disk, &self.dir.join(FILE), &text(partitions, retention))?;
            disk.sync_dir(&self.dir)?;
            *self.retention.write() = retention;
        }
        Ok(())
    }

    /// Makes the topic durable; called before its first record is appended.
    ///
    /// # Errors
    /// `Unavailable` when a file cannot be opened, `Poisoned` when a sync failed, now or earlier.
    pub(super) fn establish(&self, disk: &dyn Disk) -> Result<(), LogError> {
        let mut established = self.established.lock();
        match &*established {
            Established::Yes => return Ok(()),
            Established::Failed(reason) => return Err(LogError::Poisoned(reason.clone())),
            Established::No => {}
        }
        let file = disk.open(&self.dir.join(FILE), Open::Existing);
        let file = file.map_err(|error| LogError::Unavailable(error.to_string()))?;
        let topics = self.dir.parent().unwrap_or(&self.dir);
        let synced = file
            .sync()
            .and_then(|()| disk.sync_dir(&self.dir))
            .and_then(|()| disk.sync_dir(topics));
        if let Err(error) = synced {
            let reason = format!("a sync of the topic's directory failed: {error}");
            *established = Established::Failed(reason.clone());
            return Err(LogError::Poisoned(reason));
        }
        *established = Established::Yes;
        Ok(())
    }

    /// How large a segment may grow: as configured, smaller where retention by bytes wants pieces.
    pub(super) fn segment_bytes(&self, options: &EmbeddedOptions) -> u64 {
        let whole = options.segment_bytes;
        match self.retention().bytes {
            Some(bytes) => whole.min((bytes / u64::from(SEGMENTS_PER_RETENTION)).max(SEGMENT_BYTES_MIN)),
            None => whole,
        }
    }

    /// How long a segment may take appends, so that retention by age finds something to remove in
    /// quiet topics too.
    pub(super) fn segment_age(&self) -> Option<Duration> {
        let age = self.retention().age?;
        Some((age / SEGMENTS_PER_RETENTION).min(SEGMENT_AGE_MAX))
    }
}

fn text(partitions: u32, retention: Retention) -> Vec<u8> {
    let age = retention
        .age
        .map_or("-".into(), |age| age.as_millis().to_string());
    let bytes = retention.bytes.map_or("-".into(), |bytes| bytes.to_string());
    let body =
        format!("levada-topic 1\npartitions {partitions}\nretention-age-ms {age}\nretention-bytes {bytes}\n");
    format!("{body}crc32c {:08x}\n", crc32c::crc32c(body.as_bytes())).into_bytes()
}

fn parse(bytes: &[u8]) -> Option<(u32, Retention)> {
    fn bound(word: &str) -> Option<Option<u64>> {
        if word == "-" {
            Some(None)
        } else {
            word.parse().ok().map(Some)
        }
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let (body, crc) = text.split_at(text.find("crc32c ")?);
    if crc != format!("crc32c {:08x}\n", crc32c::crc32c(body.as_bytes())) {
        return None;
    }
    let rest = body.strip_prefix("levada-topic 1\npartitions ")?;
    let (partitions, rest) = rest.split_once("\nretention-age-ms ")?;
    let (age, rest) = rest.split_once("\nretention-bytes ")?;
    let retention = Retention {
        age: bound(age)?.map(Duration::from_millis),
        bytes: bound(rest.strip_suffix('\n')?)?,
    };
    let partitions = partitions.parse().ok()?;
    (1..=PARTITIONS_MAX)
        .contains(&partitions)
        .then_some((partitions, retention))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_topic_is_read_back_or_refused() {
        for age in [None, Some(Duration::from_millis(172_800_000))] {
            for bytes in [None, Some(1 << 40)] {
                let retention = Retention { age, bytes };
                let written = text(50, retention);
                assert_eq!(parse(&written), Some((50, retention)));
                for at in 0..written.len() {
                    let mut bad = written.clone();
                    bad[at] ^= 1;
                    assert_eq!(parse(&bad), None, "byte {at}");
                    assert_eq!(parse(&written[..at]), None);
                }
            }
        }
    }
}

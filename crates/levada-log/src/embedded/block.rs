//! Blocks: the unit of checksum, compression, index and network chunk.
//!
//! A block is a [`Header`] of 72 bytes and a body of records (see [`super::frame`]). The header's
//! checksum covers the header, which holds the body's; a reader that checks both trusts every byte.
//! All numbers are little-endian.

use bytes::Bytes;
use levada_event::limits::RECORD_BYTES_MAX;
use levada_event::{Offset, Record, Timestamp};

use super::frame;

/// Bytes of a header.
pub(super) const HEADER_BYTES: usize = 72;

/// First bytes of every block. The last one is the version of the block format.
pub(super) const MAGIC: [u8; 4] = *b"LVB\x01";

/// A block takes records until its body would grow beyond this: large enough to compress well and to
/// make checksums and system calls cheap, small enough to be read whole for one record.
pub(super) const BODY_BYTES_AIM: usize = 256 * 1024;

/// An append that does not fit into the present block starts one of its own when the present one is
/// at least this large, so that most appends lie in one block.
const BODY_BYTES_ENOUGH: usize = 64 * 1024;

/// No body is larger than this, packed or unpacked: one record may exceed the aim, and takes at most
/// the limit and its frame. A header that claims more is damaged.
pub(super) const BODY_BYTES_MAX: usize = RECORD_BYTES_MAX + frame::HEADER_BYTES + BODY_BYTES_AIM;

/// The append that ends this block goes on in the next one: neither counts without the other.
const CONTINUES: u8 = 1;
/// The block was written when its segment was rewritten after sealing.
const REWRITTEN: u8 = 2;

/// How a body is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// As it is.
    Plain,
    /// One zstd frame.
    Zstd,
}

/// What stands before a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// crc32c of the body as stored.
    pub(super) body_crc: u32,
    /// Which partition of which log the block belongs to, see [`place`].
    pub(super) place: u32,
    /// Offset of the first record.
    pub base: Offset,
    /// When the block was written, every record below this offset was durable. Tells damage (a
    /// block is missing that was durable once) from a torn tail (it never was).
    pub(super) durable: Offset,
    /// Number of records; their offsets are dense.
    pub count: u32,
    /// Bytes of the body as stored.
    pub(super) body_len: u32,
    /// Bytes of the body unpacked.
    pub(super) raw_len: u32,
    /// How the body is stored.
    pub codec: Codec,
    /// See [`CONTINUES`], [`REWRITTEN`].
    flags: u8,
    /// Smallest timestamp of the records.
    pub min: Timestamp,
    /// Largest timestamp of the records.
    pub max: Timestamp,
    /// When the block was appended.
    pub appended: Timestamp,
}

/// Binds blocks to their partition: a checksum of the log's id, the topic and the partition. A block
/// that turns up elsewhere (old content of a reused disk sector, a misplaced file) is not taken.
pub(super) fn place(log_id: &str, topic: &str, partition: u32) -> u32 {
    crc32c::crc32c(format!("{log_id}/{topic}/{partition}").as_bytes())
}

impl Header {
    /// The offset behind the last record.
    pub fn end(&self) -> Offset {
        self.base + u64::from(self.count)
    }

    /// Bytes of header and body.
    pub(super) fn block_len(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.body_len)
    }

    /// Whether the last append of this block goes on in the next block.
    pub(super) fn continues(&self) -> bool {
        self.flags & CONTINUES != 0
    }

    /// Whether the block comes from rewriting a sealed segment.
    pub(super) fn rewritten(&self) -> bool {
        self.flags & REWRITTEN != 0
    }

    fn write(&self, out: &mut [u8]) {
        out[0..4].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&self.body_crc.to_le_bytes());
        out[12..16].copy_from_slice(&self.place.to_le_bytes());
        out[16..24].copy_from_slice(&self.base.to_le_bytes());
        out[24..32].copy_from_slice(&self.durable.to_le_bytes());
        out[32..36].copy_from_slice(&self.count.to_le_bytes());
        out[36..40].copy_from_slice(&self.body_len.to_le_bytes());
        out[40..44].copy_from_slice(&self.raw_len.to_le_bytes());
        out[44] = match self.codec {
            Codec::Plain => 0,
            Codec::Zstd => 1,
        };
        out[45] = self.flags;
        out[46..48].fill(0);
        for (at, time) in [(48, self.min), (56, self.max), (64, self.appended)] {
            out[at..at + 8].copy_from_slice(&time.as_millis().to_le_bytes());
        }
        let crc = header_crc(out);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
    }

    /// The header at the start of `bytes`, or what is wrong with it.
    pub(super) fn read(bytes: &[u8], place: u32) -> Result<Self, &'static str> {
        let Some(bytes) = bytes.get(..HEADER_BYTES) else {
            return Err("the file ends within a block's header");
        };
        if bytes[..3] != MAGIC[..3] {
            return Err("no block begins here");
        }
        if bytes[3] != MAGIC[3] {
            return Err("the block has a format version that this program does not know");
        }
        if u32_at(bytes, 4) != header_crc(bytes) {
            return Err("the block's header fails its checksum");
        }
        let time = |at| Timestamp::from_millis(u64_at(bytes, at) as i64);
        let header = Self {
            body_crc: u32_at(bytes, 8),
            place: u32_at(bytes, 12),
            base: u64_at(bytes, 16),
            durable: u64_at(bytes, 24),
            count: u32_at(bytes, 32),
            body_len: u32_at(bytes, 36),
            raw_len: u32_at(bytes, 40),
            codec: match bytes[44] {
                0 => Codec::Plain,
                1 => Codec::Zstd,
                _ => return Err("the block has a codec that this program does not know"),
            },
            flags: bytes[45],
            min: time(48),
            max: time(56),
            appended: time(64),
        };
        if header.place != place {
            return Err("the block belongs to another partition or log");
        }
        let lengths = [header.body_len, header.raw_len];
        if header.count == 0 || lengths.iter().any(|len| *len as usize > BODY_BYTES_MAX) {
            return Err("the block's header is out of bounds");
        }
        Ok(header)
    }

    /// Whether `body` is what was written.
    pub(super) fn fits(&self, body: &[u8]) -> Result<(), &'static str> {
        if body.len() != self.body_len as usize {
            return Err("the file ends within a block");
        }
        if crc32c::crc32c(body) != self.body_crc {
            return Err("the block fails its checksum");
        }
        Ok(())
    }

    /// The body unpacked; `stored` has been checked with [`fits`](Self::fits).
    pub(super) fn unpack(&self, stored: &[u8]) -> Result<Vec<u8>, &'static str> {
        match self.codec {
            Codec::Plain => Ok(stored.to_vec()),
            Codec::Zstd => {
                let raw = zstd::bulk::decompress(stored, self.raw_len as usize)
                    .map_err(|_| "the block cannot be unpacked")?;
                if raw.len() == self.raw_len as usize {
                    Ok(raw)
                } else {
                    Err("the block unpacks to another length than it says")
                }
            }
        }
    }
}

fn header_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..4]), &bytes[8..HEADER_BYTES])
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut raw = [0; 4];
    raw.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(raw)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(raw)
}

/// A block being filled. Its checksum grows with it, while the bytes are at hand.
pub(super) struct Builder {
    /// Room for the header, then the body.
    block: Vec<u8>,
    body_crc: u32,
    count: u32,
    flags: u8,
    min: Timestamp,
    max: Timestamp,
}

/// What the writer knows about a block that the builder does not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    pub(super) place: u32,
    pub(super) base: Offset,
    pub(super) durable: Offset,
    pub(super) appended: Timestamp,
}

impl Builder {
    /// An empty block with room for a body of `capacity` bytes.
    pub(super) fn new(capacity: usize) -> Self {
        let mut block = Vec::with_capacity(HEADER_BYTES + capacity);
        block.resize(HEADER_BYTES, 0);
        Self {
            block,
            body_crc: 0,
            count: 0,
            flags: 0,
            min: Timestamp::from_millis(i64::MAX),
            max: Timestamp::from_millis(i64::MIN),
        }
    }

    pub(super) fn body_len(&self) -> usize {
        self.block.len() - HEADER_BYTES
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Whether a record of this size still belongs into this block.
    pub(super) fn has_room(&self, record: usize) -> bool {
        self.count == 0 || self.body_len() + frame::HEADER_BYTES + record <= BODY_BYTES_AIM
    }

    /// Whether an append of this size should begin in this block.
    pub(super) fn may_begin(&self, append: usize) -> bool {
        self.body_len() < BODY_BYTES_ENOUGH || self.body_len() + append <= BODY_BYTES_AIM
    }

    pub(super) fn push(&mut self, record: &Record) {
        let start = self.block.len();
        frame::write(record, &mut self.block);
        self.grown(start, 1, record.timestamp, record.timestamp);
    }

    /// Adds the body of a whole block.
    pub(super) fn push_body(&mut self, header: &Header, body: &[u8]) {
        let start = self.block.len();
        self.block.extend_from_slice(body);
        self.grown(start, header.count, header.min, header.max);
    }

    fn grown(&mut self, from: usize, count: u32, min: Timestamp, max: Timestamp) {
        self.body_crc = crc32c::crc32c_append(self.body_crc, &self.block[from..]);
        self.count += count;
        self.min = self.min.min(min);
        self.max = self.max.max(max);
    }

    /// Marks that the append at the end goes on in the next block.
    pub(super) fn continue_in_next(&mut self) {
        self.flags |= CONTINUES;
    }

    /// Writes the header and answers it with the finished block.
    pub(super) fn finish(mut self, stamp: Stamp) -> (Header, Bytes) {
        let header = self.header(stamp, Codec::Plain, self.body_len(), self.body_crc);
        header.write(&mut self.block[..HEADER_BYTES]);
        // The block may stay in memory for a while: room that it did not need is given back.
        if self.block.capacity() - self.block.len() > self.block.len() / 4 {
            self.block.shrink_to_fit();
        }
        (header, self.block.into())
    }

    /// Writes the block as part of a rewritten segment, packed where that saves a twentieth.
    pub(super) fn finish_rewritten(mut self, stamp: Stamp) -> Result<(Header, Bytes), std::io::Error> {
        self.flags |= REWRITTEN;
        let packed = zstd::bulk::compress(&self.block[HEADER_BYTES..], 1)?;
        if packed.len() > self.body_len() - self.body_len() / 20 {
            return Ok(self.finish(stamp));
        }
        let header = self.header(stamp, Codec::Zstd, packed.len(), crc32c::crc32c(&packed));
        let mut block = vec![0; HEADER_BYTES];
        header.write(&mut block);
        block.extend_from_slice(&packed);
        Ok((header, block.into()))
    }

    fn header(&self, stamp: Stamp, codec: Codec, body_len: usize, body_crc: u32) -> Header {
        Header {
            body_crc,
            place: stamp.place,
            base: stamp.base,
            durable: stamp.durable,
            count: self.count,
            body_len: body_len as u32,
            raw_len: self.body_len() as u32,
            codec,
            flags: self.flags,
            min: self.min,
            max: self.max,
            appended: stamp.appended,
        }
    }
}

#[cfg(test)]
mod tests;

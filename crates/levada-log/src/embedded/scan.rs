//! Walking a segment block by block, and finding the way again behind damage.

use std::io;
use std::ops::Range;

use levada_event::Offset;

use super::block::{HEADER_BYTES, Header, MAGIC};
use super::disk::File;

/// Bytes read at a time.
const WINDOW_BYTES: usize = 1 << 20;
/// Bytes read at a time where only headers matter.
const HEADER_WINDOW_BYTES: usize = 64 << 10;

/// Walks the blocks of a file from a position to a length.
pub(super) struct Scanner<'a> {
    file: &'a dyn File,
    place: u32,
    len: u64,
    position: u64,
    expected: Offset,
    /// Whether bodies are read and checked too.
    bodies: bool,
    window: Vec<u8>,
    window_at: u64,
}

/// What a step of the scanner finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A sound block.
    Block { header: Header, position: u64 },
    /// Bytes that are no block, or one that does not follow; the scan goes on at `resume`, the next
    /// header that looks sound, or ends.
    Damage {
        position: u64,
        /// The offset that was expected here.
        expected: Offset,
        reason: &'static str,
        resume: Option<(u64, Header)>,
    },
}

impl<'a> Scanner<'a> {
    /// A scan from `position`, where the block with the offset `expected` begins, to `len`.
    pub(super) fn new(file: &'a dyn File, place: u32, position: u64, expected: Offset, len: u64) -> Self {
        Self {
            file,
            place,
            len,
            position,
            expected,
            bodies: true,
            window: Vec::new(),
            window_at: 0,
        }
    }

    /// Leaves the bodies unread and unchecked.
    #[must_use]
    pub(super) fn headers_only(mut self) -> Self {
        self.bodies = false;
        self
    }

    /// Where the scan is: behind the last sound block, or where it will resume.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The offset expected there.
    pub(super) fn expected(&self) -> Offset {
        self.expected
    }

    /// The next block or damage; `None` at the end.
    pub(super) fn step(&mut self) -> io::Result<Option<Found>> {
        let position = self.position;
        if position >= self.len {
            return Ok(None);
        }
        let reason = match self.block_at(position)? {
            Ok(header) if header.base == self.expected => {
                self.position = position + header.block_len();
                self.expected = header.end();
                return Ok(Some(Found::Block { header, position }));
            }
            Ok(header) if header.base > self.expected => {
                let expected = std::mem::replace(&mut self.expected, header.base);
                return Ok(Some(Found::Damage {
                    position,
                    expected,
                    reason: "records are missing before this block",
                    resume: Some((position, header)),
                }));
            }
            Ok(_) => "the block repeats records that were there before",
            Err(reason) => reason,
        };
        let expected = self.expected;
        let resume = self.probe(position + 1)?;
        match resume {
            Some((at, header)) => {
                self.position = at;
                self.expected = header.base;
            }
            None => self.position = self.len,
        }
        Ok(Some(Found::Damage {
            position,
            expected,
            reason,
            resume,
        }))
    }

    /// The body of the block that the last step found, when bodies are read.
    pub(super) fn body(&self, header: &Header, position: u64) -> &[u8] {
        let start = (position - self.window_at) as usize + HEADER_BYTES;
        &self.window[start..start + header.body_len as usize]
    }

    fn block_at(&mut self, position: u64) -> io::Result<Result<Header, &'static str>> {
        let place = self.place;
        let head = self.bytes(position, HEADER_BYTES)?;
        let header = match Header::read(&self.window[head], place) {
            Ok(header) => header,
            Err(reason) => return Ok(Err(reason)),
        };
        if position + header.block_len() > self.len {
            return Ok(Err("the file ends within a block"));
        }
        if self.bodies {
            let block = self.bytes(position, header.block_len() as usize)?;
            let body = self.window[block].get(HEADER_BYTES..).unwrap_or_default();
            if let Err(reason) = header.fits(body) {
                return Ok(Err(reason));
            }
        }
        Ok(Ok(header))
    }

    /// The next position from `from` on where a sound header of this partition begins that does not
    /// lie before the offset expected.
    fn probe(&mut self, mut from: u64) -> io::Result<Option<(u64, Header)>> {
        let magic = memchr::memmem::Finder::new(&MAGIC);
        while from + HEADER_BYTES as u64 <= self.len {
            let window = self.bytes(from, WINDOW_BYTES)?;
            let bytes = &self.window[window];
            if bytes.len() < HEADER_BYTES {
                break;
            }
            for at in magic.find_iter(bytes) {
                let header = Header::read(&bytes[at..], self.place);
                if let Ok(header) = header
                    && header.base >= self.expected
                {
                    return Ok(Some((from + at as u64, header)));
                }
            }
            // A header may begin in the last bytes of this window and end in the next.
            from += (bytes.len() - HEADER_BYTES + 1) as u64;
        }
        Ok(None)
    }

    /// Where in the window the bytes from `at` lie: `count` of them, or fewer at the end of the file.
    fn bytes(&mut self, at: u64, count: usize) -> io::Result<Range<usize>> {
        let count = count.min(usize::try_from(self.len - at).unwrap_or(usize::MAX));
        let window_end = self.window_at + self.window.len() as u64;
        if at < self.window_at || at + count as u64 > window_end {
            let ahead = if self.bodies {
                WINDOW_BYTES
            } else {
                HEADER_WINDOW_BYTES
            };
            let left = usize::try_from(self.len - at).unwrap_or(usize::MAX);
            self.window_at = at;
            self.window.resize(count.max(ahead).min(left), 0);
            let mut read = self.file.read_at(at, &mut self.window);
            if read.is_err() && self.window.len() > count {
                // Perhaps only what lies behind cannot be read.
                self.window.truncate(count);
                read = self.file.read_at(at, &mut self.window);
            }
            self.window.truncate(*read.as_ref().unwrap_or(&0));
            read?;
        }
        let start = (at - self.window_at) as usize;
        Ok(start..(start + count).min(self.window.len()))
    }
}

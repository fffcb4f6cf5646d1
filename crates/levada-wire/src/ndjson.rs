//! NDJSON in both directions: one JSON text per line (contract client-rules, realtime §7.2).

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Longest line accepted, in bytes with its line feed: what the Go SDK of the Realtime API reads.
pub const LINE_BYTES_MAX: usize = 20 * 1024 * 1024;

/// Heartbeat of an idle NDJSON response: a space, which JSON parsers skip before the next line.
pub const HEARTBEAT: &[u8] = b" ";

/// First bytes of EventStreams' NDJSON mode: a bare line feed.
pub const OPENING: &[u8] = b"\n";

/// Writes `json` as one line. Line breaks between its tokens are dropped; checked JSON has none
/// inside strings.
pub fn line(out: &mut impl BufMut, json: &[u8]) {
    let mut rest = json;
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        out.put_slice(&rest[..at]);
        rest = &rest[at + 1..];
    }
    out.put_slice(rest);
    out.put_u8(b'\n');
}

/// A line as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number in the stream, from 1; empty lines count.
    pub number: u64,
    /// The text, without blanks around it; never empty. Not checked to be JSON.
    pub text: Bytes,
}

/// A line is too long. The decoder drops it and goes on behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {number} is longer than {max} bytes")]
pub struct LineTooLong {
    /// The line's number, from 1.
    pub number: u64,
    /// The bound.
    pub max: usize,
}

/// Incremental decoder: [`push`](Self::push) chunks, take lines until there are none, and at the end
/// of input ask [`finish`](Self::finish) for a last line without line feed. Skips blanks before a
/// line (heartbeats), empty lines and the CR of CRLF.
///
/// Memory: the chunks pushed and not yet taken, plus one line of at most the bound.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    /// Up to where no line feed was found.
    scanned: usize,
    number: u64,
    max: usize,
    /// Inside a line that is too long, up to its line feed.
    dropping: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(LINE_BYTES_MAX)
    }
}

impl Decoder {
    /// A decoder for lines of at most `max` bytes including the line feed.
    pub fn new(max: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            scanned: 0,
            number: 0,
            max,
            dropping: false,
        }
    }

    /// Adds bytes of the stream.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole line, or `None` until more bytes come.
    ///
    /// # Errors
    /// [`LineTooLong`], once per such line; the next call goes on behind it.
    pub fn next_line(&mut self) -> Result<Option<Line>, LineTooLong> {
        loop {
            let Some(found) = memchr::memchr(b'\n', &self.buffer[self.scanned..]) else {
                self.scanned = self.buffer.len();
                if self.buffer.len() < self.max && !self.dropping {
                    self.skip_blanks();
                    return Ok(None);
                }
                self.buffer.clear();
                self.scanned = 0;
                if std::mem::replace(&mut self.dropping, true) {
                    return Ok(None);
                }
                return Err(LineTooLong {
                    number: self.number + 1,
                    max: self.max,
                });
            };
            let end = self.scanned + found;
            let mut text = self.buffer.split_to(end + 1);
            self.scanned = 0;
            self.number += 1;
            if std::mem::take(&mut self.dropping) {
                continue;
            }
            if text.len() > self.max {
                return Err(LineTooLong {
                    number: self.number,
                    max: self.max,
                });
            }
            text.truncate(end);
            if let Some(text) = trimmed(text) {
                return Ok(Some(Line {
                    number: self.number,
                    text,
                }));
            }
        }
    }

    /// Takes what stands behind the last line feed at the end of input: a line that was cut, or one
    /// whose writer ended without a line feed. `None` when there are only blanks.
    pub fn finish(&mut self) -> Option<Line> {
        self.scanned = 0;
        let text = self.buffer.split();
        if std::mem::take(&mut self.dropping) {
            return None;
        }
        self.number += 1;
        Some(Line {
            number: self.number,
            text: trimmed(text)?,
        })
    }

    /// Drops blanks at the beginning of a line, so that the heartbeats of an idle stream do not
    /// gather.
    fn skip_blanks(&mut self) {
        let blanks = self.buffer.iter().take_while(|b| is_blank(**b)).count();
        self.buffer.advance(blanks);
        self.scanned = self.buffer.len();
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

fn trimmed(mut text: BytesMut) -> Option<Bytes> {
    let before = text.iter().take_while(|b| is_blank(**b)).count();
    text.advance(before);
    let after = text.iter().rev().take_while(|b| is_blank(**b)).count();
    text.truncate(text.len() - after);
    (!text.is_empty()).then(|| text.freeze())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(decoder: &mut Decoder) -> Vec<(u64, String)> {
        let mut out = Vec::new();
        while let Some(line) = decoder.next_line().unwrap() {
            out.push((line.number, String::from_utf8(line.text.to_vec()).unwrap()));
        }
        out
    }

    #[test]
    fn a_line_is_a_line() {
        let mut out = Vec::new();
        line(&mut out, b"{\"a\":\n1\r\n}");
        assert_eq!(out, b"{\"a\":1}\n");
    }

    #[test]
    fn skips_what_is_not_a_line() {
        let mut decoder = Decoder::default();
        decoder.push(b"\n  {}\r\n\r\n \t\n{\"a\":1}\n   ");
        assert_eq!(lines(&mut decoder), [(2, "{}".into()), (5, "{\"a\":1}".into())]);
        assert_eq!(decoder.finish(), None);
        decoder.push(b"{\"cut\":");
        assert_eq!(lines(&mut decoder), []);
        assert_eq!(decoder.finish().unwrap().text, "{\"cut\":");
    }

    #[test]
    fn heartbeats_do_not_gather() {
        let mut decoder = Decoder::new(16);
        for _ in 0..100 {
            decoder.push(HEARTBEAT);
            assert_eq!(decoder.next_line(), Ok(None));
        }
        decoder.push(b"{}\n");
        assert_eq!(lines(&mut decoder), [(1, "{}".into())]);
    }

    #[test]
    fn long_lines_are_dropped_and_named() {
        let mut decoder = Decoder::new(8);
        decoder.push(b"{}\n1234567\n12345678\n{}\n");
        assert_eq!(decoder.next_line().unwrap().unwrap().number, 1);
        assert_eq!(decoder.next_line().unwrap().unwrap().number, 2);
        assert_eq!(decoder.next_line(), Err(LineTooLong { number: 3, max: 8 }));
        assert_eq!(decoder.next_line().unwrap().unwrap().number, 4);
        for _ in 0..3 {
            decoder.push(b"123456789");
            let _ = decoder.next_line();
        }
        assert!(decoder.buffer.len() < 16, "what is dropped is not kept");
        decoder.push(b"tail\n{\"a\":1}\n");
        assert_eq!(lines(&mut decoder), [(6, "{\"a\":1}".into())]);
    }

    proptest! {
        #[test]
        fn however_the_stream_is_cut_it_has_the_same_lines(
            stream in "[a\n\r \t]{0,80}",
            cuts in proptest::collection::vec(1usize..7, 0..60),
        ) {
            let want: Vec<(u64, String)> = stream
                .split('\n')
                .enumerate()
                .map(|(i, l)| (i as u64 + 1, l.trim_matches([' ', '\t', '\r']).to_owned()))
                .filter(|(_, l)| !l.is_empty())
                .collect();
            let mut decoder = Decoder::default();
            let (mut rest, mut got) = (stream.as_bytes(), Vec::new());
            for cut in cuts {
                let (chunk, later) = rest.split_at(cut.min(rest.len()));
                decoder.push(chunk);
                got.extend(lines(&mut decoder));
                rest = later;
            }
            decoder.push(rest);
            got.extend(lines(&mut decoder));
            got.extend(decoder.finish().map(|l| (l.number, String::from_utf8(l.text.to_vec()).unwrap())));
            prop_assert_eq!(got, want);
        }
    }
}

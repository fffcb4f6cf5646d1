//! Splits text into events: the lines of NDJSON, or the elements of one JSON array.

use bytes::{Bytes, BytesMut};
use levada_wire::ndjson::{Decoder, LINE_BYTES_MAX, Line, LineTooLong};

use super::input::Refusal;

/// One event, or a stretch of text that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The line it begins on, from 1.
    pub(super) line: u64,
    pub(super) event: Result<Bytes, Refusal>,
}

/// Splits what is pushed, by the first character that is not blank: an opening bracket begins an
/// array, everything else NDJSON.
#[derive(Debug)]
pub(super) enum Splitter {
    /// Nothing but blanks so far; how many lines they were.
    Start(u64),
    Lines {
        decoder: Decoder,
        before: u64,
    },
    Array(Array),
}

impl Default for Splitter {
    fn default() -> Self {
        Self::Start(0)
    }
}

impl Splitter {
    pub(super) fn push(&mut self, mut chunk: &[u8]) {
        if let Self::Start(lines) = self {
            // A byte order mark is no part of any event.
            chunk = chunk.strip_prefix(b"\xef\xbb\xbf").unwrap_or(chunk);
            let blank = chunk.iter().take_while(|b| b.is_ascii_whitespace()).count();
            *lines += chunk[..blank].iter().filter(|b| **b == b'\n').count() as u64;
            let before = *lines;
            match chunk.get(blank) {
                None => return,
                Some(b'[') => {
                    *self = Self::Array(Array {
                        line: before + 1,
                        ..Array::default()
                    });
                    chunk = &chunk[blank + 1..];
                }
                Some(_) => {
                    *self = Self::Lines {
                        decoder: Decoder::default(),
                        before,
                    };
                    chunk = &chunk[blank..];
                }
            }
        }
        match self {
            Self::Start(_) => {}
            Self::Lines { decoder, .. } => decoder.push(chunk),
            Self::Array(array) => array.text.extend_from_slice(chunk),
        }
    }

    pub(super) fn next_entry(&mut self) -> Option<Entry> {
        match self {
            Self::Start(_) => None,
            Self::Lines { decoder, before } => match decoder.next_line() {
                Ok(line) => line.map(|line| whole(line, *before)),
                Err(LineTooLong { number, max }) => Some(too_long(number + *before, max)),
            },
            Self::Array(array) => array.next_entry(),
        }
    }

    /// What is left at the end of input.
    pub(super) fn finish(&mut self) -> Option<Entry> {
        match self {
            Self::Start(_) => None,
            Self::Lines { decoder, before } => decoder.finish().map(|line| whole(line, *before)),
            Self::Array(array) => array.finish(),
        }
    }
}

fn whole(line: Line, before: u64) -> Entry {
    Entry {
        line: line.number + before,
        event: Ok(line.text),
    }
}

fn too_long(line: u64, max: usize) -> Entry {
    let message = format!("longer than {max} bytes");
    Entry {
        line,
        event: Err(Refusal {
            code: "event_too_large",
            message,
        }),
    }
}

fn broken(line: u64, message: &str) -> Entry {
    Entry {
        line,
        event: Err(Refusal {
            code: "malformed_json",
            message: message.to_owned(),
        }),
    }
}

/// The elements of an array, found by counting brackets outside strings. Whether an element is JSON
/// is not looked at here.
#[derive(Debug, Default)]
pub(super) struct Array {
    text: BytesMut,
    /// Up to where the text was looked at.
    scanned: usize,
    /// The line on which the next element begins, or the current one if it has begun.
    line: u64,
    /// Line feeds inside the current element.
    inside: u64,
    begun: bool,
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// Elements taken so far.
    count: u64,
    ended: bool,
    failed: bool,
}

impl Array {
    fn next_entry(&mut self) -> Option<Entry> {
        if self.failed {
            self.text.clear();
            return None;
        }
        while let Some(&byte) = self.text.get(self.scanned) {
            self.scanned += 1;
            if self.ended {
                if byte.is_ascii_whitespace() {
                    continue;
                }
                self.failed = true;
                return Some(broken(self.line, "text behind the end of the array"));
            }
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b',' | b']' if self.depth == 0 => {
                    self.ended = byte == b']';
                    let entry = self.element(self.scanned - 1);
                    if entry.is_some() {
                        return entry;
                    }
                    continue;
                }
                b'\n' if self.begun => self.inside += 1,
                b'\n' => self.line += 1,
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            self.begun |= !byte.is_ascii_whitespace();
        }
        if self.text.len() > LINE_BYTES_MAX {
            self.failed = true;
            return Some(too_long(self.line, LINE_BYTES_MAX));
        }
        None
    }

    /// Takes the element that ends before `end`. An empty array has none.
    fn element(&mut self, end: usize) -> Option<Entry> {
        let mut text = self.text.split_to(self.scanned);
        self.scanned = 0;
        text.truncate(end);
        let text = text.freeze();
        let text = text.slice_ref(text.trim_ascii());
        let line = self.line;
        self.line += self.inside;
        self.inside = 0;
        self.begun = false;
        if text.is_empty() && self.ended && self.count == 0 {
            return None;
        }
        self.count += 1;
        Some(Entry {
            line,
            event: Ok(text),
        })
    }

    fn finish(&mut self) -> Option<Entry> {
        if self.ended || self.failed {
            return None;
        }
        self.failed = true;
        Some(broken(self.line, "the array does not end"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, chunk: usize) -> Vec<(u64, String)> {
        let mut splitter = Splitter::default();
        let mut out = Vec::new();
        let mut take = |entry: Entry| {
            out.push((
                entry.line,
                match entry.event {
                    Ok(event) => String::from_utf8(event.to_vec()).unwrap(),
                    Err(refusal) => format!("!{}", refusal.message),
                },
            ));
        };
        for part in text.as_bytes().chunks(chunk) {
            splitter.push(part);
            while let Some(entry) = splitter.next_entry() {
                take(entry);
            }
        }
        splitter.finish().into_iter().for_each(take);
        out
    }

    fn check(text: &str, want: &[(u64, &str)]) {
        for chunk in [1, 2, 3, 7, 1000] {
            let got = split(text, chunk);
            let got: Vec<(u64, &str)> = got.iter().map(|(line, text)| (*line, &**text)).collect();
            assert_eq!(got, want, "{text:?} by {chunk}");
        }
    }

    #[test]
    fn lines() {
        check(
            "{}\n{\"a\":1}\r\n\n[1]",
            &[(1, "{}"), (2, "{\"a\":1}"), (4, "[1]")],
        );
        check("\n \n{}\n", &[(3, "{}")]);
        check("", &[]);
        check(" \n", &[]);
    }

    #[test]
    fn arrays() {
        check("[]", &[]);
        check(" [ \n ] \n", &[]);
        check(
            "[{\"a\":[1,2],\"s\":\"],\\\"[\"},\n {\n\"b\":{}\n},3]",
            &[
                (1, "{\"a\":[1,2],\"s\":\"],\\\"[\"}"),
                (2, "{\n\"b\":{}\n}"),
                (4, "3"),
            ],
        );
        check("[1,]", &[(1, "1"), (1, "")]);
        check("[1 2]", &[(1, "1 2")]);
        check("[1\n", &[(1, "!the array does not end")]);
        check("[1]\nx", &[(1, "1"), (1, "!text behind the end of the array")]);
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        assert_eq!(split("\u{feff}[1]", 1000), [(1, "1".to_owned())]);
    }
}

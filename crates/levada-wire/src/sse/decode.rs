//! Reads an event stream as WHATWG defines it, from chunks cut anywhere.
//!
//! Trusts nothing: lines, frames and the buffer have bounds. Bytes that are not UTF-8 become U+FFFD.

use std::sync::Arc;

use levada_event::limits::RECORD_BYTES_MAX;

/// Bounds of a decoder.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest line in bytes, and most data bytes of one frame.
    pub frame_bytes: usize,
}

impl Default for Limits {
    /// Room for the largest event, the fields that delivery adds, and a cursor of many partitions.
    fn default() -> Self {
        Self {
            frame_bytes: RECORD_BYTES_MAX + 1024 * 1024,
        }
    }
}

/// Why a stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A line or the data of a frame is larger than [`Limits::frame_bytes`].
    #[error("a frame of more than {0} bytes")]
    TooLarge(usize),
}

/// A dispatched event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The event's type; `message` unless the frame named another.
    pub name: String,
    /// The data lines, joined by line feeds.
    pub data: String,
    /// The last id seen, in this frame or an earlier one; `None` before the first.
    pub id: Option<Arc<str>>,
}

/// What a stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// An event.
    Event(Event),
    /// A frame without data that moved the last event id.
    Id(Arc<str>),
    /// A comment without its colon and one space: heartbeats, gap notices, `ok`.
    Comment(String),
    /// Milliseconds to wait before reconnecting.
    Retry(u64),
}

/// Incremental decoder: [`push`](Self::push) chunks, then take items until there are none.
///
/// Memory: the chunk pushed last, at most one line and one frame's data, both bounded by
/// [`Limits::frame_bytes`].
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    buffer: Vec<u8>,
    /// Where unread bytes begin.
    start: usize,
    /// Up to where no line end was found.
    scanned: usize,
    at_beginning: bool,
    /// A CR ended the last line; a LF right behind it belongs to it.
    after_cr: bool,
    name: String,
    data: Vec<u8>,
    has_data: bool,
    new_id: bool,
    id: Option<Arc<str>>,
    failed: Option<DecodeError>,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            at_beginning: true,
            after_cr: false,
            name: String::new(),
            data: Vec::new(),
            has_data: false,
            new_id: false,
            id: None,
            failed: None,
        }
    }

    /// Adds bytes of the stream.
    pub fn push(&mut self, chunk: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(chunk);
    }

    /// The next item that is complete, or `None` until more bytes come.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`], for good: the stream cannot be read any further.
    pub fn next_item(&mut self) -> Result<Option<Item>, DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.at_beginning && !self.skip_mark() {
            return Ok(None);
        }
        while let Some((from, to)) = self.take_line() {
            if to - from > self.limits.frame_bytes || self.data.len() > self.limits.frame_bytes {
                return Err(self.fail());
            }
            if let Some(item) = self.line(from, to) {
                return Ok(Some(item));
            }
        }
        if self.buffer.len() - self.start > self.limits.frame_bytes {
            return Err(self.fail());
        }
        Ok(None)
    }

    /// Whether the stream stands between frames: nothing of an unfinished frame would be lost if it
    /// ended here.
    pub fn between_frames(&self) -> bool {
        self.start == self.buffer.len() && !self.has_data && !self.new_id && self.name.is_empty()
    }

    /// The last event id, for resuming.
    pub fn last_id(&self) -> Option<&Arc<str>> {
        self.id.as_ref()
    }

    fn fail(&mut self) -> DecodeError {
        let error = DecodeError::TooLarge(self.limits.frame_bytes);
        self.failed = Some(error);
        self.buffer = Vec::new();
        self.data = Vec::new();
        (self.start, self.scanned) = (0, 0);
        error
    }

    /// Skips a byte order mark; `false` while it cannot be told yet whether there is one.
    fn skip_mark(&mut self) -> bool {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        if self.buffer.len() < MARK.len() && MARK.starts_with(&self.buffer) {
            return false;
        }
        if self.buffer.starts_with(MARK) {
            self.start = MARK.len();
            self.scanned = MARK.len();
        }
        self.at_beginning = false;
        true
    }

    /// Takes the next whole line off the buffer and returns where it lies.
    fn take_line(&mut self) -> Option<(usize, usize)> {
        if self.after_cr && self.start < self.buffer.len() {
            if self.buffer[self.start] == b'\n' {
                self.start += 1;
                self.scanned = self.scanned.max(self.start);
            }
            self.after_cr = false;
        }
        let Some(found) = memchr::memchr2(b'\n', b'\r', &self.buffer[self.scanned..]) else {
            self.scanned = self.buffer.len();
            return None;
        };
        let (from, to) = (self.start, self.scanned + found);
        self.after_cr = self.buffer[to] == b'\r';
        self.start = to + 1;
        self.scanned = self.start;
        Some((from, to))
    }

    fn line(&mut self, from: usize, to: usize) -> Option<Item> {
        let line = &self.buffer[from..to];
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &[][..]),
        };
        match field {
            b"" => return Some(Item::Comment(String::from_utf8_lossy(value).into_owned())),
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"event" => self.name = String::from_utf8_lossy(value).into_owned(),
            b"id" if !value.contains(&0) => {
                self.id = Some(String::from_utf8_lossy(value).into());
                self.new_id = true;
            }
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                // Digits only: all that can fail is the size.
                let millis = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
                return Some(Item::Retry(millis.unwrap_or(u64::MAX)));
            }
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Item> {
        let name = std::mem::take(&mut self.name);
        let new_id = std::mem::take(&mut self.new_id);
        // The standard dispatches only when data is not the empty string; a lone empty data line
        // makes it one.
        if !std::mem::take(&mut self.has_data) || self.data.is_empty() {
            self.data.clear();
            return self.id.clone().filter(|_| new_id).map(Item::Id);
        }
        let data = std::mem::take(&mut self.data);
        Some(Item::Event(Event {
            name: if name.is_empty() {
                "message".to_owned()
            } else {
                name
            },
            data: String::from_utf8(data)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
            id: self.id.clone(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(decoder: &mut Decoder) -> Vec<Item> {
        let mut items = Vec::new();
        while let Some(item) = decoder.next_item().unwrap() {
            items.push(item);
        }
        items
    }

    fn decode(stream: &[u8]) -> Vec<Item> {
        let mut decoder = Decoder::new(Limits::default());
        decoder.push(stream);
        all(&mut decoder)
    }

    fn event(name: &str, data: &str, id: Option<&str>) -> Item {
        Item::Event(Event {
            name: name.into(),
            data: data.into(),
            id: id.map(Into::into),
        })
    }

    #[test]
    fn a_stream_of_the_contract() {
        assert_eq!(
            decode(b":ok\n\nevent: message\nid: [1]\ndata: {\"a\":1}\n\n:\n\n: gap {}\n\nretry: 3000\n\nid: [2]\n\ndata: x\n\n"),
            [
                Item::Comment("ok".into()),
                event("message", "{\"a\":1}", Some("[1]")),
                Item::Comment(String::new()),
                Item::Comment("gap {}".into()),
                Item::Retry(3000),
                Item::Id("[2]".into()),
                event("message", "x", Some("[2]")),
            ]
        );
    }

    #[test]
    fn the_standards_corner_cases() {
        assert_eq!(
            decode(b"data: a\ndata\ndata:b\n\n"),
            [event("message", "a\n\nb", None)]
        );
        assert_eq!(
            decode(b"data:  two spaces\r\rdata: b\r\n\r\n"),
            [event("message", " two spaces", None), event("message", "b", None),]
        );
        assert_eq!(
            decode(b"\xef\xbb\xbfdata: bom\n\n"),
            [event("message", "bom", None)]
        );
        assert_eq!(decode(b"data\n\ndata:\n\n"), [], "empty data dispatches nothing");
        assert_eq!(decode(b"data\ndata\n\n"), [event("message", "\n", None)]);
        assert_eq!(decode(b"id: a\0b\ndata: x\n\n"), [event("message", "x", None)]);
        assert_eq!(
            decode(b"id: a\ndata: x\n\nid\ndata: y\n\n"),
            [event("message", "x", Some("a")), event("message", "y", Some("")),]
        );
        assert_eq!(decode(b"event: e\n\ndata: x\n\n"), [event("message", "x", None)]);
        assert_eq!(decode(b"retry: 1x\nretry: \nunknown: y\nDATA: z\n\n"), []);
        assert_eq!(
            decode(b"retry: 99999999999999999999999\n"),
            [Item::Retry(u64::MAX)]
        );
        assert_eq!(decode(b"data: \xff\n\n"), [event("message", "\u{fffd}", None)]);
        assert_eq!(decode(b"data: unfinished\n"), []);
    }

    #[test]
    fn knows_when_a_frame_is_cut() {
        let mut decoder = Decoder::new(Limits::default());
        decoder.push(b":ok\n\ndata: x\n\n");
        all(&mut decoder);
        assert!(decoder.between_frames());
        for part in ["d", "ata: y", "\n"] {
            decoder.push(part.as_bytes());
            all(&mut decoder);
            assert!(!decoder.between_frames(), "{part}");
        }
        decoder.push(b"\n");
        all(&mut decoder);
        assert!(decoder.between_frames());
    }

    #[test]
    fn lines_and_frames_are_bounded() {
        let limits = Limits { frame_bytes: 16 };
        let mut endless = Decoder::new(limits);
        endless.push(&[b'x'; 17]);
        assert_eq!(endless.next_item(), Err(DecodeError::TooLarge(16)));
        endless.push(b"\n\ndata: x\n\n");
        assert_eq!(endless.next_item(), Err(DecodeError::TooLarge(16)));

        let mut many = Decoder::new(limits);
        many.push(&b"data: 1234567\n".repeat(4));
        assert_eq!(many.next_item(), Err(DecodeError::TooLarge(16)));

        let mut whole = Decoder::new(limits);
        whole.push(b"data: 12345678901\n");
        assert_eq!(whole.next_item(), Err(DecodeError::TooLarge(16)));
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        const PIECES: [&[u8]; 17] = [
            b"data",
            b"event",
            b"id",
            b"retry",
            b":",
            b" ",
            b"\n",
            b"\r",
            b"\r\n",
            b"\n\n",
            b"7",
            b"\0",
            b"\xef\xbb\xbf",
            b"\xff",
            "é".as_bytes(),
            b"data: x\n",
            b"id: y\n",
        ];
        let piece = proptest::sample::select(&PIECES[..]);
        proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    /// What the stream means, computed from the whole of it at once.
    fn model(stream: &[u8]) -> Vec<Item> {
        let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
        let text = String::from_utf8_lossy(stream)
            .replace("\r\n", "\n")
            .replace('\r', "\n");
        let Some((whole, _)) = text.rsplit_once('\n') else {
            return Vec::new();
        };
        let (mut items, mut name, mut id, mut new_id) = (Vec::new(), String::new(), None, false);
        let mut data: Vec<&str> = Vec::new();
        for line in whole.split('\n') {
            if line.is_empty() {
                let joined = std::mem::take(&mut data).join("\n");
                let named = Some(std::mem::take(&mut name)).filter(|n| !n.is_empty());
                if !joined.is_empty() {
                    let name = named.unwrap_or("message".into());
                    items.push(Item::Event(Event {
                        name,
                        data: joined,
                        id: id.clone(),
                    }));
                } else if new_id {
                    items.extend(id.clone().map(Item::Id));
                }
                new_id = false;
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" => items.push(Item::Comment(value.into())),
                "data" => data.push(value),
                "event" => name = value.into(),
                "id" if !value.contains('\0') => (id, new_id) = (Some(value.into()), true),
                "retry" if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => {
                    items.push(Item::Retry(value.parse().unwrap_or(u64::MAX)));
                }
                _ => {}
            }
        }
        items
    }

    proptest! {
        #[test]
        fn however_the_stream_is_cut_it_means_the_same(
            stream in stream(),
            cuts in proptest::collection::vec(1usize..9, 0..60),
        ) {
            let want = model(&stream);
            let mut decoder = Decoder::new(Limits::default());
            let (mut rest, mut items) = (&stream[..], Vec::new());
            for cut in cuts {
                let (chunk, later) = rest.split_at(cut.min(rest.len()));
                decoder.push(chunk);
                items.extend(all(&mut decoder));
                rest = later;
            }
            decoder.push(rest);
            items.extend(all(&mut decoder));
            prop_assert_eq!(items, want);
        }

        #[test]
        fn what_is_encoded_is_decoded(
            data in "[^\r\n]{1,40}",
            id in "[^\r\n\0]{0,20}",
            name in "[a-z]{1,8}",
            note in "[^\r\n]{0,20}",
        ) {
            let mut out = Vec::new();
            super::super::comment(&mut out, &note);
            super::super::event(&mut out, &name, Some(id.as_bytes()), data.as_bytes()).unwrap();
            prop_assert_eq!(decode(&out), vec![Item::Comment(note), event(&name, &data, Some(&id))]);
        }
    }
}

//! Writes frames: LF line ends, fields in the order event, id, data (contract eventstreams §1.3).
//!
//! A message frame is [`MESSAGE`], the id, [`DATA`], the event's text in as many pieces as the caller
//! has it, [`END`]. Delivery writes these pieces itself where it knows that id and data are one line;
//! the functions here check.

use bytes::BufMut;

/// The first bytes of every stream.
pub const OK: &[u8] = b":ok\n\n";
/// What an idle stream says every 15 seconds or sooner.
pub const HEARTBEAT: &[u8] = b":\n\n";
/// Begins a message frame; the id follows.
pub const MESSAGE: &[u8] = b"event: message\nid: ";
/// Stands between id and data.
pub const DATA: &[u8] = b"\ndata: ";
/// Ends a frame.
pub const END: &[u8] = b"\n\n";

/// A frame would not mean what the caller wants it to mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The id or the event's name has a line break or a NUL, with which a producer could forge frames.
    #[error("line break or NUL in an id or event name")]
    LineBreak,
}

/// Writes an `event: message` frame.
///
/// # Errors
/// [`FrameError::LineBreak`], and nothing is written.
pub fn message(out: &mut impl BufMut, id: &[u8], data: &[u8]) -> Result<(), FrameError> {
    event(out, "message", Some(id), data)
}

/// Writes a frame. Runs of CR and LF inside `data` become line breaks of the frame, each piece a
/// `data` line of its own, as the reference's writer does; JSON has none.
///
/// # Errors
/// [`FrameError::LineBreak`], and nothing is written.
pub fn event(out: &mut impl BufMut, name: &str, id: Option<&[u8]>, data: &[u8]) -> Result<(), FrameError> {
    one_line(name.as_bytes())?;
    id.map_or(Ok(()), one_line)?;
    out.put_slice(b"event: ");
    out.put_slice(name.as_bytes());
    if let Some(id) = id {
        out.put_slice(b"\nid: ");
        out.put_slice(id);
    }
    let mut rest = data;
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        out.put_slice(DATA);
        out.put_slice(&rest[..at]);
        let run = rest[at..]
            .iter()
            .take_while(|&&b| b == b'\n' || b == b'\r')
            .count();
        rest = &rest[at + run..];
    }
    out.put_slice(DATA);
    out.put_slice(rest);
    out.put_slice(END);
    Ok(())
}

/// Writes a frame that only moves the reader's cursor: parsers dispatch nothing and remember the id.
///
/// # Errors
/// [`FrameError::LineBreak`], and nothing is written.
pub fn id_only(out: &mut impl BufMut, id: &[u8]) -> Result<(), FrameError> {
    one_line(id)?;
    out.put_slice(b"id: ");
    out.put_slice(id);
    out.put_slice(END);
    Ok(())
}

/// Writes a comment; line breaks in it become spaces.
pub fn comment(out: &mut impl BufMut, text: &str) {
    out.put_slice(b": ");
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        out.put_slice(&rest[..at]);
        out.put_u8(b' ');
        rest = &rest[at + 1..];
    }
    out.put_slice(rest);
    out.put_slice(END);
}

/// Writes how many milliseconds a client should wait before it reconnects.
pub fn retry(out: &mut impl BufMut, millis: u64) {
    out.put_slice(b"retry: ");
    out.put_slice(itoa::Buffer::new().format(millis).as_bytes());
    out.put_slice(END);
}

fn one_line(text: &[u8]) -> Result<(), FrameError> {
    match memchr::memchr3(b'\n', b'\r', 0, text) {
        Some(_) => Err(FrameError::LineBreak),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn frames_are_those_of_the_contract() {
        assert_eq!(
            written(|out| message(out, b"[1]", b"{}").unwrap()),
            "event: message\nid: [1]\ndata: {}\n\n"
        );
        let pieces = [MESSAGE, b"[1]", DATA, b"{", b"}", END].concat();
        assert_eq!(
            String::from_utf8(pieces).unwrap(),
            "event: message\nid: [1]\ndata: {}\n\n"
        );
        assert_eq!(
            written(|out| event(out, "error", None, b"a\r\n\nb").unwrap()),
            "event: error\ndata: a\ndata: b\n\n"
        );
        assert_eq!(written(|out| id_only(out, b"[1]").unwrap()), "id: [1]\n\n");
        assert_eq!(written(|out| comment(out, "gap\nevil")), ": gap evil\n\n");
        assert_eq!(written(|out| retry(out, 3000)), "retry: 3000\n\n");
    }

    #[test]
    fn ids_and_names_cannot_forge_frames() {
        for id in [&b"a\nb"[..], b"a\rb", b"a\0b"] {
            let mut out = Vec::new();
            assert_eq!(message(&mut out, id, b"{}"), Err(FrameError::LineBreak));
            assert_eq!(id_only(&mut out, id), Err(FrameError::LineBreak));
            assert!(out.is_empty());
        }
        assert!(event(&mut Vec::new(), "a\nb", None, b"").is_err());
    }
}

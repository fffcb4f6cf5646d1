//! What a response looks like: SSE or NDJSON by `Accept` (contract realtime §1.8), compressed by
//! `Accept-Encoding` with everything flushed that is handed out, so that no event waits in a compressor.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING};
use http_body::Frame;

use crate::delivery::Format;
use crate::http::respond::{Body, StreamCut};

pub(super) const SSE: &str = "text/event-stream; charset=utf-8";
pub(super) const NDJSON: &str = "application/x-ndjson; charset=utf-8";

/// Level of both codecs: the cheapest of zstd and a middle one of gzip cost about the same.
const GZIP_LEVEL: u32 = 1;
const ZSTD_LEVEL: i32 = 1;

/// Length of a zstd block with one byte of content.
const ZSTD_BLOCK_OF_ONE: usize = 4;

/// The first entry of `Accept` that can be served; SSE without one.
pub(super) fn format(headers: &HeaderMap) -> (Format, &'static str) {
    let accept = headers
        .get_all(ACCEPT)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase())
        .collect::<Vec<_>>()
        .join(",");
    for entry in accept.split(',') {
        match entry.split(';').next().unwrap_or_default().trim() {
            "text/event-stream" | "*/*" | "text/*" => return (Format::Sse, SSE),
            "application/x-ndjson" | "application/ndjson" | "application/*" | "application/json" => {
                return (Format::Ndjson, NDJSON);
            }
            _ => {}
        }
    }
    (Format::Sse, SSE)
}

/// Compresses the body where the client says that it can read that.
pub(super) fn encode(headers: &HeaderMap, format: Format, body: Body) -> (Body, Option<&'static str>) {
    let accepted = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase())
        .collect::<Vec<_>>()
        .join(",");
    let takes = |name: &str| {
        accepted.split(',').any(|entry| {
            let mut words = entry.split(';').map(str::trim);
            words.next() == Some(name)
                && !words.any(|word| matches!(word, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        })
    };
    if takes("zstd")
        && let Ok(encoder) = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)
    {
        let body = Compressed::new(body, format, Codec::Zstd(encoder));
        return (Body::Stream(Box::pin(body)), Some("zstd"));
    }
    if takes("gzip") {
        let codec = Codec::Gzip(GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL)));
        let body = Compressed::new(body, format, codec);
        return (Body::Stream(Box::pin(body)), Some("gzip"));
    }
    (body, None)
}

enum Codec {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Codec {
    /// Compresses `data` and everything before it to its end.
    fn flushed(&mut self, data: &[u8]) -> std::io::Result<Bytes> {
        let out = match self {
            Codec::Gzip(encoder) => {
                encoder.write_all(data)?;
                encoder.flush()?;
                encoder.get_mut()
            }
            Codec::Zstd(encoder) => {
                encoder.write_all(data)?;
                encoder.flush()?;
                encoder.get_mut()
            }
        };
        Ok(std::mem::take(out).into())
    }

    /// A sign of life that decodes to nothing: an empty block that is not the last one. Everything
    /// before it must be flushed, so that it stands at the border of a byte and of a block, and a header must
    /// have been sent.
    fn empty(&self) -> &'static [u8] {
        match self {
            // RFC 1951 §3.2.4: a stored block of length 0.
            Codec::Gzip(_) => &[0, 0, 0, 0xff, 0xff],
            // RFC 8878 §3.1.1.2: a raw block of size 0.
            Codec::Zstd(_) => &[0, 0, 0],
        }
    }

    /// The header that begins the output, where the codec writes none before there is content. A skippable
    /// frame (RFC 8878 §3.1.2) would do in its place, but clients that decode one frame and then stop (Python's
    /// `zstandard` in httpx) take what follows for an error.
    fn header(&self) -> std::io::Result<Option<Bytes>> {
        match self {
            Codec::Gzip(_) => Ok(None),
            Codec::Zstd(_) => {
                let mut twin = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                twin.write_all(b" ")?;
                twin.flush()?;
                let mut out = twin.get_ref().clone();
                // A raw block: three bytes, then the content.
                out.truncate(out.len().saturating_sub(ZSTD_BLOCK_OF_ONE));
                Ok(Some(out.into()))
            }
        }
    }

    fn finish(self) -> std::io::Result<Bytes> {
        match self {
            Codec::Gzip(encoder) => encoder.finish().map(Bytes::from),
            Codec::Zstd(encoder) => encoder.finish().map(Bytes::from),
        }
    }
}

/// A body whose chunks are compressed one by one. An abnormal end stays one.
///
/// Heartbeats of NDJSON become empty blocks: a space that no line follows is an error to clients that
/// read by lines (contract client-rules), and no server knows whether one will follow.
struct Compressed {
    body: Body,
    /// `None` after the end.
    codec: Option<Codec>,
    /// Whether a chunk of spaces would be a heartbeat: in NDJSON, between lines.
    between_lines: bool,
    format: Format,
    /// Whether the header was sent.
    begun: bool,
    /// The header, when it was sent before the codec wrote it.
    header: Option<Bytes>,
}

impl Compressed {
    fn new(body: Body, format: Format, codec: Codec) -> Self {
        Self {
            body,
            codec: Some(codec),
            between_lines: format == Format::Ndjson,
            format,
            begun: false,
            header: None,
        }
    }

    fn chunk(&mut self, data: &[u8]) -> std::io::Result<Bytes> {
        let Some(codec) = &mut self.codec else {
            return Ok(Bytes::new());
        };
        let is_beat = self.between_lines && !data.is_empty() && data.iter().all(|byte| *byte == b' ');
        if is_beat && self.begun {
            return Ok(Bytes::from_static(codec.empty()));
        }
        if is_beat && let Some(header) = codec.header()? {
            let beat = [&*header, codec.empty()].concat();
            self.begun = true;
            self.header = Some(header);
            return Ok(beat.into());
        }
        let mut out = codec.flushed(if is_beat { &[] } else { data })?;
        if let Some(header) = self.header.take_if(|_| !out.is_empty()) {
            out = match out.strip_prefix(&*header) {
                Some(rest) => out.slice_ref(rest),
                None => return Err(std::io::Error::other("the codec began with another header")),
            };
        }
        self.begun |= !out.is_empty();
        if let (Format::Ndjson, false, Some(last)) = (self.format, is_beat, data.last()) {
            self.between_lines = *last == b'\n';
        }
        Ok(out)
    }
}

impl http_body::Body for Compressed {
    type Data = Bytes;
    type Error = StreamCut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamCut>>> {
        let this = self.get_mut();
        if this.codec.is_none() {
            return Poll::Ready(None);
        }
        match std::task::ready!(Pin::new(&mut this.body).poll_frame(cx)) {
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                let data = this.chunk(&data).map_err(|_| StreamCut)?;
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Some(Err(cut)) => Poll::Ready(Some(Err(cut))),
            None => {
                let last = match (this.codec.take(), this.header.take()) {
                    // RFC 8878 §3.1.1.2: a frame that has its header and nothing else ends with an empty block.
                    (Some(Codec::Zstd(_)), Some(_)) => Some(Ok(Bytes::from_static(&[1, 0, 0]))),
                    (codec, _) => codec.map(Codec::finish),
                };
                match last {
                    Some(Ok(bytes)) if !bytes.is_empty() => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                    Some(Err(_)) => Poll::Ready(Some(Err(StreamCut))),
                    _ => Poll::Ready(None),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

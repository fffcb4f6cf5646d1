//! Request bodies: read within the limit and the deadline, decompressed, brought to UTF-8.

use bytes::{Bytes, BytesMut};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt;
use levada_wire::ErrorCode;
use std::io::Read;
use std::time::Duration;

use super::received::RequestBody;

/// Compressed bodies larger than this are decompressed on a blocking thread.
const INLINE_BYTES_MAX: usize = 64 * 1024;

/// How long a client may take to send a form.
pub(super) const FORM_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a body was not taken, with what the original calls it.
#[derive(Debug)]
pub(super) struct BodyError {
    pub(super) code: ErrorCode,
    /// Title of the original's problem body.
    pub(super) title: &'static str,
    pub(super) detail: String,
}

impl BodyError {
    fn new(code: ErrorCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            code,
            title,
            detail: detail.into(),
        }
    }

    fn too_large(max: usize) -> Self {
        let detail = format!("request entity too large: the limit is {max} bytes");
        Self::new(ErrorCode::BodyTooLarge, "PayloadTooLargeError", detail)
    }
}

/// Size that the client announces, if it does.
pub(super) fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether the body is longer than what is sent.
pub(super) fn is_compressed(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_ENCODING)
        .is_some_and(|value| !matches!(value.as_bytes().trim_ascii(), b"" | b"identity"))
}

/// Reads the body as UTF-8 text of at most `max` bytes, before and after decompression.
pub(super) async fn read(
    headers: &HeaderMap,
    body: &mut RequestBody,
    max: usize,
) -> Result<Bytes, BodyError> {
    if announced(headers).is_some_and(|bytes| bytes > max) {
        return Err(BodyError::too_large(max));
    }
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| {
            BodyError::new(
                ErrorCode::BadRequest,
                "BadRequestError",
                format!("the body ended early: {e}"),
            )
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if all.len() + first.as_ref().map_or(0, Bytes::len) + data.len() > max {
            return Err(BodyError::too_large(max));
        }
        // Most bodies come in one piece and need no copy.
        match (&first, all.is_empty()) {
            (None, true) => first = Some(data),
            (Some(_), _) => {
                all.reserve(announced(headers).unwrap_or(0).min(max));
                all.extend_from_slice(&first.take().unwrap_or_default());
                all.extend_from_slice(&data);
            }
            (None, false) => all.extend_from_slice(&data),
        }
    }
    let raw = first.unwrap_or_else(|| all.freeze());
    let encoding = headers
        .get(CONTENT_ENCODING)
        .map(|v| String::from_utf8_lossy(v.as_bytes()).to_ascii_lowercase());
    let plain = match encoding.as_deref().map(str::trim) {
        None | Some("" | "identity") => raw,
        Some(encoding) => decompress(encoding.to_owned(), raw, max).await?,
    };
    utf8(charset(headers), plain)
}

async fn decompress(encoding: String, raw: Bytes, max: usize) -> Result<Bytes, BodyError> {
    if !matches!(encoding.as_str(), "gzip" | "x-gzip" | "deflate" | "zstd") {
        let detail = format!("unsupported content encoding {encoding:?}");
        return Err(BodyError::new(
            ErrorCode::UnsupportedEncoding,
            "UnsupportedMediaTypeError",
            detail,
        ));
    }
    if raw.len() <= INLINE_BYTES_MAX {
        return inflate(&encoding, &raw, max);
    }
    tokio::task::spawn_blocking(move || inflate(&encoding, &raw, max))
        .await
        .map_err(|e| BodyError::new(ErrorCode::Internal, "InternalError", e.to_string()))?
}

fn inflate(encoding: &str, raw: &[u8], max: usize) -> Result<Bytes, BodyError> {
    let malformed = |e: std::io::Error| {
        BodyError::new(
            ErrorCode::MalformedEncoding,
            "BadRequestError",
            format!("the body is not valid {encoding}: {e}"),
        )
    };
    let mut out = Vec::with_capacity((raw.len() * 4).min(max));
    // One byte more than allowed tells a body that is too large from one that just fits.
    let limit = max as u64 + 1;
    match encoding {
        "zstd" => {
            let decoder = zstd::Decoder::new(raw).map_err(malformed)?;
            decoder.take(limit).read_to_end(&mut out).map_err(malformed)?;
        }
        "deflate" => {
            // Some clients send the zlib format, as the RFC says, others the bare one.
            let zlib = raw.first().is_some_and(|b| b & 0x0f == 8)
                && raw.len() > 1
                && (u16::from(raw[0]) << 8 | u16::from(raw[1])).is_multiple_of(31);
            if zlib {
                ZlibDecoder::new(raw)
                    .take(limit)
                    .read_to_end(&mut out)
                    .map_err(malformed)?;
            } else {
                DeflateDecoder::new(raw)
                    .take(limit)
                    .read_to_end(&mut out)
                    .map_err(malformed)?;
            }
        }
        _ => {
            MultiGzDecoder::new(raw)
                .take(limit)
                .read_to_end(&mut out)
                .map_err(malformed)?;
        }
    }
    if out.len() > max {
        return Err(BodyError::too_large(max));
    }
    Ok(out.into())
}

/// The media type in lower case, without parameters.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    String::from_utf8_lossy(media_type_text(headers)).to_ascii_lowercase()
}

/// The media type as it was sent, without parameters.
pub(super) fn media_type_text(headers: &HeaderMap) -> &[u8] {
    let value = headers.get(CONTENT_TYPE).map(|v| v.as_bytes());
    let value = value.and_then(|all| all.split(|b| *b == b';').next());
    value.unwrap_or_default().trim_ascii()
}

fn charset(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.as_bytes();
    memchr::memchr(b';', value)?;
    let value = String::from_utf8_lossy(value).to_ascii_lowercase();
    let mut named = value
        .split(';')
        .skip(1)
        .filter_map(|p| p.trim().strip_prefix("charset="));
    Some(named.next()?.trim_matches('"').to_owned())
}

fn utf8(charset: Option<String>, raw: Bytes) -> Result<Bytes, BodyError> {
    let Some(charset) = charset else { return Ok(raw) };
    let units = |order: fn([u8; 2]) -> u16, raw: &[u8]| -> Vec<u16> {
        raw.chunks_exact(2)
            .map(|pair| order([pair[0], pair[1]]))
            .collect()
    };
    let malformed = || {
        BodyError::new(
            ErrorCode::MalformedEncoding,
            "BadRequestError",
            "the body is not valid UTF-16",
        )
    };
    if charset.starts_with("utf-16") && !raw.len().is_multiple_of(2) {
        return Err(malformed());
    }
    let units = match charset.as_str() {
        "utf-8" | "utf8" => return Ok(raw),
        "utf-16be" => units(u16::from_be_bytes, &raw),
        "utf-16" if raw.starts_with(&[0xfe, 0xff]) => units(u16::from_be_bytes, &raw[2..]),
        "utf-16" | "utf-16le" => units(
            u16::from_le_bytes,
            raw.strip_prefix(&[0xff, 0xfe]).unwrap_or(&raw),
        ),
        other => {
            let detail = format!("unsupported charset {:?}", other.to_ascii_uppercase());
            return Err(BodyError::new(
                ErrorCode::UnsupportedCharset,
                "UnsupportedMediaTypeError",
                detail,
            ));
        }
    };
    String::from_utf16(&units)
        .map(Bytes::from)
        .map_err(|_| malformed())
}

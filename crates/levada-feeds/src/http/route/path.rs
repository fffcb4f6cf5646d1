//! Taking paths apart.

use super::NoRoute;
use percent_encoding::percent_decode_str;

/// Segments of the longest route, with room; a longer path is none of ours.
const SEGMENTS: usize = 12;

/// The segments of a path, decoded; one trailing slash is forgiven.
pub(super) fn split(path: &str) -> Result<Vec<String>, NoRoute> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let raw: Vec<&str> = path.split('/').take(SEGMENTS + 1).collect();
    if raw.len() > SEGMENTS {
        return Err(NoRoute::Unknown);
    }
    raw.into_iter().map(decode).collect()
}

fn decode(segment: &str) -> Result<String, NoRoute> {
    let bytes = segment.as_bytes();
    let is_hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    let broken = bytes
        .iter()
        .enumerate()
        .any(|(at, byte)| *byte == b'%' && !(is_hex(at + 1) && is_hex(at + 2)));
    if broken {
        return Err(NoRoute::Malformed);
    }
    percent_decode_str(segment)
        .decode_utf8()
        .map(|text| text.into_owned())
        .map_err(|_| NoRoute::Malformed)
}

/// Whether a name can be the domain of a wiki: letters, digits, hyphens and dots, perhaps a port, and at least one
/// dot or port, so that `/x/v1/feed` of other services is left alone.
pub(crate) fn is_domain(name: &str) -> bool {
    let (host, port) = name.split_once(':').unwrap_or((name, ""));
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.len() <= 253
        && host.split('.').all(label)
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && (host.contains('.') || !port.is_empty())
}

pub(super) fn host_name(host: &str) -> String {
    host.split(':').next().unwrap_or(host).to_ascii_lowercase()
}

pub(super) fn has_prefix(path: &str, prefix: &str) -> bool {
    path.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

//! Compressed bodies (contract §1.1: from one kibibyte on).

use crate::work::Workers;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// Smaller bodies go out as they are.
pub(crate) const THRESHOLD: usize = 1024;
/// Larger bodies are compressed on a thread of its own kind: a megabyte takes some ten milliseconds.
const OFF_THREAD: usize = 32 << 10;
/// The original's level: bodies are compressed once and sent often, but a cold answer should not wait for it.
const LEVEL: u32 = 3;

/// Whether a client that sends this `Accept-Encoding` takes gzip.
pub(crate) fn takes_gzip(accept_encoding: Option<&str>) -> bool {
    let mut any = false;
    for coding in accept_encoding.unwrap_or_default().split(',') {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let refused = parts.any(|part| {
            part.strip_prefix("q=")
                .is_some_and(|quality| quality.parse::<f32>().is_ok_and(|q| q <= 0.0))
        });
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            return !refused;
        }
        any |= name == "*" && !refused;
    }
    any
}

/// The body compressed, when that is worth it.
pub(crate) async fn gzip(body: &Bytes, work: &Workers) -> Option<Bytes> {
    if body.len() < THRESHOLD {
        return None;
    }
    if body.len() < OFF_THREAD {
        return compress(body);
    }
    let body = body.clone();
    // If the thread is lost, the client gets the plain body.
    work.run(move || compress(&body)).await.flatten()
}

fn compress(body: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::new(LEVEL));
    encoder.write_all(body).ok()?;
    let packed = encoder.finish().ok()?;
    (packed.len() < body.len()).then(|| Bytes::from(packed.into_boxed_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_when_it_is_named_and_not_refused() {
        for yes in [
            "gzip",
            "br, gzip;q=0.5",
            "GZIP",
            "*",
            "x-gzip",
            "deflate, *;q=0.1",
        ] {
            assert!(takes_gzip(Some(yes)), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "identity", "gzip;q=0, *"] {
            assert!(!takes_gzip(Some(no)), "{no}");
        }
        assert!(!takes_gzip(None));
    }

    #[tokio::test]
    async fn small_and_incompressible_bodies_stay_plain() {
        let work = Workers::for_processors();
        assert_eq!(gzip(&Bytes::from_static(b"small"), &work).await, None);
        let packed = gzip(&Bytes::from("a".repeat(100_000)), &work)
            .await
            .expect("compressible");
        assert!(packed.len() < 2_000 && packed.starts_with(&[0x1f, 0x8b]));
    }
}

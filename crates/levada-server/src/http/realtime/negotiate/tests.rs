use std::io::Read;

use http_body_util::BodyExt;

use super::*;

/// What a client has after these chunks and a clean end, and the compressed size of every chunk.
async fn sent(encoding: &'static str, format: Format, chunks: &[&'static str]) -> (String, Vec<usize>) {
    let frames: Vec<_> = chunks
        .iter()
        .map(|chunk| Ok::<_, StreamCut>(Frame::data(Bytes::from_static(chunk.as_bytes()))))
        .collect();
    let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, http::HeaderValue::from_static(encoding));
    let (mut body, chosen) = encode(&headers, format, Body::Stream(Box::pin(body)));
    assert_eq!(chosen, Some(encoding));
    let (mut all, mut sizes) = (Vec::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        sizes.push(data.len());
        all.extend_from_slice(&data);
    }
    let mut text = String::new();
    match encoding {
        "gzip" => flate2::read::GzDecoder::new(&*all)
            .read_to_string(&mut text)
            .unwrap(),
        // Some clients decode one frame and no more.
        _ => zstd::stream::read::Decoder::new(&*all)
            .unwrap()
            .single_frame()
            .read_to_string(&mut text)
            .unwrap(),
    };
    (text, sizes)
}

#[tokio::test]
async fn a_heartbeat_of_compressed_lines_is_sent_and_decodes_to_nothing() {
    let chunks = [" ", " ", "{\"a\":1}\n", " ", "  ", "{\"b\":\"", " ", "\"}\n", " "];
    for encoding in ["gzip", "zstd"] {
        let (text, sizes) = sent(encoding, Format::Ndjson, &chunks).await;
        // The space within a line is no heartbeat.
        assert_eq!(text, "{\"a\":1}\n{\"b\":\" \"}\n", "{encoding}");
        assert!(
            sizes.len() >= chunks.len() && sizes.iter().all(|size| *size > 0),
            "{encoding}: {sizes:?}"
        );
    }
}

#[tokio::test]
async fn a_stream_of_nothing_but_heartbeats_ends_as_it_should() {
    for encoding in ["gzip", "zstd"] {
        for chunks in [&[" ", " "][..], &[" "], &[]] {
            let (text, _) = sent(encoding, Format::Ndjson, chunks).await;
            assert_eq!(text, "", "{encoding} {chunks:?}");
        }
    }
}

#[tokio::test]
async fn server_sent_events_are_compressed_as_they_are() {
    for encoding in ["gzip", "zstd"] {
        let (text, _) = sent(encoding, Format::Sse, &[":ok\n\n", " ", ":\n\n"]).await;
        assert_eq!(text, ":ok\n\n :\n\n", "{encoding}");
    }
}

//! Articles for tests: a server that has the stream, pages to publish, lines to read.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::client::{self, Response};
use crate::server::{Server, Site};

const STREAMS: &str = "streams:\n  articles:\n    schema_title: levada/article\n    message_key_fields: {project: is_part_of.identifier, page_id: identifier}\n    levada: {partitions: 50, splice: event}\n";

/// A folder for servers with the stream `articles`; `config` is further configuration.
pub(crate) fn site(config: &str) -> Site {
    let site = Site::new(&format!(
        "[catalog]\nstream_config = [\"@/streams.yaml\"]\n{config}"
    ));
    site.file("streams.yaml", STREAMS);
    site
}

/// The page with this number, with about so many bytes of text.
pub(crate) fn article(number: usize, bytes: usize) -> Value {
    json!({
        "name": format!("Page {number}"),
        "identifier": number,
        "abstract": "x".repeat(bytes),
        "is_part_of": {"identifier": "enwiki"},
        "in_language": {"identifier": if number.is_multiple_of(2) { "en" } else { "de" }},
        "event": {"identifier": number.to_string(), "type": "update"},
    })
}

/// Publishes the pages with these numbers, `headers` saying who does.
pub(crate) fn publish(
    server: &Server,
    headers: &[(&str, &str)],
    numbers: std::ops::Range<usize>,
    bytes: usize,
) {
    let numbers: Vec<usize> = numbers.collect();
    for some in numbers.chunks((4 << 20) / (bytes + 512)) {
        let articles: Vec<Value> = some.iter().map(|number| article(*number, bytes)).collect();
        let answer = publish_json(server, headers, &json!(articles));
        let status = answer.status;
        assert_eq!(status, 201, "{}", answer.text());
    }
}

/// Publishes articles as they are.
pub(crate) fn publish_json(server: &Server, headers: &[(&str, &str)], articles: &Value) -> Response {
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    let body = articles.to_string();
    client::request(
        server.address,
        "POST",
        "/v1/events?stream=articles",
        &all,
        body.as_bytes(),
    )
}

/// Opens `/v2/articles` with this JSON for parameters.
pub(crate) fn open(server: &Server, headers: &[(&str, &str)], parameters: &Value) -> Response {
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    let body = parameters.to_string();
    client::request(server.address, "POST", "/v2/articles", &all, body.as_bytes())
}

/// Partition and offset of a line.
pub(crate) fn place(line: &str) -> (u64, u64) {
    let event = &serde_json::from_str::<Value>(line).unwrap()["event"];
    (
        event["partition"].as_u64().unwrap(),
        event["offset"].as_u64().unwrap(),
    )
}

/// Fails unless the offsets of every partition are dense and in order, from 0.
pub(crate) fn assert_dense(places: impl IntoIterator<Item = (u64, u64)>, who: &str) {
    let mut next: BTreeMap<u64, u64> = BTreeMap::new();
    for (partition, offset) in places {
        let expected = next.entry(partition).or_insert(0);
        assert_eq!(offset, *expected, "{who}: partition {partition}");
        *expected += 1;
    }
}

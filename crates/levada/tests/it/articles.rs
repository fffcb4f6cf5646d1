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

/// A page with this number that has every field of the schema that ships with the program.
pub(crate) fn full_article(number: usize) -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../schemas/levada/article/1.0.0.yaml"
    );
    let schema: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut article = example(&schema, &schema, "");
    let object = article.as_object_mut().unwrap();
    for envelope in ["$schema", "meta"] {
        object.remove(envelope);
    }
    article["name"] = json!(format!("Page {number}"));
    article["identifier"] = json!(number);
    article["is_part_of"]["identifier"] = json!("enwiki");
    article["event"]["type"] = json!("update");
    article
}

/// A value that a schema allows, with every property.
fn example(root: &Value, schema: &Value, name: &str) -> Value {
    if let Some(target) = schema["$ref"].as_str() {
        return example(root, root.pointer(target.trim_start_matches('#')).unwrap(), name);
    }
    match schema["type"].as_str() {
        Some("object") => {
            let properties = schema["properties"].as_object();
            let properties = properties.into_iter().flatten();
            let members = properties.map(|(name, schema)| (name.clone(), example(root, schema, name)));
            Value::Object(members.collect())
        }
        Some("array") => json!([example(root, &schema["items"], name)]),
        Some("integer") => json!(7),
        Some("number") => json!(0.5),
        Some("boolean") => json!(true),
        _ if schema["format"] == "date-time" || name.starts_with("date_") => json!("2026-01-02T03:04:05Z"),
        _ if name == "direction" => json!("rtl"),
        _ => json!("x"),
    }
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

//! `levada produce --stream articles FILE.gz`: a file of bare articles, loaded with one command.

use std::io::{Read, Write};

use serde_json::{Value, json};

use crate::articles::{article, open, site};
use crate::server::{Server, binary, shared};

fn produce(server: &Server, arguments: &[&str]) -> (Option<i32>, String, String) {
    let out = binary()
        .args(["produce", "--url", &server.url()])
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (out.status.code(), text(out.stdout), text(out.stderr))
}

fn gzip(path: &std::path::Path, lines: &[String]) {
    let file = std::fs::File::create(path).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    for line in lines {
        encoder.write_all(line.as_bytes()).unwrap();
        encoder.write_all(b"\n").unwrap();
    }
    encoder.finish().unwrap();
}

#[test]
fn bare_articles_are_loaded_from_a_compressed_file() {
    let site = site("");
    let server = site.start();
    let path = site.path().join("articles.ndjson.gz");
    let at = path.to_str().unwrap();
    let mut lines: Vec<String> = (0..50).map(|number| article(number, 100).to_string()).collect();
    gzip(&path, &lines);
    let (code, out, err) = produce(&server, &["--stream", "articles", at]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(err.contains("50 events accepted"), "{err}");
    // With the schema named too; an article that is none is told by its line.
    lines.insert(
        1,
        json!({"identifier": 1, "is_part_of": {"identifier": "enwiki"}}).to_string(),
    );
    lines.insert(2, json!({"name": "x", "meta": {"stream": "other"}}).to_string());
    gzip(&path, &lines);
    let (code, out, err) = produce(
        &server,
        &["--stream", "articles", "--schema", "/levada/article/1.0.0", at],
    );
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(
        out.contains("line 2: schema_violation") && out.contains("line 3: other_stream"),
        "{out}"
    );
    assert!(err.contains("50 events accepted, 2 refused"), "{err}");
    let mut stream = open(
        &server,
        &[("accept", "application/x-ndjson")],
        &json!({"since": "2020-01-01T00:00:00Z"}),
    )
    .stream();
    for _ in 0..100 {
        let line: Value = serde_json::from_str(&stream.line().unwrap()).unwrap();
        assert_eq!(line["$schema"], "/levada/article/1.0.0");
        assert!(
            line["event"]["date_published"].is_string() && line["event"]["offset"].is_u64(),
            "{line}"
        );
    }
    // Without the stream the server says what is missing.
    gzip(&path, &lines[..1]);
    let (code, out, _) = produce(&server, &[at]);
    assert!(code == Some(1) && out.contains("$schema"), "{out}");
    let (code, out, _) = produce(&server, &["--stream", "nope", at]);
    assert!(code == Some(1) && out.contains("nope"), "{out}");
}

#[test]
fn the_recorded_articles_are_loaded_and_come_back_whole() {
    let Some(file) = shared()
        .map(|shared| shared.join("articles/articles.ndjson.gz"))
        .filter(|file| file.is_file())
    else {
        println!("skipped the recorded articles: no reference data");
        return;
    };
    let site = site("");
    let server = site.start();
    let (code, out, err) = produce(&server, &["--stream", "articles", file.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{out}{err}");
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(std::fs::File::open(&file).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    let bare = |mut article: Value| {
        let object = article.as_object_mut().unwrap();
        object.remove("meta");
        object.remove("$schema");
        let added = ["partition", "offset", "date_published"];
        match object.get_mut("event").and_then(Value::as_object_mut) {
            Some(event) => added.iter().for_each(|key| drop(event.remove(*key))),
            None => return article,
        }
        if object["event"].as_object().is_some_and(serde_json::Map::is_empty) {
            object.remove("event");
        }
        article
    };
    let key = |article: &Value| {
        format!(
            "{} {}",
            article["is_part_of"]["identifier"], article["identifier"]
        )
    };
    let mut sent: Vec<(String, Value)> = text
        .lines()
        .map(|line| bare(serde_json::from_str(line).unwrap()))
        .map(|article| (key(&article), article))
        .collect();
    let mut stream = open(
        &server,
        &[("accept", "application/x-ndjson")],
        &json!({"since": "2020-01-01T00:00:00Z"}),
    )
    .stream();
    for _ in 0..sent.len() {
        let article = bare(serde_json::from_str(&stream.line().unwrap()).unwrap());
        let found = sent.iter().position(|(_, other)| *other == article);
        let found = found.unwrap_or_else(|| panic!("{} came back otherwise", key(&article)));
        sent.remove(found);
    }
}

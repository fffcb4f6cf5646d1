//! A stream whose topics have other numbers of partitions than it declares: what counts is where the events
//! stand (contract realtime §1.4: parts are all of the partitions, and what is named is read).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::articles::{assert_dense, open, place, publish, site};
use crate::client;
use crate::server::Server;

const ARTICLES: usize = 60;

/// The next offset of every partition.
fn nexts(server: &Server) -> BTreeMap<u64, u64> {
    let text = client::get(server.address, "/v2/articles/positions").text();
    let rows = serde_json::from_str::<Value>(&text).unwrap()["partitions"].clone();
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| (row["partition"].as_u64().unwrap(), row["next"].as_u64().unwrap()))
        .collect()
}

fn read(server: &Server, parameters: &Value, lines: u64) -> Vec<(u64, u64)> {
    let response = open(server, &[("accept", "application/x-ndjson")], parameters);
    let status = response.status;
    assert_eq!(status, 200, "{parameters}");
    let mut stream = response.stream();
    let places = (0..lines).map(|_| {
        loop {
            let line = stream.line().expect("more lines");
            if !line.trim().is_empty() {
                break place(&line);
            }
        }
    });
    places.collect()
}

#[test]
fn parts_and_positions_are_those_of_the_partitions_that_there_are() {
    for (created, declared) in [(13, 2), (2, 13)] {
        let site = site("");
        let streams = std::fs::read_to_string(site.path().join("streams.yaml")).unwrap();
        let declare = |partitions: u32| {
            let text = streams.replace("partitions: 50", &format!("partitions: {partitions}"));
            site.file("streams.yaml", &text);
        };
        declare(created);
        let server = site.start();
        publish(&server, &[], 0..ARTICLES, 10);
        server.stop();
        declare(declared);
        let server = site.start();
        let nexts = nexts(&server);
        assert_eq!(nexts.len(), created as usize);
        let zeros: Value = nexts.keys().map(|p| (p.to_string(), json!(0))).collect();
        let all: Vec<u32> = (0..10).collect();
        for parameters in [
            json!({"offsets": zeros}),
            json!({"offsets": zeros, "parts": all}),
            json!({"since": "2020-01-01T00:00:00Z"}),
        ] {
            let places = read(&server, &parameters, ARTICLES as u64);
            assert_dense(places, &parameters.to_string());
        }
        let last = u64::from(created) - 1;
        let of_last = nexts[&last];
        assert!(of_last > 1, "{nexts:?}");
        let offsets: Value = [(last.to_string(), json!(1))].into_iter().collect();
        let places = read(&server, &json!({ "offsets": offsets }), of_last - 1);
        assert!(
            places.iter().all(|(partition, _)| *partition == last),
            "{places:?}"
        );
    }
}

/// Sixty partitions are more than clients of articles send positions for; as many as there are are taken.
#[test]
fn the_client_comes_back_to_more_partitions_than_are_declared() {
    let site = site("");
    let streams = std::fs::read_to_string(site.path().join("streams.yaml")).unwrap();
    let declare = |partitions: u32| {
        let text = streams.replace("partitions: 50", &format!("partitions: {partitions}"));
        site.file("streams.yaml", &text);
    };
    declare(60);
    let server = site.start();
    publish(&server, &[], 0..ARTICLES, 10);
    server.stop();
    declare(1);
    let server = site.start();
    let file = site.path().join("offsets");
    let tail = || {
        let mut command = crate::server::binary();
        command
            .args(["tail", "articles", "--url", &server.url(), "--timeout", "60s"])
            .args([
                "--since",
                "1h",
                "--connections",
                "10",
                "-n",
                &ARTICLES.to_string(),
            ])
            .args(["--resume", file.to_str().unwrap()]);
        let out = command.output().unwrap();
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(0), "{told}");
        String::from_utf8(out.stdout).unwrap()
    };
    let mut lines = tail();
    publish(&server, &[], ARTICLES..2 * ARTICLES, 10);
    lines += &tail();
    let mut places: Vec<_> = lines.lines().map(place).collect();
    places.sort_unstable();
    assert_eq!(places.len(), 2 * ARTICLES);
    assert_dense(places, "both");
}

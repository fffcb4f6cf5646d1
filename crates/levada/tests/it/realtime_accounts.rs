//! The Realtime API with accounts: ten connections each, and credentials that are no good.

use std::time::Instant;

use serde_json::{Value, json};

use crate::accounts::{ask, done, key, tokens};
use crate::articles::{assert_dense, open, place, publish, site};
use crate::client::{self, PATIENCE};
use crate::server::{Server, Site};

const ARTICLES: usize = 600;

/// Articles, and who may publish and read them: a key, and two users with their headers.
fn start() -> (Site, Server, [String; 3]) {
    let site = site("[auth]\nmode = \"required\"\n");
    for name in ["ann", "bob"] {
        let arguments = ["add", name, "--group", "group_3", "--password-stdin"];
        done(&site, &arguments, "correct horse");
    }
    let key = key(&site, &["m", "--scope", "stream:articles:write"]);
    let server = site.start();
    let bearer = |name: &str| {
        let tokens = tokens(&server, name, "correct horse");
        format!("Bearer {}", tokens["access_token"].as_str().unwrap())
    };
    let who = [key, bearer("ann"), bearer("bob")];
    (site, server, who)
}

#[test]
fn ten_connections_read_what_one_reads_and_the_eleventh_is_told() {
    let (_site, server, [key, ann, bob]) = start();
    publish(&server, &[("x-api-key", &key)], 0..ARTICLES, 50);
    let lines = [("accept", "application/x-ndjson"), ("authorization", &*ann)];
    let since: serde_json::Map<String, Value> = (0..50)
        .map(|partition| (partition.to_string(), json!("2020-01-01T00:00:00Z")))
        .collect();
    // One connection of another account sees everything.
    let bobs = [("accept", "application/x-ndjson"), ("authorization", &*bob)];
    let mut one = open(&server, &bobs, &json!({"since": "2020-01-01T00:00:00Z"})).stream();
    let one: Vec<String> = (0..ARTICLES).map(|_| one.line().unwrap()).collect();
    assert_dense(one.iter().map(|line| place(line)), "one");
    let counts = |part: u64| one.iter().filter(|line| place(line).0 / 5 == part).count();
    // All ten are open at once, and together they see the same bytes.
    let ten: Vec<_> = (0..10_u64)
        .map(|part| {
            open(
                &server,
                &lines,
                &json!({"parts": [part], "since_per_partition": since}),
            )
        })
        .collect();
    let statuses: Vec<u16> = ten.iter().map(|response| response.status).collect();
    assert_eq!(statuses, [200; 10]);
    let eleventh = open(&server, &lines, &json!({}));
    assert_eq!(eleventh.status, 429);
    assert_eq!(eleventh.header("retry-after"), Some("1"));
    let told: Value = serde_json::from_str(&eleventh.text()).unwrap();
    assert!(
        told["status"] == 429 && told["message"].as_str().unwrap().contains("10 connections"),
        "{told}"
    );
    let mut together: Vec<String> = Vec::new();
    let mut streams: Vec<_> = ten.into_iter().map(|response| response.stream()).collect();
    for (part, stream) in streams.iter_mut().enumerate() {
        for _ in 0..counts(part as u64) {
            let line = stream.line().unwrap();
            assert_eq!(place(&line).0 / 5, part as u64, "{line}");
            together.push(line);
        }
    }
    assert_dense(together.iter().map(|line| place(line)), "ten");
    let mut sorted = one.clone();
    sorted.sort();
    together.sort();
    assert!(sorted == together, "the ten see other bytes than the one");
    // What was published while all were open comes to the one that reads its part.
    publish(&server, &[("x-api-key", &key)], 10_000..10_001, 50);
    let line = streams[new_part(&server, &bobs)].line().unwrap();
    assert!(line.contains("\"Page 10000\""), "{line}");
    // A place that is given up is free again, soon.
    streams.pop();
    let begun = Instant::now();
    while open(&server, &lines, &json!({})).status != 200 {
        assert!(begun.elapsed() < PATIENCE, "the place is not free");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn the_streams_of_an_account_count_together_on_all_routes() {
    let site = site("[auth]\nmode = \"required\"\n");
    let key = &*key(&site, &["r", "--scope", "stream:*:read"]);
    let server = site.start();
    let headers = [("x-api-key", key)];
    let open = |path: &str| client::request(server.address, "GET", path, &headers, b"");
    let routes = ["/v2/stream/articles", "/v2/articles", "/v2/streams/articles"];
    let ten: Vec<_> = routes.iter().cycle().take(10).map(|path| open(path)).collect();
    let statuses: Vec<u16> = ten.iter().map(|response| response.status).collect();
    assert_eq!(statuses, [200; 10]);
    for path in routes {
        let eleventh = open(path);
        assert_eq!(eleventh.status, 429, "{path}");
        assert_eq!(eleventh.header("retry-after"), Some("1"), "{path}");
        assert!(
            eleventh.text().contains("this account has 10 connections open"),
            "{path}"
        );
    }
    // A place that is given up is free for every route.
    drop(ten);
    let begun = Instant::now();
    while open("/v2/stream/articles").status != 200 {
        assert!(begun.elapsed() < PATIENCE, "the place is not free");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// The part of the page that was published last.
fn new_part(server: &Server, headers: &[(&str, &str)]) -> usize {
    let filter = json!([{"field": "identifier", "value": 10_000}]);
    let parameters = json!({"since": "2020-01-01T00:00:00Z", "filters": filter});
    let line = open(server, headers, &parameters).stream().line().unwrap();
    place(&line).0 as usize / 5
}

#[test]
fn credentials_that_are_no_good_open_nothing() {
    let (_site, server, [key, ann, _]) = start();
    let at = server.address;
    let cut = &ann[..ann.len() - 3];
    let two_parts = ann.rsplit_once('.').unwrap().0.to_owned();
    let long = format!("Bearer {}", "a".repeat(8000));
    for bad in [
        "Bearer",
        "Bearer ",
        "Bearer garbage",
        "Bearer a.b.c",
        "Basic YW5uOmNvcnJlY3QgaG9yc2U=",
        "bearer",
        cut,
        &two_parts,
        &long,
        // The beginning of a good one does not count, nor does a good one of another kind.
        &format!("{ann} {ann}"),
        &format!("Bearer {}x", &key),
    ] {
        for path in ["/v2/articles", "/v2/articles/positions", "/v2/nope"] {
            let answer = ask(at, "GET", path, &[("authorization", bad)], "");
            assert_eq!(answer.status, 401, "{bad:?} {path}: {answer:?}");
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            assert!(
                body["status"] == 401 && body["message"].is_string(),
                "{bad:?}: {body}"
            );
        }
    }
    // 12: a preflight shows no token and needs none.
    let preflight = ask(
        at,
        "OPTIONS",
        "/v2/articles",
        &[("origin", "http://a.example")],
        "",
    );
    assert_eq!(preflight.status, 204, "{preflight:?}");
    let allowed = "access-control-allow-headers: *, authorization\r\n";
    assert!(preflight.head.contains(allowed), "{preflight:?}");
    // 14: whoever is let in learns that there is nothing, in the same shape; who is not learns nothing.
    let nothing = ask(at, "GET", "/v2/nope", &[("authorization", &ann)], "");
    assert_eq!(
        (nothing.status, nothing.body.as_str()),
        (404, "{\"status\":404,\"message\":\"Not Found\"}\n")
    );
    let stranger = ask(at, "GET", "/v2/nope", &[], "");
    assert_eq!(
        (stranger.status, stranger.body.as_str()),
        (401, "{\"status\":401,\"message\":\"Unauthorized\"}\n")
    );
    // A key that may write may not read.
    let writer = ask(at, "GET", "/v2/articles", &[("x-api-key", &key)], "");
    assert_eq!(writer.status, 403, "{writer:?}");
    let positions = ask(
        at,
        "GET",
        "/v2/articles/positions",
        &[("authorization", &ann)],
        "",
    );
    assert_eq!(positions.status, 200, "{positions:?}");
}

#[test]
fn a_scope_for_either_path_of_articles_opens_both() {
    let site = site("[auth]\nmode = \"required\"\n");
    let paths = ["/v2/articles", "/v2/streams/*", "/v2/streams/other"];
    let keys = paths.map(|path| {
        let name = path.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        key(&site, &[&name, "--scope", &format!("route:GET:{path}")])
    });
    let server = site.start();
    for (key, expected) in keys.iter().zip([200, 200, 403]) {
        for path in ["/v2/articles", "/v2/streams/articles", "/v2/articles/positions"] {
            let headers = [("x-api-key", &**key)];
            let response = client::request(server.address, "GET", path, &headers, b"");
            assert_eq!(response.status, expected, "{path}");
        }
    }
}

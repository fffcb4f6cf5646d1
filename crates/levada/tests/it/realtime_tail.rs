//! `levada tail` over the Realtime API, against a scripted server: what it asks, what it keeps.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::scripted::{Asked, Scripted};
use crate::server::{binary, eventually};

fn line(partition: u32, offset: u64) -> String {
    json!({"name": "x", "event": {"partition": partition, "offset": offset, "date_published": "2026-01-01T00:00:00.5Z"}})
        .to_string()
}

/// A response that ends behind these lines, with heartbeats between them.
fn answer(lines: &[String]) -> String {
    let body: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson; charset=utf-8\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A server that does not tell positions.
fn untold() -> String {
    "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()
}

fn tail(server: &Scripted, arguments: &[&str]) -> Command {
    let mut command = binary();
    command
        .args(["tail", "articles", "--url", &server.url])
        .args(arguments);
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn body(asked: &Asked) -> Value {
    serde_json::from_str(&asked.body).unwrap()
}

fn run(mut command: Command) -> Output {
    command.output().unwrap()
}

#[test]
fn whoever_has_read_enough_may_close_the_pipe() {
    for timeout in ["10s", "300ms"] {
        let server = Scripted::start(vec![untold(), answer(&[line(0, 7)])]);
        let mut command = tail(&server, &["--connections", "1", "--timeout", timeout]);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let out = child.wait_with_output().unwrap();
        assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    }
}

#[test]
fn offsets_are_kept_over_reconnects_and_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offsets");
    let path = file.to_str().unwrap();
    let server = Scripted::start(vec![
        untold(),
        answer(&[line(0, 7), line(3, 1)]),
        answer(&[line(0, 8)]),
        untold(),
        answer(&[line(4, 0)]),
    ]);
    let first = run(tail(
        &server,
        &["--parts", "0", "--resume", path, "-n", "3", "--token", "t0k"],
    ));
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    assert_eq!(
        text(&first.stdout),
        format!("{}\n{}\n{}\n", line(0, 7), line(3, 1), line(0, 8))
    );
    let asked = server.asked();
    let look = &asked[0].head;
    assert!(look.starts_with("GET /v2/articles/positions "), "{look}");
    let head = asked[1].head.to_ascii_lowercase();
    assert!(
        head.starts_with("post /v2/articles ") && head.contains("authorization: bearer t0k"),
        "{head}"
    );
    assert!(head.contains("accept: application/x-ndjson"), "{head}");
    assert_eq!(body(&asked[1]), json!({"parts": [0]}));
    // The second connection goes on behind what the first brought, and quiet partitions from its start.
    let again = body(&asked[2]);
    assert_eq!(again["offsets"], json!({"0": 8, "3": 2}));
    assert_eq!(again["since_per_partition"]["1"], "2026-01-01T00:00:00.000Z");
    assert!(again["since_per_partition"].get("0").is_none());

    // The same query goes on from the file, another is refused.
    let second = run(tail(&server, &["--parts", "0", "--resume", path, "-n", "1"]));
    assert_eq!(second.status.code(), Some(0), "{}", text(&second.stderr));
    assert_eq!(body(&server.asked()[1])["offsets"], json!({"0": 9, "3": 2}));
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let kept: Value = serde_json::from_str(kept["cursor"].as_str().unwrap()).unwrap();
    assert_eq!(
        kept,
        json!({"offsets": {"0": 9, "3": 2, "4": 1}, "since": "2026-01-01T00:00:00.000Z"})
    );
    let other = run(tail(
        &server,
        &["--parts", "0", "--resume", path, "--fields", "name"],
    ));
    assert_eq!(other.status.code(), Some(2));
    assert!(
        text(&other.stderr).contains("another subscription"),
        "{}",
        text(&other.stderr)
    );
}

#[test]
fn refusals_and_lines_without_a_place_end_the_command() {
    let refusal = "HTTP/1.1 422 Unprocessable Entity\r\ncontent-type: application/json\r\ncontent-length: 57\r\n\r\n{\"status\":422,\"message\":\"field with name 'nope' not found\"}";
    let refusal = refusal.replace("57", &refusal.split("\r\n\r\n").nth(1).unwrap().len().to_string());
    let server = Scripted::start(vec![
        untold(),
        refusal,
        untold(),
        answer(&["{\"name\":\"x\"}".to_owned()]),
    ]);
    let refused = run(tail(&server, &["--connections", "1", "--fields", "nope"]));
    assert_eq!(refused.status.code(), Some(4));
    assert!(
        text(&refused.stderr).contains("field with name 'nope' not found"),
        "{}",
        text(&refused.stderr)
    );
    assert_eq!(body(&server.asked()[1])["fields"], json!(["nope", "event.*"]));
    let odd = run(tail(&server, &["--connections", "1"]));
    assert_eq!(odd.status.code(), Some(4));
    assert!(
        text(&odd.stderr).contains("event.partition"),
        "{}",
        text(&odd.stderr)
    );
    let bad = run(tail(&server, &["--connections", "11"]));
    assert_eq!(bad.status.code(), Some(2));
}

#[test]
fn a_login_is_used_and_its_refusal_is_final() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "correct horse\n").unwrap();
    let tokens = r#"{"access_token":"abc","expires_in":86400}"#;
    let login = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{tokens}",
        tokens.len()
    );
    let wrong = r#"{"status":401,"message":"Incorrect username or password."}"#;
    let wrong = format!(
        "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{wrong}",
        wrong.len()
    );
    let server = Scripted::start(vec![login, untold(), answer(&[line(0, 0)]), wrong]);
    let arguments = [
        "--connections",
        "1",
        "-n",
        "1",
        "--username",
        "ann",
        "--password-file",
        password.to_str().unwrap(),
    ];
    let good = run(tail(&server, &arguments));
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stderr));
    let asked = server.asked();
    assert_eq!(
        body(&asked[0]),
        json!({"username": "ann", "password": "correct horse"})
    );
    for asked in &asked[1..=2] {
        let head = asked.head.to_ascii_lowercase();
        assert!(head.contains("authorization: bearer abc"), "{head}");
    }
    let refused = run(tail(&server, &arguments));
    assert_eq!(refused.status.code(), Some(4));
    assert!(
        text(&refused.stderr).contains("Incorrect username or password."),
        "{}",
        text(&refused.stderr)
    );
}

#[test]
fn rate_and_lag_are_shown_and_an_interruption_tells_how_to_go_on() {
    let site = crate::articles::site("");
    let live = site.start();
    crate::articles::publish(&live, &[], 0..20, 10);
    let url = live.url();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offsets");
    let start = |arguments: &[&str]| {
        let said = tempfile::NamedTempFile::new().unwrap();
        let child = binary()
            .args([
                "tail",
                "articles",
                "--url",
                &url,
                "--since",
                "1h",
                "--connections",
                "2",
            ])
            .args(arguments)
            .env("LEVADA_PROGRESS", "1")
            .stdout(Stdio::piped())
            .stderr(said.reopen().unwrap())
            .spawn()
            .unwrap();
        (child, said)
    };
    let cursor = start(&[]);
    let resumed = start(&["--resume", file.to_str().unwrap()]);
    let interrupt = |(child, said): (std::process::Child, tempfile::NamedTempFile)| {
        let said = || std::fs::read_to_string(said.path()).unwrap();
        // Rates are shown every five seconds.
        eventually("the rate is shown", || said().contains("20 events, "));
        let id = child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", "INT", &id])
                .status()
                .unwrap()
                .success()
        );
        let out = child.wait_with_output().unwrap();
        assert_eq!(text(&out.stdout).lines().count(), 20);
        (out.status.code(), said())
    };
    let (code, said) = interrupt(cursor);
    assert_eq!(code, Some(130), "{said}");
    let shown = said
        .lines()
        .find(|line| line.contains("20 events, "))
        .unwrap_or_else(|| panic!("{said}"));
    assert!(shown.contains("/s, ") && shown.ends_with(" s behind"), "{shown}");
    let kept = said
        .split("--cursor '")
        .nth(1)
        .and_then(|rest| rest.split('\'').next());
    let kept = kept.unwrap_or_else(|| panic!("no hint: {said}"));
    let (code, said) = interrupt(resumed);
    assert_eq!(code, Some(130), "{said}");
    assert!(
        said.contains("the offsets are in ") && said.contains("the same command goes on"),
        "{said}"
    );
    // Both go on exactly there.
    crate::articles::publish(&live, &[], 20..25, 10);
    for arguments in [["--cursor", kept], ["--resume", file.to_str().unwrap()]] {
        let mut command = binary();
        command
            .args(["tail", "articles", "--url", &url, "--connections", "3", "-n", "5"])
            .args(arguments);
        let out = run(command);
        let mut names: Vec<String> = text(&out.stdout)
            .lines()
            .map(|line| {
                serde_json::from_str::<Value>(line).unwrap()["name"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        names.sort();
        let expected: Vec<String> = (20..25).map(|number| format!("Page {number}")).collect();
        assert_eq!(names, expected, "{arguments:?}: {}", text(&out.stderr));
    }
}

#[test]
fn other_streams_are_read_too_and_quiet_partitions_lose_nothing() {
    let site = crate::server::Site::new(
        "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n",
    );
    let streams = "streams:\n  edits: {schema_title: test, message_key_fields: {page: page}, levada: {partitions: 4}}\n";
    site.file("streams.yaml", streams);
    let schema = "title: test\n$id: /test/1.0.0\ntype: object\nproperties:\n  meta: {type: object, properties: {id: {type: string}, dt: {type: string}}}\n  page: {type: integer}\n";
    site.file("schemas/test/1.0.0", schema);
    let live = site.start();
    let publish = |pages: std::ops::Range<u32>| {
        // All of them older than anything that resumes by time would look for.
        let event = |page| json!({"page": page, "meta": {"dt": "2019-01-01T00:00:00Z"}});
        let events: Vec<Value> = pages.map(event).collect();
        let headers = [("content-type", "application/json")];
        let target = "/v1/events?stream=edits";
        let answer = crate::client::request(
            live.address,
            "POST",
            target,
            &headers,
            json!(events).to_string().as_bytes(),
        );
        assert_eq!(answer.status, 201);
    };
    publish(0..10);
    let file = site.path().join("offsets");
    let tail = |arguments: &[&str]| {
        let mut command = binary();
        command
            .args([
                "tail",
                "edits",
                "--url",
                &live.url(),
                "--timeout",
                "60s",
                "--fields",
                "page",
            ])
            .args(["--resume", file.to_str().unwrap()])
            .args(arguments);
        command
    };
    // From now on, over two connections.
    let mut first = tail(&["--connections", "2", "-n", "1"]);
    let first = first
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let begun = std::time::Instant::now();
    while live.metric("levada_delivery_sessions_open") < 2 {
        assert!(begun.elapsed() < crate::client::PATIENCE);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    publish(10..11);
    let out = first.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let line: Value = serde_json::from_str(text(&out.stdout).trim()).unwrap();
    assert!(line["page"] == 10 && line["meta"]["offset"].is_u64(), "{line}");
    // What came while nobody read, in partitions of which nothing was ever seen.
    publish(11..31);
    let again = run(tail(&["--connections", "3", "-n", "20"]));
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    let mut pages: Vec<u64> = text(&again.stdout)
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["page"]
                .as_u64()
                .unwrap()
        })
        .collect();
    pages.sort_unstable();
    assert_eq!(pages, (11..31).collect::<Vec<u64>>());
}

#[test]
fn a_log_that_was_wiped_is_noticed_and_read_from_its_beginning() {
    let site = crate::articles::site("");
    let live = site.start();
    let file = site.path().join("offsets");
    let tail = |live: &crate::server::Server, count: &str| {
        let mut command = binary();
        command
            .args(["tail", "articles", "--url", &live.url(), "--timeout", "60s"])
            .args(["--since", "1h", "--connections", "2", "-n", count])
            .args(["--resume", file.to_str().unwrap()]);
        run(command)
    };
    crate::articles::publish(&live, &[], 0..60, 10);
    let first = tail(&live, "60");
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    assert!(live.stop().success());
    std::fs::remove_dir_all(site.path().join("data")).unwrap();
    // In the new log there is more in every partition than in the old one.
    let live = site.start();
    crate::articles::publish(&live, &[], 0..200, 10);
    let second = tail(&live, "200");
    let said = text(&second.stderr);
    assert_eq!(second.status.code(), Some(0), "{said}");
    assert!(
        said.contains("the offsets are of another log (") && said.contains("its data was replaced"),
        "{said}"
    );
    let lines = text(&second.stdout).lines();
    crate::articles::assert_dense(lines.map(crate::articles::place), "the second tail");
    // The file has the new log's offsets now.
    crate::articles::publish(&live, &[], 200..210, 10);
    let third = tail(&live, "10");
    let said = text(&third.stderr);
    assert!(third.status.success() && !said.contains("another log"), "{said}");
    let pages = text(&third.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut pages: Vec<u64> = pages.map(|page| page["identifier"].as_u64().unwrap()).collect();
    pages.sort_unstable();
    assert_eq!(pages, (200..210).collect::<Vec<u64>>());
}

/// What a filter leaves out counts as read: offsets move on, and nothing is reported as lost later.
#[test]
fn partitions_in_which_nothing_matches_move_on() {
    let site = crate::articles::site("[streams]\nheartbeat = \"1s\"\n");
    let live = site.start();
    let file = site.path().join("offsets");
    let mut command = binary();
    command
        .args(["tail", "articles", "--url", &live.url(), "--timeout", "90s"])
        .args(["--connections", "1", "--since", "1h"])
        .args(["--filter", "is_part_of.identifier:tinywiki"])
        .args(["--resume", file.to_str().unwrap()]);
    let mut child = command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    crate::server::eventually("the connection stands", || {
        live.metric("levada_delivery_sessions_open") == 1
    });
    crate::articles::publish(&live, &[], 0..60, 10);
    let told = crate::client::get(live.address, "/v2/articles/positions").text();
    let told: Value = serde_json::from_str(&told).unwrap();
    let ends: std::collections::BTreeMap<String, u64> = told["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["partition"].to_string(), row["next"].as_u64().unwrap()))
        .collect();
    assert_eq!(ends.values().sum::<u64>(), 60);
    crate::server::eventually("the offsets are behind what was left out", || {
        let Ok(kept) = std::fs::read_to_string(&file) else {
            return false;
        };
        let kept: Value = serde_json::from_str(&kept).unwrap();
        let text = kept.to_string();
        let position = ["cursor", "position"].iter().find_map(|key| kept[key].as_str());
        let position: Value = serde_json::from_str(position.unwrap_or(&text)).unwrap();
        ends.iter()
            .filter(|(_, next)| **next > 0)
            .all(|(partition, next)| position["offsets"][partition] == json!(next))
    });
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_refusal_in_the_end_loses_neither_events_nor_the_place() {
    let refusal = || crate::scripted::response(403, r#"{"status":403,"message":"no longer yours"}"#);
    let script = || vec![untold(), answer(&[line(0, 7), line(3, 1)]), refusal()];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offsets");
    let server = Scripted::start(script());
    let resumed = run(tail(
        &server,
        &["--parts", "0", "--resume", file.to_str().unwrap()],
    ));
    let server = Scripted::start(script());
    let bare = run(tail(&server, &["--parts", "0"]));
    for out in [&resumed, &bare] {
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(4), "{said}");
        assert!(said.contains("no longer yours"), "{said}");
        assert_eq!(text(&out.stdout), format!("{}\n{}\n", line(0, 7), line(3, 1)));
    }
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert!(
        kept["cursor"].as_str().unwrap().contains(r#"{"0":8,"3":2}"#),
        "{kept}"
    );
    let said = text(&bare.stderr);
    assert!(
        said.contains("--cursor '{\"offsets\":{\"0\":8,\"3\":2}"),
        "{said}"
    );

    // The same over EventStreams; and who is refused at once has no place to be told.
    let ended = || vec![crate::scripted::stream(&crate::scripted::frame(1)), refusal()];
    for (script, place) in [(ended(), true), (vec![refusal()], false)] {
        let server = Scripted::start(script);
        let out = run({
            let mut command = binary();
            command.args(["tail", "a", "--url", &server.url]);
            command
        });
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(4), "{said}");
        assert_eq!(said.contains("--cursor '[{\"n\":1}]'"), place, "{said}");
        assert_eq!(text(&out.stdout).lines().count(), usize::from(place));
    }
}

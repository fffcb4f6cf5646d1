//! The client's commands from outside: arguments, input formats, output, exit codes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::scripted::{Scripted, frame, response, stream};

fn levada() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_levada"));
    for name in ["LEVADA_URL", "LEVADA_TOKEN", "LEVADA_LOG"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    levada().args(args).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An address where nobody listens: no other test takes ports of this one.
const NOBODY: &str = "127.0.0.9:9";

fn file(dir: &Path, name: &str, bytes: &[u8]) -> String {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

#[test]
fn usage_faults_are_code_2_and_say_what_to_write() {
    for (args, part) in [
        (&[][..], "Usage"),
        (&["frobnicate"], "frobnicate"),
        (&["produce"], "FILE"),
        (&["produce", "-", "--batch", "0"], "1..=10000"),
        (&["produce", "-", "--deadline", "soon"], "30s"),
        (&["produce", "-", "--url", "ftp://x"], "http"),
        (&["tail"], "STREAM"),
        (&["tail", "a", "--since", "yesterday"], "earliest"),
        (&["tail", "a", "--filter", "nocolon"], "path:value"),
        (&["tail", "a", "--fields", "a,,b"], "--fields"),
        (&["tail", "a", "--count", "0"], "0"),
        (
            &["tail", "a", "--resume", "x", "--cursor", "y"],
            "cannot be used with",
        ),
        (&["streams"], "list"),
        (&["completions", "tcsh-like"], "bash"),
    ] {
        let output = run(args);
        assert_eq!(code(&output), 2, "{args:?} {}", err(&output));
        assert!(err(&output).contains(part), "{args:?} {}", err(&output));
        assert_eq!(out(&output), "", "{args:?}");
    }
}

#[test]
fn help_lists_the_exit_codes() {
    let output = run(&["--help"]);
    assert_eq!(code(&output), 0);
    assert!(out(&output).contains("130  interrupted"));
    assert!(out(&run(&["--version"])).starts_with("levada "));
}

#[test]
fn completions_are_printed() {
    for shell in ["bash", "fish", "zsh"] {
        let output = run(&["completions", shell]);
        assert_eq!(code(&output), 0);
        assert!(out(&output).contains("produce"), "{shell}");
    }
}

#[test]
fn accepted_events_are_code_0() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "events", b"{\"n\":1}\n\n{\"n\":12345678901234567890}");
    let server = Scripted::start(vec![response(201, "")]);
    let output = run(&["produce", &path, "--url", &server.url]);
    assert_eq!(
        (code(&output), out(&output)),
        (0, String::new()),
        "{}",
        err(&output)
    );
    assert!(
        err(&output).contains("2 events accepted, 0 refused"),
        "{}",
        err(&output)
    );
    let asked = server.asked();
    assert!(asked[0].head.starts_with("POST /v1/events HTTP/1.1"), "{asked:?}");
    assert_eq!(asked[0].body, "[{\"n\":1},{\"n\":12345678901234567890}]");
}

#[test]
fn standard_input_and_arrays_and_hasty() {
    let server = Scripted::start(vec![response(202, "")]);
    let mut child = levada()
        .args([
            "produce",
            "-",
            "--url",
            &server.url,
            "--hasty",
            "--quiet",
            "--token",
            "t",
        ])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"[\n {\"a\":[1]},\n {\"b\":\"]\"}\n]\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), err(&output)), (0, String::new()));
    let asked = server.asked();
    assert!(
        asked[0].head.starts_with("POST /v1/events?hasty=true "),
        "{asked:?}"
    );
    assert!(
        asked[0]
            .head
            .to_ascii_lowercase()
            .contains("authorization: bearer t\r\n"),
        "{asked:?}"
    );
    assert_eq!(asked[0].body, "[{\"a\":[1]},{\"b\":\"]\"}]");
}

#[test]
fn compressed_files_are_recognised() {
    let text = b"{\"a\":1}\n{\"a\":2}\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&text[..8]).unwrap();
    let mut members = gzip.finish().unwrap();
    let mut second = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    second.write_all(&text[8..]).unwrap();
    members.extend(second.finish().unwrap());
    let zstd = zstd::stream::encode_all(&text[..], 1).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for bytes in [members, zstd] {
        let path = file(dir.path(), "events", &bytes);
        let server = Scripted::start(vec![response(201, "")]);
        let output = run(&["produce", &path, "--url", &server.url]);
        assert_eq!(code(&output), 0, "{}", err(&output));
        assert_eq!(server.asked()[0].body, "[{\"a\":1},{\"a\":2}]");
    }
    let path = file(dir.path(), "events", &[0x1f, 0x8b, 8, 0, 1, 2, 3]);
    let output = run(&["produce", &path, "--url", NOBODY]);
    assert_eq!(code(&output), 6, "{}", err(&output));
}

#[test]
fn refused_events_are_printed_and_code_1() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(
        dir.path(),
        "events",
        b"{\"meta\":{\"stream\":\"s\"},\"n\":1}\n{\"broken\":\n{\"meta\":{\"stream\":\"t\"}}\n{\"meta\":{\"stream\":\"s\"},\"n\":4}\n",
    );
    let report = r#"{"invalid":[{"status":"invalid","index":1,"code":"schema_violation","event":{},"context":{"errors":[],"errorsText":"'.n' should\n be 1"}}],"error":[]}"#;
    let server = Scripted::start(vec![response(207, report)]);
    let output = run(&["produce", &path, "--url", &server.url, "--stream", "s"]);
    assert_eq!(code(&output), 1, "{}", err(&output));
    assert_eq!(
        out(&output),
        "line 2: malformed_json: unexpected end of JSON at byte 10\n\
         line 3: other_stream: meta.stream is \"t\", not \"s\"\n\
         line 4: schema_violation: '.n' should  be 1\n"
    );
    assert!(
        err(&output).contains("1 events accepted, 3 refused"),
        "{}",
        err(&output)
    );
}

#[test]
fn batches_keep_the_order_of_the_file() {
    let server = Scripted::start(vec![response(201, ""); 3]);
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "events", b"1\n2\n3\n4\n5\n");
    let output = run(&["produce", &path, "--url", &server.url, "--batch", "2"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let bodies: Vec<_> = server.asked().into_iter().map(|asked| asked.body).collect();
    assert_eq!(bodies, ["[1,2]", "[3,4]", "[5]"]);
}

#[test]
fn produce_tells_what_is_stored_behind_the_line_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "events", b"{}\n{}\n{}\n");
    let away = |code: &str| {
        format!(r#"{{"invalid":[],"error":[{{"index":0,"code":"{code}","context":{{"message":"m"}}}}]}}"#)
    };
    for (code, itself) in [
        ("storage_unavailable", "was not stored"),
        ("outcome_unknown", "may be stored"),
    ] {
        let server = Scripted::start(vec![response(207, &away(code)); 50]);
        let output = run(&["produce", &path, "--url", &server.url, "--deadline", "1s"]);
        let said = err(&output);
        assert!(said.contains("2 events accepted, 0 refused"), "{said}");
        let told = format!(
            "the event of that line {itself}; of those behind it 2 were accepted, the last at line 3"
        );
        assert!(
            said.contains("stopped at line 1: ") && said.contains(&told),
            "{said}"
        );
    }
    let server = Scripted::start(vec![response(503, "busy"); 50]);
    let output = run(&["produce", &path, "--url", &server.url, "--deadline", "1s"]);
    assert!(err(&output).contains("stopped at line 1"), "{}", err(&output));
    assert!(!err(&output).contains("accepted, the last"), "{}", err(&output));
}

#[test]
fn produce_stops_where_it_cannot_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "events", b"{}\n{}\n{}\n");
    let problem = r#"{"status":401,"type":"unauthorized","title":"t","detail":"no token","method":"POST","uri":"/","code":"unauthorized"}"#;
    let server = Scripted::start(vec![response(201, ""), response(401, problem)]);
    let output = run(&["produce", &path, "--url", &server.url, "--batch", "1"]);
    assert_eq!(code(&output), 4);
    assert!(
        err(&output).contains("stopped at line 2: unauthorized: no token"),
        "{}",
        err(&output)
    );

    let output = run(&["produce", &path, "--url", NOBODY, "--deadline", "10ms"]);
    assert_eq!(code(&output), 3);
    assert!(
        err(&output).contains("stopped at line 1: unreachable"),
        "{}",
        err(&output)
    );

    let output = run(&["produce", &dir.path().join("none").display().to_string()]);
    assert_eq!(code(&output), 6);
    assert!(err(&output).contains("none"), "{}", err(&output));
}

#[test]
fn tail_prints_as_many_events_as_asked_for() {
    let frames: String = (1..=3).map(frame).collect();
    let server = Scripted::start(vec![stream(&frames)]);
    let output = run(&[
        "tail",
        "a",
        "b,c",
        "--url",
        &server.url,
        "--count",
        "2",
        "--since",
        "2017-07-14T02:40:01Z",
        "--filter",
        "meta.domain:x y",
        "--fields",
        "n,meta.*",
    ]);
    assert_eq!(
        (code(&output), out(&output)),
        (0, "{\"n\": 1}\n{\"n\": 2}\n".to_owned()),
        "{}",
        err(&output)
    );
    let head = &server.asked()[0].head;
    let line = "GET /v2/stream/a,b,c?since=2017-07-14T02:40:01.000Z&canary=false&filter=meta.domain:x%20y&fields=n,meta.* HTTP/1.1";
    assert!(head.starts_with(line), "{head}");

    let server = Scripted::start(vec![stream(&frame(1))]);
    let output = run(&[
        "tail",
        "a",
        "--url",
        &server.url,
        "-n",
        "1",
        "--canary",
        "-o",
        "pretty",
    ]);
    assert_eq!(out(&output), "{\n  \"n\": 1\n}\n");
    assert!(server.asked()[0].head.starts_with("GET /v2/stream/a HTTP/1.1"));
}

#[test]
fn tail_says_why_it_cannot_begin() {
    let problem = r#"{"status":400,"type":"not_found","title":"Stream Not Found","detail":"Invalid streams: zzz","method":"GET","uri":"/"}"#;
    let server = Scripted::start(vec![response(400, problem)]);
    let output = run(&["tail", "zzz", "--url", &server.url]);
    assert_eq!(code(&output), 4);
    assert_eq!(err(&output), "levada: Stream Not Found: Invalid streams: zzz\n");

    let output = run(&["tail", "a", "--url", NOBODY]);
    assert_eq!(code(&output), 3);
    assert!(
        err(&output).contains("gave up after 4 attempts"),
        "{}",
        err(&output)
    );
}

#[test]
fn missing_events_are_code_5() {
    let gap = ": gap {\"topic\":\"t\",\"partition\":0,\"reason\":\"expired\",\"asked\":3,\"resumed\":9}\n\n";
    let server = Scripted::start(vec![stream(&format!("{gap}{}", frame(1)))]);
    let output = run(&["tail", "a", "--url", &server.url, "--count", "1"]);
    assert_eq!(code(&output), 5);
    assert_eq!(
        err(&output),
        "levada: t/0: events from offset 3 to 9 are no longer kept\n"
    );
    assert_eq!(out(&output), "{\"n\": 1}\n");

    // Where the log was replaced, a partition from which nothing had come goes on at its end.
    let gap = ": gap {\"topic\":\"t\",\"partition\":0,\"reason\":\"foreign_log\",\"resumed\":9}\n\n";
    let server = Scripted::start(vec![stream(&format!("{gap}{}", frame(1)))]);
    let output = run(&["tail", "a", "--url", &server.url, "--count", "1"]);
    assert_eq!(code(&output), 5);
    assert!(err(&output).contains("another log"), "{}", err(&output));

    let silent = |socket: &mut TcpStream| {
        socket.write_all(stream("").as_bytes())?;
        // Until the client goes.
        socket.read(&mut [0]).map(|_| ())
    };
    let server = Scripted::start_with([silent]);
    let output = run(&[
        "tail",
        "a",
        "--url",
        &server.url,
        "--count",
        "1",
        "--timeout",
        "200ms",
    ]);
    assert_eq!(code(&output), 5, "{}", err(&output));
    let server = Scripted::start_with([silent]);
    let output = run(&["tail", "a", "--url", &server.url, "--timeout", "200ms"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
}

#[test]
fn tail_resumes_from_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let resume = dir.path().join("resume.json").display().to_string();
    let tail = |server: &Scripted, stream: &str| {
        run(&[
            "tail",
            stream,
            "--url",
            &server.url,
            "--count",
            "2",
            "--since",
            "2h",
            "--resume",
            &resume,
        ])
    };
    let server = Scripted::start(vec![stream(&(1..=3).map(frame).collect::<String>())]);
    assert_eq!(out(&tail(&server, "a")), "{\"n\": 1}\n{\"n\": 2}\n");
    assert!(server.asked()[0].head.contains("since="));

    let server = Scripted::start(vec![stream(&(3..=4).map(frame).collect::<String>())]);
    assert_eq!(out(&tail(&server, "a")), "{\"n\": 3}\n{\"n\": 4}\n");
    let head = &server.asked()[0].head;
    assert!(
        head.contains("last-event-id: [{\"n\":2}]\r\n") && !head.contains("since="),
        "{head}"
    );

    let output = tail(&server, "b");
    assert_eq!(code(&output), 2);
    assert!(
        err(&output).contains("belongs to another subscription"),
        "{}",
        err(&output)
    );
}

/// A server that sends one event and then nothing, and a tail that printed it.
fn waiting_tail(args: &[&str]) -> (Scripted, Child, BufReader<std::process::ChildStdout>) {
    let server = Scripted::start_with([|socket: &mut TcpStream| {
        socket.write_all(stream(&frame(1)).as_bytes())?;
        socket.read(&mut [0]).map(|_| ())
    }]);
    let mut child = levada()
        .args(["tail", "a", "--url", &server.url])
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "{\"n\": 1}\n");
    (server, child, stdout)
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

#[test]
fn an_interrupted_tail_tells_how_to_go_on() {
    let (_server, child, _stdout) = waiting_tail(&[]);
    signal(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 130);
    assert_eq!(
        err(&output),
        "levada: to go on exactly here, add --cursor '[{\"n\":1}]'\n"
    );

    let dir = tempfile::tempdir().unwrap();
    let resume = dir.path().join("resume.json").display().to_string();
    let (_server, child, _stdout) = waiting_tail(&["--resume", &resume]);
    signal(&child, "-TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 130);
    assert!(
        err(&output).contains("the same command goes on from it"),
        "{}",
        err(&output)
    );
    assert!(
        std::fs::read_to_string(&resume)
            .unwrap()
            .contains(r#""cursor": "[{\"n\":1}]""#)
    );
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let server = Scripted::start_with([|socket: &mut TcpStream| {
        socket.write_all(stream("").as_bytes())?;
        // Until the client has noticed and gone.
        (1..).try_for_each(|n| socket.write_all(frame(n).as_bytes()))
    }]);
    let mut child = levada()
        .args(["tail", "a", "--url", &server.url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), err(&output)), (0, String::new()));
}

#[test]
fn streams_are_listed_and_shown() {
    let body = r#"{"streams":{"b":{"stream":"b","schema_title":"x/y","topics":["t.b"]},"a":{"stream":"a"}}}"#;
    let server = Scripted::start(vec![response(200, body); 3]);
    let output = run(&["streams", "list", "--url", &server.url]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(out(&output).contains("b       x/y     1"), "{}", out(&output));
    assert_eq!(
        out(&run(&["streams", "list", "--url", &server.url, "-o", "names"])),
        "b\na\n"
    );
    let output = run(&["streams", "show", "b", "--url", &server.url]);
    assert!(
        out(&output).contains("  \"schema_title\": \"x/y\""),
        "{}",
        out(&output)
    );
    let heads: Vec<_> = server.asked().into_iter().map(|asked| asked.head).collect();
    assert!(
        heads[0].starts_with("GET /w/api.php?action=streamconfigs&"),
        "{heads:?}"
    );
    assert!(heads[2].contains("&streams=b "), "{heads:?}");

    let server = Scripted::start(vec![response(200, r#"{"streams":[]}"#), response(503, "{}")]);
    assert_eq!(code(&run(&["streams", "show", "zzz", "--url", &server.url])), 1);
    assert_eq!(code(&run(&["streams", "list", "--url", &server.url])), 3);
    assert_eq!(code(&run(&["streams", "list", "--url", NOBODY])), 3);
}

#[test]
fn declared_streams_are_checked_without_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let schemas = dir.path().join("schemas");
    let title = schemas.join("x/y");
    std::fs::create_dir_all(&title).unwrap();
    let schema = r#"{"title":"x/y","$id":"/x/y/1.0.0","$schema":"https://json-schema.org/draft-07/schema#","type":"object",
        "properties":{"$schema":{"type":"string"},"meta":{"type":"object","properties":{"stream":{"type":"string"}}}}}"#;
    file(&title, "1.0.0.json", schema.as_bytes());
    file(&title, "latest", schema.as_bytes());
    let streams = file(
        dir.path(),
        "streams.yaml",
        b"streams:\n  a: {schema_title: x/y}\n  b: {schema_title: none/such}\n",
    );
    let config = file(
        dir.path(),
        "levada.toml",
        format!(
            "[catalog]\nstream_config = [{streams:?}]\nschema_base_uris = [{:?}]\n",
            schemas.display().to_string()
        )
        .as_bytes(),
    );
    let output = run(&["streams", "list", "--config", &config, "-o", "names"]);
    assert_eq!(
        (code(&output), out(&output)),
        (0, "a\nb\n".to_owned()),
        "{}",
        err(&output)
    );
    let output = run(&["streams", "show", "a", "--config", &config]);
    assert!(
        out(&output).contains("\"schema_title\": \"x/y\""),
        "{}",
        out(&output)
    );
    let output = run(&["streams", "check", "--config", &config]);
    assert_eq!(code(&output), 1, "{}{}", out(&output), err(&output));
    assert!(
        out(&output).contains("b: ") && out(&output).contains("2 streams"),
        "{}",
        out(&output)
    );
    let output = run(&[
        "streams",
        "check",
        "--config",
        &dir.path().join("none.toml").display().to_string(),
    ]);
    assert_eq!(code(&output), 78, "{}", err(&output));
}

#[test]
fn config_check_looks_at_the_files_it_names() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().display().to_string();
    let config = file(
        dir.path(),
        "levada.toml",
        format!(
            "[catalog]\nstream_config = [\"{at}/streams.yaml\"]\nschema_base_uris = [\"{at}/schemas\"]\n"
        )
        .as_bytes(),
    );
    let check = || run(&["config", "check", "--config", &config]);
    let output = check();
    assert_eq!(code(&output), 78);
    let said = err(&output);
    for part in [
        &*format!(
            "levada: {config}:2: `catalog.stream_config`: {at}/streams.yaml does not exist; name a YAML or JSON file"
        ),
        &*format!(
            "levada: {config}:3: `catalog.schema_base_uris`: {at}/schemas does not exist; name the folder"
        ),
    ] {
        assert!(said.contains(part), "{said}");
    }
    // There, but not what it should be.
    file(dir.path(), "schemas", b"");
    file(dir.path(), "streams.yaml", b"streams: {a: [");
    let said = err(&check());
    assert!(said.contains("schemas is a file; name the folder"), "{said}");
    assert!(said.contains("streams.yaml: "), "{said}");
    file(dir.path(), "streams.yaml", b"streams: {}");
    assert!(err(&check()).contains("declare no stream"), "{}", err(&check()));
    std::fs::remove_file(dir.path().join("schemas")).unwrap();
    std::fs::create_dir(dir.path().join("schemas")).unwrap();
    // A server with no stream left would not start.
    file(dir.path(), "streams.yaml", b"streams: {a: {schema_title: 5}}");
    let output = check();
    assert_eq!(code(&output), 78, "{}", out(&output));
    assert!(err(&output).contains("schema_title"), "{}", err(&output));
    file(dir.path(), "streams.yaml", b"streams: {a: {schema_title: x}}");
    let output = check();
    assert_eq!(
        (code(&output), &*out(&output)),
        (0, "the configuration is in order\n")
    );
}

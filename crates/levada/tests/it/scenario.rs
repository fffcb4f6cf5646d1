//! Scenarios: transcripts of requests, responses and streams as YAML files, run against the binary.
//!
//! A file has `config` (lines of levada.toml, `@` stands for the folder), `files` (put into the
//! folder), `topics_exist` and `steps`, each with a `case` that names what it shows and one of:
//! `send` (a request) with `expect`; `open` (a stream, under a name) with `expect`; `read` (of a named
//! stream); `close` (of a named stream); `restart` (`kill` or `stop`). The fields are those of the
//! types below. A step with `until: true` is tried again until it holds: for what the server may only
//! notice a little later, such as a client that went away.
//!
//! A header value that is `$name` stands for the id that a `read` saved under this name.
//!
//! Texts match exactly; `~text` is a part, `^pattern` matches the whole with `*` for anything.
//! Expected JSON (`has`) matches partially: objects may have more entries; arrays have equal lengths;
//! a string `~text` is any string (or number, as text) with that text in it, `*` is anything, and the
//! string `!absent` means that there is no such entry.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use levada_kafka_broker::{Broker, REMOVES_NOTHING};
use serde::Deserialize;
use serde_json::Value;

use crate::client::{self, Response, Stream};
use crate::kafka;
use crate::server::{Server, Site};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    #[serde(default)]
    config: String,
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// The declared topics exist from the beginning, whatever the log. Kafka knows topics that do not,
    /// where the other logs make them for their first reader.
    #[serde(default)]
    topics_exist: bool,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    case: String,
    send: Option<Send>,
    open: Option<Open>,
    read: Option<Read>,
    close: Option<String>,
    restart: Option<String>,
    expect: Option<Expect>,
    #[serde(default)]
    until: bool,
}

/// A request. The body is `body` (text) or `json`, optionally compressed or in another charset.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Send {
    #[serde(default)]
    method: Option<String>,
    target: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    json: Option<Value>,
    /// The body as hexadecimal bytes.
    hex: Option<String>,
    /// `gzip`, `deflate`, `zstd` or `utf-16le`.
    encode: Option<String>,
    /// The body is this many copies of itself.
    #[serde(default)]
    repeat: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Open {
    stream: String,
    target: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// POST where there is a body, unless said otherwise.
    method: Option<String>,
    body: Option<String>,
    json: Option<Value>,
}

/// What a response is like.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Expect {
    status: u16,
    reason: Option<String>,
    /// Exact values; `~text` is a part of the value, `!absent` no such header.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The whole body.
    body: Option<String>,
    /// Texts that the body has.
    #[serde(default)]
    contains: Vec<String>,
    /// The whole body as JSON, exactly.
    json: Option<Value>,
    /// The body as JSON, partially.
    has: Option<Value>,
    /// The keys of the body's object, in this order.
    keys: Option<Vec<String>>,
}

/// What comes next on a stream.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    stream: String,
    /// Exactly these bytes.
    bytes: Option<String>,
    /// Frames with events, each matching partially; other frames in between are skipped.
    #[serde(default)]
    events: Vec<Value>,
    /// Frames with events as for `events`, each by parts of its data as text: what JSON values hide,
    /// such as the order of keys and the way a number is written.
    #[serde(default)]
    texts: Vec<Vec<String>>,
    /// Lines of NDJSON, each matching partially.
    #[serde(default)]
    lines: Vec<Value>,
    /// Lines of NDJSON in whatever order, each matching one of these and each of these matched.
    #[serde(default)]
    any_order: Vec<Value>,
    /// The `id` of the last frame read by `events`, partially.
    id: Option<Value>,
    /// The text of the `data` of the last frame read by `events`.
    data: Option<String>,
    /// The name under which the text of the `id` of the last frame is kept.
    save: Option<String>,
    /// The next frames, each by its lines; heartbeats are no frames.
    frame: Option<Vec<String>>,
    /// The end of the stream.
    #[serde(default)]
    end: bool,
}

/// Runs all scenario files.
#[test]
fn scenarios() {
    run_all(&[], || ());
}

/// Runs all scenario files on servers whose log is Kafka. They share names of streams, so the test has
/// a broker of its own and empties it behind each of them. Many events are dated years ago.
#[test]
fn scenarios_on_kafka() {
    let Some(jars) = levada_kafka_broker::jars("scenarios_on_kafka") else {
        return;
    };
    let broker = Broker::start(&jars, REMOVES_NOTHING).unwrap();
    run_all(&kafka::flags(&broker.address()), || {
        kafka::delete_topics(&broker.address());
    });
}

/// Runs each file with `flags` for its servers, and `after` behind it.
fn run_all(flags: &[String], after: impl Fn()) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "yaml"));
    files.sort();
    assert!(!files.is_empty(), "there are scenarios");
    let only = std::env::var("SCENARIO").unwrap_or_default();
    let mut failed = Vec::new();
    for path in files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if !name.contains(&only) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let scenario: Scenario = serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let faults = run(&scenario, flags);
        println!("{name}: {} steps, {} failed", scenario.steps.len(), faults.len());
        failed.extend(faults.into_iter().map(|fault| format!("{name}: {fault}")));
        after();
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn run(scenario: &Scenario, flags: &[String]) -> Vec<String> {
    let site = Site::new(&scenario.config).with_flags(flags);
    for (name, text) in &scenario.files {
        site.file(name, text);
    }
    if scenario.topics_exist && !flags.is_empty() {
        kafka::create_topics(&site, flags);
    }
    let mut server = Some(site.start());
    let mut streams: HashMap<String, Stream> = HashMap::new();
    let mut saved: HashMap<String, String> = HashMap::new();
    let mut faults = Vec::new();
    for step in &scenario.steps {
        let began = Instant::now();
        let outcome = loop {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                perform(step, &site, &mut server, &mut streams, &mut saved);
            }));
            if outcome.is_ok() || !step.until || began.elapsed() > client::PATIENCE {
                break outcome;
            }
            std::thread::yield_now();
        };
        if let Err(panic) = outcome {
            let why = panic.downcast_ref::<String>().cloned();
            let why = why.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            faults.push(format!("{}: {}", step.case, why.unwrap_or_default()));
        }
    }
    if !faults.is_empty() && std::env::var_os("SCENARIO_LOG").is_some() {
        println!("{}", server.map(|s| s.log()).unwrap_or_default());
    }
    faults
}

fn perform(
    step: &Step,
    site: &Site,
    server: &mut Option<Server>,
    streams: &mut HashMap<String, Stream>,
    saved: &mut HashMap<String, String>,
) {
    if let Some(how) = &step.restart {
        streams.clear();
        match (server.take().unwrap(), how.as_str()) {
            (old, "kill") => old.kill(),
            (old, "stop") => assert!(old.stop().success(), "the server ends cleanly"),
            (_, other) => panic!("restart is kill or stop, not {other}"),
        }
        *server = Some(site.start());
    }
    let address = server.as_ref().unwrap().address;
    if let Some(send) = &step.send {
        let body = body(send);
        let method = send.method.clone().unwrap_or_else(|| {
            if body.is_empty() {
                "GET".into()
            } else {
                "POST".into()
            }
        });
        let mut headers = headers(&send.headers, saved);
        let typed = headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !typed && send.json.is_some() {
            headers.push(("content-type", "application/json"));
        }
        let response = client::request(address, &method, &send.target, &headers, &body);
        let expect = step.expect.as_ref().expect("a request expects something");
        check_head(&response, expect);
        check_body(response, expect);
    }
    if let Some(open) = &step.open {
        let mut headers = headers(&open.headers, saved);
        let body = match (&open.body, &open.json) {
            (Some(text), _) => text.clone(),
            (None, Some(json)) => json.to_string(),
            (None, None) => String::new(),
        };
        if open.json.is_some() && !open.headers.contains_key("content-type") {
            headers.push(("content-type", "application/json"));
        }
        let usual = if body.is_empty() { "GET" } else { "POST" };
        let method = open.method.as_deref().unwrap_or(usual);
        let response = client::request(address, method, &open.target, &headers, body.as_bytes());
        let ok = Expect {
            status: 200,
            ..Expect::default()
        };
        check_head(&response, step.expect.as_ref().unwrap_or(&ok));
        streams.insert(open.stream.clone(), response.stream());
    }
    if let Some(read) = &step.read {
        let stream = streams
            .get_mut(&read.stream)
            .unwrap_or_else(|| panic!("no stream {:?} is open", read.stream));
        if let Some((name, id)) = read.save.as_ref().zip(check_stream(stream, read)) {
            saved.insert(name.clone(), id);
        }
    }
    if let Some(name) = &step.close {
        streams
            .remove(name)
            .unwrap_or_else(|| panic!("no stream {name:?} is open"));
    }
}

fn headers<'a>(
    wanted: &'a BTreeMap<String, String>,
    saved: &'a HashMap<String, String>,
) -> Vec<(&'a str, &'a str)> {
    let value = |text: &'a str| match text.strip_prefix('$') {
        Some(name) => saved
            .get(name)
            .unwrap_or_else(|| panic!("no id is saved as {name:?}")),
        None => text,
    };
    wanted
        .iter()
        .map(|(name, text)| (name.as_str(), value(text)))
        .collect()
}

fn body(send: &Send) -> Vec<u8> {
    let mut body = match (&send.body, &send.json, &send.hex) {
        (Some(text), ..) => text.clone().into_bytes(),
        (_, Some(json), _) => json.to_string().into_bytes(),
        (_, _, Some(hex)) => {
            let digits: String = hex.split_whitespace().collect();
            (0..digits.len())
                .step_by(2)
                .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap())
                .collect()
        }
        _ => Vec::new(),
    };
    if let Some(times) = send.repeat {
        body = body.repeat(times);
    }
    match send.encode.as_deref() {
        None => body,
        Some("gzip") => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&body).unwrap();
            encoder.finish().unwrap()
        }
        Some("deflate") => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&body).unwrap();
            encoder.finish().unwrap()
        }
        Some("zstd") => zstd::encode_all(body.as_slice(), 1).unwrap(),
        Some("utf-16le") => {
            let text = String::from_utf8(body).unwrap();
            text.encode_utf16().flat_map(u16::to_le_bytes).collect()
        }
        Some(other) => panic!("no such encoding: {other}"),
    }
}

fn check_head(response: &Response, expect: &Expect) {
    assert_eq!(
        response.status, expect.status,
        "status ({} {:?})",
        response.reason, response.headers
    );
    if let Some(reason) = &expect.reason {
        assert_eq!(&response.reason, reason, "reason");
    }
    for (name, want) in &expect.headers {
        let have = response.header(&name.to_ascii_lowercase());
        match want.as_str() {
            "!absent" => assert_eq!(have, None, "header {name}"),
            want => {
                let have = have.unwrap_or_else(|| panic!("no header {name}: {:?}", response.headers));
                assert!(
                    text_matches(have, want),
                    "header {name} is {have:?}, not {want:?}"
                );
            }
        }
    }
}

fn check_body(response: Response, expect: &Expect) {
    let bytes = response.bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if let Some(want) = &expect.body {
        assert_eq!(&text, want, "body");
    }
    for part in &expect.contains {
        assert!(text.contains(part), "the body lacks {part:?}: {text}");
    }
    if expect.json.is_none() && expect.has.is_none() && expect.keys.is_none() {
        return;
    }
    let have: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text:?}"));
    if let Some(want) = &expect.json {
        assert_eq!(&have, want, "body");
    }
    if let Some(want) = &expect.has
        && let Err(place) = matches(&have, want, "body")
    {
        panic!("{place}: {text}");
    }
    if let Some(want) = &expect.keys {
        let keys: Vec<String> = have.as_object().unwrap().keys().cloned().collect();
        assert_eq!(&keys, want, "keys of the body");
    }
}

/// Returns the text of the last frame's id.
fn check_stream(stream: &mut Stream, read: &Read) -> Option<String> {
    if let Some(want) = &read.bytes {
        let have = String::from_utf8(stream.take(want.len())).unwrap();
        assert_eq!(&have, want);
    }
    if let Some(want) = &read.frame {
        let have = loop {
            let frame = stream.frame().expect("a frame comes");
            if frame.lines != [":"] {
                break frame;
            }
        };
        assert_eq!(have.lines.len(), want.len(), "{have:?}");
        for (have, want) in have.lines.iter().zip(want) {
            assert!(text_matches(have, want), "line {have:?} is not {want:?}");
        }
    }
    let mut last = None;
    for want in &read.events {
        let frame = stream.event();
        if let Err(place) = matches(&frame.event(), want, "event") {
            panic!("{place}: {frame:?}");
        }
        last = Some(frame);
    }
    let field = |name| {
        let frame = last.as_ref().expect("a frame was read");
        frame
            .field(name)
            .unwrap_or_else(|| panic!("no {name} in {frame:?}"))
    };
    if let Some(want) = &read.data {
        assert!(
            text_matches(field("data"), want),
            "data {:?} is not {want:?}",
            field("data")
        );
    }
    if let Some(want) = &read.id {
        let have: Value = serde_json::from_str(field("id")).unwrap();
        if let Err(place) = matches(&have, want, "id") {
            panic!("{place}: {have}");
        }
    }
    for parts in &read.texts {
        let frame = stream.event();
        let text = frame.field("data").unwrap_or_default();
        for part in parts {
            assert!(text.contains(part), "the event lacks {part:?}: {text}");
        }
    }
    for want in &read.lines {
        let (line, have) = json_line(stream);
        if let Err(place) = matches(&have, want, "line") {
            panic!("{place}: {line}");
        }
    }
    let mut wanted: Vec<&Value> = read.any_order.iter().collect();
    while !wanted.is_empty() {
        let (line, have) = json_line(stream);
        match wanted.iter().position(|want| matches(&have, want, "").is_ok()) {
            Some(index) => drop(wanted.remove(index)),
            None => panic!("a line that is none of {wanted:?}: {line}"),
        }
    }
    if read.end {
        while let Some(frame) = stream.frame() {
            assert!(!frame.has_event(), "an event instead of the end: {frame:?}");
        }
    }
    last.and_then(|frame| frame.field("id").map(str::to_owned))
}

fn json_line(stream: &mut Stream) -> (String, Value) {
    let line = loop {
        let line = stream.line().expect("a line comes");
        if !line.is_empty() {
            break line;
        }
    };
    let have = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
    (line, have)
}

fn text_matches(have: &str, want: &str) -> bool {
    if let Some(pattern) = want.strip_prefix('^') {
        return pattern_matches(have, pattern);
    }
    match want.strip_prefix('~') {
        Some(part) => have.contains(part),
        None => want == "*" || have == want,
    }
}

/// Whether `pattern`, in which `*` is anything, fits all of `have`.
fn pattern_matches(have: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => have == pattern,
        Some((start, rest)) => have.strip_prefix(start).is_some_and(|have| {
            let ends = have.char_indices().map(|(i, _)| i).chain([have.len()]);
            ends.into_iter().any(|i| pattern_matches(&have[i..], rest))
        }),
    }
}

fn matches(have: &Value, want: &Value, place: &str) -> Result<(), String> {
    let fits = match (have, want) {
        (_, Value::String(want)) if want == "*" => true,
        (Value::String(have), Value::String(want)) => text_matches(have, want),
        (Value::Number(have), Value::String(want)) if want.starts_with('~') => {
            text_matches(&have.to_string(), want)
        }
        (Value::Object(have), Value::Object(want)) => {
            for (key, want) in want {
                let place = format!("{place}.{key}");
                match (have.get(key), want.as_str()) {
                    (None, Some("!absent")) => {}
                    (Some(_), Some("!absent")) => return Err(format!("{place} is there")),
                    (None, _) => return Err(format!("{place} is absent")),
                    (Some(have), _) => matches(have, want, &place)?,
                }
            }
            true
        }
        (Value::Array(have), Value::Array(want)) => {
            if have.len() != want.len() {
                return Err(format!("{place} has {} items, not {}", have.len(), want.len()));
            }
            for (i, (have, want)) in have.iter().zip(want).enumerate() {
                matches(have, want, &format!("{place}[{i}]"))?;
            }
            true
        }
        (have, want) => have == want,
    };
    if fits {
        Ok(())
    } else {
        Err(format!("{place} is {have}, not {want}"))
    }
}

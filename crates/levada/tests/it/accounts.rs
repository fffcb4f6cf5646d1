//! Accounts of a running server: `levada user`, logins, tokens, keys, and who may do what.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::{Server, Site, binary};

const STREAMS: &str = "streams:\n  a: {schema_title: test}\n  b: {schema_title: test}\n";

const SCHEMA: &str = "title: test\n$id: /test/1.0.0\ntype: object\nproperties:\n  meta: {type: object, properties: {id: {type: string}, dt: {type: string}}}\n";

/// A folder for servers that ask for credentials.
pub(crate) fn site(auth: &str) -> Site {
    let site = Site::new(&format!(
        "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n[auth]\n{auth}"
    ));
    site.file("streams.yaml", STREAMS);
    site.file("schemas/test/1.0.0", SCHEMA);
    site
}

/// What `levada user` prints for these arguments; `input` is its standard input.
pub(crate) fn user(site: &Site, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut child = binary()
        .arg("user")
        .args(arguments)
        .arg("--config")
        .arg(site.path().join("levada.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (out.status.code(), text(out.stdout), text(out.stderr))
}

/// As [`user`], for what must work.
pub(crate) fn done(site: &Site, arguments: &[&str], input: &str) -> String {
    let (code, out, err) = user(site, arguments, input);
    assert_eq!(code, Some(0), "{arguments:?}: {out}{err}");
    out
}

fn shown(text: &str, what: &str) -> String {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{what}: ")));
    line.unwrap_or_else(|| panic!("no {what} in {text}")).to_owned()
}

/// Makes an API key.
pub(crate) fn key(site: &Site, arguments: &[&str]) -> String {
    shown(&done(site, &[&["keys", "add"], arguments].concat(), ""), "key")
}

/// Makes the user `ann` (`correct horse`), who may read, and a key that may publish articles.
pub(crate) fn reader_and_publisher(site: &Site) -> String {
    let ann = ["add", "ann", "--group", "group_3", "--password-stdin"];
    done(site, &ann, "correct horse");
    key(site, &["m", "--scope", "stream:articles:write"])
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

/// One request on a connection of its own.
pub(crate) fn ask(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut socket = TcpStream::connect(to).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut text = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    socket.write_all(format!("{text}\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

fn post(to: SocketAddr, path: &str, body: &Value) -> Answer {
    ask(
        to,
        "POST",
        path,
        &[("content-type", "application/json")],
        &body.to_string(),
    )
}

fn login(server: &Server, name: &str, password: &str) -> Answer {
    post(
        server.address,
        "/v1/login",
        &json!({"username": name, "password": password}),
    )
}

/// The tokens of a login that must work.
pub(crate) fn tokens(server: &Server, name: &str, password: &str) -> Value {
    let answer = login(server, name, password);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn event(stream: &str) -> String {
    json!({"$schema": "/test/1.0.0", "meta": {"stream": stream, "dt": "2026-01-01T00:00:00Z"}}).to_string()
}

fn publish(server: &Server, credential: (&str, &str), body: &str) -> Answer {
    let headers = [("content-type", "application/json"), credential];
    ask(server.address, "POST", "/v1/events", &headers, body)
}

fn bearer(token: &Value) -> String {
    format!("Bearer {}", token.as_str().unwrap())
}

/// Status of a subscription; the body is not waited for.
fn subscribe(to: SocketAddr, path: &str, token: &str) -> u16 {
    let mut socket = TcpStream::connect(to).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let text = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\n\r\n");
    socket.write_all(text.as_bytes()).unwrap();
    let mut status = [0; 12];
    socket.read_exact(&mut status).unwrap();
    String::from_utf8_lossy(&status[9..]).parse().unwrap()
}

#[test]
fn credentials_decide_what_may_be_done() {
    let site = site("mode = \"required\"");
    let password = shown(
        &done(&site, &["add", "Ann", "--group", "publishers"], ""),
        "password",
    );
    done(
        &site,
        &["groups", "add", "readers_of_a", "--scope", "stream:a:read"],
        "",
    );
    done(
        &site,
        &["add", "bob", "--group", "readers_of_a", "--password-stdin"],
        "correct horse\n",
    );
    let key = shown(
        &done(
            &site,
            &["keys", "add", "machine", "--scope", "stream:a:write"],
            "",
        ),
        "key",
    );
    let server = site.start();
    let at = server.address;

    // A store belongs to one process at a time, and says so.
    let (code, _, err) = user(&site, &["list"], "");
    assert_eq!(code, Some(6), "{err}");
    assert!(err.contains("accounts"), "{err}");

    // Open to all, with whatever credentials.
    for path in [
        "/livez",
        "/readyz",
        "/healthz",
        "/metrics",
        "/v2/status",
        "/v1/status",
    ] {
        assert_eq!(
            ask(at, "GET", path, &[("authorization", "Bearer nope")], "").status,
            200,
            "{path}"
        );
    }
    // Not open: bodies in the manner of each API.
    let intake = ask(
        at,
        "POST",
        "/v1/events",
        &[("content-type", "application/json")],
        &event("a"),
    );
    assert_eq!(
        (intake.status, intake.json()["type"].as_str()),
        (401, Some("unauthorized")),
        "{intake:?}"
    );
    assert!(
        intake.head.contains("levada-error-code: unauthorized")
            && intake.head.contains("www-authenticate: bearer")
    );
    assert_eq!(ask(at, "GET", "/v2/stream/a", &[], "").status, 401);
    assert_eq!(ask(at, "GET", "/v1/stream-configs", &[], "").status, 401);
    assert_eq!(ask(at, "GET", "/nothing/here", &[], "").status, 401);
    let articles = ask(at, "GET", "/v2/articles", &[], "");
    assert_eq!(
        (articles.status, articles.body.as_str()),
        (401, "{\"status\":401,\"message\":\"Unauthorized\"}\n")
    );
    assert_eq!(
        ask(at, "OPTIONS", "/v2/stream/a", &[("origin", "http://x")], "").status,
        200
    );

    let ann = tokens(&server, "ann", &password);
    assert_eq!(ann["expires_in"], 86400);
    let ann = bearer(&ann["access_token"]);
    assert_eq!(publish(&server, ("authorization", &ann), &event("a")).status, 201);
    assert_eq!(subscribe(at, "/v2/stream/a", &ann), 403);
    assert_eq!(
        ask(at, "GET", "/v1/stream-configs", &[("authorization", &ann)], "").status,
        200
    );
    assert_eq!(
        ask(at, "GET", "/nothing/here", &[("authorization", &ann)], "").status,
        404
    );

    let bob = bearer(&tokens(&server, "bob", "correct horse")["access_token"]);
    assert_eq!(subscribe(at, "/v2/stream/a", &bob), 200);
    let both = ask(at, "GET", "/v2/stream/a,b", &[("authorization", &bob)], "");
    assert!(
        both.status == 403 && both.body.contains("may not read b"),
        "{both:?}"
    );
    assert_eq!(publish(&server, ("authorization", &bob), &event("a")).status, 403);

    // A key for one stream, in a request for two.
    let machine = ("x-api-key", key.as_str());
    assert_eq!(publish(&server, machine, &event("a")).status, 201);
    let refused = publish(&server, machine, &event("b"));
    assert!(
        refused.status == 403 && refused.body.contains("may not publish to b"),
        "{refused:?}"
    );
    let batch = format!("[{},{}]", event("a"), event("b"));
    assert_eq!(publish(&server, machine, &batch).status, 207);
    assert_eq!(
        publish(&server, ("x-api-key", "lvd_nobody_nothing"), &event("a")).status,
        401
    );
    let log = server.log();
    assert!(
        !log.contains(&password) && !log.contains(&key) && !log.contains("correct horse"),
        "{log}"
    );
}

#[test]
fn a_revoked_session_dies_at_once_and_ends_open_streams() {
    let site = site("mode = \"required\"");
    done(
        &site,
        &["add", "ann", "--group", "admins", "--password-stdin"],
        "correct horse",
    );
    let server = site.start();
    let at = server.address;
    let first = tokens(&server, "ann", "correct horse");
    let refresh = json!({"username": "ann", "refresh_token": first["refresh_token"]});
    let second = post(at, "/v1/token-refresh", &refresh);
    assert!(
        second.status == 200 && second.json().get("refresh_token").is_none(),
        "{second:?}"
    );
    let (first_token, second_token) = (
        bearer(&first["access_token"]),
        bearer(&second.json()["access_token"]),
    );
    let wrong = json!({"username": "bob", "refresh_token": first["refresh_token"]});
    let wrong = post(at, "/v1/token-refresh", &wrong);
    assert_eq!(
        (wrong.status, wrong.json()["message"].as_str()),
        (401, Some("Unauthorized."))
    );

    let open = |target: &str, headers: &str| {
        let mut open = TcpStream::connect(at).unwrap();
        open.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let text = format!(
            "GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: {first_token}\r\n{headers}\r\n"
        );
        open.write_all(text.as_bytes()).unwrap();
        let mut head = [0; 12];
        open.read_exact(&mut head).unwrap();
        assert_eq!(&head[9..], b"200", "{target} {headers}");
        open
    };
    let lines = "accept: application/x-ndjson\r\n";
    let zipped = "accept: application/x-ndjson\r\naccept-encoding: gzip\r\n";
    let streams = [
        ("/v2/stream/a", ""),
        ("/v2/streams/a", ""),
        ("/v2/streams/a", lines),
        ("/v2/streams/a", zipped),
    ];
    let streams = streams.map(|(target, headers)| (target, headers, open(target, headers)));

    let revoked = post(
        at,
        "/v1/token-revoke",
        &json!({"refresh_token": first["refresh_token"]}),
    );
    assert_eq!((revoked.status, revoked.body.as_str()), (204, ""));
    let revoked_at = Instant::now();
    for token in [&first_token, &second_token] {
        let answer = ask(at, "GET", "/v1/stream-configs", &[("authorization", token)], "");
        assert!(
            answer.status == 401 && answer.body.contains("revoked"),
            "{answer:?}"
        );
    }
    assert_eq!(post(at, "/v1/token-refresh", &refresh).status, 401);
    // The streams end and say so: an event of the kind error, and lines break off before the last chunk.
    for (target, headers, mut open) in streams {
        let (mut rest, mut some) = (Vec::new(), [0; 4096]);
        // Heartbeats must not stretch the wait.
        while revoked_at.elapsed() < Duration::from_secs(30) {
            match open.read(&mut some) {
                Ok(0) => break,
                Ok(count) => rest.extend_from_slice(&some[..count]),
                Err(error) => panic!("{target} {headers}: {error}"),
            }
        }
        let text = String::from_utf8_lossy(&rest);
        let is_sse = headers.is_empty();
        assert_eq!(rest.ends_with(b"0\r\n\r\n"), is_sse, "{target} {headers}: {text}");
        assert_eq!(
            text.contains("event: error"),
            is_sse,
            "{target} {headers}: {text}"
        );
        let is_zipped = text.to_ascii_lowercase().contains("content-encoding: gzip");
        assert_eq!(is_zipped, headers == zipped, "{target} {headers}: {text}");
    }
}

#[test]
fn guessing_is_slowed_down_and_the_owner_is_told_when() {
    let site = site("mode = \"optional\"");
    done(&site, &["add", "ann", "--password-stdin"], "correct horse");
    let server = site.start();
    for _ in 0..5 {
        let answer = login(&server, "ann", "wrong");
        assert_eq!(
            (answer.status, answer.json()["message"].as_str()),
            (401, Some("Incorrect username or password."))
        );
    }
    // The sixth failure locks, and then not even the right password is looked at.
    let begun = Instant::now();
    let locked = (0..3)
        .map(|_| login(&server, "ann", "wrong"))
        .find(|answer| answer.status == 429);
    let locked = locked.unwrap();
    assert!(locked.head.contains("retry-after: "), "{locked:?}");
    let right = login(&server, "ann", "correct horse");
    assert!(
        right.status == 429 || begun.elapsed() > Duration::from_secs(1),
        "{right:?}"
    );
    // Where nothing is required, nothing is needed, and what is wrong is refused nevertheless.
    assert_eq!(
        ask(server.address, "GET", "/v1/stream-configs", &[], "").status,
        200
    );
    let wrong = ask(
        server.address,
        "GET",
        "/v1/stream-configs",
        &[("authorization", "Bearer x.y.z")],
        "",
    );
    assert_eq!(wrong.status, 401, "{wrong:?}");
    assert_eq!(
        post(server.address, "/v1/login", &json!({"username": "ann"})).status,
        422
    );
}

#[test]
fn the_allow_list_stands_for_a_token() {
    let site = site(
        "mode = \"required\"\nip_allow_list = [{ ip_range = { start = \"127.0.0.1\", end = \"127.0.0.1\" }, user = { username = \"lan\", groups = [\"publishers\"] } }]",
    );
    let server = site.start();
    let json = ("content-type", "application/json");
    assert_eq!(publish(&server, json, &event("a")).status, 201);
    assert_eq!(ask(server.address, "GET", "/v2/stream/a", &[], "").status, 403);
    assert_eq!(
        publish(&server, ("authorization", "Bearer nope"), &event("a")).status,
        401
    );
}

#[test]
fn behind_a_proxy_only_its_word_stands_for_a_token() {
    let site = site(
        "mode = \"required\"\nip_allow_list = [{ ip_range = { start = \"127.0.0.1\", end = \"127.0.0.1\" }, user = { username = \"lan\", groups = [\"publishers\"] } }]\n[http]\nclient_ip_header = \"x-real-ip\"",
    );
    let server = site.start();
    let as_said = |said: &[&str]| {
        let lines = said.iter().map(|ip| ("x-real-ip", *ip));
        let headers: Vec<_> = lines.chain([("content-type", "application/json")]).collect();
        ask(server.address, "POST", "/v1/events", &headers, &event("a")).status
    };
    assert_eq!(as_said(&["127.0.0.1"]), 201);
    assert_eq!(as_said(&["192.0.2.7"]), 401);
    // The peer is the proxy: its own address gives nobody a right.
    for garbled in [
        &[] as &[&str],
        &["127.0.0.1", "192.0.2.7"],
        &["127.0.0.1, 192.0.2.7"],
        &["x"],
    ] {
        assert_eq!(as_said(garbled), 401, "{garbled:?}");
    }
}

#[test]
fn a_server_for_strangers_must_ask_who_they_are() {
    let start = |set: &str| {
        let site = site(set);
        let mut command = binary();
        command
            .args(["serve", "--listen", "0.0.0.0:0", "--config"])
            .arg(site.path().join("levada.toml"));
        (site, command)
    };
    let (_site, mut command) = start("mode = \"optional\"");
    let out = command.output().unwrap();
    assert_eq!(out.status.code(), Some(78));
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(
        said.contains("auth.mode = \"required\"") && said.contains("--insecure"),
        "{said}"
    );
    let (_site, command) = start("mode = \"required\"");
    let server = Server::spawn(command);
    let at = SocketAddr::from(([127, 0, 0, 1], server.address.port()));
    assert_eq!(ask(at, "GET", "/v2/stream/a", &[], "").status, 401);
}

#[test]
fn two_servers_share_accounts_in_postgresql() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some(database) = runtime.block_on(crate::postgres::database()) else {
        return;
    };
    let config = format!("mode = \"required\"\ndatabase = \"{}\"", database.expose());
    let (one_site, two_site) = (site(&config), site(&config));
    let printed = binary()
        .args(["config", "print", "--config"])
        .arg(one_site.path().join("levada.toml"))
        .output()
        .unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.contains("auth.database = ***"), "{printed}");
    let (one, two) = (one_site.start(), two_site.start());
    // The store is open to the command while servers run on it.
    done(
        &one_site,
        &["add", "ann", "--group", "publishers", "--password-stdin"],
        "correct horse",
    );
    let key = shown(
        &done(&two_site, &["keys", "add", "m", "--scope", "stream:b:write"], ""),
        "key",
    );
    let session = tokens(&one, "ann", "correct horse");
    let token = bearer(&session["access_token"]);
    for server in [&one, &two] {
        assert_eq!(
            publish(server, ("authorization", &token), &event("a")).status,
            201
        );
        assert_eq!(publish(server, ("x-api-key", &key), &event("b")).status, 201);
    }
    // What one server revokes is known to the other within the promised second.
    let revoke = json!({"refresh_token": session["refresh_token"]});
    assert_eq!(post(two.address, "/v1/token-revoke", &revoke).status, 204);
    assert_eq!(publish(&two, ("authorization", &token), &event("a")).status, 401);
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(publish(&one, ("authorization", &token), &event("a")).status, 401);
    let id = key.split('_').nth(1).unwrap();
    done(&one_site, &["keys", "remove", id], "");
    std::thread::sleep(Duration::from_millis(1100));
    for server in [&one, &two] {
        assert_eq!(publish(server, ("x-api-key", &key), &event("b")).status, 401);
    }
}

#[test]
fn keys_and_signing_keys_are_rotated_and_users_end() {
    let site = site("mode = \"required\"");
    done(
        &site,
        &["add", "ann", "--group", "publishers", "--password-stdin"],
        "correct horse",
    );
    let made = done(
        &site,
        &[
            "keys",
            "add",
            "m",
            "--scope",
            "stream:a:write",
            "--expires",
            "90d",
        ],
        "",
    );
    let (old_id, old) = (shown(&made, "id"), shown(&made, "key"));
    let server = site.start();
    let first = tokens(&server, "ann", "correct horse");
    let token = bearer(&first["access_token"]);
    assert!(server.stop().success());

    let new = shown(
        &done(&site, &["keys", "rotate", &old_id, "--overlap", "0s"], ""),
        "key",
    );
    done(&site, &["rotate-signing-key", "--at-once"], "");
    let listed = done(&site, &["keys", "list"], "");
    assert!(
        listed.contains("replaced by") && !listed.contains(&new),
        "{listed}"
    );
    let server = site.start();
    assert_eq!(publish(&server, ("x-api-key", &old), &event("a")).status, 401);
    assert_eq!(publish(&server, ("x-api-key", &new), &event("a")).status, 201);
    assert_eq!(
        publish(&server, ("authorization", &token), &event("a")).status,
        401
    );
    let refresh = json!({"username": "ann", "refresh_token": first["refresh_token"]});
    let fresh = bearer(&post(server.address, "/v1/token-refresh", &refresh).json()["access_token"]);
    assert_eq!(
        publish(&server, ("authorization", &fresh), &event("a")).status,
        201
    );
    assert!(server.stop().success());

    done(&site, &["groups", "of", "ann", "--leave", "publishers"], "");
    let server = site.start();
    assert_eq!(
        publish(&server, ("authorization", &fresh), &event("a")).status,
        403
    );
    assert!(server.stop().success());
    let password = shown(&done(&site, &["passwd", "ann"], ""), "password");
    assert!(done(&site, &["list"], "").starts_with("ann\t"));
    for (arguments, code) in [
        (&["add", "ann"][..], 4),
        (&["passwd", "bob"], 4),
        (&["add", "bob", "--group", "nope"], 4),
    ] {
        let (exit, _, err) = user(&site, arguments, "");
        assert_eq!(exit, Some(code), "{arguments:?} {err}");
    }
    let (exit, _, err) = user(&site, &["passwd", "ann", "--password-stdin"], "short");
    assert_eq!(exit, Some(2), "{err}");
    let server = site.start();
    assert_eq!(
        publish(&server, ("authorization", &fresh), &event("a")).status,
        401
    );
    assert_eq!(login(&server, "ann", "correct horse").status, 401);
    assert_eq!(login(&server, "ann", &password).status, 200);
    assert!(server.stop().success());
    done(&site, &["remove", "ann"], "");
    assert_eq!(done(&site, &["list"], ""), "");
}

#[test]
fn commands_publish_with_credentials_and_dev_has_a_login() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = binary();
    command
        .args(["dev", "--listen", "127.0.0.1:0", "--rate", "0", "--data"])
        .arg(folder.path().join("data"));
    let server = Server::spawn(command);
    let events = format!(
        "{}\n",
        json!({"$schema": "/demo/edit/1.0.0", "meta": {"stream": "demo.edits", "domain": "en.demo.example"}, "dt": "2026-01-01T00:00:00Z", "wiki_id": "endemo", "page_id": 1, "page_title": "Hello", "rev_id": 1, "user": {"user_text": "me", "is_bot": false}})
    );
    let produce = |credentials: &[&str], password: &str| {
        let file = folder.path().join("events");
        std::fs::write(&file, &events).unwrap();
        let out = binary()
            .args(["produce", "--url", &server.url()])
            .args(credentials)
            .env("LEVADA_PASSWORD", password)
            .arg(&file)
            .output()
            .unwrap();
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    };
    assert_eq!(produce(&[], "").0, Some(0));
    assert_eq!(produce(&["--username", "demo"], "levada-demo").0, Some(0));
    let (code, said) = produce(&["--token", "nope"], "");
    assert_ne!(code, Some(0), "{said}");
    let (code, said) = produce(&["--token", "a", "--api-key", "b"], "");
    assert_eq!(code, Some(2), "{said}");
}

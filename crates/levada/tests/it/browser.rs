//! A real browser reads a stream with `EventSource`, loses the server and comes back.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use crate::client::{self, PATIENCE};
use crate::server::{Server, Site, binary};

const CONFIG: &str = "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\n";
const STREAMS: &str = "streams:\n  a: {schema_title: test}\n";
const SCHEMA: &str = "title: test\n$id: /test/1.0.0\ntype: object\nproperties:\n  meta: {type: object, properties: {id: {type: string}, dt: {type: string}}}\n";

/// Shows and reports the offsets of the events in the order in which they came.
const PAGE: &str = r#"<!doctype html><title>0</title><p id="seen"></p><script>
const seen = [];
const source = new EventSource('SOURCE/v2/stream/a?since=1970-01-01');
source.onmessage = (message) => {
  seen.push(JSON.parse(message.data).meta.offset);
  document.title = seen.length;
  document.getElementById('seen').textContent = seen.join(',');
  fetch('/seen/' + document.title + ':' + document.getElementById('seen').textContent);
};
</script>"#;

/// A folder with a stream `a`.
pub fn site() -> Site {
    let site = Site::new(CONFIG);
    site.file("streams.yaml", STREAMS);
    site.file("schemas/test/1.0.0", SCHEMA);
    site
}

/// Posts one event to the stream `a`.
pub fn post(server: &Server, test: &str) {
    let event = format!(
        r#"{{"$schema":"/test/1.0.0","meta":{{"stream":"a","id":"{test}","dt":"2017-07-14T02:40:00Z"}},"test":"{test}"}}"#
    );
    assert_eq!(client::post(server.address, &event).status, 201);
}

/// Where a program is, by the first of its names that the path has. Its absence is a failure in
/// continuous integration and a printed line elsewhere.
pub fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = names.iter().find_map(|name| {
        std::env::split_paths(&path)
            .map(|folder| folder.join(name))
            .find(|file| file.is_file())
    });
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{names:?} is not installed");
        println!("skipped 1 case: {names:?} is not installed");
    }
    found
}

#[test]
fn a_browser_reads_every_event_once_across_a_restart() {
    let Some(chromium) = program(&["chromium", "chromium-browser", "google-chrome"]) else {
        return;
    };
    let site = site();
    let server = site.start();
    let address = server.address;
    for test in ["0", "1", "2"] {
        post(&server, test);
    }
    let (reports, page) = serve_page(PAGE.replace("SOURCE", &server.url()));
    let profile = tempfile::tempdir().unwrap();
    let _browser = Browser::open(&chromium, profile.path(), page);
    expect(&reports, &[0, 1, 2]);
    server.kill();
    let mut again = binary();
    again
        .args(["serve", "--config"])
        .arg(site.path().join("levada.toml"))
        .env("LEVADA_LISTEN", address.to_string());
    let server = Server::spawn(again);
    assert_eq!(server.address, address);
    for test in ["3", "4"] {
        post(&server, test);
    }
    expect(&reports, &[0, 1, 2, 3, 4]);
    // One more, live: whatever was repeated would stand before it.
    post(&server, "5");
    expect(&reports, &[0, 1, 2, 3, 4, 5]);
}

/// Takes reports until one has exactly these offsets; all on the way are the beginning of that.
fn expect(reports: &Receiver<String>, offsets: &[u64]) {
    let text = |count: usize| {
        let offsets: Vec<String> = offsets[..count].iter().map(u64::to_string).collect();
        format!("{count}:{}", offsets.join(","))
    };
    let began = Instant::now();
    loop {
        let left = PATIENCE
            .checked_sub(began.elapsed())
            .expect("the page reports in time");
        let report = reports.recv_timeout(left).expect("the page reports");
        let count = report.split(':').next().unwrap().parse::<usize>().unwrap();
        assert!(
            count <= offsets.len() && report == text(count),
            "the page saw {report}"
        );
        if count == offsets.len() {
            return;
        }
    }
}

/// Serves the page at every path, and passes on what the page reports below `/seen/`.
fn serve_page(page: String) -> (Receiver<String>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, reports) = channel();
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let (sender, page) = (sender.clone(), page.clone());
            // A browser opens connections that it may never use.
            std::thread::spawn(move || answer(socket, &page, &sender));
        }
    });
    (reports, address)
}

fn answer(mut socket: TcpStream, page: &str, reports: &Sender<String>) {
    let mut head = BufReader::new(socket.try_clone().unwrap());
    let mut first = String::new();
    if head.read_line(&mut first).unwrap_or(0) == 0 {
        return;
    }
    let mut line = String::new();
    while head.read_line(&mut line).is_ok_and(|read| read > 2) {
        line.clear();
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let body = match path.strip_prefix("/seen/") {
        Some(report) => {
            let _ = reports.send(report.to_owned());
            ""
        }
        None => page,
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = socket
        .write_all(head.as_bytes())
        .and_then(|()| socket.write_all(body.as_bytes()));
}

/// A headless browser on a page; ended when dropped.
struct Browser(Child);

impl Browser {
    fn open(program: &std::path::Path, profile: &std::path::Path, page: SocketAddr) -> Self {
        let mut child = Command::new(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ])
            .args(["--no-first-run", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("http://{page}/"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
        });
        Self(child)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

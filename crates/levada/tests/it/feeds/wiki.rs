//! A wiki for the feeds, on plain threads: what the upstream services of the feeds answer over HTTP.
//!
//! Pages are set by domain and title, other answers by a piece of their path; summaries are made of the
//! title. Everything else is a 404 in the form of the REST API. What was asked is kept, and the whole
//! can be switched off.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

/// The upstream services.
#[derive(Clone)]
pub struct Wiki {
    /// Where they listen.
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// HTML by `domain/Title`.
    pages: Mutex<HashMap<String, String>>,
    /// Bodies by a piece of the decoded path.
    answers: Mutex<Vec<(String, String)>>,
    asked: Mutex<Vec<String>>,
    down: AtomicBool,
}

impl Wiki {
    /// Starts on a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = state.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let state = shared.clone();
                std::thread::spawn(move || state.serve(socket));
            }
        });
        Self { address, state }
    }

    /// The keys of `[feeds]` that lead here.
    pub fn config(&self) -> String {
        let at = self.address;
        format!(
            "[feeds]\nenabled = true\nmediawiki = \"http://{at}\"\nsummaries = \"http://{at}/{{domain}}/v1\"\npageviews = \"http://{at}/metrics\"\n"
        )
    }

    /// Sets the HTML of a page.
    pub fn page(&self, domain: &str, title: &str, section: &str) {
        let html = format!(
            "<!DOCTYPE html><html><head><title>t</title></head><body><section data-mw-section-id=\"0\">{section}</section></body></html>"
        );
        self.state
            .pages
            .lock()
            .unwrap()
            .insert(format!("{domain}/{title}"), html);
    }

    /// Sets the answer to requests whose decoded path contains `piece`.
    pub fn answer(&self, piece: &str, body: impl ToString) {
        let answer = (piece.to_owned(), body.to_string());
        self.state.answers.lock().unwrap().push(answer);
    }

    /// Every answer from now on is a 503, or no longer.
    pub fn down(&self, down: bool) {
        self.state.down.store(down, Ordering::SeqCst);
    }

    /// What was asked since the last call: `host path`, with the path decoded, sorted.
    pub fn asked(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut *self.state.asked.lock().unwrap());
        asked.sort();
        asked
    }
}

impl State {
    fn serve(&self, socket: TcpStream) {
        let Ok(mut writer) = socket.try_clone() else {
            return;
        };
        let mut reader = BufReader::new(socket);
        loop {
            let (mut line, mut host) = (String::new(), String::new());
            if !reader.read_line(&mut line).is_ok_and(|read| read > 0) {
                return;
            }
            let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
            loop {
                let mut header = String::new();
                if !reader.read_line(&mut header).is_ok_and(|read| read > 0) {
                    return;
                }
                if let Some(value) = header.to_ascii_lowercase().strip_prefix("host:") {
                    value.trim().clone_into(&mut host);
                }
                if header == "\r\n" {
                    break;
                }
            }
            let path = decoded(&target);
            self.asked.lock().unwrap().push(format!("{host} {path}"));
            let (status, body) = if self.down.load(Ordering::SeqCst) {
                (503, json!({"httpCode": 503}).to_string())
            } else {
                self.answer(&host, &path)
            };
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let sent = writer
                .write_all(head.as_bytes())
                .and_then(|()| writer.write_all(body.as_bytes()));
            if sent.is_err() {
                return;
            }
        }
    }

    fn answer(&self, host: &str, path: &str) -> (u16, String) {
        if let Some(title) = between(path, "/w/rest.php/v1/page/", "/with_html") {
            let pages = self.pages.lock().unwrap();
            return match pages.get(&format!("{host}/{}", title.replace(' ', "_"))) {
                Some(html) => {
                    let revision = html
                        .bytes()
                        .fold(7_u64, |sum, byte| sum * 31 % 999_983 + u64::from(byte));
                    let page = json!({"id": 1, "key": title, "title": title, "latest": {"id": revision}, "html": html});
                    (200, page.to_string())
                }
                None => missing(),
            };
        }
        if let Some((domain, title)) = path
            .strip_prefix('/')
            .and_then(|path| path.split_once("/v1/page/summary/"))
        {
            return (200, summary(domain, title).to_string());
        }
        if path.starts_with("/w/api.php") && path.contains("meta=siteinfo") {
            return (200, siteinfo().to_string());
        }
        let answers = self.answers.lock().unwrap();
        let set = answers.iter().find(|(piece, _)| path.contains(piece.as_str()));
        set.map_or_else(missing, |(_, body)| (200, body.clone()))
    }
}

fn missing() -> (u16, String) {
    let body = json!({"errorKey": "rest-nonexistent-title", "httpCode": 404, "httpReason": "Not Found"});
    (404, body.to_string())
}

/// The summary of a page, with every key that the feeds ask for.
pub fn summary(domain: &str, title: &str) -> Value {
    let shown = title.replace('_', " ");
    let url = format!("https://{domain}/wiki/{title}");
    let urls = json!({"page": url, "revisions": url, "edit": url, "talk": url});
    json!({
        "type": "standard", "title": shown, "displaytitle": shown, "namespace": {"id": 0, "text": ""},
        "titles": {"canonical": title, "normalized": shown, "display": shown}, "pageid": 7,
        "lang": "en", "dir": "ltr", "revision": "8", "timestamp": "2026-11-01T00:00:00Z",
        "content_urls": {"desktop": urls, "mobile": urls},
        "extract": format!("{shown} is a page."), "extract_html": format!("<p>{shown} is a page.</p>"),
    })
}

fn siteinfo() -> Value {
    let namespace = |id: i64, name: &str| json!({"id": id, "case": "first-letter", "name": name});
    json!({"query": {
        "general": {"mainpage": "Main Page", "lang": "en", "case": "first-letter",
            "legaltitlechars": " %!\"$&'()*,\\-.\\/0-9:;=?@A-Z\\\\^_`a-z~\\x80-\\xFF+", "mobileserver": "https://m.example"},
        "languagevariants": {},
        "namespaces": {"-1": namespace(-1, "Special"), "0": namespace(0, ""), "6": namespace(6, "File"), "10": namespace(10, "Template")},
        "namespacealiases": [], "specialpagealiases": [], "allmessages": [],
    }})
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.strip_prefix(start)?.strip_suffix(end)
}

/// Percent-decodes a path.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digits = [bytes.next().unwrap_or(b'0'), bytes.next().unwrap_or(b'0')];
        let digits = std::str::from_utf8(&digits).unwrap_or("00");
        out.push(u8::from_str_radix(digits, 16).unwrap_or(b'?'));
    }
    String::from_utf8_lossy(&out).into_owned()
}

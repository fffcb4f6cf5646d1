//! The services behind the feeds, replayed over HTTP on this machine without delay: site information,
//! page HTML, summaries, pageviews. What is asked is counted by URL.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use memchr::memmem;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::pages;

/// The running services.
pub struct Upstream {
    /// Where they listen.
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    /// The page of a day, to be made another page for every day.
    day_page: String,
    asked: Mutex<HashMap<String, u64>>,
}

impl Upstream {
    /// Starts on a port of its own. `day_page` is the HTML of a day of the year.
    pub async fn start(day_page: String) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            day_page,
            asked: Mutex::default(),
        });
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let state = shared.clone();
                tokio::spawn(async move { state.serve(socket).await });
            }
        });
        Ok(Self { address, state })
    }

    /// The keys of `[feeds]` that lead here.
    pub fn config(&self) -> String {
        let at = self.address;
        format!(
            "[feeds]\nenabled = true\nmediawiki = \"http://{at}\"\nsummaries = \"http://{at}/{{domain}}/v1\"\npageviews = \"http://{at}/metrics\"\ntoday = \"2026-11-20\"\n"
        )
    }

    /// Requests since the last call: all, and how many distinct ones.
    pub fn asked(&self) -> (u64, usize) {
        let Ok(mut asked) = self.state.asked.lock() else {
            return (0, 0);
        };
        let taken = std::mem::take(&mut *asked);
        (taken.values().sum(), taken.len())
    }
}

impl State {
    async fn serve(&self, mut socket: TcpStream) {
        // A socket that cannot be set up differently still serves.
        let _ = socket.set_nodelay(true);
        let mut buffer = vec![0; 16 * 1024];
        let mut filled = 0;
        while let Ok(read @ 1..) = socket.read(&mut buffer[filled..]).await {
            filled += read;
            let Some(end) = memmem::find(&buffer[..filled], b"\r\n\r\n") else {
                continue;
            };
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.copy_within(end + 4..filled, 0);
            filled -= end + 4;
            let path = head.split(' ').nth(1).unwrap_or_default();
            if let Ok(mut asked) = self.asked.lock() {
                *asked.entry(path.to_owned()).or_default() += 1;
            }
            let (status, body) = match self.answer(path) {
                Some(body) => (200, body),
                None => (404, r#"{"httpCode":404}"#.to_owned()),
            };
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let whole = [head.as_bytes(), body.as_bytes()].concat();
            if socket.write_all(&whole).await.is_err() {
                return;
            }
        }
    }

    fn answer(&self, path: &str) -> Option<String> {
        if let Some(title) = path.split("/page/summary/").nth(1) {
            return Some(summary(title));
        }
        if let Some(rest) = path.strip_prefix("/w/rest.php/v1/page/") {
            let title = rest.strip_suffix("/with_html")?;
            let html = if title.starts_with("File%3A") {
                pages::description()
            } else if title.starts_with("Template%3AIn_the_news") {
                pages::news()
            } else if title.starts_with("Template%3ADid_you_know") {
                pages::facts()
            } else if title.starts_with("Wikipedia%3ASelected") {
                pages::selected(title.rsplit("%2F").next()?)
            } else {
                // Every day links to pages of its own, so that every day is cold once.
                self.day_page.replace("href=\"./", &format!("href=\"./{title}_"))
            };
            return Some(
                json!({"id": 1, "key": title, "title": title, "latest": {"id": 7}, "html": html}).to_string(),
            );
        }
        if path.starts_with("/w/index.php") {
            let day = path.split("featured%2F").nth(1)?.get(..8)?;
            return Some(format!(
                "<div id=\"mw-content-text\"><p><b><a title=\"Article of {day}\">x</a></b></p></div>"
            ));
        }
        if let Some(day) = path.strip_prefix("/metrics/pageviews/top/") {
            return Some(top(day));
        }
        if path.starts_with("/metrics/pageviews/per-article/") {
            return Some(history(path));
        }
        let answer = if path.contains("meta=siteinfo") {
            siteinfo()
        } else if path.contains("prop=pageimages") {
            json!({"query": {"pages": [{"thumbnail": {"source": "http://u/t.jpg", "width": 960, "height": 640},
                "original": {"source": "http://u/o.jpg", "width": 4000, "height": 3000}}]}})
        } else if path.contains("generator=images") {
            picture(path)
        } else if path.contains("wbgetentities") {
            json!({"entities": {"M1": {"id": "M1", "labels": {"en": {"language": "en", "value": "A channel"}}}}, "success": 1})
        } else if path.contains("generator=random") {
            let page = |n| json!({"pageid": n, "ns": 0, "title": format!("Page {n}"), "description": "a page", "pageprops": {"page_image_free": "x.jpg"}});
            json!({"query": {"pages": (1..=12).map(page).collect::<Vec<_>>()}})
        } else {
            return None;
        };
        Some(answer.to_string())
    }
}

/// A summary as large as real ones are.
fn summary(title: &str) -> String {
    let shown = title.replace('_', " ");
    let url = |host: &str| json!({"page": format!("https://{host}/wiki/{title}"), "revisions": format!("https://{host}/wiki/{title}?action=history"), "edit": format!("https://{host}/wiki/{title}?action=edit"), "talk": format!("https://{host}/wiki/Talk:{title}")});
    let text = format!("{shown} is a page about something that many people look up. ").repeat(4);
    json!({
        "type": "standard", "title": shown, "displaytitle": format!("<span class=\"mw-page-title-main\">{shown}</span>"),
        "namespace": {"id": 0, "text": ""}, "wikibase_item": "Q1",
        "titles": {"canonical": title, "normalized": shown, "display": format!("<span class=\"mw-page-title-main\">{shown}</span>")},
        "pageid": 7,
        "thumbnail": {"source": format!("https://upload.example.org/320px-{title}.jpg"), "width": 320, "height": 200},
        "originalimage": {"source": format!("https://upload.example.org/{title}.jpg"), "width": 3200, "height": 2000},
        "lang": "en", "dir": "ltr", "revision": "8", "tid": "7673b3f5-3b9c-11ef-b7b8-748123c7fa1c",
        "timestamp": "2026-11-01T00:00:00Z", "description": "a page", "description_source": "local",
        "content_urls": {"desktop": url("en.wikipedia.org"), "mobile": url("en.m.wikipedia.org")},
        "extract": text, "extract_html": format!("<p><b>{text}</b></p>"),
    })
    .to_string()
}

/// Ten most read pages, as many as the original's figures were measured with.
fn top(day: &str) -> String {
    let parts: Vec<&str> = day.split('/').collect();
    let [project, access, year, month, date] = parts[..] else {
        return "{}".to_owned();
    };
    let row =
        |n: u64| json!({"article": format!("Read_{year}{month}{date}_{n}"), "views": 1000 - n, "rank": n});
    let rows: Vec<Value> = (1..=10).map(row).collect();
    json!({"items": [{"project": project, "access": access, "year": year, "month": month, "day": date, "articles": rows}]}).to_string()
}

fn history(path: &str) -> String {
    let first: u64 = path
        .rsplit('/')
        .nth(1)
        .and_then(|day| day.parse().ok())
        .unwrap_or(20_260_101);
    let day = |n| json!({"timestamp": format!("{}00", first + n), "views": 100 + n});
    json!({"items": (0..5).map(day).collect::<Vec<_>>()}).to_string()
}

fn picture(path: &str) -> Value {
    let day = path.rsplit("%2F").next().unwrap_or_default();
    let file = format!("File:Picture of {day}.jpg");
    json!({"query": {"pages": [{"pageid": 9, "ns": 6, "title": file, "imageinfo": [{
        "thumburl": "https://u/640px.jpg", "thumbwidth": 640, "thumbheight": 400, "url": "https://u/x.jpg",
        "width": 7680, "height": 4800, "descriptionurl": "https://commons.wikimedia.org/wiki/File:X.jpg",
        "extmetadata": {"Artist": {"value": "Ada"}, "Credit": {"value": "Own work"}, "LicenseShortName": {"value": "CC BY-SA 4.0"}},
    }]}]}})
}

fn siteinfo() -> Value {
    let namespace = |id: i64, name: &str| json!({"id": id, "case": "first-letter", "name": name});
    json!({"query": {
        "general": {"mainpage": "Main Page", "lang": "en", "case": "first-letter",
            "legaltitlechars": " %!\"$&'()*,\\-.\\/0-9:;=?@A-Z\\\\^_`a-z~\\x80-\\xFF+", "mobileserver": "https://en.m.wikipedia.org"},
        "languagevariants": {},
        "namespaces": {"-1": namespace(-1, "Special"), "0": namespace(0, ""), "4": namespace(4, "Wikipedia"), "6": namespace(6, "File"), "10": namespace(10, "Template")},
        "namespacealiases": [], "specialpagealiases": [{"realname": "FeedItem", "aliases": ["FeedItem"]}], "allmessages": [],
    }})
}

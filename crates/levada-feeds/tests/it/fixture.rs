//! A MediaWiki of our own: every upstream service, synthesised and deterministic (contract §7).
//!
//! Everything that is not set up is a 404 in the form of the MediaWiki REST API. What was asked is logged.

use async_trait::async_trait;
use levada_feeds::upstream::{Fetch, FetchError, Request, Response, Upstream};
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

/// The wikis and the services around them.
#[derive(Default)]
pub struct Fixture {
    /// HTML by `domain/Title`.
    pages: Mutex<HashMap<String, String>>,
    /// FeedItem HTML by `domain/YYYYMMDD`.
    feed_items: Mutex<HashMap<String, String>>,
    /// Titles without a summary.
    missing: Mutex<HashSet<String>>,
    /// Titles that lead elsewhere.
    redirects: Mutex<HashMap<String, String>>,
    /// Rows `(title, views)` by `project/YYYY/MM/DD`.
    tops: Mutex<HashMap<String, Vec<(String, u64)>>>,
    /// Articles without a history.
    without_history: Mutex<HashSet<String>>,
    /// The image query's answer by day `YYYY-MM-DD`.
    pictures: Mutex<HashMap<String, Value>>,
    /// The entities answer.
    entities: Mutex<Value>,
    /// `languagevariants` by domain.
    variants: Mutex<HashMap<String, Vec<&'static str>>>,
    /// The name of the file namespace by domain, where it is another than `File`.
    files: Mutex<HashMap<String, &'static str>>,
    /// The pageimages answer; a thumbnail and an original when `None`.
    page_images: Mutex<Option<Value>>,
    /// Candidates `(title, description, has an image)` of the random query.
    random: Mutex<Vec<(&'static str, Option<&'static str>, bool)>>,
    /// Everything that was asked.
    log: Mutex<Vec<Request>>,
    /// Extra summaries by title, from recordings.
    summaries: Mutex<BTreeMap<String, String>>,
    /// There are no summaries but the recorded ones.
    only_recorded: AtomicBool,
}

impl Fixture {
    pub fn page(&self, domain: &str, title: &str, html: &str) {
        self.pages
            .lock()
            .insert(format!("{domain}/{}", title.replace(' ', "_")), html.to_owned());
    }

    pub fn drop_page(&self, domain: &str, title: &str) {
        self.pages
            .lock()
            .remove(&format!("{domain}/{}", title.replace(' ', "_")));
    }

    pub fn feed_item(&self, domain: &str, day: &str, html: &str) {
        self.feed_items
            .lock()
            .insert(format!("{domain}/{day}"), html.to_owned());
    }

    pub fn without_summary(&self, title: &str) {
        self.missing.lock().insert(title.to_owned());
    }

    pub fn redirect(&self, from: &str, to: &str) {
        self.redirects.lock().insert(from.to_owned(), to.to_owned());
    }

    pub fn top(&self, project_day: &str, rows: &[(&str, u64)]) {
        let rows = rows
            .iter()
            .map(|(title, views)| ((*title).to_owned(), *views))
            .collect();
        self.tops.lock().insert(project_day.to_owned(), rows);
    }

    pub fn without_history(&self, article: &str) {
        self.without_history.lock().insert(article.to_owned());
    }

    pub fn picture(&self, day: &str, answer: Value) {
        self.pictures.lock().insert(day.to_owned(), answer);
    }

    pub fn entities(&self, answer: Value) {
        *self.entities.lock() = answer;
    }

    pub fn variants(&self, domain: &str, codes: &[&'static str]) {
        self.variants.lock().insert(domain.to_owned(), codes.to_vec());
    }

    pub fn file_namespace(&self, domain: &str, name: &'static str) {
        self.files.lock().insert(domain.to_owned(), name);
    }

    pub fn page_images(&self, answer: Value) {
        *self.page_images.lock() = Some(answer);
    }

    pub fn random(&self, candidates: &[(&'static str, Option<&'static str>, bool)]) {
        *self.random.lock() = candidates.to_vec();
    }

    /// Takes a recorded summary; the first one of a title counts.
    pub fn recorded_summary(&self, title: &str, body: &str) {
        self.summaries
            .lock()
            .entry(title.to_owned())
            .or_insert_with(|| body.to_owned());
    }

    pub fn only_recorded(&self) {
        self.only_recorded.store(true, Ordering::Relaxed);
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Request> {
        self.log.lock().clone()
    }

    /// How many requests whose URL contains the text were made so far.
    pub fn count(&self, url_has: &str) -> usize {
        self.log
            .lock()
            .iter()
            .filter(|request| request.url.contains(url_has))
            .count()
    }

    pub fn forget_log(&self) {
        self.log.lock().clear();
    }

    fn answer(&self, request: &Request) -> Response {
        let url = &request.url;
        match request.upstream {
            Upstream::Html => {
                let Some(title) = between(url, "/page/", "/with_html") else {
                    return missing();
                };
                match self
                    .pages
                    .lock()
                    .get(&format!("{}/{}", request.authority(), title.replace(' ', "_")))
                {
                    Some(html) => with_html(&title, html),
                    None => missing(),
                }
            }
            Upstream::Index => {
                let Some((_, rest)) = url.split_once("featured%2F") else {
                    return missing();
                };
                let day = rest.get(..8).unwrap_or_default();
                match self
                    .feed_items
                    .lock()
                    .get(&format!("{}/{day}", request.authority()))
                {
                    Some(html) => Response {
                        content_type: Some("text/html; charset=UTF-8".into()),
                        ..Response::json(200, html.clone())
                    },
                    None => missing(),
                }
            }
            Upstream::Summary => {
                let title = url.rsplit_once("/page/summary/").map_or("", |(_, title)| title);
                let title = percent_decode_str(title).decode_utf8_lossy().into_owned();
                if self.missing.lock().contains(&title) {
                    return missing();
                }
                let title = self.redirects.lock().get(&title).cloned().unwrap_or(title);
                if let Some(body) = self.summaries.lock().get(&title) {
                    return Response::json(200, body.clone());
                }
                if self.only_recorded.load(Ordering::Relaxed) {
                    return missing();
                }
                Response::json(200, summary(&request.domain, &title).to_string())
            }
            Upstream::Pageviews => self.pageviews(url),
            Upstream::Action => self.action(request),
        }
    }

    fn pageviews(&self, url: &str) -> Response {
        if let Some((_, rest)) = url.split_once("/pageviews/top/") {
            let key = rest.replace("/all-access", "");
            return match self.tops.lock().get(&key) {
                Some(rows) => {
                    let day: Vec<&str> = key.split('/').collect();
                    let articles: Vec<Value> = rows
                        .iter()
                        .enumerate()
                        .map(|(at, (title, views))| json!({"article": title, "views": views, "rank": at + 1}))
                        .collect();
                    let item = json!({
                        "project": day[0], "access": "all-access", "year": day[1], "month": day[2],
                        "day": day[3], "articles": articles,
                    });
                    Response::json(200, json!({ "items": [item] }).to_string())
                }
                None => problem(
                    "The date(s) you used are valid, but we either do not have data for those date(s), or the project you asked for is not loaded yet.",
                ),
            };
        }
        let Some((_, rest)) = url.split_once("/user/") else {
            return missing();
        };
        let parts: Vec<&str> = rest.split('/').collect();
        let article = percent_decode_str(parts[0]).decode_utf8_lossy().into_owned();
        if self.without_history.lock().contains(&article) {
            return problem("no history");
        }
        let mut day: jiff::civil::Date = iso(parts[2]).parse().expect("a day");
        let last: jiff::civil::Date = iso(parts[3]).parse().expect("a day");
        let mut items = Vec::new();
        while day <= last {
            items.push(json!({"timestamp": format!("{:04}{:02}{:02}00", day.year(), day.month(), day.day()), "views": 100 + i64::from(day.day())}));
            day = day.tomorrow().expect("a day");
        }
        Response::json(200, json!({ "items": items }).to_string())
    }

    fn action(&self, request: &Request) -> Response {
        let (_, query) = request.url.split_once('?').unwrap_or_default();
        let has = |text: &str| query.split('&').any(|pair| pair == text);
        let titles = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("titles="))
            .unwrap_or("");
        let titles = percent_decode_str(titles).decode_utf8_lossy().into_owned();
        let answer = if has("meta=siteinfo%7Callmessages") {
            self.siteinfo(request.authority())
        } else if has("prop=pageimages") {
            self.page_images.lock().clone().unwrap_or_else(|| {
                json!({"query": {"pages": [{"pageid": 1, "ns": 0, "title": titles,
                    "thumbnail": {"source": "http://upload.example.org/960px-x.jpg", "width": 960, "height": 640},
                    "original": {"source": "http://upload.example.org/x.jpg", "width": 4000, "height": 3000}}]}})
            })
        } else if has("generator=images") {
            let day = titles.rsplit_once('/').map_or("", |(_, day)| day);
            self.pictures
                .lock()
                .get(day)
                .cloned()
                .unwrap_or_else(|| json!({"batchcomplete": true}))
        } else if has("action=wbgetentities") {
            self.entities.lock().clone()
        } else if has("generator=random") {
            let pages: Vec<Value> = self
                .random
                .lock()
                .iter()
                .enumerate()
                .map(|(at, (title, description, image))| {
                    let mut page = json!({"pageid": at + 1, "ns": 0, "title": title, "pageprops": {}});
                    if let Some(description) = description {
                        page["description"] = json!(description);
                    }
                    if *image {
                        page["pageprops"] = json!({"page_image_free": "x.jpg"});
                    }
                    page
                })
                .collect();
            json!({"query": {"pages": pages}})
        } else {
            return missing();
        };
        Response::json(200, answer.to_string())
    }

    fn siteinfo(&self, domain: &str) -> Value {
        let lang = match domain.split('.').next().unwrap_or("en") {
            "no" => "nb",
            "commons" | "www" | "test" => "en",
            label => label,
        };
        let codes = self.variants.lock().get(domain).cloned().unwrap_or_default();
        let files = self.files.lock().get(domain).copied().unwrap_or("File");
        let codes: serde_json::Map<String, Value> = codes
            .into_iter()
            .map(|code| (code.to_owned(), json!({"fallbacks": []})))
            .collect();
        let variants = if codes.is_empty() {
            json!({})
        } else {
            json!({ lang: codes })
        };
        json!({"query": {
            "general": {"mainpage": "Main Page", "lang": lang, "case": "first-letter",
                "legaltitlechars": " %!\"$&'()*,\\-.\\/0-9:;=?@A-Z\\\\^_`a-z~\\x80-\\xFF+",
                "mobileserver": format!("https://m.{domain}")},
            "languagevariants": variants,
            "namespaces": {
                "-1": {"id": -1, "case": "first-letter", "name": "Special", "canonical": "Special"},
                "0": {"id": 0, "case": "first-letter", "name": ""},
                "4": {"id": 4, "case": "first-letter", "name": "Wikipedia", "canonical": "Project"},
                "6": {"id": 6, "case": "first-letter", "name": files, "canonical": "File"},
                "10": {"id": 10, "case": "first-letter", "name": "Template", "canonical": "Template"},
            },
            "namespacealiases": [],
            "specialpagealiases": [{"realname": "FeedItem", "aliases": ["FeedItem"]}],
            "allmessages": [{"name": "toc", "content": "Contents"}],
        }})
    }
}

#[async_trait]
impl Fetch for Fixture {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        self.log.lock().push(request.clone());
        Ok(self.answer(&request))
    }
}

/// A summary with every required key.
pub fn summary(domain: &str, title: &str) -> Value {
    let key = title.replace(' ', "_");
    let shown = key.replace('_', " ");
    let lang = domain.split('.').next().unwrap_or("en");
    let id = key
        .bytes()
        .fold(7_u64, |hash, byte| (hash * 31 + u64::from(byte)) % 10_000_000);
    let url = |host: &str, path: &str| format!("https://{lang}{host}.wikipedia.org/wiki/{path}");
    json!({
        "type": "standard", "title": shown, "displaytitle": format!("<i>{shown}</i>"),
        "namespace": {"id": 0, "text": ""}, "wikibase_item": format!("Q{id}"),
        "titles": {"canonical": key, "normalized": shown, "display": format!("<i>{shown}</i>")},
        "pageid": id,
        "thumbnail": {"source": format!("https://upload.example.org/320px-{id}.jpg"), "width": 320, "height": 200},
        "originalimage": {"source": format!("https://upload.example.org/{id}.jpg"), "width": 3200, "height": 2000},
        "lang": lang, "dir": "ltr", "revision": format!("{}", id + 1),
        "tid": "7673b3f5-3b9c-11ef-b7b8-748123c7fa1c", "timestamp": "2026-11-01T00:00:00Z",
        "description": "a page", "description_source": "local",
        "content_urls": {
            "desktop": {"page": url("", &key), "revisions": url("", &key), "edit": url("", &key), "talk": url("", &key)},
            "mobile": {"page": url(".m", &key), "revisions": url(".m", &key), "edit": url(".m", &key), "talk": url(".m", &key)},
        },
        "extract": format!("{shown} is a page."), "extract_html": format!("<p><b>{shown}</b> is a page.</p>"),
    })
}

/// A page as the core REST API gives it; the revision is made of the text, so that an edit changes it.
fn with_html(title: &str, html: &str) -> Response {
    let revision = html
        .bytes()
        .fold(1_u64, |hash, byte| (hash * 131 + u64::from(byte)) % 1_000_000_007);
    let body = json!({
        "id": title.len(), "key": title, "title": title.replace('_', " "),
        "latest": {"id": revision, "timestamp": "2026-11-20T00:00:00Z"}, "html": html,
    });
    Response::json(200, body.to_string())
}

fn missing() -> Response {
    Response::json(
        404,
        r#"{"messageTranslations":{"en":"The specified title does not exist"},"httpCode":404,"httpReason":"Not Found","errorKey":"rest-nonexistent-title"}"#,
    )
}

fn problem(detail: &str) -> Response {
    let body = json!({"type": "about:blank", "title": "Not Found", "method": "get", "detail": detail, "uri": "/metrics/pageviews"});
    Response {
        content_type: Some("application/problem+json".into()),
        ..Response::json(404, body.to_string())
    }
}

fn between(url: &str, before: &str, after: &str) -> Option<String> {
    let (_, rest) = url.split_once(before)?;
    let (text, _) = rest.split_once(after)?;
    Some(percent_decode_str(text).decode_utf8_lossy().into_owned())
}

fn iso(day: &str) -> String {
    format!("{}-{}-{}", &day[..4], &day[4..6], &day[6..8])
}

//! Recording upstream answers into a directory, and serving from such a directory.
//!
//! One answer is two files named by [`Request::fingerprint`]: `.json` (what was asked and how it was answered) and
//! `.body` (the bytes). A file `summaries.ndjson`, one page summary per line, answers summary requests that were not
//! recorded themselves. `recording.json` says when it was made. A recording may be edited by hand: it is read as it stands.

use super::{Fetch, FetchError, Request, Response, Upstream};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

/// The most a replay holds in memory, bytes: a year of one wiki's feeds is well below.
const REPLAY_BYTES: u64 = 2 << 30;
/// How many distinct missing answers a replay remembers for the report.
const MISSES_KEPT: usize = 1_000;

#[derive(Debug, Serialize, Deserialize)]
struct Meta {
    upstream: String,
    url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u32>,
}

/// The file that says when the recording was made.
const MOMENT: &str = "recording.json";

#[derive(Debug, Serialize, Deserialize)]
struct Moment {
    recorded_ms: i64,
}

/// Saves every answer that passes.
pub struct Recorder<F> {
    inner: F,
    dir: PathBuf,
}

impl<F: Fetch> Recorder<F> {
    /// Records the answers of `inner` into `dir`, creating it. `now_ms` (milliseconds since the epoch) is noted as the
    /// moment of the recording, at which a replay stands still; recording into the same directory again moves it.
    pub fn new(inner: F, dir: &Path, now_ms: i64) -> io::Result<Recorder<F>> {
        std::fs::create_dir_all(dir)?;
        let note = serde_json::to_vec(&Moment { recorded_ms: now_ms })?;
        replace(&dir.join(MOMENT), &note)?;
        Ok(Recorder {
            inner,
            dir: dir.to_owned(),
        })
    }
}

#[async_trait]
impl<F: Fetch> Fetch for Recorder<F> {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        let answer = self.inner.fetch(request.clone()).await?;
        let (dir, saved) = (self.dir.clone(), answer.clone());
        let written = tokio::task::spawn_blocking(move || save(&dir, &request, &saved)).await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, dir = %self.dir.display(), "answer not recorded"),
            Err(error) => tracing::error!(%error, "answer not recorded"),
        }
        Ok(answer)
    }
}

fn save(dir: &Path, request: &Request, answer: &Response) -> io::Result<()> {
    let meta = Meta {
        upstream: request.upstream.name().to_owned(),
        url: request.url.clone(),
        host: request.host.clone(),
        language: request.language.as_deref().map(str::to_owned),
        status: answer.status,
        content_type: answer.content_type.clone(),
        location: answer.location.clone(),
        retry_after_s: answer.retry_after_s,
    };
    let name = request.fingerprint();
    // The description last: an answer exists once it is described.
    replace(&dir.join(format!("{name}.body")), &answer.body)?;
    replace(
        &dir.join(format!("{name}.json")),
        &serde_json::to_vec_pretty(&meta)?,
    )
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{:08x}.part", rand::random::<u32>()));
    std::fs::write(&part, bytes)?;
    std::fs::rename(&part, path)
}

/// Serves recorded answers and contacts nobody. What was not recorded is a 404.
pub struct Replay {
    answers: HashMap<String, Response>,
    summaries: HashMap<String, Bytes>,
    missed: Mutex<HashSet<String>>,
    recorded_ms: Option<i64>,
}

impl Replay {
    /// Reads a recording whole. Fails when the directory or a described answer cannot be read, or is larger than
    /// what fits in memory.
    pub fn open(dir: &Path) -> io::Result<Replay> {
        let mut answers = HashMap::new();
        let mut total = 0;
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            let name = path
                .file_stem()
                .and_then(|name| name.to_str())
                .unwrap_or_default()
                .to_owned();
            if path.extension().is_none_or(|extension| extension != "json") || name.len() != 64 {
                continue;
            }
            let meta: Meta = serde_json::from_slice(&std::fs::read(&path)?)
                .map_err(|error| invalid(format!("{}: {error}", path.display())))?;
            let body = std::fs::read(path.with_extension("body"))?;
            total += body.len() as u64;
            if total > REPLAY_BYTES {
                return Err(invalid(format!(
                    "{}: more than {REPLAY_BYTES} bytes",
                    dir.display()
                )));
            }
            let response = Response {
                status: meta.status,
                content_type: meta.content_type,
                location: meta.location,
                retry_after_s: meta.retry_after_s,
                body: body.into(),
            };
            answers.insert(name, response);
        }
        let moment = dir.join(MOMENT);
        let recorded_ms = if moment.exists() {
            let note: Moment = serde_json::from_slice(&std::fs::read(&moment)?)
                .map_err(|error| invalid(format!("{}: {error}", moment.display())))?;
            Some(note.recorded_ms)
        } else {
            None
        };
        let table = dir.join("summaries.ndjson");
        let summaries = if table.exists() {
            read_summaries(&table)?
        } else {
            HashMap::new()
        };
        Ok(Replay {
            answers,
            summaries,
            missed: Mutex::default(),
            recorded_ms,
        })
    }

    /// When the recording was made, milliseconds since the epoch; `None` when it does not say.
    pub fn recorded_ms(&self) -> Option<i64> {
        self.recorded_ms
    }

    /// How many answers there are to give.
    pub fn len(&self) -> usize {
        self.answers.len() + self.summaries.len()
    }

    /// Whether there is nothing to give.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// URLs that were asked for and not recorded, sorted; at most a thousand.
    pub fn missed(&self) -> Vec<String> {
        let mut urls: Vec<String> = self.missed.lock().iter().cloned().collect();
        urls.sort_unstable();
        urls
    }

    fn summary(&self, request: &Request) -> Option<Response> {
        let (_, title) = request.url.rsplit_once('/')?;
        let title = percent_encoding::percent_decode_str(title).decode_utf8().ok()?;
        let body = self
            .summaries
            .get(&format!("{}/{}", request.domain, title.replace(' ', "_")))?;
        Some(Response::json(200, body.clone()))
    }
}

#[async_trait]
impl Fetch for Replay {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        if let Some(answer) = self.answers.get(&request.fingerprint()) {
            return Ok(answer.clone());
        }
        if request.upstream == Upstream::Summary
            && let Some(answer) = self.summary(&request)
        {
            return Ok(answer);
        }
        let mut missed = self.missed.lock();
        if missed.len() < MISSES_KEPT && missed.insert(request.url.clone()) {
            tracing::warn!(url = %request.url, "not in the recording");
        }
        Ok(Response::json(
            404,
            r#"{"errorKey":"rest-nonexistent-title","httpCode":404,"httpReason":"Not Found","detail":"not recorded"}"#,
        ))
    }
}

/// Reads a table of summaries; the key is `domain/Db_key` with the domain of the desktop URL.
fn read_summaries(path: &Path) -> io::Result<HashMap<String, Bytes>> {
    let mut table = HashMap::new();
    for (number, line) in std::fs::read_to_string(path)?.lines().enumerate() {
        let place = || format!("{} line {}", path.display(), number + 1);
        let summary: Value =
            serde_json::from_str(line).map_err(|error| invalid(format!("{}: {error}", place())))?;
        let page = summary
            .pointer("/content_urls/desktop/page")
            .and_then(Value::as_str);
        let title = summary
            .pointer("/titles/canonical")
            .or(summary.get("title"))
            .and_then(Value::as_str);
        let (Some(page), Some(title)) = (page, title) else {
            return Err(invalid(format!("{}: no title or no desktop URL", place())));
        };
        let (domain, _) = super::split_url(page);
        table.insert(
            format!("{domain}/{}", title.replace(' ', "_")),
            Bytes::from(line.to_owned()),
        );
    }
    Ok(table)
}

fn invalid(problem: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use super::super::doubles::{Script, request, status};
    use super::*;

    #[tokio::test]
    async fn what_was_recorded_is_replayed_and_the_rest_is_missing() {
        let dir = tempfile::tempdir().expect("a directory");
        let recorder = Recorder::new(Script::of([status(500)]), dir.path(), 7).expect("a recorder");
        let asked = request("http://h/w/api.php?a=1&b=2");
        let live = recorder.fetch(asked.clone()).await;
        let replay = Replay::open(dir.path()).expect("a recording");
        assert_eq!((replay.len(), replay.recorded_ms()), (1, Some(7)));
        assert_eq!(replay.fetch(request("http://h/w/api.php?b=2&a=1")).await, live);
        let missing = replay.fetch(request("http://h/other")).await.expect("an answer");
        assert_eq!(missing.status, 404);
        assert_eq!(replay.missed(), ["http://h/other"]);
    }

    #[tokio::test]
    async fn a_table_of_summaries_answers_by_title() {
        let dir = tempfile::tempdir().expect("a directory");
        let line = r#"{"titles":{"canonical":"AC/DC"},"content_urls":{"desktop":{"page":"https://en.wikipedia.org/wiki/AC/DC"}}}"#;
        std::fs::write(dir.path().join("summaries.ndjson"), line).expect("written");
        let replay = Replay::open(dir.path()).expect("a recording");
        let mut asked = request("https://en.wikipedia.org/api/rest_v1/page/summary/AC%2FDC");
        asked.upstream = Upstream::Summary;
        assert_eq!(
            replay.fetch(asked.clone()).await.expect("an answer").body,
            line.as_bytes()
        );
        asked.domain = "de.wikipedia.org".into();
        assert_eq!(replay.fetch(asked).await.expect("an answer").status, 404);
    }
}

//! One batch: requests, retries, splitting, until every event has its verdict.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use levada_event::Timestamp;
use levada_event::json::Document;
use levada_wire::report::ReceivedReport;
use levada_wire::{ErrorCode, Outcome, Problem, paths};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use tokio::time::Instant;

use super::ProducerConfig;
use super::verdict::{Cause, Failed, Step, Verdict, steps};
use crate::backoff::retry_after;
use crate::login::LoginError;
use crate::server::{ERROR_BODY_MAX, Server, chain, header, read_body};

/// Most bytes of a report that are read. Reports echo the events of a request with their faults.
const REPORT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Posts batches to one intake.
#[derive(Debug)]
pub(super) struct Poster {
    server: Server,
    config: ProducerConfig,
    url: String,
}

/// What one request came to.
enum Answer {
    /// One step per event.
    Steps(Vec<Step>),
    /// The request was refused whole for something that one event in it may be the reason of.
    Split { code: String, message: String },
    /// Try again.
    Again(Failed, Option<Duration>),
    /// Trying again is pointless.
    Hopeless(Failed),
    /// The deadline came before the answer.
    OutOfTime,
}

/// The query of a request, with its question mark.
fn query(config: &ProducerConfig) -> String {
    let mut pairs = Vec::new();
    if config.hasty {
        pairs.push("hasty=true".to_owned());
    }
    for (name, value) in [("stream", &config.stream), ("schema_uri", &config.schema)] {
        if let Some(value) = value {
            pairs.push(format!("{name}={}", escaped(value)));
        }
    }
    if pairs.is_empty() {
        return String::new();
    }
    format!("?{}", pairs.join("&"))
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte);
    text.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

impl Poster {
    pub(super) fn new(server: Server, config: ProducerConfig) -> Self {
        let url = server.at(&format!("{}{}", paths::EVENTS, query(&config)));
        Self { server, config, url }
    }

    pub(super) fn config(&self) -> &ProducerConfig {
        &self.config
    }

    /// Posts events in their order and returns one verdict for each.
    pub(super) async fn post(&self, events: &[Bytes]) -> Vec<Verdict> {
        let deadline = Instant::now() + self.config.deadline;
        let mut verdicts: Vec<Option<Verdict>> = events.iter().map(|event| check(event)).collect();
        let mut groups = self.groups(events, &verdicts);
        while let Some(group) = groups.pop_front() {
            self.post_group(events, group, deadline, &mut verdicts, &mut groups)
                .await;
        }
        let lost = || Verdict::Failed(Failed::abandoned());
        verdicts
            .into_iter()
            .map(|verdict| verdict.unwrap_or_else(lost))
            .collect()
    }

    /// Cuts the open events into requests by the bounds of a batch.
    fn groups(&self, events: &[Bytes], verdicts: &[Option<Verdict>]) -> VecDeque<Vec<usize>> {
        let mut groups = VecDeque::new();
        let (mut group, mut bytes) = (Vec::new(), 0);
        for (index, event) in events.iter().enumerate().filter(|(i, _)| verdicts[*i].is_none()) {
            let full =
                group.len() >= self.config.batch_events || bytes + event.len() > self.config.batch_bytes;
            if full && !group.is_empty() {
                groups.push_back(std::mem::take(&mut group));
                bytes = 0;
            }
            group.push(index);
            bytes += event.len();
        }
        if !group.is_empty() {
            groups.push_back(group);
        }
        groups
    }

    /// Posts one group until each of its events has a verdict, or puts its halves in front of the
    /// groups that are left.
    async fn post_group(
        &self,
        events: &[Bytes],
        mut group: Vec<usize>,
        deadline: Instant,
        verdicts: &mut [Option<Verdict>],
        groups: &mut VecDeque<Vec<usize>>,
    ) {
        let mut failures = 0;
        // Once an attempt may have stored the events, later attempts that did not change nothing of it.
        let mut outcome = Outcome::Nothing;
        let mut earlier: Option<Failed> = None;
        loop {
            let (failed, asked) = match self.attempt(events, &group, deadline).await {
                Answer::Steps(steps) => {
                    let mut open = Vec::new();
                    let mut last = None;
                    for (&index, step) in group.iter().zip(steps) {
                        match step {
                            Step::Done(verdict) => verdicts[index] = Some(verdict),
                            Step::Again(failed) => {
                                open.push(index);
                                last = Some(failed);
                            }
                        }
                    }
                    group = open;
                    match last {
                        Some(failed) => (failed, None),
                        None => return,
                    }
                }
                Answer::Split { code, message } => {
                    if let [index] = group[..] {
                        verdicts[index] = Some(Verdict::Invalid { code, message });
                    } else {
                        let later = group.split_off(group.len() / 2);
                        groups.push_front(later);
                        groups.push_front(group);
                    }
                    return;
                }
                Answer::Again(failed, asked) => (failed, asked),
                Answer::Hopeless(failed) => {
                    fail(verdicts, &group, &failed, outcome);
                    return;
                }
                Answer::OutOfTime => {
                    // What an earlier attempt was told says more than that this one was cut short.
                    let cut = || unreachable("no answer came before the deadline".to_owned(), false);
                    fail(verdicts, &group, &earlier.unwrap_or_else(cut), Outcome::Unknown);
                    return;
                }
            };
            outcome = worse(outcome, failed.outcome);
            failures += 1;
            let wait = self.config.backoff.delay(failures, asked, &mut rand::rng());
            if Instant::now() + wait >= deadline {
                fail(verdicts, &group, &failed, outcome);
                return;
            }
            tracing::debug!(failures, wait_ms = wait.as_millis() as u64, reason = %failed.message, "posting again");
            tokio::time::sleep(wait).await;
            earlier = Some(failed);
        }
    }

    async fn attempt(&self, events: &[Bytes], group: &[usize], deadline: Instant) -> Answer {
        let authorization = match tokio::time::timeout_at(deadline, self.server.authorization()).await {
            Ok(Ok(value)) => value,
            Ok(Err(error)) => return without_login(&error),
            Err(_) => return Answer::Hopeless(no_login_in_time()),
        };
        let texts: Vec<&[u8]> = group.iter().map(|&index| &events[index][..]).collect();
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = self.config.request_timeout.min(left);
        let mut request = self
            .server
            .http()
            .post(&self.url)
            .header(CONTENT_TYPE, paths::TYPE_JSON)
            .body(body(&texts));
        if let Some(value) = &authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let exchange = async {
            let mut response = request.send().await?;
            let asked = header(&response, &RETRY_AFTER)
                .and_then(|value| retry_after(value, Timestamp::from_system(SystemTime::now())));
            let status = response.status().as_u16();
            let body = match status {
                // What a plain success says is in its status; what it sends is read for the sake of the
                // connection only.
                200..=206 => {
                    let _ = read_body(&mut response, ERROR_BODY_MAX).await;
                    Vec::new()
                }
                _ => read_body(&mut response, REPORT_BYTES_MAX).await?,
            };
            Ok::<_, reqwest::Error>((status, asked, body))
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(Ok((status, asked, body))) => match answer(status, asked, &body, &texts) {
                // The token may be over before its time; the next attempt logs in again.
                Answer::Hopeless(failed)
                    if status == 401 && self.server.forget_token(authorization.as_ref()).await =>
                {
                    Answer::Again(failed, asked)
                }
                answer => answer,
            },
            Ok(Err(error)) => Answer::Again(unreachable(chain(&error), error.is_connect()), None),
            Err(_) if timeout == left => Answer::OutOfTime,
            Err(_) => Answer::Again(unreachable(format!("no answer within {timeout:?}"), false), None),
        }
    }
}

/// What is plainly no event is refused here, so that it does not spoil the request of the others.
fn check(event: &[u8]) -> Option<Verdict> {
    use levada_event::json::JsonErrorKind as Kind;
    let error = Document::parse(event).err()?;
    let code = match error.kind {
        Kind::Utf8 => ErrorCode::InvalidUtf8,
        Kind::Duplicate(_) => ErrorCode::DuplicateKey,
        Kind::Depth => ErrorCode::TooDeep,
        Kind::Size => ErrorCode::EventTooLarge,
        _ => ErrorCode::MalformedJson,
    };
    Some(Verdict::Invalid {
        code: code.to_string(),
        message: error.to_string(),
    })
}

/// The events as a JSON array.
fn body(events: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(events.iter().map(|event| event.len() + 1).sum::<usize>() + 1);
    out.push(b'[');
    for (i, event) in events.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(event.strip_prefix(b"\xef\xbb\xbf").unwrap_or(event));
    }
    out.push(b']');
    out
}

fn answer(status: u16, asked: Option<Duration>, body: &[u8], events: &[&[u8]]) -> Answer {
    if matches!(status, 200..=206) {
        return Answer::Steps(vec![Step::Done(Verdict::Accepted); events.len()]);
    }
    if let Ok(report) = ReceivedReport::from_json(body)
        && !(report.invalid.is_empty() && report.error.is_empty())
    {
        return match steps(&report, events) {
            Some(steps) => Answer::Steps(steps),
            None => Answer::Hopeless(Failed {
                cause: Cause::Unexpected,
                code: format!("http_{status}"),
                message: "the server's report names events that were not sent".to_owned(),
                outcome: Outcome::Unknown,
            }),
        };
    }
    let problem = serde_json::from_slice::<Problem>(body).ok();
    let code = problem.as_ref().and_then(|problem| problem.code);
    let text = code.map_or_else(|| format!("http_{status}"), |code| code.to_string());
    let message = match problem {
        Some(problem) if !problem.detail.is_empty() => problem.detail,
        Some(problem) if !problem.title.is_empty() => problem.title,
        _ => format!("the server answered with status {status}"),
    };
    let failed = |cause| Failed {
        cause,
        code: text.clone(),
        message: message.clone(),
        outcome: code.map_or(
            if status < 500 {
                Outcome::Nothing
            } else {
                Outcome::Unknown
            },
            ErrorCode::outcome,
        ),
    };
    match (status, code.map(ErrorCode::retryable)) {
        (408 | 429 | 500.., None | Some(true)) => Answer::Again(failed(Cause::Unavailable), asked),
        (500.., Some(false)) => Answer::Hopeless(failed(Cause::Fault)),
        (401 | 403, _) => Answer::Hopeless(failed(Cause::Denied)),
        (400 | 413 | 422, _) => Answer::Split { code: text, message },
        _ => Answer::Hopeless(failed(Cause::Unexpected)),
    }
}

/// What it means for events that there is no token to send them with: never sent without, they would be
/// refused or published in nobody's name.
fn without_login(error: &LoginError) -> Answer {
    let failed = |cause| Failed {
        cause,
        code: "login".to_owned(),
        message: error.to_string(),
        outcome: Outcome::Nothing,
    };
    match error {
        LoginError::Unavailable(_) => Answer::Again(failed(Cause::Unavailable), None),
        LoginError::Refused { .. } => Answer::Hopeless(failed(Cause::Denied)),
    }
}

fn no_login_in_time() -> Failed {
    Failed {
        cause: Cause::Unavailable,
        code: "login".to_owned(),
        message: "the login got no answer before the deadline".to_owned(),
        outcome: Outcome::Nothing,
    }
}

fn unreachable(message: String, never_connected: bool) -> Failed {
    Failed {
        cause: Cause::Unreachable,
        code: "unreachable".to_owned(),
        message,
        outcome: if never_connected {
            Outcome::Nothing
        } else {
            Outcome::Unknown
        },
    }
}

fn worse(a: Outcome, b: Outcome) -> Outcome {
    if a == Outcome::Nothing { b } else { a }
}

fn fail(verdicts: &mut [Option<Verdict>], group: &[usize], failed: &Failed, outcome: Outcome) {
    for &index in group {
        let outcome = worse(outcome, failed.outcome);
        verdicts[index] = Some(Verdict::Failed(Failed {
            outcome,
            ..failed.clone()
        }));
    }
}

//! One connection of a subscriber: made, read, lost and made again.

use std::time::{Duration, SystemTime};

use levada_event::Timestamp;
use levada_wire::ndjson::Decoder;
use levada_wire::paths;
use reqwest::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use tokio::sync::mpsc::Sender;

use super::layout::{Layout, Positions};
use super::{RealtimeEvent, RealtimeNotice, RealtimePosition, RealtimeQuery};
use crate::server::{chain, read_body};
use crate::subscriber::connect::{Connected, Refusal, exchange};
use crate::{Backoff, Server, SubscribeError};

/// Longest wait for the head of the answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest answer that is read to learn how many partitions there are.
const POSITIONS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a connection tells the subscriber.
#[derive(Debug)]
pub(super) enum Step {
    /// What one read brought, in order.
    Events(Vec<RealtimeEvent>),
    Notice(RealtimeNotice),
    /// Next offsets of partitions from which nothing has come.
    Starts(Vec<(u32, u64)>),
    /// The server serves, by its own clock from this time on.
    Serving(Timestamp),
    Ended(SubscribeError),
}

pub(super) struct Connection {
    pub(super) number: usize,
    pub(super) server: Server,
    pub(super) query: RealtimeQuery,
    pub(super) parts: Vec<u8>,
    pub(super) position: RealtimePosition,
    pub(super) backoff: Backoff,
    pub(super) first_attempts: Option<u32>,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) failures: u32,
    pub(super) ever: bool,
    pub(super) layout: Layout,
    /// Where partitions begin that no event has come from.
    pub(super) starts: Vec<(u32, u64)>,
}

/// The subscriber is gone.
struct Gone;

impl Connection {
    /// Reads until the subscriber goes or nothing more can be read.
    pub(super) async fn follow(mut self, out: Sender<Step>) {
        loop {
            let (reason, asked) = match self.connect().await {
                Ok(connected) => match self.read(connected, &out).await {
                    Ok(Ok(reason)) => (reason, None),
                    Ok(Err(error)) => return end(&out, error).await,
                    Err(Gone) => return,
                },
                Err(Refusal::Final(error)) => return end(&out, error).await,
                Err(Refusal::Later { reason, asked }) => (reason, asked),
            };
            self.failures += 1;
            let attempts = self.failures;
            if !self.ever && self.first_attempts.is_some_and(|allowed| attempts >= allowed) {
                return end(
                    &out,
                    SubscribeError::Unreachable {
                        attempts,
                        last: reason,
                    },
                )
                .await;
            }
            let retry_in = self.backoff.delay(attempts, asked, &mut rand::rng());
            let notice = RealtimeNotice::Disconnected {
                connection: self.number,
                reason,
                retry_in,
            };
            if out.send(Step::Notice(notice)).await.is_err() {
                return;
            }
            tokio::time::sleep(retry_in).await;
        }
    }

    /// Asks how the stream is laid out, and where the partitions of these parts are to be read from when
    /// they are read from now on: so quiet ones keep their place too. A server that does not tell has a
    /// stream like articles.
    async fn look(&mut self, authorization: Option<&HeaderValue>) -> Result<(), Refusal> {
        let Some(positions) = self.positions(authorization).await else {
            return Ok(());
        };
        let layout = positions.layout();
        let layout = layout.map_err(|why| Refusal::Final(SubscribeError::Unexpected(why)))?;
        let Some(layout) = layout else { return Ok(()) };
        self.layout = layout;
        if self.position.start().is_none() {
            let mine = positions
                .partitions
                .iter()
                .filter(|row| self.parts.contains(&layout.part(row.partition)));
            self.starts = mine.filter_map(|row| Some((row.partition, row.next?))).collect();
            for (partition, next) in &self.starts {
                self.position.begin_at(*partition, *next);
            }
        }
        Ok(())
    }

    async fn positions(&self, authorization: Option<&HeaderValue>) -> Option<Positions> {
        let path = format!("{}/positions", self.query.path());
        let mut request = self
            .server
            .http()
            .get(self.server.at(&path))
            .timeout(ANSWER_TIMEOUT);
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let sent = request.send().await.ok();
        let mut response = sent.filter(|answer| answer.status() == 200)?;
        let text = read_body(&mut response, POSITIONS_BYTES_MAX).await.ok()?;
        serde_json::from_slice(&text).ok()
    }

    async fn connect(&mut self) -> Result<Connected, Refusal> {
        let authorization = self.server.authorization().await.map_err(Refusal::from)?;
        if !self.ever && !self.query.is_articles() {
            self.look(authorization.as_ref()).await?;
        }
        let mut request = self
            .server
            .http()
            .post(self.server.at(&self.query.path()))
            .header(ACCEPT, paths::TYPE_NDJSON)
            .header(CACHE_CONTROL, "no-cache")
            .header(CONTENT_TYPE, paths::TYPE_JSON)
            .body(
                self.query
                    .body(&self.parts, &self.position, self.layout)
                    .to_string(),
            );
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        match exchange(request, paths::TYPE_NDJSON, ANSWER_TIMEOUT).await {
            Err(Refusal::Final(SubscribeError::Refused {
                status: 401, message, ..
            })) if self.server.forget_token().await => Err(Refusal::Later {
                reason: format!("401: {message}; logging in again"),
                asked: None,
            }),
            answer => answer,
        }
    }

    /// Reads to the end of the connection; answers with why it ended, or with an error that no other
    /// connection would heal.
    async fn read(
        &mut self,
        connected: Connected,
        out: &Sender<Step>,
    ) -> Result<Result<String, SubscribeError>, Gone> {
        let Connected {
            mut response,
            served_at,
        } = connected;
        self.ever = true;
        // Partitions that bring nothing before the connection ends go on from here.
        let served_at = served_at.unwrap_or_else(|| Timestamp::from_system(SystemTime::now()));
        self.position.begin(served_at);
        let connection = self.number;
        if !self.starts.is_empty() {
            tell(out, Step::Starts(std::mem::take(&mut self.starts))).await?;
        }
        tell(out, Step::Serving(served_at)).await?;
        tell(out, Step::Notice(RealtimeNotice::Connected { connection })).await?;
        if let Some(gap) = response.headers().get(paths::GAP) {
            let text = String::from_utf8_lossy(gap.as_bytes()).into_owned();
            tell(out, Step::Notice(RealtimeNotice::Gap { connection, text })).await?;
        }
        let mut decoder = Decoder::default();
        loop {
            let chunk = match self.idle_timeout {
                None => response.chunk().await,
                Some(limit) => match tokio::time::timeout(limit, response.chunk()).await {
                    Ok(chunk) => chunk,
                    Err(_) => return Ok(Ok(format!("nothing was received for {limit:?}"))),
                },
            };
            match chunk {
                Ok(Some(chunk)) => decoder.push(&chunk),
                Ok(None) => return Ok(Ok("the server ended the stream".to_owned())),
                Err(error) => return Ok(Ok(format!("the connection broke: {}", chain(&error)))),
            }
            // Whatever comes, and be it a heartbeat, shows that the server works.
            self.failures = 0;
            let mut events = Vec::new();
            loop {
                match decoder.next_line() {
                    Ok(None) => break,
                    Ok(Some(line)) => match self.layout.event(line.text) {
                        Ok(event) => {
                            self.position.advance(event.partition, event.offset);
                            events.push(event);
                        }
                        Err(why) => return Ok(Err(SubscribeError::Unexpected(why))),
                    },
                    Err(error) => return Ok(Err(SubscribeError::Unexpected(error.to_string()))),
                }
            }
            if !events.is_empty() {
                tell(out, Step::Events(events)).await?;
            }
        }
    }
}

async fn tell(out: &Sender<Step>, step: Step) -> Result<(), Gone> {
    out.send(step).await.map_err(|_| Gone)
}

async fn end(out: &Sender<Step>, error: SubscribeError) {
    // A subscriber that has gone needs no reason.
    let _ = out.send(Step::Ended(error)).await;
}

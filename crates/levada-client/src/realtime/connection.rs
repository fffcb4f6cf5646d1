//! One connection of a subscriber: made, read, lost and made again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use levada_event::Timestamp;
use levada_wire::paths;
use reqwest::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use tokio::sync::mpsc::Sender;

use super::decode::{Decoder, Piece};
use super::layout::{Layout, Positions};
use super::{RealtimeEvent, RealtimeNotice, RealtimePosition, RealtimeQuery};
use crate::server::{chain, read_body};
use crate::subscriber::connect::{Connected, Refusal, exchange, refusal};
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
    /// Next offsets of partitions, behind what a filter left out, in this log.
    Passed(Vec<(u32, u64)>, Option<Arc<str>>),
    Notice(RealtimeNotice),
    /// The log that the server has.
    Log(String),
    /// The server has another log than the offsets of these parts are of.
    OtherLog {
        log: String,
        parts: Vec<u8>,
        layout: Layout,
    },
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
    /// Whether the layout is what the server says.
    pub(super) looked: bool,
    /// Whether the server tells positions, and so is one of ours.
    pub(super) tells: bool,
    /// The log that the offsets were of, until that is told.
    pub(super) other_log: Option<String>,
    /// Where partitions begin that no event has come from.
    pub(super) starts: Vec<(u32, u64)>,
    /// The partitions that were there when someone looked; `None` before the first look.
    pub(super) known: Option<BTreeSet<u32>>,
    /// Whether partitions that come later are read by time too, as everything is that was asked for by time.
    pub(super) by_time: bool,
}

/// The subscriber is gone.
struct Gone;

impl Connection {
    /// Reads until the subscriber goes or nothing more can be read.
    pub(super) async fn follow(mut self, out: Sender<Step>) {
        loop {
            let (reason, asked) = match self.connect().await {
                Ok(connected) => match self.read(connected, &out).await {
                    Ok(Ok(reason)) => {
                        // Partitions may have been added meanwhile.
                        self.looked &= !self.tells;
                        (reason, None)
                    }
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

    /// Asks how the stream is laid out, and from which offsets the partitions of these parts are to be read:
    /// so quiet ones keep their place too. A server that does not tell (404) has streams like the original's
    /// articles. Asked again until the stream has partitions.
    ///
    /// # Errors
    /// Without an answer nothing is read: in a wrong layout events would be missed.
    async fn look(&mut self, authorization: Option<&HeaderValue>) -> Result<(), Refusal> {
        let positions = self.positions(authorization).await?;
        self.tells = positions.is_some();
        let Some(positions) = positions else {
            self.looked = true;
            return Ok(());
        };
        let layout = positions.layout();
        let layout = layout.map_err(|why| Refusal::Final(SubscribeError::Unexpected(why)))?;
        self.layout = layout;
        self.looked = !positions.partitions.is_empty();
        if let Some(log) = &positions.log
            && let Some(other) = self.position.meet(log)
        {
            self.other_log = Some(other);
            self.known = None;
        }
        let since = self.position.start();
        let mine = positions
            .partitions
            .iter()
            .filter(|row| self.parts.contains(&layout.part(row.partition)));
        let (known, by_time) = (&self.known, self.by_time);
        // What has come since the last look has come whole since then, whatever its events say of their time.
        let is_new =
            |partition: &u32| !by_time && known.as_ref().is_some_and(|known| !known.contains(partition));
        self.starts = mine
            .filter_map(|row| match is_new(&row.partition) {
                true => Some((row.partition, 0)),
                false => Some((row.partition, row.start(since, layout.place)?)),
            })
            .collect();
        let there = positions.partitions.iter().map(|row| row.partition);
        self.known.get_or_insert_default().extend(there);
        for (partition, next) in &self.starts {
            self.position.begin_at(*partition, *next);
        }
        Ok(())
    }

    /// The answer of `…/positions`; `None` where there is no such route.
    async fn positions(&self, authorization: Option<&HeaderValue>) -> Result<Option<Positions>, Refusal> {
        let path = format!("{}/positions", self.query.path());
        let untold = |why: &str| format!("{path} does not tell the partitions: {why}");
        let later = |why: &str| Refusal::Later {
            reason: untold(why),
            asked: None,
        };
        let mut request = self
            .server
            .http()
            .get(self.server.at(&path))
            .timeout(ANSWER_TIMEOUT);
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let mut response = request.send().await.map_err(|error| later(&chain(&error)))?;
        match response.status().as_u16() {
            200 => {}
            404 => return Ok(None),
            status => {
                return Err(match refusal(status, &mut response).await {
                    Refusal::Later { reason, asked } => Refusal::Later {
                        reason: untold(&reason),
                        asked,
                    },
                    last => last,
                });
            }
        }
        let text = read_body(&mut response, POSITIONS_BYTES_MAX).await;
        let text = text.map_err(|error| later(&chain(&error)))?;
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| later(&error.to_string()))
    }

    /// Opens the stream; a token that is refused is forgotten.
    async fn connect(&mut self) -> Result<Connected, Refusal> {
        let authorization = self.server.authorization().await.map_err(Refusal::from)?;
        match self.open(authorization.as_ref()).await {
            Err(Refusal::Final(SubscribeError::Refused {
                status: 401, message, ..
            })) if self.server.forget_token(authorization.as_ref()).await => Err(Refusal::Later {
                reason: format!("401: {message}; logging in again"),
                asked: None,
            }),
            answer => answer,
        }
    }

    async fn open(&mut self, authorization: Option<&HeaderValue>) -> Result<Connected, Refusal> {
        if !self.looked {
            self.look(authorization).await?;
        }
        let accepted = match self.wants_ids() {
            true => paths::TYPE_SSE,
            false => paths::TYPE_NDJSON,
        };
        let mut request = self
            .server
            .http()
            .post(self.server.at(&self.query.path()))
            .header(ACCEPT, accepted)
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
        exchange(request, accepted, ANSWER_TIMEOUT).await
    }

    /// Lines say nothing of what a filter leaves out; ids of server-sent events do.
    fn wants_ids(&self) -> bool {
        self.tells && !self.query.filters.is_empty()
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
        let connection = self.number;
        let log = response.headers().get(paths::LOG_ID);
        let log = log.map(|log| String::from_utf8_lossy(log.as_bytes()).into_owned());
        let is_other = log.as_deref().and_then(|log| self.position.meet(log));
        let reread = is_other.is_some();
        if let Some(known) = is_other.or(self.other_log.take()) {
            let found = self.position.log().unwrap_or_default().to_owned();
            let step = Step::OtherLog {
                log: found.clone(),
                parts: self.parts.clone(),
                layout: self.layout,
            };
            tell(out, step).await?;
            let notice = RealtimeNotice::OtherLog {
                connection,
                known,
                found,
                since: self.position.start(),
            };
            tell(out, Step::Notice(notice)).await?;
        } else if let Some(log) = log {
            tell(out, Step::Log(log)).await?;
        }
        if reread {
            // This response was asked for with offsets of the other log.
            self.looked = false;
            self.known = None;
            self.starts.clear();
            return Ok(Ok("the offsets were of another log".to_owned()));
        }
        let log: Option<Arc<str>> = self.position.log().map(Arc::from);
        // Partitions that bring nothing before the connection ends go on from here.
        let served_at = served_at.unwrap_or_else(|| Timestamp::from_system(SystemTime::now()));
        self.position.begin(served_at);
        if !self.starts.is_empty() {
            tell(out, Step::Starts(std::mem::take(&mut self.starts))).await?;
        }
        tell(out, Step::Serving(served_at)).await?;
        tell(out, Step::Notice(RealtimeNotice::Connected { connection })).await?;
        // In server-sent events a comment tells the same.
        if let Some(gap) = response.headers().get(paths::GAP).filter(|_| !self.wants_ids()) {
            let text = String::from_utf8_lossy(gap.as_bytes()).into_owned();
            tell(out, Step::Notice(RealtimeNotice::Gap { connection, text })).await?;
        }
        let mut decoder = Decoder::new(self.wants_ids());
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
            let mut passed = Vec::new();
            let mut ended = None;
            while ended.is_none() {
                match decoder.next_piece() {
                    Ok(None) => break,
                    Ok(Some(Piece::Event(text))) => match self.layout.event(text, log.clone()) {
                        Ok(event) => {
                            self.position.advance(event.partition, event.offset);
                            events.push(event);
                        }
                        Err(why) => ended = Some(Err(SubscribeError::Unexpected(why))),
                    },
                    Ok(Some(Piece::Passed(places))) => passed = places,
                    Ok(Some(Piece::Gap(text))) => {
                        let gap = RealtimeNotice::Gap { connection, text };
                        tell(out, Step::Notice(gap)).await?;
                    }
                    Ok(Some(Piece::Failed(why))) => ended = Some(Ok(why)),
                    Err(why) => ended = Some(Err(SubscribeError::Unexpected(why))),
                }
            }
            if !events.is_empty() {
                tell(out, Step::Events(events)).await?;
            }
            if !passed.is_empty() {
                for (partition, next) in &passed {
                    self.position.pass(*partition, *next);
                }
                tell(out, Step::Passed(passed, log.clone())).await?;
            }
            if let Some(ended) = ended {
                return Ok(ended);
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

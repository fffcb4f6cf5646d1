//! Subscribing: one event after the other, over as many connections as it takes.

pub(crate) mod connect;
mod resume;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use levada_event::Timestamp;
use levada_wire::sse::{DecodeError, Decoder, Item, Limits};
use levada_wire::{ErrorCode, Gap, StreamError, Subscription};
use tokio::time::Instant;

use crate::{Backoff, Server};
use connect::{Connected, Refusal};
pub use resume::{ResumeError, ResumeFile};

/// How a [`Subscriber`] works.
#[derive(Debug, Clone)]
pub struct SubscriberConfig {
    /// What to subscribe to. Its `since` counts only while there is no cursor.
    pub subscription: Subscription,
    /// Where to go on: the position that an earlier subscriber committed.
    pub cursor: Option<String>,
    /// A connection silent for longer than this is taken for dead. Servers send a heartbeat every 15
    /// seconds; three may be missed.
    pub idle_timeout: Duration,
    /// Longest wait for the server's answer to a connection attempt.
    pub answer_timeout: Duration,
    /// Waits between connections.
    pub backoff: Backoff,
    /// After how many failed attempts in a row to give up while nothing was ever received; `None`
    /// never.
    pub first_attempts: Option<u32>,
    /// The same once something was received.
    pub attempts: Option<u32>,
    /// Most bytes of one frame.
    pub frame_bytes: usize,
}

impl SubscriberConfig {
    /// The defaults for a subscription: give up after four failed attempts to begin, never later.
    pub fn new(subscription: Subscription) -> Self {
        Self {
            subscription,
            cursor: None,
            idle_timeout: Duration::from_secs(45),
            answer_timeout: Duration::from_secs(30),
            backoff: Backoff::default(),
            first_attempts: Some(4),
            attempts: None,
            frame_bytes: Limits::default().frame_bytes,
        }
    }
}

/// Something a [`Subscriber`] hands out.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// An event.
    Event(Received),
    /// Something worth knowing about the subscription itself.
    Notice(Notice),
}

/// An event as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The event's JSON text.
    pub data: String,
    /// The position behind this event, if the server gives one: hand it to
    /// [`SubscriberConfig::cursor`] to go on with the next event.
    pub cursor: Option<Arc<str>>,
}

/// News about the subscription.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// A connection stands.
    Connected,
    /// The server could not take the position as asked: events may be missing or repeated.
    Gap(Gap),
    /// The server says that it cannot go on; the connection ends and will be made anew.
    ServerError {
        /// The code, if the server gave a known one.
        code: Option<ErrorCode>,
        /// Why, for people.
        message: String,
    },
    /// The connection ended or could not be made.
    Disconnected {
        /// Why.
        reason: String,
        /// When the next attempt will be made.
        retry_in: Duration,
    },
}

/// Why a subscription ended, by what the caller can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// The server refuses the request: change it.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The error code or type, as far as the server gave one.
        code: Option<String>,
        /// Why, for people.
        message: String,
    },
    /// The server cannot be reached or cannot serve now: try later.
    #[error("gave up after {attempts} attempts: {last}")]
    Unreachable {
        /// How many attempts failed in a row.
        attempts: u32,
        /// Why the last one failed.
        last: String,
    },
    /// The answer is no event stream: check the address.
    #[error("{0}")]
    Unexpected(String),
    /// The stream cannot be read.
    #[error("the stream cannot be read: {0}")]
    Frame(#[from] DecodeError),
}

/// Follows streams of an EventStreams server: reconnects with back-off and jitter when the connection
/// ends, stays silent too long or cannot be made, and resumes behind the last event handed out.
///
/// [`next`](Self::next) may be cancelled and called again without losing events.
#[derive(Debug)]
pub struct Subscriber {
    server: Server,
    config: SubscriberConfig,
    state: State,
    /// Behind the event handed out last.
    position: Option<Arc<str>>,
    /// Where to begin while there is no position.
    since: Option<Timestamp>,
    /// Failed attempts in a row.
    failures: u32,
    /// Whether any attempt ever succeeded.
    ever: bool,
    /// The server's `retry`, a lower bound of the wait.
    retry: Option<Duration>,
}

#[derive(Debug)]
enum State {
    Idle,
    Waiting(Instant),
    Connecting(Attempt),
    Open(Box<Open>),
    Ended(SubscribeError),
}

/// A connection attempt under way.
struct Attempt(Pin<Box<dyn Future<Output = Result<Connected, Refusal>> + Send>>);

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attempt")
    }
}

/// A connection and what was read from it.
#[derive(Debug)]
struct Open {
    response: reqwest::Response,
    decoder: Decoder,
}

/// Longest wait that a server's `retry` field can impose.
const RETRY_MAX: Duration = Duration::from_secs(600);

impl Subscriber {
    /// A subscriber that will connect on the first call of [`next`](Self::next).
    pub fn new(server: Server, config: SubscriberConfig) -> Self {
        let position = config.cursor.as_deref().map(Arc::from);
        let since = config.subscription.since;
        Self {
            server,
            config,
            state: State::Idle,
            position,
            since,
            failures: 0,
            ever: false,
            retry: None,
        }
    }

    /// The next event or notice.
    ///
    /// # Errors
    /// [`SubscribeError`], for good: every later call gives the same.
    pub async fn next(&mut self) -> Result<Delivery, SubscribeError> {
        loop {
            let step = match &mut self.state {
                State::Ended(error) => return Err(error.clone()),
                State::Waiting(until) => {
                    tokio::time::sleep_until(*until).await;
                    self.state = State::Idle;
                    continue;
                }
                State::Idle => {
                    self.state = State::Connecting(self.connect());
                    continue;
                }
                State::Connecting(attempt) => {
                    let answer = attempt.0.as_mut().await;
                    self.connected(answer)
                }
                State::Open(_) => self.read().await,
            };
            match step {
                Ok(Some(delivery)) => return Ok(delivery),
                Ok(None) => {}
                Err(error) => {
                    self.state = State::Ended(error.clone());
                    return Err(error);
                }
            }
        }
    }

    /// The position behind the event handed out last: once that event is processed, this is where a
    /// later subscriber goes on. `None` before the server gave one.
    pub fn position(&self) -> Option<&Arc<str>> {
        self.position.as_ref()
    }

    /// The subscription.
    pub fn subscription(&self) -> &Subscription {
        &self.config.subscription
    }

    /// Begins an attempt. It lives in the state, so that a cancelled call does not throw it away.
    fn connect(&self) -> Attempt {
        let since = self.since.filter(|_| self.position.is_none());
        let subscription = Subscription {
            since,
            ..self.config.subscription.clone()
        };
        Attempt(Box::pin(connect::connect(
            self.server.clone(),
            subscription,
            self.position.clone(),
            self.config.answer_timeout,
        )))
    }

    fn connected(&mut self, answer: Result<Connected, Refusal>) -> Result<Option<Delivery>, SubscribeError> {
        match answer {
            Ok(Connected { response, served_at }) => {
                if !self.ever {
                    // Should the connection end before the first position comes, go on from the time at
                    // which the server began to serve, not from wherever its end is by then.
                    self.since = self.since.or(served_at);
                }
                self.ever = true;
                let limits = Limits {
                    frame_bytes: self.config.frame_bytes,
                };
                self.state = State::Open(Box::new(Open {
                    response,
                    decoder: Decoder::new(limits),
                }));
                Ok(Some(Delivery::Notice(Notice::Connected)))
            }
            Err(Refusal::Final(error)) => Err(error),
            Err(Refusal::Later { reason, asked }) => self.wait(reason, asked).map(Some),
        }
    }

    /// Takes one item from the open connection.
    async fn read(&mut self) -> Result<Option<Delivery>, SubscribeError> {
        let State::Open(open) = &mut self.state else {
            return Ok(None);
        };
        let Open { response, decoder } = &mut **open;
        if let Some(item) = decoder.next_item()? {
            return Ok(self.take(item));
        }
        let reason = match tokio::time::timeout(self.config.idle_timeout, response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                decoder.push(&chunk);
                return Ok(None);
            }
            Ok(Ok(None)) if decoder.between_frames() => "the server ended the stream".to_owned(),
            Ok(Ok(None)) => "the stream ended inside a frame".to_owned(),
            Ok(Err(error)) => format!("the connection broke: {}", crate::server::chain(&error)),
            Err(_) => format!("nothing was received for {:?}", self.config.idle_timeout),
        };
        self.wait(reason, None).map(Some)
    }

    fn take(&mut self, item: Item) -> Option<Delivery> {
        match item {
            Item::Event(event) if event.name == "message" => {
                self.failures = 0;
                self.position = event.id.clone().or(self.position.take());
                Some(Delivery::Event(Received {
                    data: event.data,
                    cursor: event.id,
                }))
            }
            Item::Event(event) if event.name == "error" => {
                let error = serde_json::from_str::<StreamError>(&event.data).unwrap_or_default();
                let message = if error.message.is_empty() {
                    event.data
                } else {
                    error.message
                };
                Some(Delivery::Notice(Notice::ServerError {
                    code: error.code,
                    message,
                }))
            }
            // Other names are not events of the stream, and there are none yet.
            Item::Event(_) => None,
            Item::Id(id) => {
                self.failures = 0;
                self.position = Some(id);
                None
            }
            Item::Retry(millis) => {
                self.retry = Some(Duration::from_millis(millis).min(RETRY_MAX));
                None
            }
            Item::Comment(text) => {
                // A heartbeat shows that the connection works; the opening comment alone does not.
                if text.is_empty() {
                    self.failures = 0;
                }
                Gap::from_comment(&text).map(|gap| Delivery::Notice(Notice::Gap(gap)))
            }
        }
    }

    /// Goes into waiting for the next attempt, or gives up.
    fn wait(&mut self, reason: String, asked: Option<Duration>) -> Result<Delivery, SubscribeError> {
        self.failures += 1;
        let allowed = if self.ever {
            self.config.attempts
        } else {
            self.config.first_attempts
        };
        if allowed.is_some_and(|allowed| self.failures >= allowed) {
            return Err(SubscribeError::Unreachable {
                attempts: self.failures,
                last: reason,
            });
        }
        let asked = asked.or(self.retry);
        let retry_in = self.config.backoff.delay(self.failures, asked, &mut rand::rng());
        self.state = State::Waiting(Instant::now() + retry_in);
        Ok(Delivery::Notice(Notice::Disconnected { reason, retry_in }))
    }
}

//! The Realtime API: one stream, ten parts, over as many connections as asked for (contract realtime
//! §1, §5).
//!
//! Each connection reads some of the parts, reconnects with back-off and jitter, and goes on behind
//! the last event of each partition that it handed over. The position is the next offset of each
//! partition behind what was processed, so that events come exactly once per partition as long as
//! positions are saved behind processing, and at least once whatever happens.

mod connection;
mod decode;
mod layout;
mod position;
mod query;

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use levada_event::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use self::position::{PositionError, RealtimePosition};
pub use self::query::{PARTS, QueryError, RealtimeQuery};
use crate::{Backoff, Server, SubscribeError};
use connection::{Connection, Step};
use layout::Layout;

/// Batches that wait for the consumer, per subscriber; a batch is what one read brought.
const BATCHES_MAX: usize = 16;

/// How a [`RealtimeSubscriber`] works.
#[derive(Debug, Clone)]
pub struct RealtimeConfig {
    /// What to read.
    pub query: RealtimeQuery,
    /// Connections, 1 to the number of parts; parts are dealt out evenly.
    pub connections: usize,
    /// Where to go on.
    pub position: RealtimePosition,
    /// Waits between connections.
    pub backoff: Backoff,
    /// After how many failed attempts in a row to give up while nothing was ever received; `None`
    /// never.
    pub first_attempts: Option<u32>,
    /// A connection silent for longer than this is taken for dead. `None` waits for ever: some
    /// servers send no heartbeat.
    pub idle_timeout: Option<std::time::Duration>,
}

impl RealtimeConfig {
    /// One connection, from now on.
    pub fn new(query: RealtimeQuery) -> Self {
        Self {
            query,
            connections: 1,
            position: RealtimePosition::default(),
            backoff: Backoff::default(),
            first_attempts: Some(4),
            idle_timeout: Some(std::time::Duration::from_secs(45)),
        }
    }
}

/// An event as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealtimeEvent {
    /// The partition it is from.
    pub partition: u32,
    /// Its offset there.
    pub offset: u64,
    /// `event.date_published`, where it was selected.
    pub published: Option<Timestamp>,
    /// The whole JSON text, one line without its end.
    pub data: Bytes,
    /// The id of the log that the offset belongs to, where the server told it.
    log: Option<Arc<str>>,
}

/// News about a connection, which is counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RealtimeNotice {
    /// It stands.
    Connected {
        /// Which one.
        connection: usize,
    },
    /// The server could not take the position as asked: events may be missing. Its own words.
    Gap {
        /// Which one.
        connection: usize,
        /// The `levada-gap` header.
        text: String,
    },
    /// The server has another log than the offsets are of: its data was replaced, or it is another server. The
    /// offsets are dropped and everything is read from the time at which reading began, so events may
    /// come twice.
    OtherLog {
        /// Which one.
        connection: usize,
        /// The id of the log that the offsets were of.
        known: String,
        /// The id of the log that is there.
        found: String,
        /// From when on it is read.
        since: Option<Timestamp>,
    },
    /// It ended or could not be made.
    Disconnected {
        /// Which one.
        connection: usize,
        /// Why.
        reason: String,
        /// When the next attempt will be made.
        retry_in: std::time::Duration,
    },
}

/// Something a [`RealtimeSubscriber`] hands out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RealtimeDelivery {
    /// An event.
    Event(RealtimeEvent),
    /// News about a connection.
    Notice(RealtimeNotice),
}

/// Follows a stream of the Realtime API.
///
/// [`next`](Self::next) may be cancelled and called again without losing events.
#[derive(Debug)]
pub struct RealtimeSubscriber {
    steps: mpsc::Receiver<Step>,
    ready: VecDeque<RealtimeEvent>,
    position: RealtimePosition,
    /// Events handed out, and those of them that were processed.
    handed: u64,
    processed: u64,
    /// Next offsets behind what a filter left out, until everything that was handed out is processed.
    passed: BTreeMap<u32, u64>,
    ended: Option<SubscribeError>,
    /// Ends the connections when dropped.
    _connections: JoinSet<()>,
}

impl RealtimeSubscriber {
    /// Starts the connections. Must be called inside a runtime.
    ///
    /// # Errors
    /// [`QueryError`] names a part that does not exist or a field that cannot be asked for.
    pub fn new(server: Server, config: RealtimeConfig) -> Result<Self, QueryError> {
        let RealtimeConfig {
            query,
            connections,
            position,
            backoff,
            first_attempts,
            idle_timeout,
        } = config;
        let query = query.checked()?;
        let groups = query.split(connections);
        let (send, steps) = mpsc::channel(BATCHES_MAX);
        let mut running = JoinSet::new();
        for (number, parts) in groups.into_iter().enumerate() {
            let connection = Connection {
                number,
                server: server.clone(),
                query: query.clone(),
                parts,
                position: position.clone(),
                backoff,
                first_attempts,
                idle_timeout,
                failures: 0,
                ever: false,
                layout: Layout::ARTICLES,
                looked: false,
                tells: false,
                other_log: None,
                starts: Vec::new(),
                known: None,
                by_time: position.start().is_some() && position.offsets().is_empty(),
            };
            running.spawn(connection.follow(send.clone()));
        }
        Ok(Self {
            steps,
            ready: VecDeque::new(),
            position,
            handed: 0,
            processed: 0,
            passed: BTreeMap::new(),
            ended: None,
            _connections: running,
        })
    }

    /// The next event or notice.
    ///
    /// # Errors
    /// [`SubscribeError`], for good: every later call gives the same.
    pub async fn next(&mut self) -> Result<RealtimeDelivery, SubscribeError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.handed += 1;
                return Ok(RealtimeDelivery::Event(event));
            }
            if let Some(error) = &self.ended {
                return Err(error.clone());
            }
            match self.steps.recv().await {
                Some(Step::Events(events)) => self.ready.extend(events),
                Some(Step::Passed(places, log)) => {
                    if self.position.is_of(log.as_deref()) {
                        self.passed.extend(places);
                        self.pass();
                    }
                }
                Some(Step::Notice(notice)) => return Ok(RealtimeDelivery::Notice(notice)),
                Some(Step::Starts(starts)) => {
                    for (partition, next) in starts {
                        self.position.begin_at(partition, next);
                    }
                }
                Some(Step::Log(log)) => {
                    self.position.meet(&log);
                }
                Some(Step::OtherLog { log, parts, layout }) => {
                    self.position.meet(&log);
                    self.passed.clear();
                    // Where another connection told first, this one may have told places of the old log since.
                    self.position
                        .forget(|partition| parts.contains(&layout.part(partition)));
                }
                Some(Step::Serving(since)) => self.position.begin(since),
                Some(Step::Ended(error)) => self.ended = Some(error),
                None => {
                    self.ended = Some(SubscribeError::Unexpected("all connections ended".to_owned()));
                }
            }
        }
    }

    /// Says that an event was processed: [`position`](Self::position) is behind it from now on. One of a log that
    /// is no longer there ([`RealtimeNotice::OtherLog`]) does not move the position in the new one.
    pub fn processed(&mut self, event: &RealtimeEvent) {
        if self.position.is_of(event.log.as_deref()) {
            self.position.advance(event.partition, event.offset);
        }
        self.processed += 1;
        self.pass();
    }

    /// Moves behind what filters left out, once nothing before it is in the caller's hands.
    fn pass(&mut self) {
        if self.processed >= self.handed {
            while let Some((partition, next)) = self.passed.pop_first() {
                self.position.pass(partition, next);
            }
        }
    }

    /// The position behind all events that were processed.
    pub fn position(&self) -> &RealtimePosition {
        &self.position
    }

    /// Calls back for each event until the callback breaks; the position behind an event counts, and
    /// is handed to `saved`, after the callback has returned. Notices are dropped.
    ///
    /// # Errors
    /// [`SubscribeError`] when the subscription cannot go on.
    pub async fn run(
        &mut self,
        mut callback: impl FnMut(&RealtimeEvent) -> ControlFlow<()>,
        mut saved: impl FnMut(&RealtimePosition),
    ) -> Result<(), SubscribeError> {
        loop {
            if let RealtimeDelivery::Event(event) = self.next().await? {
                let flow = callback(&event);
                self.processed(&event);
                saved(&self.position);
                if flow.is_break() {
                    return Ok(());
                }
            }
        }
    }
}

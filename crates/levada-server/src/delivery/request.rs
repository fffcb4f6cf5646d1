//! What is asked of delivery: the topics, where to start, and how events are to be written.

use std::num::NonZeroU32;
use std::time::Duration;

use levada_event::select::Selection;
use levada_event::splice;
use levada_event::{Start, Timestamp};
use levada_log::{LogError, TopicSpec};
use levada_wire::{Element, ErrorCode, StreamError};

use super::limits::LANES_MAX;
use levada_wire::cursor::CURSOR_BYTES_MAX;

/// A subscription, as the HTTP layer has understood it. Names are resolved to topics, filters are
/// compiled; nothing has been looked up in the log yet.
#[derive(Debug, Clone)]
pub struct Request {
    /// The topics in the order asked for. A topic that stands twice is delivered once.
    pub topics: Vec<TopicRequest>,
    /// Where to start.
    pub from: From,
    /// When it was asked.
    pub now: Timestamp,
    /// In the manner of which API.
    pub api: Api,
    /// In which format.
    pub format: Format,
    /// Which events, and what of them.
    pub selection: Selection,
    /// Whether canary events are left out.
    pub drop_canaries: bool,
    /// SSE only: how long clients should wait before they reconnect, told once at the start.
    pub retry: Option<Duration>,
    /// The response ends at a frame boundary after this time, less up to a fifth of it drawn at
    /// random, so that clients which came together do not come back together.
    pub max_age: Option<Duration>,
    /// Most events per second; `None` is as fast as the client reads.
    pub rate: Option<NonZeroU32>,
}

/// One topic of a subscription.
#[derive(Debug, Clone)]
pub struct TopicRequest {
    /// The topic as declared. It is created where the log creates topics, else waited for.
    pub spec: TopicSpec,
    /// The partitions asked for, `None` for all. Those that do not exist are left out.
    pub partitions: Option<Vec<u32>>,
    /// For the fields of which dialect the topic's records carry a splice position.
    pub stored: splice::Dialect,
}

/// Where a subscription starts.
#[derive(Debug, Clone)]
pub enum From {
    /// Every partition in the same way.
    Everywhere(Start),
    /// Exactly the partitions that a cursor names, as `Last-Event-ID` does on EventStreams (contract
    /// eventstreams §1.4): topics and partitions that it leaves out are not read. A bare topic name
    /// stands for all its partitions, started at `bare`.
    Exactly {
        /// The cursor's elements.
        elements: Vec<Element>,
        /// Where topics without a position start.
        bare: Start,
    },
    /// The named partitions there, all others at `rest` (contract realtime §1.4). Elements that name
    /// no partition of the subscription are ignored.
    Each {
        /// Positions by partition.
        elements: Vec<Element>,
        /// Where all others start.
        rest: Start,
    },
}

/// In the manner of which API a response is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Api {
    /// `/v2/stream/…`: NDJSON begins with an empty line and tells errors as a line.
    EventStreams,
    /// `/v2/articles`, `/v2/streams/…`: NDJSON has nothing but events, and breaks off on errors.
    Realtime,
}

/// The format of a response's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Server-sent events.
    Sse,
    /// One JSON object per line.
    Ndjson,
}

/// Why a subscription is refused, before the first byte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The cursor names topics that are not among those asked for.
    #[error("Topics {} are not available for consumption.", unavailable.join(","))]
    TopicNotAvailable {
        /// The topics that the cursor should not name.
        unavailable: Vec<String>,
        /// The topics it may name.
        available: Vec<String>,
    },
    /// More partitions than one subscription may have.
    #[error("a subscription has at most {LANES_MAX} partitions")]
    TooManyPartitions,
    /// Its ids would be longer than the server takes back.
    #[error(
        "the ids of this subscription would have more than {CURSOR_BYTES_MAX} bytes, which could not be sent back; ask for fewer partitions"
    )]
    IdTooLong,
    /// As many different subscriptions are open as the server takes.
    #[error("too many different subscriptions are open")]
    TooManyChannels,
    /// The server is about to stop.
    #[error("the server is about to stop")]
    Draining,
    /// The log did not answer.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl OpenError {
    /// The code, whose status the response gets.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::TopicNotAvailable { .. } => ErrorCode::TopicNotAvailable,
            Self::TooManyPartitions | Self::IdTooLong => ErrorCode::InvalidParameter,
            Self::TooManyChannels => ErrorCode::Overloaded,
            Self::Draining => ErrorCode::ShuttingDown,
            Self::Log(error) => log_code(error),
        }
    }

    /// The body in the shape of EventStreams (contract eventstreams §1.6).
    pub fn stream_error(&self) -> StreamError {
        let mut body = match self {
            Self::TopicNotAvailable {
                unavailable,
                available,
            } => {
                return StreamError::topic_not_available(&texts(unavailable), &texts(available));
            }
            other => StreamError::in_band(other.code(), other.to_string()),
        };
        body.status_code = Some(self.code().status());
        body
    }
}

fn texts(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// The code of a log's error, for a reader.
pub(crate) fn log_code(error: &LogError) -> ErrorCode {
    match error {
        LogError::Unavailable(_) | LogError::UnknownTopic(_) | LogError::Indeterminate(_) => {
            ErrorCode::StorageUnavailable
        }
        LogError::OutOfRange(_) => ErrorCode::PositionGone,
        LogError::Corrupt { .. } => ErrorCode::StorageDamaged,
        LogError::TooLarge { .. } | LogError::Poisoned(_) => ErrorCode::Internal,
    }
}

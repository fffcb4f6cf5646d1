//! Publish to and subscribe to a Levada server, or to any server that speaks EventGate's intake or
//! EventStreams.
//!
//! [`Producer`] takes events and gives one [`Verdict`] for each: it batches, keeps order, retries what
//! can be retried, and stops at a deadline. [`Subscriber`] hands out events one by one, reconnects by
//! itself, and resumes exactly where it was; a [`ResumeFile`] carries the position over restarts.
//!
//! [`RealtimeSubscriber`] reads the Realtime API over several connections, with the next offset of each
//! partition as its position.
//!
//! Delivery is at least once in both directions: a request whose answer was lost is sent again, and a
//! position that was not committed is read again.

mod backoff;
mod login;
mod producer;
mod realtime;
mod server;
mod subscriber;

pub use backoff::Backoff;
pub use login::LoginError;
pub use producer::{Cause, Closed, Failed, Producer, ProducerConfig, Receipt, Verdict};
pub use realtime::{
    PARTS, PositionError, QueryError, RealtimeConfig, RealtimeDelivery, RealtimeEvent, RealtimeNotice,
    RealtimePosition, RealtimeQuery, RealtimeSubscriber,
};
pub use server::{Server, SetupError};
pub use subscriber::{
    Delivery, Notice, Received, ResumeError, ResumeFile, SubscribeError, Subscriber, SubscriberConfig,
};

//! Publish to and subscribe to a Levada server, or to any server that speaks EventGate's intake or
//! EventStreams.
//!
//! [`Producer`] takes events and gives one [`Verdict`] for each: it batches, keeps order, retries what
//! can be retried, and stops at a deadline. [`Subscriber`] hands out events one by one, reconnects by
//! itself, and resumes exactly where it was; a [`ResumeFile`] carries the position over restarts.
//!
//! Delivery is at least once in both directions: a request whose answer was lost is sent again, and a
//! position that was not committed is read again.

mod backoff;
mod producer;
mod server;
mod subscriber;

pub use backoff::Backoff;
pub use producer::{Cause, Closed, Failed, Producer, ProducerConfig, Receipt, Verdict};
pub use server::{Server, SetupError};
pub use subscriber::{
    Delivery, Notice, Received, ResumeError, ResumeFile, SubscribeError, Subscriber, SubscriberConfig,
};

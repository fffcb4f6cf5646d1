//! Delivery: events from the log to subscribers, as they happen or from any point of the retained past.
//!
//! A [`Request`] is planned (topics to partitions, starts to offsets; everything that can be refused is
//! refused here) and becomes a [`SessionBody`]. A session that starts in the past reads the log on its
//! own. At the end of the log it takes a seat in a channel: there every event is rendered once for all
//! sessions of one shape, and every partition is read once for all channels. A session too slow for
//! that goes back to reading on its own, so that a slow reader costs only itself.
//!
//! Trusts the log to keep its contract, and records flagged as checked to be one JSON object on one
//! line. Promises, per session and partition: every event that matches, once, in order, from the start
//! asked for; and where that cannot be, a [`Gap`] or an error, never silence.
//!
//! Knows no routes, no headers and no intake. `http` turns requests into [`Request`]s and bodies into
//! responses.

mod awaited;
mod catch_up;
mod channel;
mod damage;
mod failure;
mod hub;
mod id;
pub mod limits;
mod pace;
mod plan;
mod reading;
mod render;
mod request;
mod ring;
mod selected;
mod session;
mod shape;
mod stats;
mod tail;
mod waiters;
mod wider;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use levada_event::{Offset, TopicPartition};
use levada_log::Log;
use levada_wire::Gap;

pub use failure::SessionAborted;
pub use limits::Options;
pub use request::{Api, Format, From, OpenError, Request, TopicRequest};
pub use session::SessionBody;
pub use stats::{Counter, DeliveryStats, Gauge};

use hub::Hub;

/// Opens sessions. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Delivery {
    hub: Arc<Hub>,
}

/// A session that is ready to be sent.
#[derive(Debug)]
pub struct Opened {
    /// Positions that could not be taken as asked.
    pub gaps: Vec<Gap>,
    /// Where every partition starts, in the order of the id.
    pub starts: Vec<(TopicPartition, Offset)>,
    /// The response's body.
    pub body: SessionBody,
}

/// Longest value of the gap header in bytes, so that it passes every proxy. A hundred gaps fit; all of them
/// are told in the stream, where the format can.
const GAP_HEADER_BYTES_MAX: usize = 4096;

/// Room for the number of gaps that the header leaves out.
const GAPS_LEFT_OUT_BYTES: usize = 16;

impl Opened {
    /// The value of the header that tells the gaps, ending in `+N` where N more did not fit; `None` when there
    /// are none.
    pub fn gap_header(&self) -> Option<String> {
        let mut value = String::new();
        for (told, gap) in self.gaps.iter().enumerate() {
            let item = gap.header_item();
            if value.len() + item.len() + 2 > GAP_HEADER_BYTES_MAX - GAPS_LEFT_OUT_BYTES {
                let separator = if value.is_empty() { "" } else { ", " };
                value.push_str(&format!("{separator}+{}", self.gaps.len() - told));
                break;
            }
            if !value.is_empty() {
                value.push_str(", ");
            }
            value.push_str(&item);
        }
        (!value.is_empty()).then_some(value)
    }
}

impl Delivery {
    /// Delivery from this log. Sessions have to be polled inside a tokio runtime with timers.
    pub fn new(log: Arc<dyn Log>, options: Options) -> Self {
        Self {
            hub: Arc::new(Hub::new(log, options)),
        }
    }

    /// The log that is delivered from.
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.hub.log
    }

    /// What delivery counts.
    pub fn stats(&self) -> &Arc<DeliveryStats> {
        &self.hub.stats
    }

    /// Opens a session: looks the topics up, creating them where the log does that, and resolves
    /// every start. Nothing is read and no seat is taken before the body is polled.
    ///
    /// # Errors
    /// [`OpenError`]; no byte has been sent then.
    pub async fn open(&self, request: Request) -> Result<Opened, OpenError> {
        if self.hub.is_draining() {
            return Err(OpenError::Draining);
        }
        let (retry, rate) = (request.retry, request.rate);
        let age = request.max_age.map(jittered);
        let passes = self.hub.options.pass_damage;
        let plan = plan::plan(&self.hub.log, request, passes).await?;
        let shape = plan.shape;
        if !self.hub.has_room(&shape) {
            return Err(OpenError::TooManyChannels);
        }
        self.hub.stats.gaps.add(plan.gaps.len() as u64);
        let starts = shape.lanes.iter().zip(&plan.places);
        let starts = starts
            .map(|(lane, place)| (lane.of.clone(), place.mark.next))
            .collect();
        let opening = session::opening(shape.api, shape.format, retry, &plan.gaps);
        Ok(Opened {
            gaps: plan.gaps,
            starts,
            body: SessionBody::new(self.hub.clone(), shape, plan.places, opening, rate, age),
        })
    }

    /// Ends every session at its next frame boundary and refuses new ones. What a client has not
    /// taken yet it gets when it comes back with its cursor.
    pub fn drain(&self) {
        self.hub.drain();
    }

    /// Resolves when no session is open.
    pub async fn drained(&self) {
        self.hub.empty().await;
    }
}

/// `age` less up to [`AGE_JITTER_PERCENT`](limits::AGE_JITTER_PERCENT) percent of it.
fn jittered(age: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() as u32;
    let part = age * limits::AGE_JITTER_PERCENT / 100;
    age - part.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests;

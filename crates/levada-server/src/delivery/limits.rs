//! The bounds of delivery, each with its reason. Those that an operator may want to move are fields
//! of [`Options`]; the rest are constants.

use std::ops::Range;
use std::time::Duration;

/// Bounds that an operator may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Longest silence on an open response; see [`HEARTBEAT`].
    pub heartbeat: Duration,
    /// Shortest time between two writes to the same subscribers; see [`FLUSH_EVERY`].
    pub flush_every: Duration,
    /// Most bytes of rendered frames kept per channel; see [`RING_BYTES`].
    pub ring_bytes: usize,
    /// Most channels at a time; see [`CHANNELS_MAX`].
    pub channels_max: usize,
    /// Whether readers are led past damaged records, and told; else they are told and end there.
    pub pass_damage: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            heartbeat: HEARTBEAT,
            flush_every: FLUSH_EVERY,
            ring_bytes: RING_BYTES,
            channels_max: CHANNELS_MAX,
            pass_damage: false,
        }
    }
}

/// Clients may count on a byte every 15 seconds. One second less, so that a late timer or a slow
/// network does not break the promise.
pub const HEARTBEAT: Duration = Duration::from_secs(14);

/// The first event after a pause is written at once; those that follow within this time share the
/// next write, because the kernel's socket write is most of the cost of a delivery. Well below what
/// a reader can notice, and below the 5 ms after which the 99th percentile would suffer.
pub const FLUSH_EVERY: Duration = Duration::from_millis(3);

/// A chunk of live frames is closed at this size even within the flush time: larger writes gain
/// nothing any more.
pub const LIVE_CHUNK_BYTES: usize = 64 * 1024;

/// Rendered frames that a channel keeps for subscribers that are a little late. Enough for a burst
/// of the largest events that are common (articles of 20 to 200 KB); who falls further behind reads
/// from the log, which costs nobody else anything.
pub const RING_BYTES: usize = 4 * 1024 * 1024;

/// Rendered frames that all channels together keep: each has its even share of this where that is
/// less than [`RING_BYTES`], so that many different subscriptions cannot fill the memory. A single write
/// that is larger than the share stays for [`LARGE_KEPT`].
pub const RINGS_BYTES: usize = 256 * 1024 * 1024;

/// How long a channel keeps a write that alone is larger than its share of [`RINGS_BYTES`]: subscribers
/// that wait take it within a millisecond or two, the others read it from the log. So the memory for one
/// large event in a thousand different subscriptions is what is rendered in this time, not all of it. Even
/// where there are [`CHANNELS_MAX`] channels, a share of 256 KiB holds any write of common events.
pub const LARGE_KEPT: Duration = Duration::from_millis(50);

/// Rendered frames older than this are let go even when the ring has room: a quiet channel should
/// not hold memory for a subscriber that will catch up from the log anyway.
pub const RING_AGE: Duration = Duration::from_secs(10);

/// Most channels (distinct subscriptions) at a time. Each may hold a ring, and every event is rendered
/// once for each; subscriptions alike share one, however many there are.
pub const CHANNELS_MAX: usize = 1024;

/// Most partitions of one subscription, also those that a cursor names and that do not exist: every
/// one is an element of every id.
pub const LANES_MAX: usize = 2048;

/// Partitions whose start is looked up at the same time when a subscription opens.
pub const LOOKUPS_AT_ONCE: usize = 16;

/// What one read at the tail of a partition returns at most: rendering it for one channel takes well
/// under a millisecond, so that the worker thread is soon free again.
pub const TAIL_READ_BYTES: usize = 256 * 1024;

/// How long one read waits at the tail. Only a bound for a log that forgets to wake its readers.
pub const TAIL_WAIT: Duration = Duration::from_secs(30);

/// A tail lets others run when it has rendered for this long: ten times the cost of a switch, and a
/// tenth of what a reader would notice.
pub const YIELD_AFTER: Duration = Duration::from_micros(500);

/// First read of a session in the past. It doubles with every batch that the client takes at once and
/// halves with every other, so that a client which reads slowly, or not at all, holds little.
pub const CATCH_UP_READ_MIN: usize = 64 * 1024;

/// Largest read of a session in the past: three of them lie in the cache of a processor, more or less, and
/// a thread is woken half as often as for the next smaller.
pub const CATCH_UP_READ_MAX: usize = 1024 * 1024;

/// A batch that is read and taken in this time was taken at once: ten megabytes a second.
pub const TAKEN_AT_ONCE: Duration = Duration::from_millis(100);

/// Reads of different partitions that a session in the past has begun before their turn: with one, the
/// time that it takes to wake a thread is spent waiting at every read.
pub const READS_AHEAD: usize = 2;

/// The same where reads also select, which is most of the work: several processors share it.
pub const SELECTING_READS_AHEAD: usize = 4;

/// Frames of the past are handed over in chunks of about this size: large enough that the cost per
/// write vanishes, small enough to stay in the processor's cache.
pub const CATCH_UP_CHUNK_BYTES: usize = 128 * 1024;

/// Buffers of such chunks that are kept for the next ones, and the sizes of those that are worth it.
pub const CATCH_UP_CHUNKS_KEPT: usize = 8;
/// In bytes; see [`CATCH_UP_CHUNKS_KEPT`].
pub const CATCH_UP_CHUNKS_SIZES: Range<usize> = 32 * 1024..512 * 1024;

/// A session that read less than this since it last looked at the end is close enough to the present
/// to take a seat in its channel.
pub const JOIN_BELOW_BYTES: usize = 1024 * 1024;

/// A client that takes nothing for this long loses what was read ahead for it; it is read again when
/// the client goes on.
pub const STALLED_AFTER: Duration = Duration::from_secs(5);

/// A session in the past whose filter matches nothing tells its position at least whenever it has
/// passed over this many bytes, so that a reconnect does not read them again.
pub const PROGRESS_BYTES: u64 = 64 * 1024 * 1024;

/// A session in the past hands on what it has rendered, however little, when it has passed over this many
/// bytes since: events that match rarely should not wait until they fill a chunk. A few milliseconds of
/// reading, and twice what a usual selection of fields passes over for a chunk.
pub const PROMPT_BYTES: u64 = 16 * 1024 * 1024;

/// How often a read that found the log unavailable is tried again before the session ends with an
/// error. With [`RETRY_FIRST`] doubling each time this takes about three seconds.
pub const READ_RETRIES: u32 = 6;

/// Wait before the first retry of a read.
pub const RETRY_FIRST: Duration = Duration::from_millis(50);

/// How soon a topic that does not exist yet is looked for again, while it has just begun to be waited
/// for: whoever opens a subscription before the first event is likely to see that soon.
pub const TOPIC_AWAIT_FIRST: Duration = Duration::from_secs(1);

/// The pauses are this part of the time waited, so that topics which never come cost little.
pub const TOPIC_AWAIT_SHARE: u32 = 10;

/// The longest pause.
pub const TOPIC_AWAIT_MAX: Duration = Duration::from_secs(5);

/// How often a topic that is read is looked at for partitions that were added to it. Nothing is lost
/// meanwhile: they are read from their first record on.
pub const WIDER_EVERY: Duration = Duration::from_secs(10);

/// Subscribers woken in one go before the list is unlocked: small, so that those already awake can
/// put themselves back on it.
pub const WAKE_AT_ONCE: usize = 32;

/// A session's greatest age is drawn from this many percent below the configured one up to it, so
/// that clients which connected together do not reconnect together.
pub const AGE_JITTER_PERCENT: u32 = 20;

/// How long a session of a server that stops waits for an event when what it sent last is the blank of
/// an idle line: readers of lines take a blank before the end for a broken line.
pub const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

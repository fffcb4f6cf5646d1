//! Server-sent events: the frames that the server writes, and the incremental decoder of the client.

mod decode;
mod encode;

pub use decode::{DecodeError, Decoder, Event, Item, Limits};
pub use encode::{DATA, END, FrameError, HEARTBEAT, MESSAGE, OK, comment, event, id_only, message, retry};

//! The fetch loop of a live partition.

use std::sync::Arc;
use std::time::Duration;

use super::{LOOK, LivePartition, Shared};
use crate::chunk::ChunkBuilder;
use crate::fetch::{Assigned, Drained};

/// A loop that nobody has asked for this long ends.
const IDLE: Duration = Duration::from_secs(30);

/// What a loop takes out of its queue in one go.
const ROUND_BYTES: usize = 256 * 1024;

/// Moves records from the queue to the window, as far ahead of its readers as there is room, until
/// nobody reads or the partition cannot be fetched.
pub(super) async fn follow(shared: Arc<Shared>, partition: Arc<LivePartition>, assigned: Assigned) {
    loop {
        let (over, room) = {
            let mut window = partition.window.lock();
            let room = window.has_room();
            window.draining = room;
            (window.over || window.is_idle(IDLE), room)
        };
        if over {
            break;
        }
        if !room {
            let _ = tokio::time::timeout(LOOK, partition.nudge.notified()).await;
            continue;
        }
        let mut builder = ChunkBuilder::default();
        let drained = assigned.drain(&mut builder, ROUND_BYTES);
        let chunk = builder.finish();
        let news = chunk.is_some();
        {
            let mut window = partition.window.lock();
            if let Some(chunk) = chunk {
                window.push(chunk);
            }
            window.draining = false;
        }
        if news {
            partition.moved.notify_waiters();
        }
        match drained {
            Drained::Full | Drained::End => tokio::task::yield_now().await,
            Drained::Empty => {
                tokio::select! {
                    () = assigned.ready() => {}
                    () = partition.nudge.notified() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
            Drained::Failed(code) => {
                tracing::warn!(partition = %partition.of, %code, "a partition can no longer be followed");
                partition.window.lock().failed = Some(code.to_string());
                break;
            }
        }
    }
    // In this order: whoever finds no loop here may begin a new one at once.
    drop(assigned);
    partition.window.lock().over = true;
    shared.remove(&partition);
    partition.moved.notify_waiters();
}

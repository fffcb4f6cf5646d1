//! Open files: how many this process may have, and how many of them connections may take, so that clients
//! cannot stop the log by opening sockets.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that connections leave to the rest: segments and their indices (two of each partition that is being
/// written, up to 256 that are read), the accounts, sockets of the feeds and to Kafka, and a refused
/// connection while it is told so.
const RESERVE: u64 = 1000;

/// What every system takes for a limit. Some say that they have none and take only so much.
const TAKEN_EVERYWHERE: u64 = 10_240;

/// Raises the limit of open files as far as it may be raised. Answers what it is now; `None` without one.
fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return limit.current;
    }
    let set = |current| {
        let raised = Rlimit {
            current,
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, raised).map(|()| current)
    };
    let raised = set(limit.maximum).or_else(|error| match limit {
        Rlimit {
            current: Some(low),
            maximum: None,
        } if low < TAKEN_EVERYWHERE => set(Some(TAKEN_EVERYWHERE)),
        _ => Err(error),
    });
    raised.unwrap_or_else(|error| {
        tracing::warn!(%error, "the limit of open files could not be raised");
        limit.current
    })
}

/// How many connections of those that are `wanted` fit a limit of open files.
fn fitting(wanted: usize, limit: Option<u64>) -> usize {
    let Some(limit) = limit else { return wanted };
    // Half of a limit that is so low: it should serve someone.
    let left = limit - RESERVE.min(limit / 2);
    wanted.min(usize::try_from(left).unwrap_or(usize::MAX)).max(1)
}

/// Raises the limit of open files and answers how many connections there may be, of those that are `wanted`.
pub(crate) fn connections(wanted: usize) -> usize {
    let limit = raise();
    let fitting = fitting(wanted, limit);
    if fitting < wanted {
        tracing::warn!(
            connections = fitting,
            "http.connections_max = {wanted} does not fit the limit of {} open files, of which some are \
             for the log: raise that (ulimit -n, LimitNOFILE= in a systemd unit) to {} or more",
            limit.unwrap_or_default(),
            wanted as u64 + RESERVE,
        );
    }
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_to_the_log() {
        assert_eq!(fitting(20_000, None), 20_000);
        assert_eq!(fitting(20_000, Some(1 << 20)), 20_000);
        assert_eq!(fitting(20_000, Some(21_000)), 20_000);
        assert_eq!(fitting(20_000, Some(20_999)), 19_999);
        assert_eq!(fitting(20_000, Some(1024)), 512);
        assert_eq!(fitting(100, Some(1024)), 100);
        assert_eq!(fitting(100, Some(0)), 1);
    }
}

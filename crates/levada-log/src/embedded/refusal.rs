//! Whether the disk takes writes: it stops when it is full, and then every append is refused.
//!
//! The engine learns of it from an append that fails, and of its end from one that succeeds. A server that
//! says it is not ready gets no appends, though, so whoever asks while writes are refused makes the engine
//! try for itself.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::disk::{Disk, Open, write_all};

/// What is written to find out: about what one more round of appends needs.
const PROBE_BYTES: usize = 1 << 20;

/// Name of the file that is written, and removed again, in the data directory.
const PROBE_FILE: &str = "probe.tmp";

/// Shortest time between two probes, so that being asked often costs little.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// A change is told when it has lasted so long: a disk that is nearly full takes small writes and refuses
/// large ones, many times a second.
const LASTING: Duration = Duration::from_secs(20);

/// Why writes are refused at present, if they are.
#[derive(Default)]
pub(super) struct Refusal {
    /// Whether there is a reason: looked at with every append.
    refused: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    reason: Option<String>,
    probed: Option<Instant>,
    /// A probe is under way; on a disk that hangs it may be for long.
    probing: bool,
    /// The log says that writes are refused, and not yet that they are taken again.
    told: bool,
    /// When a write succeeded after the last refusal.
    accepted: Option<Instant>,
}

impl State {
    /// Whether it has to be told now that writes are refused.
    fn refuse(&mut self, error: &io::Error) -> bool {
        self.reason = Some(format!("the disk refuses writes: {error}"));
        self.accepted = None;
        !std::mem::replace(&mut self.told, true)
    }

    fn accept(&mut self, now: Instant) {
        (self.reason, self.probed) = (None, None);
        self.accepted = Some(now);
    }

    /// Whether it has to be told now that writes are taken again.
    fn settle(&mut self, now: Instant) -> bool {
        let lasts = |since: Instant| now.saturating_duration_since(since) >= LASTING;
        let told = self.told && self.accepted.is_some_and(lasts);
        self.told &= !told;
        told
    }
}

impl Refusal {
    /// A write was refused.
    pub(super) fn refused(&self, error: &io::Error) {
        let mut state = self.state.lock();
        if state.refuse(error) {
            tracing::error!(%error, "the disk refuses writes; appends fail until it takes them again");
        }
        self.refused.store(true, Ordering::SeqCst);
    }

    /// A write succeeded.
    pub(super) fn accepted(&self) {
        if self.refused.load(Ordering::Relaxed) {
            let mut state = self.state.lock();
            state.accept(Instant::now());
            self.refused.store(false, Ordering::SeqCst);
        }
    }

    /// Tells that writes are taken again, once that has lasted. Called now and then.
    pub(super) fn settle(&self) {
        if self.state.lock().settle(Instant::now()) {
            tracing::info!("the disk takes writes again");
        }
    }

    /// The reason as known last.
    pub(super) fn reason(&self) -> Option<String> {
        if !self.refused.load(Ordering::SeqCst) {
            return None;
        }
        self.state.lock().reason.clone()
    }

    /// The reason, after a new try where writes were refused. Blocks on files.
    pub(super) fn probe(&self, disk: &dyn Disk, dir: &Path) -> Option<String> {
        self.reason()?;
        {
            let mut state = self.state.lock();
            let early = state.probed.is_some_and(|probed| probed.elapsed() < PROBE_EVERY);
            if early || state.probing {
                return state.reason.clone();
            }
            state.probed = Some(Instant::now());
            state.probing = true;
        }
        let outcome = try_out(disk, &dir.join(PROBE_FILE));
        self.state.lock().probing = false;
        match outcome {
            Ok(()) => self.accepted(),
            Err(error) => self.refused(&error),
        }
        self.reason()
    }
}

fn try_out(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let file = disk.open(path, Open::Fresh)?;
    let zeros = vec![0; PROBE_BYTES];
    // Some file systems tell that they are full only when they have to place what was written.
    let written = write_all(&*file, 0, &[&zeros]).and_then(|()| file.sync());
    // The room goes back to the appends first; whatever removing says, the next probe starts anew.
    let removed = file.set_len(0).and_then(|()| disk.remove(path));
    written.and(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_wavers_is_told_of_once_and_its_recovery_when_it_lasts() {
        let mut state = State::default();
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let start = Instant::now();
        let mut lines = 0;
        for second in 0..100 {
            let now = start + Duration::from_secs(second);
            lines += u32::from(state.refuse(&full));
            assert!(state.reason.is_some());
            state.accept(now);
            assert!(state.reason.is_none());
            lines += u32::from(state.settle(now));
        }
        assert_eq!(lines, 1);
        let last = start + Duration::from_secs(99);
        assert!(!state.settle(last + LASTING / 2));
        assert!(state.settle(last + LASTING));
        assert!(!state.settle(last + LASTING * 2));
        assert!(state.refuse(&full), "a new time is told of again");
    }
}

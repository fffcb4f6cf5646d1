//! The simulated disk with syncs that last until the test lets them end.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::super::disk::{Disk, File, Listed, LockError, Open};
use super::sim::Sim;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// The disk. Clones are the same disk.
#[derive(Clone)]
pub(super) struct Gate {
    sim: Sim,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    /// Syncs of files whose path ends with this are held.
    held: Option<&'static str>,
    /// They are held when the disk is done with them, before it is told.
    done: bool,
    /// Numbers of the syncs that are held, in the order in which they came.
    waiting: Vec<u64>,
    next: u64,
}

struct Handle {
    file: Arc<dyn File>,
    gate: Gate,
    path: String,
}

impl Gate {
    pub(super) fn new(sim: &Sim) -> Self {
        Self {
            sim: sim.clone(),
            state: Arc::default(),
        }
    }

    /// Holds syncs of such files from now on; their numbers count from 0.
    pub(super) fn hold(&self, suffix: &'static str) {
        let mut state = self.state.0.lock();
        *state = State {
            held: Some(suffix),
            ..State::default()
        };
    }

    /// As [`hold`](Self::hold), but what is held is that the syncs are over.
    pub(super) fn hold_done(&self, suffix: &'static str) {
        self.hold(suffix);
        self.state.0.lock().done = true;
    }

    /// Waits until the syncs with these numbers, and no others, are held.
    pub(super) fn wait_for(&self, numbers: &[u64]) {
        let (state, changed) = &*self.state;
        let due = Instant::now() + PATIENCE;
        let mut state = state.lock();
        while state.waiting != numbers {
            let late = changed.wait_until(&mut state, due).timed_out();
            assert!(!late, "{:?} are held and not {numbers:?}", state.waiting);
        }
    }

    /// Lets the sync with this number go on.
    pub(super) fn let_go(&self, number: u64) {
        let (state, changed) = &*self.state;
        state.lock().waiting.retain(|waiting| *waiting != number);
        changed.notify_all();
    }

    /// Holds nothing any more.
    pub(super) fn open(&self) {
        let (state, changed) = &*self.state;
        *state.lock() = State::default();
        changed.notify_all();
    }

    fn pass(&self, path: &str) {
        let (state, changed) = &*self.state;
        let mut state = state.lock();
        if state.held.is_none_or(|suffix| !path.ends_with(suffix)) {
            return;
        }
        let number = state.next;
        state.next += 1;
        state.waiting.push(number);
        changed.notify_all();
        while state.waiting.contains(&number) {
            changed.wait(&mut state);
        }
    }
}

impl Disk for Gate {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.sim.create_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>> {
        self.sim.list(dir)
    }

    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(Handle {
            file: self.sim.open(path, how)?,
            gate: self.clone(),
            path: path.to_string_lossy().into_owned(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.sim.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.sim.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.sim.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Send + Sync>, LockError> {
        self.sim.lock(path)
    }
}

impl File for Handle {
    fn write_at(&self, position: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.file.write_at(position, parts)
    }

    fn read_at(&self, position: u64, into: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(position, into)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        if self.gate.state.0.lock().done {
            let synced = self.file.sync();
            self.gate.pass(&self.path);
            return synced;
        }
        self.gate.pass(&self.path);
        self.file.sync()
    }
}

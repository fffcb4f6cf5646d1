//! A simulated disk that behaves as badly as a real one may.
//!
//! # The fault model
//!
//! - A write changes the page cache. Until a sync of the file has succeeded, a power failure keeps or
//!   loses each sector of 512 bytes of it on its own, in no order; lost sectors show what was durable
//!   before, zeros, or stale bytes of another file. The file's length is the durable one, the written
//!   one, or anything between.
//! - A name that was created, renamed or removed is durable when its directory was synced. Until then a
//!   power failure keeps the old or the new state of each name on its own.
//! - Syncing a file does not sync its name, nor the other way round.
//! - A sync that fails loses some pages for good: they stay readable, but no later sync writes them.
//!   The failure is reported once to each descriptor that was open.
//! - Writes may be short, or be interrupted. When the space is used up a write takes what fits, then
//!   fails.
//! - The process may be killed at any call that changes something, in the middle of a write. What was
//!   written stays in the page cache.
//! - Bits may flip in what is stored ([`Sim::damage`]).
//!
//! What the disk does is decided by a seed and the sequence of calls alone.

mod content;

use std::collections::{BTreeMap, HashSet};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use self::content::Content;
use super::super::disk::{Disk, File, Listed, LockError, Open};

/// Random numbers from a seed (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// The disk. Clones are the same disk.
#[derive(Clone)]
pub(crate) struct Sim(Arc<Mutex<State>>);

struct State {
    random: Random,
    dirs: BTreeMap<PathBuf, Dir>,
    files: Vec<Content>,
    locks: HashSet<PathBuf>,
    /// Calls that change something, so far.
    calls: u64,
    /// The process dies at this call.
    die_at: Option<u64>,
    dead: bool,
    /// Descriptors of earlier lives are dead.
    life: u64,
    capacity: u64,
    /// Syncs to let pass, then the next one of a path that ends with the text fails.
    fail_sync: Option<(u64, String)>,
    /// Files that exist and whose path ends with the text cannot be opened.
    fail_open: String,
    /// This part of files whose path ends with the text cannot be read.
    lost: Option<(String, std::ops::Range<u64>)>,
    /// Percent of writes that are short or interrupted.
    clumsy: u64,
    /// A checksum of all calls, to compare runs.
    trace: u32,
}

#[derive(Default, Clone)]
struct Dir {
    now: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Node {
    Dir,
    File(usize),
}

struct Handle {
    sim: Sim,
    file: usize,
    name: String,
    life: u64,
    /// Failures of this file that the descriptor has reported.
    reported: Mutex<u64>,
}

impl Sim {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dirs = BTreeMap::new();
        dirs.insert(PathBuf::from("/"), Dir::default());
        Self(Arc::new(Mutex::new(State {
            random: Random::new(seed),
            dirs,
            files: Vec::new(),
            locks: HashSet::new(),
            calls: 0,
            die_at: None,
            dead: false,
            life: 0,
            capacity: u64::MAX,
            fail_sync: None,
            fail_open: String::new(),
            lost: None,
            clumsy: 0,
            trace: 0,
        })))
    }

    /// Calls that changed something, so far, and a checksum over all calls.
    pub(crate) fn trace(&self) -> (u64, u32) {
        let state = self.0.lock();
        (state.calls, state.trace)
    }

    /// The process dies at the call with this number; `None` lets it live.
    pub(crate) fn die_at(&self, call: Option<u64>) {
        self.0.lock().die_at = call;
    }

    /// Whether the process has died.
    pub(crate) fn is_dead(&self) -> bool {
        self.0.lock().dead
    }

    /// The process dies now: every call fails until a new life begins.
    pub(crate) fn die(&self) {
        self.0.lock().dead = true;
    }

    /// A new process finds what the old one had written.
    pub(crate) fn live_again(&self) {
        let mut state = self.0.lock();
        state.dead = false;
        state.die_at = None;
        state.life += 1;
        state.locks.clear();
    }

    /// The power fails, and a new process finds what the disk kept.
    pub(crate) fn power_fails(&self) {
        let mut state = self.0.lock();
        let State {
            files, random, dirs, ..
        } = &mut *state;
        let stale: Vec<u8> = files.first().map_or_else(Vec::new, |file| file.now().to_vec());
        for file in files.iter_mut() {
            file.power_fails(random, &stale);
        }
        for dir in dirs.values_mut() {
            let names: HashSet<_> = dir.now.keys().chain(dir.durable.keys()).cloned().collect();
            let mut names: Vec<_> = names.into_iter().collect();
            names.sort();
            for name in names {
                let (now, durable) = (dir.now.get(&name).copied(), dir.durable.get(&name).copied());
                let kept = if random.chance(50) { now } else { durable };
                match kept {
                    Some(node) => dir.now.insert(name, node),
                    None => dir.now.remove(&name),
                };
            }
            dir.durable = dir.now.clone();
        }
        drop(state);
        self.live_again();
    }

    /// The disk holds at most this many bytes.
    pub(crate) fn set_capacity(&self, bytes: u64) {
        self.0.lock().capacity = bytes;
    }

    /// Bytes in files.
    pub(crate) fn used(&self) -> u64 {
        self.0.lock().used()
    }

    /// Lets `pass` syncs of files and directories whose path ends with `name` succeed and the next one fail.
    pub(crate) fn fail_sync(&self, pass: u64, name: &str) {
        self.0.lock().fail_sync = Some((pass, name.into()));
    }

    /// From now on files that exist and whose path ends with `name` cannot be opened; "" ends it.
    pub(crate) fn fail_open(&self, name: &str) {
        self.0.lock().fail_open = name.into();
    }

    /// From now on this part of files whose path ends with `name` cannot be read.
    pub(crate) fn lose_bytes(&self, name: &str, bytes: std::ops::Range<u64>) {
        self.0.lock().lost = Some((name.into(), bytes));
    }

    /// Makes this percentage of writes short or interrupted.
    pub(crate) fn clumsy(&self, percent: u64) {
        self.0.lock().clumsy = percent;
    }

    /// Changes what a file holds, durably.
    pub(crate) fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.0.lock();
        let file = state.file(path).expect("the file to damage is there");
        state.files[file].replace(change);
    }

    /// Removes a file, durably.
    pub(crate) fn lose(&self, path: &Path) {
        let mut state = self.0.lock();
        let (dir, name) = split(path);
        let dir = state.dirs.get_mut(&dir).expect("the directory is there");
        dir.now.remove(&name);
        dir.durable.remove(&name);
    }

    /// What a file holds.
    pub(crate) fn content(&self, path: &Path) -> Vec<u8> {
        let state = self.0.lock();
        let file = state.file(path).expect("the file is there");
        state.files[file].now().to_vec()
    }

    /// All files whose name ends with `suffix`.
    pub(crate) fn find(&self, suffix: &str) -> Vec<PathBuf> {
        let state = self.0.lock();
        let mut found = Vec::new();
        for (path, dir) in &state.dirs {
            for (name, node) in &dir.now {
                if matches!(node, Node::File(_)) && name.ends_with(suffix) && state.reachable(path) {
                    found.push(path.join(name));
                }
            }
        }
        found
    }
}

impl State {
    /// Counts a call; `Err` when the process is dead, `Ok(true)` when it dies in this call.
    fn call(&mut self, what: &str, about: &[u8]) -> io::Result<bool> {
        if self.dead {
            return Err(io::Error::other("the process is dead"));
        }
        self.trace = crc32c::crc32c_append(self.trace, what.as_bytes());
        self.trace = crc32c::crc32c_append(self.trace, about);
        self.calls += 1;
        if self.die_at.is_some_and(|at| self.calls > at) {
            self.dead = true;
            return Ok(true);
        }
        Ok(false)
    }

    /// A call that either happens or does not.
    fn atomic(&mut self, what: &str, path: &Path) -> io::Result<()> {
        let about = path.to_string_lossy().into_owned();
        // The process may die before or after.
        if self.call(what, about.as_bytes())? && self.random.chance(50) {
            return Err(io::Error::other("the process dies"));
        }
        Ok(())
    }

    /// Whether the sync of `path` is the one that has to fail.
    fn sync_fails(&mut self, path: &str) -> bool {
        match &mut self.fail_sync {
            Some((0, name)) if path.ends_with(name.as_str()) => {
                self.fail_sync = None;
                true
            }
            Some((pass, name)) if path.ends_with(name.as_str()) => {
                *pass -= 1;
                false
            }
            _ => false,
        }
    }

    /// Bytes of the files that have a name.
    fn used(&self) -> u64 {
        let nodes = self.dirs.values().flat_map(|dir| dir.now.values());
        let files: HashSet<_> = nodes
            .filter_map(|node| match node {
                Node::File(file) => Some(*file),
                Node::Dir => None,
            })
            .collect();
        files
            .iter()
            .map(|file| self.files[*file].now().len() as u64)
            .sum()
    }

    fn reachable(&self, path: &Path) -> bool {
        let mut path = path.to_owned();
        while path != Path::new("/") {
            let (dir, name) = split(&path);
            match self.dirs.get(&dir).and_then(|dir| dir.now.get(&name)) {
                Some(Node::Dir) => path = dir,
                _ => return false,
            }
        }
        true
    }

    fn dir(&mut self, path: &Path) -> io::Result<&mut Dir> {
        if !self.reachable(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.dirs.get_mut(path).ok_or(io::ErrorKind::NotFound.into())
    }

    fn file(&self, path: &Path) -> Option<usize> {
        let (dir, name) = split(path);
        match self.dirs.get(&dir)?.now.get(&name)? {
            Node::File(file) if self.reachable(&dir) => Some(*file),
            _ => None,
        }
    }
}

fn split(path: &Path) -> (PathBuf, String) {
    let dir = path.parent().expect("paths are absolute").to_owned();
    let name = path.file_name().expect("paths have names");
    (dir, name.to_string_lossy().into_owned())
}

impl Disk for Sim {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.atomic("mkdir", path)?;
        let (parent, name) = split(path);
        let there = state.dir(&parent)?.now.insert(name, Node::Dir) == Some(Node::Dir);
        if !there {
            state.dirs.insert(path.to_owned(), Dir::default());
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>> {
        let mut state = self.0.lock();
        if state.dead {
            return Err(io::Error::other("the process is dead"));
        }
        let entries = state.dir(dir)?.now.clone();
        let listed = entries.into_iter().map(|(name, node)| match node {
            Node::Dir => Listed {
                name,
                is_dir: true,
                len: 0,
            },
            Node::File(file) => Listed {
                name,
                is_dir: false,
                len: state.files[file].now().len() as u64,
            },
        });
        Ok(listed.collect())
    }

    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        let mut state = self.0.lock();
        if state.dead {
            return Err(io::Error::other("the process is dead"));
        }
        let fails = &state.fail_open;
        if !fails.is_empty() && path.to_string_lossy().ends_with(fails.as_str()) && state.file(path).is_some()
        {
            return Err(io::Error::other("the disk does not give a sector"));
        }
        let file = match (state.file(path), how) {
            (Some(file), Open::Read | Open::Existing) => file,
            (None, Open::Read | Open::Existing) => return Err(io::ErrorKind::NotFound.into()),
            (Some(file), Open::Fresh) => {
                state.atomic("truncate", path)?;
                state.files[file].set_len(0);
                file
            }
            (None, Open::Fresh) => {
                state.atomic("create", path)?;
                let (dir, name) = split(path);
                let file = state.files.len();
                state.dir(&dir)?.now.insert(name, Node::File(file));
                state.files.push(Content::default());
                file
            }
        };
        let reported = state.files[file].failures();
        Ok(Arc::new(Handle {
            sim: self.clone(),
            file,
            name: path.to_string_lossy().into_owned(),
            life: state.life,
            reported: Mutex::new(reported),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.atomic("rename", from)?;
        let Some(file) = state.file(from) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let (dir, name) = split(from);
        state.dir(&dir)?.now.remove(&name);
        let (dir, name) = split(to);
        state.dir(&dir)?.now.insert(name, Node::File(file));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.atomic("remove", path)?;
        if state.file(path).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let (dir, name) = split(path);
        state.dir(&dir)?.now.remove(&name);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.atomic("sync dir", path)?;
        if state.sync_fails(&path.to_string_lossy()) {
            return Err(io::Error::other("the disk did not take a directory"));
        }
        let dir = state.dir(path)?;
        dir.durable = dir.now.clone();
        Ok(())
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Send + Sync>, LockError> {
        struct Held(Sim, PathBuf, u64);
        impl Drop for Held {
            fn drop(&mut self) {
                let mut state = self.0.0.lock();
                if state.life == self.2 {
                    state.locks.remove(&self.1);
                }
            }
        }
        let mut state = self.0.lock();
        if state.dead {
            return Err(io::Error::other("the process is dead").into());
        }
        if !state.locks.insert(path.to_owned()) {
            return Err(LockError::Held(None));
        }
        Ok(Box::new(Held(self.clone(), path.to_owned(), state.life)))
    }
}

impl Handle {
    fn alive(&self) -> io::Result<parking_lot::MutexGuard<'_, State>> {
        let state = self.sim.0.lock();
        if state.dead || state.life != self.life {
            return Err(io::Error::other("the process is dead"));
        }
        Ok(state)
    }
}

impl File for Handle {
    fn write_at(&self, position: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.alive()?;
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let dies = state.call("write", &bytes)?;
        let clumsy = state.clumsy;
        if clumsy > 0 && state.random.chance(clumsy) {
            if state.random.chance(50) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let cut = 1 + state.random.below(bytes.len() as u64) as usize;
            bytes.truncate(cut);
        }
        if dies {
            let cut = state.random.below(bytes.len() as u64 + 1) as usize;
            bytes.truncate(cut);
        }
        let now = state.files[self.file].now().len() as u64;
        let grows = (position + bytes.len() as u64).saturating_sub(now);
        let free = state.capacity.saturating_sub(state.used());
        if grows > free {
            let fits = (bytes.len() as u64).saturating_sub(grows - free) as usize;
            if fits == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            bytes.truncate(fits);
        }
        state.files[self.file].write(position as usize, &bytes);
        if dies {
            return Err(io::Error::other("the process dies"));
        }
        Ok(bytes.len())
    }

    fn read_at(&self, position: u64, into: &mut [u8]) -> io::Result<usize> {
        let state = self.alive()?;
        let content = state.files[self.file].now();
        let start = (position as usize).min(content.len());
        let read = into.len().min(content.len() - start);
        if let Some((name, lost)) = &state.lost
            && self.name.ends_with(name.as_str())
            && (start as u64) < lost.end
            && lost.start < (start + read) as u64
        {
            return Err(rustix::io::Errno::IO.into());
        }
        into[..read].copy_from_slice(&content[start..start + read]);
        Ok(read)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.alive()?.files[self.file].now().len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.alive()?;
        state.atomic("set_len", Path::new(&self.name))?;
        state.files[self.file].set_len(len as usize);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.alive()?;
        state.atomic("sync", Path::new(&self.name))?;
        let due = state.sync_fails(&self.name);
        let State { files, random, .. } = &mut *state;
        let file = &mut files[self.file];
        if due {
            file.sync_fails(random);
        } else {
            file.sync();
        }
        let failures = file.failures();
        let mut reported = self.reported.lock();
        if *reported < failures {
            *reported = failures;
            return Err(io::Error::other("the disk did not take a page"));
        }
        Ok(())
    }
}

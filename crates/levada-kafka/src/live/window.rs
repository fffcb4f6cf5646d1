//! The newest records of a live partition.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use levada_event::{Offset, RecordBatch};

use super::trouble::Trouble;
use crate::chunk::{Chunk, Cut};
use crate::statistics::Glance;

/// Bytes that are kept for readers a little behind the foremost one.
const KEEP_BYTES: usize = 1024 * 1024;

/// How far the loop goes ahead of its foremost reader.
const AHEAD_BYTES: usize = 1024 * 1024;

/// What a reader finds.
pub(super) enum Found {
    Batch(RecordBatch),
    /// Not here: older than the window, or the loop has ended.
    Elsewhere,
    /// Nothing new, perhaps for this reason, since then.
    Nothing {
        trouble: Option<(Instant, String)>,
    },
}

pub(super) struct Window {
    chunks: VecDeque<Chunk>,
    /// Everything from here up to `next` is in the chunks.
    start: Offset,
    next: Offset,
    /// The place of the foremost reader: behind the newest record that anybody has read, or where
    /// somebody waits.
    lead: Offset,
    /// Bytes of all chunks, and of those that nobody has read yet.
    held: usize,
    ahead: usize,
    /// The partition's end, as last heard.
    end: Offset,
    behind_since: Option<Instant>,
    /// When records last came.
    moved: Instant,
    trouble: Trouble,
    /// The loop is taking records out of its queue and has not pushed them yet.
    pub(super) draining: bool,
    pub(super) readers: usize,
    pub(super) used: Instant,
    pub(super) over: bool,
    /// Why the loop ended, where it could not go on.
    pub(super) failed: Option<String>,
}

impl Window {
    pub(super) fn at(from: Offset) -> Self {
        Self {
            chunks: VecDeque::new(),
            start: from,
            next: from,
            lead: from,
            held: 0,
            ahead: 0,
            end: from,
            behind_since: None,
            moved: Instant::now(),
            trouble: Trouble::default(),
            draining: false,
            readers: 0,
            used: Instant::now(),
            over: false,
            failed: None,
        }
    }

    pub(super) fn next(&self) -> Offset {
        self.next
    }

    /// Whether records from `from` on are here, or will be.
    pub(super) fn holds(&self, from: Offset) -> bool {
        !self.over && from >= self.start
    }

    pub(super) fn is_idle(&self, after: Duration) -> bool {
        self.readers == 0 && self.used.elapsed() >= after
    }

    pub(super) fn has_room(&self) -> bool {
        self.ahead < AHEAD_BYTES
    }

    /// Records between the loop and the end.
    pub(super) fn behind(&self) -> u64 {
        self.end.saturating_sub(self.next)
    }

    pub(super) fn behind_for(&self) -> Duration {
        self.behind_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(super) fn push(&mut self, chunk: Chunk) {
        self.next = self.next.max(chunk.next());
        self.held += chunk.bytes();
        // What lies before the foremost reader's place is not ahead of it.
        if chunk.next() > self.lead {
            self.ahead += chunk.bytes();
        }
        self.chunks.push_back(chunk);
        self.trouble.ends();
        self.moved = Instant::now();
        self.watch_end();
        self.let_go();
    }

    /// Takes what the client's statistics say. `true` when readers should look again.
    pub(super) fn take(&mut self, glance: Glance) -> bool {
        let mut moved = false;
        if let Some(end) = glance.end {
            self.end = end.max(self.next);
        }
        // While records are between the queue and here, an empty queue says nothing.
        if let Some(reached) = glance.reached
            && reached > self.next
            && !self.draining
        {
            // Nothing that is shown lies in between.
            self.next = reached;
            moved = true;
        }
        self.watch_end();
        moved | self.trouble.take(glance.trouble, glance.fetches, Instant::now())
    }

    fn watch_end(&mut self) {
        if self.next >= self.end {
            self.end = self.next;
            self.behind_since = None;
        } else if self.behind_since.is_none() {
            self.behind_since = Some(Instant::now());
        }
    }

    pub(super) fn find(&mut self, from: Offset, bytes: usize) -> Found {
        if !self.holds(from) {
            return Found::Elsewhere;
        }
        if from >= self.next {
            // Perhaps further on than all readers before it, which have left: nobody will read what lies
            // in between, so the loop must not wait for that.
            self.lead_on(from);
            return Found::Nothing {
                trouble: self.trouble.now().or_else(|| self.stuck()),
            };
        }
        let mut cut = Cut::new(from, bytes);
        let first = self.chunks.partition_point(|chunk| chunk.next() <= from);
        for chunk in self.chunks.range(first..) {
            if !chunk.cut(from, &mut cut) {
                break;
            }
        }
        // Only a hole lies between here and the end.
        let batch = cut.finish().unwrap_or_else(|| RecordBatch::empty(self.next));
        self.lead_on(batch.next());
        Found::Batch(batch)
    }

    /// There is something to fetch, and it does not come, whatever the reason.
    fn stuck(&self) -> Option<(Instant, String)> {
        let since = self.behind_since?;
        let why = format!(
            "{} records wait at the broker and are not delivered",
            self.behind()
        );
        Some((since.max(self.moved), why))
    }

    fn lead_on(&mut self, to: Offset) {
        if to <= self.lead {
            return;
        }
        self.lead = to;
        let unread = self.chunks.iter().rev().take_while(|chunk| chunk.next() > to);
        self.ahead = unread.map(Chunk::bytes).sum();
        self.let_go();
    }

    /// Lets go of the oldest that the foremost reader has passed, beyond what is kept for the others.
    fn let_go(&mut self) {
        while self.held > KEEP_BYTES
            && let Some(oldest) = self.chunks.front()
            && oldest.next() <= self.lead
        {
            self.start = oldest.next();
            self.held -= oldest.bytes();
            self.chunks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(window: &mut Window, from: Offset) -> Option<(Vec<Offset>, Offset)> {
        match window.find(from, usize::MAX) {
            Found::Batch(batch) => Some((batch.iter().map(|record| record.offset).collect(), batch.next())),
            Found::Elsewhere => None,
            Found::Nothing { .. } => Some((Vec::new(), from)),
        }
    }

    fn glance(end: Offset, reached: Option<Offset>) -> Glance {
        Glance {
            trouble: None,
            fetches: None,
            end: Some(end),
            reached,
        }
    }

    #[test]
    fn readers_find_what_follows_their_place() {
        let mut window = Window::at(10);
        assert_eq!(offsets(&mut window, 10), Some((vec![], 10)));
        window.push(Chunk::of(&[10, 11], 5));
        window.push(Chunk::of(&[14, 15], 5));
        assert_eq!(offsets(&mut window, 10), Some((vec![10, 11, 14, 15], 16)));
        assert_eq!(offsets(&mut window, 12), Some((vec![14, 15], 16)));
        assert_eq!(offsets(&mut window, 15), Some((vec![15], 16)));
        assert_eq!(offsets(&mut window, 9), None);
        // A reader that stands behind marks which the loop has not been told of waits there.
        assert_eq!(offsets(&mut window, 17), Some((vec![], 17)));
    }

    #[test]
    fn a_hole_at_the_end_is_stepped_over_once_it_is_known() {
        let mut window = Window::at(0);
        window.push(Chunk::of(&[0], 5));
        assert!(!window.take(glance(3, None)));
        assert_eq!(offsets(&mut window, 1), Some((vec![], 1)));
        assert!(window.take(glance(3, Some(3))));
        assert_eq!(offsets(&mut window, 1), Some((vec![], 3)));
        assert_eq!(window.behind(), 0);
    }

    #[test]
    fn records_on_their_way_are_not_taken_for_a_hole() {
        let mut window = Window::at(0);
        window.draining = true;
        assert!(
            !window.take(glance(2, Some(2))),
            "two records are between the queue and here"
        );
        window.push(Chunk::of(&[0, 1], 5));
        window.draining = false;
        assert_eq!(offsets(&mut window, 0), Some((vec![0, 1], 2)));
    }

    #[test]
    fn the_loop_waits_for_its_foremost_reader_and_keeps_a_little_for_the_others() {
        let mut window = Window::at(0);
        let mut next = 0;
        while window.has_room() {
            window.push(Chunk::of(&[next, next + 1], 50_000));
            next += 2;
        }
        assert!(next as usize * 50_000 < AHEAD_BYTES + 200_000);
        assert_eq!(window.start, 0, "nobody has read: nothing is let go");
        assert_eq!(
            offsets(&mut window, 0).map(|(all, _)| all.len()),
            Some(next as usize)
        );
        assert!(window.has_room());
        for _ in 0..100 {
            window.push(Chunk::of(&[next, next + 1], 50_000));
            next += 2;
            offsets(&mut window, next - 2);
        }
        assert!(window.held <= KEEP_BYTES + 200_000);
        assert!(window.start > 0 && offsets(&mut window, 0).is_none());
        let start = window.start;
        assert_eq!(offsets(&mut window, start).map(|(all, _)| all[0]), Some(start));
    }

    #[test]
    fn records_that_wait_and_do_not_come_are_trouble() {
        let mut window = Window::at(0);
        window.take(glance(5, None));
        let Found::Nothing {
            trouble: Some((_, why)),
        } = window.find(0, 1)
        else {
            panic!("something is wrong, and it is not told");
        };
        assert!(why.starts_with("5 records wait"), "{why}");
        window.push(Chunk::of(&[0, 1, 2, 3, 4], 1));
        assert!(matches!(window.find(5, 1), Found::Nothing { trouble: None }));
    }

    #[test]
    fn a_reader_beyond_what_is_here_lets_the_loop_come_to_it() {
        let mut window = Window::at(0);
        let mut next = 0;
        while window.has_room() {
            window.push(Chunk::of(&[next, next + 1], 50_000));
            next += 2;
        }
        // Whoever began has left; this one begins further on, and nobody will read what is here.
        let from = next + 100;
        assert_eq!(offsets(&mut window, from), Some((vec![], from)));
        assert!(window.has_room(), "the loop would wait for ever");
        while next < from {
            window.push(Chunk::of(&[next, next + 1], 50_000));
            next += 2;
            assert!(
                window.has_room(),
                "what lies before the reader is not ahead of it"
            );
            assert!(window.held <= KEEP_BYTES + 200_000);
        }
        window.push(Chunk::of(&[from], 50_000));
        assert_eq!(offsets(&mut window, from), Some((vec![from], from + 1)));
    }
}

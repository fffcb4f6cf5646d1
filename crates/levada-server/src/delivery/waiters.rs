//! Those who wait for a channel's next chunk: one waker for each, on a list that is made once.
//!
//! A subscriber holds a slot and arms it before it goes to sleep. Waking takes the armed wakers off
//! in small groups and wakes them with the list unlocked, so that a thousand subscribers can be
//! woken while the first of them already come back. Nothing is allocated per event.

use std::task::Waker;

use parking_lot::Mutex;

use super::limits::WAKE_AT_ONCE;

#[derive(Debug, Default)]
pub(crate) struct Waiters {
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    wakers: Vec<Option<Waker>>,
    free: Vec<u32>,
}

impl Waiters {
    /// A slot of one's own; give it back with [`release`](Self::release).
    pub(crate) fn take(&self) -> u32 {
        let mut slots = self.slots.lock();
        slots.free.pop().unwrap_or_else(|| {
            slots.wakers.push(None);
            (slots.wakers.len() - 1) as u32
        })
    }

    pub(crate) fn release(&self, slot: u32) {
        let mut slots = self.slots.lock();
        if let Some(waker) = slots.wakers.get_mut(slot as usize) {
            *waker = None;
            slots.free.push(slot);
        }
    }

    /// Asks to be woken once. Whoever arms looks again for news afterwards: what came between the
    /// first look and the arming woke nobody.
    pub(crate) fn arm(&self, slot: u32, waker: &Waker) {
        let mut slots = self.slots.lock();
        if let Some(place) = slots.wakers.get_mut(slot as usize) {
            match place {
                Some(armed) if armed.will_wake(waker) => {}
                other => *other = Some(waker.clone()),
            }
        }
    }

    pub(crate) fn wake_all(&self) {
        let mut group: [Option<Waker>; WAKE_AT_ONCE] = [const { None }; WAKE_AT_ONCE];
        let mut at = 0;
        loop {
            let mut count = 0;
            {
                let mut slots = self.slots.lock();
                while count < group.len()
                    && let Some(place) = slots.wakers.get_mut(at)
                {
                    at += 1;
                    if place.is_some() {
                        group[count] = place.take();
                        count += 1;
                    }
                }
            }
            if count == 0 {
                return;
            }
            for waker in group.iter_mut().take(count).filter_map(Option::take) {
                waker.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn every_armed_slot_is_woken_once() {
        let waiters = Waiters::default();
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let slots: Vec<u32> = (0..100).map(|_| waiters.take()).collect();
        for &slot in slots.iter().step_by(2) {
            waiters.arm(slot, &waker);
            waiters.arm(slot, &waker);
        }
        waiters.wake_all();
        assert_eq!(count.0.load(Ordering::SeqCst), 50);
        waiters.wake_all();
        assert_eq!(count.0.load(Ordering::SeqCst), 50);
    }

    #[test]
    fn a_released_slot_is_not_woken_and_used_again() {
        let waiters = Waiters::default();
        let count = Arc::new(Count::default());
        let slot = waiters.take();
        waiters.arm(slot, &Waker::from(count.clone()));
        waiters.release(slot);
        waiters.wake_all();
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        assert_eq!(waiters.take(), slot);
    }
}

//! Buffers that are used again and again.
//!
//! Bytes that are read, handed on and forgotten at gigabytes a second should not walk through memory:
//! a buffer that was used a moment ago is still in the processor's cache, a fresh one is not.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Keeps a few buffers of common sizes for their next use, the one used last first.
#[derive(Debug, Clone)]
pub struct Pool(Arc<Shelf>);

#[derive(Debug)]
struct Shelf {
    free: Mutex<Vec<Vec<u8>>>,
    kept: usize,
    sizes: Range<usize>,
}

/// A buffer on loan: it goes back when the last of those who share it lets it go.
struct Lent {
    bytes: Vec<u8>,
    home: Arc<Shelf>,
}

impl Pool {
    /// Keeps at most `kept` buffers, and only such as have a capacity in `sizes`, in bytes.
    pub fn new(kept: usize, sizes: Range<usize>) -> Self {
        Self(Arc::new(Shelf {
            free: Mutex::new(Vec::with_capacity(kept)),
            kept,
            sizes,
        }))
    }

    /// A buffer of `len` bytes with any content.
    pub fn take(&self, len: usize) -> Vec<u8> {
        match self.used(len) {
            Some(mut bytes) => {
                bytes.resize(len, 0);
                bytes
            }
            None => vec![0; len],
        }
    }

    /// An empty buffer with room for `capacity` bytes.
    pub fn room(&self, capacity: usize) -> Vec<u8> {
        let mut bytes = self.used(capacity).unwrap_or_default();
        bytes.clear();
        bytes.reserve(capacity);
        bytes
    }

    fn used(&self, size: usize) -> Option<Vec<u8>> {
        self.0
            .sizes
            .contains(&size)
            .then(|| self.0.lock().pop())
            .flatten()
    }

    /// Gives `bytes` to be shared; the buffer comes back to the pool afterwards.
    pub fn share(&self, bytes: Vec<u8>) -> Bytes {
        if !self.0.sizes.contains(&bytes.capacity()) {
            return bytes.into();
        }
        Bytes::from_owner(Lent {
            bytes,
            home: self.0.clone(),
        })
    }
}

impl Shelf {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        // A list of buffers is sound whatever happened to whoever held it.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut free = self.home.lock();
        if free.len() < self.home.kept {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_nobody_reads_it_any_more() {
        let pool = Pool::new(1, 4..1000);
        let mut bytes = pool.take(100);
        let address = bytes.as_ptr();
        bytes.truncate(50);
        bytes.fill(7);
        let shared = pool.share(bytes);
        let slice = shared.slice(10..20);
        drop(shared);
        let other = pool.take(80);
        assert_ne!(other.as_ptr(), address);
        assert_eq!(&slice[..], [7; 10]);
        drop(slice);
        let again = pool.take(80);
        assert_eq!((again.as_ptr(), again.len()), (address, 80));
    }

    #[test]
    fn few_are_kept_and_none_of_odd_sizes() {
        let pool = Pool::new(2, 4..1000);
        for len in [1, 2000, 10, 20, 30] {
            let lent: Vec<_> = (0..4).map(|_| pool.share(pool.take(len))).collect();
            drop(lent);
            let kept = pool.0.lock().len();
            assert_eq!(kept, if (4..1000).contains(&len) { 2 } else { 0 }, "{len}");
            pool.0.lock().clear();
        }
    }
}

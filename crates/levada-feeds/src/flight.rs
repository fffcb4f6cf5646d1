//! One task for many who want the same thing.
//!
//! A flight runs in a task of its own: it goes on when those who wait for it go away, and a panic in it ends it and
//! nothing else. Memory is bounded by the number of distinct keys in flight.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::watch;

/// Flights by key.
pub(crate) struct Flights<V> {
    under_way: Mutex<HashMap<String, watch::Receiver<Option<V>>>>,
}

impl<V> Default for Flights<V> {
    fn default() -> Self {
        Flights {
            under_way: Mutex::new(HashMap::new()),
        }
    }
}

impl<V: Clone + Send + Sync + 'static> Flights<V> {
    /// Waits for the flight of `key`, starting it with `make` when there is none. `None` when it ended without a
    /// result, that is, by a panic.
    pub(crate) async fn join<M, F>(self: &Arc<Self>, key: String, make: M) -> Option<V>
    where
        M: FnOnce() -> F,
        F: Future<Output = V> + Send + 'static,
    {
        let mut landing = self.board(key, make).0;
        let landed = landing.wait_for(Option::is_some).await.ok()?;
        landed.clone()
    }

    /// Starts the flight of `key` unless it is under way, and does not wait. True when it was started.
    pub(crate) fn launch<M, F>(self: &Arc<Self>, key: String, make: M) -> bool
    where
        M: FnOnce() -> F,
        F: Future<Output = V> + Send + 'static,
    {
        self.board(key, make).1
    }

    fn board<M, F>(self: &Arc<Self>, key: String, make: M) -> (watch::Receiver<Option<V>>, bool)
    where
        M: FnOnce() -> F,
        F: Future<Output = V> + Send + 'static,
    {
        let mut under_way = self.under_way.lock();
        if let Some(landing) = under_way.get(&key) {
            return (landing.clone(), false);
        }
        let (result, landing) = watch::channel(None);
        under_way.insert(key.clone(), landing.clone());
        drop(under_way);
        let pilot = make();
        let log = Entry {
            flights: Arc::clone(self),
            key,
        };
        tokio::spawn(async move {
            let log = log;
            let value = pilot.await;
            // Off the board first: who comes after the landing starts anew.
            drop(log);
            result.send_replace(Some(value));
        });
        (landing, true)
    }
}

/// Takes the flight off the board when it ends, by whatever way.
struct Entry<V> {
    flights: Arc<Flights<V>>,
    key: String,
}

impl<V> Drop for Entry<V> {
    fn drop(&mut self) {
        self.flights.under_way.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn who_waits_together_shares_and_who_leaves_does_not_stop_it() {
        let flights: Arc<Flights<usize>> = Arc::default();
        let runs = Arc::new(AtomicUsize::new(0));
        let go = Arc::new(tokio::sync::Notify::new());
        let start = |flights: &Arc<Flights<usize>>| {
            let (flights, runs, go) = (Arc::clone(flights), Arc::clone(&runs), Arc::clone(&go));
            async move {
                flights
                    .join("k".into(), move || async move {
                        go.notified().await;
                        runs.fetch_add(1, Ordering::SeqCst) + 1
                    })
                    .await
            }
        };
        let leaver = tokio::spawn(start(&flights));
        tokio::task::yield_now().await;
        let stayer = tokio::spawn(start(&flights));
        tokio::task::yield_now().await;
        leaver.abort();
        go.notify_one();
        assert_eq!(stayer.await.expect("no panic"), Some(1));
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert!(flights.under_way.lock().is_empty());
    }

    #[tokio::test]
    async fn a_panic_is_an_empty_landing_and_the_next_starts_anew() {
        let flights: Arc<Flights<u8>> = Arc::default();
        let crashed = flights.join("k".into(), || async { panic!("on purpose") }).await;
        assert_eq!(crashed, None);
        assert_eq!(flights.join("k".into(), || async { 7 }).await, Some(7));
    }
}

//! One task for many who want the same thing.
//!
//! A flight runs in a task of its own: it goes on when those who wait for it go away, and a panic in it ends it and
//! nothing else. Memory is bounded by the number of distinct keys in flight.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// Flights by key.
pub(crate) struct Flights<V> {
    under_way: Mutex<HashMap<String, Flight<V>>>,
}

/// A flight that is under way.
struct Flight<V> {
    landing: watch::Receiver<Option<V>>,
    overtaken: Overtaken,
}

/// That what a flight brings was outdated while it was under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overtaken(Arc<AtomicBool>);

impl Overtaken {
    /// Whether it was, so far.
    pub(crate) fn so_far(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What came of joining a flight.
pub(crate) struct Landed<V> {
    /// The result; `None` when the flight ended without one, that is, by a panic.
    pub(crate) value: Option<V>,
    /// Whether the flight had begun before, and was overtaken before it was joined.
    pub(crate) was_overtaken: bool,
    /// Whether the flight had begun before.
    pub(crate) was_under_way: bool,
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
        self.board(key, |_| make()).await.value
    }

    /// As [`Flights::join`], for flights that can be overtaken.
    pub(crate) fn board<M, F>(
        self: &Arc<Self>,
        key: String,
        make: M,
    ) -> impl Future<Output = Landed<V>> + use<M, F, V>
    where
        M: FnOnce(Overtaken) -> F,
        F: Future<Output = V> + Send + 'static,
    {
        let (mut landing, was_under_way, was_overtaken) = self.enter(key, make);
        async move {
            let value = match landing.wait_for(Option::is_some).await {
                Ok(landed) => landed.clone(),
                Err(_) => None,
            };
            Landed {
                value,
                was_overtaken,
                was_under_way,
            }
        }
    }

    /// Starts the flight of `key` unless it is under way, and does not wait. True when it was started.
    pub(crate) fn launch<M, F>(self: &Arc<Self>, key: String, make: M) -> bool
    where
        M: FnOnce() -> F,
        F: Future<Output = V> + Send + 'static,
    {
        !self.enter(key, |_| make()).1
    }

    /// What the flight of `key` brings, if it is under way, is outdated.
    pub(crate) fn overtake(&self, key: &str) {
        if let Some(flight) = self.under_way.lock().get(key) {
            flight.overtaken.0.store(true, Ordering::SeqCst);
        }
    }

    /// The landing, whether the flight was under way, and whether it was overtaken already.
    fn enter<M, F>(self: &Arc<Self>, key: String, make: M) -> (watch::Receiver<Option<V>>, bool, bool)
    where
        M: FnOnce(Overtaken) -> F,
        F: Future<Output = V> + Send + 'static,
    {
        let mut under_way = self.under_way.lock();
        if let Some(flight) = under_way.get(&key) {
            return (flight.landing.clone(), true, flight.overtaken.so_far());
        }
        let (result, landing) = watch::channel(None);
        let overtaken = Overtaken::default();
        let flight = Flight {
            landing: landing.clone(),
            overtaken: overtaken.clone(),
        };
        under_way.insert(key.clone(), flight);
        drop(under_way);
        let pilot = make(overtaken);
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
        (landing, false, false)
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
    async fn whoever_boards_after_it_was_overtaken_is_told() {
        let flights: Arc<Flights<bool>> = Arc::default();
        let go = Arc::new(tokio::sync::Notify::new());
        let board = || {
            let go = Arc::clone(&go);
            flights.board("k".into(), move |overtaken| async move {
                go.notified().await;
                overtaken.so_far()
            })
        };
        let (first, second) = (board(), board());
        flights.overtake("k");
        flights.overtake("another");
        let third = board();
        go.notify_one();
        let (first, second, third) = tokio::join!(first, second, third);
        let told = |landed: &Landed<bool>| (landed.was_under_way, landed.was_overtaken, landed.value);
        assert_eq!(told(&first), (false, false, Some(true)));
        assert_eq!(told(&second), (true, false, Some(true)));
        assert_eq!(told(&third), (true, true, Some(true)));
    }

    #[tokio::test]
    async fn a_panic_is_an_empty_landing_and_the_next_starts_anew() {
        let flights: Arc<Flights<u8>> = Arc::default();
        let crashed = flights.join("k".into(), || async { panic!("on purpose") }).await;
        assert_eq!(crashed, None);
        assert_eq!(flights.join("k".into(), || async { 7 }).await, Some(7));
    }
}

//! How many streams each client address has open. The count falls exactly once per stream, when its
//! body is dropped.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// Open streams per client address.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    limit: usize,
    open: Arc<Mutex<HashMap<String, usize>>>,
}

/// One open stream.
#[derive(Debug)]
pub(crate) struct Place {
    client: String,
    open: Arc<Mutex<HashMap<String, usize>>>,
}

impl Clients {
    /// At most `limit` streams per client; 0 for no bound.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            open: Arc::default(),
        }
    }

    /// Whether there is a bound at all.
    pub(crate) fn limited(&self) -> bool {
        self.limit > 0
    }

    /// Takes a place for one more stream of `client`, if there is one.
    pub(crate) fn enter(&self, client: &str) -> Option<Place> {
        let mut open = self.open.lock();
        let count = open.entry(client.to_owned()).or_default();
        if self.limited() && *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Place {
            client: client.to_owned(),
            open: self.open.clone(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_per_client_and_come_back() {
        let clients = Clients::new(1);
        let first = clients.enter("a").unwrap();
        assert!(clients.enter("a").is_none());
        assert!(clients.enter("b").is_some());
        drop(first);
        assert!(clients.enter("a").is_some());
    }
}

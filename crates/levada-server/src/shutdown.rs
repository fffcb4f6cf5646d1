//! The one signal that everything long-lived watches.

use std::sync::Arc;

use tokio::sync::watch;

/// Tells when shutdown has begun. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown {
    begun: Arc<watch::Sender<bool>>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            begun: Arc::new(watch::Sender::new(false)),
        }
    }
}

impl Shutdown {
    /// Begins the shutdown. Later calls change nothing.
    pub fn begin(&self) {
        self.begun.send_replace(true);
    }

    /// Whether shutdown has begun.
    pub fn has_begun(&self) -> bool {
        *self.begun.borrow()
    }

    /// Waits until shutdown begins.
    pub async fn begun(&self) {
        let mut watch = self.begun.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        let _ = watch.wait_for(|begun| *begun).await;
    }
}

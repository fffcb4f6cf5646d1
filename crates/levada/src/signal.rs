//! SIGINT and SIGTERM: the first asks the command to end in order, the second ends it. SIGXFSZ does not
//! end it: a write beyond a limit on file sizes then fails like one to a full disk.

use std::sync::Arc;

use tokio::sync::watch;

use crate::exit::Exit;

/// Tells whether the user asked to stop. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// Begins to listen for signals. Must be called inside a runtime.
    pub(crate) fn listen() -> Self {
        let stop = Self(Arc::new(watch::Sender::new(false)));
        let asked = stop.clone();
        catch_file_size_limit();
        tokio::spawn(async move {
            wait_for_signal().await;
            asked.0.send_replace(true);
            wait_for_signal().await;
            std::process::exit(Exit::Interrupted as i32);
        });
        stop
    }

    /// Whether a signal came.
    pub(crate) fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for a signal.
    pub(crate) async fn asked(&self) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.0.subscribe().wait_for(|asked| *asked).await;
    }
}

/// Number of SIGXFSZ on the systems that we build for.
const SIGXFSZ: i32 = 25;

/// Takes the signal away from its default, which ends the process. The handler stays when the receiver
/// is gone.
fn catch_file_size_limit() {
    use tokio::signal::unix::{SignalKind, signal};
    if let Err(error) = signal(SignalKind::from_raw(SIGXFSZ)) {
        tracing::debug!(%error, "a limit on file sizes will end this process");
    }
}

async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        // Without a handler the signal ends the process by itself.
        _ => std::future::pending().await,
    }
}

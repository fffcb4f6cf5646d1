//! Where diagnostics go: standard error, so that standard output carries only results.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// For commands that talk to a server: warnings, or what `LEVADA_LOG` asks for.
pub(crate) fn for_clients() {
    let filter = EnvFilter::try_from_env("LEVADA_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    // Fails only when a subscriber is set already, which then does.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}

/// For servers: what an operator wants to know, or what `LEVADA_LOG` asks for.
pub(crate) fn for_servers() {
    let filter = EnvFilter::try_from_env("LEVADA_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // Fails only when a subscriber is set already, which then does.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}

//! Ports for a broker. They must survive a stop and a start of the broker, so they lie below the range
//! from which the system gives ports to outgoing connections.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;
const TRIES: u32 = 200;

static TAKEN: AtomicU32 = AtomicU32::new(0);

/// A port that is free on loopback now.
///
/// # Errors
/// None of many was.
pub fn free() -> Result<u16> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos();
    let start = clock.wrapping_add(std::process::id().wrapping_mul(7919));
    (0..TRIES)
        .map(|_| start.wrapping_add(TAKEN.fetch_add(31, Ordering::Relaxed)) % COUNT + FIRST)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .context("no free port was found on loopback")
}

//! Keeps the demo stream alive: publishes synthetic edits over HTTP, as any producer would.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use levada_client::{Producer, ProducerConfig, Server, Verdict};
use levada_event::Timestamp;
use rand::RngExt;

use super::generator::Generator;
use crate::signal::Stop;

/// Most events in one go, so that a pause (a laptop's sleep) is not made up for.
const BURST_MAX: f64 = 500.0;

/// Publishes about `rate` edits per second until `stop`.
pub(super) async fn run(server: Server, rate: f64, seed: u64, stop: Stop) {
    let config = ProducerConfig {
        deadline: Duration::from_secs(10),
        ..ProducerConfig::default()
    };
    let producer = Producer::new(server, config);
    let mut generator = Generator::new(seed);
    let mut due = 1.0_f64;
    let mut last = Instant::now();
    let mut healthy = true;
    loop {
        let events: Vec<Bytes> = (0..due as u64)
            .map(|_| generator.edit(Timestamp::from_system(SystemTime::now())))
            .collect();
        due = due.fract();
        if !events.is_empty() {
            let verdicts = tokio::select! {
                verdicts = producer.send_all(&events) => verdicts,
                () = stop.asked() => return,
            };
            healthy = tell(&verdicts, healthy);
        }
        // Uneven, as people are; fast rates go in small batches.
        let pause = (1.0 / rate).max(0.02) * rand::rng().random_range(0.3..1.7);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs_f64(pause)) => {}
            () = stop.asked() => return,
        }
        due = (due + last.elapsed().as_secs_f64() * rate).min(BURST_MAX);
        last = Instant::now();
    }
}

/// Says once when edits are not accepted, and once when they are again.
fn tell(verdicts: &[Verdict], healthy: bool) -> bool {
    let trouble = verdicts.iter().find_map(|verdict| match verdict {
        Verdict::Accepted => None,
        Verdict::Invalid { code, message } => Some(format!("{code}: {message}")),
        Verdict::Failed(failed) => Some(format!("{}: {}", failed.code, failed.message)),
    });
    match &trouble {
        Some(reason) if healthy => tracing::warn!(%reason, "synthetic edits are not accepted"),
        None if !healthy => tracing::info!("synthetic edits are accepted again"),
        _ => {}
    }
    trouble.is_none()
}

//! The broker that the tests share, and logs on it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use levada_kafka::{KafkaLog, Settings};

/// A place of its own on the shared broker: settings, and a prefix for the names of topics.
pub struct Cluster {
    pub settings: Settings,
    pub prefix: String,
}

impl Cluster {
    /// For the test of this name; `None`, with the reason printed, where there is no broker.
    pub fn shared(test: &str) -> Option<Self> {
        levada_kafka_broker::shared(test).map(|servers| Self::at(&servers))
    }

    /// As [`shared`](Self::shared), but the test counts only when it notes that it ran.
    pub fn found(test: &str) -> Option<Self> {
        levada_kafka_broker::found(test).map(|servers| Self::at(&servers))
    }

    fn at(servers: &str) -> Self {
        Self {
            settings: settings(servers),
            prefix: prefix(),
        }
    }

    pub async fn log(&self) -> KafkaLog {
        KafkaLog::open(self.settings.clone())
            .await
            .expect("the broker answers")
    }
}

/// Settings for a test: patient, because the machine may be busy.
pub fn settings(servers: &str) -> Settings {
    let mut settings = Settings::new(servers);
    settings.request_timeout = Duration::from_secs(30);
    settings.delivery_timeout = Duration::from_secs(60);
    settings
}

/// A prefix that no other test uses, also of other runs on the same broker.
pub fn prefix() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970");
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("t{:x}-{:x}-{count}.", now.as_millis(), std::process::id())
}

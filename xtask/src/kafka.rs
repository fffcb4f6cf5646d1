//! The Kafka broker of a test run: `cargo xtask test` starts one for all tests and counts the tests
//! that used it; `cargo xtask kafka` starts one for a developer.

use std::io::Read;
use std::path::PathBuf;

use anyhow::{Result, bail};
use levada_kafka_broker::{Broker, Jars};

use crate::command::root;

/// A broker for the tests of this run; ended when dropped.
pub struct ForTests {
    broker: Broker,
    ran: PathBuf,
}

impl ForTests {
    /// Fetches what is missing and starts the broker.
    pub fn start() -> Result<Self> {
        let jars = Jars::fetch()?;
        let ran = root().join("target/kafka-tests-ran");
        std::fs::write(&ran, "")?;
        let broker = Broker::start(&jars, "")?;
        println!("     kafka: a broker serves on {}", broker.address());
        Ok(Self { broker, ran })
    }

    /// The environment through which tests find the broker.
    pub fn environment(&self) -> [(&'static str, String); 3] {
        [
            (levada_kafka_broker::SHARED, self.broker.address()),
            (levada_kafka_broker::REQUIRED, "1".into()),
            (levada_kafka_broker::RAN, self.ran.display().to_string()),
        ]
    }

    /// Says how many tests used a broker.
    ///
    /// # Errors
    /// None did, though all tests were asked for.
    pub fn count(&self, all: bool) -> Result<()> {
        let ran = std::fs::read_to_string(&self.ran)?.lines().count();
        println!("{ran} tests ran on Apache Kafka");
        if all && ran == 0 {
            bail!(
                "no test ran on Apache Kafka; a run without them proves nothing of it (name tests to run only those)"
            );
        }
        Ok(())
    }
}

/// Runs a broker until standard input ends, for tests that are run one by one.
pub fn run() -> Result<()> {
    let broker = Broker::start(&Jars::fetch()?, "")?;
    println!(
        "export {}={}\nends with this command's input (Ctrl-D)",
        levada_kafka_broker::SHARED,
        broker.address()
    );
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

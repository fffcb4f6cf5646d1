//! One broker: controller and broker in one JVM, data in a folder of its own.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{Jars, port, probe};

/// Longest start that is waited for; on a busy machine of two cores a start takes 15 s.
const START: Duration = Duration::from_secs(180);

/// Longest clean stop; then the process is killed.
const STOP: Duration = Duration::from_secs(30);

const HEAP_MIB: u32 = 384;

/// A setting for tests with events that are dated years ago: the broker counts their age from these
/// dates, and looks for what it may remove 30 s after its start and then at intervals. Here never.
pub const REMOVES_NOTHING: &str =
    "log.initial.task.delay.ms=86400000\nlog.retention.check.interval.ms=86400000";

/// A broker on loopback. Ended when dropped, and when the thread that started it ends.
#[derive(Debug)]
pub struct Broker {
    jars: Jars,
    folder: TempDir,
    port: u16,
    running: Option<Child>,
}

impl Broker {
    /// Formats a fresh folder and starts a broker in it; it serves when this returns. `settings` are
    /// lines of `server.properties` that follow those for a cluster of one; `{port}` and `{controller}` in
    /// them are the ports of its two listeners.
    ///
    /// # Errors
    /// Java cannot be run, or the broker does not come up; then its last words are in the error.
    pub fn start(jars: &Jars, settings: &str) -> Result<Self> {
        Self::start_with_users(jars, settings, &[])
    }

    /// The same, with the names and passwords of users who log in by SCRAM-SHA-512.
    ///
    /// # Errors
    /// As [`Broker::start`].
    pub fn start_with_users(jars: &Jars, settings: &str, users: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("kafka-").tempdir()?;
        let (port, controller) = (port::free()?, port::free()?);
        let properties = properties(folder.path(), port, controller, settings);
        std::fs::write(folder.path().join("server.properties"), properties)?;
        let formatted = jars
            .java("kafka.tools.StorageTool", 128)
            .args(["format", "--ignore-formatted", "-t", "TGV2YWRhIHRlc3Rzew", "-c"])
            .arg(folder.path().join("server.properties"))
            .args(users.iter().flat_map(|(name, password)| {
                let user = format!("SCRAM-SHA-512=[name={name},password={password}]");
                ["--add-scram".to_owned(), user]
            }))
            .output()
            .context("cannot run java; install a Java 17 runtime")?;
        if !formatted.status.success() {
            bail!(
                "the broker's folder cannot be formatted: {}{}",
                String::from_utf8_lossy(&formatted.stdout),
                String::from_utf8_lossy(&formatted.stderr)
            );
        }
        let mut broker = Self {
            jars: jars.clone(),
            folder,
            port,
            running: None,
        };
        broker.start_again()?;
        Ok(broker)
    }

    /// Host and port, as for `bootstrap.servers`. The same after a stop and a start.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port of [`Broker::address`].
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts a stopped broker on the data that it has, and waits until it serves.
    ///
    /// # Errors
    /// It ends again or does not serve in time.
    pub fn start_again(&mut self) -> Result<()> {
        if self.running.is_some() {
            return Ok(());
        }
        let path = self.folder.path().join("broker.log");
        let log = File::options().create(true).append(true).open(&path)?;
        let mut command: Command = self.jars.java("kafka.Kafka", HEAP_MIB);
        let child = command
            .arg(self.folder.path().join("server.properties"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot run java; install a Java 17 runtime")?;
        let child = self.running.insert(child);
        let begin = Instant::now();
        while !probe::serves(self.port) {
            if let Some(status) = child.try_wait()? {
                self.running = None;
                bail!(
                    "the broker ended while starting ({status}): {}",
                    std::fs::read_to_string(path)?
                );
            }
            if begin.elapsed() > START {
                self.kill()?;
                bail!(
                    "the broker did not serve within {START:?}: {}",
                    std::fs::read_to_string(path)?
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Stops the broker in good order; it can be started again.
    ///
    /// # Errors
    /// The system refuses.
    pub fn stop(&mut self) -> Result<()> {
        let Some(child) = &mut self.running else {
            return Ok(());
        };
        Command::new("kill").arg(child.id().to_string()).status()?;
        let begin = Instant::now();
        while child.try_wait()?.is_none() {
            if begin.elapsed() > STOP {
                return self.kill();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.running = None;
        Ok(())
    }

    /// Ends the broker as a crash would; it can be started again.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.running.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Its data goes with it, so there is nothing to end in good order.
        let _ = self.kill();
    }
}

fn properties(folder: &Path, port: u16, controller: u16, settings: &str) -> String {
    let settings = settings
        .replace("{port}", &port.to_string())
        .replace("{controller}", &controller.to_string());
    format!(
        "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.retention.check.interval.ms=1000
log.cleaner.enable=true
log.cleaner.backoff.ms=500
log.cleaner.dedupe.buffer.size=2097152
num.partitions=1
{settings}
",
        folder.join("data").display()
    )
}

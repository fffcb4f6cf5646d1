//! A server process of the release build, in a folder of its own that goes away with it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// A running server.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// From the start of the process to its word that it serves.
    pub ready_after: Duration,
}

/// A folder with configuration and data, on the disk that holds the build (not in memory).
pub fn folder() -> Result<TempDir> {
    let base = executable()?
        .parent()
        .context("the executable lies in a folder")?
        .to_owned();
    tempfile::Builder::new()
        .prefix("levada-bench-")
        .tempdir_in(base)
        .context("cannot make a folder")
}

/// The stream that all benchmarks use, declared for the server in `folder`.
pub fn configure(folder: &Path, durability: &str) -> Result<()> {
    std::fs::write(folder.join("streams.yaml"), crate::events::STREAMS)?;
    let schema = folder.join("schemas/bench/page_change");
    std::fs::create_dir_all(&schema)?;
    std::fs::write(schema.join("1.0.0"), crate::events::SCHEMA)?;
    let at = folder.display();
    let text = format!(
        "listen = \"127.0.0.1:0\"\ndata = \"{at}/data\"\n[catalog]\nstream_config = [\"{at}/streams.yaml\"]\nschema_base_uris = [\"{at}/schemas/\"]\n[intake]\nbody_bytes_max = \"32MiB\"\n[log]\ndurability = \"{durability}\"\n"
    );
    std::fs::write(folder.join("levada.toml"), text)?;
    Ok(())
}

/// As [`configure`], with `topic` of the broker at `address` for the log. The events of benchmarks are
/// dated long ago, so the topic keeps everything.
pub fn configure_kafka(folder: &Path, address: &str, topic: &str) -> Result<()> {
    configure(folder, "fsync")?;
    let streams =
        crate::events::STREAMS.replace("    levada:", &format!("    topics: [{topic}]\n    levada:"));
    std::fs::write(folder.join("streams.yaml"), streams)?;
    let path = folder.join("levada.toml");
    let text = std::fs::read_to_string(&path)?;
    let text = text.replace("[log]\n", "[log]\nkind = \"kafka\"\nretention_age = 0\n");
    std::fs::write(
        path,
        format!("{text}[kafka]\nbootstrap_servers = [\"{address}\"]\n"),
    )?;
    Ok(())
}

fn executable() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.with_file_name("levada");
    if !path.is_file() {
        bail!(
            "{} is not there; build it with `cargo build --release -p levada`",
            path.display()
        );
    }
    Ok(path)
}

impl Server {
    /// Starts a server on the configuration in `folder` and waits until it serves.
    pub fn start(folder: &Path) -> Result<Self> {
        Self::spawn(
            Command::new(executable()?)
                .args(["serve", "--config"])
                .arg(folder.join("levada.toml"))
                .env("LEVADA_LOG", "warn"),
        )
    }

    /// Starts the bare server of [`yardstick`](crate::yardstick).
    pub fn start_bare(folder: &Path) -> Result<Self> {
        Self::spawn(
            Command::new(std::env::current_exe()?)
                .arg(crate::yardstick::SERVE)
                .arg(folder),
        )
    }

    fn spawn(command: &mut Command) -> Result<Self> {
        let begin = Instant::now();
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the server")?;
        let stdout = child.stdout.take().context("the server has an output")?;
        let mut lines = BufReader::new(stdout).lines();
        for line in lines.by_ref() {
            let line = line?;
            if let Some(address) = line.split("http://").nth(1) {
                let address = address.trim().trim_end_matches('/').parse()?;
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(Self {
                    child,
                    address,
                    ready_after: begin.elapsed(),
                });
            }
        }
        bail!("the server ended without serving");
    }

    /// CPU time of the process so far, user and system.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find(|l| l.starts_with("VmRSS:"))
            .context("a process has memory")?;
        let kib: u64 = line.split_whitespace().nth(1).unwrap_or_default().parse()?;
        Ok(kib * 1024)
    }

    /// Kills the process without a word, as a crash would.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed already; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

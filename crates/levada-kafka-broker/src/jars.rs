//! The jars of Kafka: copied once by Maven into `target/kafka`, then found there.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

const POM: &str = include_str!("../pom.xml");

/// The file beside the jars that says from which pom they are.
const STAMP: &str = "pom.xml";

/// A folder with all jars of a broker and its tools.
#[derive(Debug, Clone)]
pub struct Jars {
    folder: PathBuf,
}

impl Jars {
    /// The jars that an earlier [`Jars::fetch`] left; `None` when there are none for this version.
    pub fn cached() -> Option<Self> {
        let folder = folder();
        let stamp = std::fs::read_to_string(folder.join(STAMP)).ok()?;
        (stamp == POM).then_some(Self { folder })
    }

    /// The jars, from Maven Central unless they are there already.
    ///
    /// # Errors
    /// Maven cannot be run or cannot get them; its own words are on the terminal.
    pub fn fetch() -> Result<Self> {
        if let Some(cached) = Self::cached() {
            return Ok(cached);
        }
        let folder = folder();
        std::fs::create_dir_all(&folder)?;
        let pom = Path::new(env!("CARGO_MANIFEST_DIR")).join("pom.xml");
        println!(
            "fetching Apache Kafka from Maven Central into {}",
            folder.display()
        );
        let status = Command::new("mvn")
            .args(["--batch-mode", "--quiet", "--file"])
            .arg(pom)
            .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
            .arg(format!("-DoutputDirectory={}", folder.display()))
            .status()
            .context("cannot run mvn; install Maven")?;
        if !status.success() {
            bail!("mvn could not fetch Apache Kafka ({status})");
        }
        // Written last: a folder without it is fetched again.
        std::fs::write(folder.join(STAMP), POM)?;
        Ok(Self { folder })
    }

    /// A command that runs a class of Kafka, such as `org.apache.kafka.tools.ConsumerPerformance`,
    /// in a JVM with a heap of `heap_mib` at most.
    pub fn java(&self, class: &str, heap_mib: u32) -> Command {
        // Ends the JVM when the thread that started it ends, however that happens.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "java"])
            .arg(format!("-Xmx{heap_mib}m"))
            .args(["-XX:+UseSerialGC", "-XX:-UsePerfData", "-cp"])
            .arg(format!("{}/*", self.folder.display()))
            .arg(class);
        command
    }
}

/// `target/kafka` of the workspace, or of the target folder that cargo was told to use.
fn folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || {
            let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
            workspace.unwrap_or(Path::new(".")).join("target")
        },
        PathBuf::from,
    );
    target.join("kafka")
}

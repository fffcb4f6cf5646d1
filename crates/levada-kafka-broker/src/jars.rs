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
        // Beside its place, so that jars of another version are neither mixed with these nor lost when
        // they cannot be had.
        let fetched = folder.with_extension("fetched");
        remove(&fetched)?;
        std::fs::create_dir_all(&fetched)?;
        let pom = Path::new(env!("CARGO_MANIFEST_DIR")).join("pom.xml");
        println!(
            "fetching Apache Kafka from Maven Central into {}",
            folder.display()
        );
        let status = Command::new("mvn")
            .args(["--batch-mode", "--quiet", "--file"])
            .arg(pom)
            .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
            .arg(format!("-DoutputDirectory={}", fetched.display()))
            .status()
            .context("cannot run mvn; install Maven")?;
        if !status.success() {
            bail!("mvn could not fetch Apache Kafka ({status})");
        }
        // Written last: a folder without it is fetched again.
        std::fs::write(fetched.join(STAMP), POM)?;
        put_in_place(&fetched, &folder)?;
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

/// Puts a folder where another one may be, all of whose files go.
fn put_in_place(fetched: &Path, folder: &Path) -> Result<()> {
    remove(folder)?;
    std::fs::rename(fetched, folder)
        .with_context(|| format!("cannot move {} to {}", fetched.display(), folder.display()))
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jars_of_two_versions_are_not_mixed() {
        let target = tempfile::tempdir().expect("a folder");
        let (fetched, folder) = (target.path().join("kafka.fetched"), target.path().join("kafka"));
        let names = || -> Vec<_> {
            let files = std::fs::read_dir(&folder).expect("a folder");
            files
                .map(|file| file.expect("a file").file_name().into_string().expect("text"))
                .collect()
        };
        for version in ["kafka-1.jar", "kafka-2.jar"] {
            std::fs::create_dir(&fetched).expect("a folder");
            std::fs::write(fetched.join(version), version).expect("a file");
            put_in_place(&fetched, &folder).expect("moved");
            assert_eq!(names(), [version]);
        }
    }
}

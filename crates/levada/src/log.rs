//! `levada log`: looks into a data folder while no server runs on it.

mod check;
mod export;
mod inspect;

use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use levada_log::embedded::OpenError;
use levada_log::embedded::offline::{Fault, Offline, StoredPartition, StoredSegment};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};

/// Arguments of `levada log`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read every block and report torn tails and damage
    Check {
        #[command(flatten)]
        place: Place,
        /// How to print the findings
        #[arg(long, short, value_enum, default_value_t = Format::Text)]
        output: Format,
    },
    /// List segments with offsets, times, sizes and the state of their index, or print records
    Inspect {
        #[command(flatten)]
        place: Place,
        /// How to print the segments
        #[arg(long, short, value_enum, default_value_t = Format::Text)]
        output: Format,
        #[command(flatten)]
        records: inspect::Records,
    },
    /// Write the events as lines that `levada produce` takes, in the order of each partition
    Export {
        #[command(flatten)]
        place: Place,
        /// Write to this new file instead of standard output
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
}

/// What to look at.
#[derive(Debug, clap::Args)]
struct Place {
    /// The data folder
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Only this topic; may be repeated
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,
    /// Only this partition
    #[arg(long, value_name = "N")]
    partition: Option<u32>,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object per line
    Ndjson,
}

/// A data folder and the chosen part of it.
struct Chosen {
    log: Offline,
    partitions: Vec<StoredPartition>,
    /// Topics that cannot be read, with the reason.
    damaged: Vec<(String, String)>,
}

impl Place {
    fn open(&self) -> Result<Chosen, Failure> {
        let log = Offline::open(&self.dir).map_err(|error| match error {
            OpenError::Locked { .. } => Failure::new(
                Exit::Unavailable,
                format!("{error}; stop the server, or look at a copy of the folder"),
            ),
            error => Failure::new(Exit::Io, error.to_string()),
        })?;
        let topics = log
            .topics()
            .map_err(|error| Failure::io(self.dir.display(), &error))?;
        let known = |name: &String| topics.iter().any(|topic| topic.name.as_str() == name);
        if let Some(unknown) = self.topics.iter().find(|name| !known(name)) {
            return Err(Failure::usage(format!(
                "there is no topic {unknown:?} in {}",
                self.dir.display()
            )));
        }
        let (mut partitions, mut damaged) = (Vec::new(), Vec::new());
        for topic in topics {
            if !self.topics.is_empty() && !self.topics.iter().any(|name| name == topic.name.as_str()) {
                continue;
            }
            match topic.partitions {
                Ok(of_topic) => partitions.extend(of_topic),
                Err(reason) => damaged.push((topic.name.to_string(), reason)),
            }
        }
        partitions.retain(|p| self.partition.is_none_or(|number| p.of.partition == number));
        Ok(Chosen {
            log,
            partitions,
            damaged,
        })
    }
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut out = BufWriter::with_capacity(256 * 1024, io::stdout().lock());
    let exit = match &args.command {
        Command::Check { place, output } => check::run(&place.open()?, *output, &mut out),
        Command::Inspect {
            place,
            output,
            records,
        } => inspect::run(&place.open()?, *output, records, &mut out),
        Command::Export { place, to } => {
            let chosen = place.open()?;
            match to {
                Some(path) => export::to_file(&chosen, path),
                None => export::run(&chosen, &mut out),
            }
        }
    };
    match exit.and_then(|exit| out.flush().map(|()| exit)) {
        Ok(exit) => Ok(exit),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Exit::Ok),
        Err(error) => Err(Failure::new(Exit::Io, error.to_string())),
    }
}

/// A fault as a line for people.
fn line(partition: &StoredPartition, segment: &StoredSegment, fault: &Fault) -> String {
    let kind = if fault.torn { "torn tail" } else { "damage" };
    let around = match fault.resumes {
        Some((position, offset)) => {
            format!("readable before it, and again from offset {offset} at byte {position}")
        }
        None if fault.torn => "the next start cuts it off".to_owned(),
        None => "readable before it; nothing follows in this file".to_owned(),
    };
    format!(
        "{kind}: {} offset {}, {} at byte {}: {}; {around}",
        partition.of,
        fault.offset,
        segment.path.display(),
        fault.position,
        fault.reason
    )
}

/// A fault as a JSON object.
fn object(partition: &StoredPartition, segment: &StoredSegment, fault: &Fault) -> Value {
    json!({
        "kind": if fault.torn { "torn_tail" } else { "damage" },
        "topic": partition.of.topic.as_str(),
        "partition": partition.of.partition,
        "segment": segment.path.display().to_string(),
        "position": fault.position,
        "offset": fault.offset,
        "reason": fault.reason,
        "resumes_at_position": fault.resumes.map(|(position, _)| position),
        "resumes_at_offset": fault.resumes.map(|(_, offset)| offset),
    })
}

//! `levada streams`: which streams are declared, by a server or by a configuration file.

mod list;
mod local;
mod remote;

pub(crate) use local::faults_of_files;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde_json::{Map, Value};

use crate::cli::Remote;
use crate::exit::{Exit, Failure};
use crate::serve::Settings;

pub(crate) use list::print;
pub(crate) use local::catalog;

/// Arguments of `levada streams`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List declared streams
    List {
        #[command(flatten)]
        declared: Declared,
        /// How to print them
        #[arg(long, short, value_enum, default_value_t = Format::Table)]
        output: Format,
    },
    /// Show the settings of one stream, as merged from defaults and overrides
    Show {
        /// Its name
        #[arg(value_name = "STREAM")]
        name: String,
        #[command(flatten)]
        declared: Declared,
    },
    /// Check the streams of a configuration against each other and against their schemas
    Check(Settings),
}

/// Where streams are declared.
#[derive(Debug, clap::Args)]
struct Declared {
    #[command(flatten)]
    remote: Remote,
    /// Read this configuration file instead of asking a server
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    config: Option<PathBuf>,
}

impl Declared {
    async fn streams(&self, name: Option<&str>) -> Result<Map<String, Value>, Failure> {
        match &self.config {
            Some(path) => local::streams(path).await,
            None => remote::streams(&self.remote.server()?, name).await,
        }
    }
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns with a headline
    Table,
    /// Names only, one per line
    Names,
    /// One JSON object per line
    Ndjson,
}

/// Runs the subcommand.
pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::List { declared, output } => {
            let streams = declared.streams(None).await?;
            list::print(&list::render(&streams, output))
        }
        Command::Show { name, declared } => match declared.streams(Some(&name)).await?.get(&name) {
            Some(settings) => list::print(&list::settings(settings)),
            None => Err(Failure::new(Exit::Faults, format!("there is no stream {name:?}"))),
        },
        Command::Check(settings) => local::check(&settings).await,
    }
}

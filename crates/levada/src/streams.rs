//! `levada streams`: which streams are declared.

mod list;
mod remote;

use clap::{Subcommand, ValueEnum};

use crate::cli::Remote;
use crate::exit::{Exit, Failure};

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
        remote: Remote,
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
        remote: Remote,
    },
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
        Command::List { remote, output } => {
            let streams = remote::streams(&remote.server()?, None).await?;
            list::print(&list::render(&streams, output))
        }
        Command::Show { name, remote } => {
            let streams = remote::streams(&remote.server()?, Some(&name)).await?;
            match streams.get(&name) {
                Some(settings) => list::print(&list::settings(settings)),
                None => Err(Failure::new(Exit::Faults, format!("there is no stream {name:?}"))),
            }
        }
    }
}

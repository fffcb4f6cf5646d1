//! `levada config`: checks and prints the configuration.

use levada_server::config::keys;

use crate::exit::{Exit, Failure};
use crate::serve::Settings;

/// Check and print the configuration
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Read the configuration and name the first fault with its place
    Check(Settings),
    /// Print each key with the value in force
    Print {
        #[command(flatten)]
        settings: Settings,
        /// Say where each value is from
        #[arg(long)]
        origin: bool,
    },
    /// Print an example file with every key and its meaning
    Example,
    /// Print the reference page of all keys as Markdown
    Reference,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::Check(settings) => {
            settings.load()?;
            println!("the configuration is in order");
        }
        Command::Print { settings, origin } => {
            for (key, value, from) in settings.load()?.values {
                if *origin {
                    println!("{key} = {value}  # {from}");
                } else {
                    println!("{key} = {value}");
                }
            }
        }
        Command::Example => print!("{}", keys::example()),
        Command::Reference => print!("{}", keys::reference()),
    }
    Ok(Exit::Ok)
}

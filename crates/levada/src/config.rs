//! `levada config`: checks and prints the configuration.

use levada_server::config::{LogKind, keys, places};

use crate::exit::{Exit, Failure};
use crate::serve::Settings;
use crate::streams;

/// Check and print the configuration
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Read the configuration, look at the files and folders it names, and tell each fault with its place
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

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::Check(settings) => {
            let loaded = settings.load()?;
            let mut faults = places::stream_config_faults(&loaded);
            if faults.is_empty() {
                faults.extend(streams::faults_of_files(&loaded.config).await?);
            }
            faults.extend(places::schema_faults(&loaded));
            if loaded.config.log.kind == LogKind::Kafka
                && let Err(fault) = levada_server::kafka::settings(&loaded.config).check()
            {
                faults.push(fault.to_string());
            }
            if !faults.is_empty() {
                return Err(Failure::new(Exit::Config, faults.join("\nlevada: ")));
            }
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

//! `levada feeds`: the Explore feeds alone, checked, recorded.

use std::path::PathBuf;

use levada_server::StartOptions;
use levada_server::config::Config;

use crate::exit::{Exit, Failure};
use crate::serve::{Settings, boot_failure};
use crate::signal::Stop;

/// Arguments of `levada feeds`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Serve the feeds without streams
    Serve {
        #[command(flatten)]
        settings: Settings,
        /// Serve from a recording and contact nobody
        #[arg(long, value_name = "DIR")]
        replay: Option<PathBuf>,
        /// Listen beyond loopback without authentication
        #[arg(long)]
        insecure: bool,
    },
    /// Fetch all feeds of a wiki once and report what parsed, what is missing and why
    Check(Wiki),
    /// Fetch all feeds of a wiki once and save what the upstream services answered
    Record {
        /// Folder for the recording
        dir: PathBuf,
        #[command(flatten)]
        wiki: Wiki,
    },
}

/// Which feeds.
#[derive(Debug, clap::Args)]
struct Wiki {
    #[command(flatten)]
    settings: Settings,
    /// The wiki's domain
    #[arg(long, value_name = "DOMAIN", default_value = "en.wikipedia.org")]
    domain: String,
    /// The day, YYYY-MM-DD; today when absent
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
    /// Check a recording and contact nobody
    #[arg(long, value_name = "DIR")]
    replay: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, stop: Stop) -> Result<Exit, Failure> {
    match args.command {
        Command::Serve {
            settings,
            replay,
            insecure,
        } => {
            let mut config = enabled(&settings, replay, None)?;
            config.log.kind = levada_server::config::LogKind::Memory;
            let options = StartOptions {
                insecure,
                feeds_only: true,
                ..StartOptions::default()
            };
            let running = levada_server::start(config, options)
                .await
                .map_err(boot_failure)?;
            println!("Levada serves feeds on http://{}/feeds", running.address);
            stop.asked().await;
            running.stop().await;
            Ok(Exit::Ok)
        }
        Command::Check(wiki) => check(wiki, None).await,
        Command::Record { dir, wiki } => check(wiki, Some(dir)).await,
    }
}

async fn check(wiki: Wiki, record: Option<PathBuf>) -> Result<Exit, Failure> {
    let config = enabled(&wiki.settings, wiki.replay, record)?;
    let feeds = levada_server::feeds::build_apart(&config, wiki.date.as_deref()).map_err(boot_failure)?;
    let Some(feeds) = feeds else {
        return Err(Failure::new(Exit::Config, "the feeds are switched off"));
    };
    let report = feeds
        .check(&wiki.domain, wiki.date.as_deref())
        .await
        .map_err(|error| Failure::usage(error.to_string()))?;
    println!("{report}");
    Ok(if report.is_ok() { Exit::Ok } else { Exit::Faults })
}

/// The configuration with the feeds switched on.
fn enabled(settings: &Settings, replay: Option<PathBuf>, record: Option<PathBuf>) -> Result<Config, Failure> {
    let mut config = settings.load()?.config;
    config.feeds.insert("enabled".into(), true.into());
    for (key, dir) in [("replay", replay), ("record", record)] {
        if let Some(dir) = dir {
            config.feeds.insert(key.into(), dir.display().to_string().into());
        }
    }
    Ok(config)
}

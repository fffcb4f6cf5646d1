//! `levada serve`: runs a server until a signal ends it.

use std::path::PathBuf;

use levada_server::config::{Config, Loaded};
use levada_server::{BootError, StartOptions};

use crate::exit::{Exit, Failure};
use crate::signal::Stop;

/// Run a server
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// Listen beyond loopback without authentication
    #[arg(long)]
    insecure: bool,
}

/// Where the configuration is from.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Settings {
    /// Configuration file
    #[arg(long, env = "LEVADA_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Folder that holds everything the server keeps
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<String>,
    /// Set any key of the configuration, such as --set intake.deadline=5s
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

impl Settings {
    /// Reads all layers of the configuration.
    pub(crate) fn load(&self) -> Result<Loaded, Failure> {
        let mut flags: Vec<(String, String)> = Vec::new();
        for setting in &self.set {
            let (key, value) = setting
                .split_once('=')
                .ok_or_else(|| Failure::usage(format!("--set wants KEY=VALUE, not {setting:?}")))?;
            flags.push((key.trim().into(), value.trim().into()));
        }
        flags.extend(
            self.listen
                .iter()
                .map(|listen| ("listen".to_owned(), listen.clone())),
        );
        flags.extend(self.data.iter().map(|data| ("data".to_owned(), data.clone())));
        Config::load(self.config.as_deref(), std::env::vars(), &flags)
            .map_err(|error| Failure::new(Exit::Config, error.to_string()))
    }
}

/// Serves until a signal comes, then ends in order.
pub(crate) async fn run(args: Args, stop: Stop) -> Result<Exit, Failure> {
    let config = args.settings.load()?.config;
    let options = StartOptions {
        insecure: args.insecure,
        ..StartOptions::default()
    };
    let running = levada_server::start(config, options)
        .await
        .map_err(boot_failure)?;
    println!("Levada serves on http://{}/", running.address);
    stop.asked().await;
    running.stop().await;
    Ok(Exit::Ok)
}

/// The exit code of a server that does not start.
pub(crate) fn boot_failure(error: BootError) -> Failure {
    let exit = match error {
        BootError::Exposed(_)
        | BootError::DemoLogin
        | BootError::Catalog(_)
        | BootError::Feeds(_)
        | BootError::Setting(_) => Exit::Config,
        BootError::Listen(..) | BootError::Log(_) | BootError::Accounts(_) => Exit::Io,
        BootError::Outbound(_) | BootError::Metrics(_) => Exit::Unavailable,
    };
    Failure::new(exit, error.to_string())
}

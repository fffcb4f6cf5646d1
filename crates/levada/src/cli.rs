//! The command line as a whole. The arguments of each command stand beside the command.

use clap::{Args, Parser, Subcommand};
use levada_client::Server;

use crate::exit::Failure;

/// An event platform in one binary.
#[derive(Debug, Parser)]
#[command(name = "levada", version, about, after_help = crate::exit::HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a server with demo streams on this machine, to try things out
    Dev(crate::dev::Args),
    /// Run a server
    Serve(crate::serve::Args),
    /// Serve, check and record the Explore feeds
    Feeds(crate::feeds::Args),
    /// Check and print the configuration
    Config(crate::config::Args),
    /// Publish events from a file or standard input
    Produce(crate::produce::Args),
    /// Follow streams and print their events
    Tail(crate::tail::Args),
    /// List, show and check declared streams
    Streams(crate::streams::Args),
    /// Make and change users, groups and API keys
    User(crate::user::Args),
    /// Print shell completions
    Completions(crate::completions::Args),
}

/// Which server to talk to.
#[derive(Debug, Clone, Args)]
pub(crate) struct Remote {
    /// Address of the server
    #[arg(
        long,
        env = "LEVADA_URL",
        default_value = "http://127.0.0.1:8192",
        value_name = "URL"
    )]
    pub(crate) url: String,
    /// Access token or API key
    #[arg(long, env = "LEVADA_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
}

impl Remote {
    /// The server.
    pub(crate) fn server(&self) -> Result<Server, Failure> {
        Server::new(&self.url, self.token.as_deref()).map_err(|error| Failure::usage(error.to_string()))
    }
}

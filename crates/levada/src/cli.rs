//! The command line as a whole. The arguments of each command stand beside the command.

use std::io::Read;
use std::path::{Path, PathBuf};

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
    /// Compare declared streams with the topics of a Kafka cluster, and create topics
    Topics(crate::topics::Args),
    /// Post a canary event to every stream, to see that its pipe is open
    Canary(crate::canary::Args),
    /// Make and change users, groups and API keys
    User(crate::user::Args),
    /// Check, inspect and export a data folder while no server runs on it
    Log(crate::log::Args),
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
    /// API key
    #[arg(long, env = "LEVADA_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) api_key: Option<String>,
    /// File with an access token or API key
    #[arg(long, env = "LEVADA_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// User to log in as; the password is in LEVADA_PASSWORD or in a file
    #[arg(long, env = "LEVADA_USERNAME", value_name = "NAME")]
    pub(crate) username: Option<String>,
    /// File with the password
    #[arg(long, env = "LEVADA_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

/// Largest file with a secret that is read.
const SECRET_BYTES_MAX: u64 = 16 * 1024;

impl Remote {
    /// The server.
    pub(crate) fn server(&self) -> Result<Server, Failure> {
        self.server_at(&self.url)
    }

    /// The server at another address, with the same credentials.
    pub(crate) fn server_at(&self, url: &str) -> Result<Server, Failure> {
        let from_file = self.token_file.as_deref().map(secret).transpose()?;
        let given = [&self.token, &self.api_key, &from_file, &self.username];
        if given.iter().filter(|given| given.is_some()).count() > 1 {
            return Err(Failure::usage(
                "give one of --token, --api-key, --token-file and --username (or the LEVADA_ variable of one)",
            ));
        }
        let token = self
            .token
            .as_ref()
            .or(self.api_key.as_ref())
            .or(from_file.as_ref());
        let server =
            Server::new(url, token.map(String::as_str)).map_err(|error| Failure::usage(error.to_string()))?;
        let Some(username) = &self.username else {
            return Ok(server);
        };
        let password = match &self.password_file {
            Some(path) => secret(path)?,
            None => std::env::var("LEVADA_PASSWORD").map_err(|_| {
                Failure::usage("--username needs a password: set LEVADA_PASSWORD or give --password-file")
            })?,
        };
        Ok(server.with_login(username, &password))
    }
}

/// The secret in a file: its first line.
fn secret(path: &Path) -> Result<String, Failure> {
    let read = || {
        let mut text = String::new();
        std::fs::File::open(path)?
            .take(SECRET_BYTES_MAX)
            .read_to_string(&mut text)?;
        Ok(text)
    };
    let text: String = read().map_err(|error: std::io::Error| Failure::io(path.display(), &error))?;
    match text.lines().next().map(str::trim) {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(Failure::usage(format!("{} is empty", path.display()))),
    }
}

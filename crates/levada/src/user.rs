//! `levada user`: makes and changes users, groups and keys, on the account store itself.
//!
//! Secrets are made here and printed once, or read from standard input; they are never arguments,
//! which other users of the machine could see, and never logged.

mod groups;
mod keys;
mod secret;

use std::path::PathBuf;

use levada_accounts::{Admin, AdminError, NewUser, PasswordCost, Rotation, UserInfo, open_store};

use crate::exit::{Exit, Failure};
use crate::serve::Settings;

/// Arguments of `levada user`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    /// Configuration file of the server
    #[arg(long, env = "LEVADA_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Folder that holds everything the server keeps
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<String>,
    /// Set any key of the configuration, such as --set auth.database=postgres://…
    #[arg(long = "set", value_name = "KEY=VALUE", global = true)]
    set: Vec<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List all users
    List,
    /// Make a user; prints the password that was made
    Add {
        /// Name; kept in lower case
        name: String,
        /// Group the user is in; may be repeated
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// Where the user reads mail
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
        #[command(flatten)]
        password: Password,
    },
    /// Set another password and end all sessions; prints the password that was made
    Passwd {
        /// The user
        name: String,
        #[command(flatten)]
        password: Password,
    },
    /// Groups: who is in them and what they allow
    Groups {
        #[command(subcommand)]
        command: groups::Command,
    },
    /// API keys of machines and users
    Keys {
        #[command(subcommand)]
        command: keys::Command,
    },
    /// Refuse the user's logins, tokens and keys from now on
    Disable {
        /// The user
        name: String,
    },
    /// Let a disabled user in again
    Enable {
        /// The user
        name: String,
    },
    /// End all sessions of a user: every token dies
    EndSessions {
        /// The user
        name: String,
    },
    /// Make a code with which the user can set a password (/v1/forgot-password-confirm)
    ResetCode {
        /// The user
        name: String,
    },
    /// Remove a user with sessions and keys
    Remove {
        /// The user
        name: String,
    },
    /// Replace the key that signs tokens
    RotateSigningKey {
        /// Drop the old keys now: every access token dies, refresh tokens fetch new ones
        #[arg(long)]
        at_once: bool,
    },
}

/// Where a password is from.
#[derive(Debug, clap::Args)]
struct Password {
    /// Read the password from standard input (asked for when that is a terminal)
    #[arg(long)]
    password_stdin: bool,
    /// The next login must set another one
    #[arg(long)]
    must_change: bool,
}

/// Does one thing and ends.
pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let settings = Settings {
        config: args.config,
        listen: None,
        data: args.data,
        set: args.set,
    };
    let config = settings.load()?.config;
    let store = open_store(config.auth.database.as_ref(), &config.data)
        .await
        .map_err(|error| Failure::new(Exit::Io, format!("accounts: {error}")))?;
    let admin = Admin::new(store, levada_accounts::Clock::system(), PasswordCost::default());
    admin.prepare().await.map_err(AdminError::from).map_err(failure)?;
    run_on(&admin, args.command).await
}

async fn run_on(admin: &Admin, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::List => list(admin).await?,
        Command::Add {
            name,
            groups,
            email,
            password,
        } => {
            let new = NewUser {
                name,
                email,
                groups,
                password: password.read()?,
                must_change: password.must_change,
            };
            secret::show("password", admin.add_user(new).await.map_err(failure)?);
        }
        Command::Passwd { name, password } => {
            let made = admin
                .set_password(&name, password.read()?, password.must_change)
                .await;
            secret::show("password", made.map_err(failure)?);
        }
        Command::Groups { command } => groups::run(admin, command).await?,
        Command::Keys { command } => keys::run(admin, command).await?,
        Command::Disable { name } => admin.set_disabled(&name, true).await.map_err(failure)?,
        Command::Enable { name } => admin.set_disabled(&name, false).await.map_err(failure)?,
        Command::EndSessions { name } => admin.end_sessions(&name).await.map_err(failure)?,
        Command::ResetCode { name } => {
            secret::show("code", Some(admin.reset_code(&name).await.map_err(failure)?));
        }
        Command::Remove { name } => admin.remove_user(&name).await.map_err(failure)?,
        Command::RotateSigningKey { at_once } => {
            let rotation = if at_once {
                Rotation::AtOnce
            } else {
                Rotation::Overlap
            };
            let kid = admin.rotate_signing_key(rotation).await.map_err(failure)?;
            println!("signing key: {kid}");
        }
    }
    Ok(Exit::Ok)
}

impl Password {
    fn read(&self) -> Result<Option<levada_accounts::Secret>, Failure> {
        self.password_stdin.then(|| secret::read("password")).transpose()
    }
}

async fn list(admin: &Admin) -> Result<(), Failure> {
    let mut after: Option<String> = None;
    loop {
        let users = admin.users(after.as_deref()).await.map_err(failure)?;
        for user in &users {
            println!("{}", line(user));
        }
        match users.last() {
            Some(last) => after = Some(last.name.clone()),
            None => return Ok(()),
        }
    }
}

fn line(user: &UserInfo) -> String {
    let mut line = format!(
        "{}\t{}\tsince {}",
        user.name,
        user.groups.join(","),
        user.created_at
    );
    for (is, word) in [
        (user.disabled, "disabled"),
        (user.must_change, "must change the password"),
    ] {
        if is {
            line.push('\t');
            line.push_str(word);
        }
    }
    line
}

/// A wish that is not done, with the exit code for it.
fn failure(error: AdminError) -> Failure {
    let exit = match &error {
        AdminError::Exists(_) | AdminError::Unknown(_) => Exit::Refused,
        AdminError::Invalid(_) => Exit::Usage,
        _ => Exit::Io,
    };
    Failure::new(exit, error.to_string())
}

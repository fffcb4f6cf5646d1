//! `levada user keys`: API keys of machines and users.

use std::time::{Duration, SystemTime};

use levada_accounts::{Admin, KeyInfo, NewApiKey, Scope};
use levada_event::Timestamp;

use super::{failure, secret};
use crate::exit::Failure;
use crate::units;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List keys; the secret part is never shown again
    List {
        /// Only keys of this user
        #[arg(long, value_name = "USER")]
        user: Option<String>,
    },
    /// Make a key; prints it once
    Add {
        /// What it is for
        name: String,
        /// What it may do, such as 'stream:recentchange:write'; may be repeated
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<Scope>,
        /// The user whose rights bound it
        #[arg(long, value_name = "USER")]
        user: Option<String>,
        /// When it ends, from now, such as 90d; without it, never
        #[arg(long, value_name = "DURATION", value_parser = units::duration)]
        expires: Option<Duration>,
    },
    /// Make a key in the place of another; prints it once
    Rotate {
        /// Id of the old key, as listed
        id: String,
        /// How long the old one stays good
        #[arg(long, value_name = "DURATION", value_parser = units::duration, default_value = "1h")]
        overlap: Duration,
    },
    /// Remove a key
    Remove {
        /// Its id, as listed
        id: String,
    },
}

pub(super) async fn run(admin: &Admin, command: Command) -> Result<(), Failure> {
    match command {
        Command::List { user } => list(admin, user.as_deref()).await?,
        Command::Add {
            name,
            scopes,
            user,
            expires,
        } => {
            let expires_at = expires.map(|after| Timestamp::from_system(SystemTime::now() + after));
            let new = NewApiKey {
                name,
                user,
                scopes,
                expires_at,
            };
            let (id, key) = admin.add_key(new).await.map_err(failure)?;
            println!("id: {id}");
            secret::show("key", Some(key));
        }
        Command::Rotate { id, overlap } => {
            let (id, key) = admin.rotate_key(&id, overlap).await.map_err(failure)?;
            println!("id: {id}");
            secret::show("key", Some(key));
        }
        Command::Remove { id } => admin.remove_key(&id).await.map_err(failure)?,
    }
    Ok(())
}

async fn list(admin: &Admin, user: Option<&str>) -> Result<(), Failure> {
    let mut after: Option<String> = None;
    loop {
        let keys = admin.keys(user, after.as_deref()).await.map_err(failure)?;
        for key in &keys {
            println!("{}", line(key));
        }
        match keys.last() {
            Some(last) => after = Some(last.id.clone()),
            None => return Ok(()),
        }
    }
}

fn line(key: &KeyInfo) -> String {
    let scopes: Vec<String> = key.scopes.iter().map(Scope::to_string).collect();
    let mut line = format!(
        "{}\t{}\t{}\tsince {}",
        key.id,
        key.name,
        scopes.join(" "),
        key.created_at
    );
    let notes = [
        ("user", key.user.clone()),
        ("ends", key.expires_at.map(|at| at.to_string())),
        ("used", key.last_used_at.map(|at| at.to_string())),
        ("replaced by", key.replaced_by.clone()),
    ];
    for (what, value) in notes {
        if let Some(value) = value {
            line.push_str(&format!("\t{what} {value}"));
        }
    }
    line
}

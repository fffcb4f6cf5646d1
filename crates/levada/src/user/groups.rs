//! `levada user groups`: who is in them and what they allow.

use levada_accounts::{Admin, Scope};

use super::failure;
use crate::exit::Failure;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List all groups with their scopes
    List,
    /// Put a user into groups, take the user out of others
    Of {
        /// The user
        user: String,
        /// Group to put the user into; may be repeated
        #[arg(long = "join", value_name = "GROUP")]
        join: Vec<String>,
        /// Group to take the user out of; may be repeated
        #[arg(long = "leave", value_name = "GROUP")]
        leave: Vec<String>,
    },
    /// Make a group
    Add {
        /// Name
        name: String,
        /// What it is for
        #[arg(long, default_value = "", value_name = "TEXT")]
        description: String,
        /// What members may do, such as 'stream:*:read'; may be repeated
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<Scope>,
    },
    /// Give a group scopes and take others away
    Change {
        /// The group
        name: String,
        /// Scope to give; may be repeated
        #[arg(long = "allow", value_name = "SCOPE")]
        allow: Vec<Scope>,
        /// Scope to take away; may be repeated
        #[arg(long = "deny", value_name = "SCOPE")]
        deny: Vec<Scope>,
    },
    /// Remove a group
    Remove {
        /// The group
        name: String,
    },
}

pub(super) async fn run(admin: &Admin, command: Command) -> Result<(), Failure> {
    match command {
        Command::List => {
            for group in admin.groups().await.map_err(failure)? {
                println!("{}\t{}", group.name, group.description);
                for scope in group.scopes {
                    println!("\t{scope}");
                }
            }
        }
        Command::Of { user, join, leave } => {
            if !join.is_empty() || !leave.is_empty() {
                admin.change_groups(&user, &join, &leave).await.map_err(failure)?;
            }
            println!("{}", admin.user(&user).await.map_err(failure)?.groups.join("\n"));
        }
        Command::Add {
            name,
            description,
            scopes,
        } => admin
            .add_group(&name, &description, scopes)
            .await
            .map_err(failure)?,
        Command::Change { name, allow, deny } => {
            admin.change_group(&name, &allow, &deny).await.map_err(failure)?;
        }
        Command::Remove { name } => admin.remove_group(&name).await.map_err(failure)?,
    }
    Ok(())
}

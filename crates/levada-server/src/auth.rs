//! The accounts of a server: opened from the configuration, kept in order, counted.
//!
//! Who may do what is decided by `levada-accounts`; where it is asked stands in `http::access`.

use std::sync::Arc;
use std::time::Duration;

use levada_accounts::{Accounts, AdminError, NewUser, Notifier, Outbox, Secret, Settings, open_store};

use crate::config::{AuthMode, Config};
use crate::metrics::Sample;
use crate::shutdown::Shutdown;

/// The login that `levada dev` makes and prints. It opens a server on this machine that answers everyone
/// anyway; no other server starts with it.
pub const DEMO_USER: &str = "demo";
/// Its password, which everybody knows.
pub const DEMO_PASSWORD: &str = "levada-demo";

/// Time between two rounds of maintenance.
const MAINTENANCE: Duration = Duration::from_secs(60);

/// The accounts, and whether credentials are needed. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Auth {
    pub(crate) accounts: Accounts,
    pub(crate) required: bool,
}

impl Auth {
    /// Opens the accounts that the configuration asks for; `None` when it asks for none. The first
    /// start makes a signing key, which takes up to some seconds.
    ///
    /// # Errors
    /// The store's trouble, or a setting that makes no sense, in words.
    pub(crate) async fn open(config: &Config) -> Result<Option<Self>, String> {
        let auth = &config.auth;
        if auth.mode == AuthMode::Off {
            return Ok(None);
        }
        let store = open_store(auth.database.as_ref(), &config.data)
            .await
            .map_err(|error| error.to_string())?;
        let outbox = auth.outbox.as_os_str();
        let notifier = (!outbox.is_empty()).then(|| Arc::new(Outbox::new(&auth.outbox)) as Arc<dyn Notifier>);
        let settings = Settings {
            issuer: auth.issuer.clone(),
            client_id: auth.client_id.clone(),
            signing_key_lifetime: auth.signing_key_lifetime,
            addresses: auth.ip_allow_list.clone(),
            notifier,
            ..Settings::default()
        };
        let accounts = Accounts::open(store, settings)
            .await
            .map_err(|error| error.to_string())?;
        Ok(Some(Self {
            accounts,
            required: auth.mode == AuthMode::Required,
        }))
    }

    /// Makes users, unless someone has made them already.
    ///
    /// # Errors
    /// Which user could not be made, and why, in words.
    pub(crate) async fn add_users(&self, users: Vec<NewUser>) -> Result<(), String> {
        for user in users {
            let name = user.name.clone();
            match self.accounts.admin().add_user(user).await {
                Ok(_) | Err(AdminError::Exists(_)) => {}
                Err(error) => return Err(format!("the user {name}: {error}")),
            }
        }
        Ok(())
    }

    /// Whether the demo user may log in with its well-known password.
    ///
    /// # Errors
    /// The store's trouble, in words.
    pub(crate) async fn has_demo_login(&self) -> Result<bool, String> {
        let password = Secret::new(DEMO_PASSWORD);
        match self.accounts.admin().has_password(DEMO_USER, &password).await {
            Ok(has) => Ok(has),
            Err(AdminError::Unknown(_)) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Puts the accounts in order every minute until the shutdown; the last round is for
    /// [`Running::stop`](crate::Running::stop).
    pub(crate) fn spawn_maintenance(&self, shutdown: Shutdown) {
        let accounts = self.accounts.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(MAINTENANCE) => {}
                    () = shutdown.begun() => return,
                }
                if let Err(error) = accounts.maintain().await {
                    tracing::warn!(%error, "the accounts could not be put in order; it is tried again");
                }
            }
        });
    }

    /// What happened so far, for the metrics.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        let stats = self.accounts.stats();
        let sample = |(name, value): (&str, u64)| Sample {
            name: format!("levada_accounts_{name}_total").into(),
            labels: String::new(),
            counter: true,
            value: value as f64,
        };
        stats.each().map(sample).collect()
    }
}

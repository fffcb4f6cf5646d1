//! The accounts of one process: a cheap handle that everything else hangs on.
//!
//! It trusts its [`Store`] and its clock. It promises that a credential is let in only while the
//! store, no older than [`SHARED_FRESHNESS`] (and exactly, when no other process writes to it), says
//! that it is good; when the store cannot be asked, nobody is let in on old knowledge.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use levada_event::Timestamp;
use parking_lot::{Mutex, RwLock};

use self::counters::Counters;
use self::snapshot::Snapshot;
use crate::addresses::AddressList;
use crate::admin::{self, Admin};
use crate::cache::CredentialCache;
use crate::clock::{Clock, millis};
use crate::error::AccountsError;
use crate::guard::Guard;
use crate::limits::{SHARED_FRESHNESS, SIGNING_KEY_LEAD, SIGNING_KEY_LIFETIME};
use crate::model::Keyring;
use crate::notify::Notifier;
use crate::password::{PasswordCost, Passwords};
use crate::principal::Principal;
use crate::records::{Records, create, replace};
use crate::secret::Secret;
use crate::store::embedded::EmbeddedStore;
use crate::store::postgres::PostgresStore;
use crate::store::{Store, StoreError, StoreFacts};
use crate::token::Pinned;
use crate::token::keyset::{KeyMaker, NewKey};

mod authenticate;
pub(crate) mod counters;
mod maintain;
pub(crate) mod sessions;
mod snapshot;
mod watch;

pub(crate) use self::authenticate::KEY_PREFIX;
pub use self::maintain::Maintained;
pub use self::watch::Watch;

/// How accounts behave. [`Settings::default`] is ready for use.
#[derive(Clone)]
pub struct Settings {
    /// `iss` of tokens; tokens of another issuer are refused.
    pub issuer: String,
    /// `client_id` of access tokens and `aud` of id tokens; tokens of another client are refused.
    pub client_id: String,
    /// How long a shared store may go unasked; see [`SHARED_FRESHNESS`], the default. Zero asks for
    /// every request.
    pub shared_freshness: Duration,
    /// Age at which maintenance replaces the signing key; see [`SIGNING_KEY_LIFETIME`], the default.
    pub signing_key_lifetime: Duration,
    /// What a password hash costs.
    pub password_cost: PasswordCost,
    /// Addresses that need no token.
    pub addresses: AddressList,
    /// How codes for forgotten passwords reach people; without one the route says that it is not
    /// available. [`Outbox`](crate::Outbox) needs no mail service.
    pub notifier: Option<Arc<dyn Notifier>>,
    /// The clock.
    pub clock: Clock,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            issuer: "levada".to_owned(),
            client_id: "levada".to_owned(),
            shared_freshness: SHARED_FRESHNESS,
            signing_key_lifetime: SIGNING_KEY_LIFETIME,
            password_cost: PasswordCost::default(),
            addresses: AddressList::default(),
            notifier: None,
            clock: Clock::system(),
        }
    }
}

/// The accounts of one process. Clones share everything.
#[derive(Clone)]
pub struct Accounts {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) records: Records,
    pub(crate) settings: Settings,
    pub(crate) pinned: Pinned,
    pub(crate) passwords: Passwords,
    pub(crate) guard: Guard,
    pub(crate) counters: Counters,
    cache: CredentialCache,
    by_address: Vec<Mutex<Option<Remembered>>>,
    snapshot: RwLock<Option<Arc<Snapshot>>>,
    loading: tokio::sync::Mutex<()>,
    looked_at: AtomicI64,
    looking: tokio::sync::Mutex<Option<(Timestamp, StoreError)>>,
    key_uses: Mutex<HashMap<String, Timestamp>>,
    make_key: KeyMaker,
}

/// A principal, and the generation in which it was one.
type Remembered = (u64, Arc<Principal>);

/// Opens the store that a configuration names: PostgreSQL when `database` is given, else the file in
/// `directory`.
///
/// # Errors
/// See [`EmbeddedStore::open`] and [`PostgresStore::open`].
pub async fn open_store(database: Option<&Secret>, directory: &Path) -> Result<Arc<dyn Store>, StoreError> {
    if let Some(url) = database {
        return Ok(Arc::new(PostgresStore::open(url).await?));
    }
    let directory = directory.to_owned();
    let open = move || {
        // `levada user` may come before the first server does.
        std::fs::create_dir_all(&directory)
            .map_err(|e| StoreError::Unavailable(format!("{}: {e}", directory.display())))?;
        EmbeddedStore::open(&directory)
    };
    let store = tokio::task::spawn_blocking(open)
        .await
        .map_err(|e| StoreError::Unavailable(e.to_string()))??;
    Ok(Arc::new(store))
}

impl Accounts {
    /// Starts accounts over `store`: makes the first signing key and the groups of a new store. The
    /// first start takes up to some seconds for the key.
    ///
    /// # Errors
    /// [`AccountsError`]: the store's trouble, a signing key that cannot be made or read, or a
    /// setting that makes no sense.
    pub async fn open(store: Arc<dyn Store>, settings: Settings) -> Result<Self, AccountsError> {
        Self::open_with(store, settings, Arc::new(NewKey::make)).await
    }

    pub(crate) async fn open_with(
        store: Arc<dyn Store>,
        settings: Settings,
        make_key: KeyMaker,
    ) -> Result<Self, AccountsError> {
        for (name, text) in [("issuer", &settings.issuer), ("client id", &settings.client_id)] {
            if text.is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
                return Err(AccountsError::Setting(format!(
                    "the {name} must be 1 to 255 printable characters"
                )));
            }
        }
        let by_address = (0..settings.addresses.len()).map(|_| Mutex::default()).collect();
        let accounts = Self {
            inner: Arc::new(Inner {
                records: Records(store),
                pinned: Pinned {
                    issuer: settings.issuer.clone(),
                    client_id: settings.client_id.clone(),
                },
                passwords: Passwords::new(settings.password_cost),
                guard: Guard::default(),
                counters: Counters::default(),
                cache: CredentialCache::new(),
                by_address,
                snapshot: RwLock::default(),
                loading: tokio::sync::Mutex::default(),
                looked_at: AtomicI64::new(i64::MIN),
                looking: tokio::sync::Mutex::default(),
                key_uses: Mutex::default(),
                make_key,
                settings,
            }),
        };
        admin::groups::seed(&accounts.inner.records, accounts.now()).await?;
        accounts.first_key().await?;
        Ok(accounts)
    }

    /// What kind of store this is.
    pub fn store(&self) -> StoreFacts {
        self.inner.records.0.facts()
    }

    /// The functions of an administrator, over the same store and clock.
    pub fn admin(&self) -> Admin {
        Admin::new(
            Arc::clone(&self.inner.records.0),
            self.inner.settings.clock.clone(),
            self.inner.settings.password_cost,
        )
        .with_key_maker(Arc::clone(&self.inner.make_key))
    }

    /// The public halves of the signing keys as a JSON Web Key Set, for others who want to check
    /// our tokens. Levada itself never reads one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn public_keys(&self) -> Result<serde_json::Value, StoreError> {
        let generation = self.generation().await?;
        Ok(self.snapshot(generation).await?.keys.public())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.settings.clock.now()
    }

    /// Makes the first signing key; when another process is faster, its key stays.
    async fn first_key(&self) -> Result<(), AccountsError> {
        let there = self.inner.records.get::<Keyring>(Keyring::ID).await?;
        if there.as_ref().is_some_and(|ring| !ring.value.keys.is_empty()) {
            return Ok(());
        }
        let make = Arc::clone(&self.inner.make_key);
        let key = tokio::task::spawn_blocking(move || make())
            .await
            .map_err(|e| AccountsError::SigningKey(e.to_string()))??;
        let mut ring = Keyring::default();
        ring.rotate(key, self.now(), SIGNING_KEY_LEAD)?;
        let change = match there {
            Some(empty) => replace(empty.version, &ring)?,
            None => create(&ring)?,
        };
        match self.inner.records.write(&[change]).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The store's generation, no older than the settings allow.
    pub(crate) async fn generation(&self) -> Result<u64, StoreError> {
        let store = &self.inner.records.0;
        if store.facts().shared && !self.looked_lately(self.now()) {
            // One asks for all. Those who waited while the answer was an error share the error.
            let mut failed = self.inner.looking.lock().await;
            let now = self.now();
            if !self.looked_lately(now) {
                if let Some((at, error)) = &*failed
                    && (0..millis(SHARED_FRESHNESS)).contains(&now.as_millis().saturating_sub(at.as_millis()))
                {
                    return Err(error.clone());
                }
                match store.look_again().await {
                    Ok(()) => {
                        *failed = None;
                        self.inner.looked_at.store(now.as_millis(), Ordering::Release);
                    }
                    Err(error) => {
                        *failed = Some((self.now(), error.clone()));
                        return Err(error);
                    }
                }
            }
        }
        Ok(store.generation())
    }

    fn looked_lately(&self, now: Timestamp) -> bool {
        let since = now
            .as_millis()
            .saturating_sub(self.inner.looked_at.load(Ordering::Acquire));
        (0..millis(self.inner.settings.shared_freshness)).contains(&since)
    }
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Accounts({:?})", self.store())
    }
}

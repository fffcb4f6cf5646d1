//! A few connections to PostgreSQL that are used in turn.
//!
//! A connection is taken for one operation and put back at its end. One that is not put back,
//! because its operation failed or was cut off in the middle, is closed: nothing half done is ever
//! handed to the next.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};

use super::refused;
use crate::limits::{POSTGRES_CONNECTIONS_MAX, POSTGRES_TIMEOUT};
use crate::secret::Secret;
use crate::store::StoreError;

/// Connections to one database, at most [`POSTGRES_CONNECTIONS_MAX`].
pub(super) struct Pool {
    config: Config,
    idle: Mutex<Vec<Client>>,
    places: Arc<Semaphore>,
}

/// A connection, and its place in the pool.
pub(super) struct Lent {
    client: Client,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    /// A pool that has not connected yet.
    pub(super) fn new(url: &Secret) -> Result<Self, StoreError> {
        // The parser's own error may repeat parts of the URL.
        let mut config: Config = url.expose().parse().map_err(|_| {
            StoreError::Unavailable(
                "the database is not of the form postgres://user:password@host/database".into(),
            )
        })?;
        if !matches!(config.get_ssl_mode(), SslMode::Disable | SslMode::Prefer) {
            return Err(StoreError::Unavailable(
                "connections to PostgreSQL cannot be encrypted yet: remove sslmode from the URL and use a \
                 private network, a socket or a tunnel"
                    .into(),
            ));
        }
        config.connect_timeout(POSTGRES_TIMEOUT);
        if config.get_application_name().is_none() {
            config.application_name("levada");
        }
        Ok(Self {
            config,
            idle: Mutex::new(Vec::new()),
            places: Arc::new(Semaphore::new(POSTGRES_CONNECTIONS_MAX)),
        })
    }

    /// A connection for one operation; waits while all are in use.
    pub(super) async fn take(&self) -> Result<Lent, StoreError> {
        let place = Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Unavailable("closed".to_owned()))?;
        loop {
            let Some(client) = self.idle.lock().pop() else {
                break;
            };
            if !client.is_closed() {
                return Ok(Lent {
                    client,
                    _place: place,
                });
            }
        }
        let (client, connection) = self.config.connect(NoTls).await.map_err(refused)?;
        // Ends when the client is dropped, or when the connection breaks.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(%error, "a connection to the account database broke");
            }
        });
        Ok(Lent {
            client,
            _place: place,
        })
    }

    /// Gives a connection back whose operation came to its end.
    pub(super) fn put(&self, lent: Lent) {
        if !lent.client.is_closed() {
            self.idle.lock().push(lent.client);
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.config.get_hosts(), self.config.get_dbname())
    }
}

impl Deref for Lent {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

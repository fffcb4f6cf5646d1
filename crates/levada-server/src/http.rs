//! HTTP: one listener, one router written out, one translation of errors to responses.
//!
//! hyper serves the connections; routes are matched by hand because the originals match paths
//! leniently (letter case, doubled and trailing slashes). This module is the only one that knows
//! hyper. It calls `intake` and `delivery` and holds no state of its own beyond connection counts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use hyper_util::server::graceful::GracefulShutdown;
use levada_catalog::{Catalog, Compat as CatalogCompat, SchemaRepository};
use levada_event::Timestamp;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use levada_accounts::Principal;

use crate::auth::Auth;
use crate::config::Config;
use crate::delivery::Delivery;
use crate::intake::Intake;
use crate::shutdown::Shutdown;

mod access;
mod accounts;
mod body;
mod clients;
mod configs;
mod connection;
mod events;
mod feeds;
mod headers;
mod in_flight;
mod info;
mod realtime;
mod received;
mod respond;
mod route;
mod spec;
mod stream;

use connection::Protocols;
use in_flight::InFlight;
pub use info::{Hinders, Unready};
use received::RequestBody;
pub use respond::Body;
use route::Route;

/// What the routes work with.
pub struct App {
    /// The configuration in force.
    pub config: Config,
    /// Which streams exist.
    pub catalog: Arc<Catalog>,
    /// What their events look like.
    pub schemas: Arc<SchemaRepository>,
    /// Quirks of the stream configuration API.
    pub catalog_compat: CatalogCompat,
    /// Events in.
    pub intake: Arc<Intake>,
    /// Events out.
    pub delivery: Arc<Delivery>,
    /// The Explore feeds, where they are switched on.
    pub feeds: Option<levada_feeds::Feeds>,
    /// Whether every path is the feeds' own but those that tell how the server does.
    feeds_only: bool,
    /// Renders the metrics.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Names what is not ready; empty when the server can serve. May block on files.
    pub unready: Arc<dyn Fn() -> Vec<Unready> + Send + Sync>,
    pub(crate) auth: Option<Auth>,
    pub(crate) clients: clients::Clients,
    /// Open Realtime connections per account.
    pub(crate) per_account: clients::Clients,
    pub(crate) in_flight: InFlight,
    pub(crate) spec: spec::SpecCache,
    fixed: headers::Fixed,
    pub(crate) shutdown: Shutdown,
}

/// Longest path that stays the server's own beside feeds that have all others: `/readyz/streams/`.
const LONGEST_OWN_PATH: usize = 16;

/// A request with what the connection knows.
pub(crate) struct Call {
    pub(crate) request: Request<RequestBody>,
    pub(crate) peer: SocketAddr,
    pub(crate) received: Timestamp,
    /// Who asks, where the server wants to know and the route is not open to all.
    pub(crate) principal: Option<Arc<Principal>>,
}

impl App {
    /// An application over its parts.
    pub fn new(parts: AppParts, shutdown: Shutdown) -> Self {
        let AppParts {
            config,
            catalog,
            schemas,
            catalog_compat,
            intake,
            delivery,
            feeds,
            metrics,
            unready,
            auth,
            feeds_only,
        } = parts;
        let in_flight = InFlight::new(config.intake.in_flight_bytes_max);
        let clients = clients::Clients::new(config.streams.connections_per_client);
        let per_account = clients::Clients::new(config.auth.connections_per_account);
        Self {
            fixed: headers::Fixed::new(&config.http, auth.is_some()),
            config,
            catalog,
            schemas,
            catalog_compat,
            intake,
            delivery,
            feeds,
            feeds_only,
            metrics,
            unready,
            auth,
            clients,
            per_account,
            in_flight,
            spec: spec::SpecCache::default(),
            shutdown,
        }
    }

    async fn answer(&self, mut call: Call) -> Response<Body> {
        let method = call.request.method().clone();
        let path = call.request.uri().path();
        if let Some(feeds) = &self.feeds {
            let host = call
                .request
                .headers()
                .get(http::header::HOST)
                .and_then(|h| h.to_str().ok());
            let is_theirs = if self.feeds_only {
                path.len() > LONGEST_OWN_PATH
                    || !matches!(
                        Route::of(path, None),
                        Route::Metrics | Route::Livez | Route::Readyz(_)
                    )
            } else {
                feeds.claims(&method, host, path)
            };
            if is_theirs {
                return feeds::answer(feeds, call).await;
            }
        }
        let route = Route::of(path, call.request.uri().query());
        if self.config.compat.realtime
            && let Route::Realtime(_) = route
            && path.ends_with('/')
        {
            return realtime::without_slash(&method, path, call.request.uri().query());
        }
        if method == Method::OPTIONS && route != Route::NotFound {
            return self.options(&route);
        }
        if let Err(refusal) = self.admit(&route, &mut call).await {
            return App::headless(&method, refusal);
        }
        if route.is_realtime() && !route.takes(&method) {
            return self.realtime_wrong_method(&route);
        }
        if !route.takes(&method) {
            return self.wrong_method(&route, &call);
        }
        match route {
            Route::Events => events::post(self, call).await,
            Route::TestEvents => events::test(self, call).await,
            Route::StreamConfigs(names) => configs::eventgate(self, names.as_deref()),
            Route::Api => configs::api(self, call).await,
            Route::Stream(streams) => stream::get(self, call, &streams).await,
            Route::Realtime(name) => realtime::get(self, call, &name).await,
            Route::Positions(name) => realtime::positions(self, &call, &name).await,
            Route::Info(part) => info::info(self, part.as_deref(), &call),
            Route::Robots => info::robots(self),
            Route::Account => accounts::answer(self, call).await,
            Route::Status => info::status(self),
            Route::Livez => info::livez(self),
            Route::Readyz(of) => info::readyz(self, of).await,
            Route::Metrics => info::metrics(self),
            Route::Spec => spec::spec(self).await,
            Route::Doc => spec::doc(self, &call),
            Route::Rc => info::redirect(self, StatusCode::MOVED_PERMANENTLY, "/?doc"),
            Route::Root => info::redirect(self, StatusCode::SEE_OTHER, "/?doc"),
            Route::NotFound => self.not_found(&call),
        }
    }
}

/// The parts an [`App`] is made of; see its fields.
#[expect(missing_docs, reason = "documented at the fields of App")]
pub struct AppParts {
    pub config: Config,
    pub catalog: Arc<Catalog>,
    pub schemas: Arc<SchemaRepository>,
    pub catalog_compat: CatalogCompat,
    pub intake: Arc<Intake>,
    pub delivery: Arc<Delivery>,
    pub feeds: Option<levada_feeds::Feeds>,
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    pub unready: Arc<dyn Fn() -> Vec<Unready> + Send + Sync>,
    pub(crate) auth: Option<Auth>,
    pub(crate) feeds_only: bool,
}

/// When and how often peers are asked for a sign of life where nothing is under way.
const PROBE_AFTER: Duration = Duration::from_secs(15);
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// Longest time for which sent bytes or probes may stay unacknowledged, or a peer may take nothing. The
/// system's own bound is about a quarter of an hour, for which a client that lost its network would find
/// its places taken by its former self.
const PEER_PATIENCE: Duration = Duration::from_secs(5 * 60);

/// What holds for every connection: answers at once, and no place for peers that are gone.
fn prepare(socket: &TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let socket = SockRef::from(socket);
    let keepalive = TcpKeepalive::new().with_time(PROBE_AFTER);
    socket.set_tcp_keepalive(&keepalive.with_interval(PROBE_EVERY))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(PEER_PATIENCE))?;
    Ok(())
}

/// Serves connections until shutdown begins, then drains them for at most the configured time.
pub async fn serve(app: Arc<App>, listener: TcpListener) {
    let connections = Arc::new(Semaphore::new(app.config.http.connections_max));
    let graceful = GracefulShutdown::new();
    let protocols = Arc::new(Protocols::new(app.config.http.header_timeout));
    loop {
        let (socket, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: wait for connections to end.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = app.shutdown.begun() => break,
        };
        let Ok(place) = connections.clone().try_acquire_owned() else {
            metrics::counter!("levada_http_connections_refused_total").increment(1);
            tokio::spawn(respond::refuse(socket));
            continue;
        };
        if let Err(error) = prepare(&socket) {
            tracing::debug!(%error, "a connection was gone before it began");
            continue;
        }
        let shutdown = app.shutdown.clone();
        let app = app.clone();
        let service = hyper::service::service_fn(move |request| {
            let app = app.clone();
            async move {
                let received = Timestamp::from_system(std::time::SystemTime::now());
                let call = Call {
                    request: RequestBody::of(request),
                    peer,
                    received,
                    principal: None,
                };
                // hyper keeps room for the future as long as the connection lives, also while a
                // response streams for days: the large part of it goes when the answer is there.
                Ok::<_, std::convert::Infallible>(Box::pin(app.answer(call)).await)
            }
        });
        let (protocols, watcher) = (protocols.clone(), graceful.watcher());
        tokio::spawn(async move {
            let stop = shutdown.begun();
            if let Err(error) = protocols.serve(socket, service, watcher, stop).await {
                tracing::debug!(%peer, error, "a connection ended with an error");
            }
            drop(place);
        });
    }
    drop(listener);
    let drained = tokio::time::timeout(app.config.http.drain_timeout, graceful.shutdown()).await;
    if drained.is_err() {
        tracing::warn!("connections were still open after the drain timeout and are cut");
    }
    app.wait_for_background(app.config.http.drain_timeout).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_answer_at_once_and_notice_that_a_peer_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        prepare(&socket).unwrap();
        assert!(socket.nodelay().unwrap());
        let socket = SockRef::from(&socket);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), PROBE_AFTER);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), PROBE_EVERY);
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(PEER_PATIENCE));
    }
}

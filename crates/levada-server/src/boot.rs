//! Boot: builds the parts from the configuration, joins them, runs them, and takes them down in
//! order: not ready, no new connections, sessions end with a cursor, hasty events are stored, the log
//! is synced.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use levada_accounts::NewUser;
use levada_catalog::{Catalog, CatalogConfig, RefreshOutcome, Severity};
use levada_kafka::{KafkaError, KafkaLog};
use levada_log::embedded::{Embedded, EmbeddedOptions, PartitionStats};
use levada_log::memory::{Memory, MemoryOptions};
use levada_log::{Log, Partitioner, Retention};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::auth::Auth;
use crate::canary::{self, Canaries};
use crate::config::{AuthMode, Config, Durability, KeyHash, LogKind, places};
use crate::delivery::{Delivery, Options as DeliveryOptions};
use crate::descriptors;
use crate::feeds;
use crate::http::{App, AppParts, Hinders, Unready, serve};
use crate::intake::{Intake, IntakeOptions};
use crate::metrics::Metrics;
use crate::outbound::Outbound;
use crate::shutdown::Shutdown;
use crate::sources;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The address may be reached by strangers and nothing keeps them out.
    #[error(
        "{0} can be reached from other machines, and nobody is asked for credentials; set auth.mode = \"required\" (`levada user add` makes the first user), listen on 127.0.0.1, or start with --insecure if a proxy or firewall keeps strangers out"
    )]
    Exposed(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}{remedy}", remedy = listen_remedy(.1))]
    Listen(SocketAddr, std::io::Error),
    /// Stream configuration cannot be read at all.
    #[error("stream configuration: {0}")]
    Catalog(String),
    /// A setting of the log that the configuration's own check cannot judge.
    #[error("{0}")]
    Setting(String),
    /// The log cannot be opened.
    #[error("log: {0}")]
    Log(String),
    /// The accounts cannot be opened.
    #[error("accounts: {0}")]
    Accounts(String),
    /// Anyone may log in with a password that is no secret.
    #[error(
        "accounts: the user {user} of `levada dev` is in this store with the password that everybody knows; give it another (`levada user passwd {user}`), disable it (`levada user disable {user}`), or start in a data folder of its own (--data)",
        user = crate::auth::DEMO_USER
    )]
    DemoLogin,
    /// The HTTP client cannot be set up.
    #[error("outgoing HTTP: {0}")]
    Outbound(String),
    /// The feeds cannot be set up.
    #[error("feeds: {0}")]
    Feeds(String),
    /// Metrics cannot be set up.
    #[error("metrics: {0}")]
    Metrics(String),
}

fn listen_remedy(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "; another program (perhaps another Levada) listens there: end it, or give another address with --listen"
        }
        std::io::ErrorKind::PermissionDenied => "; ports below 1024 are for root: give another with --listen",
        std::io::ErrorKind::AddrNotAvailable => "; this machine does not have that address",
        _ => "",
    }
}

/// What a server is started with beyond its configuration.
#[derive(Debug, Clone, Default)]
pub struct StartOptions {
    /// Listen beyond loopback without authentication.
    pub insecure: bool,
    /// Add the demo streams and their schemas.
    pub demo: bool,
    /// Answer for the feeds alone: every path is theirs but those that tell how the server does.
    pub feeds_only: bool,
    /// Users to make before anyone is served, where there are accounts; those that exist stay as they are.
    pub users: Vec<NewUser>,
}

/// A running server.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// The log it keeps events in, for the title line of `levada dev` and for tests.
    pub log: Arc<dyn Log>,
    /// The accounts, where there are any.
    pub accounts: Option<levada_accounts::Accounts>,
    shutdown: Shutdown,
    serving: JoinHandle<()>,
    engine: Engine,
    delivery: Arc<Delivery>,
    drain_timeout: Duration,
}

#[derive(Clone)]
enum Engine {
    Memory(Arc<Memory>),
    Embedded(Arc<Embedded>),
    Kafka(Arc<KafkaLog>),
}

impl Engine {
    fn log(&self) -> Arc<dyn Log> {
        match self {
            Engine::Memory(log) => log.clone(),
            Engine::Embedded(log) => log.clone(),
            Engine::Kafka(log) => log.clone(),
        }
    }
}

impl Engine {
    /// Where the numbers come from that the log and the accounts keep themselves.
    fn stats_source(&self, auth: Option<&Auth>) -> crate::metrics::Source {
        let log = match self {
            Engine::Memory(_) => Box::new(Vec::new),
            Engine::Embedded(log) => crate::metrics::log_source(log.clone()),
            Engine::Kafka(log) => crate::kafka::samples(log.clone()),
        };
        match auth.cloned() {
            None => log,
            Some(auth) => Box::new(move || {
                let mut samples = log();
                samples.extend(auth.samples());
                samples
            }),
        }
    }

    /// What keeps the log from serving, asked for at each look at `/readyz`; may block on files. Where readers
    /// are led past damage (`passes`), a partition that cannot be read keeps none of them out.
    fn unready(&self, passes: bool) -> Arc<dyn Fn() -> Vec<Unready> + Send + Sync> {
        match self {
            // A cluster that does not answer is seen by requests, which get 503 and may be tried
            // again; a process that is taken out of service for it would take all others with it.
            Engine::Memory(_) | Engine::Kafka(_) => Arc::new(Vec::new),
            Engine::Embedded(log) => {
                let log = log.clone();
                Arc::new(move || {
                    let stats = log.stats();
                    let (read, unread): (Vec<_>, Vec<_>) =
                        stats.partitions.into_iter().partition(|p| p.readable || passes);
                    let why = |p: PartitionStats| p.poisoned.map(|why| format!("{}: {why}", p.of));
                    let topics = stats
                        .damaged_topics
                        .into_iter()
                        .map(|(topic, why)| format!("{topic}: {why}"))
                        .chain(unread.into_iter().filter_map(why));
                    let partitions = read.into_iter().filter_map(why);
                    let writing = log.refuses_writes().into_iter().chain(partitions);
                    let unready = |hinders, faults: Vec<String>| {
                        (!faults.is_empty()).then(|| Unready {
                            component: "log",
                            reason: faults.join("; "),
                            hinders,
                        })
                    };
                    unready(Hinders::Intake, writing.collect())
                        .into_iter()
                        .chain(unready(Hinders::Everything, topics.collect()))
                        .collect()
                })
            }
        }
    }
}

/// What makes declared retention hold for topics that are there. Topics of a Kafka cluster are its operators'.
struct Kept {
    engine: Engine,
    prefix: String,
    default: Retention,
}

impl Kept {
    async fn apply(&self, catalog: &Catalog) {
        if let Engine::Embedded(log) = &self.engine {
            crate::retention::apply(log, &catalog.snapshot(), &self.prefix, self.default).await;
        }
    }
}

/// Retention of streams that declare none.
pub(crate) fn retention(config: &Config) -> Retention {
    let age = config.log.retention_age;
    let bytes = config.log.retention_bytes;
    Retention {
        age: (!age.is_zero()).then_some(age),
        bytes: (bytes > 0).then_some(bytes as u64),
    }
}

/// Starts a server; it serves when this returns.
///
/// # Errors
/// [`BootError`] says which part does not come up and what to do.
pub async fn start(mut config: Config, options: StartOptions) -> Result<Running, BootError> {
    let asks = config.auth.mode == AuthMode::Required;
    if !config.listen.ip().is_loopback() && !options.insecure && !asks {
        return Err(BootError::Exposed(config.listen));
    }
    config.http.connections_max = descriptors::connections(config.http.connections_max);
    let metrics = Metrics::install().map_err(BootError::Metrics)?;
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|e| BootError::Listen(config.listen, e))?;
    let address = listener
        .local_addr()
        .map_err(|e| BootError::Listen(config.listen, e))?;
    let outbound = Arc::new(Outbound::new().map_err(|e| BootError::Outbound(e.to_string()))?);
    let catalog = open_catalog(sources::streams(&config, options.demo), outbound.clone()).await?;
    for fault in places::missing_schema_folders(&config) {
        tracing::warn!("catalog.schema_base_uris: {fault}");
    }
    let schemas = Arc::new(sources::schemas(&config, options.demo, outbound));
    let engine = open_log(&config).await?;
    let log = engine.log();
    let kept = Kept {
        engine: engine.clone(),
        prefix: config.intake.topic_prefix.clone(),
        default: retention(&config),
    };
    kept.apply(&catalog).await;
    let auth = Auth::open(&config).await.map_err(BootError::Accounts)?;
    if let Some(auth) = &auth {
        if !options.demo && auth.has_demo_login().await.map_err(BootError::Accounts)? {
            return Err(BootError::DemoLogin);
        }
        auth.add_users(options.users).await.map_err(BootError::Accounts)?;
    }
    // A little earlier than promised, so that a late timer or a slow network does not break the promise.
    let heartbeat = config.streams.heartbeat.mul_f64(14.0 / 15.0);
    let delivery_options = DeliveryOptions {
        heartbeat,
        pass_damage: config.streams.pass_damage,
        ..DeliveryOptions::default()
    };
    let delivery = Arc::new(Delivery::new(log.clone(), delivery_options));
    let intake_options = IntakeOptions {
        service: (!config.intake.service.is_empty()).then(|| config.intake.service.clone()),
        topic_prefix: config.intake.topic_prefix.clone(),
        error_stream: (!config.intake.error_stream.is_empty()).then(|| config.intake.error_stream.clone()),
        event_bytes_max: config.intake.event_bytes_max.min(log.facts().record_bytes_max),
        batch_events_max: config.intake.batch_events_max,
        deadline: config.intake.deadline,
        retention: retention(&config),
        partitioner: match config.log.partitioner {
            KeyHash::ConsistentRandom => Partitioner::ConsistentRandom,
            KeyHash::Murmur2Random => Partitioner::Murmur2,
        },
        emitter: if config.intake.service.is_empty() {
            "levada".into()
        } else {
            config.intake.service.clone()
        },
    };
    let intake = Arc::new(Intake::new(
        catalog.clone(),
        schemas.clone(),
        log.clone(),
        intake_options,
    ));
    let shutdown = Shutdown::default();
    let feeds = feeds::build(&config)?;
    if let Some(feeds) = &feeds {
        feeds::spawn(feeds, &config, &catalog, &log, &shutdown)?;
    }
    let render = metrics.renderer(
        delivery.clone(),
        engine.stats_source(auth.as_ref()),
        feeds.clone(),
    );
    let canaries = Canaries {
        catalog: catalog.clone(),
        schemas: schemas.clone(),
        intake: intake.clone(),
        service: config.intake.service.clone(),
        prefixed: !config.intake.topic_prefix.is_empty(),
        deadline: config.intake.deadline,
    };
    let refreshed = intake.clone();
    let parts = AppParts {
        catalog_compat: sources::compat(&config),
        catalog: catalog.clone(),
        schemas,
        intake,
        delivery: delivery.clone(),
        feeds,
        metrics: render,
        unready: engine.unready(config.streams.pass_damage),
        auth: auth.clone(),
        feeds_only: options.feeds_only,
        config: config.clone(),
    };
    let app = Arc::new(App::new(parts, shutdown.clone()));
    if let Some(auth) = &auth {
        auth.spawn_maintenance(shutdown.clone());
    }
    if !config.canary.interval.is_zero() {
        canary::spawn(canaries, config.canary.interval, shutdown.clone());
    }
    spawn_refresh(catalog, kept, refreshed, shutdown.clone());
    let serving = tokio::spawn(serve(app, listener));
    tracing::info!(%address, backend = log.facts().backend, "serving");
    let drain_timeout = config.http.drain_timeout;
    Ok(Running {
        address,
        log,
        accounts: auth.map(|auth| auth.accounts),
        shutdown,
        serving,
        engine,
        delivery,
        drain_timeout,
    })
}

impl Running {
    /// Takes the server down in order and returns when everything is stored and closed.
    pub async fn stop(self) {
        self.shutdown.begin();
        self.delivery.drain();
        // Connections drain within their own timeout; a little more for what comes after.
        let limit = self.drain_timeout * 2 + Duration::from_secs(5);
        if tokio::time::timeout(limit, self.serving).await.is_err() {
            tracing::warn!("the listener did not end in time");
        }
        if let Some(accounts) = &self.accounts
            && let Err(error) = accounts.maintain().await
        {
            tracing::warn!(%error, "the accounts could not be put in order at the end");
        }
        match self.engine {
            Engine::Memory(_) => {}
            Engine::Embedded(log) => log.close().await,
            Engine::Kafka(log) => log.close().await,
        }
    }
}

async fn open_catalog(config: CatalogConfig, outbound: Arc<Outbound>) -> Result<Arc<Catalog>, BootError> {
    let catalog = Catalog::open(config, outbound)
        .await
        .map_err(|e| BootError::Catalog(e.to_string()))?;
    let snapshot = catalog.snapshot();
    for problem in snapshot.problems() {
        match problem.severity {
            Severity::Error => tracing::error!(%problem, "stream configuration"),
            Severity::Warning => tracing::warn!(%problem, "stream configuration"),
        }
    }
    if snapshot.streams().is_empty() {
        tracing::warn!("no stream is declared: set catalog.stream_config, or try `levada dev`");
    }
    Ok(Arc::new(catalog))
}

async fn open_log(config: &Config) -> Result<Engine, BootError> {
    match config.log.kind {
        LogKind::Memory => return Ok(Engine::Memory(Arc::new(Memory::new(MemoryOptions::default())))),
        LogKind::Kafka => {
            let settings = crate::kafka::settings(config);
            let opened = KafkaLog::open(settings).await;
            return opened
                .map(|log| Engine::Kafka(Arc::new(log)))
                .map_err(|error| match error {
                    KafkaError::Setting { .. } => BootError::Setting(error.to_string()),
                    error => BootError::Log(error.to_string()),
                });
        }
        LogKind::Embedded => {}
    }
    let mut options = EmbeddedOptions::new(config.data.clone());
    options.durability = match config.log.durability {
        Durability::Fsync => levada_log::Durability::Fsync,
        Durability::Os => levada_log::Durability::Os,
    };
    options.segment_bytes = config.log.segment_bytes as u64;
    options.compress = config.log.compress;
    // Opening reads the disk; it must not hold up a worker of the runtime.
    let opened = tokio::task::spawn_blocking(move || Embedded::open(options)).await;
    match opened {
        Ok(Ok(log)) => Ok(Engine::Embedded(log)),
        Ok(Err(error)) => Err(BootError::Log(error.to_string())),
        Err(error) => Err(BootError::Log(error.to_string())),
    }
}

fn spawn_refresh(catalog: Arc<Catalog>, kept: Kept, intake: Arc<Intake>, shutdown: Shutdown) {
    let Some(ttl) = catalog.ttl() else { return };
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = tokio::time::sleep(ttl) => {}
                () = shutdown.begun() => return,
            }
            match catalog.refresh().await {
                RefreshOutcome::Unchanged => {}
                RefreshOutcome::Replaced { streams, problems } => {
                    tracing::info!(
                        streams,
                        problems = problems.len(),
                        "stream configuration was reloaded"
                    );
                    for problem in problems {
                        tracing::warn!(%problem, "stream configuration");
                    }
                    intake.was_reloaded();
                    kept.apply(&catalog).await;
                }
                RefreshOutcome::Kept { problems } => {
                    metrics::counter!("levada_catalog_reload_failed_total").increment(1);
                    for problem in problems {
                        tracing::error!(%problem, "stream configuration was not reloaded; the old one stays in force");
                    }
                }
            }
        }
    });
}

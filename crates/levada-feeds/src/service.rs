//! The service: from a configuration to answers.

use crate::cache::{Disk, StoreError};
use crate::check::{CheckReport, check};
use crate::clock::{Clock, StillClock, SystemClock};
use crate::config::{ConfigError, FeedsConfig};
use crate::date::FeedDate;
use crate::feed::Kitchen;
use crate::http::{Answerer, Asked, claims};
use crate::lang::{Rules, RulesError};
use crate::metrics::{Kept, Metrics};
use crate::upstream::{Fetch, FetchError, Pooled, Replay, stack};
use bytes::Bytes;
use http::{Method, Request, Response};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often what expires soon is looked for.
const TEND_EVERY: Duration = Duration::from_secs(1);

/// How often, in such looks, the directory of rules is looked at.
const RULES_EVERY: u32 = 10;

/// What the files of a directory look like from outside: name, time of change, size.
type Look = Vec<(std::ffi::OsString, Option<std::time::SystemTime>, u64)>;

/// Why the service cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum FeedsError {
    /// A key of the configuration cannot be served with.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The language rules cannot be read.
    #[error("feeds.data_dir: {0}")]
    Rules(#[from] RulesError),
    /// The store cannot be opened.
    #[error("feeds.cache.path: {0}")]
    Store(#[from] StoreError),
    /// The recording cannot be read or written.
    #[error("feeds.{key}: {problem}")]
    Recording {
        /// `replay` or `record`.
        key: &'static str,
        /// What the system says.
        problem: std::io::Error,
    },
    /// The HTTP client cannot be made.
    #[error("the upstream client cannot be made: {0}")]
    Client(FetchError),
    /// What was asked for is not a day of the form `YYYY-MM-DD`, or not a wiki that is served.
    #[error("{0}")]
    Argument(String),
}

/// The feeds service: a handler of HTTP requests without a server. Cheap to clone.
#[derive(Clone)]
pub struct Feeds {
    inner: Arc<Inner>,
}

struct Inner {
    answerer: Answerer,
    kitchen: Arc<Kitchen>,
    disk: Option<Arc<Disk>>,
    metrics: Arc<Metrics>,
    config: Arc<FeedsConfig>,
}

impl Feeds {
    /// The service of a configuration: over the network, or over a recording when `replay` is set.
    ///
    /// # Errors
    /// [`FeedsError`] names the key that is wrong.
    pub fn new(config: FeedsConfig) -> Result<Feeds, FeedsError> {
        config.check()?;
        let mut recorded_ms = None;
        let fetch: Arc<dyn Fetch> = match &config.replay {
            Some(dir) => {
                let replay = Replay::open(dir).map_err(|problem| FeedsError::Recording {
                    key: "replay",
                    problem,
                })?;
                recorded_ms = replay.recorded_ms();
                Arc::new(replay)
            }
            None => Arc::new(Pooled::new(&config).map_err(FeedsError::Client)?),
        };
        let clock: Arc<dyn Clock> = match (config.today.as_deref(), recorded_ms) {
            (Some(day), _) => {
                let day = day.parse::<jiff::civil::Date>().ok();
                let clock = day.and_then(|day| StillClock::at_noon(day.year(), day.month(), day.day()));
                let refused = || FeedsError::Argument(format!("feeds.today: {day:?} is out of range"));
                Arc::new(clock.ok_or_else(refused)?)
            }
            // A recording is of its day; on another it would lack everything.
            (None, Some(recorded_ms)) => Arc::new(StillClock::at_ms(recorded_ms)),
            (None, None) => Arc::new(SystemClock),
        };
        Feeds::with(config, fetch, clock)
    }

    /// The service over an upstream and a clock of one's own. The policies of the configuration (time-outs, retries,
    /// bounds, recording) are put over `fetch`.
    ///
    /// # Errors
    /// As [`Feeds::new`].
    pub fn with(
        config: FeedsConfig,
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
    ) -> Result<Feeds, FeedsError> {
        config.check()?;
        let rules = match &config.data_dir {
            Some(dir) => Arc::new(Rules::load_dir(dir)?),
            None => Rules::embedded(),
        };
        let metrics = Arc::new(Metrics::default());
        let fetch = stack(fetch, &config, Arc::clone(&metrics), clock.now_ms()).map_err(|problem| {
            FeedsError::Recording {
                key: "record",
                problem,
            }
        })?;
        // An empty path is how a configuration says that there is to be none.
        let path = config.cache.path.as_ref();
        let disk = match path.filter(|path| !path.as_os_str().is_empty()) {
            Some(path) => Some(Arc::new(Disk::open(path, config.cache.disk_bytes)?)),
            None => None,
        };
        let config = Arc::new(config);
        let kitchen = Arc::new(Kitchen::new(
            Arc::clone(&config),
            rules,
            fetch,
            disk.clone(),
            clock,
            Arc::clone(&metrics),
        ));
        let answerer = Answerer::new(Arc::clone(&kitchen));
        Ok(Feeds {
            inner: Arc::new(Inner {
                answerer,
                kitchen,
                disk,
                metrics,
                config,
            }),
        })
    }

    /// Answers a request. Never fails: what goes wrong is an answer with a status. The bodies of requests are not
    /// read.
    pub async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let started = Instant::now();
        let asked = Asked::read(&request);
        let (endpoint, response) = self.inner.answerer.answer(&asked).await;
        let status = response.status().as_u16();
        self.inner.metrics.request(endpoint, status, started.elapsed());
        let (path, request_id) = (asked.path, &*asked.request_id);
        match status {
            ..400 => tracing::trace!(status, endpoint, path, request_id, "answered"),
            400..500 => tracing::info!(status, endpoint, path, request_id, "answered"),
            500.. => tracing::error!(status, endpoint, path, request_id, "answered"),
        }
        response
    }

    /// Whether a request is for the feeds, when they share a listener with other services. Root paths (`/`, `/_info`,
    /// `/robots.txt`) are not; their twins below `/feeds` are. A listener of the feeds alone needs not ask.
    pub fn claims(&self, method: &Method, host: Option<&str>, path: &str) -> bool {
        // Neither decides: other methods get the feeds' own answer, and the host only names the wiki.
        let _ = (method, host);
        claims(path)
    }

    /// A page has changed: the feeds built from it, and no others, are made anew for the next who asks. `domain` and
    /// `title` as in page-change events (`meta.domain`, `page.page_title`), spaces or underscores. Gives how many feeds
    /// were outdated. Cheap for pages that no feed is built from.
    pub fn invalidate(&self, domain: &str, title: &str) -> usize {
        self.inner.kitchen.invalidate(domain, title)
    }

    /// Refreshes in the background what is asked for and expires soon or is outdated; one pass. Gives how many feeds
    /// are being made. Needs a tokio runtime.
    pub fn tend(&self) -> usize {
        self.inner.kitchen.tend()
    }

    /// Tends until `stop` is there, then makes the caches durable; meanwhile rules that change in `data_dir` come into
    /// force. Spawn it beside the server.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let mut ticks = tokio::time::interval(TEND_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut look, mut number) = (self.look_at_rules().await, 0_u32);
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = ticks.tick() => drop(self.tend()),
            }
            number = number.wrapping_add(1);
            if number.is_multiple_of(RULES_EVERY) && self.inner.config.data_dir.is_some() {
                let now = self.look_at_rules().await;
                if now != look {
                    look = now;
                    match self.reload_rules() {
                        Ok(()) => tracing::info!("changed rules are in force"),
                        Err(error) => tracing::error!(%error, "changed rules refused, the old ones stay"),
                    }
                }
            }
        }
        self.flush().await;
    }

    /// What is in the directory of rules; empty when there is none or it cannot be read.
    async fn look_at_rules(&self) -> Look {
        let Some(dir) = self.inner.config.data_dir.clone() else {
            return Look::new();
        };
        let read = move || {
            let mut look: Look = std::fs::read_dir(dir)
                .into_iter()
                .flatten()
                .filter_map(|entry| {
                    let entry = entry.ok()?;
                    let facts = entry.metadata().ok()?;
                    Some((entry.file_name(), facts.modified().ok(), facts.len()))
                })
                .collect();
            look.sort();
            look
        };
        tokio::task::spawn_blocking(read).await.unwrap_or_default()
    }

    /// Waits until the caches are durable.
    pub async fn flush(&self) {
        if let Some(disk) = self.inner.disk.clone() {
            let flushed = tokio::task::spawn_blocking(move || disk.flush()).await;
            if let Err(error) = flushed {
                tracing::error!(%error, "caches not flushed");
            }
        }
    }

    /// Reads the language rules of `data_dir` again and puts them in force: every feed is made anew for the next who
    /// asks for it.
    ///
    /// # Errors
    /// [`FeedsError::Rules`]; the rules in force stay.
    pub fn reload_rules(&self) -> Result<(), FeedsError> {
        if let Some(dir) = &self.inner.config.data_dir {
            self.inner.kitchen.set_rules(Arc::new(Rules::load_dir(dir)?));
        }
        Ok(())
    }

    /// Makes all feeds of a wiki on a day (`YYYY-MM-DD`; today when `None`) once and reports what is missing and why.
    ///
    /// # Errors
    /// [`FeedsError::Argument`] when the day is none or the wiki is not served.
    pub async fn check(&self, domain: &str, date: Option<&str>) -> Result<CheckReport, FeedsError> {
        let (year, month, day) = crate::clock::civil_day(self.inner.kitchen.clock.now_ms());
        let today = FeedDate::from_ymd(year, month, day)
            .ok_or_else(|| FeedsError::Argument("the clock is out of range".to_owned()))?;
        let date = match date {
            None => today,
            Some(text) => text
                .parse()
                .map(FeedDate::new)
                .map_err(|_| FeedsError::Argument(format!("{text:?} is not a day of the form YYYY-MM-DD")))?,
        };
        let domain = domain.to_ascii_lowercase();
        if !crate::http::is_domain(&domain) || !self.inner.config.admits(&domain) {
            return Err(FeedsError::Argument(format!(
                "{domain:?} is not among feeds.domains"
            )));
        }
        Ok(check(&self.inner.kitchen, &domain, date, today).await)
    }

    /// The counters, in the Prometheus text format.
    pub fn metrics(&self) -> String {
        let mut sizes = self.inner.kitchen.wiki.sizes().to_vec();
        sizes.push((Kept::Result, self.inner.kitchen.results.bytes()));
        sizes.push(self.inner.answerer.size());
        let disk = self.inner.disk.as_ref();
        let store = disk.map_or((0, 0), |disk| (disk.dropped(), disk.sweeps()));
        let kitchen = &self.inner.kitchen;
        let now_ms = kitchen.clock.now_ms();
        let lately_ms = now_ms - i64::from(self.inner.config.cache.refresh_idle_s) * 1000;
        let ages = kitchen.results.stale_ages(now_ms, lately_ms);
        self.inner.metrics.sizes(&sizes, store, ages);
        self.inner.metrics.text()
    }

    /// The configuration in force.
    pub fn config(&self) -> &FeedsConfig {
        &self.inner.config
    }
}

impl std::fmt::Debug for Feeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feeds")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

//! `levada canary`: posts one canary event per stream to each intake of it, and says which were taken
//! (contract eventstreams §4.3 and §4.4). Servers do the same for themselves with `canary.interval`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use levada_catalog::{Catalog, SchemaRepository, Stream, canary_event};
use levada_client::{Producer, ProducerConfig, Server, Verdict};
use levada_server::outbound::Outbound;
use levada_server::sources;

use crate::cli::Remote;
use crate::exit::{Exit, Failure};
use crate::serve::Settings;
use crate::units;

/// Arguments of `levada canary`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Streams; all with canary_events_enabled when none is named
    #[arg(value_name = "STREAM")]
    streams: Vec<String>,
    /// Configuration file that says where streams and schemas are
    #[arg(long, env = "LEVADA_CONFIG", value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    remote: Remote,
    /// Where a service takes events, such as intake-main=http://127.0.0.1:8192; may be repeated.
    /// SERVICE-east and SERVICE-west are two intakes of one service, unless a stream names one of them as a
    /// service of its own. Without any, all events go to --url
    #[arg(long = "to", value_name = "SERVICE=URL")]
    to: Vec<String>,
    /// How long one event may take
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = units::duration)]
    deadline: Duration,
    /// Print what would be posted where
    #[arg(long)]
    dry_run: bool,
}

/// Intakes by the name of their service.
struct Intakes {
    named: Vec<(String, Server)>,
    default: Server,
    /// All services that streams declare.
    services: BTreeSet<String>,
}

impl Intakes {
    fn new(args: &Args, catalog: &Catalog) -> Result<Self, Failure> {
        let default = args.remote.server()?;
        let mut named: Vec<(String, Server)> = Vec::new();
        for pair in &args.to {
            let (service, url) = pair
                .split_once('=')
                .ok_or_else(|| Failure::usage(format!("--to wants SERVICE=URL, not {pair:?}")))?;
            let url = url.trim_end_matches('/').trim_end_matches("/v1/events");
            let server = args.remote.server_at(url)?;
            named.push((service.to_owned(), server));
        }
        let snapshot = catalog.snapshot();
        let services = snapshot.streams().iter();
        let services = services.filter_map(|stream| stream.destination_event_service.clone());
        Ok(Self {
            named,
            default,
            services: services.collect(),
        })
    }

    /// Where a stream's events go: each address once. Empty when there is none for its service.
    fn of(&self, stream: &Stream) -> Vec<&Server> {
        if self.named.is_empty() {
            return vec![&self.default];
        }
        let service = stream.destination_event_service.as_deref().unwrap_or_default();
        let is_one = |name: &str| service_of(name, &self.services) == Some(service);
        let mut servers: Vec<&Server> = Vec::new();
        for (_, server) in self.named.iter().filter(|(name, _)| is_one(name)) {
            if !servers.iter().any(|known| known.url() == server.url()) {
                servers.push(server);
            }
        }
        servers
    }
}

/// The service whose intake `name` is: the longest of `services` that it equals or extends with `-`.
fn service_of<'s>(name: &str, services: &'s BTreeSet<String>) -> Option<&'s str> {
    let fits = |service: &&String| {
        let rest = name.strip_prefix(service.as_str());
        !service.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let longest = services.iter().filter(fits).max_by_key(|service| service.len());
    longest.map(String::as_str)
}

/// Posts to all, whatever becomes of the single ones.
pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let settings = Settings {
        config: Some(args.config.clone()),
        ..Settings::default()
    };
    let config = settings.load()?.config;
    let outbound =
        Outbound::new().map_err(|error| Failure::new(Exit::Io, format!("cannot set up HTTP: {error}")))?;
    let outbound = Arc::new(outbound);
    let catalog = Catalog::open(sources::streams(&config, false), outbound.clone())
        .await
        .map_err(|error| Failure::new(Exit::Config, error.to_string()))?;
    let schemas = sources::schemas(&config, false, outbound);
    let intakes = Intakes::new(&args, &catalog)?;
    let mut failed = 0;
    let mut failure = |stream: &str, place: &str, reason: &str| {
        failed += 1;
        eprintln!("levada: {stream}{place}: {reason}");
    };
    let streams = chosen(&catalog, &args.streams);
    if streams.is_empty() {
        return Err(Failure::new(Exit::Faults, "no stream has canary_events_enabled"));
    }
    for (name, stream) in streams {
        let stream = match stream {
            Ok(stream) => stream,
            Err(reason) => {
                failure(&name, "", reason);
                continue;
            }
        };
        let event = match event(&schemas, &stream).await {
            Ok(event) => event,
            Err(reason) => {
                failure(&name, "", &reason);
                continue;
            }
        };
        let servers = intakes.of(&stream);
        if servers.is_empty() {
            match &stream.destination_event_service {
                None => println!("skipped {name}: it has no destination_event_service"),
                Some(service) => failure(&name, "", &format!("no --to says where {service} takes events")),
            }
        }
        for server in servers {
            let place = server.url();
            if args.dry_run {
                println!("{name} to {place}: {}", String::from_utf8_lossy(&event));
                continue;
            }
            match post(server.clone(), &event, args.deadline).await {
                Ok(()) => println!("accepted {name} at {place}"),
                Err(reason) => failure(&name, &format!(" at {place}"), &reason),
            }
        }
    }
    Ok(if failed == 0 { Exit::Ok } else { Exit::Faults })
}

type Chosen = Vec<(String, Result<Arc<Stream>, &'static str>)>;

/// The streams that get an event; for those that are named and get none, why.
fn chosen(catalog: &Catalog, names: &[String]) -> Chosen {
    let snapshot = catalog.snapshot();
    if names.is_empty() {
        let all = snapshot.streams().iter();
        let all = all.filter(|stream| stream.canary_events_enabled && !stream.is_pattern());
        return all
            .map(|stream| (stream.name.clone(), Ok(stream.clone())))
            .collect();
    }
    let look = |name: &String| match snapshot.resolve(name) {
        None => Err("there is no such stream"),
        Some(stream) if stream.is_pattern() => Err("it is a pattern and no stream"),
        Some(stream) if !stream.canary_events_enabled => Err("canary_events_enabled is false"),
        Some(stream) => Ok(stream),
    };
    names.iter().map(|name| (name.clone(), look(name))).collect()
}

async fn event(schemas: &SchemaRepository, stream: &Stream) -> Result<Vec<u8>, String> {
    let title = stream.schema_title.as_deref().ok_or("it has no schema_title")?;
    let schema = schemas.latest(title).await.map_err(|error| error.to_string())?;
    canary_event(stream, &schema, None).map_err(|error| error.to_string())
}

async fn post(server: Server, event: &[u8], deadline: Duration) -> Result<(), String> {
    let config = ProducerConfig {
        batch_events: 1,
        request_timeout: deadline,
        deadline,
        ..ProducerConfig::default()
    };
    let producer = Producer::new(server, config);
    let verdict = producer.send_all(&[Bytes::copy_from_slice(event)]).await.pop();
    producer.close().await;
    match verdict {
        Some(Verdict::Accepted) => Ok(()),
        Some(Verdict::Invalid { code, message }) => Err(format!("{code}: {message}")),
        Some(Verdict::Failed(failed)) => Err(format!("{}: {}", failed.code, failed.message)),
        None => Err("the server gave no verdict".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::service_of;

    #[test]
    fn a_name_belongs_to_the_longest_service_that_it_extends() {
        let services = ["analytics", "analytics-external", "main", ""];
        let services: BTreeSet<String> = services.map(String::from).into();
        for (name, service) in [
            ("analytics", Some("analytics")),
            ("analytics-east", Some("analytics")),
            ("analytics-external", Some("analytics-external")),
            ("analytics-external-east", Some("analytics-external")),
            ("analytics-externals", Some("analytics")),
            ("main", Some("main")),
            ("mainly", None),
            ("-east", None),
        ] {
            assert_eq!(service_of(name, &services), service, "{name}");
        }
    }
}

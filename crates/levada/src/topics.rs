//! `levada topics`: declared streams against the topics of a Kafka cluster.

use levada_kafka::{Admin, Creation, KafkaError, TopicReport};
use levada_server::config::LogKind;
use levada_server::topics::{Declared, DeclaredTopic, declared};

use crate::exit::{Exit, Failure};
use crate::serve::Settings;
use crate::streams::{catalog, print};

/// Arguments of `levada topics`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Compare the topics of declared streams with those of the cluster
    Check(Which),
    /// Create the topics of declared streams that do not exist; existing ones are left as they are
    Create {
        #[command(flatten)]
        which: Which,
        /// Only topics that this configuration's intake appends to, not those of other datacentres
        #[arg(long)]
        written: bool,
        /// Only say what would be created
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Streams; all declared ones if none is given
    #[arg(value_name = "STREAM")]
    streams: Vec<String>,
    #[command(flatten)]
    settings: Settings,
}

/// A cluster, and what is declared of it.
struct Opened {
    admin: Admin,
    declared: Declared,
    /// Whether the server creates what is missing.
    creates: bool,
}

impl Which {
    async fn open(&self) -> Result<Opened, Failure> {
        let config = self.settings.load()?.config;
        if config.log.kind != LogKind::Kafka {
            return Err(Failure::new(
                Exit::Config,
                "log.kind is not \"kafka\"; the other logs create topics by themselves and have nothing to compare",
            ));
        }
        let catalog = catalog(&config).await?;
        let declared = declared(&config, &catalog.snapshot(), &self.streams);
        let admin = Admin::connect(levada_server::kafka::settings(&config))
            .await
            .map_err(failure)?;
        Ok(Opened {
            admin,
            declared,
            creates: config.kafka.create_topics,
        })
    }
}

/// Runs the subcommand.
pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::Check(which) => check(which.open().await?).await,
        Command::Create {
            which,
            written,
            dry_run,
        } => create(which.open().await?, written, dry_run).await,
    }
}

async fn check(opened: Opened) -> Result<Exit, Failure> {
    let specs: Vec<_> = opened
        .declared
        .topics
        .iter()
        .map(|topic| topic.spec.clone())
        .collect();
    let reports = opened.admin.check(&specs).await.map_err(failure)?;
    let mut out = String::new();
    let mut faults = beside(&opened.declared, &mut out);
    for (topic, report) in opened.declared.topics.iter().zip(&reports) {
        faults += describe(topic, report, opened.creates, &mut out);
    }
    let (topics, missing) = (
        reports.len(),
        reports.iter().filter(|report| report.state.is_none()).count(),
    );
    out.push_str(&format!("{topics} topics, {missing} missing, {faults} faults\n"));
    print(&out)?;
    Ok(if faults == 0 { Exit::Ok } else { Exit::Faults })
}

async fn create(opened: Opened, written: bool, dry_run: bool) -> Result<Exit, Failure> {
    let mut out = String::new();
    let mut faults = beside(&opened.declared, &mut out);
    let wanted: Vec<_> = opened
        .declared
        .topics
        .iter()
        .filter(|topic| topic.written || !written)
        .collect();
    let specs: Vec<_> = wanted.iter().map(|topic| topic.spec.clone()).collect();
    let states = opened.admin.states(&specs).await.map_err(failure)?;
    let mut created = 0;
    for (spec, state) in specs.iter().zip(&states) {
        if state.is_some() {
            continue;
        }
        if dry_run {
            out.push_str(&format!(
                "{}: would be created with {} partitions\n",
                spec.name, spec.partitions
            ));
            continue;
        }
        match opened.admin.create(spec).await {
            Ok(Creation::Created) => {
                created += 1;
                out.push_str(&format!(
                    "{}: created with {} partitions\n",
                    spec.name, spec.partitions
                ));
            }
            Ok(Creation::Existed) => {}
            Err(error @ KafkaError::Refused { .. }) => {
                faults += 1;
                out.push_str(&format!("error: {}: {error}\n", spec.name));
            }
            Err(error) => return Err(failure(error)),
        }
    }
    out.push_str(&format!(
        "{} topics, {created} created, {faults} faults\n",
        specs.len()
    ));
    print(&out)?;
    Ok(if faults == 0 { Exit::Ok } else { Exit::Faults })
}

/// What cannot be compared: faults of the declarations, and patterns. Returns the number of faults.
fn beside(declared: &Declared, out: &mut String) -> usize {
    for fault in &declared.faults {
        out.push_str(&format!("error: {fault}\n"));
    }
    for pattern in &declared.patterns {
        out.push_str(&format!(
            "note: {pattern}: a pattern; its topics are not known before events come\n"
        ));
    }
    declared.faults.len()
}

/// What is to be said of a topic. Returns the number of faults.
fn describe(topic: &DeclaredTopic, report: &TopicReport, creates: bool, out: &mut String) -> usize {
    let (name, stream) = (&topic.spec.name, &topic.stream);
    let Some(state) = &report.state else {
        let (fault, what) = match (topic.written, creates) {
            (true, false) => (
                1,
                "error: does not exist; run `levada topics create`, or set kafka.create_topics",
            ),
            (true, true) => (0, "note: does not exist; the first event creates it"),
            (false, _) => (
                0,
                "note: does not exist; readers are given it when somebody fills it",
            ),
        };
        let (kind, text) = what.split_once(": ").unwrap_or(("note", what));
        out.push_str(&format!("{kind}: {name} ({stream}): {text}\n"));
        return fault;
    };
    let mut faults = 0;
    if !state.leaderless.is_empty() {
        faults += 1;
        out.push_str(&format!(
            "error: {name} ({stream}): partitions without a leader: {:?}; see to the brokers\n",
            state.leaderless
        ));
    }
    for deviation in &report.deviations {
        faults += 1;
        out.push_str(&format!(
            "error: {name} ({stream}): {} is {}, not {}: {}\n",
            deviation.setting, deviation.found, deviation.wanted, deviation.remedy
        ));
    }
    faults
}

fn failure(error: KafkaError) -> Failure {
    let exit = match &error {
        KafkaError::Setting { .. } => Exit::Config,
        KafkaError::Unreachable { .. } => Exit::Unavailable,
        KafkaError::Refused { .. } => Exit::Refused,
    };
    Failure::new(exit, error.to_string())
}

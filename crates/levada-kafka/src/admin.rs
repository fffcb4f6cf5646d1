//! Topics as they should be against topics as they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use levada_event::TopicName;
use levada_log::TopicSpec;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::error::RDKafkaErrorCode;

use crate::client::{self, Context, ErrorCounts, Role};
use crate::cluster::Cluster;
use crate::probe::Unanswered;
use crate::{KafkaError, Settings};

mod wanted;

use wanted::{TIME_BOUNDS, deviations, wanted};

/// Topics asked about in one request.
const TOPICS_AT_ONCE: usize = 100;

/// Looks at topics of a cluster and creates them.
pub struct Admin {
    settings: Settings,
    client: AdminClient<Context>,
    cluster: Arc<Cluster>,
}

/// A topic of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicState {
    /// Number of partitions.
    pub partitions: u32,
    /// Copies of each partition (the fewest, if partitions differ).
    pub replication_factor: u32,
    /// Partitions that have no leader now.
    pub leaderless: Vec<u32>,
}

/// A setting of a topic that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deviation {
    /// `partitions`, or the name of a topic setting such as `retention.ms`.
    pub setting: String,
    /// What the stream configuration asks for.
    pub wanted: String,
    /// What the cluster has.
    pub found: String,
    /// What follows from the difference, and what to do.
    pub remedy: String,
}

/// What [`Admin::check`] found about one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicReport {
    /// The topic.
    pub name: TopicName,
    /// As it is; `None` when it does not exist.
    pub state: Option<TopicState>,
    /// Differences from what was asked for.
    pub deviations: Vec<Deviation>,
}

/// What [`Admin::create`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Creation {
    /// It was created to the spec.
    Created,
    /// It was there before and is left as it is.
    Existed,
}

impl Admin {
    /// Connects to the cluster of `settings`.
    ///
    /// # Errors
    /// [`KafkaError`] for settings that are refused and clusters that do not answer.
    pub async fn connect(settings: Settings) -> Result<Self, KafkaError> {
        settings.check()?;
        let errors = Arc::new(ErrorCounts::default());
        let cluster = Arc::new(Cluster::new(&settings, errors.clone())?);
        cluster.id().await?;
        Self::over(settings, cluster, errors)
    }

    pub(crate) fn over(
        settings: Settings,
        cluster: Arc<Cluster>,
        errors: Arc<ErrorCounts>,
    ) -> Result<Self, KafkaError> {
        let client = client::create(&settings, Role::Admin, Context::new(Role::Admin, errors))?;
        Ok(Self {
            settings,
            client,
            cluster,
        })
    }

    /// Compares `specs` with the cluster.
    ///
    /// # Errors
    /// [`KafkaError::Unreachable`], [`KafkaError::Refused`].
    pub async fn check(&self, specs: &[TopicSpec]) -> Result<Vec<TopicReport>, KafkaError> {
        let mut reports = Vec::with_capacity(specs.len());
        for specs in specs.chunks(TOPICS_AT_ONCE) {
            let states = self.states(specs).await?;
            let there = specs.iter().zip(&states).filter(|(_, state)| state.is_some());
            let configs = self.configs(there.map(|(spec, _)| &spec.name)).await?;
            for (spec, state) in specs.iter().zip(states) {
                let found = configs.get(spec.name.as_str());
                let deviations = match (&state, found) {
                    (Some(state), Some(found)) => deviations(&self.settings, spec, state, found),
                    _ => Vec::new(),
                };
                reports.push(TopicReport {
                    name: spec.name.clone(),
                    state,
                    deviations,
                });
            }
        }
        Ok(reports)
    }

    /// The topics of `specs` as they are, in the same order; `None` for one that does not exist. Their
    /// settings are not looked at, which takes a right of its own.
    ///
    /// # Errors
    /// [`KafkaError::Unreachable`].
    pub async fn states(&self, specs: &[TopicSpec]) -> Result<Vec<Option<TopicState>>, KafkaError> {
        let mut states = Vec::with_capacity(specs.len());
        for spec in specs {
            let state = self.cluster.state(&spec.name).await;
            states.push(state.map_err(|why| self.cluster.unreachable(&why))?);
        }
        Ok(states)
    }

    /// Creates a topic to `spec` and waits until it can be used; one that exists is left as it is.
    /// Whether [`Settings`] allow it is not asked: this is what the command does.
    ///
    /// # Errors
    /// [`KafkaError::Unreachable`], [`KafkaError::Refused`].
    pub async fn create(&self, spec: &TopicSpec) -> Result<Creation, KafkaError> {
        let existing = self.cluster.state(&spec.name).await;
        if existing.map_err(|why| self.cluster.unreachable(&why))?.is_some() {
            return Ok(Creation::Existed);
        }
        let mut settings = wanted(&self.settings, spec);
        let created = match self.create_with(spec, &settings).await? {
            // Brokers before 3.6 do not know these, and do not refuse times by default either.
            Err(RDKafkaErrorCode::InvalidConfig) => {
                settings.retain(|key, _| !TIME_BOUNDS.contains(&key.as_str()));
                self.create_with(spec, &settings).await?
            }
            answer => answer,
        };
        let creation = match created {
            Ok(()) => Creation::Created,
            // Another process was faster.
            Err(RDKafkaErrorCode::TopicAlreadyExists) => Creation::Existed,
            Err(RDKafkaErrorCode::InvalidTopic) => {
                return Err(KafkaError::Refused {
                    what: format!("create topic {}", spec.name),
                    reason: "the name is not one of Kafka's, or there is a topic whose name differs only in \
                             dots and underscores"
                        .into(),
                });
            }
            Err(code) => return Err(self.refused(format!("create topic {}", spec.name), code)),
        };
        let appears = self.cluster.appears(&spec.name).await;
        appears.map_err(|why| self.cluster.unreachable(&why))?;
        Ok(creation)
    }

    async fn create_with(
        &self,
        spec: &TopicSpec,
        settings: &BTreeMap<String, String>,
    ) -> Result<Result<(), RDKafkaErrorCode>, KafkaError> {
        let replication = self.settings.topics.replication_factor.map_or(-1, i32::from);
        let mut topic = NewTopic::new(
            spec.name.as_str(),
            i32::try_from(spec.partitions).unwrap_or(i32::MAX),
            TopicReplication::Fixed(replication),
        );
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let answers = self.client.create_topics([&topic], &self.options()).await;
        let answers = answers.map_err(|error| self.unanswered(error))?;
        let answer = answers.into_iter().next();
        Ok(answer.map_or(Err(RDKafkaErrorCode::Unknown), |answer| {
            answer.map(|_| ()).map_err(|(_, code)| code)
        }))
    }

    async fn configs(
        &self,
        topics: impl Iterator<Item = &TopicName>,
    ) -> Result<BTreeMap<String, BTreeMap<String, String>>, KafkaError> {
        let asked: Vec<_> = topics
            .map(|topic| ResourceSpecifier::Topic(topic.as_str()))
            .collect();
        if asked.is_empty() {
            return Ok(BTreeMap::new());
        }
        let answers = self.client.describe_configs(&asked, &self.options()).await;
        let answers = answers.map_err(|error| self.unanswered(error))?;
        let mut configs = BTreeMap::new();
        // They come in the order in which was asked.
        for (asked, answer) in asked.iter().zip(answers) {
            let resource: ConfigResource = answer.map_err(|code| {
                let ResourceSpecifier::Topic(name) = asked else {
                    return self.refused("describe the settings of a topic".into(), code);
                };
                self.refused(format!("describe the settings of topic {name}"), code)
            })?;
            let rdkafka::admin::OwnedResourceSpecifier::Topic(name) = resource.specifier else {
                continue;
            };
            let entries = resource.entries.into_iter();
            let entries = entries.filter_map(|entry| Some((entry.name, entry.value?)));
            configs.insert(name, entries.collect());
        }
        Ok(configs)
    }

    fn options(&self) -> AdminOptions {
        AdminOptions::new()
            .request_timeout(Some(self.settings.request_timeout))
            .operation_timeout(Some(self.settings.request_timeout))
    }

    fn refused(&self, what: String, code: RDKafkaErrorCode) -> KafkaError {
        KafkaError::Refused {
            what,
            reason: code.to_string(),
        }
    }

    fn unanswered(&self, error: rdkafka::error::KafkaError) -> KafkaError {
        self.cluster.unreachable(&Unanswered::Refused(error))
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

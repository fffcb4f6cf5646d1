//! Topics as they should be against topics as they are.

use levada_event::TopicName;
use levada_log::TopicSpec;

use crate::{KafkaError, Settings};

/// Looks at topics of a cluster and creates them.
pub struct Admin {
    settings: Settings,
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
        Ok(Self { settings })
    }

    /// Compares `specs` with the cluster.
    ///
    /// # Errors
    /// [`KafkaError::Unreachable`].
    pub async fn check(&self, specs: &[TopicSpec]) -> Result<Vec<TopicReport>, KafkaError> {
        let _ = specs;
        Err(self.unreachable())
    }

    /// Creates a topic to `spec`; one that exists is left as it is. Whether [`Settings`] allow it is
    /// not asked: this is what the command does.
    ///
    /// # Errors
    /// [`KafkaError::Unreachable`], [`KafkaError::Refused`].
    pub async fn create(&self, spec: &TopicSpec) -> Result<Creation, KafkaError> {
        let _ = spec;
        Err(self.unreachable())
    }

    fn unreachable(&self) -> KafkaError {
        KafkaError::Unreachable {
            servers: self.settings.bootstrap_servers.clone(),
            seconds: 0,
            reason: "not connected".into(),
        }
    }
}

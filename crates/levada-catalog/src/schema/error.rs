//! Why there is no schema under a URI.

/// Why a schema cannot be used. Cheap to clone: failures are remembered and handed out again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The URI is none that an event may name. The event is at fault.
    #[error("Failed loading schema at {uri}: {reason}")]
    BadUri {
        /// The URI as the event has it.
        uri: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No base has it.
    #[error("Failed loading schema at {uri}: not found in {}", if tried.is_empty() { "any base, as none is configured".into() } else { tried.join(", ") })]
    NotFound {
        /// The URI.
        uri: String,
        /// Where it was looked for.
        tried: Vec<String>,
    },
    /// A base could not say whether it has it. Trying again may help.
    #[error("Failed loading schema at {uri}: {reason}")]
    Unavailable {
        /// The URI.
        uri: String,
        /// What happened.
        reason: String,
    },
    /// There is a document, but it is no schema.
    #[error("Failed loading schema at {uri}: {reason}")]
    Unreadable {
        /// The URI.
        uri: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The schema could be used to burn the validator's time (contract eventplatform §2.5).
    #[error("Failed loading schema at {uri}: not secure at {at}: {reason}")]
    Insecure {
        /// The URI.
        uri: String,
        /// JSON pointer to the place in the schema, as a fragment: `#/properties/a`.
        at: String,
        /// The rule that is broken.
        reason: String,
    },
    /// The schema does not compile.
    #[error("Failed loading schema at {uri}: {reason}")]
    Invalid {
        /// The URI.
        uri: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl SchemaError {
    /// The URI the error is about.
    pub fn uri(&self) -> &str {
        match self {
            Self::BadUri { uri, .. }
            | Self::NotFound { uri, .. }
            | Self::Unavailable { uri, .. }
            | Self::Unreadable { uri, .. }
            | Self::Insecure { uri, .. }
            | Self::Invalid { uri, .. } => uri,
        }
    }

    /// Whether asking again later may help, with nothing changed by anyone.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// The message EventGate gives for every failure of this kind, the cause hidden.
    pub fn reference_message(&self) -> String {
        format!("Failed loading schema at {}", self.uri())
    }
}

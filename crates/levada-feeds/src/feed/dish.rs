//! What an orchestration brings: the JSON of a feed, or the reason why there is none.

use crate::http::Problem;
use crate::note::Note;
use crate::wiki::Fault;
use bytes::Bytes;

/// A feed as it comes out of its orchestration.
#[derive(Debug, Clone)]
pub(crate) struct Dish {
    /// The JSON, compact; `None` for "nothing that day" (204).
    pub(crate) json: Option<Bytes>,
    /// How many items it has: stories, events, rows; 1 for an article or a picture.
    pub(crate) items: usize,
    /// The first half of the original's entity tag (contract §1.0).
    pub(crate) id: String,
    /// Whether the content depends on the reader's language variant.
    pub(crate) varies: bool,
    /// What the parsers noticed.
    pub(crate) notes: Vec<Note>,
}

impl Dish {
    /// Nothing that day.
    pub(crate) fn nothing(varies: bool, notes: Vec<Note>) -> Dish {
        Dish {
            json: None,
            items: 0,
            id: String::new(),
            varies,
            notes,
        }
    }
}

/// Why a feed cannot be made.
#[derive(Debug, Clone)]
pub(crate) enum Refusal {
    /// An upstream service did not give what is needed.
    Fault(Fault),
    /// There is no such feed: an answer like any other, worth keeping.
    Problem(Problem),
}

impl Refusal {
    /// Whether this is how things are, rather than a disturbance.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Refusal::Fault(fault) => fault.is_absence(),
            Refusal::Problem(_) => true,
        }
    }

    /// A few words for headers and reports.
    pub(crate) fn reason(&self) -> String {
        match self {
            Refusal::Fault(fault) => fault.reason(),
            Refusal::Problem(problem) => problem.detail.clone().unwrap_or_else(|| problem.kind.clone()),
        }
    }

    /// What the client is told.
    pub(crate) fn problem(&self, compat: bool) -> Problem {
        match self {
            Refusal::Fault(fault) => fault.problem(compat),
            Refusal::Problem(problem) => problem.clone(),
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Refusal::Fault(fault)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Refusal::Problem(problem)
    }
}

/// JSON of a feed; that our own types serialise is an invariant, and a breach of it is a fault like any other.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<Bytes, Fault> {
    serde_json::to_vec(value)
        // Without the room to grow, which would be kept with it.
        .map(|json| Bytes::from(json.into_boxed_slice()))
        .map_err(|error| Fault::internal(&format!("the feed does not serialise: {error}")))
}

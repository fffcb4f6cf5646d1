//! What became of an event, and how a server's report is read into verdicts.

use levada_wire::report::{ReceivedFailure, ReceivedReport};
use levada_wire::{ErrorCode, Outcome};
use serde::Deserialize;

/// What became of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The server has it (with `hasty`: has received it).
    Accepted,
    /// The server refuses this event; sending it again changes nothing.
    Invalid {
        /// The error code, possibly one that this version does not know; `unknown` where the server
        /// gave none.
        code: String,
        /// Why, for people.
        message: String,
    },
    /// The event could not be delivered; the event itself may be fine.
    Failed(Failed),
}

/// Why an event could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// What kind of trouble.
    pub cause: Cause,
    /// The server's error code, or a word for what happened here.
    pub code: String,
    /// Why, for people.
    pub message: String,
    /// Whether the event may be stored nevertheless.
    pub outcome: Outcome,
}

/// What kind of trouble kept an event from being delivered, by what the caller can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No answer came until the deadline: check the address, try later.
    Unreachable,
    /// The server answered that it cannot take events now, until the deadline: try later.
    Unavailable,
    /// The server does not let this client publish: get other credentials.
    Denied,
    /// The answer is not one of an intake: check the address.
    Unexpected,
    /// The server failed on this event; its log has the details.
    Fault,
    /// The producer was dropped before an answer came.
    Abandoned,
}

impl Failed {
    pub(super) fn abandoned() -> Self {
        Self {
            cause: Cause::Abandoned,
            code: "abandoned".to_owned(),
            message: "the producer was dropped before the server answered".to_owned(),
            outcome: Outcome::Unknown,
        }
    }
}

/// What one attempt says of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Done(Verdict),
    /// Send it again; this is the verdict if there is no time left for that.
    Again(Failed),
}

/// Reads a report into one step per event of the request. `None` when the report names failures that
/// cannot be matched to events.
pub(super) fn steps(report: &ReceivedReport, events: &[&[u8]]) -> Option<Vec<Step>> {
    let mut steps = vec![Step::Done(Verdict::Accepted); events.len()];
    let listed = report
        .invalid
        .iter()
        .map(|f| (f, true))
        .chain(report.error.iter().map(|f| (f, false)));
    let mut matched = vec![false; events.len()];
    for (failure, invalid) in listed {
        let index = match failure.index {
            Some(index) => index,
            None => find(failure, events, &matched)?,
        };
        *matched.get_mut(index)? = true;
        steps[index] = step(failure, invalid);
    }
    Some(steps)
}

fn step(failure: &ReceivedFailure, invalid: bool) -> Step {
    let message = failure.message().to_owned();
    let text = failure.code.as_deref();
    let Some(code) = text.and_then(|text| text.parse::<ErrorCode>().ok()) else {
        let code = text.unwrap_or("unknown").to_owned();
        return Step::Done(if invalid {
            Verdict::Invalid { code, message }
        } else {
            // A server without codes: whether it helps to send again cannot be told.
            Verdict::Failed(Failed {
                cause: Cause::Fault,
                code,
                message,
                outcome: Outcome::Unknown,
            })
        });
    };
    let failed = |cause| Failed {
        cause,
        code: code.to_string(),
        message: message.clone(),
        outcome: code.outcome(),
    };
    match (code.outcome(), code.retryable(), code.status()) {
        (Outcome::Happened, ..) => Step::Done(Verdict::Accepted),
        (_, true, _) => Step::Again(failed(Cause::Unavailable)),
        (_, false, 401 | 403) => Step::Done(Verdict::Failed(failed(Cause::Denied))),
        (_, false, 400..=499) => Step::Done(Verdict::Invalid {
            code: code.to_string(),
            message,
        }),
        (_, false, _) => Step::Done(Verdict::Failed(failed(Cause::Fault))),
    }
}

/// Finds the event that a failure without index speaks of: the same text, else the same `meta.id`.
/// (The reference echoes events with defaults filled in, so texts may differ.)
fn find(failure: &ReceivedFailure, events: &[&[u8]], matched: &[bool]) -> Option<usize> {
    let echoed = failure.event.as_ref()?.get();
    let mut open = (0..events.len()).filter(|&i| !matched[i]);
    if let Some(index) = open.clone().find(|&i| events[i] == echoed.as_bytes()) {
        return Some(index);
    }
    let id = meta_id(echoed.as_bytes())?;
    open.find(|&i| meta_id(events[i]).as_ref() == Some(&id))
}

fn meta_id(event: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Event {
        meta: Meta,
    }
    #[derive(Deserialize)]
    struct Meta {
        id: String,
    }
    serde_json::from_slice::<Event>(event)
        .ok()
        .map(|event| event.meta.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str, events: &[&str]) -> Option<Vec<Step>> {
        let report = ReceivedReport::from_json(body.as_bytes()).unwrap();
        let events: Vec<&[u8]> = events.iter().map(|e| e.as_bytes()).collect();
        steps(&report, &events)
    }

    fn kinds(steps: &[Step]) -> Vec<String> {
        steps
            .iter()
            .map(|step| match step {
                Step::Done(Verdict::Accepted) => "accepted".to_owned(),
                Step::Done(Verdict::Invalid { code, .. }) => format!("invalid {code}"),
                Step::Done(Verdict::Failed(failed)) => format!("failed {}", failed.code),
                Step::Again(failed) => format!("again {}", failed.code),
            })
            .collect()
    }

    #[test]
    fn codes_decide() {
        let body = r#"{"invalid":[{"index":1,"code":"schema_violation","context":{"errorsText":"bad"}}],
            "error":[{"index":2,"code":"storage_unavailable","context":{"message":"m"}},
                     {"index":3,"code":"duplicate_event"},{"index":4,"code":"stream_unknown"},
                     {"index":5,"code":"storage_damaged"},{"index":6,"code":"new_one"},{"index":7,"code":"forbidden"}]}"#;
        let steps = read(body, &["{}"; 8]).unwrap();
        assert_eq!(
            kinds(&steps),
            [
                "accepted",
                "invalid schema_violation",
                "again storage_unavailable",
                "accepted",
                "invalid stream_unknown",
                "failed storage_damaged",
                "failed new_one",
                "failed forbidden",
            ]
        );
        assert_eq!(
            steps[1],
            Step::Done(Verdict::Invalid {
                code: "schema_violation".into(),
                message: "bad".into()
            })
        );
    }

    #[test]
    fn reports_without_index_are_matched_by_text_or_id() {
        let body = r#"{"invalid":[{"event":{"meta":{"id":"b"},"filled":1},"context":{"errorsText":"x"}},{"event":1}],"error":[]}"#;
        let steps = read(body, &["1", r#"{"meta":{"id":"a"}}"#, r#"{"meta":{"id":"b"}}"#]).unwrap();
        assert_eq!(kinds(&steps), ["invalid unknown", "accepted", "invalid unknown"]);
    }

    #[test]
    fn what_cannot_be_matched_is_not_guessed() {
        assert_eq!(
            read(r#"{"invalid":[{"event":{"meta":{"id":"z"}}}]}"#, &["{}"]),
            None
        );
        assert_eq!(read(r#"{"invalid":[{"index":9}]}"#, &["{}"]), None);
        assert_eq!(read(r#"{"invalid":[{}]}"#, &["{}"]), None);
    }
}

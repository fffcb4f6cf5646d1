//! Events with ids in a dedupe window: their append outlives the request that brought it, because the log
//! goes on when the request gives up, and whoever sends them again must be told what became of them.

use levada_event::{Record, TopicPartition};
use levada_log::LogError;
use levada_wire::{ErrorCode, Failure};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::dedupe::{HELD_BYTES_MAX, Held};
use super::{Behind, Intake, Plan, Texts, note};

/// What a record counts for beside its text.
const RECORD_BYTES: usize = 128;

impl Intake {
    /// Appends events whose ids are `held`: a task of its own keeps the ids until the log has answered.
    /// Room for it is waited for until `due`.
    pub(super) async fn append_held(
        &self,
        to: &TopicPartition,
        records: Vec<Record>,
        held: Held,
        due: Instant,
    ) -> Result<(), LogError> {
        let sizes = records.iter().map(|record| {
            let key = record.key.as_ref().map_or(0, |key| key.len());
            RECORD_BYTES + key + record.value.len()
        });
        let bytes = u32::try_from(sizes.sum::<usize>()).unwrap_or(u32::MAX);
        let room = self.windows.room.clone();
        let room = room.acquire_many_owned(bytes.min(HELD_BYTES_MAX));
        let Ok(Ok(room)) = tokio::time::timeout_at(due, room).await else {
            let why = "too much waits for storage that does not answer; nothing was stored";
            return Err(LogError::Unavailable(why.into()));
        };
        let (tell, told) = oneshot::channel();
        let (log, to) = (self.log.clone(), to.clone());
        tokio::spawn(async move {
            let outcome = log.append(&to, records).await.map(|_| ());
            match outcome {
                Ok(()) => held.confirm(),
                Err(_) => drop(held),
            }
            drop(room);
            if let Err(Err(error)) = tell.send(outcome) {
                tracing::error!(%to, %error, "an append failed behind the end of its request");
            }
        });
        told.await.unwrap_or_else(|_| {
            Err(LogError::Indeterminate(
                "the append ended without an answer".into(),
            ))
        })
    }
}

/// Waits until those ahead have their answers. What is left to do then: events whose ids are not stored
/// are appended after all. At `due` they fail.
pub(super) async fn wait(
    behind: Behind,
    due: Instant,
    texts: &Texts,
    failures: &mut Vec<Failure<'static>>,
) -> Option<Plan> {
    let Behind { plan, answers } = behind;
    let answered = async {
        for mut ahead in answers {
            // Nothing is ever sent: the channel closes.
            while ahead.changed().await.is_ok() {}
        }
    };
    if tokio::time::timeout_at(due, answered).await.is_ok() {
        return Some(plan);
    }
    let reason =
        "an event with the same meta.id is on its way and storage did not answer within the deadline";
    for group in plan.groups {
        let sent = group
            .events
            .into_iter()
            .map(|(index, event)| (index, event.value));
        let outcome = Err((ErrorCode::OutcomeUnknown, reason.to_owned()));
        note(sent.collect(), outcome, texts, failures);
    }
    None
}

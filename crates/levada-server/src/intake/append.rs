//! Records to the log: grouped by partition, in the order of the request, concurrently over
//! partitions, within the deadline.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use levada_event::{Record, TopicPartition};
use levada_log::LogError;
use levada_wire::report::Context;
use levada_wire::{ErrorCode, Failure};

use super::check::Checked;
use super::dedupe::{Answered, Held, Met};
use super::{Intake, Texts};

mod held;

/// What goes where.
#[derive(Default)]
pub(super) struct Plan {
    groups: Vec<Group>,
    /// Where the groups are, once they are too many to look through.
    places: HashMap<TopicPartition, usize>,
}

/// So many groups are looked through faster than a map is kept.
const GROUPS_FEW: usize = 8;

/// The events for one partition, in the order of the request, whichever streams they belong to.
struct Group {
    to: TopicPartition,
    events: Vec<(usize, Checked)>,
}

impl Plan {
    /// Adds the event at `index` of the request.
    pub(super) fn add(&mut self, index: usize, checked: Checked) {
        let to = checked.topic.partition(checked.partition);
        let few = self.groups.len() <= GROUPS_FEW;
        let found = match few {
            true => self.groups.iter().rposition(|group| group.to == *to),
            false => self.places.get(to).copied(),
        };
        let at = found.unwrap_or_else(|| {
            let at = self.groups.len();
            self.groups.push(Group {
                to: to.clone(),
                events: Vec::new(),
            });
            if at == GROUPS_FEW {
                let all = self.groups.iter().enumerate();
                self.places = all.map(|(at, group)| (group.to.clone(), at)).collect();
            } else if at > GROUPS_FEW {
                self.places.insert(to.clone(), at);
            }
            at
        });
        self.groups[at].events.push((index, checked));
    }
}

/// A group on its way: the indices of its events with their texts.
type Sent = Vec<(usize, Range<usize>)>;

/// Events of a request that carry ids on which others are ahead of them.
#[derive(Default)]
struct Behind {
    plan: Plan,
    answers: Vec<Answered>,
}

impl Intake {
    /// Appends what is planned and adds a failure for every event that was not stored.
    pub(super) async fn append(
        &self,
        plan: Plan,
        texts: Texts,
        hasty: bool,
        failures: &mut Vec<Failure<'static>>,
    ) {
        let due = tokio::time::Instant::now() + self.options.deadline;
        // Ids met in this request, and the events that repeat them: they share the first one's fate.
        let mut met: HashMap<(String, String), usize> = HashMap::new();
        let mut repeats: Vec<(usize, usize, Range<usize>)> = Vec::new();
        let mut plan = Some(plan);
        while let Some(planned) = plan.take() {
            let mut behind = Behind::default();
            let mut ready = Vec::new();
            for group in planned.groups {
                let mut sent = Vec::with_capacity(group.events.len());
                let mut records = Vec::with_capacity(group.events.len());
                let mut held: Option<Held> = None;
                for (index, checked) in group.events {
                    if let Some((stream, id)) = &checked.dedupe {
                        let first = *met.entry((stream.name.clone(), id.clone())).or_insert(index);
                        if first != index {
                            metrics::counter!("levada_intake_duplicates_total").increment(1);
                            repeats.push((index, first, checked.value.clone()));
                            continue;
                        }
                        let held = held.get_or_insert_with(|| Held::new(self.windows.clone()));
                        match held.enter(stream, id) {
                            Met::Free => {}
                            // The promise to the producer holds, nothing to do.
                            Met::Stored => {
                                metrics::counter!("levada_intake_duplicates_total").increment(1);
                                continue;
                            }
                            Met::OnItsWay(answered) => {
                                behind.answers.push(answered);
                                behind.plan.add(index, checked);
                                continue;
                            }
                        }
                    }
                    sent.push((index, checked.value.clone()));
                    records.push(record(&texts, checked));
                }
                if records.is_empty() {
                    continue;
                }
                ready.push((group.to, records, sent, held.filter(|held| !held.is_empty())));
            }
            match <[_; 1]>::try_from(ready) {
                // The common case, without the cost of the general one.
                Ok([(to, records, sent, held)]) => {
                    let outcome = self.append_group(to, records, hasty, held, due).await;
                    note(sent, outcome, &texts, failures);
                }
                Err(ready) => {
                    let mut sending: FuturesUnordered<_> = ready
                        .into_iter()
                        .map(|(to, records, sent, held)| async move {
                            (sent, self.append_group(to, records, hasty, held, due).await)
                        })
                        .collect();
                    while let Some((sent, outcome)) = sending.next().await {
                        note(sent, outcome, &texts, failures);
                    }
                }
            }
            if !behind.answers.is_empty() {
                plan = held::wait(behind, due, &texts, failures).await;
            }
        }
        for (index, first, range) in repeats {
            if let Some(failed) = failures.iter().find(|failure| failure.index == first) {
                let event = String::from_utf8_lossy(&texts[range]).into_owned().into();
                let (code, context) = (failed.code, failed.context.clone());
                failures.push(Failure {
                    index,
                    code,
                    event,
                    context,
                });
            }
        }
    }

    /// Appends the events of one partition, until `due`.
    async fn append_group(
        &self,
        to: TopicPartition,
        records: Vec<Record>,
        hasty: bool,
        held: Option<Held>,
        due: tokio::time::Instant,
    ) -> Result<(), (ErrorCode, String)> {
        let appending = async {
            match held {
                // A hasty append may come to nothing: what stands in a window must be sure, or a later
                // event of the same id would count as stored already.
                Some(held) => Box::pin(self.append_held(&to, records, held, due)).await,
                None if hasty => self.log.append_hasty(&to, records).await,
                None => self.log.append(&to, records).await.map(|_| ()),
            }
        };
        match tokio::time::timeout_at(due, appending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::error!(%to, %error, "append failed");
                if matches!(error, LogError::UnknownTopic(_)) {
                    self.topics.forget(&to.topic);
                }
                Err((code_of(&error), error.to_string()))
            }
            // The append goes on without us, so its outcome is not known.
            Err(_) => Err((
                ErrorCode::OutcomeUnknown,
                "storage did not answer within the deadline".into(),
            )),
        }
    }
}

/// Notes what became of events.
fn note(
    sent: Sent,
    outcome: Result<(), (ErrorCode, String)>,
    texts: &Texts,
    failures: &mut Vec<Failure<'static>>,
) {
    let Err((code, reason)) = outcome else { return };
    for (index, range) in sent {
        let event = String::from_utf8_lossy(&texts[range]).into_owned().into();
        let context = Context::Message(reason.clone());
        failures.push(Failure {
            index,
            code,
            event,
            context,
        });
    }
}

fn record(texts: &Bytes, checked: Checked) -> Record {
    Record {
        key: checked.key.map(|range| texts.slice(range)),
        value: texts.slice(checked.value),
        timestamp: checked.timestamp,
        splice: checked.splice,
        flags: checked.flags,
    }
}

fn code_of(error: &LogError) -> ErrorCode {
    match error {
        LogError::TooLarge { .. } => ErrorCode::EventTooLarge,
        LogError::Indeterminate(_) => ErrorCode::OutcomeUnknown,
        _ => ErrorCode::StorageUnavailable,
    }
}

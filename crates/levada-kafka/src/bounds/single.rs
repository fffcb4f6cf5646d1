//! Questions about one partition alone, one at a time of each.
//!
//! A partition whose broker is away has no answer until patience is over, however many ask. Whoever asks
//! while a question is under way waits for the next one, which is for all who came meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use levada_event::TopicPartition;
use parking_lot::Mutex;
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode};
use tokio::sync::oneshot;

use super::{Answer, TOGETHER_FOR, look_up};
use crate::probe::{Line, Probe, Unanswered};

/// A partition that was asked about in vain is asked about alone, for so long.
const ALONE_FOR: Duration = Duration::from_secs(15);

pub(super) type Asker = oneshot::Sender<Answer>;

pub(super) struct Singles {
    probe: Arc<Probe>,
    /// Partitions that were asked about in vain, and when.
    in_vain: Mutex<HashMap<TopicPartition, Instant>>,
    /// Who waits for the next question about a partition. Where there is an entry, a task sees to it.
    waiting: Mutex<HashMap<TopicPartition, Vec<Asker>>>,
}

impl Singles {
    pub(super) fn new(probe: Arc<Probe>) -> Self {
        Self {
            probe,
            in_vain: Mutex::default(),
            waiting: Mutex::default(),
        }
    }

    /// Whether the partition was asked about in vain of late.
    pub(super) fn doubts(&self, of: &TopicPartition) -> bool {
        let in_vain = self.in_vain.lock();
        in_vain.get(of).is_some_and(|at| at.elapsed() < ALONE_FOR)
    }

    /// Notes whether a question about the partition was answered, if only by a refusal.
    pub(super) fn note(&self, of: &TopicPartition, answered: bool) {
        let mut in_vain = self.in_vain.lock();
        if answered {
            in_vain.remove(of);
        } else {
            in_vain.retain(|_, at| at.elapsed() < ALONE_FOR);
            in_vain.insert(of.clone(), Instant::now());
        }
    }

    /// Lets the next question about the partition be for these askers too. Without a `line` it is the one
    /// for partitions in doubt if this is one.
    pub(super) fn ask(self: &Arc<Self>, of: TopicPartition, askers: Vec<Asker>, line: Option<Line>) {
        let mut waiting = self.waiting.lock();
        if let Some(others) = waiting.get_mut(&of) {
            others.extend(askers);
            return;
        }
        waiting.insert(of.clone(), askers);
        drop(waiting);
        tokio::spawn(self.clone().see_to(of, line));
    }

    async fn see_to(self: Arc<Self>, of: TopicPartition, mut line: Option<Line>) {
        loop {
            let doubted = self.doubts(&of);
            let line = line
                .take()
                .unwrap_or(if doubted { Line::Doubtful } else { Line::General });
            let turn = self.probe.turn(line).await;
            let Some(askers) = self.next(&of) else { return };
            let answer = match turn {
                Ok(turn) => {
                    let patience = self.probe.patience(Some(&of.topic));
                    // It may be away; what asks again is patient, in the other line.
                    let within = if doubted {
                        patience
                    } else {
                        patience.min(TOGETHER_FOR)
                    };
                    let only = [of.clone()];
                    let question = move |client: &_, timeout| look_up(client, &only, timeout);
                    let found = self.probe.ask_in(turn, within, question).await;
                    // Whoever could not be asked about, not whoever was refused.
                    self.note(&of, found.is_ok());
                    let unknown = || Err(Native::MetadataFetch(RDKafkaErrorCode::UnknownPartition));
                    found.and_then(|found| {
                        let bounds = found.get(&of).cloned().unwrap_or_else(unknown);
                        bounds.map_err(Unanswered::Refused)
                    })
                }
                Err(why) => Err(why),
            };
            for asker in askers {
                let _ = asker.send(answer.clone());
            }
        }
    }

    /// Those who wait now; `None`, and the entry is gone, when nobody does.
    fn next(&self, of: &TopicPartition) -> Option<Vec<Asker>> {
        let mut waiting = self.waiting.lock();
        let askers = waiting.get_mut(of)?;
        let mut askers = std::mem::take(askers);
        // Those who have gone need no answer.
        askers.retain(|asker| !asker.is_closed());
        if askers.is_empty() {
            waiting.remove(of);
            return None;
        }
        Some(askers)
    }
}

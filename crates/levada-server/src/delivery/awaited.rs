//! Topics that do not exist yet: looked for once for all who wait for one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, Shared, WeakShared};
use levada_event::{TopicName, TopicPartition};
use levada_log::{Log, LogError};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::limits::{READ_RETRIES, TOPIC_AWAIT_FIRST, TOPIC_AWAIT_MAX, TOPIC_AWAIT_SHARE};

type Search = BoxFuture<'static, Result<(), LogError>>;

/// The searches under way. A search is driven by those who wait, and ends with the last of them.
#[derive(Default)]
pub(crate) struct Awaited {
    searches: Mutex<HashMap<TopicName, WeakShared<Search>>>,
}

impl Awaited {
    /// Waits until the partition exists.
    ///
    /// # Errors
    /// The log's, when it has not answered for as long as a read is tried.
    pub(crate) async fn appears(&self, log: &Arc<dyn Log>, of: &TopicPartition) -> Result<(), LogError> {
        self.search(log, &of.topic).await?;
        // Of a topic with fewer partitions than were expected, the others may be added some day.
        look_for(log, of, TOPIC_AWAIT_MAX).await
    }

    /// The search for a topic's first partition.
    fn search(&self, log: &Arc<dyn Log>, topic: &TopicName) -> Shared<Search> {
        let mut searches = self.searches.lock();
        if let Some(search) = searches.get(topic).and_then(WeakShared::upgrade) {
            return search;
        }
        searches.retain(|_, search| search.upgrade().is_some());
        let (log, first) = (log.clone(), TopicPartition::new(topic.clone(), 0));
        let search: Search = async move { look_for(&log, &first, TOPIC_AWAIT_FIRST).await }.boxed();
        let search = search.shared();
        if let Some(weak) = search.downgrade() {
            searches.insert(topic.clone(), weak);
        }
        search
    }
}

/// Looks for a partition, at once when this process makes a topic and otherwise with pauses that begin
/// with `pause` and grow with the time waited.
async fn look_for(log: &Arc<dyn Log>, of: &TopicPartition, pause: Duration) -> Result<(), LogError> {
    let began = Instant::now();
    let mut made = log.topics_made();
    let mut in_vain = 0;
    loop {
        match log.bounds(of).await {
            Ok(_) => return Ok(()),
            Err(error @ LogError::UnknownTopic(_)) => {
                in_vain = 0;
                tracing::debug!(partition = %of, %error, "the topic is not there yet");
            }
            Err(error) if in_vain < READ_RETRIES => {
                in_vain += 1;
                tracing::debug!(partition = %of, %error, "nobody knows whether the topic is there");
            }
            Err(error) => return Err(error),
        }
        let pause = (began.elapsed() / TOPIC_AWAIT_SHARE).clamp(pause, TOPIC_AWAIT_MAX);
        let news = async {
            let told = match &mut made {
                Some(made) => made.changed().await.is_ok(),
                None => false,
            };
            if !told {
                std::future::pending::<()>().await;
            }
        };
        let _ = tokio::time::timeout(pause, news).await;
    }
}

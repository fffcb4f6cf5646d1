//! `GET /v2/articles/positions`, `/v2/streams/{stream}/positions`: where every partition begins and
//! ends, so that a client keeps a resume point for partitions in which nothing matched.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use http::{Response, StatusCode};
use levada_catalog::SpliceKind;
use levada_event::{Offset, Timestamp, TopicPartition};
use levada_log::{Log, LogError, ReadLimit, TopicSpec};
use serde_json::json;

use super::{Refusal, find, path_of};
use crate::http::access::Wanted;
use crate::http::respond::{Body, JSON, plain};
use crate::http::stream::topics;
use crate::http::{App, Call};

/// Partitions that are looked at side by side.
const LOOKUPS_AT_ONCE: usize = 8;

/// How long the log may take to bring one record.
const WAIT: Duration = Duration::ZERO;

/// Answers `{"stream", "log", "splice", "partitions": [{"topic", "partition", "earliest", "next", "latest", "earliest_dt",
/// "latest_dt"}]}`: offsets to resume at, the last record's offset, and the timestamps of the first and the
/// last record kept, left out where there is none. `log` is the id of the log that the offsets belong to.
pub(in crate::http) async fn positions(app: &App, call: &Call, name: &str) -> Response<Body> {
    match look(app, call, name).await {
        Ok(response) => App::headless(call.request.method(), response),
        Err(refusal) => *refusal,
    }
}

async fn look(app: &App, call: &Call, name: &str) -> Result<Response<Body>, Box<Response<Body>>> {
    let refused = |refusal: Refusal| Box::new(app.refuse(&refusal));
    let stream = find(app, name).map_err(refused)?;
    app.require(call, &[Wanted::read(path_of(name), stream.name.clone())])?;
    let log = app.delivery.log();
    let mut wanted = Vec::new();
    for topic in topics(app, &stream) {
        // The events of a topic that does not exist are still to come.
        let count = partitions(log, &topic.spec).await.map_err(refused)?.unwrap_or(0);
        wanted.extend((0..count).map(|p| TopicPartition::new(topic.spec.name.clone(), p)));
    }
    let rows: Vec<_> = stream::iter(wanted)
        .map(|of| async move {
            let bounds = log.bounds(&of).await?;
            let is_empty = bounds.next == bounds.earliest;
            let last = if is_empty {
                None
            } else {
                time_at(&**log, &of, bounds.next - 1).await?
            };
            let first = if is_empty {
                None
            } else {
                time_at(&**log, &of, bounds.earliest).await?
            };
            let mut row = json!({
                "topic": of.topic.as_str(),
                "partition": of.partition,
                "earliest": bounds.earliest,
                "next": bounds.next,
            });
            if !is_empty {
                row["latest"] = (bounds.next - 1).into();
            }
            for (key, time) in [("earliest_dt", first), ("latest_dt", last)] {
                if let Some(time) = time {
                    row[key] = time.to_string().into();
                }
            }
            Ok::<_, LogError>(row)
        })
        .buffered(LOOKUPS_AT_ONCE)
        .try_collect()
        .await
        .map_err(|error| refused(unavailable(&error)))?;
    let splice = match stream.levada.splice {
        SpliceKind::Meta => "meta",
        SpliceKind::Event => "event",
    };
    let body = json!({
        "stream": stream.name,
        "log": log.facts().id,
        "splice": splice,
        "partitions": rows,
    });
    let mut response = plain(StatusCode::OK, JSON, format!("{body}\n"));
    app.stream_headers(response.headers_mut());
    Ok(response)
}

/// The timestamp of the record at `offset`, or of the next one kept behind a hole.
async fn time_at(log: &dyn Log, of: &TopicPartition, offset: Offset) -> Result<Option<Timestamp>, LogError> {
    let limit = ReadLimit { bytes: 1, wait: WAIT };
    match log.read(&of.at(offset), limit).await {
        Ok(batch) => Ok(batch.iter().next().map(|record| record.timestamp)),
        // Retention was faster.
        Err(LogError::OutOfRange(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How many partitions a topic has; `None` for one that does not exist.
pub(super) async fn partitions(log: &Arc<dyn Log>, spec: &TopicSpec) -> Result<Option<u32>, Refusal> {
    match log.existing(spec).await {
        Ok(info) => Ok(Some(info.partitions)),
        Err(LogError::UnknownTopic(_)) => Ok(None),
        Err(error) => Err(unavailable(&error)),
    }
}

fn unavailable(error: &LogError) -> Refusal {
    Refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        format!("the log did not answer: {error}; try again"),
    )
}

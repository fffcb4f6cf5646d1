//! `GET /v2/articles/positions`, `/v2/streams/{stream}/positions`: where every partition begins and
//! ends, so that a client keeps a resume point for partitions in which nothing matched.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use http::{Response, StatusCode};
use levada_catalog::SpliceKind;
use levada_event::{Offset, Timestamp, TopicPartition};
use levada_log::{Log, LogError, ReadLimit, TopicSpec};
use serde_json::{Value, json};

use super::{Refusal, find, wanted};
use crate::http::respond::{Body, JSON, plain};
use crate::http::stream::topics;
use crate::http::{App, Call};

/// Partitions that are looked at side by side.
const LOOKUPS_AT_ONCE: usize = 8;

/// How long the log may take to bring one record.
const WAIT: Duration = Duration::ZERO;

/// Answers `{"stream", "log", "splice", "partitions": [{"topic", "partition", "earliest", "next", "latest", "earliest_dt",
/// "latest_dt"}]}`: offsets to resume at, the last record's offset, and the timestamps of the first and the
/// last record kept, left out where there is none or it cannot be read; of a partition that cannot be asked, the
/// offsets too. `log` is the id of the log that the offsets belong to.
pub(in crate::http) async fn positions(app: &App, call: &Call, name: &str) -> Response<Body> {
    match look(app, call, name).await {
        Ok(response) => App::headless(call.request.method(), response),
        Err(refusal) => *refusal,
    }
}

async fn look(app: &App, call: &Call, name: &str) -> Result<Response<Body>, Box<Response<Body>>> {
    let refused = |refusal: Refusal| Box::new(app.refuse(&refusal));
    let stream = find(app, name).map_err(refused)?;
    app.require(call, &[wanted(name, &stream)])?;
    let log = app.delivery.log();
    let mut all = Vec::new();
    for topic in topics(app, &stream) {
        // The events of a topic that does not exist are still to come.
        let count = partitions(log, &topic.spec).await.map_err(refused)?.unwrap_or(0);
        all.extend((0..count).map(|p| TopicPartition::new(topic.spec.name.clone(), p)));
    }
    let found: Vec<_> = stream::iter(all)
        .map(|of| async move { (row(&**log, &of).await, of) })
        .buffered(LOOKUPS_AT_ONCE)
        .collect()
        .await;
    if let Some(error) = log_is_away(&found) {
        return Err(refused(unavailable(error)));
    }
    let rows: Vec<Value> = found
        .into_iter()
        .map(|(row, of)| {
            row.unwrap_or_else(|error| {
                tracing::debug!(partition = %of, %error, "its place cannot be told");
                bare(&of)
            })
        })
        .collect();
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

/// What is told of one partition.
async fn row(log: &dyn Log, of: &TopicPartition) -> Result<Value, LogError> {
    let bounds = log.bounds(of).await?;
    let mut row = bare(of);
    row["earliest"] = bounds.earliest.into();
    row["next"] = bounds.next.into();
    if bounds.next == bounds.earliest {
        return Ok(row);
    }
    row["latest"] = (bounds.next - 1).into();
    for (key, offset) in [("latest_dt", bounds.next - 1), ("earliest_dt", bounds.earliest)] {
        if let Some(time) = time_at(log, of, offset).await {
            row[key] = time.to_string().into();
        }
    }
    Ok(row)
}

/// A partition of which nothing more is known.
fn bare(of: &TopicPartition) -> Value {
    json!({ "topic": of.topic.as_str(), "partition": of.partition })
}

/// Why no partition can be told. One that cannot, while others can, keeps nobody from the others.
fn log_is_away(found: &[(Result<Value, LogError>, TopicPartition)]) -> Option<&LogError> {
    let none = found.iter().all(|(row, _)| row.is_err());
    found
        .first()
        .filter(|_| none)
        .and_then(|(row, _)| row.as_ref().err())
}

/// The timestamp of the record at `offset`, or of the next one kept behind a hole; `None` where it cannot be
/// read: retention was faster, it is damaged, or its broker is away.
async fn time_at(log: &dyn Log, of: &TopicPartition, offset: Offset) -> Option<Timestamp> {
    let limit = ReadLimit { bytes: 1, wait: WAIT };
    match log.read(&of.at(offset), limit).await {
        Ok(batch) => batch.iter().next().map(|record| record.timestamp),
        Err(error) => {
            tracing::debug!(position = %of.at(offset), %error, "no time is told of this record");
            None
        }
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

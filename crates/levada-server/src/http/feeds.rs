//! Requests for the feeds, handed over whole.

use http::{Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use levada_feeds::Feeds;

use super::Call;
use super::respond::{Body, empty};

/// Feeds take no bodies worth the name.
const BODY_BYTES_MAX: usize = 64 * 1024;

pub(super) async fn answer(feeds: &Feeds, call: Call) -> Response<Body> {
    let (parts, body) = call.request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return empty(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let request = http::Request::from_parts(parts, body.to_bytes());
    feeds.handle(request).await.map(Body::Ready)
}

//! Requests for the feeds, handed over whole.

use http::{Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use levada_feeds::Feeds;

use super::Call;
use super::body::FORM_TIMEOUT;
use super::respond::{Body, empty};

/// Feeds take no bodies worth the name.
const BODY_BYTES_MAX: usize = 64 * 1024;

pub(super) async fn answer(feeds: &Feeds, call: Call) -> Response<Body> {
    let (parts, body) = call.request.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect();
    let body = match tokio::time::timeout(FORM_TIMEOUT, body).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return empty(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => return empty(StatusCode::REQUEST_TIMEOUT),
    };
    let request = http::Request::from_parts(parts, body.to_bytes());
    feeds.handle(request).await.map(Body::Ready)
}

//! The adapter to the network: one pooled HTTP client.
//!
//! Trusts nothing it receives: the size of a body is bounded while it is read. Follows no redirects itself.

use super::{Fetch, FetchError, Request, Response};
use crate::config::FeedsConfig;
use async_trait::async_trait;
use bytes::BytesMut;
use http::header;
use std::error::Error;
use std::time::Duration;

/// Fetches over HTTP/1.1 and HTTP/2 with connections kept open.
pub struct Pooled {
    direct: reqwest::Client,
    /// For requests whose `Host` header is not the host connected to: HTTP/2 has no such thing.
    through: reqwest::Client,
    user_agent: String,
    max_body: usize,
}

impl Pooled {
    /// Builds the client. Fails when the TLS library finds no usable trust roots.
    pub fn new(config: &FeedsConfig) -> Result<Pooled, FetchError> {
        // Another part of the process may have chosen a provider already; then that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = || {
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(Duration::from_millis(config.upstream.connect_timeout_ms))
                .pool_max_idle_per_host(config.upstream.pool)
                .tcp_nodelay(true)
                .referer(false)
        };
        let built = |builder: reqwest::ClientBuilder| {
            builder
                .build()
                .map_err(|error| FetchError::Unsendable(chain(&error)))
        };
        Ok(Pooled {
            direct: built(client())?,
            through: built(client().http1_only())?,
            user_agent: config.user_agent.clone(),
            max_body: config.upstream.max_body,
        })
    }
}

#[async_trait]
impl Fetch for Pooled {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        let client = if request.host.is_some() {
            &self.through
        } else {
            &self.direct
        };
        let mut builder = client
            .get(&request.url)
            .header(header::USER_AGENT, &self.user_agent)
            .header("x-request-id", &*request.request_id);
        if let Some(host) = &request.host {
            builder = builder.header(header::HOST, host);
        }
        if let Some(accept) = request.accept {
            builder = builder.header(header::ACCEPT, accept);
        }
        if let Some(language) = &request.language {
            builder = builder.header(header::ACCEPT_LANGUAGE, &**language);
        }
        let mut answer = builder.send().await.map_err(refused)?;
        let text = |name: header::HeaderName| {
            answer
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let mut response = Response {
            status: answer.status().as_u16(),
            content_type: text(header::CONTENT_TYPE),
            location: text(header::LOCATION),
            retry_after_s: text(header::RETRY_AFTER).and_then(|value| value.parse().ok()),
            body: bytes::Bytes::new(),
        };
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(refused)? {
            if body.len() + chunk.len() > self.max_body {
                return Err(FetchError::TooLarge(self.max_body));
            }
            body.extend_from_slice(&chunk);
        }
        // Without the room to grow: some bodies are kept.
        response.body = bytes::Bytes::copy_from_slice(&body);
        Ok(response)
    }
}

fn refused(error: reqwest::Error) -> FetchError {
    if error.is_builder() || error.is_request() && error.url().is_none() {
        return FetchError::Unsendable(chain(&error));
    }
    FetchError::Network(chain(&error.without_url()))
}

/// The error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

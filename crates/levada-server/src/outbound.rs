//! HTTP to other servers: the one client behind the ports of the catalog.

use std::sync::Once;
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use levada_catalog::{Fetch, FetchError, FetchedBody};

/// Largest answer that is read. The whole stream configuration of Wikimedia has 160 KB.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long a request may take, whole.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Fetches over HTTP and HTTPS.
#[derive(Debug, Clone)]
pub struct Outbound {
    client: reqwest::Client,
}

impl Outbound {
    /// A client with its connection pool.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new() -> Result<Self, reqwest::Error> {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // Fails only when another part of the process chose a provider before, which is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let client = reqwest::Client::builder()
            .user_agent(concat!(
                "levada/",
                env!("CARGO_PKG_VERSION"),
                " (+",
                env!("CARGO_PKG_REPOSITORY"),
                ")"
            ))
            .timeout(TIMEOUT)
            .build()?;
        Ok(Self { client })
    }
}

#[async_trait]
impl Fetch for Outbound {
    async fn get(&self, url: &str, headers: &[(String, String)]) -> Result<FetchedBody, FetchError> {
        let mut request = self.client.get(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let unavailable = |e: reqwest::Error| FetchError::Unavailable(format!("{url}: {e}"));
        let mut answer = request.send().await.map_err(unavailable)?;
        let status = answer.status();
        if matches!(status.as_u16(), 404 | 410) {
            return Err(FetchError::NotFound(format!("{url}: {status}")));
        }
        if !status.is_success() {
            return Err(FetchError::Unavailable(format!("{url}: {status}")));
        }
        let mut bytes = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(unavailable)? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                let reason = format!("{url}: the answer has more than {ANSWER_BYTES_MAX} bytes");
                return Err(FetchError::Unavailable(reason));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(FetchedBody {
            bytes: bytes.freeze(),
        })
    }
}

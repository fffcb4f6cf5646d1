//! The server to talk to: its address, credentials and the HTTP client for it.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use crate::login::{Login, LoginError};

/// Longest wait for a TCP (and TLS) connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Most bytes of an error body that are read.
pub(crate) const ERROR_BODY_MAX: usize = 64 * 1024;

/// Why a client cannot be set up. All of these are mistakes in its configuration.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The address is no http(s) URL.
    #[error("{url:?} is no address of a server (such as http://127.0.0.1:8192): {reason}")]
    Address {
        /// The text.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The token cannot stand in a header.
    #[error("the token has characters that no token has")]
    Token,
    /// The HTTP client cannot be made.
    #[error("cannot set up HTTP: {0}")]
    Http(String),
}

/// A server: base address, credentials, connections. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Server {
    base: Url,
    http: reqwest::Client,
    login: Option<Arc<Login>>,
}

impl Server {
    /// The server at `url`, for example `http://127.0.0.1:8192` or `https://stream.example.org`; without
    /// a scheme `http` is meant. A path is kept as a prefix of all routes. `token` is sent as bearer
    /// token. Servers on the loopback interface are reached directly, others through the proxy that
    /// the environment names, if any.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(url: &str, token: Option<&str>) -> Result<Self, SetupError> {
        let base = parse_base(url)?;
        // The first caller in the process sets the provider; that it is set is all that counts.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let mut value =
                HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| SetupError::Token)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("levada/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .retry(reqwest::retry::never());
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| SetupError::Http(chain(&error)))?;
        Ok(Self {
            base,
            http,
            login: None,
        })
    }

    /// The same server with a name and a password, for which access tokens are fetched
    /// (`POST /v1/login`) when one is needed.
    #[must_use]
    pub fn with_login(mut self, username: &str, password: &str) -> Self {
        self.login = Some(Arc::new(Login::new(username, password)));
        self
    }

    /// Value of `Authorization` for a request; `None` where there is no login, or where the client
    /// itself carries a token.
    pub(crate) async fn authorization(&self) -> Result<Option<HeaderValue>, LoginError> {
        match &self.login {
            None => Ok(None),
            Some(login) => login.header(&self.http, &self.at("/v1/login")).await.map(Some),
        }
    }

    /// Forgets the token that was refused, as [`authorization`](Self::authorization) gave it; whether another
    /// attempt makes sense.
    pub(crate) async fn forget_token(&self, refused: Option<&HeaderValue>) -> bool {
        match (&self.login, refused) {
            (Some(login), Some(refused)) => login.forget(refused).await,
            _ => false,
        }
    }

    /// The base address.
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Gets a path (with query) below the base address and returns status and body. For small answers:
    /// reads at most `max` bytes, within `timeout`.
    ///
    /// # Errors
    /// A sentence that says why there is no answer.
    pub async fn get(&self, path: &str, max: usize, timeout: Duration) -> Result<(u16, Vec<u8>), String> {
        let work = async {
            let mut request = self.http.get(self.at(path));
            if let Some(value) = self.authorization().await.map_err(|error| error.to_string())? {
                request = request.header(AUTHORIZATION, value);
            }
            let mut response = request.send().await.map_err(|error| chain(&error))?;
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| chain(&error))? {
                if body.len() + chunk.len() > max {
                    return Err(format!("the answer is larger than {max} bytes"));
                }
                body.extend_from_slice(&chunk);
            }
            Ok((response.status().as_u16(), body))
        };
        match tokio::time::timeout(timeout, work).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {timeout:?}")),
        }
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The address of a route with its query.
    pub(crate) fn at(&self, path_and_query: &str) -> String {
        format!("{}{path_and_query}", self.url())
    }
}

/// Reads a body, at most its first `max` bytes.
pub(crate) async fn read_body(
    response: &mut reqwest::Response,
    max: usize,
) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = max - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == max {
            break;
        }
    }
    Ok(body)
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !out.contains(&text) {
            out.push_str(": ");
            out.push_str(&text);
        }
        source = cause.source();
    }
    out
}

/// A header's value as text.
pub(crate) fn header<'r>(response: &'r reqwest::Response, name: &HeaderName) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

fn parse_base(text: &str) -> Result<Url, SetupError> {
    let wrong = |reason: String| SetupError::Address {
        url: text.to_owned(),
        reason,
    };
    let with_scheme = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let mut url = Url::parse(&with_scheme).map_err(|error| wrong(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("the scheme is neither http nor https".to_owned()));
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let url = |text| Server::new(text, None).map(|s| s.at("/v1/events?x"));
        assert_eq!(
            url("http://127.0.0.1:8192").unwrap(),
            "http://127.0.0.1:8192/v1/events?x"
        );
        assert_eq!(
            url("127.0.0.1:8192/").unwrap(),
            "http://127.0.0.1:8192/v1/events?x"
        );
        assert_eq!(
            url("https://h/prefix/?q#f").unwrap(),
            "https://h/prefix/v1/events?x"
        );
        for bad in ["", "ftp://h", "http://", "http://[::"] {
            assert!(matches!(url(bad), Err(SetupError::Address { .. })), "{bad}");
        }
        assert!(matches!(Server::new("h", Some("a\nb")), Err(SetupError::Token)));
    }

    #[test]
    fn loopback_is_known() {
        for (text, loopback) in [
            ("localhost:1", true),
            ("127.0.0.9", true),
            ("[::1]:5", true),
            ("example.org", false),
        ] {
            assert_eq!(is_loopback(&parse_base(text).unwrap()), loopback, "{text}");
        }
    }
}

//! How documents come in: local files are read here, addresses through a port.

use std::io;
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::AsyncReadExt as _;

/// Largest stream configuration document. The full production answer has 160 KB.
pub(crate) const CONFIG_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Largest schema document. The largest Wikimedia schema has 30 KB.
pub(crate) const SCHEMA_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The port through which documents on http(s) addresses are read. The adapter follows redirects,
/// bounds time and size, and turns every answer but 2xx into an error.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// The body of a successful answer to `GET url` with `headers` added.
    ///
    /// # Errors
    /// [`FetchError::NotFound`] if the server said that nothing is there (404, 410),
    /// [`FetchError::Unavailable`] for everything else.
    async fn get(&self, url: &str, headers: &[(String, String)]) -> Result<FetchedBody, FetchError>;
}

/// The body of a successful answer.
#[derive(Debug, Clone)]
pub struct FetchedBody {
    /// Its bytes, content encoding already undone.
    pub bytes: Bytes,
}

/// Why a document could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Nothing is there; asking again soon will not help.
    #[error("{0}")]
    NotFound(String),
    /// No answer, or none that says whether something is there; asking again may help.
    #[error("{0}")]
    Unavailable(String),
}

/// A port that refuses every address, for work that must stay local.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFetch;

#[async_trait]
impl Fetch for NoFetch {
    async fn get(&self, url: &str, _: &[(String, String)]) -> Result<FetchedBody, FetchError> {
        Err(FetchError::Unavailable(format!(
            "{url} is not fetched: network access is switched off"
        )))
    }
}

/// Reads a regular file of at most `max` bytes.
pub(crate) async fn read_file(path: &Path, max: usize) -> Result<Vec<u8>, FetchError> {
    let unavailable = |error: &io::Error| FetchError::Unavailable(format!("{}: {error}", path.display()));
    let file = match tokio::fs::File::open(path).await {
        Ok(file) => file,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Err(FetchError::NotFound(format!("{} does not exist", path.display())));
        }
        Err(error) => return Err(unavailable(&error)),
    };
    let facts = file.metadata().await.map_err(|e| unavailable(&e))?;
    if !facts.is_file() {
        return Err(FetchError::NotFound(format!("{} is no file", path.display())));
    }
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too long from one that just fits.
    file.take(max as u64 + 1)
        .read_to_end(&mut bytes)
        .await
        .map_err(|e| unavailable(&e))?;
    if bytes.len() > max {
        return Err(FetchError::Unavailable(format!(
            "{} has more than {max} bytes",
            path.display()
        )));
    }
    Ok(bytes)
}

/// Fetches an address and refuses a body of more than `max` bytes.
pub(crate) async fn read_url(
    fetch: &dyn Fetch,
    url: &str,
    headers: &[(String, String)],
    max: usize,
) -> Result<Bytes, FetchError> {
    let body = fetch.get(url, headers).await?;
    if body.bytes.len() > max {
        return Err(FetchError::Unavailable(format!(
            "{url} has more than {max} bytes"
        )));
    }
    Ok(body.bytes)
}

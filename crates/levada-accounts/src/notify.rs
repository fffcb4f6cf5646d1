//! How codes reach people: a port, and the outbox that needs no mail service.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use levada_event::Timestamp;
use serde::{Deserialize, Serialize};

use crate::limits::OUTBOX_FILES_MAX;
use crate::secret::{NoRandomness, Secret, hex, random_bytes};

/// A code on its way to a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Name of the user.
    pub username: String,
    /// Where the user reads mail, when that is known.
    pub email: Option<String>,
    /// What `/v1/forgot-password-confirm` wants as `confirmation_code`.
    pub code: Secret,
    /// When the code ends.
    pub expires_at: Timestamp,
}

/// A notice could not be delivered; the text is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotifyError(pub String);

impl From<NoRandomness> for NotifyError {
    fn from(error: NoRandomness) -> Self {
        Self(error.to_string())
    }
}

/// Delivers notices: a mail service in one installation, the [`Outbox`] in another.
#[async_trait]
pub trait Notifier: Send + Sync + 'static {
    /// Delivers one notice.
    ///
    /// # Errors
    /// [`NotifyError`] when it will not arrive.
    async fn deliver(&self, notice: &Notice) -> Result<(), NotifyError>;

    /// Forgets what has ended at `now`. Called by maintenance.
    ///
    /// # Errors
    /// [`NotifyError`] when that failed; it is tried again.
    async fn tidy(&self, now: Timestamp) -> Result<(), NotifyError> {
        let _ = now;
        Ok(())
    }
}

/// Writes each notice as a JSON file that only the operator's account can read, for a person or a
/// program of the operator to pass on.
#[derive(Debug, Clone)]
pub struct Outbox {
    directory: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct File {
    username: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    confirmation_code: String,
    expires_at: String,
}

impl Outbox {
    /// An outbox in `directory`, which is made at the first notice.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, NotifyError> + Send + 'static,
    ) -> Result<T, NotifyError> {
        let directory = self.directory.clone();
        tokio::task::spawn_blocking(move || work(&directory))
            .await
            .map_err(|e| NotifyError(e.to_string()))?
    }
}

#[async_trait]
impl Notifier for Outbox {
    async fn deliver(&self, notice: &Notice) -> Result<(), NotifyError> {
        let file = File {
            username: notice.username.clone(),
            email: notice.email.clone(),
            confirmation_code: notice.code.expose().to_owned(),
            expires_at: notice.expires_at.to_string(),
        };
        self.blocking(move |directory| write(directory, &file)).await
    }

    async fn tidy(&self, now: Timestamp) -> Result<(), NotifyError> {
        self.blocking(move |directory| tidy(directory, now)).await
    }
}

/// Names begin with the time of expiry, so that they sort by it; nothing of the user is in them.
fn write(directory: &Path, file: &File) -> Result<(), NotifyError> {
    let fault = |what: &Path, e: &dyn std::fmt::Display| NotifyError(format!("{}: {e}", what.display()));
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(|e| fault(directory, &e))?;
    if notices(directory)?.len() >= OUTBOX_FILES_MAX {
        return Err(NotifyError(format!(
            "{} has {OUTBOX_FILES_MAX} files and takes no more",
            directory.display()
        )));
    }
    let name = format!(
        "{}-{}",
        file.expires_at.replace(':', ""),
        hex(&random_bytes::<8>()?)
    );
    let (hidden, path) = (
        directory.join(format!(".{name}")),
        directory.join(format!("{name}.json")),
    );
    let mut text = serde_json::to_string_pretty(file).map_err(|e| NotifyError(e.to_string()))?;
    text.push('\n');
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut open = options.open(&hidden).map_err(|e| fault(&hidden, &e))?;
    std::io::Write::write_all(&mut open, text.as_bytes()).map_err(|e| fault(&hidden, &e))?;
    // Whoever watches the folder sees whole files only.
    std::fs::rename(&hidden, &path).map_err(|e| fault(&path, &e))
}

fn tidy(directory: &Path, now: Timestamp) -> Result<(), NotifyError> {
    for path in notices(directory)? {
        let text = std::fs::read(&path).unwrap_or_default();
        // What is not ours stays.
        let Ok(file) = serde_json::from_slice::<File>(&text) else {
            continue;
        };
        if Timestamp::parse_iso(&file.expires_at).is_some_and(|end| end <= now) {
            std::fs::remove_file(&path).map_err(|e| NotifyError(format!("{}: {e}", path.display())))?;
        }
    }
    Ok(())
}

fn notices(directory: &Path) -> Result<Vec<PathBuf>, NotifyError> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(NotifyError(format!("{}: {e}", directory.display()))),
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    // One more than may be there is enough to see that there are too many.
    Ok(paths
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .take(OUTBOX_FILES_MAX + 1)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(expires_at: i64) -> Notice {
        Notice {
            username: "../../etc/ann".into(),
            email: Some("ann@example.org".into()),
            code: Secret::new("code-code"),
            expires_at: Timestamp::from_millis(expires_at),
        }
    }

    #[tokio::test]
    async fn notices_become_private_files_until_they_end() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::new(folder.path().join("outbox"));
        outbox.tidy(Timestamp::from_millis(0)).await.unwrap();
        outbox.deliver(&notice(1000)).await.unwrap();
        outbox.deliver(&notice(2000)).await.unwrap();
        let paths = notices(&outbox.directory).unwrap();
        assert_eq!(paths.len(), 2);
        for path in &paths {
            let text = std::fs::read_to_string(path).unwrap();
            assert!(text.contains(r#""confirmation_code": "code-code""#), "{text}");
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                assert_eq!(
                    std::fs::metadata(path).unwrap().permissions().mode() & 0o777,
                    0o600
                );
            }
        }
        outbox.tidy(Timestamp::from_millis(1000)).await.unwrap();
        assert_eq!(notices(&outbox.directory).unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_full_outbox_says_so() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..OUTBOX_FILES_MAX {
            std::fs::write(folder.path().join(format!("{n}.json")), "{}").unwrap();
        }
        let error = Outbox::new(folder.path()).deliver(&notice(1)).await.unwrap_err();
        assert!(error.to_string().contains("takes no more"), "{error}");
    }
}

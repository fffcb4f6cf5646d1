//! A page's HTML as the core REST API gives it (contract §2.0.3).

use crate::cache::Keep;
use serde::Deserialize;
use std::sync::Arc;

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// Page id; 0 when not known.
    pub(crate) id: u64,
    /// Id of the latest revision; 0 when not known.
    pub(crate) revision: u64,
    /// The page's own title with underscores, which is another than that asked for after a redirect; empty when not
    /// known.
    pub(crate) key: String,
    /// The document.
    pub(crate) html: Arc<str>,
}

#[derive(Deserialize)]
struct WithHtml {
    #[serde(default)]
    id: Option<u64>,
    #[serde(default)]
    latest: Option<Latest>,
    #[serde(default)]
    key: Option<String>,
    html: String,
}

#[derive(Deserialize)]
struct Latest {
    #[serde(default)]
    id: Option<u64>,
}

impl Page {
    /// Reads the answer of `page/{title}/with_html`; `None` when it is not one.
    pub(crate) fn from_rest(body: &[u8]) -> Option<Page> {
        let page: WithHtml = serde_json::from_slice(body).ok()?;
        Some(Page {
            id: page.id.unwrap_or_default(),
            revision: page.latest.and_then(|latest| latest.id).unwrap_or_default(),
            key: page.key.unwrap_or_default(),
            html: Arc::from(page.html),
        })
    }
}

impl Keep for Page {
    fn weight(&self) -> usize {
        self.html.len() + 64
    }

    fn to_store(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(20 + self.key.len() + self.html.len());
        bytes.extend_from_slice(&self.id.to_le_bytes());
        bytes.extend_from_slice(&self.revision.to_le_bytes());
        // Titles have at most 255 bytes; what is longer is none and is not worth keeping.
        let key = if self.key.len() <= 1_000 {
            self.key.as_bytes()
        } else {
            &[]
        };
        bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(self.html.as_bytes());
        bytes
    }

    fn from_store(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let end = 20 + u32::from_le_bytes(bytes.get(16..20)?.try_into().ok()?) as usize;
        Some(Page {
            id: number(0)?,
            revision: number(8)?,
            key: std::str::from_utf8(bytes.get(20..end)?).ok()?.to_owned(),
            html: Arc::from(std::str::from_utf8(bytes.get(end..)?).ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_is_the_latest_one_and_not_the_page_id() {
        let page =
            Page::from_rest(br#"{"id":7,"latest":{"id":99,"timestamp":"x"},"html":"<p>","key":"A_b"}"#)
                .expect("a page");
        assert_eq!(
            (page.id, page.revision, &*page.key, &*page.html),
            (7, 99, "A_b", "<p>")
        );
        assert_eq!(Page::from_store(&page.to_store()), Some(page));
        assert!(Page::from_rest(br#"{"id":7}"#).is_none());
        assert!(Page::from_rest(br#"{"id":7,"html":"<p"#).is_none());
    }
}

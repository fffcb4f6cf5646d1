//! A page summary: kept as ready JSON, with the few fields that merging needs beside it.
//!
//! Summaries pass through verbatim but for the two edits of contract §1.5. They are parsed once,
//! when they arrive; from then on merging them into a feed copies bytes.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use thiserror::Error;

use super::featured::PageImages;
use super::title::DbTitle;

/// Why a body is not a page summary.
#[derive(Debug, Error)]
pub enum SummaryError {
    /// Not JSON, or not a JSON object.
    #[error("the summary is not a JSON object: {0}")]
    Malformed(#[from] serde_json::Error),
    /// No string `title`; the original rejects such bodies (contract §2.0.6).
    #[error("the summary has no title")]
    NoTitle,
}

/// A page summary as feeds carry it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Summary(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    json: Box<RawValue>,
    title: DbTitle,
    normalized: String,
    canonical: Option<DbTitle>,
    namespace: Option<i64>,
}

impl Summary {
    /// Reads the body of a `page/summary` answer and makes the two edits: `normalizedtitle` :=
    /// `title` (last, unless it was there), `title` := `title` with underscores.
    ///
    /// # Errors
    /// [`SummaryError`] when the body is not an object with a string `title`.
    pub fn from_json(body: &[u8]) -> Result<Self, SummaryError> {
        Self::from_map(serde_json::from_slice(body)?)
    }

    /// As [`Summary::from_json`], from an object already parsed.
    ///
    /// # Errors
    /// [`SummaryError::NoTitle`].
    pub fn from_map(mut map: Map<String, Value>) -> Result<Self, SummaryError> {
        let Some(Value::String(original)) = map.get("title").cloned() else {
            return Err(SummaryError::NoTitle);
        };
        let title = DbTitle::new(original.as_str());
        map.insert("normalizedtitle".into(), Value::String(original.clone()));
        map.insert("title".into(), Value::String(title.as_str().to_owned()));
        Self::edited(map, title, original)
    }

    /// Restores a summary from what [`Summary::as_json`] gave (a cache, a recording): no edits.
    ///
    /// # Errors
    /// [`SummaryError`] when the text is not an object with a string `title`.
    pub fn from_stored(json: &[u8]) -> Result<Self, SummaryError> {
        let map: Map<String, Value> = serde_json::from_slice(json)?;
        let Some(title) = map.get("title").and_then(Value::as_str).map(DbTitle::new) else {
            return Err(SummaryError::NoTitle);
        };
        let normalized = map.get("normalizedtitle").and_then(Value::as_str);
        let normalized = normalized.map_or_else(|| title.display(), str::to_owned);
        Self::edited(map, title, normalized)
    }

    fn edited(map: Map<String, Value>, title: DbTitle, normalized: String) -> Result<Self, SummaryError> {
        let canonical = map
            .get("titles")
            .and_then(|t| t.get("canonical"))
            .and_then(Value::as_str);
        let canonical = canonical.map(DbTitle::new);
        let namespace = map
            .get("namespace")
            .and_then(|n| n.get("id"))
            .and_then(Value::as_i64);
        let json = to_raw_value(&map)?;
        Ok(Self(Arc::new(Inner {
            json,
            title,
            normalized,
            canonical,
            namespace,
        })))
    }

    /// The summary with `thumbnail` and `originalimage` replaced, each where it stood
    /// (contract §2.1.5).
    pub fn with_images(&self, images: &PageImages) -> Self {
        let mut map = self.to_map();
        for (key, image) in [
            ("thumbnail", &images.thumbnail),
            ("originalimage", &images.original),
        ] {
            if let Ok(value) = serde_json::to_value(image) {
                map.insert(key.into(), value);
            }
        }
        Self::edited(map, self.0.title.clone(), self.0.normalized.clone()).unwrap_or_else(|_| self.clone())
    }

    /// The edited JSON text.
    pub fn as_json(&self) -> &str {
        self.0.json.get()
    }

    /// The title in database form, after redirects.
    pub fn title(&self) -> &DbTitle {
        &self.0.title
    }

    /// The title as the summary service gave it.
    pub fn normalized_title(&self) -> &str {
        &self.0.normalized
    }

    /// `titles.canonical`, when present.
    pub fn canonical(&self) -> Option<&DbTitle> {
        self.0.canonical.as_ref()
    }

    /// `namespace.id`, when present; 0 is the article namespace.
    pub fn namespace_id(&self) -> Option<i64> {
        self.0.namespace
    }

    /// All fields, parsed anew; for renderings, which need few summaries and many fields.
    pub fn to_map(&self) -> Map<String, Value> {
        serde_json::from_str(self.as_json()).unwrap_or_default()
    }
}

impl Serialize for Summary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.json.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ImageFile;

    #[test]
    fn the_two_edits_and_nothing_else() {
        let body = br#"{"type":"standard","title":"Statue of Liberty","n":-74.04444444,"titles":{"canonical":"Statue_of_Liberty"},"namespace":{"id":0,"text":""}}"#;
        let summary = Summary::from_json(body).expect("a summary");
        assert_eq!(
            summary.as_json(),
            r#"{"type":"standard","title":"Statue_of_Liberty","n":-74.04444444,"titles":{"canonical":"Statue_of_Liberty"},"namespace":{"id":0,"text":""},"normalizedtitle":"Statue of Liberty"}"#
        );
        assert_eq!(summary.namespace_id(), Some(0));
        assert_eq!(
            summary.canonical().map(DbTitle::as_str),
            Some("Statue_of_Liberty")
        );
        let stored = Summary::from_stored(summary.as_json().as_bytes()).expect("a summary");
        assert_eq!(stored.as_json(), summary.as_json());
        assert_eq!(stored.normalized_title(), "Statue of Liberty");
    }

    #[test]
    fn bodies_without_a_string_title_are_refused() {
        for body in ["[]", "{}", r#"{"title":7}"#, "<html>", ""] {
            assert!(Summary::from_json(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn case_26_images_are_replaced_where_they_stand() {
        let summary =
            Summary::from_json(br#"{"title":"A b","thumbnail":{"source":"x"},"z":1}"#).expect("a summary");
        let file = |w| ImageFile {
            source: "https://i/x.jpg".into(),
            width: Some(w),
            height: Some(2),
        };
        let with = summary.with_images(&PageImages {
            thumbnail: file(960),
            original: file(4000),
        });
        assert_eq!(
            with.as_json(),
            r#"{"title":"A_b","thumbnail":{"source":"https://i/x.jpg","width":960,"height":2},"z":1,"normalizedtitle":"A b","originalimage":{"source":"https://i/x.jpg","width":4000,"height":2}}"#
        );
        assert_eq!(with.normalized_title(), "A b");
    }
}

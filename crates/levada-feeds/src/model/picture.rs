//! The picture of the day.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// An image at a URL. Width and height are in pixels and absent where they mean nothing (audio).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFile {
    /// URL.
    pub source: String,
    /// Width in pixels.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub width: Option<u64>,
    /// Height in pixels.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub height: Option<u64>,
}

/// HTML with its text and, where known, its language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LangText {
    /// HTML.
    pub html: String,
    /// The HTML without its tags, trimmed; entities are kept as they are (contract §10).
    pub text: String,
    /// Language code.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lang: Option<String>,
}

/// Who made the picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artist {
    /// HTML.
    pub html: String,
    /// Its text.
    pub text: String,
    /// Language code.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lang: Option<String>,
    /// The name, when the HTML is nothing but a name or a link to a user page.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// URL of the user page.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user_page: Option<String>,
}

/// The licence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct License {
    /// Short name: `CC BY-SA 4.0`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none", default)]
    pub kind: Option<String>,
    /// Code: `cc-by-sa-4.0`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<String>,
    /// URL of its text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub url: Option<String>,
}

/// Structured data about the picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Structured {
    /// Language code → caption, in upstream order; `{}` when there are none.
    pub captions: Map<String, Value>,
}

/// The picture of the day on the wire, keys in the order of contract §1.5 (2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeaturedImage {
    /// `File:…`, with spaces.
    pub title: String,
    /// 640 pixels wide.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub thumbnail: Option<ImageFile>,
    /// The file itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub image: Option<ImageFile>,
    /// Pages of a document.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub page_count: Option<u64>,
    /// URL of the description page.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file_page: Option<String>,
    /// Seconds, of audio and video.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub duration: Option<Number>,
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub artist: Option<Artist>,
    /// Credit line.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub credit: Option<LangText>,
    /// Licence.
    pub license: License,
    /// Description in the best language.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<LangText>,
    /// Media entity: `M114092958`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub wb_entity_id: Option<String>,
    /// Captions.
    pub structured: Structured,
}

/// What the image query says about the file (contract §2.2.1), before a language is chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PictureFile {
    /// `File:…`, with spaces: what the description page and the entity are asked for by.
    pub title: String,
    /// Page id on the repository of files.
    pub page_id: u64,
    /// 640 pixels wide.
    pub thumbnail: Option<ImageFile>,
    /// The file itself.
    pub image: Option<ImageFile>,
    /// Pages of a document.
    pub page_count: Option<u64>,
    /// URL of the description page.
    pub file_page: Option<String>,
    /// Seconds.
    pub duration: Option<Number>,
    /// `extmetadata`: name → value, a string or an object of language → string.
    pub metadata: Map<String, Value>,
}

/// The descriptions on a file page: language → HTML, in order of first appearance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PictureText(pub Vec<(String, String)>);

/// What the media entity of a file says (contract §2.2.2 and .5).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PictureEntity {
    /// `M…`; absent when the file has no entity.
    pub id: Option<String>,
    /// Language → caption.
    pub captions: Map<String, Value>,
}

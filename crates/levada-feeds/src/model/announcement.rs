//! Announcements.

use serde::{Deserialize, Serialize};

/// What the button of an announcement does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// Text of the button.
    pub title: String,
    /// Where it leads.
    pub url: String,
}

/// One announcement on the wire, keys in the order of contract §2.8; the keys that only the schema
/// allows follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Announcement {
    /// `survey`, `fundraising` or `announcement`.
    #[serde(rename = "type")]
    pub kind: String,
    /// First moment, as configured.
    pub start_time: String,
    /// Last moment, as configured.
    pub end_time: String,
    /// The wiki it is for.
    pub domain: String,
    /// Upper-case identifier; not unique.
    pub id: String,
    /// Which applications show it.
    pub platforms: Vec<String>,
    /// Where it is shown: ISO country codes; everywhere when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub countries: Option<Vec<String>>,
    /// Whether it has a border.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub border: Option<bool>,
    /// `feed` or `article`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub placement: Option<String>,
    /// HTML, or plain text for the oldest application.
    pub text: String,
    /// HTML of the small print.
    #[serde(rename = "caption_HTML", skip_serializing_if = "Option::is_none", default)]
    pub caption_html: Option<String>,
    /// Text of the dismissing button.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub negative_text: Option<String>,
    /// What the button does.
    pub action: Action,
    /// First version of the application.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub min_version: Option<String>,
    /// Last version of the application.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_version: Option<String>,
    /// Percentage of readers in the experiment.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub percent_receiving_experiment: Option<serde_json::Number>,
    /// Articles on which it is shown.
    #[serde(rename = "articleTitles", skip_serializing_if = "Option::is_none", default)]
    pub article_titles: Option<Vec<String>>,
    /// Seconds before it is shown.
    #[serde(rename = "displayDelay", skip_serializing_if = "Option::is_none", default)]
    pub display_delay: Option<serde_json::Number>,
    /// URL of an image (older name).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub image: Option<String>,
    /// URL of an image.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub image_url: Option<String>,
    /// Height of the image in pixels.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub image_height: Option<serde_json::Number>,
    /// Only in beta versions.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub beta: Option<bool>,
    /// Only for readers who are (not) logged in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub logged_in: Option<bool>,
    /// Only for readers who (do not) synchronise reading lists.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reading_list_sync_enabled: Option<bool>,
}

/// The feed: `{"announce":[…]}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Announcements {
    /// Announcements in the order of the campaigns.
    pub announce: Vec<Announcement>,
}

//! The announcement campaigns (contract §2.8).

use jiff::Timestamp;
use serde::Deserialize;

use super::error::{Place, RulesError};
use super::load::whole;
use crate::model::Action;

/// A campaign: announcements that run on some wikis for some time.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// First part of the ids.
    pub id_prefix: String,
    /// `survey`, `fundraising` or `announcement`.
    pub kind: String,
    /// First moment, as written.
    pub start_time: String,
    /// Last moment, as written.
    pub end_time: String,
    /// First moment.
    pub start: Timestamp,
    /// Last moment.
    pub end: Timestamp,
    /// The wikis on which it runs.
    pub active_wikis: Vec<String>,
    /// What it announces.
    pub items: Vec<CampaignItem>,
}

/// One announcement of a campaign, to be sent once per platform.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CampaignItem {
    /// Platforms; one announcement each.
    pub platforms: Vec<String>,
    /// Last part of the ids.
    #[serde(default)]
    pub suffix: String,
    /// ISO country codes.
    pub countries: Option<Vec<String>>,
    /// Whether it has a border.
    pub border: Option<bool>,
    /// `feed` or `article`.
    pub placement: Option<String>,
    /// HTML.
    pub text: String,
    /// HTML of the small print.
    #[serde(rename = "caption_HTML")]
    pub caption_html: Option<String>,
    /// Text of the dismissing button.
    pub negative_text: Option<String>,
    /// What the button does.
    pub action: Action,
    /// First version of the application.
    pub min_version: Option<String>,
    /// Last version of the application.
    pub max_version: Option<String>,
    /// Percentage of readers in the experiment.
    pub percent_receiving_experiment: Option<serde_json::Number>,
    /// Articles on which it is shown.
    #[serde(rename = "articleTitles")]
    pub article_titles: Option<Vec<String>>,
    /// Seconds before it is shown.
    #[serde(rename = "displayDelay")]
    pub display_delay: Option<serde_json::Number>,
    /// URL of an image (older name).
    pub image: Option<String>,
    /// URL of an image.
    pub image_url: Option<String>,
    /// Height of the image in pixels.
    pub image_height: Option<serde_json::Number>,
    /// Only in beta versions.
    pub beta: Option<bool>,
    /// Only for readers who are (not) logged in.
    pub logged_in: Option<bool>,
    /// Only for readers who (do not) synchronise reading lists.
    pub reading_list_sync_enabled: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    campaign: Vec<Raw>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    id_prefix: String,
    #[serde(rename = "type")]
    kind: String,
    start_time: String,
    end_time: String,
    active_wikis: Vec<String>,
    #[serde(default)]
    item: Vec<CampaignItem>,
}

pub(super) fn load(file: &'static str, text: &str) -> Result<Vec<Campaign>, RulesError> {
    let raw: File = whole(file, text)?;
    raw.campaign.into_iter().map(|raw| campaign(file, raw)).collect()
}

fn campaign(file: &'static str, raw: Raw) -> Result<Campaign, RulesError> {
    let place = Place {
        file,
        entry: &raw.id_prefix,
    };
    if !matches!(raw.kind.as_str(), "survey" | "fundraising" | "announcement") {
        let message = format!("not survey, fundraising or announcement: {:?}", raw.kind);
        return Err(place.error("type", message));
    }
    let start = moment(place, "start_time", &raw.start_time)?;
    let end = moment(place, "end_time", &raw.end_time)?;
    if end < start {
        return Err(place.error("end_time", "earlier than start_time"));
    }
    for item in &raw.item {
        if let Some(placement) = &item.placement
            && !matches!(placement.as_str(), "feed" | "article")
        {
            return Err(place.error("placement", format!("not feed or article: {placement:?}")));
        }
    }
    Ok(Campaign {
        id_prefix: raw.id_prefix,
        kind: raw.kind,
        start_time: raw.start_time,
        end_time: raw.end_time,
        start,
        end,
        active_wikis: raw.active_wikis,
        items: raw.item,
    })
}

fn moment(place: Place<'_>, key: &'static str, text: &str) -> Result<Timestamp, RulesError> {
    text.parse().map_err(|error| place.error(key, error))
}

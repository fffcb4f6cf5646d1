//! Announcements: the campaigns that run on a wiki (contract §2.8).

use jiff::{SignedDuration, Timestamp};

use super::Compat;
use super::strip::strip_tags;
use crate::lang::{Campaign, CampaignItem, Rules};
use crate::model::{Announcement, Announcements};

/// How long before its start an announcement is listed: answers are cached for a day, and clients
/// look at `start_time` themselves.
const LEAD: SignedDuration = SignedDuration::from_hours(24);

/// The oldest application, which shows plain text.
const LEGACY_IOS: &str = "iOSApp";
/// First version of it that shows announcements.
const LEGACY_MIN: &str = "5.8.0";
/// Last version that needs plain text.
const LEGACY_MAX: &str = "6.1.0";

/// The announcements of a wiki at a moment: campaigns that have not ended, and have begun or are
/// about to.
pub fn build(rules: &Rules, domain: &str, now: Timestamp, compat: Compat) -> Announcements {
    let active = rules.campaigns().iter().filter(|campaign| {
        let listed = campaign
            .active_wikis
            .iter()
            .any(|wiki| wiki.eq_ignore_ascii_case(domain));
        let soon = now.saturating_add(LEAD).is_ok_and(|soon| campaign.start <= soon);
        listed && now <= campaign.end && (soon || compat.announce_early)
    });
    let announce = active.flat_map(|campaign| {
        campaign.items.iter().flat_map(move |item| {
            item.platforms
                .iter()
                .map(move |platform| announcement(campaign, item, platform, domain))
        })
    });
    Announcements {
        announce: announce.collect(),
    }
}

fn announcement(campaign: &Campaign, item: &CampaignItem, platform: &str, domain: &str) -> Announcement {
    let legacy = platform == LEGACY_IOS;
    let id = format!("{}{}{}", campaign.id_prefix, platform_code(platform), item.suffix);
    let version =
        |given: &Option<String>, default: &str| given.clone().or_else(|| legacy.then(|| default.to_owned()));
    let caption = item.caption_html.clone();
    Announcement {
        kind: campaign.kind.clone(),
        start_time: campaign.start_time.clone(),
        end_time: campaign.end_time.clone(),
        domain: domain.to_owned(),
        id: id.to_uppercase(),
        platforms: vec![platform.to_owned()],
        countries: item.countries.clone(),
        border: item.border,
        placement: item.placement.clone(),
        text: if legacy {
            plain(&item.text)
        } else {
            item.text.clone()
        },
        caption_html: if legacy {
            caption.map(|html| format!("<p>{html}</p>"))
        } else {
            caption
        },
        negative_text: item.negative_text.clone(),
        action: item.action.clone(),
        min_version: version(&item.min_version, LEGACY_MIN),
        max_version: version(&item.max_version, LEGACY_MAX),
        percent_receiving_experiment: item.percent_receiving_experiment.clone(),
        article_titles: item.article_titles.clone(),
        display_delay: item.display_delay.clone(),
        image: item.image.clone(),
        image_url: item.image_url.clone(),
        image_height: item.image_height.clone(),
        beta: item.beta,
        logged_in: item.logged_in,
        reading_list_sync_enabled: item.reading_list_sync_enabled,
    }
}

/// The platform in an id: `iOSAppV2` → `IOSV2`.
fn platform_code(platform: &str) -> String {
    platform.replacen("App", "", 1)
}

/// HTML as plain text: line breaks kept, tags removed, no-break spaces as spaces.
fn plain(html: &str) -> String {
    let broken = ["<br/>", "<br />", "<br>"]
        .iter()
        .fold(html.to_owned(), |text, tag| text.replace(tag, "\n"));
    strip_tags(&broken).replace("&nbsp;", " ")
}

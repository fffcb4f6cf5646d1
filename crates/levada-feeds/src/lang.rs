//! What differs from wiki to wiki: the tables of contract §1.6, §1.7, §2.4–2.6, §2.8 and §2.10.
//!
//! The tables are data files. Those in `data/` are built in; files of the same names in a rules
//! directory are laid over them entry by entry and can change while the service runs: build a new
//! [`Rules`] and swap it whole. A table with a mistake is refused whole, with the file, the entry and
//! the mistake named, so that the tables in force stay in force.
//!
//! Trusts: nothing, operators mistype. Promises: what loads is usable; selectors and patterns are
//! compiled, and patterns run in linear time.

mod announcements;
mod compile;
mod day;
mod did_you_know;
mod domain;
mod error;
mod featured;
mod load;
mod most_read;
mod news;
mod random;
mod table;

use std::sync::{Arc, LazyLock};

pub use announcements::{Campaign, CampaignItem};
pub use day::{DayLang, Grammar};
pub use did_you_know::DykLang;
pub use domain::{first_label, pageview_project};
pub use error::RulesError;
pub use featured::FeaturedLang;
pub use most_read::MostReadRules;
pub use news::NewsLang;
pub use random::RandomRules;

pub(crate) use compile::{Selector, is_js_space, js_trim};

use crate::model::Availability;
use crate::parse::Compat;
use domain::Wikis;

/// All tables, checked and compiled. Immutable: share it in an `Arc` and swap it whole.
#[derive(Clone, Debug)]
pub struct Rules {
    featured: Vec<FeaturedLang>,
    news: Vec<NewsLang>,
    days: Vec<DayLang>,
    did_you_know: Vec<DykLang>,
    most_read: MostReadRules,
    random: RandomRules,
    campaigns: Vec<Campaign>,
    configuration: String,
    availability: Availability,
    fingerprint: String,
}

static EMBEDDED: LazyLock<Arc<Rules>> = LazyLock::new(|| {
    let rules = Rules::from_sources(&[]);
    Arc::new(rules.expect("the built-in tables load: a test loads them"))
});

impl Rules {
    /// The built-in tables.
    pub fn embedded() -> Arc<Self> {
        Arc::clone(&EMBEDDED)
    }

    /// The featured article's entry for a wiki; whole domains are compared (contract §1.6).
    pub fn featured(&self, domain: &str) -> Option<&FeaturedLang> {
        self.featured.iter().find(|entry| entry.wikis.names(domain))
    }

    /// The news entry for a wiki: by whole domain, else by first label. A sister project
    /// (`en.wiktionary.org`) is supported only in compatibility mode, where it then fails.
    pub fn news(&self, domain: &str, compat: &Compat) -> Option<&NewsLang> {
        Wikis::find(&self.news, domain, compat.first_label_decides, |entry| {
            &entry.wikis
        })
    }

    /// The did-you-know entry for a wiki; whole domains are compared.
    pub fn did_you_know(&self, domain: &str) -> Option<&DykLang> {
        self.did_you_know.iter().find(|entry| entry.wikis.names(domain))
    }

    /// The on-this-day entry for a wiki, found as in [`Rules::news`].
    pub fn on_this_day(&self, domain: &str, compat: &Compat) -> Option<&DayLang> {
        Wikis::find(&self.days, domain, compat.first_label_decides, |entry| {
            &entry.wikis
        })
    }

    /// Whether a wiki has the most-read feed; all but a few do.
    pub fn most_read_supported(&self, domain: &str) -> bool {
        !self
            .most_read
            .unsupported
            .iter()
            .any(|wiki| wiki.eq_ignore_ascii_case(domain))
    }

    /// The bounds and deny lists of most read.
    pub fn most_read(&self) -> &MostReadRules {
        &self.most_read
    }

    /// What makes a random article unwanted.
    pub fn random(&self) -> &RandomRules {
        &self.random
    }

    /// The announcement campaigns.
    pub fn campaigns(&self) -> &[Campaign] {
        &self.campaigns
    }

    /// The body of the availability feed.
    pub fn availability(&self) -> &Availability {
        &self.availability
    }

    /// Differs whenever the tables differ.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The body of the configuration feed: minified JSON, keys in the order of the file.
    pub fn configuration_json(&self) -> &str {
        &self.configuration
    }
}

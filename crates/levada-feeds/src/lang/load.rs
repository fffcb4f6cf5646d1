//! Building the tables: from the built-in files, with those of a directory laid over them.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use super::error::RulesError;
use super::{Rules, announcements, day, did_you_know, featured, most_read, news, random, table};
use crate::model::Availability;
use crate::upstream::hex;
use sha2::{Digest, Sha256};

/// Largest table file, in bytes; the largest built-in one has 13 KiB.
const MAX_FILE_BYTES: u64 = 1 << 20;

const FEATURED: &str = "featured.toml";
const NEWS: &str = "news.toml";
const PICTURED: &str = "pictured.toml";
const DID_YOU_KNOW: &str = "did-you-know.toml";
const ON_THIS_DAY: &str = "on-this-day.toml";
const MOST_READ: &str = "most-read.toml";
const RANDOM: &str = "random.toml";
const ANNOUNCEMENTS: &str = "announcements.toml";
const CONFIGURATION: &str = "configuration.json";

/// The built-in tables by file name.
const EMBEDDED: [(&str, &str); 9] = [
    (FEATURED, include_str!("../../data/featured.toml")),
    (NEWS, include_str!("../../data/news.toml")),
    (PICTURED, include_str!("../../data/pictured.toml")),
    (DID_YOU_KNOW, include_str!("../../data/did-you-know.toml")),
    (ON_THIS_DAY, include_str!("../../data/on-this-day.toml")),
    (MOST_READ, include_str!("../../data/most-read.toml")),
    (RANDOM, include_str!("../../data/random.toml")),
    (ANNOUNCEMENTS, include_str!("../../data/announcements.toml")),
    (CONFIGURATION, include_str!("../../data/configuration.json")),
];

impl Rules {
    /// The file names and texts of the built-in tables: where an operator starts from.
    pub fn embedded_sources() -> &'static [(&'static str, &'static str)] {
        &EMBEDDED
    }

    /// The built-in tables with the files of a directory laid over them. Files whose names begin
    /// with a dot are not looked at; sub-directories neither.
    ///
    /// # Errors
    /// [`RulesError`]: the directory or a file can not be read, a file has an unknown name, or a
    /// table has a mistake.
    pub fn load_dir(dir: &Path) -> Result<Self, RulesError> {
        let io = |path: &Path, source| RulesError::Io {
            path: path.to_owned(),
            source,
        };
        let mut sources: Vec<(String, String)> = Vec::new();
        for item in fs::read_dir(dir).map_err(|error| io(dir, error))? {
            let item = item.map_err(|error| io(dir, error))?;
            let path = item.path();
            let name = item.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || path.is_dir() {
                continue;
            }
            known(&name)?;
            let mut text = String::new();
            let file = fs::File::open(&path).map_err(|error| io(&path, error))?;
            file.take(MAX_FILE_BYTES + 1)
                .read_to_string(&mut text)
                .map_err(|error| io(&path, error))?;
            sources.push((name, text));
        }
        let sources: Vec<(&str, &str)> = sources
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        Self::from_sources(&sources)
    }

    /// The built-in tables with others laid over them, given as file name and text.
    ///
    /// # Errors
    /// [`RulesError`]: a name is unknown, a text is too large, or a table has a mistake.
    pub fn from_sources(sources: &[(&str, &str)]) -> Result<Self, RulesError> {
        for (name, text) in sources {
            known(name)?;
            if text.len() as u64 > MAX_FILE_BYTES {
                let file = (*name).to_owned();
                return Err(RulesError::TooLarge {
                    file,
                    max: MAX_FILE_BYTES,
                });
            }
        }
        let over = |file: &str| sources.iter().find(|(name, _)| *name == file).map(|(_, t)| *t);
        let base = |file: &str| {
            EMBEDDED
                .iter()
                .find(|(name, _)| *name == file)
                .map_or("", |(_, text)| *text)
        };

        let pictured = news::pictured(PICTURED, base(PICTURED), over(PICTURED))?;
        let featured = featured::load(FEATURED, base(FEATURED), over(FEATURED))?;
        let news = news::load(NEWS, base(NEWS), over(NEWS), &pictured)?;
        let did_you_know =
            did_you_know::load(DID_YOU_KNOW, base(DID_YOU_KNOW), over(DID_YOU_KNOW), &pictured)?;
        let days = day::load(ON_THIS_DAY, base(ON_THIS_DAY), over(ON_THIS_DAY))?;
        let most_read = most_read::load(MOST_READ, base(MOST_READ), over(MOST_READ))?;
        let random = random::load(RANDOM, base(RANDOM), over(RANDOM))?;
        let campaigns = over(ANNOUNCEMENTS).unwrap_or(base(ANNOUNCEMENTS));
        let campaigns = announcements::load(ANNOUNCEMENTS, campaigns)?;
        let configuration = over(CONFIGURATION).unwrap_or(base(CONFIGURATION));
        let configuration = configuration_json(configuration)?;
        let availability = Availability {
            todays_featured_article: featured.iter().flat_map(|e| e.wikis.listed()).collect(),
            most_read: vec!["*.wikipedia.org".into()],
            picture_of_the_day: vec!["*.wikipedia.org".into()],
            in_the_news: news.iter().flat_map(|e| e.wikis.listed()).collect(),
            on_this_day: days.iter().flat_map(|e| e.wikis.listed()).collect(),
            did_you_know: did_you_know.iter().flat_map(|e| e.wikis.listed()).collect(),
        };
        Ok(Self {
            featured,
            news,
            days,
            did_you_know,
            most_read,
            random,
            campaigns,
            configuration,
            availability,
            fingerprint: fingerprint(sources),
        })
    }
}

/// A hash of the built-in tables and those laid over them.
fn fingerprint(sources: &[(&str, &str)]) -> String {
    let mut sources: Vec<(&str, &str)> = sources.to_vec();
    sources.sort_unstable();
    let mut hash = Sha256::new();
    for (name, text) in EMBEDDED.iter().chain(&sources) {
        for part in [name, text] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
    }
    hex(&hash.finalize()[..8])
}

/// Refuses file names that no table has: a mistyped name must not be silently without effect.
fn known(name: &str) -> Result<(), RulesError> {
    if EMBEDDED.iter().any(|(known, _)| *known == name) {
        return Ok(());
    }
    let known: Vec<&str> = EMBEDDED.iter().map(|(known, _)| *known).collect();
    Err(RulesError::UnknownFile {
        file: name.to_owned(),
        known: known.join(", "),
    })
}

/// The configuration without white space, its keys in the order of the file.
fn configuration_json(text: &str) -> Result<String, RulesError> {
    let syntax = |error: serde_json::Error| RulesError::Syntax {
        file: CONFIGURATION,
        message: error.to_string(),
    };
    let value: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).map_err(syntax)?;
    serde_json::to_string(&value).map_err(syntax)
}

/// Reads a table that is not by language.
pub(super) fn whole<T: serde::de::DeserializeOwned>(file: &'static str, text: &str) -> Result<T, RulesError> {
    table::read(file, text)
}

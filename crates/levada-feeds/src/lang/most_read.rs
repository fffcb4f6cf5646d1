//! The table of most read: bounds and deny lists.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::error::{Place, RulesError};
use super::load::whole;
use super::table::{Entry, lay_over};

/// The deny list that holds on every wiki.
const EVERYWHERE: &str = "*";

/// What most read leaves out.
#[derive(Clone, Debug, Default)]
pub struct MostReadRules {
    /// Rows of the top list that are looked at.
    pub max_rows: usize,
    pub(super) unsupported: Vec<String>,
    deny: HashMap<String, DenyList>,
}

#[derive(Clone, Debug, Default)]
struct DenyList {
    titles: HashSet<String>,
    hashes: HashSet<[u8; 32]>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    max_rows: Option<usize>,
    unsupported: Option<Vec<String>>,
    #[serde(default)]
    deny: Vec<RawDeny>,
    #[serde(default)]
    remove: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDeny {
    lang: String,
    titles: Vec<String>,
}

impl Entry for RawDeny {
    fn lang(&self) -> &str {
        &self.lang
    }
}

impl MostReadRules {
    /// Whether a title in database form is on the list of the wiki's content language or on the one
    /// that holds everywhere; compared exactly (contract §1.7).
    pub fn denies(&self, lang: &str, title: &str) -> bool {
        [EVERYWHERE, lang]
            .into_iter()
            .filter_map(|key| self.deny.get(key))
            .any(|list| {
                list.titles.contains(title)
                    || (!list.hashes.is_empty() && list.hashes.contains(&sha256(title)))
            })
    }

    /// Number of denied titles by language; `*` is everywhere.
    pub fn denied_count(&self, lang: &str) -> usize {
        self.deny
            .get(lang)
            .map_or(0, |list| list.titles.len() + list.hashes.len())
    }
}

pub(super) fn load(file: &'static str, base: &str, over: Option<&str>) -> Result<MostReadRules, RulesError> {
    let mut raw: Raw = whole(file, base)?;
    if let Some(over) = over {
        let over: Raw = whole(file, over)?;
        raw.max_rows = over.max_rows.or(raw.max_rows);
        raw.unsupported = over.unsupported.or(raw.unsupported);
        raw.deny = lay_over(raw.deny, over.deny, &over.remove);
    }
    let mut rules = MostReadRules {
        max_rows: raw.max_rows.unwrap_or(50),
        unsupported: raw.unsupported.unwrap_or_default(),
        deny: HashMap::new(),
    };
    for RawDeny { lang, titles } in raw.deny {
        let mut list = DenyList::default();
        for title in titles {
            match title.strip_prefix("sha256:") {
                Some(hex) => {
                    let place = Place { file, entry: &lang };
                    let hash = from_hex(hex)
                        .ok_or_else(|| place.error("titles", format!("not 64 hex digits: {hex:?}")))?;
                    list.hashes.insert(hash);
                }
                None => {
                    list.titles.insert(title);
                }
            }
        }
        rules.deny.insert(lang, list);
    }
    Ok(rules)
}

/// SHA-256 of a title.
fn sha256(title: &str) -> [u8; 32] {
    Sha256::digest(title.as_bytes()).into()
}

/// 64 hex digits as 32 bytes.
fn from_hex(text: &str) -> Option<[u8; 32]> {
    let bytes = text.as_bytes();
    if bytes.len() != 64 || !bytes.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_may_be_given_as_hashes() {
        let hex: String = sha256("Foo").iter().map(|b| format!("{b:02x}")).collect();
        let text = format!("[[deny]]\nlang = \"*\"\ntitles = [\"sha256:{hex}\"]");
        let rules = load("most-read.toml", &text, None).expect("loads");
        assert!(rules.denies("xx", "Foo") && !rules.denies("xx", "foo"));
        let text = "[[deny]]\nlang = \"*\"\ntitles = [\"sha256:xyz\"]";
        assert!(load("most-read.toml", text, None).is_err());
    }

    #[test]
    fn other_lists_are_laid_over() {
        let base = "max_rows = 50\nunsupported = [\"a\"]\n[[deny]]\nlang=\"*\"\ntitles=[\"X\"]\n[[deny]]\nlang=\"ru\"\ntitles=[\"Y\"]";
        let over = "max_rows = 10\nremove = [\"ru\"]\n[[deny]]\nlang=\"*\"\ntitles=[\"Z\"]";
        let rules = load("most-read.toml", base, Some(over)).expect("loads");
        assert_eq!((rules.max_rows, rules.unsupported.len()), (10, 1));
        assert!(rules.denies("ru", "Z") && !rules.denies("ru", "X") && !rules.denies("ru", "Y"));
    }
}

//! What is known of a wiki: the part of its siteinfo that feeds need (contract §2.0.4).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// Number; 0 is the article namespace, negative ones are virtual.
    pub id: i64,
    /// Local name, with spaces; empty for the article namespace.
    pub name: String,
    /// English name, where it has one.
    pub canonical: Option<String>,
    /// Whether the first letter of a title keeps its case.
    pub case_sensitive: bool,
}

/// The part of a wiki's siteinfo that feeds need, as plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Siteinfo {
    /// Title of the main page, with spaces.
    pub main_page: String,
    /// Content language.
    pub lang: String,
    /// Characters that titles may have, as a regular-expression class (MediaWiki's notation).
    pub legal_title_chars: String,
    /// Whether titles in general keep the case of their first letter.
    pub case_sensitive: bool,
    /// `general.mobileserver`, where the wiki has one.
    pub mobile_server: Option<String>,
    /// Codes of the language variants, in upstream order; empty when the language has none.
    pub variants: Vec<String>,
    /// Namespaces by number.
    pub namespaces: BTreeMap<i64, Namespace>,
    /// Other names of namespaces, lower case, spaces for underscores.
    pub namespace_aliases: BTreeMap<String, i64>,
    /// First alias of the special page that serves featured feeds; `FeedItem` when not given.
    pub feed_item_alias: String,
}

/// MediaWiki's default `$wgLegalTitleChars`.
const DEFAULT_LEGAL_TITLE_CHARS: &str = " %!\"$&'()*,\\-.\\/0-9:;=?@A-Z\\\\^_`a-z~\\x80-\\xFF+";

/// Number and English name of MediaWiki's own namespaces.
const CANONICAL_NAMESPACES: [(i64, &str); 18] = [
    (-2, "Media"),
    (-1, "Special"),
    (0, ""),
    (1, "Talk"),
    (2, "User"),
    (3, "User talk"),
    (4, "Project"),
    (5, "Project talk"),
    (6, "File"),
    (7, "File talk"),
    (8, "MediaWiki"),
    (9, "MediaWiki talk"),
    (10, "Template"),
    (11, "Template talk"),
    (12, "Help"),
    (13, "Help talk"),
    (14, "Category"),
    (15, "Category talk"),
];

impl Default for Siteinfo {
    /// A wiki of which nothing is known: English namespace names, first letters upper case.
    fn default() -> Self {
        let namespaces = CANONICAL_NAMESPACES.iter().map(|&(id, name)| {
            let canonical = (id != 0).then(|| name.to_owned());
            (
                id,
                Namespace {
                    id,
                    name: name.to_owned(),
                    canonical,
                    case_sensitive: false,
                },
            )
        });
        Self {
            main_page: "Main Page".into(),
            lang: "en".into(),
            legal_title_chars: DEFAULT_LEGAL_TITLE_CHARS.into(),
            case_sensitive: false,
            mobile_server: None,
            variants: Vec::new(),
            namespaces: namespaces.collect(),
            namespace_aliases: BTreeMap::from([("image".into(), 6), ("image talk".into(), 7)]),
            feed_item_alias: "FeedItem".into(),
        }
    }
}

impl Siteinfo {
    /// Reads the answer to the siteinfo query, `formatversion` 1 or 2. `None` when there is no
    /// `query.general.lang`: such an answer must not be kept.
    pub fn from_json(body: &[u8]) -> Option<Self> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        let query = answer.get("query")?;
        let general = query.get("general")?;
        let mut site = Self {
            lang: text(general, "lang")?,
            ..Self::default()
        };
        if let Some(main_page) = text(general, "mainpage") {
            site.main_page = main_page;
        }
        if let Some(chars) = text(general, "legaltitlechars") {
            site.legal_title_chars = chars;
        }
        site.case_sensitive = general.get("case").and_then(Value::as_str) == Some("case-sensitive");
        site.mobile_server = text(general, "mobileserver");
        let variants = query.get("languagevariants").and_then(|v| v.get(&site.lang));
        if let Some(variants) = variants.and_then(Value::as_object) {
            site.variants = variants.keys().cloned().collect();
        }
        if let Some(namespaces) = query.get("namespaces").and_then(Value::as_object) {
            site.namespaces = namespaces.values().filter_map(namespace).collect();
        }
        if let Some(aliases) = query.get("namespacealiases").and_then(Value::as_array) {
            site.namespace_aliases = aliases.iter().filter_map(alias).collect();
        }
        let special = query.get("specialpagealiases").and_then(Value::as_array);
        let feed_item = special
            .into_iter()
            .flatten()
            .find(|page| page.get("realname").and_then(Value::as_str) == Some("FeedItem"));
        let first = feed_item.and_then(|page| page.get("aliases")?.get(0)?.as_str());
        if let Some(first) = first {
            site.feed_item_alias = first.to_owned();
        }
        Some(site)
    }

    /// The number of the namespace of that name: local, English or alias, in any case.
    pub fn namespace_named(&self, name: &str) -> Option<i64> {
        let wanted = name.replace('_', " ").to_lowercase();
        let wanted = wanted.trim();
        if wanted.is_empty() {
            return None;
        }
        let is = |known: &str| known.to_lowercase() == wanted;
        let named = self
            .namespaces
            .values()
            .find(|ns| ns.id != 0 && (is(&ns.name) || ns.canonical.as_deref().is_some_and(is)));
        named
            .map(|ns| ns.id)
            .or_else(|| self.namespace_aliases.get(wanted).copied())
    }
}

/// A string member.
fn text(object: &Value, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// A namespace; its name is under `name` in format 2 and under `*` in format 1.
fn namespace(value: &Value) -> Option<(i64, Namespace)> {
    let id = value.get("id").and_then(Value::as_i64)?;
    let name = text(value, "name").or_else(|| text(value, "*"))?;
    let canonical = text(value, "canonical");
    let case_sensitive = value.get("case").and_then(Value::as_str) == Some("case-sensitive");
    Some((
        id,
        Namespace {
            id,
            name,
            canonical,
            case_sensitive,
        },
    ))
}

/// An alias; its name is under `alias` in format 2 and under `*` in format 1.
fn alias(value: &Value) -> Option<(String, i64)> {
    let id = value.get("id").and_then(Value::as_i64)?;
    let name = text(value, "alias").or_else(|| text(value, "*"))?;
    Some((name.replace('_', " ").to_lowercase(), id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siteinfo_is_read_from_the_answer() {
        let body = r#"{"query":{"general":{"mainpage":"Wikipedia:Hauptseite","lang":"de","case":"first-letter","mobileserver":"https://de.m.wikipedia.org"},
            "languagevariants":{"zh":{"zh-cn":{}}},
            "namespaces":{"-1":{"id":-1,"name":"Spezial","canonical":"Special","case":"first-letter"},"6":{"id":6,"name":"Datei","canonical":"File"},"0":{"id":0,"name":"","case":"first-letter"}},
            "namespacealiases":[{"id":6,"alias":"Bild"}],
            "specialpagealiases":[{"realname":"X","aliases":["Y"]},{"realname":"FeedItem","aliases":["Feedelement","FeedItem"]}]}}"#;
        let site = Siteinfo::from_json(body.as_bytes()).expect("siteinfo");
        assert_eq!(
            (site.lang.as_str(), site.feed_item_alias.as_str()),
            ("de", "Feedelement")
        );
        assert!(site.variants.is_empty());
        assert_eq!(site.namespace_named("BILD"), Some(6));
        assert_eq!(site.namespace_named("file"), Some(6));
        assert_eq!(site.namespace_named(""), None);
        assert_eq!(site.namespace_named("Spezial"), Some(-1));
    }

    #[test]
    fn an_answer_without_a_language_is_not_siteinfo() {
        for body in [
            "",
            "{}",
            r#"{"error":{"code":"x"}}"#,
            r#"{"query":{"general":{}}}"#,
        ] {
            assert_eq!(Siteinfo::from_json(body.as_bytes()), None, "{body}");
        }
    }
}

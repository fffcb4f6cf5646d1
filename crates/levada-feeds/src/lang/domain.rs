//! Which wiki an entry of a table is for.

use serde::Deserialize;

/// Sister projects: their first label is a language too, but their pages are not a Wikipedia's.
const SISTER_PROJECTS: [&str; 9] = [
    "wikibooks.org",
    "wikimedia.org",
    "wikinews.org",
    "wikiquote.org",
    "wikisource.org",
    "wikiversity.org",
    "wikivoyage.org",
    "wiktionary.org",
    "mediawiki.org",
];

/// The text before the first dot.
pub fn first_label(domain: &str) -> &str {
    domain.split('.').next().unwrap_or(domain)
}

/// The project as the pageview service names it: the first two labels (contract §2.3).
pub fn pageview_project(domain: &str) -> String {
    let mut labels = domain.split('.');
    let first = labels.next().unwrap_or(domain);
    labels
        .next()
        .map_or_else(|| first.to_owned(), |second| format!("{first}.{second}"))
}

/// The wikis of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wikis {
    lang: String,
    domains: Vec<String>,
}

/// How an entry says which wikis it is for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Domains(Option<Vec<String>>);

impl Wikis {
    pub(super) fn new(lang: &str, domains: Domains) -> Self {
        let domains = domains.0.unwrap_or_else(|| vec![format!("{lang}.wikipedia.org")]);
        Self {
            lang: lang.to_owned(),
            domains,
        }
    }

    /// Whether the entry names this domain.
    pub(super) fn names(&self, domain: &str) -> bool {
        self.domains.iter().any(|known| match known.strip_prefix("*.") {
            Some(rest) => domain
                .split_once('.')
                .is_some_and(|(_, d)| d.eq_ignore_ascii_case(rest)),
            None => known.eq_ignore_ascii_case(domain),
        })
    }

    /// The domains that the availability feed lists.
    pub(super) fn listed(&self) -> impl Iterator<Item = String> + '_ {
        self.domains.iter().cloned()
    }

    /// The entry for a domain: one that names it, else one whose language is its first label,
    /// unless it is a sister project's and the label alone does not decide.
    pub(super) fn find<'t, T>(
        table: &'t [T],
        domain: &str,
        label_decides: bool,
        wikis: impl Fn(&T) -> &Wikis,
    ) -> Option<&'t T> {
        if !label_decides {
            if let Some(entry) = table.iter().find(|entry| wikis(entry).names(domain)) {
                return Some(entry);
            }
            if is_sister_project(domain) {
                return None;
            }
        }
        let label = first_label(domain);
        table
            .iter()
            .find(|entry| wikis(entry).lang.eq_ignore_ascii_case(label))
    }
}

/// Whether the domain is a sister project of Wikipedia.
fn is_sister_project(domain: &str) -> bool {
    let rest = domain.split_once('.').map_or("", |(_, rest)| rest);
    SISTER_PROJECTS
        .iter()
        .any(|project| project.eq_ignore_ascii_case(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_projects() {
        assert_eq!(first_label("en.wikipedia.org"), "en");
        assert_eq!(first_label("localhost"), "localhost");
        assert_eq!(pageview_project("zh-yue.wikipedia.org"), "zh-yue.wikipedia");
        assert_eq!(pageview_project("localhost"), "localhost");
    }

    #[test]
    fn entries_are_found_by_name_then_by_label() {
        let table = [
            Wikis::new("en", Domains(None)),
            Wikis::new("own", Domains(Some(vec!["*.wiki.example".into()]))),
        ];
        let find = |domain: &str, label| Wikis::find(&table, domain, label, |w| w).map(|w| w.lang.as_str());
        assert_eq!(find("en.wikipedia.org", false), Some("en"));
        assert_eq!(find("en.wikipedia.beta.wmflabs.org", false), Some("en"));
        assert_eq!(find("en.wiktionary.org", false), None);
        assert_eq!(find("en.wiktionary.org", true), Some("en"));
        assert_eq!(find("en.wiki.example", false), Some("own"));
        assert_eq!(find("en.wiki.example", true), Some("en"));
        assert_eq!(find("__proto__.wikipedia.org", true), None);
    }
}

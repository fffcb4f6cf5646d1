//! Hiding who did what on configured pages (contract eventstreams §1.10).
//!
//! Titles are compared after trimming, joining runs of spaces to one `_` and lower-casing;
//! domains exactly. By `meta.stream`:
//! * page changes (streams named after `page_change` or `page_content_change`): `performer` becomes `{}`,
//!   `revision.editor` and `prior_state.revision.editor` go;
//! * recent changes: `user` goes;
//! * everything else: `performer` goes, and the editors too where the event has them.
//!
//! Beyond the original, the former title of a move (`prior_state.page.page_title`) counts, and an event without
//! the objects named here passes instead of vanishing.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use crate::scan::{Text, Unreadable};
use crate::select::{Draft, Plan, rewrite};

/// Pages whose editors are hidden.
#[derive(Debug)]
pub struct Redaction {
    /// Normalised titles by domain.
    pages: BTreeMap<Box<str>, BTreeSet<Box<str>>>,
    page_change: Plan,
    recent_change: Plan,
    other: Plan,
}

impl PartialEq for Redaction {
    fn eq(&self, other: &Self) -> bool {
        self.pages == other.pages
    }
}

impl Eq for Redaction {}

impl Hash for Redaction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pages.hash(state);
    }
}

const EDITORS: [&[&str]; 2] = [&["revision", "editor"], &["prior_state", "revision", "editor"]];

impl Redaction {
    /// Hides editors of these pages: domain and its titles, however spelled.
    pub fn new<D, T>(pages: impl IntoIterator<Item = (D, T)>) -> Self
    where
        D: AsRef<str>,
        T: IntoIterator<Item: AsRef<str>>,
    {
        let mut by_domain = BTreeMap::<Box<str>, BTreeSet<Box<str>>>::new();
        for (domain, titles) in pages {
            for title in titles {
                by_domain
                    .entry(domain.as_ref().into())
                    .or_default()
                    .insert(normal(title.as_ref()).into());
            }
        }
        let editors: Vec<_> = EDITORS.iter().map(|keys| (*keys, false)).collect();
        let with = |first: (&'static [&'static str], bool)| {
            let mut changes = editors.clone();
            changes.push(first);
            plan(&changes)
        };
        Self {
            pages: by_domain,
            page_change: with((&["performer"], true)),
            recent_change: plan(&[(&["user"], false)]),
            other: with((&["performer"], false)),
        }
    }

    /// Whether no page is configured.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// The event without what has to be hidden; `None` if it may be seen as it is. An event of a
    /// domain without configured pages costs one look for `meta.domain`.
    ///
    /// # Errors
    /// [`Unreadable`] when the text turns out to be broken.
    pub fn redact(&self, text: Text<'_>) -> Result<Option<Vec<u8>>, Unreadable> {
        if self.pages.is_empty() {
            return Ok(None);
        }
        let string = |keys: &[&str]| -> Result<_, Unreadable> {
            Ok(text
                .get_keys(keys.iter().copied())?
                .and_then(|value| value.as_str()))
        };
        let Some(titles) = string(&["meta", "domain"])?.and_then(|domain| self.pages.get(&*domain)) else {
            return Ok(None);
        };
        let listed = |keys: &[&str]| -> Result<bool, Unreadable> {
            Ok(string(keys)?.is_some_and(|title| titles.contains(&*normal(&title))))
        };
        let stream = string(&["meta", "stream"])?.unwrap_or_default();
        if stream.contains("recentchange") {
            return match listed(&["title"])? {
                true => rewrite(&self.recent_change, text).map(Some),
                false => Ok(None),
            };
        }
        let named = listed(&["page", "page_title"])?
            || listed(&["page_title"])?
            || listed(&["prior_state", "page", "page_title"])?;
        if !named {
            return Ok(None);
        }
        let page_change = stream.contains("page_change") || stream.contains("page_content_change");
        let plan = if page_change {
            &self.page_change
        } else {
            &self.other
        };
        rewrite(plan, text).map(Some)
    }
}

/// A plan that copies an event but for some places, each to be emptied (true) or dropped.
fn plan(changes: &[(&[&str], bool)]) -> Plan {
    let mut draft = Draft::default();
    draft.everything();
    for (keys, empty) in changes {
        let done = if *empty {
            draft.empty(keys)
        } else {
            draft.drop(keys)
        };
        done.expect("a handful of keys is far below the bound on keys");
    }
    draft.finish()
}

fn normal(title: &str) -> String {
    let mut out = String::with_capacity(title.len());
    let mut space = false;
    for c in title.trim().chars() {
        if c == ' ' {
            space = true;
            continue;
        }
        if std::mem::take(&mut space) {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redaction() -> Redaction {
        Redaction::new([
            ("en.wikipedia.org", vec![" Some  Secret page "]),
            ("de.wikipedia.org", vec![]),
        ])
    }

    fn redact(event: &str) -> Option<String> {
        let out = redaction()
            .redact(Text::trusted(event.as_bytes()).unwrap())
            .unwrap();
        out.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn titles_are_normalised() {
        assert_eq!(normal("  Some   Secret_Page "), "some_secret_page");
        assert_eq!(normal("a__b"), "a__b");
        assert_eq!(normal("ÄÖ İ"), "äö_i\u{307}");
    }

    #[test]
    fn page_changes_lose_performer_and_editors() {
        let event = |title: &str, prior: &str| {
            format!(
                r#"{{"meta":{{"stream":"mediawiki.page_change.v1","domain":"en.wikipedia.org"}},"page":{{"page_title":"{title}"}},"performer":{{"user_text":"E"}},"revision":{{"rev_id":1,"editor":{{"user_text":"E"}},"rev_size":2}},"prior_state":{{"page":{{"page_title":"{prior}"}},"revision":{{"editor":{{}},"rev_id":0}}}},"n":1.0}}"#
            )
        };
        let hidden = |title: &str, prior: &str| {
            Some(format!(
                r#"{{"meta":{{"stream":"mediawiki.page_change.v1","domain":"en.wikipedia.org"}},"page":{{"page_title":"{title}"}},"performer":{{}},"revision":{{"rev_id":1,"rev_size":2}},"prior_state":{{"page":{{"page_title":"{prior}"}},"revision":{{"rev_id":0}}}},"n":1.0}}"#
            ))
        };
        assert_eq!(
            redact(&event("some_SECRET_page", "x")),
            hidden("some_SECRET_page", "x")
        );
        assert_eq!(
            redact(&event("x", "Some Secret Page")),
            hidden("x", "Some Secret Page")
        );
        assert_eq!(redact(&event("Some other page", "x")), None);
        assert_eq!(
            redact(&event("some_secret_page", "x").replace("en.", "de.")),
            None
        );
        assert_eq!(
            redact(&event("some_secret_page", "x").replace("en.", "EN.")),
            None
        );
    }

    #[test]
    fn events_without_the_objects_pass() {
        let event = r#"{"meta":{"stream":"mediawiki.page_change.v1","domain":"en.wikipedia.org"},"page":{"page_title":"Some Secret Page"}}"#;
        assert_eq!(redact(event).as_deref(), Some(event));
        assert_eq!(redact("{}"), None);
        assert_eq!(
            redact(r#"{"meta":{"domain":"en.wikipedia.org"},"page_title":7}"#),
            None
        );
    }

    #[test]
    fn other_streams_lose_user_or_performer() {
        let recent = r#"{"meta":{"stream":"mediawiki.recentchange","domain":"en.wikipedia.org"},"title":"Some secret page","user":"E","performer":1}"#;
        assert_eq!(redact(recent).unwrap(), recent.replace(r#","user":"E""#, ""));
        let old = r#"{"performer":{"user_text":"E"},"page_title":"Some_secret_page","meta":{"domain":"en.wikipedia.org","stream":"mediawiki.revision-create"}}"#;
        assert_eq!(
            redact(old).unwrap(),
            old.replace(r#""performer":{"user_text":"E"},"#, "")
        );
        let new = r#"{"meta":{"domain":"en.wikipedia.org","stream":"x"},"performer":null,"page":{"page_title":"Some_secret_page"},"revision":{"editor":{}}}"#;
        assert_eq!(
            redact(new).unwrap(),
            r#"{"meta":{"domain":"en.wikipedia.org","stream":"x"},"page":{"page_title":"Some_secret_page"},"revision":{}}"#
        );
    }

    #[test]
    fn nothing_configured_costs_nothing() {
        assert!(Redaction::new([("x", Vec::<&str>::new())]).is_empty());
        assert_eq!(redaction(), redaction());
    }
}

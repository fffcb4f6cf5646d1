//! Where test material comes from.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use levada_feeds::lang::Rules;
use levada_feeds::model::{DbTitle, Namespace, Siteinfo, Summary};
use levada_feeds::note::{Note, NoteKind};

/// A fixture of this crate.
pub fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The folder of real feed material, when it is at hand.
pub fn shared() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let root = std::env::var_os("LEVADA_SHARED").map_or_else(beside, PathBuf::from);
    Some(root.join("reference/feeds")).filter(|path| path.is_dir())
}

/// Real material by name. When the folder is not there, says how many cases are skipped.
pub fn real(name: &str, cases: usize) -> Option<String> {
    let Some(root) = shared() else {
        println!("skipped {cases} cases: no real material ({name})");
        return None;
    };
    let path = root.join(name);
    Some(fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// As [`real`], for material that not every copy of the folder has.
pub fn rare(name: &str) -> Option<String> {
    let text = fs::read_to_string(shared()?.join(name)).ok();
    if text.is_none() {
        println!("skipped 1 case: no such real material ({name})");
    }
    text
}

pub fn rules() -> Arc<Rules> {
    Rules::embedded()
}

/// A wiki with the local names of the namespaces that tests need.
pub fn site(lang: &str, names: &[(i64, &str)]) -> Siteinfo {
    let mut site = Siteinfo {
        lang: lang.into(),
        ..Siteinfo::default()
    };
    for &(id, name) in names {
        let canonical = site.namespaces.get(&id).and_then(|ns| ns.canonical.clone());
        let name = name.to_owned();
        site.namespaces.insert(
            id,
            Namespace {
                id,
                name,
                canonical,
                case_sensitive: false,
            },
        );
    }
    site
}

/// A summary of a title, as the summary service gives it.
pub fn summary(title: &str) -> Summary {
    let canonical = title.replace(' ', "_");
    let body = format!(
        r#"{{"type":"standard","title":"{title}","namespace":{{"id":0,"text":""}},"titles":{{"canonical":"{canonical}"}}}}"#
    );
    Summary::from_json(body.as_bytes()).expect("a summary")
}

pub fn strs(titles: &[DbTitle]) -> Vec<&str> {
    titles.iter().map(DbTitle::as_str).collect()
}

pub fn kinds(notes: &[Note]) -> Vec<NoteKind> {
    notes.iter().map(|note| note.kind).collect()
}

pub fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("serialises")
}

/// JSON for files of expected values.
pub fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).expect("serialises") + "\n"
}

//! Tables of entries by language, and how one table is laid over another.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::RulesError;

/// A table file: entries, and languages whose entries are taken away.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table<T> {
    #[serde(default = "Vec::new")]
    language: Vec<T>,
    #[serde(default)]
    remove: Vec<String>,
}

/// An entry that knows its language.
pub(super) trait Entry {
    /// The language code.
    fn lang(&self) -> &str;
}

/// Reads a table and lays the other over it, if there is one.
pub(super) fn entries<T: Entry + DeserializeOwned>(
    file: &'static str,
    base: &str,
    over: Option<&str>,
) -> Result<Vec<T>, RulesError> {
    let base: Table<T> = read(file, base)?;
    let mut entries = lay_over(Vec::new(), base.language, &base.remove);
    if let Some(over) = over {
        let over: Table<T> = read(file, over)?;
        entries = lay_over(entries, over.language, &over.remove);
    }
    Ok(entries)
}

/// Reads TOML of a shape.
pub(super) fn read<T: DeserializeOwned>(file: &'static str, text: &str) -> Result<T, RulesError> {
    toml::from_str(text).map_err(|error| RulesError::Syntax {
        file,
        message: error.to_string(),
    })
}

/// Entries of the same language are replaced where they stand, new ones follow, removed ones go.
pub(super) fn lay_over<T: Entry>(mut base: Vec<T>, over: Vec<T>, remove: &[String]) -> Vec<T> {
    base.retain(|entry| !remove.iter().any(|lang| lang == entry.lang()));
    for entry in over {
        match base.iter().position(|known| known.lang() == entry.lang()) {
            Some(at) => base[at] = entry,
            None => base.push(entry),
        }
    }
    base
}

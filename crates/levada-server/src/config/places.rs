//! Whether the files and folders that the configuration names are there. A server starts without some
//! of them and says so in its log; `levada config check` calls each a fault.

use std::io::ErrorKind;
use std::path::Path;

use super::{Config, Loaded};

/// Faults of the local files with stream configuration, each with the place of its key and a remedy.
/// Addresses are not looked at.
pub fn stream_config_faults(loaded: &Loaded) -> Vec<String> {
    let key = "catalog.stream_config";
    let wanted = "a YAML or JSON file with stream configuration";
    let places = loaded.config.catalog.stream_config.iter();
    let places = places.filter_map(|place| local(place));
    places
        .filter_map(|path| fault(path, !path.is_dir(), wanted))
        .map(|fault| format!("{}`{key}`: {fault}", origin(loaded, key)))
        .collect()
}

/// The same for the local folders with schemas.
pub fn schema_faults(loaded: &Loaded) -> Vec<String> {
    let key = "catalog.schema_base_uris";
    missing_schema_folders(&loaded.config)
        .into_iter()
        .map(|fault| format!("{}`{key}`: {fault}", origin(loaded, key)))
        .collect()
}

/// What is wrong with the local folders with schemas, in words.
pub(crate) fn missing_schema_folders(config: &Config) -> Vec<String> {
    let wanted = "the folder below which schemas lie as <title>/<version>";
    let places = config.catalog.schema_base_uris.iter();
    let places = places.filter_map(|place| local(place));
    places
        .filter_map(|path| fault(path, path.is_dir(), wanted))
        .collect()
}

/// The path of a place that is no address.
fn local(place: &str) -> Option<&Path> {
    let path = place.strip_prefix("file://").unwrap_or(place);
    (!path.contains("://")).then(|| Path::new(path))
}

fn fault(path: &Path, right_kind: bool, wanted: &str) -> Option<String> {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(_) if right_kind => None,
        Ok(facts) if facts.is_dir() => Some(format!("{shown} is a folder; name {wanted}")),
        Ok(_) => Some(format!("{shown} is a file; name {wanted}")),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            let from = match std::env::current_dir() {
                Ok(dir) if path.is_relative() => format!(" (looked for in {})", dir.display()),
                _ => String::new(),
            };
            Some(format!("{shown} does not exist{from}; name {wanted}"))
        }
        Err(error) => Some(format!("{shown} cannot be read: {error}")),
    }
}

fn origin(loaded: &Loaded, key: &str) -> String {
    let values = &loaded.values;
    let found = values.iter().find(|(name, ..)| name == key);
    found.map_or_else(String::new, |(.., origin)| format!("{origin}: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_named_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display();
        std::fs::write(dir.path().join("s.yaml"), "streams: {}").unwrap();
        let file = dir.path().join("levada.toml");
        let text = format!(
            "[catalog]\nstream_config = [\"{at}/s.yaml\", \"https://a.example/\", \"{at}/none.yaml\", \"{at}\"]\nschema_base_uris = [\"file://{at}\", \"{at}/none\", \"{at}/s.yaml\", \"nowhere/at/all\"]\n"
        );
        std::fs::write(&file, text).unwrap();
        let loaded = Config::load(Some(&file), [], &[]).unwrap();
        let streams = stream_config_faults(&loaded);
        assert_eq!(streams.len(), 2, "{streams:?}");
        assert!(
            streams[0].starts_with(&format!(
                "{}:2: `catalog.stream_config`: {at}/none.yaml does not exist; name a YAML",
                file.display()
            )),
            "{streams:?}"
        );
        assert!(streams[1].contains("is a folder; name a YAML"), "{streams:?}");
        let schemas = schema_faults(&loaded);
        assert_eq!(schemas.len(), 3, "{schemas:?}");
        assert!(
            schemas[0].contains("levada.toml:3: ")
                && schemas[0].contains("/none does not exist; name the folder")
        );
        assert!(schemas[1].contains("is a file; name the folder"));
        assert!(schemas[2].contains("nowhere/at/all does not exist (looked for in /"));
    }
}

use levada_catalog::{Compat, Schema, builtin};
use levada_event::splice::Dialect;

use super::fields::Fields;

fn article() -> Schema {
    let json: serde_json::Value = serde_saphyr::from_str(builtin::SCHEMAS[0].1).unwrap();
    Schema::from_json("/levada/article/1.0.0", json, &Compat::default()).unwrap()
}

#[test]
fn names_are_looked_up_in_the_schema() {
    let schema = article();
    let fields = Fields::new(Some(&schema), Dialect::Event, false);
    let select = |name: &str| fields.select(name).map(|path| path.to_string());
    for (name, path) in [
        ("name", "name"),
        ("event.*", "event"),
        ("event.offset", "event.offset"),
        ("categories.name", "categories.name"),
        ("version.sizes.*", "version.size"),
        ("version.size.value", "version.size.value"),
        ("image.contentUrl", "image.content_url"),
        (
            "version.scores.damaging.probability.truthy",
            "version.scores.damaging.probability.true",
        ),
        ("name.*", "name"),
    ] {
        assert_eq!(select(name).as_deref(), Ok(path), "{name}");
    }
    for (name, message) in [
        (
            "event",
            "use wildcard 'event.*' to select all fields from the object",
        ),
        (
            "categories",
            "use wildcard 'categories.*' to select all fields from the object",
        ),
        ("nope", "field with name 'nope' not found"),
        ("*", "field with name '*' not found"),
        ("event.*.*", "field with name 'event.*.*' not found"),
        ("name.x", "field with name 'name.x' not found"),
    ] {
        assert_eq!(select(name).unwrap_err(), message);
    }
}

#[test]
fn filters_know_what_they_compare() {
    let schema = article();
    let fields = Fields::new(Some(&schema), Dialect::Event, false);
    let filter = |name: &str| fields.filter(name);
    assert_eq!(
        filter("nope").unwrap_err(),
        "there is no such field 'nope' to filter"
    );
    assert_eq!(filter("event").unwrap_err(), "can't filter on a 'event' object");
    assert_eq!(
        filter("categories").unwrap_err(),
        "can't filter on a 'categories' object"
    );
    let categories = filter("categories.name").unwrap();
    assert_eq!(categories.list_at, 1);
    assert!(filter("version.tags").is_ok() && filter("date_modified").is_ok());
}

#[test]
fn all_addressable_paths_of_the_original_are_known() {
    let shared = std::env::var("LEVADA_SHARED").map_or_else(
        |_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").into(),
        std::path::PathBuf::from,
    );
    let Ok(text) = std::fs::read_to_string(shared.join("contracts/realtime-field-paths.tsv")) else {
        println!("skipped: 238 paths, the contracts are absent");
        return;
    };
    let schema = article();
    let fields = Fields::new(Some(&schema), Dialect::Event, false);
    let mut count = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.split('\t');
        let (Some(path), Some(kind)) = (columns.next(), columns.next()) else {
            continue;
        };
        if !matches!(kind, "scalar" | "struct" | "slice") {
            continue;
        }
        let entry = if kind == "scalar" {
            path.to_owned()
        } else {
            format!("{path}.*")
        };
        assert!(
            fields.select(&entry).is_ok(),
            "{entry}: {:?}",
            fields.select(&entry)
        );
        count += 1;
    }
    assert_eq!(count, 238);
}

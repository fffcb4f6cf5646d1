//! The description of the service for programs: `?spec` (contract §1.0, route 16).

mod definitions;

use bytes::Bytes;
use definitions::definitions;
use serde_json::{Map, Value, json};

/// The description, Swagger 2.0. Its definitions are JSON Schemas of every body.
pub(crate) fn swagger() -> Bytes {
    let spec = json!({
        "swagger": "2.0",
        "info": {
            "title": "Explore feeds",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Featured content of wikis: the featured article, the picture of the day, the most read pages, the news, what happened on this day, and what one may not know. Every route is also there below /api/rest_v1 with the wiki in the Host header.",
            "license": { "name": "Apache-2.0" },
        },
        "produces": ["application/json", "application/problem+json"],
        "paths": paths(),
        "definitions": definitions(),
    });
    Bytes::from(spec.to_string())
}

fn paths() -> Value {
    let mut paths = Map::new();
    let mut add = |path: &str, summary: &str, schema: Option<&str>, none: bool| {
        let mut responses = Map::new();
        match schema {
            Some(name) => {
                let schema = json!({ "$ref": format!("#/definitions/{name}") });
                responses.insert(
                    "200".into(),
                    json!({ "description": "The feed.", "schema": schema }),
                );
            }
            None => drop(responses.insert("303".into(), json!({ "description": "Leads to the page." }))),
        }
        if none {
            responses.insert(
                "204".into(),
                json!({ "description": "There is nothing that day." }),
            );
        }
        let problem = json!({ "description": "An error.", "schema": { "$ref": "#/definitions/problem" } });
        responses.insert("default".into(), problem);
        let get = json!({ "summary": summary, "parameters": parameters(path), "responses": responses });
        paths.insert(path.to_owned(), json!({ "get": get }));
    };
    let date = "{yyyy}/{mm}/{dd}";
    add(
        &format!("/{{domain}}/v1/page/featured/{date}"),
        "Featured article of a day",
        Some("summary"),
        true,
    );
    add(
        &format!("/{{domain}}/v1/media/image/featured/{date}"),
        "Picture of a day",
        Some("image"),
        true,
    );
    add(
        &format!("/{{domain}}/v1/page/most-read/{date}"),
        "Most read pages of a day",
        Some("mostread"),
        true,
    );
    add("/{domain}/v1/page/news", "In the news", Some("news"), true);
    add(
        "/{domain}/v1/feed/did-you-know",
        "Did you know",
        Some("dyk"),
        true,
    );
    for list in ["selected", "events", "births", "deaths", "holidays"] {
        let path = format!("/{{domain}}/v1/feed/onthisday/{list}/{{mm}}/{{dd}}");
        add(
            &path,
            "One list of a day of the year",
            Some(&format!("onthisday_{list}")),
            false,
        );
    }
    let all = "onthisday/all/{mm}/{dd}";
    add(
        &format!("/{{domain}}/v1/feed/{all}"),
        "All lists of a day of the year",
        Some("onthisday"),
        false,
    );
    add(
        "/{domain}/v1/feed/announcements",
        "Announcements",
        Some("announcements"),
        false,
    );
    add(
        "/{domain}/v1/feed/availability",
        "Which wiki has which feed",
        Some("availability"),
        false,
    );
    add(
        "/{domain}/v1/feed/configuration",
        "Remote configuration of the apps",
        Some("configuration"),
        false,
    );
    add(
        "/{domain}/v1/page/random/title",
        "Title of a random article",
        Some("random"),
        false,
    );
    add(
        "/{domain}/v1/page/random/redirect/{format}",
        "Redirect to a random article",
        None,
        false,
    );
    add(
        &format!("/{{domain}}/v1/aggregated/featured/{date}"),
        "The feed of a day",
        Some("featured"),
        false,
    );
    add(
        &format!("/{{domain}}/v1/aggregated/{all}"),
        "All lists of a day",
        Some("onthisday"),
        false,
    );
    add(
        &format!("/{{domain}}/api/rest_v1/feed/featured/{date}"),
        "The feed of a day",
        Some("featured"),
        false,
    );
    add(
        "/{domain}/api/rest_v1/feed/onthisday/{type}/{mm}/{dd}",
        "A day of the year",
        Some("onthisday_any"),
        false,
    );
    add(
        "/{domain}/api/rest_v1/feed/announcements",
        "Announcements",
        Some("announcements"),
        false,
    );
    add(
        "/{domain}/api/rest_v1/feed/availability",
        "Which wiki has which feed",
        Some("availability"),
        false,
    );
    add(
        "/{domain}/api/rest_v1/page/random/{format}",
        "Redirect to a random article",
        None,
        false,
    );
    Value::Object(paths)
}

fn parameters(path: &str) -> Value {
    let in_path = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            let mut parameter = json!({ "name": name, "in": "path", "type": "string", "required": true });
            if name == "type" {
                parameter["enum"] = json!(["all", "selected", "events", "births", "deaths", "holidays"]);
            }
            parameter
        });
    let mut parameters: Vec<Value> = in_path.collect();
    if path.contains("/v1/page/featured") || path.contains("most-read") || path.contains("image") {
        parameters.push(json!({ "name": "aggregated", "in": "query", "type": "boolean" }));
    }
    if ["featured", "news", "onthisday", "did-you-know"]
        .iter()
        .any(|name| path.contains(name))
    {
        let formats = json!(["json", "atom", "rss", "jsonfeed"]);
        parameters.push(json!({ "name": "format", "in": "query", "type": "string", "enum": formats }));
    }
    Value::Array(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_005_the_description_has_its_three_keys_and_no_dangling_reference() {
        let text = String::from_utf8(swagger().to_vec()).expect("UTF-8");
        let spec: Value = serde_json::from_str(&text).expect("JSON");
        for key in ["info", "swagger", "paths"] {
            assert!(spec.get(key).is_some(), "{key}");
        }
        for reference in text.split("\"$ref\":\"#/definitions/").skip(1) {
            let name = reference.split('"').next().expect("a name");
            assert!(spec["definitions"].get(name).is_some(), "{name}");
        }
    }
}

//! The description of the service for programs: `?spec` (contract §1.0, route 16).

use bytes::Bytes;
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

fn definitions() -> Value {
    let image = json!({
        "type": "object",
        "required": ["source", "width", "height"],
        "additionalProperties": false,
        "properties": {
            "source": { "type": "string" }, "width": { "type": "integer" }, "height": { "type": "integer" },
            "mime": { "type": "string" },
        },
    });
    let urls = json!({
        "type": "object",
        "required": ["page", "revisions", "edit"],
        "additionalProperties": false,
        "properties": {
            "page": { "type": "string" }, "revisions": { "type": "string" }, "edit": { "type": "string" },
            "talk": { "type": "string" },
        },
    });
    let text = json!({
        "type": "object",
        "required": ["html", "text"],
        "properties": {
            "html": { "type": "string" }, "text": { "type": "string" }, "lang": { "type": "string" },
            "name": { "type": "string" }, "user_page": { "type": "string" },
        },
    });
    let list = |of: &str| json!({ "type": "array", "items": { "$ref": format!("#/definitions/{of}") } });
    let strings = json!({ "type": "array", "items": { "type": "string" } });
    let one = |name: &str, of: &str| json!({ "type": "object", "required": [name], "additionalProperties": false, "properties": { name: list(of) } });
    json!({
        "problem": {
            "type": "object",
            "required": ["type"],
            "properties": {
                "status": { "type": "integer" }, "type": { "type": "string" }, "title": { "type": "string" },
                "detail": { "type": "string" }, "method": { "type": "string" }, "uri": { "type": "string" },
            },
        },
        "thumbnail": image,
        "urls": urls,
        "text": text,
        "summary": {
            "type": "object",
            "required": [
                "type", "titles", "title", "displaytitle", "pageid", "lang", "dir", "revision", "timestamp",
                "content_urls", "extract", "extract_html",
            ],
            "properties": {
                "type": { "type": "string", "enum": ["standard", "disambiguation", "no-extract", "mainpage"] },
                "title": { "type": "string" },
                "displaytitle": { "type": "string" },
                "titles": {
                    "type": "object",
                    "required": ["canonical", "normalized", "display"],
                    "properties": {
                        "canonical": { "type": "string" }, "normalized": { "type": "string" },
                        "display": { "type": "string" },
                    },
                },
                "pageid": { "type": "integer" },
                "lang": { "type": "string" },
                "dir": { "type": "string", "enum": ["ltr", "rtl"] },
                "revision": { "type": "string" },
                "timestamp": { "type": "string" },
                "extract": { "type": "string" },
                "extract_html": { "type": "string" },
                "thumbnail": { "$ref": "#/definitions/thumbnail" },
                "originalimage": { "$ref": "#/definitions/thumbnail" },
                "content_urls": {
                    "type": "object",
                    "required": ["desktop", "mobile"],
                    "properties": {
                        "desktop": { "$ref": "#/definitions/urls" }, "mobile": { "$ref": "#/definitions/urls" },
                    },
                },
                "normalizedtitle": { "type": "string" },
            },
        },
        "image": {
            "type": "object",
            "required": ["title", "license", "structured"],
            "properties": {
                "title": { "type": "string" },
                "thumbnail": { "type": "object" },
                "image": { "type": "object" },
                "file_page": { "type": "string" },
                "artist": { "$ref": "#/definitions/text" },
                "credit": { "$ref": "#/definitions/text" },
                "license": { "type": "object" },
                "description": { "$ref": "#/definitions/text" },
                "wb_entity_id": { "type": "string" },
                "structured": {
                    "type": "object",
                    "required": ["captions"],
                    "properties": { "captions": { "type": "object" } },
                },
            },
        },
        "mostread": {
            "type": "object",
            "required": ["date", "articles"],
            "additionalProperties": false,
            "properties": {
                "date": { "type": "string" },
                "articles": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["views", "rank", "title"],
                        "properties": {
                            "views": { "type": "integer" },
                            "rank": { "type": "integer" },
                            "view_history": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "required": ["date", "views"],
                                    "additionalProperties": false,
                                    "properties": { "date": { "type": "string" }, "views": { "type": "integer" } },
                                },
                            },
                        },
                    },
                },
            },
        },
        "story": {
            "type": "object",
            "required": ["links", "story"],
            "additionalProperties": false,
            "properties": { "links": list("summary"), "story": { "type": "string" } },
        },
        "news": list("story"),
        "fact": {
            "type": "object",
            "required": ["html", "text"],
            "additionalProperties": false,
            "properties": { "html": { "type": "string" }, "text": { "type": "string" } },
        },
        "dyk": list("fact"),
        "event": {
            "type": "object",
            "required": ["text", "pages", "year"],
            "additionalProperties": false,
            "properties": {
                "text": { "type": "string" }, "pages": list("summary"), "year": { "type": "integer" },
            },
        },
        "holiday": {
            "type": "object",
            "required": ["text", "pages"],
            "additionalProperties": false,
            "properties": { "text": { "type": "string" }, "pages": list("summary") },
        },
        "onthisday_selected": one("selected", "event"),
        "onthisday_events": one("events", "event"),
        "onthisday_births": one("births", "event"),
        "onthisday_deaths": one("deaths", "event"),
        "onthisday_holidays": one("holidays", "holiday"),
        "onthisday_any": { "type": "object" },
        "onthisday": {
            "type": "object",
            "required": ["selected", "events", "births", "deaths", "holidays"],
            "additionalProperties": false,
            "properties": {
                "selected": list("event"), "events": list("event"), "births": list("event"),
                "deaths": list("event"), "holidays": list("holiday"),
            },
        },
        "featured": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "tfa": { "$ref": "#/definitions/summary" },
                "mostread": { "$ref": "#/definitions/mostread" },
                "image": { "$ref": "#/definitions/image" },
                "news": { "$ref": "#/definitions/news" },
                "onthisday": list("event"),
                "dyk": { "$ref": "#/definitions/dyk" },
            },
        },
        "announcements": {
            "type": "object",
            "required": ["announce"],
            "additionalProperties": false,
            "properties": {
                "announce": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["id", "type", "start_time", "end_time", "platforms", "text", "action"],
                        "properties": {
                            "id": { "type": "string" }, "type": { "type": "string" },
                            "platforms": strings, "countries": strings,
                        },
                    },
                },
            },
        },
        "availability": {
            "type": "object",
            "required": [
                "todays_featured_article", "most_read", "picture_of_the_day", "in_the_news", "on_this_day",
                "did_you_know",
            ],
            "additionalProperties": strings,
        },
        "configuration": { "type": "object", "required": ["commonv1", "androidv1", "iosv1"] },
        "random": {
            "type": "object",
            "required": ["items"],
            "additionalProperties": false,
            "properties": {
                "items": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["title"],
                        "additionalProperties": false,
                        "properties": { "title": { "type": "string" } },
                    },
                },
            },
        },
    })
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

//! The shapes of all bodies as JSON Schemas (contract §1.5).

use serde_json::{Value, json};

/// The definitions of the description.
pub(super) fn definitions() -> Value {
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

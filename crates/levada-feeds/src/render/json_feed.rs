//! JSON Feed 1.1.

use super::entry::Channel;
use serde_json::{Map, Value, json};

/// The channel as a JSON Feed document.
pub(super) fn write(channel: &Channel) -> String {
    let items = channel.entries.iter().map(|entry| {
        let mut item = Map::new();
        let mut put = |key: &str, text: &str| item.insert(key.to_owned(), Value::from(text));
        put("id", &entry.id);
        put("url", &entry.url);
        put("title", &entry.title);
        put("content_html", &entry.html);
        if let Some(image) = &entry.image {
            put("image", image);
        }
        put("date_modified", &entry.updated);
        item.insert("tags".to_owned(), json!([entry.part]));
        Value::Object(item)
    });
    let items: Vec<Value> = items.collect();
    json!({
        "version": "https://jsonfeed.org/version/1.1",
        "title": channel.title,
        "home_page_url": channel.home,
        "language": channel.language,
        "items": items,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_json_feed_document() {
        let text = super::write(&super::super::entry::tests::sample());
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["version"], "https://jsonfeed.org/version/1.1");
        assert_eq!(value["items"][0]["title"], "A b");
        assert_eq!(value["items"][2]["tags"][0], "selected");
    }
}

//! The key of an article whose page has no number yet: its wiki, namespace and title (contract realtime
//! §6.2).

use levada_event::json::{Kind, Value, write_string};

/// Writes `{"project":…,"namespace":…,"title":…}` to `out`. `false`, with `out` as it was, when the event
/// has neither `is_part_of.identifier` nor `name`. Titles are written with spaces or with underscores
/// (contract realtime §4.3) and mean the same page, so the key has spaces.
pub(super) fn by_title(event: Value<'_>, out: &mut Vec<u8>) -> bool {
    let project = event
        .at_path(["is_part_of", "identifier"])
        .and_then(|project| project.as_str());
    let title = event.get("name").and_then(|name| name.as_str());
    let (Some(project), Some(title)) = (project, title) else {
        return false;
    };
    let namespace = event.at_path(["namespace", "identifier"]);
    out.extend_from_slice(b"{\"project\":");
    write_string(out, &project);
    out.extend_from_slice(b",\"namespace\":");
    match namespace.filter(|namespace| namespace.kind() == Kind::Number) {
        Some(namespace) => out.extend_from_slice(namespace.raw().as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"title\":");
    write_string(out, &title.replace('_', " "));
    out.push(b'}');
    true
}

#[cfg(test)]
mod tests {
    use levada_event::json::Document;

    use super::*;

    fn key(text: &str) -> Option<String> {
        let document = Document::parse(text.as_bytes()).unwrap();
        let mut out = b"before".to_vec();
        let written = by_title(document.root(), &mut out);
        let text = String::from_utf8(out).unwrap().split_off(6);
        assert_eq!(written, !text.is_empty());
        written.then_some(text)
    }

    #[test]
    fn both_spellings_of_a_title_are_one_page() {
        let want = r#"{"project":"enwiki","namespace":0,"title":"Guns N' Roses"}"#;
        for name in ["Guns N' Roses", "Guns_N'_Roses"] {
            let text = format!(
                r#"{{"name":"{name}","is_part_of":{{"identifier":"enwiki"}},"namespace":{{"identifier":0}}}}"#
            );
            assert_eq!(key(&text).as_deref(), Some(want));
        }
        let bare = key(r#"{"name":"a","is_part_of":{"identifier":"dewiki"}}"#);
        assert_eq!(
            bare.as_deref(),
            Some(r#"{"project":"dewiki","namespace":null,"title":"a"}"#)
        );
        assert_eq!(key(r#"{"name":"a"}"#), None);
        assert_eq!(key(r#"{"name":1,"is_part_of":{"identifier":"dewiki"}}"#), None);
    }
}

//! Additions: fields that an event lacks, spliced into its text at the ends of their objects; and values
//! that are the server's to say, put in the place of what was sent.

use std::ops::Range;

use levada_event::json::{Kind, Value, write_string};

/// Fields to add to one event, and values to change in it.
#[derive(Debug, Default)]
pub(super) struct Additions<'a> {
    fields: Vec<Field<'a>>,
    changes: Vec<(Range<usize>, Vec<u8>)>,
}

#[derive(Debug)]
struct Field<'a> {
    /// Byte of the closing brace of the innermost object that exists on the path.
    close: usize,
    /// Whether that object has no entries.
    empty: bool,
    /// The keys that do not exist yet.
    missing: Vec<&'a str>,
    /// The value as JSON text.
    value: Vec<u8>,
}

impl<'a> Additions<'a> {
    /// Adds `value` (JSON text) at `path` unless the event has something there. A path that runs
    /// through something that is no object is left alone: validation reports it.
    pub(super) fn add(&mut self, event: Value<'_>, path: &[&'a str], value: Vec<u8>) {
        let mut at = event;
        for (depth, key) in path.iter().enumerate() {
            if at.kind() != Kind::Object {
                return;
            }
            match at.get(key) {
                Some(inner) => at = inner,
                None => {
                    let missing = path[depth..].to_vec();
                    self.fields.push(Field {
                        close: at.end() - 1,
                        empty: at.is_empty(),
                        missing,
                        value,
                    });
                    return;
                }
            }
        }
    }

    /// As [`add`](Self::add), for a string.
    pub(super) fn add_text(&mut self, event: Value<'_>, path: &[&'a str], text: &str) {
        let mut value = Vec::with_capacity(text.len() + 2);
        write_string(&mut value, text);
        self.add(event, path, value);
    }

    /// As [`add`](Self::add), and where the event has something there, `value` takes its place.
    pub(super) fn set(&mut self, event: Value<'_>, path: &[&'a str], value: Vec<u8>) {
        match event.at_path(path.iter().copied()) {
            Some(found) => self.changes.push((found.start()..found.end(), value)),
            None => self.add(event, path, value),
        }
    }

    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.changes.is_empty()
    }

    /// Appends the text of `event` with the additions in it.
    pub(super) fn render(mut self, event: Value<'_>, out: &mut Vec<u8>) {
        self.fields.sort_by_key(|field| field.close);
        self.changes.sort_by_key(|(range, _)| range.start);
        let (raw, base) = (event.raw().as_bytes(), event.start());
        let mut copied = 0;
        let mut changes = self.changes.iter().peekable();
        for group in self.fields.chunk_by(|a, b| a.close == b.close) {
            let close = group[0].close - base;
            while let Some((range, value)) = changes.next_if(|(range, _)| range.start < close + base) {
                out.extend_from_slice(&raw[copied..range.start - base]);
                out.extend_from_slice(value);
                copied = range.end - base;
            }
            out.extend_from_slice(&raw[copied..close]);
            copied = close;
            let fields: Vec<&Field<'_>> = group.iter().collect();
            members(out, &fields, 0, group[0].empty);
        }
        for (range, value) in changes {
            out.extend_from_slice(&raw[copied..range.start - base]);
            out.extend_from_slice(value);
            copied = range.end - base;
        }
        out.extend_from_slice(&raw[copied..]);
    }
}

/// Writes `fields`, whose keys begin at `depth`, as members of an open object.
fn members(out: &mut Vec<u8>, fields: &[&Field<'_>], depth: usize, mut first: bool) {
    let mut done: Vec<&str> = Vec::new();
    for field in fields {
        let key = field.missing[depth];
        if done.contains(&key) {
            continue;
        }
        done.push(key);
        if !first {
            out.push(b',');
        }
        first = false;
        write_string(out, key);
        out.push(b':');
        if field.missing.len() == depth + 1 {
            out.extend_from_slice(&field.value);
        } else {
            let below = |f: &&&Field<'_>| f.missing.len() > depth + 1 && f.missing[depth] == key;
            let inner: Vec<&Field<'_>> = fields.iter().filter(below).copied().collect();
            out.push(b'{');
            members(out, &inner, depth + 1, true);
            out.push(b'}');
        }
    }
}

#[cfg(test)]
mod tests {
    use levada_event::json::Document;

    use super::*;

    fn check(text: &str, fields: &[(&[&str], &str)], want: &str) {
        let document = Document::parse(text.as_bytes()).unwrap();
        let mut additions = Additions::default();
        for (path, value) in fields {
            additions.add_text(document.root(), path, value);
        }
        let mut out = Vec::new();
        additions.render(document.root(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }

    #[test]
    fn fields_go_to_the_ends_of_their_objects() {
        check(
            r#"{"meta":{"stream":"a"},"n":1.0}"#,
            &[(&["meta", "id"], "x"), (&["meta", "dt"], "y"), (&["dt"], "z")],
            r#"{"meta":{"stream":"a","id":"x","dt":"y"},"n":1.0,"dt":"z"}"#,
        );
    }

    #[test]
    fn missing_parents_are_made_once() {
        check(
            r#"{}"#,
            &[
                (&["http", "client_ip"], "i"),
                (&["http", "request_headers", "user-agent"], "u"),
            ],
            r#"{"http":{"client_ip":"i","request_headers":{"user-agent":"u"}}}"#,
        );
    }

    #[test]
    fn what_is_there_stays() {
        check(
            r#"{"meta":null,"a":{"b":null}}"#,
            &[(&["meta", "id"], "x"), (&["a", "b"], "y")],
            r#"{"meta":null,"a":{"b":null}}"#,
        );
        check(
            r#"{"meta":{}}"#,
            &[(&["meta", "id"], "x")],
            r#"{"meta":{"id":"x"}}"#,
        );
    }

    #[test]
    fn what_is_the_servers_to_say_takes_the_place_of_what_was_sent() {
        let text = br#"[7,{"event":{"at":"old","n":1},"meta":{},"last":[1]}]"#;
        let document = Document::parse(text).unwrap();
        let event = document.root().items().nth(1).unwrap();
        let mut additions = Additions::default();
        additions.set(event, &["last"], b"2".to_vec());
        additions.set(event, &["event", "at"], b"\"new\"".to_vec());
        additions.set(event, &["meta", "id"], b"3".to_vec());
        additions.set(event, &["event", "to"], b"4".to_vec());
        let mut out = Vec::new();
        additions.render(event, &mut out);
        let want = r#"{"event":{"at":"new","n":1,"to":4},"meta":{"id":3},"last":2}"#;
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }

    #[test]
    fn an_event_inside_a_batch_is_cut_out() {
        let text = br#"[{"a":1},{"meta":{"stream":"s"}}]"#;
        let document = Document::parse(text).unwrap();
        let event = document.root().items().nth(1).unwrap();
        let mut additions = Additions::default();
        additions.add_text(event, &["meta", "id"], "x");
        let mut out = Vec::new();
        additions.render(event, &mut out);
        assert_eq!(out, br#"{"meta":{"stream":"s","id":"x"}}"#);
    }
}

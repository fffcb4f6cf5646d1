//! Prints JSON over several lines without changing a number, a key or an escape.

use levada_event::json::{Document, Kind, Value};

/// Appends `text` indented to `out`, and a line feed. What is not JSON is appended as it is.
pub(crate) fn push(out: &mut Vec<u8>, text: &str) {
    match Document::parse(text.as_bytes()) {
        Ok(document) => push_value(out, document.root(), 0),
        Err(_) => out.extend_from_slice(text.as_bytes()),
    }
    out.push(b'\n');
}

// Documents nest at most as deep as the parser allows, so the recursion is bounded.
fn push_value(out: &mut Vec<u8>, value: Value<'_>, depth: usize) {
    let (open, close) = match value.kind() {
        Kind::Object => (b'{', b'}'),
        Kind::Array => (b'[', b']'),
        _ => return out.extend_from_slice(value.raw().as_bytes()),
    };
    out.push(open);
    let mut first = true;
    let mut next_line = |out: &mut Vec<u8>| {
        if !std::mem::replace(&mut first, false) {
            out.push(b',');
        }
        indent(out, depth + 1);
    };
    for item in value.items() {
        next_line(out);
        push_value(out, item, depth + 1);
    }
    for (key, entry) in value.entries() {
        next_line(out);
        out.extend_from_slice(key.raw().as_bytes());
        out.extend_from_slice(b": ");
        push_value(out, entry, depth + 1);
    }
    if !value.is_empty() {
        indent(out, depth);
    }
    out.push(close);
}

fn indent(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.extend(std::iter::repeat_n(b' ', 2 * depth));
}

#[cfg(test)]
mod tests {
    #[test]
    fn indents_and_changes_nothing() {
        let mut out = Vec::new();
        super::push(
            &mut out,
            r#"{"n":12345678901234567890,"e":{},"l":[1.0,[],"\u0041"]}"#,
        );
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\n  \"n\": 12345678901234567890,\n  \"e\": {},\n  \"l\": [\n    1.0,\n    [],\n    \"\\u0041\"\n  ]\n}\n"
        );
        let mut out = Vec::new();
        super::push(&mut out, "no json");
        assert_eq!(out, b"no json\n");
    }
}

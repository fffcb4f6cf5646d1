//! Record keys: a JSON object of fields of the event (contract eventplatform §2.9).

use levada_event::json::{self, Kind, Value};

/// How the key of a stream's records is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTemplate {
    fields: Vec<KeyField>,
    shape: Vec<Member>,
}

/// One field of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyField {
    /// Path inside the key, dots between its steps.
    pub path: String,
    /// Steps to the field inside the event.
    pub from: Vec<String>,
}

/// A member of the key object, in the order it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    name: String,
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    /// Index of the field that is written here.
    Field(usize),
    Object(Vec<Member>),
}

/// The event lacks a field that its record's key needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Failed extracting {path} from event, field is not defined.")]
pub struct MissingKeyField {
    /// Path inside the key.
    pub path: String,
}

impl KeyTemplate {
    /// From pairs of key path and event path. Members come in configured order, those whose names
    /// are whole numbers first and ascending, as JavaScript writes objects.
    pub(super) fn new(fields: Vec<KeyField>) -> Result<Self, String> {
        let mut shape = Vec::new();
        for (index, field) in fields.iter().enumerate() {
            place(&mut shape, &field.path, index).ok_or_else(|| {
                format!(
                    "message_key_fields: {:?} lies inside another field of the key",
                    field.path
                )
            })?;
        }
        order(&mut shape);
        Ok(Self { fields, shape })
    }

    /// The fields in configured order.
    pub fn fields(&self) -> &[KeyField] {
        &self.fields
    }

    /// Writes the key of `event` to `out`: compact JSON, equal for events whose fields have equal
    /// values, however the events spell them.
    ///
    /// # Errors
    /// [`MissingKeyField`] names the first field the event lacks; `out` is then as it was. A field
    /// that is null is there.
    pub fn render(&self, event: Value<'_>, out: &mut Vec<u8>) -> Result<(), MissingKeyField> {
        let start = out.len();
        let result = self.object(&self.shape, event, out);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    fn object(&self, members: &[Member], event: Value<'_>, out: &mut Vec<u8>) -> Result<(), MissingKeyField> {
        out.push(b'{');
        for (index, member) in members.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            json::write_string(out, &member.name);
            out.push(b':');
            match &member.content {
                Content::Object(members) => self.object(members, event, out)?,
                Content::Field(field) => {
                    let field = &self.fields[*field];
                    match event.at_path(field.from.iter().map(String::as_str)) {
                        Some(value) => write(out, value),
                        None => {
                            return Err(MissingKeyField {
                                path: field.path.clone(),
                            });
                        }
                    }
                }
            }
        }
        out.push(b'}');
        Ok(())
    }
}

/// Puts a field at its path; `None` if another field is in the way.
fn place(shape: &mut Vec<Member>, path: &str, field: usize) -> Option<()> {
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    let member = match shape.iter().position(|member| member.name == name) {
        Some(found) => &mut shape[found],
        None => {
            let content = if rest.is_some() {
                Content::Object(Vec::new())
            } else {
                Content::Field(field)
            };
            shape.push(Member {
                name: name.into(),
                content,
            });
            let last = shape.len() - 1;
            match rest {
                None => return Some(()),
                Some(_) => &mut shape[last],
            }
        }
    };
    match (&mut member.content, rest) {
        (Content::Object(members), Some(rest)) => place(members, rest, field),
        _ => None,
    }
}

fn order(shape: &mut [Member]) {
    shape.sort_by_key(|member| {
        let number = member
            .name
            .parse::<u32>()
            .ok()
            .filter(|n| n.to_string() == member.name);
        number.map_or((1, 0), |number| (0, number))
    });
    for member in shape {
        if let Content::Object(members) = &mut member.content {
            order(members);
        }
    }
}

/// Writes a value so that equal values have equal texts. Whole numbers keep all their digits.
fn write(out: &mut Vec<u8>, value: Value<'_>) {
    match value.kind() {
        Kind::String => json::write_string(out, &value.as_str().unwrap_or_default()),
        Kind::Number => write_number(out, value.raw()),
        Kind::Null | Kind::Bool => out.extend_from_slice(value.raw().as_bytes()),
        Kind::Array => {
            out.push(b'[');
            for (index, item) in value.items().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(out, item);
            }
            out.push(b']');
        }
        Kind::Object => {
            out.push(b'{');
            for (index, (key, value)) in value.entries().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(out, key);
                out.push(b':');
                write(out, value);
            }
            out.push(b'}');
        }
    }
}

fn write_number(out: &mut Vec<u8>, text: &str) {
    // 2^53: from there on not every whole number is a double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if text == "-0" {
        out.push(b'0');
        return;
    }
    if text.contains(['.', 'e', 'E'])
        && let Ok(number) = text.parse::<f64>()
        && number.is_finite()
    {
        if number.fract() == 0.0 && number.abs() < EXACT {
            out.extend_from_slice((number as i64).to_string().as_bytes());
        } else {
            out.extend_from_slice(number.to_string().as_bytes());
        }
        return;
    }
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use levada_event::json::Document;

    use super::*;

    fn template(fields: &[(&str, &str)]) -> Result<KeyTemplate, String> {
        KeyTemplate::new(
            fields
                .iter()
                .map(|(path, from)| KeyField {
                    path: (*path).into(),
                    from: from.split('.').map(Into::into).collect(),
                })
                .collect(),
        )
    }

    fn key(fields: &[(&str, &str)], event: &str) -> Result<String, MissingKeyField> {
        let mut out = Vec::new();
        let document = Document::parse(event.as_bytes()).unwrap();
        template(fields).unwrap().render(document.root(), &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn keys_look_as_in_production() {
        let event = r#"{"wiki_id":"enwiki","page":{"page_id":123}}"#;
        let got = key(&[("wiki_id", "wiki_id"), ("page_id", "page.page_id")], event);
        assert_eq!(got.unwrap(), r#"{"wiki_id":"enwiki","page_id":123}"#);
        assert_eq!(key(&[], event).unwrap(), "{}");
    }

    #[test]
    fn dotted_names_nest_and_numbers_come_first() {
        let got = key(
            &[("k.f", "a.b"), ("z", "n"), ("2", "n"), ("k.e", "n")],
            r#"{"a":{"b":[1, {"x" :2}]},"n":null}"#,
        );
        assert_eq!(
            got.unwrap(),
            r#"{"2":null,"k":{"f":[1,{"x":2}],"e":null},"z":null}"#
        );
        assert!(template(&[("a", "x"), ("a.b", "y")]).is_err());
        assert!(template(&[("a.b", "x"), ("a", "y")]).is_err());
    }

    #[test]
    fn a_missing_field_is_named() {
        let fault = key(&[("w", "w"), ("page_id", "page.id")], r#"{"w":1,"page":{}}"#).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "Failed extracting page_id from event, field is not defined."
        );
    }

    #[test]
    fn spelling_does_not_change_a_key() {
        for (a, b) in [
            (r#""ab""#, r#""a\u0062""#),
            ("1", "1.0"),
            ("100", "1e2"),
            ("0", "-0"),
            ("0.5", "5e-1"),
        ] {
            let of = |value: &str| key(&[("k", "k")], &format!("{{\"k\":{value}}}")).unwrap();
            assert_eq!(of(a), of(b));
        }
        assert_eq!(
            key(&[("k", "k")], r#"{"k":12345678901234567890123}"#).unwrap(),
            r#"{"k":12345678901234567890123}"#
        );
    }
}

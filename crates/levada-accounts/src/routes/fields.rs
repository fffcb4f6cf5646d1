//! Fields of a request: a form or a JSON object of strings.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use percent_encoding::percent_decode;
use serde_json::Value;

use super::Refusal;
use crate::limits::BODY_BYTES_MAX;

/// Most fields that a form may have; the longest route takes eight.
const FIELDS_MAX: usize = 64;

/// The fields that a body gave. `Debug` is left out on purpose: they are passwords and tokens.
pub(crate) struct Fields {
    fields: Vec<(String, Value)>,
}

impl Fields {
    /// Reads a body: JSON when the content type says so or the body begins with `{` (clients forget
    /// the header), else a form. Of JSON the first value counts and key names have no case, as in
    /// the reference.
    pub(crate) fn read(content_type: Option<&str>, body: &[u8]) -> Result<Self, Refusal> {
        if body.len() > BODY_BYTES_MAX {
            return Err(Refusal::invalid(format!(
                "the body is larger than {BODY_BYTES_MAX} bytes"
            )));
        }
        let essence = content_type
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .trim();
        let essence = essence.to_ascii_lowercase();
        if essence.starts_with("multipart/") {
            return Err(Refusal::invalid(
                "multipart forms are not read: send JSON or a form",
            ));
        }
        if essence == "application/json" || body.trim_ascii_start().starts_with(b"{") {
            Self::json(body)
        } else {
            Self::form(body)
        }
    }

    fn json(body: &[u8]) -> Result<Self, Refusal> {
        let mut values = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
        match values.next() {
            Some(Ok(Value::Object(object))) => Ok(Self {
                fields: object.into_iter().collect(),
            }),
            Some(Ok(_)) => Err(Refusal::invalid("the body is not a JSON object")),
            // The parser's own text could repeat a password.
            Some(Err(e)) => Err(Refusal::invalid(format!(
                "the body is not JSON (line {}, column {})",
                e.line(),
                e.column()
            ))),
            None => Ok(Self { fields: Vec::new() }),
        }
    }

    fn form(body: &[u8]) -> Result<Self, Refusal> {
        let mut fields = Vec::new();
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            if fields.len() == FIELDS_MAX {
                return Err(Refusal::invalid(format!(
                    "the form has more than {FIELDS_MAX} fields"
                )));
            }
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            let value = decode(halves.next().unwrap_or_default())?;
            fields.push((name, Value::String(value)));
        }
        Ok(Self { fields })
    }

    /// The field of this name, which must have this many characters.
    pub(crate) fn text(&self, name: &str, chars: RangeInclusive<usize>) -> Result<&str, Refusal> {
        let same_case = || self.fields.iter().rev().find(|(given, _)| given == name);
        let any_case = || {
            self.fields
                .iter()
                .rev()
                .find(|(given, _)| given.eq_ignore_ascii_case(name))
        };
        let text = match same_case().or_else(any_case).map(|(_, value)| value) {
            Some(Value::String(text)) => text,
            None | Some(Value::Null) => return Err(Refusal::invalid(format!("{name} is missing"))),
            Some(_) => return Err(Refusal::invalid(format!("{name} is not a string"))),
        };
        if !chars.contains(&text.chars().count()) {
            let (least, most) = chars.into_inner();
            return Err(Refusal::invalid(format!(
                "{name} must have {least} to {most} characters"
            )));
        }
        Ok(text)
    }
}

fn decode(text: &[u8]) -> Result<String, Refusal> {
    let spaced: Cow<'_, [u8]> = if text.contains(&b'+') {
        text.iter()
            .map(|byte| if *byte == b'+' { b' ' } else { *byte })
            .collect::<Vec<u8>>()
            .into()
    } else {
        text.into()
    };
    let decoded = percent_decode(&spaced).decode_utf8();
    decoded
        .map(Cow::into_owned)
        .map_err(|_| Refusal::invalid("the form is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content_type: Option<&str>, body: &str) -> Option<String> {
        let fields = Fields::read(content_type, body.as_bytes()).ok()?;
        fields.text("name", 1..=5).ok().map(str::to_owned)
    }

    #[test]
    fn forms_and_json_give_the_same_fields() {
        let json = Some("application/json; charset=utf-8");
        let form = Some("application/x-www-form-urlencoded");
        for (content_type, body) in [
            (json, r#"{"name":"a +é","other":[1]}"#),
            (json, r#" {"NAME":"a +é"} trailing"#),
            (form, "other=x&name=a+%2B%C3%A9"),
            (form, r#"{"name":"a +é"}"#),
            (None, r#"{"name":"a +é"}"#),
            (None, "name=a%20%2B%C3%A9"),
        ] {
            assert_eq!(text(content_type, body).as_deref(), Some("a +é"), "{body}");
        }
        assert_eq!(text(json, r#"{"name":"a","NAME":"b"}"#).as_deref(), Some("a"));
    }

    #[test]
    fn what_is_no_field_is_refused() {
        let json = Some("application/json");
        for body in [
            "",
            "{}",
            "{",
            "[]",
            "null",
            "nonsense",
            r#"{"name":1}"#,
            r#"{"name":null}"#,
            r#"{"name":""}"#,
        ] {
            assert_eq!(text(json, body), None, "{body}");
        }
        assert_eq!(text(json, r#"{"name":"123456"}"#), None);
        assert_eq!(text(None, "name=%ff"), None);
        assert_eq!(text(Some("multipart/form-data; boundary=x"), "name=a"), None);
        assert_eq!(
            text(None, &format!("name=a&x={}", "y".repeat(BODY_BYTES_MAX))),
            None
        );
        assert_eq!(text(None, &"a=b&".repeat(FIELDS_MAX + 1)), None);
        assert_eq!(text(json, &"[".repeat(10_000)), None);
    }

    #[test]
    fn refusals_do_not_repeat_what_was_sent() {
        let refusal = Fields::read(Some("application/json"), br#"{"password":"hunter2" x}"#)
            .err()
            .unwrap();
        assert!(!format!("{refusal:?}").contains("hunter2"));
    }
}

//! The parameters of a request, read as the Action API reads them (contract eventplatform §4.1).

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

/// Most stream names in one request of anyone with high limits.
pub(super) const STREAMS_HIGH_MAX: usize = 500;

/// Most parameters of one request that are looked at. The API knows about twenty.
const PARAMETERS_MAX: usize = 1_000;

/// Parameters of the Action API that any module takes. They are accepted and change nothing here.
const GENERIC: [&str; 21] = [
    "action",
    "format",
    "formatversion",
    "errorformat",
    "errorlang",
    "errorsuselocal",
    "callback",
    "origin",
    "crossorigin",
    "uselang",
    "variant",
    "maxage",
    "smaxage",
    "assert",
    "assertuser",
    "requestid",
    "servedby",
    "curtimestamp",
    "responselanginfo",
    "maxlag",
    "utf8",
];

/// Parameters of the module itself, and of the printer.
const OWN: [&str; 4] = ["streams", "constraints", "all_settings", "ascii"];

/// Which values a parameter with several takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Multi {
    low: usize,
    high: usize,
}

impl Multi {
    pub(super) const STREAMS: Self = Self {
        low: 250,
        high: STREAMS_HIGH_MAX,
    };
    pub(super) const CONSTRAINTS: Self = Self { low: 50, high: 500 };
}

/// A parameter has more values than it may.
pub(super) struct TooMany {
    pub(super) parameter: &'static str,
    pub(super) limit: usize,
    pub(super) low: usize,
    pub(super) high: usize,
}

/// The parameters of a streamconfigs request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    parameters: Vec<(String, String)>,
    high_limits: bool,
}

impl Query {
    /// Reads the query string of a URL, without its question mark.
    pub fn parse(query_string: &str) -> Self {
        Self::default().with_form(query_string)
    }

    /// Adds the parameters of a form (`application/x-www-form-urlencoded`), which count more than
    /// those of the URL.
    #[must_use]
    pub fn with_form(mut self, body: &str) -> Self {
        for part in body
            .split('&')
            .filter(|part| !part.is_empty())
            .take(PARAMETERS_MAX)
        {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            self.parameters.push((decode(name), decode(value)));
        }
        self
    }

    /// Grants the higher limits on the number of values that trusted clients have.
    #[must_use]
    pub fn with_high_limits(mut self) -> Self {
        self.high_limits = true;
        self
    }

    /// A parameter's value; the last one counts.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn high_limits(&self) -> bool {
        self.high_limits
    }

    /// The values of a parameter with several, each once; `None` if it is absent. They are separated
    /// by `|`, or by U+001F if the text starts with it.
    pub(super) fn multi(
        &self,
        parameter: &'static str,
        Multi { low, high }: Multi,
        high_limits: bool,
    ) -> Result<Option<Vec<String>>, TooMany> {
        let Some(text) = self.get(parameter) else {
            return Ok(None);
        };
        let limit = if high_limits { high } else { low };
        let mut values: Vec<String> = Vec::new();
        let mut add = |value: &str| {
            if !values.iter().any(|known| known == value) {
                values.push(value.to_owned());
            }
            if values.len() > limit {
                Err(TooMany {
                    parameter,
                    limit,
                    low,
                    high,
                })
            } else {
                Ok(())
            }
        };
        match text.strip_prefix('\u{1f}') {
            Some(text) => text.split('\u{1f}').try_for_each(&mut add)?,
            None if text.is_empty() => {}
            None => text.split('|').try_for_each(&mut add)?,
        }
        Ok(Some(values))
    }

    /// What the answer warns about, by module.
    pub(super) fn warnings(&self) -> Map<String, Value> {
        let mut warnings = Map::new();
        let mut unknown: Vec<String> = Vec::new();
        for (name, _) in &self.parameters {
            let shown: String = name.chars().take(100).collect();
            if !GENERIC.contains(&name.as_str()) && !OWN.contains(&name.as_str()) && !unknown.contains(&shown)
            {
                unknown.push(shown);
            }
            if unknown.len() == 20 {
                break;
            }
        }
        if !unknown.is_empty() {
            let noun = if unknown.len() == 1 {
                "parameter"
            } else {
                "parameters"
            };
            let text = format!("Unrecognized {noun}: {}.", unknown.join(", "));
            warnings.insert("main".into(), json!({ "warnings": text }));
        }
        if self.get("all_settings").is_some() {
            let text = "The parameter \"all_settings\" has been deprecated.";
            warnings.insert("streamconfigs".into(), json!({ "warnings": text }));
        }
        warnings
    }
}

/// Undoes URL encoding; bytes that are not UTF-8 become U+FFFD.
pub(super) fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams(query: &str) -> Option<Vec<String>> {
        Query::parse(query)
            .multi("streams", Multi::STREAMS, false)
            .ok()
            .unwrap()
    }

    #[test]
    fn several_values_come_in_two_spellings() {
        assert_eq!(streams("x=1"), None);
        assert_eq!(streams("streams="), Some(vec![]));
        assert_eq!(streams("streams=a%7Cb|a").unwrap(), ["a", "b"]);
        assert_eq!(streams("streams=%1Fa|b%1Fc").unwrap(), ["a|b", "c"]);
        assert_eq!(streams("streams=a&streams=b").unwrap(), ["b"]);
    }

    #[test]
    fn there_is_a_limit_on_values() {
        let many: Vec<String> = (0..251).map(|i| format!("s{i}")).collect();
        let query = Query::parse(&format!("streams={}", many.join("|")));
        assert_eq!(
            query.multi("streams", Multi::STREAMS, false).err().unwrap().limit,
            250
        );
        assert_eq!(
            query
                .multi("streams", Multi::STREAMS, true)
                .ok()
                .unwrap()
                .unwrap()
                .len(),
            251
        );
    }

    #[test]
    fn forms_count_more_than_urls() {
        let query = Query::parse("action=x&format=json").with_form("action=streamconfigs&a=b+c%C3%A9");
        assert_eq!(query.get("action"), Some("streamconfigs"));
        assert_eq!(query.get("a"), Some("b cé"));
        assert_eq!(query.get("format"), Some("json"));
    }

    #[test]
    fn unknown_and_deprecated_parameters_are_warned_about() {
        let warnings = |text: &str| Value::Object(Query::parse(text).warnings()).to_string();
        assert_eq!(warnings("action=streamconfigs&format=json&uselang=user"), "{}");
        assert_eq!(
            warnings("x=1"),
            r#"{"main":{"warnings":"Unrecognized parameter: x."}}"#
        );
        assert_eq!(
            warnings("x=1&y"),
            r#"{"main":{"warnings":"Unrecognized parameters: x, y."}}"#
        );
        assert!(warnings("all_settings=1").contains("streamconfigs"));
    }
}

//! Constraints on settings (contract eventplatform §4.3, §4.4).

use serde_json::{Map, Value};

use super::php;
use super::query::decode;
use crate::Compat;
use crate::stream::Stream;

/// Comparisons deeper than this succeed, as in the reference. Also bounds how deep a key may nest.
const DEPTH_MAX: usize = 10;

/// What is asked for: text, or a map as PHP has them (a list is a map with numbers for keys).
#[derive(Debug, Clone, PartialEq)]
enum Wanted {
    Text(String),
    Map(Vec<(Key, Wanted)>),
}

/// A key of a PHP array.
#[derive(Debug, Clone, PartialEq)]
enum Key {
    Number(u64),
    Name(String),
}

impl Key {
    fn new(text: &str) -> Self {
        match text.parse::<u64>() {
            Ok(number) if number.to_string() == text && number <= i64::MAX as u64 => Self::Number(number),
            _ => Self::Name(text.to_owned()),
        }
    }
}

/// All constraints of a request.
#[derive(Debug)]
pub(super) struct Constraints {
    wanted: Vec<(Key, Wanted)>,
}

impl Constraints {
    /// Reads the values of the parameter, each a fragment of a query string.
    pub(super) fn parse(values: &[String]) -> Self {
        let mut wanted = Vec::new();
        for value in values {
            merge(&mut wanted, fragment(value));
        }
        Self { wanted }
    }

    /// Whether a stream has all that is asked for. `stream` is compared with the name, also by the
    /// stream's pattern; topics that were computed count as not there.
    pub(super) fn match_stream(&self, stream: &Stream, compat: &Compat) -> bool {
        if self.wanted.is_empty() {
            return true;
        }
        let mut wanted = self.wanted.clone();
        if let Some(at) = wanted
            .iter()
            .position(|(key, _)| *key == Key::Name("stream".into()))
        {
            let (_, name) = wanted.remove(at);
            let Wanted::Text(name) = name else { return false };
            if name != stream.key && name != stream.name && !matches_pattern(stream, &name) {
                return false;
            }
        }
        let mut settings = stream.settings.clone();
        if stream.has_computed_topics() {
            settings.shift_remove("topics");
        }
        map_matches(&wanted, &Have::Map(&settings), 0, compat)
    }
}

fn matches_pattern(stream: &Stream, name: &str) -> bool {
    crate::pattern::Pattern::is_pattern(&stream.key)
        && crate::pattern::Pattern::parse(&stream.key).is_ok_and(|pattern| pattern.is_match(name))
}

/// One value of the parameter as a map.
fn fragment(value: &str) -> Vec<(Key, Wanted)> {
    let mut map: Vec<(Key, Wanted)> = Vec::new();
    let value = value.strip_prefix('?').unwrap_or(value);
    for part in value.split('&').filter(|part| !part.is_empty()) {
        // Only what stands between the first and the second = is the value.
        let mut sides = part.split('=');
        let key = decode(sides.next().unwrap_or_default());
        let text = decode(sides.next().unwrap_or_default());
        let mut steps = key.split('[');
        let first = Key::new(steps.next().unwrap_or_default());
        let steps: Vec<&str> = steps
            .take(DEPTH_MAX + 1)
            .map(|step| step.strip_suffix(']').unwrap_or(step))
            .collect();
        let nested = steps.iter().rev().fold(Wanted::Text(text), |inside, step| {
            Wanted::Map(vec![(Key::new(step), inside)])
        });
        match (map.iter_mut().find(|(key, _)| *key == first), nested) {
            (Some((_, Wanted::Map(present))), Wanted::Map(more)) => merge(present, more),
            (Some((_, present)), nested) => *present = nested,
            (None, nested) => map.push((first, nested)),
        }
    }
    map
}

/// PHP's recursive merge: what stands under the same name becomes a list, numbered entries are appended.
fn merge(map: &mut Vec<(Key, Wanted)>, more: Vec<(Key, Wanted)>) {
    for (key, value) in more {
        if let Key::Number(_) = key {
            let next = next_number(map);
            map.push((next, value));
            continue;
        }
        match map.iter_mut().find(|(present, _)| *present == key) {
            None => map.push((key, value)),
            Some((_, present)) => {
                let mut both = match std::mem::replace(present, Wanted::Map(Vec::new())) {
                    Wanted::Map(map) => map,
                    text => vec![(Key::Number(0), text)],
                };
                match value {
                    Wanted::Map(more) => merge(&mut both, more),
                    text => {
                        let next = next_number(&both);
                        both.push((next, text));
                    }
                }
                *present = Wanted::Map(both);
            }
        }
    }
}

fn next_number(map: &[(Key, Wanted)]) -> Key {
    let last = map.iter().filter_map(|(key, _)| match key {
        Key::Number(number) => Some(*number),
        Key::Name(_) => None,
    });
    Key::Number(last.max().map_or(0, |last| last + 1))
}

/// A container among the settings.
enum Have<'a> {
    Map(&'a Map<String, Value>),
    List(&'a [Value]),
}

impl<'a> Have<'a> {
    fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Object(map) => Some(Self::Map(map)),
            Value::Array(list) => Some(Self::List(list)),
            _ => None,
        }
    }

    fn get(&self, key: &Key) -> Option<&'a Value> {
        let value = match (self, key) {
            (Self::Map(map), Key::Name(name)) => map.get(name),
            (Self::Map(map), Key::Number(number)) => map.get(&number.to_string()),
            (Self::List(list), Key::Number(number)) => {
                usize::try_from(*number).ok().and_then(|at| list.get(at))
            }
            (Self::List(_), Key::Name(_)) => None,
        };
        value.filter(|value| !value.is_null())
    }
}

fn map_matches(wanted: &[(Key, Wanted)], have: &Have<'_>, depth: usize, compat: &Compat) -> bool {
    if depth > DEPTH_MAX {
        return true;
    }
    for (key, wanted) in wanted {
        let Some(have) = have.get(key) else { return false };
        let matches = match (wanted, Have::of(have)) {
            (Wanted::Text(text), None) => php::string(have).is_some_and(|have| have == *text),
            (Wanted::Map(wanted), Some(_)) if wanted.is_empty() => true,
            (Wanted::Map(wanted), Some(Have::List(list))) if is_list(wanted) => {
                let contained = wanted.iter().all(|(_, wanted)| contains(list, wanted));
                if contained && compat.list_constraint_ends_match {
                    return true;
                }
                contained
            }
            (Wanted::Map(wanted), Some(have @ Have::Map(_))) if !is_list(wanted) => {
                map_matches(wanted, &have, depth + 1, compat)
            }
            _ => false,
        };
        if !matches {
            return false;
        }
    }
    true
}

fn is_list(wanted: &[(Key, Wanted)]) -> bool {
    wanted
        .iter()
        .enumerate()
        .all(|(at, (key, _))| *key == Key::Number(at as u64))
}

/// Whether a list has an element, whatever its place.
fn contains(list: &[Value], wanted: &Wanted) -> bool {
    let Wanted::Text(text) = wanted else { return false };
    list.iter()
        .any(|have| php::string(have).is_some_and(|have| have == *text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(constraints: &str, settings: &Value) -> bool {
        matches_with(constraints, settings, &Compat::default())
    }

    fn matches_with(constraints: &str, settings: &Value, compat: &Compat) -> bool {
        let values: Vec<String> = constraints.split('|').map(Into::into).collect();
        let constraints = Constraints::parse(&values);
        map_matches(
            &constraints.wanted,
            &Have::Map(settings.as_object().unwrap()),
            0,
            compat,
        )
    }

    #[test]
    fn scalars_are_compared_as_php_strings() {
        let settings =
            json!({"s": "x", "t": true, "f": false, "r": 0.15, "n": 5, "one": 1.0, "nil": null, "e": ""});
        for constraint in [
            "s=x", "?s=x", "s=x=y", "t=1", "f=", "f", "r=0.15", "n=5", "one=1", "e=", "s=x&t=1", "s=x|t=1",
            "s=%78",
        ] {
            assert!(matches(constraint, &settings), "{constraint}");
        }
        for constraint in [
            "s=y", "t=true", "f=false", "f=0", "r=.15", "n=5.0", "one=1.0", "nil=", "nosuch=", "s=x|s=y",
            "s[a]=x", "s=x|n=6",
        ] {
            assert!(!matches(constraint, &settings), "{constraint}");
        }
    }

    #[test]
    fn maps_are_searched_and_lists_contain() {
        let settings =
            json!({"m": {"a": {"b": "c"}, "d.e-f": "g"}, "l": ["hello", "world"], "em": {}, "el": []});
        for constraint in [
            "m[a][b]=c",
            "m[d.e-f]=g",
            "m[a][b]=c&m[d.e-f]=g",
            "l[0]=world",
            "l[0]=world|l[1]=hello",
            "l[0]=hello&l[1]=world",
        ] {
            assert!(matches(constraint, &settings), "{constraint}");
        }
        for constraint in [
            "m=c",
            "m[a]=c",
            "l=hello",
            "l[]=hello",
            "l[0]=x",
            "l[0]=hello|l[1]=world|l[2]=quux",
            "m[0]=c",
            "l[a]=hello",
        ] {
            assert!(!matches(constraint, &settings), "{constraint}");
        }
    }

    #[test]
    fn a_list_ends_the_comparison_only_in_compatibility() {
        let settings = json!({"arr": ["a"], "k": "x"});
        let compat = Compat {
            list_constraint_ends_match: true,
            ..Compat::default()
        };
        assert!(!matches("arr[0]=a|k=NOT", &settings));
        assert!(matches_with("arr[0]=a|k=NOT", &settings, &compat));
        assert!(!matches_with("k=NOT|arr[0]=a", &settings, &compat));
    }

    #[test]
    fn deep_keys_end_nowhere() {
        let deep = format!("m{}=x", "[a]".repeat(5_000));
        assert!(!matches(&deep, &json!({"m": {"a": {}}})));
    }
}

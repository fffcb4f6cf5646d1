//! The JSON spelling: `{"field":…,"value":…}` of the Realtime API and its richer forms.

use super::instant::Instant;
use super::number::Number;
use super::{
    FILTER_DEPTH_MAX, FILTER_VALUES_MAX, Field, FieldKind, Filter, FilterError, Literal, NUMBER_BYTES_MAX,
    Range, shortened,
};
use crate::json::{Kind, Value};

type Resolve<'a> = &'a dyn Fn(&str) -> Result<Field, String>;

const FORMS: &str = "a filter is an object with \"field\" and one of \"value\", \"in\", \"prefix\", \"gte\", \"gt\", \"lte\", \
                     \"lt\", \"exists\", or an object with \"not\", \"any\" or \"all\"";

pub(super) fn read(value: Value<'_>, resolve: Resolve<'_>) -> Result<Filter, FilterError> {
    filter(value, resolve, 0)
}

/// The entries of a filter object, by name. Names are compared without regard to case, as the
/// original binds JSON (contract realtime §1.2).
#[derive(Default)]
struct Parts<'d> {
    field: Option<Value<'d>>,
    value: Option<Value<'d>>,
    one_of: Option<Value<'d>>,
    prefix: Option<Value<'d>>,
    gte: Option<Value<'d>>,
    gt: Option<Value<'d>>,
    lte: Option<Value<'d>>,
    lt: Option<Value<'d>>,
    exists: Option<Value<'d>>,
    not: Option<Value<'d>>,
    any: Option<Value<'d>>,
    all: Option<Value<'d>>,
}

impl<'d> Parts<'d> {
    fn of(object: Value<'d>) -> Result<Self, FilterError> {
        let mut parts = Self::default();
        for (key, value) in object.entries() {
            let name = key.as_str().unwrap_or_default().to_ascii_lowercase();
            let place = match &*name {
                "field" => &mut parts.field,
                "value" => &mut parts.value,
                "in" => &mut parts.one_of,
                "prefix" => &mut parts.prefix,
                "gte" => &mut parts.gte,
                "gt" => &mut parts.gt,
                "lte" => &mut parts.lte,
                "lt" => &mut parts.lt,
                "exists" => &mut parts.exists,
                "not" => &mut parts.not,
                "any" => &mut parts.any,
                "all" => &mut parts.all,
                _ => return Err(syntax(object, "an unknown key stands", FORMS)),
            };
            if place.replace(value).is_some() {
                return Err(syntax(object, "a key stands twice", "write each key once"));
            }
        }
        Ok(parts)
    }

    fn has_test(&self) -> bool {
        let tests = [
            self.value,
            self.one_of,
            self.prefix,
            self.gte,
            self.gt,
            self.lte,
            self.lt,
            self.exists,
        ];
        tests.iter().any(Option::is_some)
    }
}

fn filter(object: Value<'_>, resolve: Resolve<'_>, depth: usize) -> Result<Filter, FilterError> {
    if depth > FILTER_DEPTH_MAX {
        return Err(FilterError::TooDeep);
    }
    if object.kind() != Kind::Object {
        return Err(syntax(object, "no object stands", FORMS));
    }
    let parts = Parts::of(object)?;
    let mut all = Vec::new();
    if let Some(inner) = parts.not {
        all.push(Filter::not(filter(inner, resolve, depth + 1)?));
    }
    for (list, any) in [(parts.any, true), (parts.all, false)] {
        let Some(list) = list else { continue };
        if list.kind() != Kind::Array || list.is_empty() {
            return Err(syntax(
                object,
                "\"any\" or \"all\" holds no list of filters",
                "write a list with at least one filter, as in {\"any\":[{…},{…}]}",
            ));
        }
        let inner: Result<Vec<_>, _> = list
            .items()
            .map(|item| filter(item, resolve, depth + 1))
            .collect();
        all.push(if any {
            Filter::any(inner?)
        } else {
            Filter::all(inner?)
        });
    }
    if parts.field.is_some() || parts.has_test() || all.is_empty() {
        all.extend(tests(object, &parts, resolve)?);
    }
    Ok(Filter::all(all))
}

/// The tests of one object with `field`.
fn tests(object: Value<'_>, parts: &Parts<'_>, resolve: Resolve<'_>) -> Result<Vec<Filter>, FilterError> {
    let name = match parts.field {
        None => String::new(), // the resolver knows no such field and says so (contract realtime §1.5)
        Some(field) => match field.as_str() {
            Some(name) => name.into_owned(),
            None => {
                return Err(syntax(
                    object,
                    "\"field\" is no string",
                    "write the field's path, as in \"meta.domain\"",
                ));
            }
        },
    };
    let field = resolve(&name).map_err(FilterError::Field)?;
    if !parts.has_test() {
        return Err(match parts.field {
            Some(_) => FilterError::NullValue { field: name },
            None => syntax(object, "nothing to test stands", FORMS),
        });
    }
    let reader = Reader {
        object,
        name: &name,
        field: &field,
    };
    let mut all = Vec::new();
    if let Some(value) = parts.value {
        all.push(Filter::one_of(field.clone(), reader.equal(value)?));
    }
    if let Some(list) = parts.one_of {
        all.push(reader.one_of(list)?);
    }
    if let Some(prefix) = parts.prefix {
        all.push(reader.prefix(prefix)?);
    }
    let range = Range {
        gte: reader.limit(parts.gte)?,
        gt: reader.limit(parts.gt)?,
        lte: reader.limit(parts.lte)?,
        lt: reader.limit(parts.lt)?,
    };
    if range != Range::default() {
        all.push(Filter::range(field.clone(), range));
    }
    if let Some(exists) = parts.exists {
        let there = Filter::exists(field.clone());
        all.push(match exists.as_bool() {
            Some(true) => there,
            Some(false) => Filter::not(there),
            None => return Err(syntax(object, "\"exists\" is no boolean", "write true or false")),
        });
    }
    Ok(all)
}

struct Reader<'d, 'a> {
    object: Value<'d>,
    name: &'a str,
    field: &'a Field,
}

impl Reader<'_, '_> {
    fn wrong_type(&self, found: &'static str) -> FilterError {
        FilterError::WrongType {
            field: self.name.to_owned(),
            found,
        }
    }

    /// What equals a scalar of the field's kind: a date that is written short names a moment, and is also what
    /// an event may hold in just these characters.
    fn equal(&self, value: Value<'_>) -> Result<Vec<Literal>, FilterError> {
        let literal = self.literal(value)?;
        let spelt = value.as_str().map(|text| Literal::String(text.into()));
        let spelt = spelt.filter(|spelt| self.field.kind == FieldKind::Date && *spelt != literal);
        Ok(std::iter::once(literal).chain(spelt).collect())
    }

    /// A scalar of the field's kind.
    fn literal(&self, value: Value<'_>) -> Result<Literal, FilterError> {
        let (literal, kind, found) = match value.kind() {
            Kind::Null => {
                return Err(FilterError::NullValue {
                    field: self.name.to_owned(),
                });
            }
            Kind::Array => return Err(self.wrong_type("slice")),
            Kind::Object => return Err(self.wrong_type("map")),
            Kind::String => {
                let mut text = value.as_str().unwrap_or_default();
                if self.field.kind == FieldKind::Date {
                    let Some(complete) = Instant::completed(&text) else {
                        return Err(syntax(
                            self.object,
                            "a date field is compared with something else",
                            "write a date as RFC 3339 does, as in 2025-01-31T12:00:00Z",
                        ));
                    };
                    text = complete.into_owned().into();
                }
                (Literal::String(text.into()), FieldKind::String, "string")
            }
            Kind::Bool => (
                Literal::Bool(value.as_bool().unwrap_or_default()),
                FieldKind::Bool,
                "bool",
            ),
            Kind::Number if value.raw().len() > NUMBER_BYTES_MAX => {
                return Err(syntax(
                    self.object,
                    "a number is longer than any event's",
                    "write it in at most 1000 characters",
                ));
            }
            Kind::Number => match value.as_number().and_then(Number::parse) {
                Some(number) => (Literal::Number(number), FieldKind::Number, "float64"),
                None => return Err(self.wrong_type("float64")),
            },
        };
        match self.field.kind {
            FieldKind::Any => Ok(literal),
            FieldKind::Date if kind == FieldKind::String => Ok(literal),
            wanted if wanted == kind => Ok(literal),
            _ => Err(self.wrong_type(found)),
        }
    }

    fn one_of(&self, list: Value<'_>) -> Result<Filter, FilterError> {
        if list.kind() != Kind::Array || list.is_empty() {
            return Err(syntax(
                self.object,
                "\"in\" holds no list of values",
                "write a list with at least one value, as in {\"field\":\"…\",\"in\":[1,2]}",
            ));
        }
        if list.len() > FILTER_VALUES_MAX {
            return Err(FilterError::TooManyValues(list.len()));
        }
        let literals: Result<Vec<_>, _> = list.items().map(|item| self.equal(item)).collect();
        Ok(Filter::one_of(
            self.field.clone(),
            literals?.into_iter().flatten(),
        ))
    }

    fn prefix(&self, prefix: Value<'_>) -> Result<Filter, FilterError> {
        let strings = matches!(
            self.field.kind,
            FieldKind::Any | FieldKind::String | FieldKind::Date
        );
        match prefix.as_str() {
            Some(text) if strings => Ok(Filter::prefix(self.field.clone(), &text)),
            Some(_) => Err(self.wrong_type("string")),
            None => Err(syntax(self.object, "\"prefix\" is no string", "write a string")),
        }
    }

    fn limit(&self, value: Option<Value<'_>>) -> Result<Option<Literal>, FilterError> {
        match value {
            None => Ok(None),
            Some(value) if value.kind() == Kind::Bool => Err(syntax(
                self.object,
                "a boolean is no end of a range",
                "compare booleans with \"value\"",
            )),
            Some(value) => self.literal(value).map(Some),
        }
    }
}

fn syntax(at: Value<'_>, fault: &'static str, remedy: &'static str) -> FilterError {
    FilterError::Syntax {
        filter: shortened(at.raw()),
        fault,
        remedy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{Lists, Missing};
    use crate::path::FieldPath;
    use crate::scan::Text;

    /// A small schema: the kinds that the rules tell apart.
    fn resolve(name: &str) -> Result<Field, String> {
        let kind = match name {
            "name" | "abstract" | "categories.name" | "version.editor.name" => FieldKind::String,
            "identifier" | "version.score" => FieldKind::Number,
            "version.is_minor_edit" => FieldKind::Bool,
            "date" => FieldKind::Date,
            "any" => FieldKind::Any,
            "event" => return Err(format!("can't filter on a '{name}' object")),
            _ => return Err(format!("there is no such field '{name}' to filter")),
        };
        Ok(Field {
            kind,
            missing: if kind == FieldKind::Date {
                Missing::Never
            } else {
                Missing::Zero
            },
            ..Field::plain(FieldPath::parse(name).unwrap())
        })
    }

    fn holds(filter: &str, event: &str) -> bool {
        let filter = Filter::from_json(filter, &resolve).unwrap();
        filter.matches(Text::trusted(event.as_bytes()).unwrap()).unwrap()
    }

    fn refused(filter: &str) -> String {
        Filter::from_json(filter, &resolve).unwrap_err().to_string()
    }

    #[test]
    fn numbers_have_a_length() {
        let filter = |digits: usize| format!(r#"{{"field":"identifier","gt":{}}}"#, "9".repeat(digits));
        assert!(Filter::from_json(&filter(NUMBER_BYTES_MAX), &resolve).is_ok());
        let told = refused(&filter(NUMBER_BYTES_MAX + 1));
        assert!(told.contains("at most 1000 characters"), "{told}");
    }

    #[test]
    fn equality_of_the_contract() {
        let event = r#"{"name":"Zürich \"Z\"","identifier":12345678,"version":{"score":0.25,"editor":{}},"date":"2025-01-01T00:00:00Z"}"#;
        assert!(holds(r#"{"field":"identifier","value":12345678}"#, event));
        assert!(holds(r#"{"Field":"identifier","VALUE":1.2345678e7}"#, event));
        assert!(!holds(r#"{"field":"identifier","value":12345679}"#, event));
        assert!(holds(r#"{"field":"version.score","value":0.250}"#, event));
        assert!(holds(
            r#"{"field":"name","value":"Z\u00fcrich \u0022Z\""}"#,
            event
        ));
        assert!(holds(
            r#"{"field":"date","value":"2025-01-01T01:00:00+01:00"}"#,
            event
        ));
        for asked in [
            r#""value":"2025-01-01""#,
            r#""value":"2025-01-01T00:00:00""#,
            r#""in":["2024-01-01","2025-01-01T00:00"]"#,
        ] {
            assert!(holds(&format!(r#"{{"field":"date",{asked}}}"#), event), "{asked}");
        }
        // An event may hold a date that is written short itself.
        let short = r#"{"date":"2025-01-31"}"#;
        for (asked, expected) in [
            (r#""value":"2025-01-31""#, true),
            (r#""in":["2024-01-01","2025-01-31"]"#, true),
            (r#""value":"2025-01-30""#, false),
            (r#""value":"2025-01-31T00:00""#, false),
        ] {
            let filter = format!(r#"{{"field":"date",{asked}}}"#);
            assert_eq!(holds(&filter, short), expected, "{asked}");
        }
        // Absent scalars stand for their zero values, but not below an absent object (case 66).
        assert!(holds(r#"{"field":"abstract","value":""}"#, event));
        assert!(holds(r#"{"field":"version.is_minor_edit","value":false}"#, event));
        assert!(holds(r#"{"field":"version.editor.name","value":""}"#, event));
        assert!(!holds(
            r#"{"field":"version.editor.name","value":""}"#,
            r#"{"version":{}}"#
        ));
        assert!(!holds(
            r#"{"field":"version.editor.name","value":""}"#,
            r#"{"version":{"editor":null}}"#
        ));
        assert!(holds(
            r#"{"field":"abstract","value":""}"#,
            r#"{"abstract":null}"#
        ));
        assert!(!holds(r#"{"field":"date","value":"0001-01-01T00:00:00Z"}"#, "{}"));
    }

    #[test]
    fn the_richer_forms() {
        let event = r#"{"name":"Berlin","identifier":7,"date":"2025-01-01T00:00:00.5Z"}"#;
        for (filter, expected) in [
            (r#"{"field":"name","in":["Paris","Berlin"]}"#, true),
            (r#"{"field":"name","in":["Paris"]}"#, false),
            (r#"{"field":"name","prefix":"Ber"}"#, true),
            (r#"{"field":"identifier","gte":7,"lt":8}"#, true),
            (r#"{"field":"identifier","gt":7}"#, false),
            (
                r#"{"field":"date","gt":"2025-01-01T00:00:00Z","lte":"2025-01-02"}"#,
                true,
            ),
            (r#"{"field":"date","lt":"2025-01-01T00:00:00.4999Z"}"#, false),
            (r#"{"not":{"field":"name","value":"Berlin"}}"#, false),
            (
                r#"{"any":[{"field":"name","value":"x"},{"field":"identifier","value":7}]}"#,
                true,
            ),
            (
                r#"{"all":[{"field":"name","value":"Berlin"},{"field":"identifier","value":8}]}"#,
                false,
            ),
            (
                r#"{"field":"name","prefix":"B","not":{"field":"identifier","value":8}}"#,
                true,
            ),
            (r#"{"field":"abstract","exists":false}"#, true),
            (r#"{"field":"name","exists":true}"#, true),
            (r#"{"field":"any","in":[1,"x",true]}"#, false),
        ] {
            assert_eq!(holds(filter, event), expected, "{filter}");
        }
    }

    #[test]
    fn every_element_or_any() {
        let with = |lists| {
            move |name: &str| {
                Ok(Field {
                    missing: Missing::Zero,
                    lists,
                    list_at: 1,
                    ..Field::plain(FieldPath::parse(name).unwrap())
                })
            }
        };
        let filter = r#"{"field":"c.n","value":"X"}"#;
        for (event, any, all) in [
            (r#"{"c":[{"n":"X"},{"n":"Y"}]}"#, true, false),
            (r#"{"c":[{"n":"X"},{"n":"X"}]}"#, true, true),
            (r#"{"c":[]}"#, false, true),
            (r#"{}"#, false, true),
            (r#"{"c":null}"#, false, true),
            (r#"{"c":[{"n":"X"},{}]}"#, true, false),
            (r#"{"c":[{"n":"X"},null]}"#, true, false),
            (r#"{"c":[[{"n":"X"}],{"n":"X"}]}"#, true, true),
        ] {
            let text = Text::trusted(event.as_bytes()).unwrap();
            let holds = |lists| {
                Filter::from_json(filter, &with(lists))
                    .unwrap()
                    .matches(text)
                    .unwrap()
            };
            assert_eq!(holds(Lists::Any), any, "any {event}");
            assert_eq!(holds(Lists::All), all, "all {event}");
        }
    }

    #[test]
    fn refusals_keep_the_contracts_words() {
        assert_eq!(
            refused(r#"{"field":"nope","value":1}"#),
            "there is no such field 'nope' to filter"
        );
        assert_eq!(refused("{}"), "there is no such field '' to filter");
        assert_eq!(refused(r#"{"value":1}"#), "there is no such field '' to filter");
        assert_eq!(
            refused(r#"{"field":"event","value":"x"}"#),
            "can't filter on a 'event' object"
        );
        let kind = |field: &str, value: &str| refused(&format!(r#"{{"field":"{field}","value":{value}}}"#));
        assert_eq!(
            kind("identifier", "\"12\""),
            "the filter 'identifier' should not be of type 'string'"
        );
        assert_eq!(
            kind("name", "12"),
            "the filter 'name' should not be of type 'float64'"
        );
        assert_eq!(
            kind("name", "true"),
            "the filter 'name' should not be of type 'bool'"
        );
        assert_eq!(
            kind("name", "[1]"),
            "the filter 'name' should not be of type 'slice'"
        );
        assert_eq!(kind("any", "{}"), "the filter 'any' should not be of type 'map'");
        assert!(kind("name", "null").contains("\"exists\": false"));
        assert!(refused(r#"{"field":"name"}"#).contains("\"exists\": false"));
        assert!(kind("date", "\"yesterday\"").contains("2025-01-31T12:00:00Z"));
        assert!(refused(r#"{"field":"name","equals":"x"}"#).contains("a filter is an object with"));
        assert!(refused(r#"{"field":"name","value":"x","Value":"y"}"#).contains("each key once"));
        assert!(refused(r#"{"field":7,"value":"x"}"#).contains("the field's path"));
        assert!(refused(r#"{"any":[]}"#).contains("at least one filter"));
        assert!(refused(r#"{"field":"name","in":[]}"#).contains("at least one value"));
        assert!(refused(r#"{"field":"version.is_minor_edit","gt":true}"#).contains("no end of a range"));
        assert!(refused("[1]").contains("a filter is an object with"));
        assert!(refused("{").contains("not acceptable JSON"));
        let deep = format!(
            "{}{}{}",
            "{\"not\":".repeat(20),
            r#"{"field":"name","value":"x"}"#,
            "}".repeat(20)
        );
        assert_eq!(Filter::from_json(&deep, &resolve), Err(FilterError::TooDeep));
        let many = format!(r#"{{"field":"identifier","in":[{}1]}}"#, "1,".repeat(5000));
        assert_eq!(
            Filter::from_json(&many, &resolve),
            Err(FilterError::TooManyValues(5001))
        );
    }
}

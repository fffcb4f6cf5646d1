//! Values as PHP sees them, where a client can tell.

use serde_json::{Number, Value};

/// Turns empty maps inside a value into empty lists, which is how PHP prints them.
pub(super) fn empty_maps_to_lists(value: &mut Value) {
    match value {
        Value::Object(map) if map.is_empty() => *value = Value::Array(Vec::new()),
        Value::Object(map) => map.values_mut().for_each(empty_maps_to_lists),
        Value::Array(list) => list.iter_mut().for_each(empty_maps_to_lists),
        _ => {}
    }
}

/// A scalar cast to a string; `None` for maps and lists.
pub(super) fn string(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null | Value::Bool(false) => String::new(),
        Value::Bool(true) => "1".into(),
        Value::String(text) => text.clone(),
        Value::Number(number) => self::number(number),
        Value::Array(_) | Value::Object(_) => return None,
    })
}

/// A number cast to a string: floats with 14 significant digits, whole ones without a point.
fn number(number: &Number) -> String {
    const DIGITS: usize = 14;
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else {
        return number.to_string();
    };
    if float == 0.0 {
        return if float.is_sign_negative() {
            "-0".into()
        } else {
            "0".into()
        };
    }
    let scientific = format!("{float:.*e}", DIGITS - 1);
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if mantissa.starts_with('-') { "-" } else { "" };
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_end_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    // Small enough to be written out; the casts are of numbers below 15.
    let size = exponent.unsigned_abs() as usize;
    if exponent < -4 || exponent >= DIGITS as i32 {
        let (first, rest) = digits.split_at(1);
        let rest = if rest.is_empty() { "0" } else { rest };
        let mark = if exponent < 0 { '-' } else { '+' };
        format!("{sign}{first}.{rest}E{mark}{size}")
    } else if exponent < 0 {
        format!("{sign}0.{}{digits}", "0".repeat(size - 1))
    } else if digits.len() <= size + 1 {
        format!("{sign}{digits}{}", "0".repeat(size + 1 - digits.len()))
    } else {
        let (whole, fraction) = digits.split_at(size + 1);
        format!("{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_are_cast_as_php_does() {
        for (value, expected) in [
            (json!(true), "1"),
            (json!(false), ""),
            (json!(null), ""),
            (json!(5), "5"),
            (json!(1.0), "1"),
            (json!(0.15), "0.15"),
            (json!(0.1 + 0.2), "0.3"),
            (json!(-1.5), "-1.5"),
            (json!(1e15), "1.0E+15"),
            (json!(1e13), "10000000000000"),
            (json!(0.0001), "0.0001"),
            (json!(0.00001), "1.0E-5"),
            (json!(1.5e-7), "1.5E-7"),
            (json!(120.0), "120"),
            (json!(0.0), "0"),
            (json!("x"), "x"),
        ] {
            assert_eq!(string(&value).as_deref(), Some(expected), "{value}");
        }
        assert_eq!(string(&json!([])), None);
    }

    #[test]
    fn empty_maps_are_lists_at_any_depth() {
        let mut value = json!({"a": {}, "b": [{}], "c": {"d": {}}, "e": 1});
        empty_maps_to_lists(&mut value);
        assert_eq!(value, json!({"a": [], "b": [[]], "c": {"d": []}, "e": 1}));
    }
}

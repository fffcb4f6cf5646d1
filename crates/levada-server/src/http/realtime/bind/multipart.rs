//! Forms as `multipart/form-data` (RFC 7578): the fields of a request, each a name and its text.

/// The fields of a form, in their order. `content_type` names the boundary.
///
/// # Errors
/// Says what is wrong with the form.
pub(super) fn fields(content_type: &str, body: &str) -> Result<Vec<(String, String)>, String> {
    let boundary = parameter(content_type, "boundary").filter(|boundary| !boundary.is_empty());
    let boundary = boundary.ok_or("the content type of the form names no boundary")?;
    let delimiter = format!("\r\n--{boundary}");
    // The first boundary may stand at the very beginning.
    let body = format!("\r\n{body}");
    let mut parts = body.split(delimiter.as_str());
    parts.next();
    let mut fields = Vec::new();
    let mut closed = false;
    for part in parts {
        if part.starts_with("--") {
            closed = true;
            break;
        }
        let rest = part.trim_start_matches([' ', '\t']);
        let rest = rest
            .strip_prefix("\r\n")
            .ok_or("a boundary of the form is followed by something else")?;
        // A part without headers begins with the empty line.
        let (head, text) = match rest.strip_prefix("\r\n") {
            Some(text) => ("", text),
            None => rest
                .split_once("\r\n\r\n")
                .ok_or("a part of the form has no end of its headers")?,
        };
        let disposition = head.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim()
                .eq_ignore_ascii_case("content-disposition")
                .then_some(value)
        });
        let name = disposition.and_then(|value| parameter(value, "name"));
        let name = name.ok_or("a part of the form has no name")?;
        fields.push((name, text.to_owned()));
    }
    if closed {
        Ok(fields)
    } else {
        Err("the form ends without its last boundary".into())
    }
}

/// A parameter of a header's value, such as `boundary`, without quotes.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    value.split(';').skip(1).find_map(|pair| {
        let (name, text) = pair.split_once('=')?;
        let text = text.trim();
        let text = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .unwrap_or(text);
        name.trim().eq_ignore_ascii_case(wanted).then(|| text.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_as_they_were_sent() {
        let body = "--x y\r\nContent-Disposition: form-data; name=\"fields\"\r\n\r\nname\r\n--x y\r\ncontent-disposition: form-data; name=fields\r\nContent-Type: text/plain\r\n\r\nurl\r\n\r\n--x y--\r\nignored";
        let pairs = [("fields", "name"), ("fields", "url\r\n")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(
            fields("multipart/form-data; boundary=\"x y\"", body),
            Ok(pairs.to_vec())
        );
        assert_eq!(fields("multipart/form-data; boundary=a", "--a--"), Ok(Vec::new()));
    }

    #[test]
    fn broken_forms_are_refused() {
        for (kind, body) in [
            ("multipart/form-data", ""),
            ("multipart/form-data; boundary=", ""),
            ("multipart/form-data; boundary=a", ""),
            ("multipart/form-data; boundary=a", "--a\r\n\r\nx"),
            ("multipart/form-data; boundary=a", "--ab\r\n\r\nx\r\n--a--"),
            ("multipart/form-data; boundary=a", "--a\r\nx\r\n--a--"),
            (
                "multipart/form-data; boundary=a",
                "--a\r\ncontent-disposition: form-data\r\n\r\nx\r\n--a--",
            ),
        ] {
            assert!(fields(kind, body).is_err(), "{kind} {body}");
        }
    }
}

//! Removing tags from HTML text the way the original does: by a state machine over characters.
//! Entities stay as they are (contract §10).

/// Where the machine is.
enum State {
    Text,
    Tag { quote: Option<char> },
    Comment,
}

/// The text without tags and comments.
pub(super) fn strip_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut state = State::Text;
    let mut rest = html;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        match &mut state {
            State::Text if rest.starts_with("<!--") => state = State::Comment,
            // A lone "less than" is text.
            State::Text if c == '<' && !after.starts_with(char::is_whitespace) => {
                state = State::Tag { quote: None };
            }
            State::Text => out.push(c),
            State::Tag { quote: None } if c == '>' => state = State::Text,
            State::Tag { quote } if matches!(c, '"' | '\'') => match quote {
                None => *quote = Some(c),
                Some(open) if *open == c => *quote = None,
                Some(_) => {}
            },
            State::Tag { .. } => {}
            State::Comment if rest.starts_with("-->") => {
                state = State::Text;
                rest = &rest[3..];
                continue;
            }
            State::Comment => {}
        }
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::strip_tags;

    #[test]
    fn tags_and_comments_go_and_entities_stay() {
        let check = |html, text| assert_eq!(strip_tags(html), text);
        check("a <b title=\"x>y\">c</b>&amp;<!-- <i> > -->d", "a c&amp;d");
        check("1 < 2", "1 < 2");
        check("<a title='\"'>é</a>", "é");
        check("open <b", "open ");
        check("<!-- open", "");
        check("", "");
    }
}

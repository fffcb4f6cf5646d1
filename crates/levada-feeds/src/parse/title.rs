//! MediaWiki's title rules: from text to database form.

use thiserror::Error;

use crate::model::{DbTitle, Siteinfo};

/// Longest title in bytes of UTF-8, without its namespace.
const MAX_TITLE_BYTES: usize = 255;

/// Longest title of a special page, in bytes of UTF-8.
const MAX_SPECIAL_BYTES: usize = 512;

/// Namespace of special pages.
const SPECIAL: i64 = -1;

/// Why MediaWiki would refuse a title; the texts are its message keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TitleError {
    /// Contains U+FFFD: it was not UTF-8 once.
    #[error("title-invalid-utf8")]
    Utf8,
    /// Nothing left.
    #[error("title-invalid-empty")]
    Empty,
    /// A character that titles may not have, a percent escape or an entity.
    #[error("title-invalid-characters")]
    Characters,
    /// `.` or `..` as a path segment.
    #[error("title-invalid-relative")]
    Relative,
    /// `~~~`, which would be a signature.
    #[error("title-invalid-magic-tilde")]
    MagicTilde,
    /// Too long.
    #[error("title-invalid-too-long")]
    TooLong,
    /// A colon at the beginning, after the namespace.
    #[error("title-invalid-leading-colon")]
    LeadingColon,
    /// A talk page of something with a namespace of its own.
    #[error("title-invalid-talk-namespace")]
    TalkNamespace,
}

/// A title that MediaWiki would accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalTitle {
    /// Namespace; 0 is the article namespace.
    pub ns: i64,
    /// Database form, namespace included, without fragment.
    pub db: DbTitle,
}

/// Applies the title rules of a wiki.
///
/// # Errors
/// [`TitleError`] when MediaWiki would refuse the title.
pub fn normalize(text: &str, site: &Siteinfo) -> Result<NormalTitle, TitleError> {
    if text.contains('\u{FFFD}') {
        return Err(TitleError::Utf8);
    }
    let clean = clean(text);
    let mut title = clean.as_str();
    if let Some(rest) = title.strip_prefix(':') {
        title = rest.trim_start_matches('_');
    }
    let (ns, rest) = split_namespace(title, site);
    title = rest;
    // MediaWiki takes a talk page of a namespaced title for a mistake.
    if ns == 1 && split_namespace(title, site).0 != 0 {
        return Err(TitleError::TalkNamespace);
    }
    if let Some(at) = title.find('#') {
        title = title[..at].trim_end_matches('_');
    }
    if title.is_empty() {
        return Err(TitleError::Empty);
    }
    check_characters(title, site)?;
    check_path(title)?;
    if title.contains("~~~") {
        return Err(TitleError::MagicTilde);
    }
    if title.len()
        > if ns == SPECIAL {
            MAX_SPECIAL_BYTES
        } else {
            MAX_TITLE_BYTES
        }
    {
        return Err(TitleError::TooLong);
    }
    if title.starts_with(':') {
        return Err(TitleError::LeadingColon);
    }
    let namespace = site.namespaces.get(&ns);
    let keeps_case = if ns == 0 {
        site.case_sensitive
    } else {
        namespace.is_some_and(|n| n.case_sensitive)
    };
    let title = if keeps_case {
        title.to_owned()
    } else {
        upper_first(title)
    };
    let name = namespace.map_or("", |n| n.name.as_str());
    let db = if name.is_empty() {
        title
    } else {
        format!("{name}:{title}")
    };
    Ok(NormalTitle {
        ns,
        db: DbTitle::new(db),
    })
}

/// Runs of white space and underscores as one underscore, none at the ends, no marks of direction.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' => {}
            ' '
            | '_'
            | '\u{A0}'
            | '\u{1680}'
            | '\u{180E}'
            | '\u{2000}'..='\u{200A}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{202F}'
            | '\u{205F}'
            | '\u{3000}' => {
                if !out.is_empty() && !out.ends_with('_') {
                    out.push('_');
                }
            }
            other => out.push(other),
        }
    }
    out.truncate(out.trim_end_matches('_').len());
    out
}

/// The namespace that a title begins with, and the rest; 0 and the whole when it has none.
fn split_namespace<'t>(title: &'t str, site: &Siteinfo) -> (i64, &'t str) {
    let Some((name, rest)) = title.split_once(':') else {
        return (0, title);
    };
    match site.namespace_named(name.trim_end_matches('_')) {
        Some(ns) => (ns, rest.trim_start_matches('_')),
        None => (0, title),
    }
}

/// Refuses characters outside the wiki's class, percent escapes and entities.
fn check_characters(title: &str, site: &Siteinfo) -> Result<(), TitleError> {
    let legal = LegalChars::parse(&site.legal_title_chars);
    if !title.chars().all(|c| legal.allows(c)) {
        return Err(TitleError::Characters);
    }
    let bytes = title.as_bytes();
    let escaped = bytes
        .windows(3)
        .any(|w| w[0] == b'%' && w[1].is_ascii_hexdigit() && w[2].is_ascii_hexdigit());
    let entity = title.match_indices('&').any(|(at, _)| {
        let rest = &title[at + 1..];
        let end = rest.find(';').unwrap_or(0);
        end > 0
            && rest[..end]
                .chars()
                .all(|c| !c.is_ascii() || c.is_ascii_alphanumeric())
    });
    if escaped || entity {
        Err(TitleError::Characters)
    } else {
        Ok(())
    }
}

/// Refuses `.` and `..` as segments of a path.
fn check_path(title: &str) -> Result<(), TitleError> {
    let dots = |segment: &str| matches!(segment, "." | "..");
    let relative = dots(title)
        || title.starts_with("./")
        || title.starts_with("../")
        || title.contains("/./")
        || title.contains("/../")
        || title.ends_with("/.")
        || title.ends_with("/..");
    if relative {
        Err(TitleError::Relative)
    } else {
        Ok(())
    }
}

/// The title with its first letter in upper case, as MediaWiki does it: never longer than a letter,
/// and not for Georgian, whose capitals are not for beginnings.
fn upper_first(title: &str) -> String {
    let Some(first) = title.chars().next() else {
        return String::new();
    };
    let upper = match first {
        'ა'..='ჿ' => first,
        'ǆ' => 'ǅ',
        'ǉ' => 'ǈ',
        'ǌ' => 'ǋ',
        'ǳ' => 'ǲ',
        'ǅ' | 'ǈ' | 'ǋ' | 'ǲ' => first,
        _ => {
            let mut upper = first.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(one), None) => one,
                _ => first,
            }
        }
    };
    let mut out = String::with_capacity(title.len() + 2);
    out.push(upper);
    out.push_str(&title[first.len_utf8()..]);
    out
}

/// The class of characters that titles may have, read from MediaWiki's notation: single characters,
/// ranges, `\xHH`, `\uHHHH` and escaped characters. Beyond ASCII it is all or nothing.
struct LegalChars {
    ascii: u128,
    beyond: bool,
}

impl LegalChars {
    fn parse(class: &str) -> Self {
        let mut legal = Self {
            ascii: 0,
            beyond: false,
        };
        let mut chars = class.chars().peekable();
        while let Some(first) = unit(&mut chars) {
            let mut ahead = chars.clone();
            let last = (ahead.next() == Some('-')).then(|| unit(&mut ahead)).flatten();
            match last {
                Some(last) => {
                    chars = ahead;
                    legal.add(first, last);
                }
                None => legal.add(first, first),
            }
        }
        legal
    }

    fn add(&mut self, first: u32, last: u32) {
        for code in first..=last.min(127) {
            self.ascii |= 1_u128.checked_shl(code).unwrap_or(0);
        }
        self.beyond |= last > 127;
    }

    fn allows(&self, c: char) -> bool {
        let code = u32::from(c);
        if code > 127 {
            self.beyond
        } else {
            self.ascii >> code & 1 == 1
        }
    }
}

/// The next character of a class, escapes resolved.
fn unit(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<u32> {
    let c = chars.next()?;
    if c != '\\' {
        return Some(u32::from(c));
    }
    let escaped = chars.next()?;
    let digits = match escaped {
        'x' => 2,
        'u' => 4,
        other => return Some(u32::from(other)),
    };
    let mut code = 0;
    for _ in 0..digits {
        code = code * 16 + chars.next()?.to_digit(16)?;
    }
    Some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Siteinfo {
        Siteinfo::default()
    }

    #[test]
    fn accepted_titles() {
        let check = |text: &str, ns: i64, db: &str| {
            let title = normalize(text, &site()).expect(text);
            assert_eq!((title.ns, title.db.as_str()), (ns, db), "{text}");
        };
        check("statue of  liberty_", 0, "Statue_of_liberty");
        check(":Foo", 0, "Foo");
        check("talk: foo bar#x y", 1, "Talk:Foo_bar");
        check("IMAGE:a.jpg", 6, "File:A.jpg");
        check("Foo: bar", 0, "Foo:_bar");
        check("AC/DC", 0, "AC/DC");
        check("What?", 0, "What?");
        check("100%", 0, "100%");
        check("AT&T", 0, "AT&T");
        check("éa", 0, "Éa");
        check("ßa", 0, "ßa");
        check("საქართველო", 0, "საქართველო");
        check("1900 \u{200E}- x", 0, "1900_-_x");
        check("user talk:x", 3, "User_talk:X");
        check("\u{A0}مقعد", 0, "مقعد");
    }

    #[test]
    fn case_60_and_61_refused_titles() {
        let check = |text: &str, error: TitleError| {
            assert_eq!(normalize(text, &site()), Err(error), "{text}");
        };
        check("a\u{FFFD}b", TitleError::Utf8);
        check("", TitleError::Empty);
        check("_ _", TitleError::Empty);
        check("Talk:", TitleError::Empty);
        check("#x", TitleError::Empty);
        check("Foo|bar", TitleError::Characters);
        check("Foo[bar]", TitleError::Characters);
        check("a\tb", TitleError::Characters);
        check("a%41", TitleError::Characters);
        check("a&amp;b", TitleError::Characters);
        check("..", TitleError::Relative);
        check("a/../b", TitleError::Relative);
        check("a~~~~b", TitleError::MagicTilde);
        check(&"é".repeat(128), TitleError::TooLong);
        check("::a", TitleError::LeadingColon);
        check("Talk:File:x", TitleError::TalkNamespace);
    }

    #[test]
    fn both_notations_of_the_legal_characters_are_read() {
        let mut other = site();
        other.legal_title_chars = " %!\"$&'()*,\\-./0-9:;=?@A-Z\\\\\\^_`a-z~+\\u0080-\\uFFFF".into();
        for title in ["a-b^c\\d`é+", "x/y.z", "日本"] {
            assert!(normalize(title, &site()).is_ok(), "{title}");
            assert!(normalize(title, &other).is_ok(), "{title}");
        }
        for title in ["a<b", "a{b", "a\u{7F}"] {
            assert!(normalize(title, &site()).is_err() && normalize(title, &other).is_err());
        }
    }

    #[test]
    fn wikis_may_keep_the_case_of_first_letters() {
        let wiktionary = Siteinfo {
            case_sensitive: true,
            ..site()
        };
        assert_eq!(normalize("iPod", &wiktionary).expect("ok").db.as_str(), "iPod");
    }
}

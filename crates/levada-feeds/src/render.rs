//! The feeds for feed readers: Atom, RSS and JSON Feed.
//!
//! What a feed has to say is read from its JSON into [`Entry`]s once, whatever it is then written as. The same content
//! always gives the same bytes: no moment of making goes in, so that entity tags hold.

mod atom;
mod clean;
mod entry;
mod json_feed;
mod rss;

use clean::clean;
pub(crate) use entry::{Entry, heading, read_part};

use crate::http::Served;
use crate::work::Workers;
use bytes::Bytes;

/// How a feed is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    /// As the contract has it.
    Json,
    Atom,
    Rss,
    JsonFeed,
}

impl Format {
    /// The format of that name in a query.
    pub(crate) fn named(name: &str) -> Option<Format> {
        match name {
            "atom" => Some(Format::Atom),
            "rss" => Some(Format::Rss),
            "jsonfeed" => Some(Format::JsonFeed),
            _ => None,
        }
    }

    /// The media type; `None` where the contract has its own.
    pub(crate) fn content_type(self) -> Option<&'static str> {
        match self {
            Format::Json => None,
            Format::Atom => Some("application/atom+xml; charset=utf-8"),
            Format::Rss => Some("application/rss+xml; charset=utf-8"),
            Format::JsonFeed => Some("application/feed+json; charset=utf-8"),
        }
    }
}

/// The feeds of an answer for feed readers.
pub(crate) async fn syndicate(served: &Served, format: Format, work: &Workers) -> Bytes {
    let parts = served
        .feeds()
        .filter_map(|(at, feed)| Some((feed, served.json(at)?)))
        .collect::<Vec<_>>();
    let domain = served
        .course
        .keys
        .first()
        .map_or_else(|| "".into(), |key| key.domain.clone());
    let kind = served.course.kind;
    let written = work.run(move || {
        let channel = entry::channel(&domain, kind, &parts);
        match format {
            Format::Json | Format::JsonFeed => json_feed::write(&channel),
            Format::Atom => atom::write(&channel),
            Format::Rss => rss::write(&channel),
        }
    });
    // A renderer that is lost leaves an empty body; it has no way to fail short of a panic.
    written.await.map(Bytes::from).unwrap_or_default()
}

/// Text for XML and HTML: the five characters escaped, what XML cannot hold left out.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(letter),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_safe_in_xml() {
        assert_eq!(
            escape("a<b>&\"'\u{0}\u{b}\n\u{ffff}é"),
            "a&lt;b&gt;&amp;&quot;&#39;\né"
        );
    }

    #[test]
    fn formats_have_names_and_media_types() {
        assert_eq!(Format::named("atom"), Some(Format::Atom));
        assert_eq!(Format::named("xml"), None);
        assert_eq!(Format::Json.content_type(), None);
    }
}

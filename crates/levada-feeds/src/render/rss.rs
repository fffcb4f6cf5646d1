//! RSS 2.0.

use super::entry::Channel;
use super::escape;
use std::fmt::Write;

/// The channel as an RSS document.
pub(super) fn write(channel: &Channel) -> String {
    let mut out =
        String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<rss version=\"2.0\">\n<channel>\n");
    let _ = write!(
        out,
        "<title>{}</title>\n<link>{}</link>\n<description>{}</description>\n<language>{}</language>\n\
         <lastBuildDate>{}</lastBuildDate>\n<generator>Levada</generator>\n",
        escape(&channel.title),
        escape(&channel.home),
        escape(&channel.title),
        escape(&channel.language),
        rfc822(&channel.updated),
    );
    for entry in &channel.entries {
        let _ = write!(
            out,
            "<item>\n<title>{}</title>\n<link>{}</link>\n<guid isPermaLink=\"false\">{}</guid>\n\
             <pubDate>{}</pubDate>\n<category>{}</category>\n",
            escape(&entry.title),
            escape(&entry.url),
            escape(&entry.id),
            rfc822(&entry.updated),
            escape(entry.part),
        );
        let image = entry.image.as_deref().map_or_else(String::new, |image| {
            format!("<p><img src=\"{}\" alt=\"\"></p>", escape(image))
        });
        let html = escape(&format!("{image}{}", entry.html));
        let _ = write!(out, "<description>{html}</description>\n</item>\n");
    }
    out.push_str("</channel>\n</rss>\n");
    out
}

/// An RFC 3339 time as RSS wants it.
fn rfc822(time: &str) -> String {
    let instant = time
        .parse::<jiff::Timestamp>()
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    instant
        .to_zoned(jiff::tz::TimeZone::UTC)
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_rss_document() {
        let text = super::write(&super::super::entry::tests::sample());
        for expected in [
            "<rss version=\"2.0\">",
            "<lastBuildDate>Fri, 20 Nov 2026 00:00:00 GMT</lastBuildDate>",
            "<guid isPermaLink=\"false\">tag:en.wikipedia.org,2026-11-20:tfa</guid>",
            "<title>58 BC: x &lt; y</title>",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        assert_eq!(text.matches("<item>").count(), 3);
    }
}

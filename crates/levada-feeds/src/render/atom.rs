//! Atom (RFC 4287).

use super::entry::Channel;
use super::escape;
use std::fmt::Write;

/// The channel as an Atom document.
pub(super) fn write(channel: &Channel) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
    let _ = write!(
        out,
        "<feed xmlns=\"http://www.w3.org/2005/Atom\" xml:lang=\"{}\">\n<id>{}</id>\n<title>{}</title>\n\
         <updated>{}</updated>\n<link rel=\"alternate\" type=\"text/html\" href=\"{}\"/>\n\
         <author><name>{}</name></author>\n<generator>Levada</generator>\n",
        escape(&channel.language),
        escape(&channel.id),
        escape(&channel.title),
        escape(&channel.updated),
        escape(&channel.home),
        escape(channel.home.trim_start_matches("https://").trim_end_matches('/')),
    );
    for entry in &channel.entries {
        let _ = write!(
            out,
            "<entry>\n<id>{}</id>\n<title>{}</title>\n<updated>{}</updated>\n<category term=\"{}\"/>\n\
             <link rel=\"alternate\" type=\"text/html\" href=\"{}\"/>\n",
            escape(&entry.id),
            escape(&entry.title),
            escape(&entry.updated),
            escape(entry.part),
            escape(&entry.url),
        );
        let image = entry.image.as_deref().map_or_else(String::new, |image| {
            format!("<p><img src=\"{}\" alt=\"\"></p>", escape(image))
        });
        let _ = write!(
            out,
            "<content type=\"html\">{}</content>\n</entry>\n",
            escape(&format!("{image}{}", entry.html))
        );
    }
    out.push_str("</feed>\n");
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_atom_document() {
        let text = super::write(&super::super::entry::tests::sample());
        for expected in [
            "<feed xmlns=\"http://www.w3.org/2005/Atom\" xml:lang=\"en\">",
            "<updated>2026-11-20T00:00:00Z</updated>",
            "<id>tag:en.wikipedia.org,2026-11-20:tfa</id>",
            "<title>58 BC: x &lt; y</title>",
            "&lt;p&gt;A &amp;amp; &lt;b&gt;b&lt;/b&gt;&lt;/p&gt;",
            "&lt;img src=&quot;https://i/x.jpg&quot;",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        assert_eq!(text.matches("<entry>").count(), text.matches("</entry>").count());
    }
}

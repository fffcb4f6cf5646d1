//! What the feeds have to say, one entry per item, whatever they are written as.

use super::clean;
use crate::date::FeedDate;
use crate::feed::Feed;
use crate::http::Kind;
use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// When nothing says how old an entry is.
const NO_TIME: &str = "1970-01-01T00:00:00Z";
/// Longest title of an entry, characters.
const TITLE: usize = 120;

/// A feed for readers.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    pub(crate) id: String,
    pub(crate) title: String,
    /// The wiki.
    pub(crate) home: String,
    /// Language code of the wiki, as far as its domain tells.
    pub(crate) language: String,
    /// RFC 3339; the latest of the entries.
    pub(crate) updated: String,
    pub(crate) entries: Vec<Entry>,
}

/// One entry.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: String,
    /// The part it is from: `tfa`, `news` …
    pub(crate) part: &'static str,
    /// Plain text.
    pub(crate) title: String,
    pub(crate) url: String,
    /// HTML, safe.
    pub(crate) html: String,
    pub(crate) image: Option<String>,
    /// RFC 3339.
    pub(crate) updated: String,
}

/// Reads the JSON of feeds.
pub(crate) fn channel(domain: &str, kind: Kind, parts: &[(Feed, Bytes)]) -> Channel {
    let mut entries = Vec::new();
    for (feed, json) in parts {
        entries.extend(read_part(domain, *feed, json));
    }
    let what = match kind {
        Kind::Featured => "Featured feed",
        Kind::AllLists | Kind::PublicLists => "On this day",
        _ => parts.first().map_or("Feed", |(feed, _)| heading(*feed)),
    };
    let latest = entries
        .iter()
        .map(|entry| entry.updated.as_str())
        .max()
        .unwrap_or(NO_TIME)
        .to_owned();
    let label = domain.split('.').next().unwrap_or("en");
    Channel {
        id: format!("tag:{domain},2016:{}", what.to_lowercase().replace(' ', "-")),
        title: format!("{what} of {domain}"),
        home: format!("https://{domain}/"),
        language: if label.len() <= 12 {
            label.to_owned()
        } else {
            "en".to_owned()
        },
        updated: latest,
        entries,
    }
}

/// Reads the JSON of one feed.
pub(crate) fn read_part(domain: &str, feed: Feed, json: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    if let Ok(value) = serde_json::from_slice::<Value>(json) {
        read(domain, feed, &value, &mut entries);
    }
    entries
}

/// The heading of a part, for people.
pub(crate) fn heading(feed: Feed) -> &'static str {
    use crate::model::OnThisDayKind::{Births, Deaths, Events, Holidays, Selected};
    match feed {
        Feed::Tfa(_) => "Featured article",
        Feed::Image(_) => "Picture of the day",
        Feed::MostRead(_) => "Most read",
        Feed::News => "In the news",
        Feed::Dyk => "Did you know",
        Feed::OnThisDay(Selected, _) => "On this day",
        Feed::OnThisDay(Events, _) => "Events",
        Feed::OnThisDay(Births, _) => "Births",
        Feed::OnThisDay(Deaths, _) => "Deaths",
        Feed::OnThisDay(Holidays, _) => "Holidays",
    }
}

fn read(domain: &str, feed: Feed, value: &Value, entries: &mut Vec<Entry>) {
    match feed {
        Feed::Tfa(date) => entries.push(article(domain, date, value)),
        Feed::Image(date) => entries.push(picture(domain, date, value)),
        Feed::MostRead(date) => entries.push(most_read(domain, date, value)),
        Feed::News => list(value).for_each(|story| entries.push(news(domain, story))),
        Feed::Dyk => list(value).for_each(|fact| entries.push(did_you_know(domain, fact))),
        Feed::OnThisDay(..) => list(value).for_each(|event| entries.push(on_this_day(domain, feed, event))),
    }
}

fn article(domain: &str, date: FeedDate, summary: &Value) -> Entry {
    Entry {
        id: format!("tag:{domain},{date}:tfa"),
        part: "tfa",
        title: name(summary),
        url: page_url(domain, summary),
        html: clean(text(summary, "/extract_html"), domain),
        image: thumbnail(summary),
        updated: noon_less(date),
    }
}

fn picture(domain: &str, date: FeedDate, picture: &Value) -> Entry {
    let title = text(picture, "/title");
    let title = title.split_once(':').map_or(title, |(_, name)| name);
    let title = title.rsplit_once('.').map_or(title, |(name, _)| name);
    let artist = text(picture, "/artist/text");
    let license = text(picture, "/license/type");
    let credit = [artist, license]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(", ");
    let description = clean(text(picture, "/description/html"), domain);
    Entry {
        id: format!("tag:{domain},{date}:image"),
        part: "image",
        title: format!("Picture of the day: {}", title.replace('_', " ")),
        url: text(picture, "/file_page").to_owned(),
        html: format!("<p>{description}</p><p>{}</p>", super::escape(&credit)),
        image: web(text(picture, "/thumbnail/source")),
        updated: noon_less(date),
    }
}

fn most_read(domain: &str, date: FeedDate, value: &Value) -> Entry {
    let rows = value
        .get("articles")
        .map(list)
        .into_iter()
        .flatten()
        .map(|article| {
            format!(
                "<li><a href=\"{}\">{}</a>, {} views</li>",
                super::escape(&page_url(domain, article)),
                super::escape(&name(article)),
                article.get("views").and_then(Value::as_u64).unwrap_or_default()
            )
        });
    Entry {
        id: format!("tag:{domain},{date}:mostread"),
        part: "mostread",
        title: format!("Most read on {date}"),
        url: format!("https://{domain}/"),
        html: format!("<ol>{}</ol>", rows.collect::<String>()),
        image: None,
        updated: noon_less(date),
    }
}

fn news(domain: &str, story: &Value) -> Entry {
    let html = clean(text(story, "/story"), domain);
    let links = story
        .get("links")
        .map(list)
        .into_iter()
        .flatten()
        .collect::<Vec<_>>();
    Entry {
        id: format!("tag:{domain},2016:news/{}", digest(&plain(&html))),
        part: "news",
        title: short(&plain(&html)),
        url: links
            .first()
            .map_or_else(|| format!("https://{domain}/"), |page| page_url(domain, page)),
        image: links.iter().find_map(|page| thumbnail(page)),
        updated: latest(&links),
        html,
    }
}

fn did_you_know(domain: &str, fact: &Value) -> Entry {
    let said = text(fact, "/text");
    Entry {
        id: format!("tag:{domain},2016:dyk/{}", digest(said)),
        part: "dyk",
        title: short(said),
        url: format!("https://{domain}/"),
        html: clean(text(fact, "/html"), domain),
        image: None,
        updated: NO_TIME.to_owned(),
    }
}

fn on_this_day(domain: &str, feed: Feed, event: &Value) -> Entry {
    let said = text(event, "/text");
    let year = event.get("year").and_then(Value::as_i64);
    let title = match year {
        Some(year) if year < 0 => format!("{} BC: {said}", -year),
        Some(year) => format!("{year}: {said}"),
        None => said.to_owned(),
    };
    let pages = event
        .get("pages")
        .map(list)
        .into_iter()
        .flatten()
        .collect::<Vec<_>>();
    let links = pages.iter().map(|page| {
        format!(
            "<li><a href=\"{}\">{}</a></li>",
            super::escape(&page_url(domain, page)),
            super::escape(&name(page))
        )
    });
    let links: String = links.collect();
    let day = match feed {
        Feed::OnThisDay(_, day) => day.to_string(),
        _ => String::new(),
    };
    Entry {
        id: format!(
            "tag:{domain},2016:onthisday/{day}/{}/{}",
            feed.name(),
            digest(&title)
        ),
        part: feed.name(),
        html: format!("<p>{}</p><ul>{links}</ul>", super::escape(&title)),
        title: short(&title),
        url: pages
            .first()
            .map_or_else(|| format!("https://{domain}/"), |page| page_url(domain, page)),
        image: pages.iter().find_map(|page| thumbnail(page)),
        updated: latest(&pages),
    }
}

fn list(value: &Value) -> std::slice::Iter<'_, Value> {
    value.as_array().map_or(&[][..], Vec::as_slice).iter()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// Title of a page, for people.
fn name(summary: &Value) -> String {
    let normalized = text(summary, "/titles/normalized");
    let name = if normalized.is_empty() {
        text(summary, "/normalizedtitle")
    } else {
        normalized
    };
    if name.is_empty() {
        text(summary, "/title").replace('_', " ")
    } else {
        name.to_owned()
    }
}

fn page_url(domain: &str, summary: &Value) -> String {
    web(text(summary, "/content_urls/desktop/page")).unwrap_or_else(|| {
        let title = crate::upstream::address::component(text(summary, "/title"));
        format!("https://{domain}/wiki/{title}")
    })
}

fn thumbnail(summary: &Value) -> Option<String> {
    web(text(summary, "/thumbnail/source"))
}

/// A URL, when it is one of the web.
fn web(url: &str) -> Option<String> {
    (url.starts_with("https://") || url.starts_with("http://")).then(|| url.to_owned())
}

/// The latest revision of some pages: the same content has the same time.
fn latest(pages: &[&Value]) -> String {
    let times = pages
        .iter()
        .filter_map(|page| text(page, "/timestamp").parse::<jiff::Timestamp>().ok());
    times
        .max()
        .map_or_else(|| NO_TIME.to_owned(), |time| format!("{time:.0}"))
}

fn noon_less(date: FeedDate) -> String {
    format!("{date}T00:00:00Z")
}

/// The text of safe HTML.
fn plain(html: &str) -> String {
    crate::parse::html::piece(html)
        .body()
        .map(|body| body.text())
        .unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= TITLE {
        return line;
    }
    let mut cut: String = line.chars().take(TITLE - 1).collect();
    cut.push('…');
    cut
}

fn digest(text: &str) -> String {
    crate::upstream::hex(&Sha256::digest(text.as_bytes())[..8])
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::date::MonthDay;
    use crate::model::OnThisDayKind;

    pub(crate) fn sample() -> Channel {
        let date = FeedDate::from_ymd(2026, 11, 20).expect("a day");
        let day = MonthDay::new(11, 20).expect("a day");
        let json = |text: &'static str| Bytes::from_static(text.as_bytes());
        let parts = [
            (
                Feed::Tfa(date),
                json(
                    r#"{"title":"A_b","normalizedtitle":"A b","extract_html":"<p>A &amp; <b>b</b></p>","thumbnail":{"source":"https://i/x.jpg"},"content_urls":{"desktop":{"page":"https://en.wikipedia.org/wiki/A_b"}}}"#,
                ),
            ),
            (
                Feed::News,
                json(
                    r#"[{"links":[{"title":"C","timestamp":"2026-11-19T10:00:00.000Z"}],"story":"<a href=\"./C\">C</a> wins <script>x</script>"}]"#,
                ),
            ),
            (
                Feed::OnThisDay(OnThisDayKind::Selected, day),
                json(r#"[{"text":"x < y","pages":[],"year":-58}]"#),
            ),
        ];
        channel("en.wikipedia.org", Kind::Featured, &parts)
    }

    #[test]
    fn entries_are_read_from_the_feeds() {
        let channel = sample();
        let titles: Vec<&str> = channel.entries.iter().map(|entry| entry.title.as_str()).collect();
        assert_eq!(titles, ["A b", "C wins", "58 BC: x < y"]);
        assert_eq!(
            channel.entries[1].html,
            r#"<a href="https://en.wikipedia.org/wiki/C">C</a> wins "#
        );
        assert_eq!(channel.entries[1].updated, "2026-11-19T10:00:00Z");
        assert_eq!(channel.updated, "2026-11-20T00:00:00Z");
        assert_eq!(channel.entries[0].url, "https://en.wikipedia.org/wiki/A_b");
    }

    #[test]
    fn the_same_content_gives_the_same_ids() {
        let ids = |channel: Channel| {
            channel
                .entries
                .into_iter()
                .map(|entry| entry.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(sample()), ids(sample()));
    }
}

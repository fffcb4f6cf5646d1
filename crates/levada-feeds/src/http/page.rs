//! Pages for people: the feeds of a wiki to look at, and the description of the routes.
//!
//! No scripts. What comes from a wiki is shown as cleaned HTML or as text, under a policy that lets nothing run.

use super::compose::Served;
use crate::date::FeedDate;
use crate::feed::Feed;
use crate::render::{Entry, escape, heading, read_part};
use bytes::Bytes;
use serde_json::Value;
use std::fmt::Write;

/// Nothing runs; pictures come from the web, the style sheet from here.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' https:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Items of one part that are shown; the rest is a number.
const SHOWN: usize = 30;

/// The feeds of a wiki on a day.
pub(crate) fn preview(domain: &str, day: FeedDate, served: &Served) -> Bytes {
    let mut body = form(domain, day);
    let _ = write!(
        body,
        "<nav><a href=\"{0}\">{1}</a> <a href=\"{2}\">{3}</a> <span class=\"formats\"><a href=\"{4}\">JSON</a> \
         <a href=\"{4}?format=atom\">Atom</a> <a href=\"{4}?format=rss\">RSS</a> \
         <a href=\"{4}?format=jsonfeed\">JSON Feed</a></span></nav>",
        link(domain, day.plus_days(-1)),
        day.plus_days(-1),
        link(domain, day.plus_days(1)),
        day.plus_days(1),
        feed_path(domain, day),
    );
    if let Some(text) = served.stale_text() {
        let _ = write!(body, "<p class=\"warn\">Past its time: {}</p>", escape(&text));
    }
    if let Some(text) = served.failed_text() {
        let _ = write!(body, "<p class=\"warn\">Failed: {}</p>", escape(&text));
    }
    for (at, feed) in served.feeds() {
        let plate = &served.plates[at];
        let items = plate.made().map_or(0, |made| made.items);
        let _ = write!(
            body,
            "<section id=\"{}\"><h2>{} <small>",
            feed.name(),
            heading(feed)
        );
        match (plate.problem(), &plate.stale) {
            (Some(problem), _) => {
                let why = problem.detail.as_deref().unwrap_or("unavailable");
                let _ = write!(
                    body,
                    "{}</small></h2><p class=\"none\">{}</p>",
                    problem.status,
                    escape(why)
                );
            }
            (None, stale) => {
                let age = stale.as_ref().map_or_else(String::new, |stale| {
                    format!(", {} s old", stale.age_ms.max(0) / 1000)
                });
                let _ = write!(body, "{items}{age}</small></h2>");
                body.push_str(&part(domain, feed, served.json(at).as_deref()));
            }
        }
        body.push_str("</section>");
    }
    document(&format!("Feeds of {domain}, {day}"), &body)
}

/// The form and a message, when there is nothing else to show.
pub(crate) fn form_only(domain: &str, day: FeedDate, message: &str) -> Bytes {
    let body = format!("{}<p class=\"warn\">{}</p>", form(domain, day), escape(message));
    document("Feeds", &body)
}

/// The routes, from the description for programs.
pub(crate) fn reference(spec: &[u8]) -> Bytes {
    let spec: Value = serde_json::from_slice(spec).unwrap_or_default();
    let mut body = format!(
        "<p>{}</p><table>",
        escape(spec["info"]["description"].as_str().unwrap_or_default())
    );
    body.push_str("<tr><th>Route</th><th>What</th><th>Answers</th></tr>");
    for (path, item) in spec["paths"].as_object().into_iter().flatten() {
        let answers: Vec<&str> = item["get"]["responses"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(status, _)| status.as_str())
            .collect();
        let _ = write!(
            body,
            "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
            escape(path),
            escape(item["get"]["summary"].as_str().unwrap_or_default()),
            escape(&answers.join(", ")),
        );
    }
    body.push_str("</table>");
    document("Routes of the feeds", &body)
}

fn part(domain: &str, feed: Feed, json: Option<&[u8]>) -> String {
    let Some(json) = json else {
        return "<p class=\"none\">Nothing that day.</p>".to_owned();
    };
    let entries = read_part(domain, feed, json);
    if entries.is_empty() {
        return "<p class=\"none\">Empty.</p>".to_owned();
    }
    let mut out = String::from("<ul>");
    for entry in entries.iter().take(SHOWN) {
        item(entry, &mut out);
    }
    out.push_str("</ul>");
    if entries.len() > SHOWN {
        let _ = write!(out, "<p class=\"none\">and {} more</p>", entries.len() - SHOWN);
    }
    out
}

fn item(entry: &Entry, out: &mut String) {
    out.push_str("<li>");
    if let Some(image) = &entry.image {
        let _ = write!(out, "<img src=\"{}\" alt=\"\" loading=\"lazy\">", escape(image));
    }
    let _ = write!(
        out,
        "<h3><a href=\"{}\" rel=\"noreferrer\">{}</a></h3><div>{}</div></li>",
        escape(&entry.url),
        escape(&entry.title),
        entry.html
    );
}

fn form(domain: &str, day: FeedDate) -> String {
    format!(
        "<form action=\"/feeds\"><label>Wiki <input name=\"domain\" value=\"{}\"></label> \
         <label>Day <input name=\"date\" type=\"date\" value=\"{day}\"></label> <button>Show</button> \
         <a href=\"/feeds/docs\">Routes</a></form>",
        escape(domain)
    )
}

fn link(domain: &str, day: FeedDate) -> String {
    format!("/feeds?domain={}&amp;date={day}", escape(domain))
}

fn feed_path(domain: &str, day: FeedDate) -> String {
    format!("/{}/v1/aggregated/featured/{}", escape(domain), day.slashed())
}

fn document(title: &str, body: &str) -> Bytes {
    let title = escape(title);
    Bytes::from(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"/feeds/style.css\">\n</head>\n<body>\n<header><h1>{title}</h1></header>\n\
         <main>{body}</main>\n</body>\n</html>\n"
    ))
}

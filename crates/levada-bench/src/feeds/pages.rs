//! Pages of the replayed wiki. The page of a day is the real one of 1 December where the reference
//! material lies beside the repository, otherwise one with as many items and links.

use std::fmt::Write;
use std::path::Path;

/// The page of a day, and where it is from.
pub fn day() -> (String, &'static str) {
    let root = std::env::var_os("LEVADA_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        Into::into,
    );
    match std::fs::read_to_string(root.join("reference/feeds/html/onthisday/en.December_1.html")) {
        Ok(html) => (html, "real page of 1 December"),
        Err(_) => (synthetic(), "made-up page of a day"),
    }
}

/// Items and links per item as on the English page of 1 December 2017.
fn synthetic() -> String {
    let mut html = String::from("<html><body>");
    for (id, items, links) in [
        ("Events", 41, 3),
        ("Births", 203, 1),
        ("Deaths", 99, 1),
        ("Holidays_and_observances", 23, 2),
    ] {
        let _ = write!(html, "<section><h2 id=\"{id}\">{id}</h2><ul>");
        for item in 0..items {
            let year = 2020 - item;
            let _ = write!(
                html,
                "<li><a rel=\"mw:WikiLink\" href=\"./{year}\" title=\"{year}\">{year}</a> – "
            );
            for link in 0..links {
                let _ = write!(
                    html,
                    "<a rel=\"mw:WikiLink\" href=\"./{id}_{item}_{link}\" title=\"{id} {item} {link}\">{id} {item} {link}</a>, of whom there is something to say, "
                );
            }
            html.push_str("</li>");
        }
        html.push_str("</ul></section>");
    }
    html.push_str("</body></html>");
    html
}

/// Four stories with four links each.
pub fn news() -> String {
    let stories = (0..4).fold(String::new(), |mut out, story| {
        let _ = write!(out, "<li>The <b>{}</b>", link(&format!("Story_{story}")));
        for n in 0..3 {
            let _ = write!(out, " and {}", link(&format!("Story_{story}_{n}")));
        }
        out + " are seen.</li>"
    });
    section(&stories)
}

/// Eight facts.
pub fn facts() -> String {
    let fact = |n: usize| {
        format!(
            "<li>... that <b>{}</b> <i>(pictured)</i> is so?</li>",
            link(&format!("Fact_{n}"))
        )
    };
    section(&(0..8).map(fact).collect::<String>())
}

/// Ten selected events of a day.
pub fn selected(day: &str) -> String {
    let event = |n: usize| {
        format!(
            "<li>{} – {} and {}.</li>",
            1900 + n,
            link(&format!("Chosen_{day}_{n}")),
            link(&format!("Place_{day}_{n}"))
        )
    };
    section(&(0..10).map(event).collect::<String>())
}

/// The description of a picture.
pub fn description() -> String {
    section("<div class=\"description lang-en\" lang=\"en\">A water channel</div>")
}

fn link(title: &str) -> String {
    let shown = title.replace('_', " ");
    format!("<a rel=\"mw:WikiLink\" href=\"./{title}\" title=\"{shown}\">{shown}</a>")
}

fn section(items: &str) -> String {
    format!(
        "<!DOCTYPE html><html><body><section data-mw-section-id=\"0\"><ul>{items}</ul></section></body></html>"
    )
}

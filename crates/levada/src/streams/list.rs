//! Prints streams.

use std::io::{ErrorKind, Write};

use serde_json::{Map, Value};

use super::Format;
use crate::exit::{Exit, Failure};
use crate::pretty;

/// A list of streams in one of the formats.
pub(super) fn render(streams: &Map<String, Value>, format: Format) -> String {
    match format {
        Format::Names => streams.keys().map(|name| format!("{name}\n")).collect(),
        Format::Ndjson => streams.values().map(|settings| format!("{settings}\n")).collect(),
        Format::Table => table(streams),
    }
}

/// One stream's settings.
pub(super) fn settings(settings: &Value) -> String {
    let mut out = Vec::new();
    pretty::push(&mut out, &settings.to_string());
    String::from_utf8_lossy(&out).into_owned()
}

/// Writes to standard output; a reader that has gone is no error.
pub(crate) fn print(text: &str) -> Result<Exit, Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::io("standard output", &error)),
        _ => Ok(Exit::Ok),
    }
}

fn table(streams: &Map<String, Value>) -> String {
    let text = |settings: &Value, key: &str| match settings.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(true)) => "yes".to_owned(),
        _ => "-".to_owned(),
    };
    let mut rows = vec![["STREAM", "SCHEMA", "TOPICS", "SERVICE", "CANARY"].map(str::to_owned)];
    rows.extend(streams.iter().map(|(name, settings)| {
        let topics = settings
            .get("topics")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        [
            name.clone(),
            text(settings, "schema_title"),
            topics.to_string(),
            text(settings, "destination_event_service"),
            text(settings, "canary_events_enabled"),
        ]
    }));
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            line.push_str(&format!("{cell:width$}  "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_aligned() {
        let streams: Map<String, Value> = serde_json::from_str(
            r#"{"mediawiki.page_change.v1":{"schema_title":"mediawiki/page/change","topics":["a","b"],"canary_events_enabled":true},"x":{}}"#,
        )
        .unwrap();
        assert_eq!(
            render(&streams, Format::Table),
            concat!(
                "STREAM                    SCHEMA                 TOPICS  SERVICE  CANARY\n",
                "mediawiki.page_change.v1  mediawiki/page/change  2       -        yes\n",
                "x                         -                      0       -        -\n",
            )
        );
        assert_eq!(render(&streams, Format::Names), "mediawiki.page_change.v1\nx\n");
        assert_eq!(render(&streams, Format::Ndjson).lines().count(), 2);
    }
}

//! What a response brings: lines, or server-sent events, whose ids also tell of what a filter left out.

use bytes::Bytes;
use levada_wire::cursor::{Element, parse_any};
use levada_wire::{StreamError, ndjson, sse};

/// Reads a response's body, in chunks cut anywhere.
#[derive(Debug)]
pub(super) enum Decoder {
    Lines(ndjson::Decoder),
    Frames(sse::Decoder),
}

/// A part of a body that means something.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// The text of an event.
    Event(Bytes),
    /// The next offsets of partitions; everything before them was brought, or left out by the filter.
    Passed(Vec<(u32, u64)>),
    /// Events are missing here: the server's words.
    Gap(String),
    /// The server ends the response with this error.
    Failed(String),
}

impl Decoder {
    /// For server-sent events, or for lines.
    pub(super) fn new(frames: bool) -> Self {
        match frames {
            true => Self::Frames(sse::Decoder::new(sse::Limits::default())),
            false => Self::Lines(ndjson::Decoder::default()),
        }
    }

    pub(super) fn push(&mut self, chunk: &[u8]) {
        match self {
            Self::Lines(lines) => lines.push(chunk),
            Self::Frames(frames) => frames.push(chunk),
        }
    }

    /// The next piece that is whole; `None` until more comes.
    ///
    /// # Errors
    /// The body cannot be read on: why, in words.
    pub(super) fn next_piece(&mut self) -> Result<Option<Piece>, String> {
        let frames = match self {
            Self::Lines(lines) => {
                let line = lines.next_line().map_err(|error| error.to_string())?;
                return Ok(line.map(|line| Piece::Event(line.text)));
            }
            Self::Frames(frames) => frames,
        };
        while let Some(item) = frames.next_item().map_err(|error| error.to_string())? {
            match item {
                sse::Item::Event(event) if event.name == "error" => {
                    let told = serde_json::from_str::<StreamError>(&event.data);
                    let why = told.map_or(event.data, |error| error.message);
                    return Ok(Some(Piece::Failed(format!("the server ended the stream: {why}"))));
                }
                // The id behind an event says no more than the event itself until the next that stands alone.
                sse::Item::Event(event) => return Ok(Some(Piece::Event(event.data.into()))),
                sse::Item::Id(id) => return Ok(Some(Piece::Passed(places(&id)?))),
                sse::Item::Comment(text) => {
                    if let Some(gap) = text.strip_prefix("gap ") {
                        return Ok(Some(Piece::Gap(gap.to_owned())));
                    }
                }
                sse::Item::Retry(_) => {}
            }
        }
        Ok(None)
    }
}

/// The next offset of each partition that an id names exactly.
fn places(id: &str) -> Result<Vec<(u32, u64)>, String> {
    let elements = parse_any(id).map_err(|error| format!("an id is no position: {error}"))?;
    let place = |element: Element| match element {
        Element::Partition(e) => Some((u32::try_from(e.partition).ok()?, e.at?.next)),
        Element::Topic(_) => None,
    };
    Ok(elements.into_iter().filter_map(place).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_bring_events_positions_gaps_and_errors() {
        let mut decoder = Decoder::new(true);
        decoder.push(
            b":ok\n\n: gap {\"reason\":\"expired\"}\n\nid: c1:00ab12ef:8:1500000000:articles:AC:ABBA\n\n",
        );
        assert_eq!(
            decoder.next_piece(),
            Ok(Some(Piece::Gap("{\"reason\":\"expired\"}".into())))
        );
        assert_eq!(
            decoder.next_piece(),
            Ok(Some(Piece::Passed(vec![(0, 8), (1, 9)])))
        );
        assert_eq!(decoder.next_piece(), Ok(None));
        decoder.push(b"event: message\nid: c1:00ab12ef:8:1500000000:articles:AC:ABBA\ndata: {}\n\n: hb\n\n");
        assert_eq!(decoder.next_piece(), Ok(Some(Piece::Event("{}".into()))));
        assert_eq!(decoder.next_piece(), Ok(None));
        decoder.push(b"id: nonsense\n\n");
        assert!(decoder.next_piece().is_err());
    }
}

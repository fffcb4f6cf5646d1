//! Recorded EventStreams bodies go through the decoder whole, however they are cut.

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use levada_event::json::Document;
    use levada_wire::cursor;
    use levada_wire::sse::{Decoder, Event, Item, Limits};

    fn shared() -> PathBuf {
        std::env::var_os("LEVADA_SHARED").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
            PathBuf::from,
        )
    }

    fn decode(body: &[u8], chunk: usize) -> Vec<Event> {
        let mut decoder = Decoder::new(Limits::default());
        let mut events = Vec::new();
        for part in body.chunks(chunk) {
            decoder.push(part);
            while let Some(item) = decoder.next_item().unwrap() {
                if let Item::Event(event) = item {
                    events.push(event);
                }
            }
        }
        events
    }

    #[test]
    fn recorded_streams_are_read() {
        let folder = shared().join("reference/events/sse");
        let Ok(entries) = std::fs::read_dir(&folder) else {
            println!("skipped: there is no {}", folder.display());
            return;
        };
        let mut files = 0;
        for entry in entries {
            let path = entry.unwrap().path();
            let body = std::fs::read(&path).unwrap();
            let events = decode(&body, body.len().max(1));
            let frames = body
                .split(|b| *b == b'\n')
                .filter(|line| line.starts_with(b"data: "))
                .count();
            // The recording may end inside the last frame.
            assert!(
                events.len() == frames || events.len() + 1 == frames,
                "{}",
                path.display()
            );
            // One frame of one recording was spread over several lines by hand.
            let sound = |event: &&Event| Document::parse(event.data.as_bytes()).is_ok();
            assert!(events.iter().filter(sound).count() + 1 >= events.len());
            for event in events.iter().filter(sound) {
                let id = event.id.as_deref().unwrap();
                assert!(!cursor::parse(id).unwrap().is_empty(), "{id}");
            }
            for chunk in [1, 7, 4096] {
                assert_eq!(decode(&body, chunk), events, "{} by {chunk}", path.display());
            }
            println!("{}: {} events", path.display(), events.len());
            files += 1;
        }
        assert!(files > 0, "{} has no recordings", folder.display());
    }
}

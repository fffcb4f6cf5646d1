//! The bytes of a response (contract eventstreams §1.3, §1.4, §7.4; realtime §1.8, §7.2).

use std::num::NonZeroU32;
use std::time::Duration;

use levada_event::Start;
use levada_event::select::{Selection, SelectionSpec, Separators};
use levada_event::splice::Dialect;
use levada_log::LogError;
use levada_wire::cursor;
use tokio::time::Instant;

use super::super::{Api, Format, From, limits};
use super::fixture::*;

fn id(topics: &str) -> String {
    format!("[{topics}]")
}

#[tokio::test(start_paused = true)]
async fn a_stream_begins_with_ok_and_brings_new_events_once() {
    let rig = Rig::of_the_contract().await;
    let mut reader = rig.open(request(&["eqiad.a", "codfw.a"])).await;
    assert_eq!(reader.text().await, ":ok\n\n");
    rig.append("eqiad.a", 0, &[event("e3", T0 + 5000)]).await;
    assert_eq!(
        reader.text().await,
        concat!(
            "event: message\n",
            r#"id: [{"topic":"eqiad.a","partition":0,"timestamp":1500000005001,"at":"00ab12ef:4"},"#,
            r#"{"topic":"codfw.a","partition":0,"offset":-1,"at":"00ab12ef:0"}]"#,
            "\n",
            r#"data: {"$schema":"/a/1.0.0","meta":{"id":"e3","domain":"en.wikipedia.org","topic":"eqiad.a","partition":0,"offset":3},"n":12345678901234567890}"#,
            "\n\n"
        )
    );
    rig.append("codfw.a", 0, &[event("c0", T0)]).await;
    let text = reader.text().await;
    let both = id(concat!(
        r#"{"topic":"eqiad.a","partition":0,"timestamp":1500000005001,"at":"00ab12ef:4"},"#,
        r#"{"topic":"codfw.a","partition":0,"timestamp":1500000000001,"at":"00ab12ef:1"}"#
    ));
    assert!(text.contains(&format!("\nid: {both}\ndata: ")), "{text}");
    assert_eq!(text.matches("event: ").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn retry_is_told_once_after_ok() {
    let rig = Rig::of_the_contract().await;
    let mut asked = request(&["single"]);
    asked.retry = Some(Duration::from_millis(2500));
    assert_eq!(rig.open(asked).await.text().await, ":ok\n\nretry: 2500\n\n");
}

#[tokio::test(start_paused = true)]
async fn first_bytes_of_every_format() {
    let rig = Rig::of_the_contract().await;
    for (api, format, first) in [
        (Api::EventStreams, Format::Sse, ":ok\n\n"),
        (Api::EventStreams, Format::Ndjson, "\n"),
        (Api::Realtime, Format::Sse, ":ok\n\n"),
        (Api::Realtime, Format::Ndjson, ""),
    ] {
        let mut asked = request(&["single"]);
        (asked.api, asked.format) = (api, format);
        assert_eq!(rig.open(asked).await.text().await, first, "{api:?} {format:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn ndjson_is_one_object_per_line() {
    let rig = Rig::of_the_contract().await;
    let mut asked = request(&["eqiad.a"]);
    asked.format = Format::Ndjson;
    asked.from = since(T0 + 1000);
    let text = rig.open(asked).await.text().await;
    let lines: Vec<&str> = text.split('\n').collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert_eq!((lines[0], lines[3]), ("", ""));
    assert!(lines[1].starts_with(r#"{"$schema""#) && lines[1].contains(r#""offset":1"#));
    assert!(lines[2].contains(r#""offset":2"#));
}

#[tokio::test(start_paused = true)]
async fn idle_responses_stay_alive() {
    let rig = Rig::of_the_contract().await;
    for (format, beat) in [(Format::Sse, ":\n\n"), (Format::Ndjson, " ")] {
        let mut asked = request(&["single"]);
        (asked.api, asked.format) = (Api::Realtime, format);
        let mut reader = rig.open(asked).await;
        let first = reader.text().await;
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(reader.chunk().await.unwrap().unwrap(), beat, "after {first:?}");
        }
        assert!(
            start.elapsed() <= 3 * Duration::from_secs(15),
            "{:?}",
            start.elapsed()
        );
        rig.append("single", 0, &[event("x", T0)]).await;
        let text = reader.text().await;
        assert!(text.contains(r#""id":"x""#) && text.ends_with('\n'), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn events_of_one_append_share_a_write_and_the_next_one_is_not_delayed() {
    let rig = Rig::of_the_contract().await;
    let mut reader = rig.open(request(&["single"])).await;
    reader.text().await;
    let ten: Vec<_> = (0..10).map(|i| event(&i.to_string(), T0)).collect();
    rig.append("single", 0, &ten).await;
    let start = Instant::now();
    let chunk = reader.chunk().await.unwrap().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&chunk).matches("event: message").count(),
        10
    );
    assert_eq!(
        start.elapsed(),
        Duration::ZERO,
        "the first write after a pause is at once"
    );
    // Those that follow closely wait for each other.
    rig.append("single", 0, &ten[..1]).await;
    rig.append("single", 0, &ten[..1]).await;
    let chunk = reader.chunk().await.unwrap().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&chunk).matches("event: message").count(),
        2
    );
    assert!(start.elapsed() <= limits::FLUSH_EVERY + Duration::from_millis(1));
}

#[tokio::test(start_paused = true)]
async fn a_filtered_reader_learns_its_position_from_the_heartbeat() {
    let rig = Rig::of_the_contract().await;
    let mut asked = request(&["eqiad.a"]);
    asked.selection = selection(&["meta.domain:de.wikipedia.org"]);
    let mut reader = rig.open(asked).await;
    reader.text().await;
    rig.append("eqiad.a", 0, &[event("no", T0), event("no", T0)])
        .await;
    let beat = reader.chunk().await.unwrap().unwrap();
    assert_eq!(
        beat,
        "id: [{\"topic\":\"eqiad.a\",\"partition\":0,\"offset\":-1,\"at\":\"00ab12ef:5\"}]\n\n"
    );
    assert_eq!(reader.chunk().await.unwrap().unwrap(), ":\n\n", "told once");
    rig.append("eqiad.a", 0, &[event_of("de.wikipedia.org", "yes", T0)])
        .await;
    assert_eq!(reader.event_soon().await.unwrap().offset, 5);
    assert_eq!((rig.stat("filtered"), rig.stat("deliveries")), (2, 1));
    assert_eq!(
        reader.chunk().await.unwrap().unwrap(),
        ":\n\n",
        "the event has told it"
    );
}

#[tokio::test(start_paused = true)]
async fn canaries_are_dropped_when_asked_and_the_cursor_goes_on() {
    let rig = Rig::of_the_contract().await;
    let canary = event_of("canary", "c", T0);
    let foreign_canary = foreign(r#"{"meta":{"domain":"canary"}}"#);
    let mut all = rig.open(request(&["eqiad.a"])).await;
    let mut asked = request(&["eqiad.a"]);
    asked.drop_canaries = true;
    let mut some = rig.open(asked).await;
    all.text().await;
    some.text().await;
    rig.append("eqiad.a", 0, &[canary, foreign_canary, event("e", T0)])
        .await;
    assert_eq!(all.offsets().await, [3, 4, 5]);
    let got = some.event_soon().await.unwrap();
    assert_eq!(got.offset, 5);
    assert!(got.id.contains("00ab12ef:6"));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_event_is_left_out_and_counted() {
    let rig = Rig::of_the_contract().await;
    let mut reader = rig.open(request(&["single"])).await;
    reader.text().await;
    let records = [
        foreign("null"),
        foreign("not json"),
        foreign(""),
        foreign(r#"{"a":1}"#),
        foreign("[1]"),
    ];
    rig.append("single", 0, &records).await;
    rig.append("single", 0, &[event("later", T0)]).await;
    let bare = reader.event_soon().await.unwrap();
    assert_eq!(
        bare.data,
        r#"{"a":1,"meta":{"topic":"single","partition":0,"offset":3}}"#
    );
    assert_eq!(reader.event_soon().await.unwrap().offset, 5);
    assert_eq!(rig.stat("skipped"), 4);
}

#[tokio::test(start_paused = true)]
async fn lines_that_clients_cannot_read_are_left_out_and_counted() {
    let rig = Rig::of_the_contract().await;
    // Escaped, each of these takes three times its room.
    let long = foreign(&format!(r#"{{"a":"{}"}}"#, "\u{85}".repeat(4 << 20)));
    rig.append("single", 0, &[long, event("later", T0)]).await;
    for (format, skipped) in [(Format::Ndjson, 1), (Format::Sse, 2)] {
        let mut asked = request(&["single"]);
        (asked.api, asked.format) = (Api::Realtime, format);
        asked.from = earliest();
        asked.selection = Selection::new(SelectionSpec {
            dialect: Dialect::Meta,
            separators: Separators::Escaped,
            ..SelectionSpec::default()
        })
        .unwrap();
        let mut reader = rig.open(asked).await;
        let text = reader.until("later").await;
        assert!(text.len() < 1000, "{}", text.len());
        assert_eq!(rig.stat("skipped"), skipped);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_with_its_cursor_when_it_is_old_or_the_server_stops() {
    let rig = Rig::of_the_contract().await;
    let cursor = "id: [{\"topic\":\"eqiad.a\",\"partition\":0,\"offset\":-1,\"at\":\"00ab12ef:3\"}]\n\n";
    let mut asked = request(&["eqiad.a"]);
    asked.max_age = Some(Duration::from_secs(5));
    let mut old = rig.open(asked).await;
    old.text().await;
    let start = Instant::now();
    assert_eq!(old.chunk().await.unwrap().unwrap(), cursor);
    assert!(old.chunk().await.is_none());
    assert!(
        (2..=5).contains(&start.elapsed().as_secs()),
        "{:?}",
        start.elapsed()
    );

    let mut live = rig.open(request(&["eqiad.a"])).await;
    live.text().await;
    let mut asked = request(&["eqiad.a"]);
    asked.from = earliest();
    let mut past = rig.open(asked).await;
    assert_eq!(past.chunk().await.unwrap().unwrap(), ":ok\n\n");
    rig.delivery.drain();
    assert_eq!(live.chunk().await.unwrap().unwrap(), cursor);
    assert!(live.chunk().await.is_none());
    assert!(past.chunk().await.unwrap().unwrap().starts_with(b"id: ["));
    assert!(past.chunk().await.is_none());
    assert!(rig.try_open(request(&["eqiad.a"])).await.is_err());
    drop((old, live, past));
    rig.delivery.drained().await;
    assert_eq!(
        (rig.stat("sessions_open"), rig.stat("channels"), rig.stat("tails")),
        (0, 0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn old_lines_end_after_an_event_never_after_blanks() {
    let rig = Rig::of_the_contract().await;
    let mut asked = request(&["single"]);
    (asked.api, asked.format) = (Api::Realtime, Format::Ndjson);
    asked.max_age = Some(Duration::from_secs(20));
    let mut reader = rig.open(asked).await;
    assert_eq!(reader.chunk().await.unwrap().unwrap(), " ");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(reader.chunk().await.unwrap().unwrap(), " ", "still open");
    rig.append("single", 0, &[event("x", T0)]).await;
    loop {
        let chunk = reader.chunk().await.unwrap().unwrap();
        if chunk.ends_with(b"\n") {
            break;
        }
        assert_eq!(chunk, " ");
    }
    assert!(reader.chunk().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn errors_are_told_in_the_stream_where_the_format_can() {
    let rig = Rig::of_the_contract().await;
    for (api, format) in [
        (Api::EventStreams, Format::Sse),
        (Api::Realtime, Format::Sse),
        (Api::EventStreams, Format::Ndjson),
        (Api::Realtime, Format::Ndjson),
    ] {
        for is_live in [true, false] {
            let mut asked = request(&["eqiad.a"]);
            (asked.api, asked.format) = (api, format);
            if !is_live {
                asked.from = earliest();
            }
            let mut reader = rig.open(asked).await;
            if is_live {
                reader.text().await;
            }
            rig.log.fail_next_read(LogError::Poisoned("gone".into()));
            rig.append("eqiad.a", 0, &[event("x", T0)]).await;
            let mut out = Vec::new();
            let end = loop {
                match reader.chunk().await {
                    Some(Ok(chunk)) => out.extend_from_slice(&chunk),
                    Some(Err(error)) => break Some(error),
                    None => break None,
                }
            };
            let text = String::from_utf8(out).unwrap();
            match format {
                Format::Sse => {
                    let (_, last) = text.rsplit_once("event: ").unwrap();
                    let id = match api {
                        Api::EventStreams => "[{\"topic\":\"eqiad.a\"",
                        Api::Realtime => "c1:00ab12ef:",
                    };
                    assert!(last.starts_with(&format!("error\nid: {id}")), "{text}");
                    assert!(last.contains("\ndata: {\"message\":\""), "{text}");
                    assert_eq!(end, None);
                }
                Format::Ndjson if api == Api::EventStreams => {
                    assert!(
                        text.contains("{\"message\":\"") && text.ends_with("}\n"),
                        "{text}"
                    );
                    assert_eq!(end, None);
                }
                Format::Ndjson => assert!(end.is_some(), "{text}"),
            }
        }
    }
    assert_eq!(rig.stat("sessions_failed"), 8);
    assert_eq!((rig.stat("channels"), rig.stat("tails")), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_session_gets_its_events_at_equal_distances() {
    let rig = Rig::of_the_contract().await;
    let mut asked = request(&["eqiad.a"]);
    asked.from = earliest();
    asked.rate = NonZeroU32::new(50);
    let mut reader = rig.open(asked).await;
    let start = Instant::now();
    for i in 0..3 {
        assert_eq!(reader.event().await.unwrap().offset, i);
        assert_eq!(start.elapsed(), Duration::from_millis(20 * i));
    }
    assert_eq!(reader.event_soon().await, None);
    rig.append("eqiad.a", 0, &[event("x", T0), event("y", T0)]).await;
    let start = Instant::now();
    assert_eq!(reader.event().await.unwrap().offset, 3);
    assert_eq!(reader.event().await.unwrap().offset, 4);
    assert_eq!(start.elapsed(), Duration::from_millis(20));
    assert_eq!(reader.chunk().await.unwrap().unwrap(), ":\n\n", "it stays alive");
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_a_little_for_the_line_that_blanks_began() {
    for comes in [true, false] {
        let rig = Rig::of_the_contract().await;
        let mut asked = request(&["single"]);
        (asked.api, asked.format) = (Api::Realtime, Format::Ndjson);
        let mut reader = rig.open(asked).await;
        assert_eq!(reader.chunk().await.unwrap().unwrap(), " ");
        rig.delivery.drain();
        let begun = tokio::time::Instant::now();
        if comes {
            let rest = tokio::join!(reader.chunk(), async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                rig.append("single", 0, &[event("x", T0)]).await;
            });
            assert!(rest.0.unwrap().unwrap().ends_with(b"\n"));
        }
        assert!(reader.chunk().await.is_none());
        assert_eq!(begun.elapsed().as_secs(), if comes { 1 } else { 2 });
    }
}

#[tokio::test(start_paused = true)]
async fn ids_of_the_realtime_api_are_short_and_resume_exactly() {
    let rig = Rig::of_the_contract().await;
    let mut asked = request(&["eqiad.a", "codfw.a"]);
    asked.api = Api::Realtime;
    asked.from = From::Everywhere(Start::Earliest);
    rig.append("codfw.a", 0, &[event("c0", T0), event("c1", T0)])
        .await;
    let mut reader = rig.open(asked.clone()).await;
    let (mut seen, mut ids) = (Vec::new(), Vec::new());
    while let Some(got) = reader.event_soon().await {
        assert!(
            got.id.starts_with("c1:00ab12ef:") && got.id.len() < 80,
            "{}",
            got.id
        );
        seen.push((got.topic, got.partition, got.offset));
        ids.push(got.id);
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
    for (number, id) in ids.iter().enumerate() {
        asked.from = From::Each {
            elements: cursor::parse_any(id).unwrap(),
            rest: Start::Latest,
        };
        let mut again = rig.open(asked.clone()).await;
        let mut rest = Vec::new();
        while let Some(got) = again.event_soon().await {
            rest.push((got.topic, got.partition, got.offset));
        }
        let mut expected = seen[number + 1..].to_vec();
        expected.sort();
        rest.sort();
        assert_eq!(rest, expected, "behind {id}");
    }
}

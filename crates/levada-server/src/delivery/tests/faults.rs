//! Bad luck: reads that fail, records that vanish, damage, clients that are slow or leave.

use std::collections::BTreeMap;
use std::time::Duration;

use levada_log::embedded::{Embedded, EmbeddedOptions};
use levada_log::memory::MemoryOptions;
use levada_log::{Durability, Log, LogError};

use super::super::{Format, Options, limits};
use super::fixture::*;

#[tokio::test(start_paused = true)]
async fn a_short_outage_of_the_log_is_not_seen() {
    let rig = Rig::of_the_contract().await;
    let mut asked = request(&["eqiad.a"]);
    asked.from = earliest();
    for _ in 0..3 {
        rig.log.fail_next_read(LogError::Unavailable("moment".into()));
    }
    let mut reader = rig.open(asked).await;
    assert_eq!(reader.offsets().await, [0, 1, 2]);
    rig.log.fail_next_read(LogError::Unavailable("moment".into()));
    rig.append("eqiad.a", 0, &[event("x", T0)]).await;
    assert_eq!(reader.offsets().await, [3]);
    assert!(rig.stat("read_retries") >= 3);
}

#[tokio::test(start_paused = true)]
async fn a_session_in_the_past_is_kept_alive_while_the_log_is_away() {
    let rig = Rig::with(
        Options {
            heartbeat: Duration::from_millis(300),
            ..Options::default()
        },
        MemoryOptions::default(),
    );
    rig.log.create(&spec("a", 1));
    rig.append("a", 0, &[event("x", T0)]).await;
    let mut asked = request(&["a"]);
    asked.from = earliest();
    // The pauses between the tries are 1.55 s in all.
    for _ in 0..5 {
        rig.log.fail_next_read(LogError::Unavailable("moment".into()));
    }
    let mut reader = rig.open(asked).await;
    let said = reader.until("id: ").await;
    let beats = said.split("event: message").next().unwrap();
    assert_eq!(beats, format!(":ok\n\n{}", ":\n\n".repeat(5)), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_long_outage_ends_sessions_with_an_error_and_new_ones_work_afterwards() {
    let rig = Rig::of_the_contract().await;
    let mut readers = [
        rig.open(request(&["eqiad.a", "codfw.a"])).await,
        rig.open(request(&["eqiad.a"])).await,
        rig.open(request(&["codfw.a"])).await,
    ];
    for reader in &mut readers {
        reader.text().await;
    }
    assert_eq!((rig.stat("channels"), rig.stat("tails")), (3, 2));
    for _ in 0..=limits::READ_RETRIES {
        rig.log.fail_next_read(LogError::Unavailable("down".into()));
    }
    rig.append("eqiad.a", 0, &[event("x", T0)]).await;
    assert_eq!(readers[0].event().await.unwrap().offset, 3);
    for reader in &mut readers[..2] {
        let last = loop {
            match reader.event().await {
                Some(got) if got.name == "error" => break got,
                Some(_) => {}
                None => panic!("ends without a word"),
            }
        };
        assert!(
            last.data.contains("unavailable") && last.data.contains("storage_unavailable"),
            "{last:?}"
        );
        assert!(last.id.contains("00ab12ef:4"), "{last:?}");
        assert_eq!(reader.event().await, None);
    }
    rig.append("codfw.a", 0, &[event("y", T0)]).await;
    assert_eq!(
        readers[2].event_soon().await.unwrap().topic,
        "codfw.a",
        "others are not concerned"
    );
    let mut again = request(&["eqiad.a"]);
    again.from = last_event_id(r#"[{"topic":"eqiad.a","partition":0,"offset":3}]"#);
    assert_eq!(rig.open(again).await.offsets().await, [3]);
}

#[tokio::test(start_paused = true)]
async fn damage_ends_a_session_at_its_place() {
    let rig = Rig::of_the_contract().await;
    rig.log.damage(&tp("eqiad.a", 0).at(2), "checksum");
    let mut asked = request(&["eqiad.a"]);
    asked.from = earliest();
    let mut reader = rig.open(asked).await;
    assert_eq!(reader.event_soon().await.unwrap().offset, 0);
    assert_eq!(reader.event_soon().await.unwrap().offset, 1);
    let error = reader.event_soon().await.unwrap();
    assert_eq!(error.name, "error");
    assert!(
        error.data.contains("eqiad.a/0@2") && error.data.contains("storage_damaged"),
        "{error:?}"
    );
    assert!(error.id.contains("00ab12ef:2"), "{error:?}");
    assert_eq!(reader.event().await, None);
}

#[tokio::test(start_paused = true)]
async fn records_that_vanish_before_a_slow_reader_are_a_gap_it_is_told() {
    let options = Options {
        ring_bytes: 1,
        ..Options::default()
    };
    let rig = Rig::with(options, MemoryOptions::default());
    for format in [Format::Sse, Format::Ndjson] {
        let mut asked = request(&["a"]);
        asked.format = format;
        let mut reader = rig.open(asked).await;
        reader.text().await;
        let mut other = rig.open(request(&["a"])).await;
        other.text().await;
        let mut last = 0;
        for i in 0..10 {
            last = rig.append("a", 0, &[event(&i.to_string(), T0)]).await;
            other.event_soon().await.unwrap();
        }
        rig.log.trim(&tp("a", 0), last);
        match format {
            Format::Sse => {
                assert_eq!(reader.event_soon().await.unwrap().offset, last);
                let gap = reader
                    .comments
                    .iter()
                    .find(|text| text.starts_with("gap "))
                    .unwrap();
                assert!(
                    gap.contains("expired") && gap.contains(&format!("\"resumed\":{last}")),
                    "{gap}"
                );
            }
            Format::Ndjson => {
                let text = reader.text().await;
                assert!(text.contains("position_gone") && text.ends_with("}\n"), "{text}");
                assert!(reader.chunk().await.is_none());
            }
        }
    }
    assert!(rig.stat("gaps") >= 2 && rig.stat("overruns") >= 2);
}

#[tokio::test(start_paused = true)]
async fn what_matches_rarely_does_not_wait_for_the_rest_of_the_past() {
    let rig = Rig::new();
    rig.log.create(&spec("a", 1));
    rig.append("a", 0, &[event_of("rare.example", "first", T0)]).await;
    let large = "x".repeat(1024 * 1024);
    for _ in 0..40 {
        rig.append("a", 0, &[event_of("other.example", &large, T0)]).await;
    }
    let mut asked = request(&["a"]);
    asked.from = earliest();
    asked.selection = selection(&["meta.domain:rare.example"]);
    let mut reader = rig.open(asked).await;
    assert_eq!(reader.event().await.unwrap().offset, 0);
    assert!(rig.stat("lag") > 10, "the rest was read first");
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_costs_only_itself() {
    let options = Options {
        ring_bytes: 2000,
        ..Options::default()
    };
    let rig = Rig::with(options, MemoryOptions::default());
    rig.log.create(&spec("a", 2));
    let mut asked = request(&[]);
    asked.topics = vec![topic_request("a", 2)];
    let mut slow = rig.open(asked.clone()).await;
    let mut quick = rig.open(asked).await;
    slow.text().await;
    quick.text().await;
    let (mut from_slow, mut from_quick) = (BTreeMap::new(), BTreeMap::new());
    for round in 0..50 {
        for partition in 0..2 {
            let records: Vec<_> = (0..7).map(|i| event(&format!("{round}.{i}"), T0)).collect();
            rig.append("a", partition, &records).await;
        }
        quick.by_partition(&mut from_quick).await;
    }
    assert_eq!(from_quick.values().map(Vec::len).sum::<usize>(), 700);
    slow.by_partition(&mut from_slow).await;
    let data = |map: &BTreeMap<_, Vec<Got>>| -> Vec<Vec<String>> {
        map.values()
            .map(|list| list.iter().map(|got| got.data.clone()).collect())
            .collect()
    };
    assert_eq!(
        data(&from_slow),
        data(&from_quick),
        "nothing lost, nothing doubled"
    );
    assert!(rig.stat("overruns") >= 1);
    rig.append("a", 0, &[event("live again", T0)]).await;
    assert!(slow.event_soon().await.unwrap().data.contains("live again"));
    assert_eq!((rig.stat("catching_up"), rig.stat("lag")), (0, 0));
}

/// A large event in one of a thousand channels does not stay there, and costs nobody an event; smaller ones and
/// few channels are as ever.
#[tokio::test(start_paused = true)]
async fn large_events_are_not_kept_once_for_every_subscription() {
    // Bytes of an event, other channels, and whether a late reader finds it in the channel.
    let cases = [(300_000, 1023, false), (200_000, 1023, true), (300_000, 3, true)];
    for (size, others, is_kept) in cases {
        let rig = Rig::new();
        rig.log.create(&spec("a", 1));
        let mut prompt = rig.open(request(&["a"])).await;
        let mut late = rig.open(request(&["a"])).await;
        prompt.text().await;
        late.text().await;
        rig.delivery.stats().channels.add(others);
        let channel = rig.delivery.hub.any_channel().unwrap();
        for round in 1..=3 {
            let overruns = rig.stat("overruns");
            let large = rig.append("a", 0, &[event(&"x".repeat(size), T0)]).await;
            assert_eq!(prompt.event().await.unwrap().offset, large);
            assert_eq!(
                (rig.stat("overruns"), channel.kept_bytes() >= size),
                (overruns, true)
            );
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(channel.kept_bytes() >= size, is_kept, "{size} {others}");
            assert_eq!(late.event().await.unwrap().offset, large);
            assert_eq!(rig.stat("overruns"), overruns + i64::from(!is_kept));
            // Both go on in the channel.
            let next = rig.append("a", 0, &[event(&round.to_string(), T0)]).await;
            for reader in [&mut prompt, &mut late] {
                assert_eq!(reader.event().await.unwrap().offset, next);
                assert!(reader.event_soon().await.is_none());
            }
            assert_eq!(rig.stat("catching_up"), 0);
            assert_eq!(rig.stat("overruns"), overruns + i64::from(!is_kept));
        }
        rig.delivery.stats().channels.add(-others);
    }
}

#[tokio::test(start_paused = true)]
async fn clients_that_leave_leave_nothing_behind() {
    let rig = Rig::of_the_contract().await;
    let mut live = rig.open(request(&["eqiad.a"])).await;
    live.text().await;
    let mut asked = request(&["eqiad.a", "codfw.a"]);
    asked.from = earliest();
    let mut past = rig.open(asked).await;
    past.chunk().await.unwrap().unwrap();
    past.chunk().await.unwrap().unwrap();
    let never_polled = rig.open(request(&["single"])).await;
    assert_eq!(rig.stat("sessions_open"), 3);
    drop(past);
    assert_eq!(rig.stat("sessions_open"), 2);
    drop(never_polled);
    drop(live);
    rig.settled().await;
    for name in ["sessions_open", "channels", "tails", "catching_up", "lag"] {
        assert_eq!(rig.stat(name), 0, "{name}");
    }
    rig.delivery.drained().await;
    tokio::time::timeout(Duration::from_secs(1), async {
        while rig.log.has_waiting_reader(&tp("eqiad.a", 0)) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the tail stops reading");
    rig.log.topic(&spec("eqiad.a", 1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stalls_in_the_past_holds_nothing_and_goes_on_where_it_was() {
    let rig = Rig::new();
    rig.log.create(&spec("a", 2));
    for round in 0..300 {
        let records: Vec<_> = (0..10)
            .map(|i| event(&format!("{round}.{i}{}", "x".repeat(200)), T0))
            .collect();
        rig.append("a", round % 2, &records).await;
    }
    let mut asked = request(&[]);
    asked.topics = vec![topic_request("a", 2)];
    asked.from = earliest();
    let mut reader = rig.open(asked).await;
    let mut all = BTreeMap::new();
    for pause in [
        limits::STALLED_AFTER * 3,
        limits::STALLED_AFTER / 10,
        limits::STALLED_AFTER * 3,
    ] {
        for _ in 0..400 {
            let got = reader.event().await.unwrap();
            all.entry((got.topic.clone(), got.partition))
                .or_insert_with(Vec::new)
                .push(got);
        }
        tokio::time::sleep(pause).await;
        assert_eq!(rig.stat("catching_up"), i64::from(pause < limits::STALLED_AFTER));
    }
    reader.by_partition(&mut all).await;
    for list in all.values() {
        assert_eq!(list.len(), 1500);
        assert!(list.windows(2).all(|pair| pair[0].offset < pair[1].offset));
    }
    rig.append("a", 0, &[event("live", T0)]).await;
    assert!(reader.event_soon().await.unwrap().data.contains("live"));
}

#[tokio::test(start_paused = true)]
async fn the_past_is_read_from_all_partitions_in_turns() {
    let rig = Rig::new();
    rig.log.create(&spec("a", 3));
    let records: Vec<_> = (0..300)
        .map(|i| event(&format!("{i}{}", "x".repeat(10_000)), T0))
        .collect();
    for partition in 0..3 {
        rig.append("a", partition, &records).await;
    }
    let mut asked = request(&[]);
    asked.topics = vec![topic_request("a", 3)];
    asked.from = earliest();
    let mut reader = rig.open(asked).await;
    let mut seen = [0usize; 3];
    while let Some(got) = reader.event_soon().await {
        seen[got.partition as usize] += 1;
        let (least, most) = (seen.iter().min().unwrap(), seen.iter().max().unwrap());
        // A turn is a mebibyte at most.
        assert!(most - least <= 110, "{seen:?}");
    }
    assert_eq!(seen, [300; 3]);
}

/// A task that reads without a pause uses up the runtime's budget for one turn. Reading must then
/// give way and go on, not wait for itself.
#[tokio::test]
async fn reading_gives_way_when_its_turn_is_over() {
    let rig = Rig::new();
    rig.log.create(&spec("a", 1));
    let large = event(&"x".repeat(100_000), T0);
    for _ in 0..40 {
        rig.append("a", 0, &vec![large.clone(); 10]).await;
    }
    let mut asked = request(&["a"]);
    asked.from = earliest();
    let mut reader = rig.open(asked).await;
    let mut chunks = 0;
    while rig.stat("deliveries") < 400 {
        reader.raw_chunk().await.unwrap().unwrap();
        chunks += 1;
    }
    assert!(chunks > 300, "{chunks} chunks are more than one turn's budget");
}

#[tokio::test]
async fn damage_is_passed_and_told_where_that_is_wished() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let mut options = EmbeddedOptions::new(folder.path().join("log"));
        options.durability = Durability::Os;
        options.committers = 2;
        options.maintain_every = None;
        Embedded::open(options).unwrap()
    };
    let log = open();
    log.topic(&spec("a", 1)).await.unwrap();
    for i in 0..20 {
        let one = vec![event(&format!("e{i}e"), T0 + i)];
        log.append(&tp("a", 0), one).await.unwrap();
    }
    log.close().await;
    drop(log);
    let segment = folder.path().join("log/topics/a/0/00000000000000000000.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    for id in ["e5e", "e6e", "e11e"] {
        let at = bytes.windows(id.len()).position(|window| window == id.as_bytes());
        bytes[at.unwrap()] ^= 1;
    }
    std::fs::write(&segment, bytes).unwrap();
    for pass_damage in [false, true] {
        let options = Options {
            pass_damage,
            ..Options::default()
        };
        let rig = Rig::on(open(), options);
        for from in [earliest(), since(T0), since(T0 + 6)] {
            let mut asked = request(&["a"]);
            asked.from = from.clone();
            let Ok(opened) = rig.try_open(asked).await else {
                assert!(!pass_damage, "{from:?}");
                continue;
            };
            let mut reader = Reader::new(opened);
            let mut sound = Vec::new();
            let last = loop {
                let got = reader.event().await.unwrap();
                if got.name == "error" || got.offset == 19 {
                    break got;
                }
                sound.push(got.offset);
            };
            let gaps: Vec<_> = reader
                .comments
                .iter()
                .filter(|text| text.contains("\"damaged\""))
                .collect();
            if pass_damage {
                assert!(
                    sound.ends_with(&[7, 8, 9, 10, 12, 13, 14, 15, 16, 17, 18]),
                    "{sound:?}"
                );
                assert!(!sound.contains(&5) && !sound.contains(&6) && !sound.contains(&11));
                let told = |asked: u64, resumed: u64| {
                    let part = format!("\"asked\":{asked},\"resumed\":{resumed}");
                    gaps.iter().any(|gap| gap.contains(&part))
                };
                assert!(told(11, 12), "{gaps:?}");
                assert!(told(5, 7) || !sound.contains(&4), "{gaps:?}");
            } else {
                assert!(last.data.contains("storage_damaged"), "{last:?}");
                assert!(gaps.is_empty() && sound.iter().all(|offset| *offset < 11));
            }
        }
        if pass_damage {
            let mut asked = request(&["a"]);
            (asked.format, asked.from) = (Format::Ndjson, earliest());
            let lines = rig.open(asked).await.until("e19e").await;
            let has = |id: &str| lines.contains(id);
            assert!(has("e4e") && has("e7e") && !has("e5e") && !has("e11e"), "{lines}");
        }
        rig.settled().await;
        rig.log.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_silent_in_the_past_is_not_silent_longer_in_its_seat() {
    let heartbeat = Duration::from_millis(1600);
    let options = Options {
        heartbeat,
        ..Options::default()
    };
    for format in [Format::Sse, Format::Ndjson] {
        let rig = Rig::with(options, MemoryOptions::default());
        rig.log.create(&spec("a", 1));
        rig.append("a", 0, &[event("x", T0)]).await;
        let mut asked = request(&["a"]);
        asked.from = earliest();
        asked.format = format;
        asked.selection = selection(&["meta.domain:nowhere"]);
        // The pauses between the tries are 1.55 s in all: nearly a whole heartbeat.
        for _ in 0..5 {
            rig.log.fail_next_read(LogError::Unavailable("moment".into()));
        }
        let mut reader = rig.open(asked).await;
        let mut last = tokio::time::Instant::now();
        for _ in 0..4 {
            reader.chunk().await.unwrap().unwrap();
            let silence = last.elapsed();
            assert!(silence < heartbeat + Duration::from_secs(1), "{silence:?}");
            last = tokio::time::Instant::now();
        }
    }
}

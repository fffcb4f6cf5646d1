//! Real recorded events against the real schemas and the real stream configuration.

use std::collections::BTreeMap;

use crate::client;
use crate::server::{Site, eventually, shared};

/// Recorded files; the hand-made samples are left out.
const FILES: [&str; 4] = [
    "recentchange.ndjson",
    "revision-create.ndjson",
    "revision-score.ndjson",
    "page-create.ndjson",
];

/// Events per request, as EventBus sends them.
const BATCH: usize = 100;

#[test]
fn recorded_events_are_accepted_and_come_back_with_their_text() {
    let Some(shared) = shared() else {
        println!(
            "skipped {} files of recorded events: no reference data",
            FILES.len()
        );
        return;
    };
    let at = shared.display();
    let site = Site::new(&format!(
        "[catalog]\nstream_config = [\"{at}/streamconfig/production.json\"]\nwiki = \"metawiki\"\n\
         schema_base_uris = [\"{at}/schemas/primary/jsonschema/\", \"{at}/schemas/secondary/jsonschema/\"]\n\
         [intake]\ntopic_prefix = \"eqiad.\"\n[log]\ndurability = \"os\"\n"
    ));
    let server = site.start();
    let mut sent: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in FILES {
        let text = std::fs::read_to_string(shared.join("events").join(file)).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        for batch in lines.chunks(BATCH) {
            let response = client::post(server.address, &format!("[{}]", batch.join(",")));
            let (status, reason) = (response.status, response.reason.clone());
            assert_eq!(status, 201, "{file}: {reason} {}", response.text());
        }
        for line in lines {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            sent.entry(event["meta"]["stream"].as_str().unwrap().to_owned())
                .or_default()
                .push(line.to_owned());
        }
    }
    let total: usize = sent.values().map(Vec::len).sum();
    println!("{total} recorded events in {} streams", sent.len());
    for (stream, lines) in &sent {
        let target = format!("/v2/stream/{stream}?since=1970-01-01");
        let mut reader = client::get(server.address, &target).stream();
        for (number, line) in lines.iter().enumerate() {
            let frame = reader.event();
            let data = frame.field("data").unwrap();
            let event = frame.event();
            assert_eq!(event["meta"]["topic"], format!("eqiad.{stream}"));
            assert_eq!(event["meta"]["offset"], number);
            assert_eq!(without_place(data), without_place(line), "{stream} {number}");
        }
    }
}

/// Canary events of production's streams, made by the server itself from the real schemas: all are taken
/// whose schema is there.
#[test]
fn canaries_of_the_real_streams_are_accepted() {
    let Some(shared) = shared() else {
        println!("skipped 1 case: no reference data");
        return;
    };
    let at = shared.display();
    let site = Site::new(&format!(
        "[catalog]\nstream_config = [\"{at}/streamconfig/production.json\"]\nwiki = \"metawiki\"\n\
         schema_base_uris = [\"{at}/schemas/primary/jsonschema/\", \"{at}/schemas/secondary/jsonschema/\"]\n\
         [intake]\ntopic_prefix = \"eqiad.\"\n[log]\ndurability = \"os\"\n[canary]\ninterval = \"1h\"\n"
    ));
    let server = site.start();
    // The streams of production, by the answer of the API: as many wish for canaries.
    let url = "/w/api.php?action=streamconfigs&constraints=canary_events_enabled=1";
    let answer: serde_json::Value = serde_json::from_str(&client::get(server.address, url).text()).unwrap();
    let wishing = answer["streams"].as_object().unwrap().keys();
    let wishing = wishing.filter(|name| !name.starts_with('/')).count() as u64;
    eventually("each has its turn", || {
        server.metric("levada_canary_events_total") == wishing
    });
    let log = server.log();
    let failed: Vec<_> = log
        .lines()
        .filter(|line| line.contains("a canary event was not accepted"))
        .collect();
    println!(
        "{} of {wishing} streams have a canary event",
        wishing - failed.len() as u64
    );
    assert!(failed.len() * 4 < wishing as usize, "{failed:?}");
    for line in failed {
        assert!(
            line.contains("not found in"),
            "only a schema that is newer than the copy is missing: {line}"
        );
    }
}

/// The text without the three members of its `meta` that say where it lies; all others stay, wherever they
/// stand.
fn without_place(text: &str) -> String {
    let meta = text.find("\"meta\":{").unwrap() + "\"meta\":{".len();
    let end = meta + text[meta..].find('}').unwrap();
    let members = text[meta..end].split_inclusive(',');
    let is_place = |member: &str| {
        let names = ["\"topic\":", "\"partition\":", "\"offset\":"];
        names.iter().any(|name| member.starts_with(name))
    };
    let kept: String = members.filter(|member| !is_place(member)).collect();
    // A comma stays behind where the last member was one of them.
    let kept = kept.strip_suffix(',').unwrap_or(&kept);
    format!("{}{kept}{}", &text[..meta], &text[end..])
}

#[test]
fn only_the_place_is_left_out_of_the_comparison() {
    let bare = r#"{"a":1,"meta":{"id":"x,y","stream":"s"},"topic":"t","offset":2}"#;
    for meta in [
        r#""topic":"t","id":"x,y","partition":0,"stream":"s","offset":7"#,
        r#""id":"x,y","stream":"s","topic":"t","partition":0,"offset":7"#,
    ] {
        let text = bare.replace(r#""id":"x,y","stream":"s""#, meta);
        assert_eq!(without_place(&text), bare);
    }
    let other = bare.replace(r#""stream":"s""#, r#""topic":"t","stream":"r""#);
    assert_ne!(without_place(&other), without_place(bare));
}

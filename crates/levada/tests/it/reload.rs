//! Stream configuration by URL: read again in the rhythm of its TTL; what makes no sense changes nothing
//! and is counted. Schemas that could not be had are looked for again when the refusal has run out.

use serde_json::json;

use crate::client;
use crate::server::{Server, Site, binary, eventually};
use crate::web::Web;

const SCHEMA: &str = "{title: test, type: object, properties: {$schema: {type: string}, meta: {type: object, properties: {stream: {type: string}}}, n: {type: integer}}}";

#[test]
fn a_schema_is_read_again_and_the_old_one_serves_while_there_is_no_answer() {
    let web = Web::start(200, SCHEMA);
    let site = Site::new(&format!(
        "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"{}/\"]\nschema_ttl = \"1ms\"\nschema_negative_ttl = \"1ms\"\n",
        web.url
    ));
    site.file("streams.yaml", "streams:\n  a: {schema_title: test}\n");
    let server = site.start();
    assert_eq!(post(&server, "a", 1), 201);
    web.says(500, "trouble");
    let asked = web.asked();
    eventually("it is asked again", || {
        assert_eq!(post(&server, "a", 2), 201, "the schema from before serves");
        web.asked() > asked + 1
    });
    web.says(
        200,
        &SCHEMA.replace("n: {type: integer}", "n: {type: integer, maximum: 2}"),
    );
    eventually("the new schema takes force", || post(&server, "a", 3) == 400);
    assert_eq!(post(&server, "a", 2), 201);
    web.says(404, "gone");
    eventually("a schema that was removed is no longer there", || {
        post(&server, "a", 2) == 400
    });
}

fn post(server: &Server, stream: &str, n: u32) -> u16 {
    let event = json!({"$schema": "/test/1.0.0", "meta": {"stream": stream}, "n": n});
    client::post(server.address, &event.to_string()).status
}

#[test]
fn a_bad_reload_keeps_the_streams_in_force() {
    let web = Web::start(200, r#"{"streams":{"a":{"schema_title":"test"}}}"#);
    let site = Site::new(&format!(
        "[catalog]\nstream_config = [\"{}/w/api.php?format=json&action=streamconfigs\"]\nschema_base_uris = [\"@/schemas/\"]\nttl = \"50ms\"\n",
        web.url
    ));
    site.file("schemas/test/1.0.0", SCHEMA);
    let server = site.start();
    assert_eq!(post(&server, "a", 0), 201);
    assert_eq!(post(&server, "b", 0), 400);
    let mut stream = client::get(server.address, "/v2/stream/a?since=1970-01-01").stream();
    let mut failed = 0;
    for (n, (status, text)) in [
        (500, "trouble"),
        (200, "{\"streams\":{\"b\":{"),
        (200, "<html>maintenance</html>"),
        (200, "{\"streams\":{}}"),
        (200, "{\"error\":{\"code\":\"internal\",\"info\":\"x\"}}"),
        (200, "{\"streams\":{\"not a name\":{\"schema_title\":\"test\"}}}"),
    ]
    .into_iter()
    .enumerate()
    {
        web.says(status, text);
        // Two more failures: the second reload began after the answer had changed.
        let until = failed + 2;
        eventually("the reload is counted as failed", || {
            failed = server.metric("levada_catalog_reload_failed_total");
            failed >= until
        });
        assert_eq!(post(&server, "a", n as u32 + 1), 201, "{text}");
        let known = client::get(server.address, "/w/api.php?action=streamconfigs&streams=a").text();
        assert!(known.contains("\"schema_title\":\"test\""), "{text}: {known}");
    }
    assert!(
        server.log().contains("the old one stays in force"),
        "{}",
        server.log()
    );
    // One bad entry is left out, the good one takes force.
    web.says(
        200,
        r#"{"streams":{"a":{"schema_title":"test"},"b":{"schema_title":"test"},"/(/":{"schema_title":"test"}}}"#,
    );
    eventually("the new stream takes force", || post(&server, "b", 1) == 201);
    for n in 0..7 {
        assert_eq!(
            stream.event().event()["n"],
            n,
            "the open stream went on over all reloads"
        );
    }
}

#[test]
fn a_schema_that_was_not_there_is_looked_for_again_when_the_refusal_has_run_out() {
    let web = Web::start(404, "nothing here");
    let config = |ttl: &str| {
        format!(
            "[catalog]\nstream_config = [\"@/streams.yaml\"]\nschema_base_uris = [\"{}/\"]\nschema_negative_ttl = \"{ttl}\"\n",
            web.url
        )
    };
    let site = |ttl| {
        let site = Site::new(&config(ttl));
        site.file("streams.yaml", "streams:\n  a: {schema_title: test}\n");
        site
    };
    // As long as it holds, nobody is asked again, and what came in the meantime is not seen.
    let long = site("1h");
    let server = long.start();
    assert_eq!(post(&server, "a", 0), 400);
    let asked = web.asked();
    assert!(asked > 0);
    web.says(200, SCHEMA);
    assert_eq!(post(&server, "a", 0), 400);
    assert_eq!(web.asked(), asked, "the refusal was remembered");
    drop(server);
    // It runs out.
    web.says(404, "nothing here");
    let short = site("1ms");
    let server = short.start();
    assert_eq!(post(&server, "a", 0), 400);
    web.says(200, SCHEMA);
    eventually("the schema is found", || post(&server, "a", 0) == 201);
    // A schema that is there and not secure is no schema, and healed by a better one.
    let healed = site("1ms");
    let server = healed.start();
    web.says(
        200,
        "{title: test, type: object, properties: {n: {type: string, pattern: \"^(a+)+$\"}}}",
    );
    let event = json!({"$schema": "/test/1.0.0", "meta": {"stream": "a"}, "n": "aaaa"});
    let refused = client::post(server.address, &event.to_string());
    assert_eq!(refused.status, 400);
    assert_eq!(refused.header("levada-error-code"), Some("schema_insecure"));
    web.says(
        200,
        "{title: test, type: object, properties: {n: {type: string, maxLength: 9, pattern: \"^(a+)+$\"}}}",
    );
    eventually("the better schema is found", || {
        client::post(server.address, &event.to_string()).status == 201
    });
}

/// Retention as the data folder has it, of the topic `a`.
fn kept(site: &Site) -> String {
    let topic = std::fs::read_to_string(site.path().join("data/topics/a/topic")).unwrap();
    let line = topic
        .lines()
        .find(|line| line.starts_with("retention-age-ms "))
        .unwrap();
    line.to_owned()
}

#[test]
fn retention_takes_force_without_an_event() {
    let web = Web::start(200, r#"{"streams":{"a":{"schema_title":"test"}}}"#);
    let site = Site::new(&format!(
        "[catalog]\nstream_config = [\"{}/w/api.php?format=json&action=streamconfigs\"]\nschema_base_uris = [\"@/schemas/\"]\nttl = \"50ms\"\n",
        web.url
    ));
    site.file("schemas/test/1.0.0", SCHEMA);
    let server = site.start();
    assert_eq!(post(&server, "a", 0), 201);
    assert_eq!(kept(&site), "retention-age-ms 604800000");
    web.says(
        200,
        r#"{"streams":{"a":{"schema_title":"test","levada":{"retention":{"age":"30d"}}}}}"#,
    );
    eventually("a reload changes it", || {
        kept(&site) == "retention-age-ms 2592000000"
    });
    server.stop();
    web.says(
        200,
        r#"{"streams":{"/^a$/":{"schema_title":"test","levada":{"retention":{"age":"1h"}}}}}"#,
    );
    let server = site.start();
    assert_eq!(kept(&site), "retention-age-ms 3600000", "the start changes it");
    server.stop();
}

#[test]
fn an_overlay_that_slips_neither_shows_nor_removes_anything() {
    let web = Web::start(200, r#"{"streams":{"a":{"schema_title":"test"}}}"#);
    let site = Site::new(&format!(
        "[catalog]\nstream_config = [\"{}/w/api.php?format=json&action=streamconfigs\", \"@/ours.yaml\"]\nschema_base_uris = [\"@/schemas/\"]\nttl = \"50ms\"\n",
        web.url
    ));
    site.file("schemas/test/1.0.0", SCHEMA);
    let good = "overrides:\n  '/./':\n    levada: {visibility: private, retention: {age: 90d}}\n";
    let slipped = "overrides:\n  '/./':\n  levada: {visibility: private, retention: {age: 90d}}\n";
    site.file("ours.yaml", good);
    let server = site.start();
    assert_eq!(post(&server, "a", 0), 201);
    let hidden = |server: &Server| {
        client::get(server.address, "/v2/stream/a")
            .text()
            .contains("Stream Not Found")
    };
    assert!(hidden(&server));
    assert_eq!(kept(&site), "retention-age-ms 7776000000");
    site.file("ours.yaml", slipped);
    eventually("the slip is reported", || {
        server
            .log()
            .contains("the override \"/./\" cannot be used: it is no map")
    });
    assert_eq!(post(&server, "a", 1), 201);
    assert!(hidden(&server), "what the file said last is in force");
    assert_eq!(kept(&site), "retention-age-ms 7776000000");
    server.stop();
    // No start without it.
    for (text, reason) in [
        (slipped, "the override \"/./\" cannot be used: it is no map"),
        ("overrides: {", "ours.yaml: "),
    ] {
        site.file("ours.yaml", text);
        let refused = binary()
            .args(["serve", "--config"])
            .arg(site.path().join("levada.toml"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success(), "{said}");
        assert!(said.contains("ours.yaml") && said.contains(reason), "{said}");
    }
    assert_eq!(kept(&site), "retention-age-ms 7776000000");
    // One stream that makes no sense is reported, and the others are served; nothing is removed meanwhile.
    site.file(
        "ours.yaml",
        &format!("{}streams: {{b: 5}}\n", good.replace("90d", "1h")),
    );
    let server = site.start();
    assert!(server.log().contains("stream b: the settings are no map"));
    assert_eq!(post(&server, "a", 2), 201);
    assert_eq!(kept(&site), "retention-age-ms 7776000000");
    site.file("ours.yaml", &good.replace("90d", "1h"));
    eventually("what makes sense is done", || {
        kept(&site) == "retention-age-ms 3600000"
    });
}

#[test]
fn an_address_that_is_silent_at_the_start_removes_nothing() {
    let web = Web::start(200, r#"{"streams":{"a":{"schema_title":"test"}}}"#);
    let ours =
        |age: &str| format!(r#"{{"overrides":{{"/./":{{"levada":{{"retention":{{"age":"{age}"}}}}}}}}}}"#);
    let second = Web::start(200, &ours("30d"));
    let site = Site::new(&format!(
        "[catalog]\nstream_config = [\"{}/\", \"{}/\"]\nschema_base_uris = [\"@/schemas/\"]\nttl = \"50ms\"\n",
        web.url, second.url
    ));
    site.file("schemas/test/1.0.0", SCHEMA);
    let server = site.start();
    assert_eq!(post(&server, "a", 0), 201);
    assert_eq!(kept(&site), "retention-age-ms 2592000000");
    server.stop();
    second.says(500, "trouble");
    let server = site.start();
    assert_eq!(post(&server, "a", 1), 201);
    let asked = second.asked();
    eventually("it was asked again", || second.asked() > asked + 2);
    assert_eq!(kept(&site), "retention-age-ms 2592000000");
    assert!(server.log().contains("kept longer than is configured"));
    second.says(200, &ours("1h"));
    eventually("it says what holds", || kept(&site) == "retention-age-ms 3600000");
}

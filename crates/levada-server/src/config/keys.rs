//! The table of configuration keys: name, default and meaning, each declared once.

use std::fmt::Write;

/// One configuration key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Dotted name, as in `intake.service`.
    pub name: &'static str,
    /// Default as TOML text.
    pub default: &'static str,
    /// What it does, with its unit.
    pub doc: &'static str,
    /// What of the value is printed.
    pub secrecy: Secrecy,
}

/// What of a value is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// All of it.
    Open,
    /// `***` in its place.
    Secret,
    /// A table; `***` in the place of the entries whose names say that they are secrets.
    Entries,
}

const fn key(name: &'static str, default: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        default,
        doc,
        secrecy: Secrecy::Open,
    }
}

const fn secret(name: &'static str, default: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        default,
        doc,
        secrecy: Secrecy::Secret,
    }
}

const fn entries(name: &'static str, default: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        default,
        doc,
        secrecy: Secrecy::Entries,
    }
}

/// All keys, in the order in which they are printed.
pub const KEYS: &[Key] = &[
    key(
        "listen",
        "\"127.0.0.1:8192\"",
        "Address and port to listen on. Port 0 takes a free one. Addresses beyond loopback need auth.mode = \"required\", or --insecure where a proxy or firewall keeps strangers out.",
    ),
    key(
        "data",
        "\"levada-data\"",
        "Folder that holds everything the server keeps. Created when missing; one server at a time.",
    ),
    key(
        "feeds",
        "{}",
        "The Explore feeds: `enabled = true` switches them on, `streams` lists streams whose page-change events refresh them; the other keys of this table are in feeds.md.",
    ),
    key(
        "http.cors",
        "\"*\"",
        "Value of access-control-allow-origin; empty sends no CORS headers.",
    ),
    key(
        "http.csp",
        "true",
        "Send the security headers (content-security-policy, x-frame-options, …).",
    ),
    key(
        "http.client_ip_header",
        "\"\"",
        "Header in which a trusted proxy names the client's address, such as \"x-client-ip\". Empty: the peer's address counts. Set it only when every request comes through such a proxy.",
    ),
    key(
        "http.header_timeout",
        "\"30s\"",
        "How long a client may take to send a request's head.",
    ),
    key(
        "http.drain_timeout",
        "\"10s\"",
        "How long open streams and requests may take to end at shutdown.",
    ),
    key(
        "http.connections_max",
        "20000",
        "Most connections at one time; more are turned away with 503. The limit of open files may allow fewer; then a warning at the start says how many.",
    ),
    key(
        "catalog.stream_config",
        "[]",
        "Where streams are declared: YAML or JSON files, or URLs of an action=streamconfigs API; later sources add to earlier ones.",
    ),
    entries(
        "catalog.stream_config_headers",
        "{}",
        "Headers sent when a stream configuration URL is fetched, such as { Host = \"meta.wikimedia.org\" }.",
    ),
    key(
        "catalog.ttl",
        "\"60s\"",
        "How often stream configuration is read again; 0 reads it once. A bad reload keeps what is in force and says so.",
    ),
    key(
        "catalog.wiki",
        "\"\"",
        "Wiki whose overrides apply, such as \"enwiki\".",
    ),
    key(
        "catalog.wiki_tags",
        "[]",
        "Groups of that wiki whose overrides apply, such as [\"private\"].",
    ),
    key(
        "catalog.schema_base_uris",
        "[]",
        "Folders and http(s) URLs below which schemas lie; the first that has a schema wins.",
    ),
    key(
        "catalog.schema_file_extension",
        "\"\"",
        "Extension added to schema URIs that have none, such as \".yaml\".",
    ),
    key(
        "catalog.schema_ttl",
        "\"10m\"",
        "How long a loaded schema is used before it is read again.",
    ),
    key(
        "catalog.schema_negative_ttl",
        "\"30s\"",
        "How long a schema that could not be had (absent, unreadable, insecure) is answered as such before it is looked for again.",
    ),
    key(
        "catalog.allow_absolute_schema_uris",
        "false",
        "Let events name schemas by absolute URL. This lets any producer make the server fetch any URL.",
    ),
    key(
        "catalog.stream_aliases",
        "{}",
        "Short names of streams for readers, such as { recentchange = \"mediawiki.recentchange\" }.",
    ),
    key(
        "intake.service",
        "\"\"",
        "Name of this intake. When set, only streams with this destination_event_service are accepted.",
    ),
    key(
        "intake.topic_prefix",
        "\"\"",
        "Put before a stream's name to make its topic, such as \"eqiad.\"; streams that begin with \"eventlogging_\" stay bare.",
    ),
    key(
        "intake.error_stream",
        "\"\"",
        "Stream that receives an error event for every invalid event, cut where it would be longer than intake.event_bytes_max; empty: none.",
    ),
    key(
        "intake.body_bytes_max",
        "\"10MiB\"",
        "Largest request body, before and after decompression.",
    ),
    key(
        "intake.event_bytes_max",
        "\"4MiB\"",
        "Largest event; at most just below 20 MiB.",
    ),
    key("intake.batch_events_max", "10000", "Most events in one request."),
    key(
        "intake.in_flight_bytes_max",
        "\"256MiB\"",
        "Bytes of request bodies in work at one time, at most half of them hasty; more requests wait, and are answered 503 when their deadline passes.",
    ),
    key(
        "intake.deadline",
        "\"30s\"",
        "How long a request may wait for schemas that are not at hand, and then for storage, before it is answered 503.",
    ),
    key(
        "intake.schema_uri_query_param",
        "\"schema_uri\"",
        "Query parameter that gives $schema to events without one; empty: none does.",
    ),
    key(
        "intake.stream_query_param",
        "\"stream\"",
        "Query parameter that gives meta.stream to events without one, and to those without $schema the newest schema that the stream declares; empty: none does.",
    ),
    key(
        "intake.test_events",
        "[]",
        "Events as JSON texts that GET /v1/_test/events posts.",
    ),
    key(
        "log.kind",
        "\"embedded\"",
        "Where events are kept: \"embedded\" (in the data folder), \"kafka\" (in the cluster of [kafka]) or \"memory\" (gone at exit).",
    ),
    key(
        "log.partitioner",
        "\"consistent_random\"",
        "Which partition a key belongs to: \"consistent_random\" (CRC-32, as librdkafka's producers do by default) or \"murmur2_random\" (as Kafka's Java producers do). All that fill a topic must agree.",
    ),
    key(
        "log.durability",
        "\"fsync\"",
        "What an acknowledged event survives: \"fsync\" power loss, \"os\" the death of the process.",
    ),
    key(
        "log.segment_bytes",
        "\"128MiB\"",
        "Size at which a segment file is sealed.",
    ),
    key(
        "log.compress",
        "false",
        "Compress segments with zstd when they are sealed.",
    ),
    key(
        "log.retention_age",
        "\"7d\"",
        "How long events are kept, from the time they were stored; 0 keeps them for ever. A stream may set its own.",
    ),
    key(
        "log.retention_bytes",
        "0",
        "Most bytes of a partition that are kept; 0 for no bound. A stream may set its own.",
    ),
    key(
        "kafka.bootstrap_servers",
        "[]",
        "Brokers as \"host:port\" from which the cluster is learnt.",
    ),
    key(
        "kafka.client_id",
        "\"levada\"",
        "Name of this process in the brokers' logs and quotas.",
    ),
    entries(
        "kafka.properties",
        "{}",
        "Passed on to librdkafka, such as { security.protocol = \"SASL_SSL\", sasl.mechanism = \"SCRAM-SHA-512\", sasl.username = \"levada\", ssl.ca.location = \"/etc/kafka-ca.pem\" }. Properties that the promises to clients depend on are refused.",
    ),
    secret(
        "kafka.sasl_password",
        "\"\"",
        "sasl.password of librdkafka, by itself so that LEVADA_KAFKA__SASL_PASSWORD can hold it.",
    ),
    key(
        "kafka.create_topics",
        "true",
        "Create topics that do not exist when the first event for them comes. Without it, events for such topics are refused until `levada topics create` or somebody else has made them.",
    ),
    key(
        "kafka.replication_factor",
        "0",
        "Copies of each record in topics that are created; 0 for the cluster's default.",
    ),
    key(
        "kafka.min_insync_replicas",
        "0",
        "min.insync.replicas of topics that are created; 0 for the cluster's default.",
    ),
    entries(
        "kafka.topic_config",
        "{}",
        "Further settings of topics that are created, such as { compression.type = \"zstd\" }.",
    ),
    key(
        "kafka.request_timeout",
        "\"10s\"",
        "How long the cluster may take to answer a question (bounds, time seeks, topics) before it counts as unavailable.",
    ),
    key(
        "kafka.produce_bytes_max",
        "\"256MiB\"",
        "Most bytes of records that wait for delivery, at most half of them hasty; events beyond it are refused with 503.",
    ),
    key(
        "kafka.catch_up_max",
        "256",
        "Most partitions that are read in the past at a time; further readers wait for their turn.",
    ),
    key(
        "streams.allowed",
        "[]",
        "Streams and aliases that readers may ask for; empty: all that are declared.",
    ),
    key(
        "streams.connections_per_client",
        "0",
        "Most open streams per client address; 0 for no bound.",
    ),
    key(
        "streams.connection_age_max",
        "0",
        "End streams after about this long (clients resume where they were); 0 never.",
    ),
    key(
        "streams.heartbeat",
        "\"15s\"",
        "Idle time after which a heartbeat is sent.",
    ),
    key(
        "streams.pass_damage",
        "false",
        "Lead readers past stored events that are damaged, with a gap of reason \"damaged\" in their place; false: they get an error and end there, so that nobody misses events unawares.",
    ),
    key(
        "streams.redacted_pages",
        "{}",
        "Pages whose user fields readers never see: { \"en.wikipedia.org\" = [\"Some title\"] }.",
    ),
    key(
        "realtime.events_per_second",
        "0",
        "Most events per second over one connection of the Realtime API; 0 for as fast as the client reads.",
    ),
    key(
        "realtime.per_part",
        "true",
        "Where events per second are bounded: a connection that reads some of the ten parts gets as many tenths of them.",
    ),
    key(
        "canary.interval",
        "0",
        "How often each stream with canary_events_enabled (of this intake.service, where that is set) gets a canary event, made from the example of its newest schema; the first at the start. 0 never. With intake.topic_prefix it goes to the topic that the intake writes to, else to each of the stream's topics.",
    ),
    key(
        "auth.mode",
        "\"off\"",
        "Whether the server asks who is there: \"off\" (there are no accounts), \"optional\" (who shows credentials has their rights and wrong ones are refused; who shows none is let in) or \"required\".",
    ),
    secret(
        "auth.database",
        "\"\"",
        "Where accounts are kept: a PostgreSQL URL, for several servers that share them; empty: accounts.redb in the data folder. Best set in the environment (LEVADA_AUTH__DATABASE).",
    ),
    key(
        "auth.ip_allow_list",
        "[]",
        "Address ranges that need no token, and who stands behind each: [{ ip_range = { start = \"198.51.100.0\", end = \"198.51.100.255\" }, user = { username = \"lan\", groups = [\"group_3\"] } }], or the same as JSON text.",
    ),
    key(
        "auth.connections_per_account",
        "10",
        "Most streams that one account may have open, on all routes together; more are answered 429. 0 for no bound.",
    ),
    key(
        "auth.issuer",
        "\"levada\"",
        "Issuer (iss) of tokens; tokens of another are refused.",
    ),
    key(
        "auth.client_id",
        "\"levada\"",
        "Client (client_id) of tokens; tokens of another are refused.",
    ),
    key(
        "auth.signing_key_lifetime",
        "\"90d\"",
        "Age at which the key that signs tokens is replaced; 0 never.",
    ),
    key(
        "auth.outbox",
        "\"\"",
        "Folder in which codes for forgotten passwords are put for someone to pass on; empty: the route answers 501.",
    ),
    key(
        "compat.eventgate",
        "false",
        "Answer POST /v1/events with EventGate's status codes (client faults as 500).",
    ),
    key(
        "compat.eventstreams",
        "false",
        "Behave as EventStreams where Levada does better: X-Client-IP is required with a connection limit, since=1970 means latest.",
    ),
    key(
        "compat.realtime",
        "false",
        "Behave as the original Realtime API where Levada does better: positions without parts are dropped, positions that are gone mean live, 50 events a second, its filters, names and statuses.",
    ),
    key(
        "compat.streamconfigs",
        "false",
        "Match constraints with the oddities of EventStreamConfig.",
    ),
    key(
        "compat.wikifeeds",
        "false",
        "Give the feeds the wire quirks of the original service.",
    ),
];

/// The example file: every key with its default, commented out, under its meaning.
pub fn example() -> String {
    let mut out = String::from(
        "# levada.toml: every key with its default.\n# Each can also be set as LEVADA_SECTION__KEY in the environment.\n",
    );
    let mut section = "";
    for key in KEYS {
        let (of, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if of != section {
            section = of;
            let _ = write!(out, "\n[{of}]\n");
        }
        let _ = write!(out, "\n# {}\n# {name} = {}\n", key.doc, key.default);
    }
    out
}

/// The reference page in Markdown.
pub fn reference() -> String {
    let mut out = String::from(
        "# Configuration\n\nOne file, `levada.toml`. Layers, later ones win: defaults, the file, environment variables\n`LEVADA_SECTION__KEY` (for top-level keys `LEVADA_KEY`), command-line flags. `levada config check` names every\nfault with its place; `levada config print --origin` shows each value in force and where it comes from.\nDurations are written `250ms`, `30s`, `5m`, `2h`, `7d`; sizes `64KiB`, `10MiB`, `2GiB`.\n\nThis page is generated from the table in `crates/levada-server/src/config/keys.rs`.\n\n| key | default | meaning |\n|---|---|---|\n",
    );
    for key in KEYS {
        let _ = writeln!(
            out,
            "| `{}` | `{}` | {} |",
            key.name,
            key.default,
            key.doc.replace('|', "\\|")
        );
    }
    out
}

/// The known key nearest to `name`, for error messages.
pub fn nearest(name: &str) -> Option<&'static str> {
    KEYS.iter()
        .map(|key| (distance(key.name, name), key.name))
        .min()
        .filter(|(distance, _)| *distance <= 4)
        .map(|(_, name)| name)
}

fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let next = (diagonal + usize::from(x != y))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_reference_page_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/config.md");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(path, super::reference()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == super::reference(),
            "run with UPDATE_EXPECT=1 to write docs/reference/config.md"
        );
    }

    #[test]
    fn the_example_sets_what_the_defaults_are() {
        let uncommented: String = super::example()
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest)
                    if super::KEYS
                        .iter()
                        .any(|k| rest.starts_with(&format!("{} = ", k.name.rsplit('.').next().unwrap()))) =>
                {
                    format!("{rest}\n")
                }
                _ => format!("{line}\n"),
            })
            .collect();
        let table: toml::Table = uncommented.parse().unwrap();
        assert_eq!(table["intake"]["deadline"].as_str(), Some("30s"));
    }
}

//! The store suite: every store does the same.

use std::sync::Arc;

use levada_accounts::limits::{CHANGES_MAX, LIST_MAX, RECORD_BYTES_MAX};
use levada_accounts::store::{Change, Content, Expect, Kind, Record};
use levada_accounts::{EmbeddedStore, PostgresStore, Store, StoreError};
use levada_event::Timestamp;

macro_rules! on_every_store {
    ($( $name:ident ),* $(,)?) => {
        mod memory { $(
            #[tokio::test]
            async fn $name() {
                super::$name(std::sync::Arc::new(levada_accounts::EmbeddedStore::in_memory().unwrap())).await;
            }
        )* }
        mod file { $(
            #[tokio::test]
            async fn $name() {
                let folder = tempfile::tempdir().unwrap();
                super::$name(std::sync::Arc::new(levada_accounts::EmbeddedStore::open(folder.path()).unwrap())).await;
            }
        )* }
        mod postgres { $(
            #[tokio::test]
            async fn $name() {
                let Some(url) = crate::postgres::database().await else { return };
                let store = levada_accounts::PostgresStore::open(&url).await.unwrap();
                super::$name(std::sync::Arc::new(store)).await;
            }
        )* }
    };
}

on_every_store!(
    what_was_written_is_read,
    expectations_hold,
    writes_are_all_or_nothing,
    versions_never_come_back,
    lists_are_sorted_paged_and_owned,
    expired_records_are_purged,
    generations_tell_what_matters,
    bounds_are_kept,
    one_of_many_writers_wins,
    odd_texts_survive,
);

fn content(owner: &str, json: &str) -> Content {
    Content {
        owner: owner.into(),
        expires_at: None,
        json: json.into(),
    }
}

fn set(kind: Kind, id: &str, expect: Expect, json: &str) -> Change {
    Change {
        kind,
        id: id.into(),
        expect,
        to: Some(content("", json)),
    }
}

fn unset(kind: Kind, id: &str, expect: Expect) -> Change {
    Change {
        kind,
        id: id.into(),
        expect,
        to: None,
    }
}

async fn get(store: &dyn Store, id: &str) -> Option<Record> {
    store.get(Kind::User, id).await.unwrap()
}

async fn what_was_written_is_read(store: Arc<dyn Store>) {
    assert_eq!(get(&*store, "ann").await, None);
    let to = Content {
        expires_at: Some(Timestamp::from_millis(-5)),
        ..content("owner", r#"{"a":1}"#)
    };
    let change = Change {
        kind: Kind::User,
        id: "ann".into(),
        expect: Expect::Any,
        to: Some(to),
    };
    store.write(&[change]).await.unwrap();
    let found = get(&*store, "ann").await.unwrap();
    assert_eq!(
        (found.id.as_str(), found.owner.as_str(), found.json.as_str()),
        ("ann", "owner", r#"{"a":1}"#)
    );
    assert_eq!(found.expires_at, Some(Timestamp::from_millis(-5)));
    assert_eq!(
        store.get(Kind::Group, "ann").await.unwrap(),
        None,
        "kinds are apart"
    );
    store.write(&[]).await.unwrap();
}

async fn expectations_hold(store: Arc<dyn Store>) {
    let conflict = Err(StoreError::Conflict);
    assert_eq!(
        store
            .write(&[set(Kind::User, "a", Expect::Version(1), "1")])
            .await,
        conflict
    );
    assert_eq!(
        store.write(&[unset(Kind::User, "a", Expect::Version(1))]).await,
        conflict
    );
    store
        .write(&[unset(Kind::User, "a", Expect::Absent)])
        .await
        .unwrap();
    store.write(&[unset(Kind::User, "a", Expect::Any)]).await.unwrap();
    store
        .write(&[set(Kind::User, "a", Expect::Absent, "1")])
        .await
        .unwrap();
    assert_eq!(
        store.write(&[set(Kind::User, "a", Expect::Absent, "2")]).await,
        conflict
    );
    assert_eq!(
        store.write(&[unset(Kind::User, "a", Expect::Absent)]).await,
        conflict
    );
    let version = get(&*store, "a").await.unwrap().version;
    assert_eq!(
        store
            .write(&[set(Kind::User, "a", Expect::Version(version + 1), "2")])
            .await,
        conflict
    );
    assert_eq!(get(&*store, "a").await.unwrap().json, "1");
    store
        .write(&[set(Kind::User, "a", Expect::Version(version), "2")])
        .await
        .unwrap();
    assert_eq!(
        store
            .write(&[set(Kind::User, "a", Expect::Version(version), "3")])
            .await,
        conflict
    );
    let found = get(&*store, "a").await.unwrap();
    assert_eq!(found.json, "2");
    store
        .write(&[unset(Kind::User, "a", Expect::Version(found.version))])
        .await
        .unwrap();
    assert_eq!(get(&*store, "a").await, None);
}

async fn writes_are_all_or_nothing(store: Arc<dyn Store>) {
    store
        .write(&[set(Kind::User, "m", Expect::Any, "1")])
        .await
        .unwrap();
    for order in [["a", "m", "z"], ["z", "m", "a"], ["m", "a", "z"]] {
        let changes: Vec<Change> = order
            .iter()
            .map(|id| set(Kind::User, id, Expect::Absent, "2"))
            .collect();
        assert_eq!(store.write(&changes).await, Err(StoreError::Conflict));
        assert_eq!((get(&*store, "a").await, get(&*store, "z").await), (None, None));
    }
    // The store is as good as before.
    let changes = [
        set(Kind::User, "a", Expect::Absent, "2"),
        unset(Kind::User, "m", Expect::Any),
        set(Kind::Group, "m", Expect::Absent, "3"),
    ];
    store.write(&changes).await.unwrap();
    assert_eq!(get(&*store, "m").await, None);
    assert_eq!(store.get(Kind::Group, "m").await.unwrap().unwrap().json, "3");
}

async fn versions_never_come_back(store: Arc<dyn Store>) {
    let mut seen = std::collections::HashSet::new();
    for round in 0..5 {
        store
            .write(&[set(Kind::User, "a", Expect::Any, "1")])
            .await
            .unwrap();
        assert!(seen.insert(get(&*store, "a").await.unwrap().version), "{round}");
        if round % 2 == 0 {
            store.write(&[unset(Kind::User, "a", Expect::Any)]).await.unwrap();
        }
    }
}

async fn lists_are_sorted_paged_and_owned(store: Arc<dyn Store>) {
    let ids = ["", "B", "a", "a b", "a%", "aé", "b", "z"];
    for (n, id) in ids.iter().rev().enumerate() {
        let owner = if n % 2 == 0 { "ann" } else { "" };
        for kind in [Kind::Session, Kind::Key] {
            let to = Some(content(owner, "{}"));
            store
                .write(&[Change {
                    kind,
                    id: (*id).into(),
                    expect: Expect::Any,
                    to,
                }])
                .await
                .unwrap();
        }
    }
    async fn list(store: &dyn Store, owner: Option<&str>, after: Option<&str>, limit: usize) -> Vec<String> {
        let records = store.list(Kind::Session, owner, after, limit).await.unwrap();
        records.into_iter().map(|record| record.id).collect()
    }
    let mut sorted = ids.to_vec();
    sorted.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    assert_eq!(list(&*store, None, None, 100).await, sorted);
    assert_eq!(list(&*store, None, Some("a"), 2).await, sorted[3..5]);
    assert_eq!(list(&*store, None, Some("zz"), 2).await, Vec::<String>::new());
    let owned: Vec<&str> = sorted
        .iter()
        .filter(|id| ids.iter().rev().position(|other| other == *id).unwrap() % 2 == 0)
        .copied()
        .collect();
    assert_eq!(list(&*store, Some("ann"), None, 100).await, owned);
    assert_eq!(list(&*store, Some("ann"), Some(owned[0]), 2).await, owned[1..3]);
    assert_eq!(list(&*store, Some("an"), None, 100).await, Vec::<String>::new());
    assert_eq!(
        list(&*store, Some(""), None, 100).await.len(),
        ids.len() - owned.len()
    );
    assert_eq!(store.count(Kind::Session, "ann").await.unwrap(), owned.len());
    assert_eq!(store.count(Kind::Session, "bob").await.unwrap(), 0);
    // A record changes hands.
    let to = Some(content("bob", "{}"));
    store
        .write(&[Change {
            kind: Kind::Session,
            id: "z".into(),
            expect: Expect::Any,
            to,
        }])
        .await
        .unwrap();
    assert_eq!(store.count(Kind::Session, "bob").await.unwrap(), 1);
    assert_eq!(store.count(Kind::Session, "ann").await.unwrap(), owned.len() - 1);
}

async fn expired_records_are_purged(store: Arc<dyn Store>) {
    let end = |at| Content {
        expires_at: Some(Timestamp::from_millis(at)),
        ..content("ann", "{}")
    };
    for (id, at) in [("a", 10), ("b", 20), ("c", 20), ("d", 21)] {
        let change = Change {
            kind: Kind::Code,
            id: id.into(),
            expect: Expect::Any,
            to: Some(end(at)),
        };
        store.write(&[change]).await.unwrap();
    }
    store
        .write(&[set(Kind::Code, "never", Expect::Any, "{}")])
        .await
        .unwrap();
    // A later end counts, not the first one.
    let change = Change {
        kind: Kind::Code,
        id: "c".into(),
        expect: Expect::Any,
        to: Some(end(30)),
    };
    store.write(&[change]).await.unwrap();
    assert_eq!(store.purge(Timestamp::from_millis(9), 10).await.unwrap(), 0);
    assert_eq!(store.purge(Timestamp::from_millis(20), 1).await.unwrap(), 1);
    assert_eq!(
        store.get(Kind::Code, "a").await.unwrap(),
        None,
        "the oldest goes first"
    );
    assert_eq!(store.purge(Timestamp::from_millis(20), 10).await.unwrap(), 1);
    assert_eq!(store.purge(Timestamp::from_millis(20), 10).await.unwrap(), 0);
    let left: Vec<String> = store
        .list(Kind::Code, None, None, 10)
        .await
        .unwrap()
        .into_iter()
        .map(|record| record.id)
        .collect();
    assert_eq!(left, ["c", "d", "never"]);
    assert_eq!(store.count(Kind::Code, "ann").await.unwrap(), 2);
    assert_eq!(
        store
            .purge(Timestamp::from_millis(i64::MAX - 1), 10)
            .await
            .unwrap(),
        2
    );
}

async fn generations_tell_what_matters(store: Arc<dyn Store>) {
    store.look_again().await.unwrap();
    let before = store.generation();
    store
        .write(&[set(Kind::Session, "s", Expect::Absent, "{}")])
        .await
        .unwrap();
    store
        .write(&[set(Kind::Refresh, "r", Expect::Any, "{}")])
        .await
        .unwrap();
    store.look_again().await.unwrap();
    assert_eq!(
        store.generation(),
        before,
        "nothing that anyone remembers has changed"
    );
    store
        .write(&[unset(Kind::Session, "s", Expect::Any)])
        .await
        .unwrap();
    let after = store.generation();
    assert!(after > before, "a writer sees its own change without asking");
    assert_eq!(
        store
            .write(&[set(Kind::User, "u", Expect::Version(9), "{}")])
            .await,
        Err(StoreError::Conflict)
    );
    store.look_again().await.unwrap();
    assert_eq!(store.generation(), after, "what did not happen changes nothing");
}

async fn bounds_are_kept(store: Arc<dyn Store>) {
    let long = "x".repeat(RECORD_BYTES_MAX + 1);
    assert_eq!(
        store.write(&[set(Kind::User, "a", Expect::Any, &long)]).await,
        Err(StoreError::TooLarge)
    );
    store
        .write(&[set(Kind::User, "a", Expect::Any, &long[1..])])
        .await
        .unwrap();
    assert_eq!(get(&*store, "a").await.unwrap().json.len(), RECORD_BYTES_MAX);
    let many: Vec<Change> = (0..=CHANGES_MAX)
        .map(|n| set(Kind::Code, &format!("{n:05}"), Expect::Any, "{}"))
        .collect();
    assert_eq!(store.write(&many).await, Err(StoreError::TooLarge));
    for chunk in 0..5 {
        let changes =
            (0..CHANGES_MAX).map(|n| set(Kind::Code, &format!("{chunk}-{n:05}"), Expect::Any, "{}"));
        store.write(&changes.collect::<Vec<_>>()).await.unwrap();
    }
    assert_eq!(
        store
            .list(Kind::Code, None, None, usize::MAX)
            .await
            .unwrap()
            .len(),
        LIST_MAX
    );
}

async fn one_of_many_writers_wins(store: Arc<dyn Store>) {
    store
        .write(&[set(Kind::Refresh, "r", Expect::Any, "0")])
        .await
        .unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            // Each adds one, as often as it takes.
            loop {
                let found = store.get(Kind::Refresh, "r").await.unwrap().unwrap();
                let next = (found.json.parse::<u32>().unwrap() + 1).to_string();
                let changes = [
                    set(Kind::Refresh, "r", Expect::Version(found.version), &next),
                    set(Kind::User, "u", Expect::Any, &next),
                ];
                match store.write(&changes).await {
                    Ok(()) => return,
                    Err(StoreError::Conflict) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    assert_eq!(store.get(Kind::Refresh, "r").await.unwrap().unwrap().json, "20");
    assert_eq!(get(&*store, "u").await.unwrap().json, "20");
}

async fn odd_texts_survive(store: Arc<dyn Store>) {
    for id in ["*", "a'; DROP TABLE x; --", "%_\\", "é\u{1F600}", "$1", "\"{}\""] {
        let json = serde_json::json!({ "id": id, "nul": "\0", "line": "\u{2028}\n" }).to_string();
        store
            .write(&[set(Kind::User, id, Expect::Absent, &json)])
            .await
            .unwrap();
        assert_eq!(get(&*store, id).await.unwrap().json, json, "{id}");
    }
    assert_eq!(get(&*store, "_").await, None);
}

#[tokio::test]
async fn a_file_keeps_what_was_written_and_one_process_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path()).unwrap();
    store
        .write(&[set(Kind::User, "ann", Expect::Any, "1")])
        .await
        .unwrap();
    let Err(StoreError::Busy(why)) = EmbeddedStore::open(folder.path()) else {
        panic!("opened twice");
    };
    assert!(
        why.contains("another process") && why.contains("PostgreSQL"),
        "{why}"
    );
    drop(store);
    let store = EmbeddedStore::open(folder.path()).unwrap();
    assert_eq!(get(&store, "ann").await.unwrap().json, "1");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let path = folder.path().join(levada_accounts::store::embedded::FILE_NAME);
        assert_eq!(
            std::fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}

#[tokio::test]
async fn what_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("accounts.redb"),
        b"this is a letter, not a database",
    )
    .unwrap();
    assert!(EmbeddedStore::open(folder.path()).is_err());
    assert!(EmbeddedStore::open(&folder.path().join("nowhere")).is_err());
}

#[tokio::test]
async fn database_urls_are_secrets() {
    for url in [
        "postgres://ann:hunter2@[::1/x",
        "nonsense hunter2",
        "postgres://ann:hunter2@127.0.0.1:1/x",
        "postgres://ann:hunter2@127.0.0.1:1/x?sslmode=require",
    ] {
        let error = PostgresStore::open(&url.into()).await.err().unwrap();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        assert_eq!(
            error.to_string().contains("encrypted"),
            url.contains("sslmode"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn tables_of_a_newer_version_are_refused() {
    let Some(url) = crate::postgres::database().await else {
        return;
    };
    PostgresStore::open(&url).await.unwrap();
    let (client, connection) = tokio_postgres::connect(url.expose(), tokio_postgres::NoTls)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    client
        .batch_execute("UPDATE levada_accounts_state SET format = 2")
        .await
        .unwrap();
    assert!(matches!(
        PostgresStore::open(&url).await,
        Err(StoreError::Damaged(_))
    ));
    drop(client);
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn tables_are_made_once_by_many() {
    let Some(url) = crate::postgres::database().await else {
        return;
    };
    let mut openers = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let url = url.clone();
        openers.spawn(async move { PostgresStore::open(&url).await.map(drop) });
    }
    while let Some(opened) = openers.join_next().await {
        opened.unwrap().unwrap();
    }
}

#[tokio::test]
async fn connections_come_back() {
    let Some(url) = crate::postgres::database().await else {
        return;
    };
    let store = PostgresStore::open(&url).await.unwrap();
    store
        .write(&[set(Kind::User, "ann", Expect::Any, "1")])
        .await
        .unwrap();
    let (client, connection) = tokio_postgres::connect(url.expose(), tokio_postgres::NoTls)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    client.batch_execute(cut).await.unwrap();
    // The first may fail on a connection that is cut while it is used; then all is well again.
    let mut failures = 0;
    while store.get(Kind::User, "ann").await.is_err() {
        failures += 1;
        assert!(failures < 10);
    }
    assert_eq!(get(&store, "ann").await.unwrap().json, "1");
    drop(client);
    connection.await.unwrap().unwrap();
}

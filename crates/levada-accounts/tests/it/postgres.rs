//! A throw-away PostgreSQL server from the machine's own programs, for as long as the tests run.
//!
//! It listens on a socket in its own folder alone. A shell stands between the tests and the server
//! and waits for the end of a pipe: when the test process ends, however it ends, the shell stops the
//! server and removes the folder. Where no `initdb` and `pg_ctl` are found the tests that need them
//! are skipped, and said to be; `LEVADA_REQUIRE_POSTGRES=1` makes that a failure.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use levada_accounts::Secret;

struct Server {
    socket: PathBuf,
    _shell: Child,
}

static SERVER: OnceLock<Option<Server>> = OnceLock::new();
static SKIPPED: AtomicUsize = AtomicUsize::new(0);
static DATABASES: AtomicUsize = AtomicUsize::new(0);

/// The URL of an empty database of the test's own, or `None` (and a word about it) where there is no
/// PostgreSQL.
pub(crate) async fn database() -> Option<Secret> {
    let started = tokio::task::spawn_blocking(|| SERVER.get_or_init(start))
        .await
        .unwrap();
    let Some(server) = started else {
        assert!(
            std::env::var_os("LEVADA_REQUIRE_POSTGRES").is_none(),
            "PostgreSQL is required and not found"
        );
        let skipped = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
        // Not the macro: the test harness would keep it to itself.
        let _ = writeln!(std::io::stderr(), "no PostgreSQL found: {skipped} tests skipped");
        return None;
    };
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let url = |name: &str| format!("host={} user=postgres dbname={name}", server.socket.display());
    let (client, connection) = tokio_postgres::connect(&url("postgres"), tokio_postgres::NoTls)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    client
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
    Some(Secret::new(url(&name)))
}

fn start() -> Option<Server> {
    let programs = programs()?;
    let folder = tempfile::Builder::new()
        .prefix("levada-pg-")
        .tempdir()
        .unwrap()
        .keep();
    let user = unprivileged(&folder);
    if let Some(id) = user {
        std::os::unix::fs::chown(&folder, Some(id), Some(id)).unwrap();
    }
    // The socket's path must stay below some hundred bytes: the folder itself is as short as it gets.
    let script = r#"
        "$1/initdb" -D "$2/data" -U postgres -A trust -E UTF8 --no-sync >"$2/log" 2>&1 &&
        "$1/pg_ctl" -w -D "$2/data" -l "$2/log" -o "-c listen_addresses= -k $2 -F" start >>"$2/log" 2>&1 &&
        echo ready || cat "$2/log"
        cat >/dev/null
        "$1/pg_ctl" -D "$2/data" -m immediate stop >/dev/null 2>&1
        rm -rf "$2/data" "$2/log" "$2"
    "#;
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "sh"])
        .arg(&programs)
        .arg(&folder)
        .current_dir(&folder);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(id) = user {
        std::os::unix::process::CommandExt::uid(&mut command, id);
        std::os::unix::process::CommandExt::gid(&mut command, id);
    }
    let mut shell = command.spawn().unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(shell.stdout.take().unwrap());
    lines.read_line(&mut said).unwrap();
    assert_eq!(said.trim(), "ready", "PostgreSQL did not start");
    Some(Server {
        socket: folder,
        _shell: shell,
    })
}

/// The folder with `initdb` and `pg_ctl`: on the path, or where Debian keeps them (newest first).
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((path.file_name()?.to_str()?.parse().ok()?, path.join("bin")))
        })
        .collect();
    versions.sort();
    folders.extend(versions.into_iter().rev().map(|(_, folder)| folder));
    folders
        .into_iter()
        .find(|folder| folder.join("initdb").exists() && folder.join("pg_ctl").exists())
}

/// Whom to run it as when the tests run as root, which PostgreSQL refuses: `postgres` or `nobody`.
fn unprivileged(own: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    if std::fs::metadata(own).unwrap().uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let id = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        line.split(':').nth(2)?.parse().ok()
    };
    Some(
        id("postgres")
            .or_else(|| id("nobody"))
            .expect("a user that is not root"),
    )
}

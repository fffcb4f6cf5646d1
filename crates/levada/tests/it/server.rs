//! A server process in a folder of its own, on a port of its own.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tempfile::TempDir;

use crate::client::PATIENCE;

/// The built binary.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_levada"));
    // What the developer has set must not reach the tests.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LEVADA_")) {
        command.env_remove(name);
    }
    command
}

/// The folder with reference data, when it is there.
pub fn shared() -> Option<PathBuf> {
    let path = std::env::var_os("LEVADA_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    path.join("reference").is_dir().then(|| path.join("reference"))
}

/// A folder with a configuration; servers can be started on it again and again.
pub struct Site {
    folder: TempDir,
    flags: Vec<String>,
}

impl Site {
    /// A folder with `levada.toml`: loopback, port 0, data inside, then `config`, in which `@` stands
    /// for the folder.
    pub fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display().to_string();
        let text = format!("listen = \"127.0.0.1:0\"\ndata = \"@/data\"\n{config}").replace('@', &at);
        std::fs::write(folder.path().join("levada.toml"), text).unwrap();
        Self {
            folder,
            flags: Vec::new(),
        }
    }

    /// Gives every server of the site these arguments too.
    pub fn with_flags(mut self, flags: &[String]) -> Self {
        self.flags.extend_from_slice(flags);
        self
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a file into the folder.
    pub fn file(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Starts a server and waits until it serves.
    pub fn start(&self) -> Server {
        let mut command = binary();
        command
            .args(["serve", "--config"])
            .arg(self.path().join("levada.toml"))
            .args(&self.flags);
        Server::spawn(command)
    }

    /// As [`start`](Self::start), on this port of loopback.
    pub fn start_at(&self, port: u16) -> Server {
        let mut command = binary();
        command.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--config"]);
        command.arg(self.path().join("levada.toml")).args(&self.flags);
        Server::spawn(command)
    }

    /// Starts a server that writes no file beyond so many bytes, by means of the program `prlimit`:
    /// what a full disk is to it.
    pub fn start_limited(&self, prlimit: &Path, bytes: u64) -> Server {
        self.start_under(prlimit, &format!("--fsize={bytes}:unlimited"))
    }

    /// Starts a server under a limit, an argument of the program `prlimit`.
    pub fn start_under(&self, prlimit: &Path, limit: &str) -> Server {
        let mut command = Command::new(prlimit);
        command
            .arg(limit)
            .arg(env!("CARGO_BIN_EXE_levada"))
            .args(["serve", "--config"])
            .arg(self.path().join("levada.toml"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LEVADA_")) {
            command.env_remove(name);
        }
        Server::spawn(command)
    }
}

/// Says what was not tested, past the capture of what tests that pass print.
pub fn skipped(what: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {what}");
}

/// A port of loopback that was free a moment ago, for servers that come back under one address.
pub fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Server {
    /// Starts `command` and waits for the line in which it says where it listens.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .env("LEVADA_LOG", "info")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let sink = log.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut text = sink.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
            }
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.by_ref() {
            let Ok(line) = line else { break };
            if let Some(rest) = line.split("http://").nth(1) {
                let end = rest
                    .find(|c: char| c == '/' || c.is_whitespace())
                    .unwrap_or(rest.len());
                let address = rest[..end].parse().unwrap();
                std::thread::spawn(move || lines.for_each(drop));
                return Self { child, address, log };
            }
        }
        let status = child.wait().unwrap();
        panic!(
            "the server ended without serving ({status}): {}",
            log.lock().unwrap()
        );
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Ends the process as a crash would: `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the process to end (SIGTERM) and waits for it.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.child.wait().unwrap()
    }

    /// Number of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The sum of a metric's samples, 0 where there is none.
    pub fn metric(&self, name: &str) -> u64 {
        let text = crate::client::get(self.address, "/metrics").text();
        let samples = text.lines().filter_map(|line| line.strip_prefix(name));
        let samples = samples.filter(|rest| rest.starts_with([' ', '{']));
        samples
            .map(|rest| rest.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64)
            .sum()
    }

    /// Bytes of memory that are its own at present.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Sends a signal by its short name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Address with scheme.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Tries again until it holds: for what the server notices in its own rhythm.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what} within {PATIENCE:?}");
        std::thread::yield_now();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the server's log\n{}", self.log());
        }
    }
}

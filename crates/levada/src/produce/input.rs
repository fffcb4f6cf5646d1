//! Reads events from a file or standard input: plain, gzip or zstd; NDJSON or one JSON array.

use std::fs::File;
use std::io::{self, BufReader, Chain, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use levada_event::json::Document;
use tokio::sync::mpsc;

use super::split::{Entry, Splitter};
use crate::exit::Failure;
use crate::signal::Stop;

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Bytes of events in one batch, whatever their number: a request of moderate size.
const BATCH_BYTES: usize = 1024 * 1024;

/// Batches read ahead of the requests.
const AHEAD: usize = 4;

/// Why a line was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) message: String,
}

/// Events with their line numbers, in the order of the file.
pub(super) struct Batch {
    pub(super) entries: Vec<(u64, Result<Bytes, Refusal>)>,
}

/// How far reading has come.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    /// Size of the file, if it is one.
    pub(super) total: Option<u64>,
    read: Arc<AtomicU64>,
}

impl Progress {
    /// Bytes read from the file, before decompression.
    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

/// An opened input.
pub(super) struct Input {
    name: String,
    reader: Box<dyn Read + Send>,
    progress: Progress,
}

/// Counts what is read through it.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Input {
    /// Opens a file, or standard input for `-`.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let name = if path.as_os_str() == "-" {
            "standard input".to_owned()
        } else {
            path.display().to_string()
        };
        let read = Arc::new(AtomicU64::new(0));
        let open = || -> io::Result<(Box<dyn Read + Send>, Option<u64>)> {
            if path.as_os_str() == "-" {
                return Ok((
                    decoded(Counted {
                        inner: io::stdin(),
                        read: read.clone(),
                    })?,
                    None,
                ));
            }
            let file = File::open(path)?;
            let facts = file.metadata()?;
            if facts.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            let total = facts.is_file().then_some(facts.len());
            Ok((
                decoded(Counted {
                    inner: file,
                    read: read.clone(),
                })?,
                total,
            ))
        };
        let (reader, total) = open().map_err(|error| Failure::io(&name, &error))?;
        Ok(Self {
            name,
            reader,
            progress: Progress { total, read },
        })
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Reads on a thread of its own, a few batches ahead, until the end, a fault or `stop`.
    pub(super) fn batches(
        self,
        events: usize,
        stream: Option<String>,
        stop: Stop,
    ) -> mpsc::Receiver<Result<Batch, Failure>> {
        let (send, receive) = mpsc::channel(AHEAD);
        std::thread::spawn(move || {
            let name = self.name;
            let mut gather = Gather {
                events,
                stream,
                batch: Vec::new(),
                bytes: 0,
                send,
                stop,
            };
            if let Err(error) = gather.all(self.reader) {
                // The receiver is gone only when nobody wants to know any more.
                let _ = gather.send.blocking_send(Err(Failure::io(name, &error)));
            }
        });
        receive
    }
}

/// Looks at the first bytes and decompresses what is compressed.
fn decoded<R: Read + Send + 'static>(mut inner: R) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::new();
    inner.by_ref().take(4).read_to_end(&mut head)?;
    let kind: &[u8] = &head.clone();
    let whole: Chain<Cursor<Vec<u8>>, R> = Cursor::new(head).chain(inner);
    Ok(match kind {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(
            CHUNK_BYTES,
            whole,
        ))),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::stream::read::Decoder::new(whole)?),
        _ => Box::new(whole),
    })
}

struct Gather {
    events: usize,
    stream: Option<String>,
    batch: Vec<(u64, Result<Bytes, Refusal>)>,
    bytes: usize,
    send: mpsc::Sender<Result<Batch, Failure>>,
    stop: Stop,
}

impl Gather {
    fn all(&mut self, mut reader: impl Read) -> io::Result<()> {
        let mut splitter = Splitter::default();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = match reader.read(&mut chunk) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if read == 0 {
                if let Some(entry) = splitter.finish() {
                    self.take(entry);
                }
                self.flush();
                return Ok(());
            }
            splitter.push(&chunk[..read]);
            while let Some(entry) = splitter.next_entry() {
                if !self.take(entry) {
                    return Ok(());
                }
            }
        }
    }

    /// Adds an entry; `false` when nobody takes batches any more.
    fn take(&mut self, entry: Entry) -> bool {
        let event = match entry.event {
            Ok(event) => self.check_stream(event),
            Err(refusal) => Err(refusal),
        };
        let len = event.as_ref().map_or(0, Bytes::len);
        if self.bytes + len > BATCH_BYTES && !self.flush() {
            return false;
        }
        self.bytes += len;
        self.batch.push((entry.line, event));
        self.batch.len() < self.events || self.flush()
    }

    fn flush(&mut self) -> bool {
        self.bytes = 0;
        let entries = std::mem::take(&mut self.batch);
        if self.stop.is_asked() {
            return false;
        }
        entries.is_empty() || self.send.blocking_send(Ok(Batch { entries })).is_ok()
    }

    fn check_stream(&self, event: Bytes) -> Result<Bytes, Refusal> {
        let Some(wanted) = &self.stream else {
            return Ok(event);
        };
        // What is no JSON is refused later, with its own reason.
        let Ok(document) = Document::parse(&event) else {
            return Ok(event);
        };
        let found = document.root().at_path(["meta", "stream"]);
        // Where there is none, the server fills in the one that the request names.
        let Some(found) = found.filter(|found| !found.is_str(wanted)) else {
            return Ok(event);
        };
        let found = found.raw().to_owned();
        Err(Refusal {
            code: "other_stream",
            message: format!("meta.stream is {found}, not {wanted:?}"),
        })
    }
}

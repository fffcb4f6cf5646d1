//! An HTTP/1.1 client that hides nothing: status line, headers and bytes as they came.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longest wait for bytes that must come. On a stream it counts from the last event, so that heartbeats
/// do not stretch it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A response whose head has been read.
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Reason phrase.
    pub reason: String,
    /// Headers, names in lower case, in their order.
    pub headers: Vec<(String, String)>,
    body: BufReader<TcpStream>,
    head_only: bool,
}

/// Sends a request and reads the head of the response. `target` is sent as it is.
pub fn request(
    to: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let mut socket = TcpStream::connect(to).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: levada.test\r\n").into_bytes();
    for (name, value) in headers {
        head.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if !body.is_empty() || method == "POST" {
        head.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head.extend_from_slice(body);
    socket.write_all(&head).unwrap();
    Response::read(socket, method == "HEAD")
}

/// GET with nothing special.
pub fn get(to: SocketAddr, target: &str) -> Response {
    request(to, "GET", target, &[], b"")
}

/// Posts JSON to the intake.
pub fn post(to: SocketAddr, body: &str) -> Response {
    request(
        to,
        "POST",
        "/v1/events",
        &[("content-type", "application/json")],
        body.as_bytes(),
    )
}

impl Response {
    /// Reads the head of a response from a socket on which a request was sent.
    pub fn read(socket: TcpStream, head_only: bool) -> Self {
        let mut body = BufReader::new(socket);
        let mut line = String::new();
        body.read_line(&mut line).unwrap();
        let mut words = line.trim_end().splitn(3, ' ');
        assert_eq!(words.next(), Some("HTTP/1.1"), "{line:?}");
        let status = words.next().unwrap().parse().unwrap();
        let reason = words.next().unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            body.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Self {
            status,
            reason,
            headers,
            body,
            // Neither has a body, whatever the connection does.
            head_only: head_only || matches!(status, 204 | 304),
        }
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// The whole body of a response that ends.
    pub fn bytes(mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.head_only {
            return out;
        }
        if self.chunked() {
            while let Some(mut chunk) = self.next_chunk() {
                out.append(&mut chunk);
            }
        } else if let Some(length) = self.header("content-length").map(|l| l.parse().unwrap()) {
            out.resize(length, 0);
            self.body.read_exact(&mut out).unwrap();
        } else {
            self.body.read_to_end(&mut out).unwrap();
        }
        out
    }

    /// The whole body as text.
    pub fn text(self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    fn chunked(&self) -> bool {
        self.header("transfer-encoding") == Some("chunked")
    }

    /// The next chunk of a chunked body; `None` at its end.
    pub fn next_chunk(&mut self) -> Option<Vec<u8>> {
        let mut line = String::new();
        self.body.read_line(&mut line).unwrap();
        let size =
            usize::from_str_radix(line.trim(), 16).unwrap_or_else(|_| panic!("no chunk size: {line:?}"));
        let mut chunk = vec![0; size + 2];
        self.body.read_exact(&mut chunk).unwrap();
        chunk.truncate(size);
        (size > 0).then_some(chunk)
    }

    /// Turns the response into a reader of its stream.
    pub fn stream(self) -> Stream {
        assert!(self.chunked(), "a stream is chunked: {:?}", self.headers);
        Stream {
            response: self,
            pending: Vec::new(),
            ended: false,
            waiting: None,
        }
    }
}

/// Reads an endless body: bytes, lines, or frames of Server-Sent Events.
pub struct Stream {
    response: Response,
    pending: Vec<u8>,
    ended: bool,
    /// Since when nothing but heartbeats came; `None` when nobody waits.
    waiting: Option<Instant>,
}

/// A frame of Server-Sent Events as its lines came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// The lines without their line feeds.
    pub lines: Vec<String>,
}

impl Frame {
    /// The value of a field, such as `data`.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.lines
            .iter()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The event as JSON.
    pub fn event(&self) -> serde_json::Value {
        serde_json::from_str(
            self.field("data")
                .unwrap_or_else(|| panic!("no data in {self:?}")),
        )
        .unwrap()
    }

    /// Whether the frame carries an event.
    pub fn has_event(&self) -> bool {
        self.field("data").is_some()
    }
}

impl Stream {
    /// Exactly this many bytes.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        while self.pending.len() < count {
            assert!(self.fill(), "the stream ended");
        }
        self.waiting = None;
        self.pending.drain(..count).collect()
    }

    fn fill(&mut self) -> bool {
        let waiting = *self.waiting.get_or_insert_with(Instant::now);
        let left = PATIENCE.saturating_sub(waiting.elapsed());
        assert!(!left.is_zero(), "nothing but heartbeats for {PATIENCE:?}");
        let socket = self.response.body.get_ref();
        socket.set_read_timeout(Some(left)).unwrap();
        match self.response.next_chunk() {
            Some(chunk) => self.pending.extend(chunk),
            None => self.ended = true,
        }
        !self.ended
    }

    /// The next line without its line feed; `None` at the end of the stream.
    pub fn line(&mut self) -> Option<String> {
        let mut looked = 0;
        loop {
            if let Some(end) = self.pending[looked..].iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=looked + end).collect();
                if !line.starts_with(b":") && line != b"\n" {
                    self.waiting = None;
                }
                return Some(String::from_utf8(line[..looked + end].to_vec()).unwrap());
            }
            looked = self.pending.len();
            if self.ended || !self.fill() {
                return None;
            }
        }
    }

    /// The next frame of any kind, comments too; `None` at the end of the stream.
    pub fn frame(&mut self) -> Option<Frame> {
        let mut frame = Frame::default();
        loop {
            match self.line() {
                Some(line) if line.is_empty() && !frame.lines.is_empty() => return Some(frame),
                Some(line) if line.is_empty() => {}
                Some(line) => frame.lines.push(line),
                None => return None,
            }
        }
    }

    /// The next frame with an event, skipping comments and the like.
    pub fn event(&mut self) -> Frame {
        loop {
            let frame = self.frame().expect("the stream goes on");
            if frame.has_event() {
                return frame;
            }
        }
    }
}

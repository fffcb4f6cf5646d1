//! A server on plain threads that answers each request with the next text of a script, for tests of
//! the client's commands.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

/// One request: its head as text, and its body.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) struct Scripted {
    pub(crate) url: String,
    asked: Receiver<Asked>,
}

impl Scripted {
    /// Starts on a free port. Each text is a whole response; behind the last one connections are
    /// refused.
    pub(crate) fn start(script: Vec<String>) -> Self {
        Self::start_with(
            script
                .into_iter()
                .map(|text| move |socket: &mut TcpStream| socket.write_all(text.as_bytes())),
        )
    }

    /// Starts with functions that write the responses.
    pub(crate) fn start_with<F>(script: impl IntoIterator<Item = F>) -> Self
    where
        F: FnOnce(&mut TcpStream) -> std::io::Result<()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script: Vec<F> = script.into_iter().collect();
        let (send, asked) = channel();
        std::thread::spawn(move || {
            for answer in script {
                let Ok((mut socket, _)) = listener.accept() else {
                    return;
                };
                let Some(request) = read(&socket) else { return };
                let _ = send.send(request);
                // The client may be gone already; then the test sees it by other means.
                let _ = answer(&mut socket);
            }
        });
        Self { url, asked }
    }

    /// The requests so far that were not taken yet.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.try_iter().collect()
    }
}

fn read(socket: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(socket);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked {
        head,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// A response with a body of known length.
pub(crate) fn response(status: u16, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// The beginning of an event stream that ends with its connection.
pub(crate) fn stream(frames: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n:ok\n\n{frames}")
}

/// A frame with a number as its event and its cursor.
pub(crate) fn frame(n: u32) -> String {
    format!("event: message\nid: [{{\"n\":{n}}}]\ndata: {{\"n\": {n}}}\n\n")
}

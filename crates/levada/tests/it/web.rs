//! A web server on a plain thread whose one answer a test can change: for configuration and schemas that
//! are fetched.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

pub(crate) struct Web {
    pub(crate) url: String,
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<AtomicUsize>,
}

impl Web {
    /// Starts on a free port and answers every request with this status and text.
    pub(crate) fn start(status: u16, text: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let web = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            answer: Arc::new(Mutex::new((status, text.to_owned()))),
            asked: Arc::default(),
        };
        let (answer, asked) = (web.answer.clone(), web.asked.clone());
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let (status, text) = answer.lock().unwrap().clone();
                if answers(socket, status, &text).is_some() {
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        web
    }

    /// Answers like this from now on.
    pub(crate) fn says(&self, status: u16, text: &str) {
        *self.answer.lock().unwrap() = (status, text.to_owned());
    }

    /// Requests answered so far.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn answers(mut socket: TcpStream, status: u16, text: &str) -> Option<()> {
    let mut reader = BufReader::new(socket.try_clone().ok()?);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    }
    let length = text.len();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).ok()?;
    socket.write_all(text.as_bytes()).ok()
}

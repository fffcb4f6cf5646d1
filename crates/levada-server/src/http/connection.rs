//! One connection: HTTP/1.1, or HTTP/2 for clients that begin with its preface.
//!
//! hyper-util tells the two apart by reading, and hands on what it read in a way that lets every
//! HTTP/1 connection grow a read buffer of twice the size, which an idle subscriber keeps. Here the
//! socket is looked at without taking anything from it.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use levada_wire::cursor::CURSOR_BYTES_MAX;
use tokio::net::TcpStream;

use super::respond::Body;

/// What a client that speaks HTTP/2 without asking sends first (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Longest head of a request: an id of any length that is sent comes back in one, beside what proxies add.
const HEAD_BYTES_MAX: u32 = CURSOR_BYTES_MAX as u32 + 64 * 1024;

/// How long to wait for more of what may become the preface, at first and at last.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(250);

/// How connections are served.
pub(super) struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    header_timeout: Duration,
}

impl Protocols {
    /// A client may take `header_timeout` for its first bytes, and for the head of each request.
    pub(super) fn new(header_timeout: Duration) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .max_buf_size(HEAD_BYTES_MAX as usize);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .keep_alive_interval(Some(Duration::from_secs(30)))
            .max_header_list_size(HEAD_BYTES_MAX);
        Self {
            http1,
            http2,
            header_timeout,
        }
    }

    /// Serves a connection until it ends, or until `stop` before it has begun.
    ///
    /// # Errors
    /// What ended the connection, if not one of its sides.
    pub(super) async fn serve<S>(
        &self,
        socket: TcpStream,
        service: S,
        watcher: Watcher,
        stop: impl Future<Output = ()>,
    ) -> Result<(), Box<dyn Error + Send + Sync>>
    where
        S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
        S::Future: Send + 'static,
    {
        let http2 = tokio::select! {
            speaks = tokio::time::timeout(self.header_timeout, speaks_http2(&socket)) => speaks??,
            () = stop => return Ok(()),
        };
        let socket = TokioIo::new(socket);
        if http2 {
            // Rare and large: it should not make room in every connection.
            Box::pin(watcher.watch(self.http2.serve_connection(socket, service))).await?;
        } else {
            watcher
                .watch(self.http1.serve_connection(socket, service))
                .await?;
        }
        Ok(())
    }
}

/// Whether the first bytes are the preface of HTTP/2. They stay in the socket.
async fn speaks_http2(socket: &TcpStream) -> io::Result<bool> {
    let mut seen = [0; PREFACE.len()];
    let mut pause = LOOK_AGAIN;
    loop {
        let length = socket.peek(&mut seen).await?;
        if length == 0 || seen[..length] != PREFACE[..length] {
            return Ok(false);
        }
        if length == PREFACE.len() {
            return Ok(true);
        }
        // What is there already would wake a wait for more at once.
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_AGAIN_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// What is said of a client that sends these pieces one after another and then ends.
    async fn said_of(pieces: &[&[u8]]) -> (bool, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut socket, _) = listener.accept().await.unwrap();
        let sending = async {
            for piece in pieces {
                client.write_all(piece).await.unwrap();
                client.flush().await.unwrap();
                tokio::time::sleep(LOOK_AGAIN * 3).await;
            }
        };
        let (speaks, ()) = tokio::join!(speaks_http2(&socket), sending);
        drop(client);
        let mut read = Vec::new();
        socket.read_to_end(&mut read).await.unwrap();
        (speaks.unwrap(), read)
    }

    #[tokio::test]
    async fn the_preface_is_told_from_requests_and_stays_to_be_read() {
        for (pieces, expected) in [
            (&[PREFACE] as &[&[u8]], true),
            (&[b"P", b"RI * HTTP/2.0\r\n\r\nSM\r\n", b"\r\nmore"], true),
            (&[b"P", b"OST / HTTP/1.1\r\n\r\n"], false),
            (&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\n\n"], false),
            (&[b"GET / HTTP/1.1\r\n\r\n"], false),
        ] {
            let (speaks, read) = said_of(pieces).await;
            assert_eq!(speaks, expected, "{pieces:?}");
            assert_eq!(read, pieces.concat());
        }
    }
}

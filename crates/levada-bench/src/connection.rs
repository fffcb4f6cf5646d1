//! An HTTP/1.1 client that costs as little as possible: requests are ready bytes, responses are read
//! by their length.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection.
pub struct Connection {
    socket: TcpStream,
    buffer: Vec<u8>,
}

/// A whole POST request with these events.
pub fn post(body: &[u8]) -> Vec<u8> {
    post_to("/v1/events", body)
}

/// The same to this path.
pub fn post_to(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

impl Connection {
    /// Connects, with Nagle's algorithm off.
    pub async fn open(to: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(to).await?;
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            buffer: vec![0; 16 * 1024],
        })
    }

    /// Sends a ready request and reads the response; the status.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<u16> {
        self.socket.write_all(request).await?;
        let mut filled = 0;
        loop {
            let read = self.socket.read(&mut self.buffer[filled..]).await?;
            if read == 0 {
                bail!("the server closed the connection");
            }
            filled += read;
            let Some(end) = memchr::memmem::find(&self.buffer[..filled], b"\r\n\r\n") else {
                continue;
            };
            let head = std::str::from_utf8(&self.buffer[..end])?;
            // The server writes names of headers in lower case.
            let (_, length) = head
                .split_once("\r\ncontent-length:")
                .context("a response has a length")?;
            let length = length.lines().next().unwrap_or_default();
            let length: usize = length.trim().parse()?;
            let status = head.get(9..12).context("a response has a status")?.parse()?;
            let mut missing = (end + 4 + length).saturating_sub(filled);
            while missing > 0 {
                let read = self.socket.read(&mut self.buffer[..]).await?;
                if read == 0 {
                    bail!("the server closed the connection");
                }
                missing = missing.saturating_sub(read);
            }
            return Ok(status);
        }
    }

    /// Sends a GET request and gives the socket back, for reading what comes.
    pub async fn get(to: SocketAddr, path: &str, headers: &str) -> Result<TcpStream> {
        let mut connection = Self::open(to).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: bench\r\n{headers}\r\n");
        connection.socket.write_all(request.as_bytes()).await?;
        Ok(connection.socket)
    }
}

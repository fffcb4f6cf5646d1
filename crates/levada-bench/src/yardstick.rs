//! What HTTP alone costs on this machine: a bare hyper server, measured by the same clients in the same
//! run. No server on this stack can be faster, so the other figures are to be read against these.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::connection::post;
use crate::replay::read_all;
use crate::server::Server;
use crate::table::{Table, median};
use crate::{events, intake};

/// Makes this program the bare server.
pub const SERVE: &str = "serve-nothing";

/// Size of a replay frame: that of a catch-up chunk.
const FRAME_BYTES: usize = 128 * 1024;
const REPLAY_BYTES: u64 = 2 << 30;
const ROUNDS: usize = 3;

/// Measures the bare server.
pub async fn run(table: &mut Table) -> Result<()> {
    let server = Server::start_bare()?;
    let bodies = (0..256)
        .map(|i| post(events::event(i, 1024, 0).as_bytes()))
        .collect();
    let (rate, cpu) = intake::load(&server, 64, bodies, 1).await?;
    table.row(
        "yardstick: HTTP alone, single 1 KB posts on 64 connections, answered at once",
        "none",
        format!("{rate:.0} requests/s"),
        format!("server CPU {cpu:.2} µs per request"),
    );
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let cpu = server.cpu()?;
        let (received, seconds) = read_all(&server, "", "/").await?;
        ensure!(received > REPLAY_BYTES, "{received} bytes came");
        rates.push(received as f64 / seconds / 1e9);
        costs.push((server.cpu()? - cpu).as_secs_f64() / (received as f64 / 1e9));
    }
    table.row(
        "yardstick: HTTP alone, frames of 128 KiB from memory to one client",
        "none",
        format!("{:.2} GB/s", median(rates)),
        format!("server CPU {:.2} s/GB", median(costs)),
    );
    Ok(())
}

/// The bare server: answers posts when their body is there, and GET with frames of the same bytes.
pub async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service_fn(answer));
            // A client that has read enough simply goes.
            let _ = connection.await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Frames>, hyper::Error> {
    let posted = request.method() == Method::POST;
    if posted {
        request.into_body().collect().await?;
    }
    let mut response = Response::new(Frames {
        frame: Bytes::from(if posted { vec![] } else { vec![b'x'; FRAME_BYTES] }),
        left: if posted { 0 } else { REPLAY_BYTES + 1 },
    });
    if posted {
        *response.status_mut() = hyper::StatusCode::CREATED;
    }
    Ok(response)
}

/// The same frame again and again; stays open at the end, as a stream does.
struct Frames {
    frame: Bytes,
    left: u64,
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Pending;
        }
        self.left = self.left.saturating_sub(self.frame.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(self.frame.clone()))))
    }

    fn is_end_stream(&self) -> bool {
        self.frame.is_empty()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        if self.frame.is_empty() {
            return http_body::SizeHint::with_exact(0);
        }
        http_body::SizeHint::default()
    }
}

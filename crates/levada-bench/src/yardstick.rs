//! What HTTP alone costs on this machine: a bare hyper server, measured by the same clients in the same
//! run. No server on this stack can be faster, so the other figures are to be read against these.

use std::convert::Infallible;
use std::fs::File;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
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
use tokio::sync::mpsc::Receiver;

use crate::connection::post_to;
use crate::replay::read_all;
use crate::server::{Server, folder};
use crate::table::{Table, median};
use crate::{events, intake};

mod journal;
mod stored;

use journal::Journal;

/// Makes this program the bare server.
pub const SERVE: &str = "serve-nothing";

/// Size of a replay frame: that of a catch-up chunk.
const FRAME_BYTES: usize = 128 * 1024;

/// Paths of the bare server that do more than nothing.
const JOURNAL: &str = "/journal";
const STORED: &str = "/stored";

const ROUNDS: usize = 3;

/// Measures the bare server.
pub async fn run(table: &mut Table) -> Result<()> {
    let folder = folder()?;
    let server = Server::start_bare(folder.path())?;
    posts(table, &server, "/", "answered at once").await?;
    posts(table, &server, JOURNAL, "written and synced unread").await?;
    frames(table, &server, "/", "frames of 128 KiB from memory").await?;
    frames(
        table,
        &server,
        STORED,
        "fifty files in the page cache, read and summed",
    )
    .await
}

async fn posts(table: &mut Table, server: &Server, path: &str, what: &str) -> Result<()> {
    let bodies = (0..256)
        .map(|i| post_to(path, events::event(i, 1024, 0).as_bytes()))
        .collect();
    let (rate, cpu) = intake::load(server, 64, bodies, 1).await?;
    table.row(
        &format!("yardstick: HTTP alone, single 1 KB posts on 64 connections, {what}"),
        "none",
        format!("{rate:.0} requests/s"),
        format!("server CPU {cpu:.2} µs per request"),
    );
    Ok(())
}

async fn frames(table: &mut Table, server: &Server, path: &str, what: &str) -> Result<()> {
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let cpu = server.cpu()?;
        let (received, seconds) = read_all(server, "", path).await?;
        ensure!(received > stored::BYTES, "{received} bytes came");
        rates.push(received as f64 / seconds / 1e9);
        costs.push((server.cpu()? - cpu).as_secs_f64() / (received as f64 / 1e9));
    }
    table.row(
        &format!("yardstick: HTTP alone, {what}, to one client"),
        "none",
        format!("{:.2} GB/s", median(rates)),
        format!("server CPU {:.2} s/GB", median(costs)),
    );
    Ok(())
}

/// What the bare server works with.
#[derive(Clone)]
struct Bare {
    journal: Journal,
    stored: Arc<[File]>,
}

/// The bare server, with its files in `folder`: answers posts when their body is there, and GET with
/// frames.
pub async fn serve(folder: &Path) -> Result<()> {
    let bare = Bare {
        journal: Journal::open(folder)?,
        stored: stored::make(folder)?,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let bare = bare.clone();
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(
                TokioIo::new(socket),
                service_fn(move |request| answer(bare.clone(), request)),
            );
            // A client that has read enough simply goes.
            let _ = connection.await;
        });
    }
}

async fn answer(bare: Bare, request: Request<Incoming>) -> Result<Response<Frames>> {
    let is_journal = request.uri().path() == JOURNAL;
    let is_stored = request.uri().path() == STORED;
    if request.method() == Method::POST {
        let body = request.into_body().collect().await?.to_bytes();
        if is_journal {
            bare.journal.write(body).await?;
        }
        let mut response = Response::new(Frames::None);
        *response.status_mut() = hyper::StatusCode::CREATED;
        return Ok(response);
    }
    Ok(Response::new(if is_stored {
        Frames::Stored(stored::read(bare.stored))
    } else {
        Frames::Memory {
            frame: vec![b'x'; FRAME_BYTES].into(),
            left: stored::BYTES + 1,
        }
    }))
}

/// A body. Those of streams stay open at the end, as streams do.
enum Frames {
    None,
    /// The same frame again and again.
    Memory {
        frame: Bytes,
        left: u64,
    },
    Stored(Receiver<Bytes>),
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = match &mut *self {
            Frames::None => return Poll::Ready(None),
            Frames::Memory { left: 0, .. } => return Poll::Pending,
            Frames::Memory { frame, left } => {
                *left = left.saturating_sub(frame.len() as u64);
                frame.clone()
            }
            Frames::Stored(pieces) => match std::task::ready!(pieces.poll_recv(context)) {
                Some(piece) => piece,
                None => return Poll::Ready(None),
            },
        };
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Frames::None)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Frames::None => http_body::SizeHint::with_exact(0),
            _ => http_body::SizeHint::default(),
        }
    }
}

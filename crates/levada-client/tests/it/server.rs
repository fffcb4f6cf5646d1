//! A server that answers every request with the next reply of a script and remembers what it was
//! asked.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use levada_client::{Backoff, Server};
use tokio::net::TcpListener;

/// One answer.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: Vec<Part>,
}

/// A piece of a body.
#[derive(Clone)]
pub(crate) enum Part {
    /// These bytes.
    Text(String),
    /// The connection breaks here.
    Cut,
    /// Nothing comes any more.
    Hang,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) body: String,
    headers: hyper::HeaderMap,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The running server. Ends with the test's runtime.
pub(crate) struct Scripted {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Scripted {
    /// Starts on a free port of the loopback interface. Requests beyond the script get a 418.
    pub(crate) async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let script = Mutex::new(script.into_iter().collect::<VecDeque<_>>());
        Self::start_with(move |_| {
            let next = script.lock().unwrap().pop_front();
            std::future::ready(next.unwrap_or_else(|| reply(418, "")))
        })
        .await
    }

    /// Starts with a function that answers.
    pub(crate) async fn start_with<F, A>(answers: F) -> Self
    where
        F: Fn(Seen) -> A + Send + Sync + 'static,
        A: Future<Output = Reply> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(answers);
        let shared = seen.clone();
        tokio::spawn(async move {
            loop {
                let Ok((socket, _)) = listener.accept().await else {
                    return;
                };
                let (seen, answers) = (shared.clone(), answers.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(request, seen.clone(), answers.clone()));
                    // A cut connection is an error here, as it should be.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
        });
        Self { url, seen }
    }

    pub(crate) fn server(&self) -> Server {
        Server::new(&self.url, None).unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn bodies(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.body).collect()
    }
}

/// Waits so short that tests need not wait.
pub(crate) fn quick() -> Backoff {
    let first = std::time::Duration::from_millis(1);
    Backoff {
        first,
        max: first * 4,
    }
}

pub(crate) fn reply(status: u16, body: impl Into<String>) -> Reply {
    Reply {
        status,
        headers: vec![("content-type", "application/json")],
        body: vec![Part::Text(body.into())],
    }
}

/// An event stream with these parts.
pub(crate) fn events(parts: impl IntoIterator<Item = Part>) -> Reply {
    Reply {
        status: 200,
        headers: vec![("content-type", "text/event-stream; charset=utf-8")],
        body: parts.into_iter().collect(),
    }
}

pub(crate) fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

async fn answer<A: Future<Output = Reply>>(
    request: Request<Incoming>,
    seen: Arc<Mutex<Vec<Seen>>>,
    answers: Arc<impl Fn(Seen) -> A>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let asked = Seen {
        line: format!("{} {}", head.method, head.uri),
        body: String::from_utf8_lossy(&body).into_owned(),
        headers: head.headers,
    };
    seen.lock().unwrap().push(asked.clone());
    let reply = answers(asked).await;
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, *value);
    }
    Ok(response.body(BodyExt::boxed_unsync(parts(reply.body))).unwrap())
}

fn parts(parts: Vec<Part>) -> StreamBody<impl stream::Stream<Item = Result<Frame<Bytes>, std::io::Error>>> {
    StreamBody::new(stream::unfold(parts.into_iter(), |mut left| async move {
        // Lets the connection flush what came before.
        tokio::task::yield_now().await;
        match left.next()? {
            Part::Text(text) => Some((Ok(Frame::data(Bytes::from(text))), left)),
            Part::Cut => Some((Err(std::io::ErrorKind::ConnectionReset.into()), left)),
            Part::Hang => std::future::pending().await,
        }
    }))
}

//! The adapter to the network, against a server on this machine.

use crate::bench::{Bench, a_day};
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use levada_feeds::upstream::{Fetch, FetchError, Pooled, Request, Upstream};
use levada_feeds::{Feeds, FeedsConfig};
use parking_lot::Mutex;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

type Seen = Arc<Mutex<Vec<(String, http::HeaderMap)>>>;

/// Answers with what `answer` makes of a path, and remembers what came.
async fn serve(
    answer: impl Fn(&str) -> http::Response<Full<Bytes>> + Clone + Send + Sync + 'static,
) -> (SocketAddr, Seen, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let seen: Seen = Arc::default();
    let log = Arc::clone(&seen);
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answer, log) = (answer.clone(), Arc::clone(&log));
            tokio::spawn(async move {
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let path = request
                        .uri()
                        .path_and_query()
                        .map_or("", |path| path.as_str())
                        .to_owned();
                    log.lock().push((path.clone(), request.headers().clone()));
                    let response = answer(&path);
                    async move { Ok::<_, Infallible>(response) }
                });
                // A client that hangs up is no failure of the test server.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    (address, seen, server)
}

fn request(address: SocketAddr, path: &str) -> Request {
    Request {
        upstream: Upstream::Html,
        domain: "en.wikipedia.org".into(),
        url: format!("http://{address}{path}"),
        host: Some("en.wikipedia.org".into()),
        accept: Some("text/html"),
        language: Some("zh-tw".into()),
        request_id: "abc".into(),
    }
}

fn respond(status: u16, body: impl Into<Bytes>) -> http::Response<Full<Bytes>> {
    http::Response::builder()
        .status(status)
        .body(Full::new(body.into()))
        .expect("a response")
}

#[tokio::test]
async fn headers_status_and_bounds() {
    let (address, seen, server) = serve(|path| match path {
        "/large" => respond(200, vec![b'x'; 4_096]),
        "/busy" => {
            let mut busy = respond(503, "busy");
            busy.headers_mut()
                .insert("retry-after", "7".parse().expect("a header"));
            busy
        }
        "/moved" => {
            let mut moved = respond(302, "");
            moved
                .headers_mut()
                .insert("location", "/there".parse().expect("a header"));
            moved
        }
        _ => respond(200, "fine"),
    })
    .await;
    let mut config = FeedsConfig {
        user_agent: "tester/1 (me@example.org)".into(),
        ..FeedsConfig::default()
    };
    config.upstream.max_body = 4_095;
    let client = Pooled::new(&config).expect("a client");
    let fine = client.fetch(request(address, "/fine")).await.expect("an answer");
    assert_eq!((fine.status, &*fine.body), (200, &b"fine"[..]));
    let headers = seen.lock()[0].1.clone();
    for (name, value) in [
        ("host", "en.wikipedia.org"),
        ("user-agent", "tester/1 (me@example.org)"),
        ("x-request-id", "abc"),
        ("accept", "text/html"),
        ("accept-language", "zh-tw"),
        ("accept-encoding", "gzip"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    let busy = client.fetch(request(address, "/busy")).await.expect("an answer");
    assert_eq!((busy.status, busy.retry_after_s), (503, Some(7)));
    let moved = client.fetch(request(address, "/moved")).await.expect("an answer");
    assert_eq!(
        (moved.status, moved.location.as_deref()),
        (302, Some("/there")),
        "redirects are not its business"
    );
    assert_eq!(
        client.fetch(request(address, "/large")).await,
        Err(FetchError::TooLarge(4_095))
    );
    server.abort();
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port")
        .local_addr()
        .expect("an address");
    assert!(matches!(
        client.fetch(request(nobody, "/")).await,
        Err(FetchError::Network(_))
    ));
    let mut broken = request(address, "/");
    broken.url = "http://[".into();
    assert!(matches!(
        client.fetch(broken).await,
        Err(FetchError::Unsendable(_))
    ));
}

/// Answers every connection with these bytes and closes it.
async fn serve_bytes(bytes: &'static [u8]) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4_096];
            // Whether the client still listens is its business.
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    (address, server)
}

#[tokio::test]
async fn a_body_that_ends_early_is_no_body() {
    let client = Pooled::new(&FeedsConfig::default()).expect("a client");
    let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole";
    let (address, server) = serve_bytes(whole).await;
    let answer = client.fetch(request(address, "/")).await.expect("an answer");
    assert_eq!(&answer.body[..], b"whole");
    server.abort();
    let halves: [&[u8]; 6] = [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwho",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwhole\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nw",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nwhol",
    ];
    for half in halves {
        let (address, server) = serve_bytes(half).await;
        let answer = client.fetch(request(address, "/")).await;
        assert!(
            matches!(answer, Err(FetchError::Network(_))),
            "{:?}: {answer:?}",
            String::from_utf8_lossy(half)
        );
        server.abort();
    }
}

#[tokio::test]
async fn feeds_over_the_network_recorded_and_replayed() {
    let wiki = Arc::new(a_day());
    let shown = Arc::clone(&wiki);
    let (address, _, server) = serve(move |path| {
        // The fixture knows what to say; the network only carries it.
        let upstream = match path {
            _ if path.starts_with("/w/api.php") => Upstream::Action,
            _ if path.starts_with("/w/index.php") => Upstream::Index,
            _ if path.starts_with("/w/rest.php") => Upstream::Html,
            _ if path.starts_with("/metrics") => Upstream::Pageviews,
            _ => Upstream::Summary,
        };
        let host = match path {
            _ if path.contains("File%3A") || path.contains("generator=images") => "commons.wikimedia.org",
            _ => "en.wikipedia.org",
        };
        let asked = Request {
            upstream,
            domain: "en.wikipedia.org".into(),
            url: format!("http://{host}{path}"),
            host: Some(host.into()),
            accept: None,
            language: None,
            request_id: "".into(),
        };
        let answer = futures_util::FutureExt::now_or_never(shown.fetch(asked));
        let answer = answer.expect("the fixture never waits").expect("an answer");
        respond(answer.status, answer.body)
    })
    .await;
    let dir = tempfile::tempdir().expect("a directory");
    let config = FeedsConfig {
        mediawiki: format!("http://{address}"),
        summaries: format!("http://{address}/{{domain}}/v1"),
        pageviews: format!("http://{address}/metrics"),
        today: Some("2026-11-20".into()),
        record: Some(dir.path().to_owned()),
        ..FeedsConfig::default()
    };
    let live = Feeds::new(config.clone()).expect("a service");
    let report = live.check("en.wikipedia.org", None).await.expect("a report");
    assert!(report.is_ok(), "{report}");
    let path = "/en.wikipedia.org/v1/aggregated/featured/2026/11/20";
    let get = |feeds: Feeds| async move {
        feeds
            .handle(http::Request::get(path).body(Bytes::new()).expect("a request"))
            .await
            .into_body()
    };
    let recorded = get(live).await;
    server.abort();
    let replayed = Feeds::new(FeedsConfig {
        record: None,
        replay: Some(dir.path().to_owned()),
        ..config
    });
    let again = get(replayed.expect("a replay")).await;
    assert_eq!(again, recorded);
    let same = Bench::new().get(path).await;
    assert_eq!(
        same.json(),
        serde_json::from_slice::<serde_json::Value>(&recorded).expect("JSON")
    );
}

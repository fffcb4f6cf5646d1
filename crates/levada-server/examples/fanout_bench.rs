//! Measures delivery through hyper on loopback: replay, live fan-out, memory of idle subscribers.
//!
//! `cargo run --release -p levada-server --example fanout_bench -- [replay|fanout|idle|all] [DIRECTORY]`
//!
//! Client and server are two processes on the same cores. CPU time is the server's, which is also
//! the one that appends the events; what appending alone costs is measured and subtracted.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use levada_event::select::{Selection, SelectionSpec, Separators};
use levada_event::splice::{Dialect, find_splice};
use levada_event::{Flags, Record, Start, Timestamp, TopicName, TopicPartition};
use levada_log::embedded::{Embedded, EmbeddedOptions};
use levada_log::{Durability, Log, Retention, TopicSpec};
use levada_server::delivery::{Api, Delivery, Format, From, Options, Request, TopicRequest};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "client") {
        return client(&args[1..]);
    }
    let what = args.first().map_or("all", String::as_str);
    let dir = args.get(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = dir.join(format!("fanout-bench-{}", std::process::id()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(run(what, &dir));
    runtime.shutdown_timeout(Duration::from_secs(1));
    std::fs::remove_dir_all(&dir)?;
    outcome
}

async fn run(what: &str, dir: &Path) -> Result<(), Failure> {
    let rig = Rig::start(dir).await?;
    if matches!(what, "replay" | "all") {
        for size in [1024, 20 * 1024] {
            for format in ["sse", "ndjson"] {
                rig.replay(size, format).await?;
            }
        }
    }
    if matches!(what, "fanout" | "all") {
        rig.fanout(1000, 50, 1).await?;
        rig.fanout(1000, 5, 10).await?;
        rig.fanout(100, 1000, 1).await?;
    }
    if matches!(what, "idle" | "all") {
        rig.idle(2000).await?;
    }
    Ok(())
}

struct Rig {
    log: Arc<Embedded>,
    address: SocketAddr,
    delivery: Delivery,
}

impl Rig {
    async fn start(dir: &Path) -> Result<Self, Failure> {
        let mut options = EmbeddedOptions::new(dir);
        options.durability = Durability::Os;
        let log: Arc<Embedded> = Embedded::open(options)?;
        let delivery = Delivery::new(log.clone(), Options::default());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(serve(listener, delivery.clone()));
        Ok(Self {
            log,
            address,
            delivery,
        })
    }

    async fn replay(&self, size: usize, format: &str) -> Result<(), Failure> {
        let topic = format!("replay{size}");
        self.log.topic(&spec(&topic)).await?;
        let total: usize = 2 << 30;
        let count = total / size;
        let of = TopicPartition::new(TopicName::new(&topic)?, 0);
        if self.log.bounds(&of).await?.next == 0 {
            let batch: Vec<Record> = (0..(4 << 20) / size).map(|_| event(size)).collect();
            let mut appended = 0;
            while appended < count {
                let records = batch[..batch.len().min(count - appended)].to_vec();
                appended += records.len();
                self.log.append(&of, records).await?;
            }
        }
        for _ in 0..3 {
            let cpu = cpu_seconds();
            let answer = self
                .client(&["replay", &topic, format, &count.to_string()])?
                .wait_line()?;
            let seconds: f64 = answer.trim().parse()?;
            println!(
                "replay {:>5} B {format:<6} {:>7.0} MB/s  server CPU {:.2} s/GB",
                size,
                total as f64 / seconds / 1e6,
                (cpu_seconds() - cpu) / (total as f64 / 1e9)
            );
        }
        Ok(())
    }

    /// `rate` appends per second of `batch` events each, to `subscribers`.
    async fn fanout(&self, subscribers: usize, rate: u64, batch: usize) -> Result<(), Failure> {
        let topic = format!("live{subscribers}x{rate}x{batch}");
        self.log.topic(&spec(&topic)).await?;
        let of = TopicPartition::new(TopicName::new(&topic)?, 0);
        let seconds = 6;
        let appends = rate * seconds;
        let events = appends as usize * batch;
        // What appending alone costs, at the same rate.
        let alone = self.append_paced(&of, rate, appends, batch).await?;
        let mut client = self.client(&["fanout", &topic, &subscribers.to_string(), &events.to_string()])?;
        client.read_line()?;
        while self.delivery.stats().sessions_open.get() < subscribers as i64 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let cpu = self.append_paced(&of, rate, appends, batch).await?;
        let latency = client.wait_line()?;
        let deliveries = (events * subscribers) as f64;
        println!(
            "fan-out {subscribers} x {rate}/s x {batch}: {:.2} us CPU per delivery (appends {:.2}), {}",
            (cpu - alone) * 1e6 / deliveries,
            alone * 1e6 / deliveries,
            latency.trim()
        );
        Ok(())
    }

    /// Returns the CPU seconds spent meanwhile.
    async fn append_paced(
        &self,
        of: &TopicPartition,
        rate: u64,
        appends: u64,
        batch: usize,
    ) -> Result<f64, Failure> {
        let cpu = cpu_seconds();
        let mut tick = tokio::time::interval(Duration::from_nanos(1_000_000_000 / rate));
        for _ in 0..appends {
            tick.tick().await;
            let records = (0..batch).map(|_| event(1024)).collect();
            self.log.append(of, records).await?;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(cpu_seconds() - cpu)
    }

    async fn idle(&self, subscribers: usize) -> Result<(), Failure> {
        self.log.topic(&spec("idle")).await?;
        let before = resident_bytes();
        let mut client = self.client(&["fanout", "idle", &subscribers.to_string(), "1"])?;
        client.read_line()?;
        while self.delivery.stats().sessions_open.get() < subscribers as i64 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let after = resident_bytes();
        println!(
            "idle: {:.1} KiB per subscriber ({subscribers} of them); body {} B",
            (after - before) as f64 / 1024.0 / subscribers as f64,
            size_of::<levada_server::delivery::SessionBody>()
        );
        let of = TopicPartition::new(TopicName::new("idle")?, 0);
        self.log.append(&of, vec![event(1024)]).await?;
        client.wait_line()?;
        Ok(())
    }

    fn client(&self, args: &[&str]) -> Result<Client, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("client")
            .arg(self.address.to_string())
            .args(args)
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().ok_or("no output")?;
        Ok(Client {
            child,
            out: BufReader::new(out),
        })
    }
}

struct Client {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Client {
    fn read_line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        tokio::task::block_in_place(|| self.out.read_line(&mut line))?;
        Ok(line)
    }

    fn wait_line(mut self) -> Result<String, Failure> {
        let line = self.read_line()?;
        tokio::task::block_in_place(|| self.child.wait())?;
        Ok(line)
    }
}

fn spec(topic: &str) -> TopicSpec {
    TopicSpec {
        name: TopicName::new(topic).expect("a good name"),
        partitions: 1,
        retention: Retention {
            age: None,
            bytes: None,
        },
    }
}

fn now_nanos() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |d| d.as_nanos() as u64)
}

/// An event of about `size` bytes that says when it was made.
fn event(size: usize) -> Record {
    let mut text = format!(
        r#"{{"$schema":"/demo/1.0.0","ns":{},"meta":{{"id":"00000000-0000-7000-8000-000000000000","stream":"demo","domain":"en.wikipedia.org","dt":"2026-01-01T00:00:00.000Z"}},"text":""#,
        now_nanos()
    );
    while text.len() + 2 < size {
        text.push('x');
    }
    text.push_str("\"}");
    Record {
        key: None,
        splice: find_splice(text.as_bytes(), Dialect::Meta),
        value: Bytes::from(text),
        timestamp: Timestamp::from_millis((now_nanos() / 1_000_000) as i64),
        flags: Flags::CHECKED,
    }
}

async fn serve(listener: TcpListener, delivery: Delivery) {
    while let Ok((socket, _)) = listener.accept().await {
        let delivery = delivery.clone();
        let _ = socket.set_nodelay(true);
        tokio::spawn(async move {
            let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                let delivery = delivery.clone();
                async move { Ok::<_, Infallible>(answer(&delivery, &request).await) }
            });
            let mut server = hyper::server::conn::http1::Builder::new();
            server.max_buf_size(16 * 1024);
            let _ = server.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

type Body = http_body_util::Either<levada_server::delivery::SessionBody, http_body_util::Empty<Bytes>>;

/// `/topic/format/start`
async fn answer(
    delivery: &Delivery,
    request: &hyper::Request<hyper::body::Incoming>,
) -> hyper::Response<Body> {
    let parts: Vec<&str> = request.uri().path().split('/').collect();
    let selection = Selection::new(SelectionSpec {
        dialect: Dialect::Meta,
        separators: Separators::Raw,
        ..SelectionSpec::default()
    });
    let request = Request {
        topics: vec![TopicRequest {
            spec: spec(parts[1]),
            partitions: None,
            stored: Dialect::Meta,
        }],
        from: From::Everywhere(if parts[3] == "earliest" {
            Start::Earliest
        } else {
            Start::Latest
        }),
        now: Timestamp::from_system(std::time::SystemTime::now()),
        api: Api::EventStreams,
        format: if parts[2] == "sse" {
            Format::Sse
        } else {
            Format::Ndjson
        },
        selection: selection.expect("nothing is selected"),
        drop_canaries: false,
        retry: None,
        max_age: None,
        rate: None,
    };
    match delivery.open(request).await {
        Ok(opened) => hyper::Response::new(Body::Left(opened.body)),
        Err(error) => {
            eprintln!("{error}");
            let mut response = hyper::Response::new(Body::Right(http_body_util::Empty::new()));
            *response.status_mut() = hyper::StatusCode::SERVICE_UNAVAILABLE;
            response
        }
    }
}

/// CPU seconds of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |i: usize| {
        fields
            .get(i)
            .and_then(|f| f.parse::<f64>().ok())
            .unwrap_or_default()
    };
    (ticks(11) + ticks(12)) / 100.0
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = statm
        .split(' ')
        .nth(1)
        .and_then(|f| f.parse().ok())
        .unwrap_or_default();
    pages * 4096
}

/// The other process: `ADDRESS replay TOPIC FORMAT EVENTS` or `ADDRESS fanout TOPIC SUBSCRIBERS EVENTS`.
fn client(args: &[String]) -> Result<(), Failure> {
    let address: SocketAddr = args[0].parse()?;
    match args[1].as_str() {
        "replay" => replay_client(address, &args[2], &args[3], args[4].parse()?),
        _ => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(fanout_client(
                address,
                &args[2],
                args[3].parse()?,
                args[4].parse()?,
            ))
        }
    }
}

/// Every event ends with this.
const END: &[u8] = b"x\"}\n";

fn replay_client(address: SocketAddr, topic: &str, format: &str, events: usize) -> Result<(), Failure> {
    let start = Instant::now();
    let mut socket = std::net::TcpStream::connect(address)?;
    write!(
        socket,
        "GET /{topic}/{format}/earliest HTTP/1.1\r\nhost: x\r\n\r\n"
    )?;
    let mut buffer = vec![0; 256 * 1024];
    let mut seen = 0;
    let mut bytes = 0;
    // Counting ends would cost more than reading: the last event is told by its offset.
    let last = format!("\"offset\":{}}}", events - 1);
    let mut tail: Vec<u8> = Vec::new();
    while seen == 0 {
        let n = socket.read(&mut buffer)?;
        if n == 0 {
            return Err("the server hung up".into());
        }
        bytes += n;
        // Only towards the end is it worth looking.
        if bytes + (64 << 20) > events * topic.trim_start_matches("replay").parse::<usize>()? {
            tail.extend_from_slice(&buffer[..n]);
            if memchr::memmem::find(&tail, last.as_bytes()).is_some() {
                seen = 1;
            }
            let keep = tail.len().min(last.len());
            tail.drain(..tail.len() - keep);
        }
    }
    println!("{}", start.elapsed().as_secs_f64());
    Ok(())
}

async fn fanout_client(
    address: SocketAddr,
    topic: &str,
    subscribers: usize,
    events: usize,
) -> Result<(), Failure> {
    let (out, mut latencies) = tokio::sync::mpsc::channel(subscribers);
    for _ in 0..subscribers {
        let mut socket = TcpStream::connect(address).await?;
        let request = format!("GET /{topic}/sse/latest HTTP/1.1\r\nhost: x\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut socket, request.as_bytes()).await?;
        let out = out.clone();
        tokio::spawn(async move {
            let mut buffer = vec![0; 32 * 1024];
            // The end of the last read, so that an end cut in two is seen.
            let mut kept = 0;
            let mut seen = 0;
            let mut list: Vec<u32> = Vec::new();
            while seen < events {
                let Ok(n @ 1..) = socket.read(&mut buffer[kept..]).await else {
                    break;
                };
                let n = n + kept;
                let now = now_nanos();
                seen += memchr::memmem::find_iter(&buffer[..n], END).count();
                if let Some(at) = memchr::memmem::rfind(&buffer[..n], b"\"ns\":") {
                    let digits: Vec<u8> = buffer[at + 5..n]
                        .iter()
                        .copied()
                        .take_while(u8::is_ascii_digit)
                        .collect();
                    let then: u64 = String::from_utf8_lossy(&digits).parse().unwrap_or(now);
                    list.push((now.saturating_sub(then) / 1000) as u32);
                }
                kept = if buffer[..n].ends_with(END) {
                    0
                } else {
                    n.min(END.len() - 1)
                };
                buffer.copy_within(n - kept..n, 0);
            }
            let _ = out.send(list).await;
        });
    }
    drop(out);
    println!("connected");
    let mut all: Vec<u32> = Vec::new();
    while let Some(list) = latencies.recv().await {
        all.extend(list);
    }
    all.sort_unstable();
    let at = |q: f64| {
        f64::from(
            all.get(((all.len() as f64 - 1.0) * q) as usize)
                .copied()
                .unwrap_or_default(),
        ) / 1000.0
    };
    println!(
        "latency p50 {:.2} p99 {:.2} p99.9 {:.2} max {:.2} ms, {} writes",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
        all.len()
    );
    Ok(())
}

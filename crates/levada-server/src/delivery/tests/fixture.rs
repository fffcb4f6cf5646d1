//! A log with events, sessions on it, and readers that understand what they get.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use levada_event::filter::Filter;
use levada_event::select::{Selection, SelectionSpec, Separators};
use levada_event::splice::Dialect;
use levada_event::{Flags, Offset, Record, Splice, Start, Timestamp, TopicName, TopicPartition};
use levada_log::memory::{Memory, MemoryOptions};
use levada_log::{Log, Retention, TopicSpec};
use levada_wire::cursor;
use levada_wire::sse::{Decoder, Item, Limits};

use super::super::{
    Api, Delivery, Format, From, OpenError, Opened, Options, Request, SessionAborted, SessionBody,
    TopicRequest,
};

/// Time of the first event in the contract's cases.
pub(super) const T0: i64 = 1_500_000_000_000;
pub(super) const LOG_ID: &str = "00ab12ef";

pub(super) struct Rig<L = Memory> {
    pub(super) log: Arc<L>,
    pub(super) delivery: Delivery,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(Options::default(), MemoryOptions::default())
    }

    pub(super) fn with(options: Options, memory: MemoryOptions) -> Self {
        let log = Arc::new(Memory::new(MemoryOptions {
            id: LOG_ID.into(),
            ..memory
        }));
        Self::on(log, options)
    }

    /// With a log that makes no topics for those who read them.
    pub(super) fn without_topics() -> Self {
        let memory = MemoryOptions {
            creates_topics: false,
            ..MemoryOptions::default()
        };
        Self::with(Options::default(), memory)
    }

    /// The fixture of the contract (eventstreams §8): `eqiad.a` with three events, `codfw.a` empty.
    /// Offsets are dense, as the cases name them.
    pub(super) async fn of_the_contract() -> Self {
        let rig = Self::with(
            Options::default(),
            MemoryOptions {
                hole_every: 0,
                ..MemoryOptions::default()
            },
        );
        for topic in ["eqiad.a", "codfw.a", "eqiad.b", "codfw.b", "single"] {
            rig.log.create(&spec(topic, 1));
        }
        for i in 0..3 {
            rig.append("eqiad.a", 0, &[event(&format!("e{i}"), T0 + 1000 * i)])
                .await;
        }
        rig
    }
}

impl<L: Log> Rig<L> {
    pub(super) fn on(log: Arc<L>, options: Options) -> Self {
        let delivery = Delivery::new(log.clone(), options);
        Self { log, delivery }
    }

    pub(super) async fn append(&self, topic: &str, partition: u32, records: &[Record]) -> Offset {
        self.log
            .append(&tp(topic, partition), records.to_vec())
            .await
            .unwrap()
    }

    pub(super) async fn open(&self, request: Request) -> Reader {
        Reader::new(self.try_open(request).await.unwrap())
    }

    pub(super) async fn try_open(&self, request: Request) -> Result<Opened, OpenError> {
        self.delivery.open(request).await
    }

    /// Waits until the tasks of sessions that were dropped are gone.
    pub(super) async fn settled(&self) {
        let minute = Duration::from_secs(60);
        let gone = async {
            while self.stat("catching_up") > 0 || self.stat("channels") > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(minute, gone)
            .await
            .expect("dropped sessions go");
    }

    pub(super) fn stat(&self, name: &str) -> i64 {
        let all = self.delivery.stats().snapshot();
        all.iter()
            .find(|(other, ..)| *other == name)
            .map(|(.., value)| *value)
            .unwrap()
    }
}

pub(super) fn tp(topic: &str, partition: u32) -> TopicPartition {
    TopicPartition::new(TopicName::new(topic).unwrap(), partition)
}

pub(super) fn spec(topic: &str, partitions: u32) -> TopicSpec {
    TopicSpec {
        name: TopicName::new(topic).unwrap(),
        partitions,
        retention: Retention {
            age: None,
            bytes: None,
        },
    }
}

/// An event as intake stores it: checked, with the splice position before the end of `meta`.
pub(super) fn event(id: &str, millis: i64) -> Record {
    event_of("en.wikipedia.org", id, millis)
}

pub(super) fn event_of(domain: &str, id: &str, millis: i64) -> Record {
    let head = format!(r#"{{"$schema":"/a/1.0.0","meta":{{"id":"{id}","domain":"{domain}""#);
    let canary = if domain == "canary" {
        Flags::CANARY
    } else {
        Flags::NONE
    };
    Record {
        key: None,
        value: Bytes::from(format!(r#"{head}}},"n":12345678901234567890}}"#)),
        timestamp: Timestamp::from_millis(millis),
        splice: Splice::at(head.len()),
        flags: Flags::CHECKED.with(canary),
    }
}

/// A record of a foreign producer.
pub(super) fn foreign(value: &str) -> Record {
    Record {
        key: None,
        value: Bytes::copy_from_slice(value.as_bytes()),
        timestamp: Timestamp::from_millis(T0),
        splice: Splice::UNKNOWN,
        flags: Flags::NONE,
    }
}

/// EventStreams, SSE, all events of these topics from the latest.
pub(super) fn request(topics: &[&str]) -> Request {
    Request {
        topics: topics.iter().map(|topic| topic_request(topic, 1)).collect(),
        from: From::Everywhere(Start::Latest),
        now: Timestamp::from_millis(T0),
        api: Api::EventStreams,
        format: Format::Sse,
        selection: selection(&[]),
        drop_canaries: false,
        retry: None,
        max_age: None,
        rate: None,
    }
}

pub(super) fn topic_request(topic: &str, partitions: u32) -> TopicRequest {
    TopicRequest {
        spec: spec(topic, partitions),
        partitions: None,
        stored: Dialect::Meta,
    }
}

pub(super) fn selection(filters: &[&str]) -> Selection {
    let filters: Vec<_> = filters
        .iter()
        .map(|text| Filter::parse_query(text).unwrap())
        .collect();
    Selection::new(SelectionSpec {
        filter: (!filters.is_empty()).then(|| Filter::all(filters)),
        projection: None,
        dialect: Dialect::Meta,
        separators: Separators::Raw,
        redaction: None,
    })
    .unwrap()
}

pub(super) fn since(millis: i64) -> From {
    From::Everywhere(Start::Since(Timestamp::from_millis(millis)))
}

pub(super) fn earliest() -> From {
    From::Everywhere(Start::Earliest)
}

/// What `Last-Event-ID` says.
pub(super) fn last_event_id(text: &str) -> From {
    From::Exactly {
        elements: cursor::parse(text).unwrap(),
        bare: Start::Latest,
    }
}

/// An event as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) data: String,
    pub(super) topic: String,
    pub(super) partition: u32,
    pub(super) offset: Offset,
}

/// Reads an SSE session.
pub(super) struct Reader {
    pub(super) body: SessionBody,
    pub(super) header: Option<String>,
    decoder: Decoder,
    pub(super) comments: Vec<String>,
    /// Ids that came without an event.
    pub(super) ids: Vec<String>,
    /// What came last, raw, chunk by chunk.
    pub(super) chunks: VecDeque<Bytes>,
}

impl Reader {
    pub(super) fn new(opened: Opened) -> Self {
        Self {
            header: opened.gap_header(),
            body: opened.body,
            decoder: Decoder::new(Limits::default()),
            comments: Vec::new(),
            ids: Vec::new(),
            chunks: VecDeque::new(),
        }
    }

    /// The next chunk as it comes from the body. Fails when none comes for an hour (in most tests,
    /// of paused time).
    pub(super) async fn chunk(&mut self) -> Option<Result<Bytes, SessionAborted>> {
        let hour = Duration::from_secs(3600);
        tokio::time::timeout(hour, self.raw_chunk())
            .await
            .expect("a chunk or the end")
    }

    /// The next chunk, however long it takes.
    pub(super) async fn raw_chunk(&mut self) -> Option<Result<Bytes, SessionAborted>> {
        let frame = std::future::poll_fn(|context| Pin::new(&mut self.body).poll_frame(context)).await?;
        Some(frame.map(|frame| frame.into_data().unwrap()))
    }

    /// Chunks until nothing comes for a while (of paused time), joined.
    pub(super) async fn text(&mut self) -> String {
        let mut out = Vec::new();
        while let Ok(Some(chunk)) = tokio::time::timeout(Duration::from_secs(1), self.chunk()).await {
            out.extend_from_slice(&chunk.unwrap());
        }
        String::from_utf8(out).unwrap()
    }

    /// What comes until `part` is in it.
    pub(super) async fn until(&mut self, part: &str) -> String {
        let mut out = String::new();
        while !out.contains(part) {
            let chunk = self.chunk().await.expect("the response goes on");
            out.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
        out
    }

    /// The next event; `None` at the end of the response. Fails when none comes for an hour (in
    /// most tests, of paused time).
    pub(super) async fn event(&mut self) -> Option<Got> {
        let hour = Duration::from_secs(3600);
        tokio::time::timeout(hour, self.any_event())
            .await
            .expect("an event or the end")
    }

    async fn any_event(&mut self) -> Option<Got> {
        loop {
            match self.decoder.next_item().unwrap() {
                Some(Item::Event(event)) => {
                    return Some(self.got(&event.name, event.id.as_deref(), &event.data));
                }
                Some(Item::Id(id)) => self.ids.push(id.to_string()),
                Some(Item::Comment(text)) => self.comments.push(text.to_string()),
                Some(_) => {}
                None => {
                    let chunk = self.chunk().await?.unwrap();
                    self.chunks.push_back(chunk.clone());
                    self.decoder.push(&chunk);
                }
            }
        }
    }

    /// The next event, or `None` when there is none for some (paused) time.
    pub(super) async fn event_soon(&mut self) -> Option<Got> {
        tokio::time::timeout(Duration::from_secs(5), self.event())
            .await
            .ok()
            .flatten()
    }

    /// Offsets by partition of all events there are at present, in order.
    pub(super) async fn offsets(&mut self) -> Vec<Offset> {
        let mut offsets = Vec::new();
        while let Some(got) = self.event_soon().await {
            offsets.push(got.offset);
        }
        offsets
    }

    /// All events there are at present, by partition.
    pub(super) async fn by_partition(&mut self, into: &mut BTreeMap<(String, u32), Vec<Got>>) {
        while let Some(got) = self.event_soon().await {
            into.entry((got.topic.clone(), got.partition))
                .or_default()
                .push(got);
        }
    }

    fn got(&self, name: &str, id: Option<&str>, data: &str) -> Got {
        let number = |key: &str| -> Option<u64> {
            let (_, rest) = data.split_once(&format!("\"{key}\":"))?;
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        let topic = data
            .split_once("\"topic\":\"")
            .and_then(|(_, rest)| rest.split('"').next());
        Got {
            name: name.to_owned(),
            id: id.unwrap_or_default().to_owned(),
            topic: topic.unwrap_or_default().to_owned(),
            partition: number("partition").unwrap_or_default() as u32,
            offset: number("offset").unwrap_or(u64::MAX),
            data: data.to_owned(),
        }
    }
}

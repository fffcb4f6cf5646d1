//! `levada log inspect`: what a data folder holds.

use std::io::{self, Write};

use levada_event::{Offset, Timestamp};
use levada_log::embedded::offline::{SegmentReport, StoredPartition, StoredRecord, StoredSegment};
use serde_json::json;

use super::{Chosen, Format, line};
use crate::exit::Exit;

/// Which records to print.
#[derive(Debug, clap::Args)]
pub(super) struct Records {
    /// Print records, one JSON object per line, from this offset on
    #[arg(long, value_name = "OFFSET")]
    from: Option<Offset>,
    /// Print records, at most this many of each partition
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// Lists segments, or prints records when an offset or a number is asked for.
pub(super) fn run(
    chosen: &Chosen,
    format: Format,
    records: &Records,
    out: &mut impl Write,
) -> io::Result<Exit> {
    let mut exit = Exit::Ok;
    for (topic, reason) in &chosen.damaged {
        eprintln!("levada: damage: {topic}: {reason}");
        exit = Exit::Faults;
    }
    let listing = records.from.is_none() && records.count.is_none();
    if listing && format == Format::Text {
        writeln!(
            out,
            "TOPIC/PARTITION  OFFSETS  RECORDS  BYTES  TIMES  APPENDED  FORM  INDEX  FAULTS"
        )?;
    }
    for partition in &chosen.partitions {
        let mut left = records.count.unwrap_or(u64::MAX);
        let from = records.from.unwrap_or(0);
        for segment in &partition.segments {
            let over = segment.end.is_some_and(|end| end <= from) || left == 0;
            if !listing && over {
                continue;
            }
            let report = chosen.log.read(partition, segment, &mut |record| {
                if listing || record.offset < from || left == 0 {
                    return Ok(());
                }
                left -= 1;
                print(out, partition, &record)
            })?;
            if listing {
                list(out, partition, segment, &report, format)?;
            }
            for fault in &report.faults {
                eprintln!("levada: {}", line(partition, segment, fault));
                if !fault.torn {
                    exit = Exit::Faults;
                }
            }
        }
    }
    Ok(exit)
}

fn print(out: &mut impl Write, partition: &StoredPartition, record: &StoredRecord<'_>) -> io::Result<()> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let object = json!({
        "topic": partition.of.topic.as_str(),
        "partition": partition.of.partition,
        "offset": record.offset,
        "timestamp": record.timestamp.to_string(),
        "appended": record.appended.to_string(),
        "key": record.key.map(text),
        "value": text(record.value),
    });
    writeln!(out, "{object}")
}

fn list(
    out: &mut impl Write,
    partition: &StoredPartition,
    segment: &StoredSegment,
    report: &SegmentReport,
    format: Format,
) -> io::Result<()> {
    let (first, end) = report.offsets.unwrap_or((segment.base, segment.base));
    if format == Format::Ndjson {
        let pair = |pair: Option<(Timestamp, Timestamp)>| pair.map(|(a, b)| [a.to_string(), b.to_string()]);
        let object = json!({
            "topic": partition.of.topic.as_str(),
            "partition": partition.of.partition,
            "segment": segment.path.display().to_string(),
            "first_offset": first,
            "next_offset": end,
            "records": report.records,
            "blocks": report.blocks,
            "bytes": segment.bytes,
            "times": pair(report.times),
            "appended": pair(report.appended),
            "rewritten": report.rewritten,
            "index": report.index,
            "faults": report.faults.len(),
        });
        return writeln!(out, "{object}");
    }
    let pair = |pair: Option<(Timestamp, Timestamp)>| match pair {
        Some((a, b)) => format!("{a}..{b}"),
        None => "-".to_owned(),
    };
    let form = if report.rewritten { "packed" } else { "plain" };
    writeln!(
        out,
        "{}  {first}..{end}  {}  {}  {}  {}  {form}  {}  {}",
        partition.of,
        report.records,
        segment.bytes,
        pair(report.times),
        pair(report.appended),
        report.index,
        report.faults.len()
    )
}

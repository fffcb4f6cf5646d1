//! `levada log check`: reads every block of a data folder.

use std::io::{self, Write};

use serde_json::json;

use super::{Chosen, Format, line, object};
use crate::exit::Exit;

/// Reads everything; damage is [`Exit::Faults`], a torn tail alone is not.
pub(super) fn run(chosen: &Chosen, format: Format, out: &mut impl Write) -> io::Result<Exit> {
    let (mut segments, mut records, mut bytes, mut torn) = (0u64, 0u64, 0u64, 0u64);
    let mut damage = chosen.damaged.len() as u64;
    for (topic, reason) in &chosen.damaged {
        match format {
            Format::Text => writeln!(out, "damage: {topic}: {reason}; none of its partitions was read")?,
            Format::Ndjson => writeln!(
                out,
                "{}",
                json!({"kind": "damage", "topic": topic, "reason": reason})
            )?,
        }
    }
    for partition in &chosen.partitions {
        for segment in &partition.segments {
            segments += 1;
            let report = match chosen.log.read(partition, segment, &mut |_| Ok(())) {
                Ok(report) => report,
                Err(error) => {
                    damage += 1;
                    let (file, reason) = (segment.path.display().to_string(), error.to_string());
                    match format {
                        Format::Text => writeln!(
                            out,
                            "damage: {file}: it cannot be read: {reason}; what follows in it was not read"
                        )?,
                        Format::Ndjson => writeln!(
                            out,
                            "{}",
                            json!({"kind": "damage", "file": file, "reason": reason})
                        )?,
                    }
                    continue;
                }
            };
            records += report.records;
            bytes += segment.bytes;
            for fault in &report.faults {
                *(if fault.torn { &mut torn } else { &mut damage }) += 1;
                match format {
                    Format::Text => writeln!(out, "{}", line(partition, segment, fault))?,
                    Format::Ndjson => writeln!(out, "{}", object(partition, segment, fault))?,
                }
            }
        }
    }
    let partitions = chosen.partitions.len();
    match format {
        Format::Text => writeln!(
            out,
            "{partitions} partitions, {segments} segments, {bytes} bytes, {records} sound records; {damage} damaged places, {torn} torn tails"
        )?,
        Format::Ndjson => writeln!(
            out,
            "{}",
            json!({"kind": "summary", "partitions": partitions, "segments": segments, "bytes": bytes,
                   "records": records, "damaged": damage, "torn_tails": torn})
        )?,
    }
    Ok(if damage > 0 { Exit::Faults } else { Exit::Ok })
}

//! `levada log export`: the events of a data folder as lines, around damage.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::{Chosen, line};
use crate::exit::Exit;

/// Writes to a file that must not exist yet, and syncs it.
pub(super) fn to_file(chosen: &Chosen, path: &Path) -> io::Result<Exit> {
    let file = File::create_new(path).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("{} cannot be made: {error}", path.display()),
        )
    })?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let exit = run(chosen, &mut out)?;
    out.flush()?;
    out.get_ref().sync_all()?;
    Ok(exit)
}

/// Writes one event per line, partition by partition, in the order of offsets. Nothing of an event
/// changes but line feeds between its tokens, which become spaces.
pub(super) fn run(chosen: &Chosen, out: &mut impl Write) -> io::Result<Exit> {
    let mut exit = Exit::Ok;
    let mut events = 0u64;
    for (topic, reason) in &chosen.damaged {
        eprintln!("levada: damage: {topic}: {reason}; none of it was exported");
        exit = Exit::Incomplete;
    }
    for partition in &chosen.partitions {
        for segment in &partition.segments {
            let mut unwritten = false;
            let mut write = |value: &[u8]| {
                // Within a JSON string a line feed is always escaped.
                for (i, part) in value.split(|b| matches!(b, b'\n' | b'\r')).enumerate() {
                    if i > 0 {
                        out.write_all(b" ")?;
                    }
                    out.write_all(part)?;
                }
                out.write_all(b"\n")
            };
            let report = chosen.log.read(partition, segment, &mut |record| {
                events += 1;
                write(record.value).inspect_err(|_: &io::Error| unwritten = true)
            });
            let report = match report {
                Err(error) if !unwritten => {
                    let file = segment.path.display();
                    eprintln!(
                        "levada: damage: {file}: it cannot be read: {error}; what follows in it was left out"
                    );
                    exit = Exit::Incomplete;
                    continue;
                }
                report => report?,
            };
            for fault in report.faults {
                eprintln!("levada: {}", line(partition, segment, &fault));
                if !fault.torn {
                    exit = Exit::Incomplete;
                }
            }
        }
    }
    eprintln!("levada: {events} events exported");
    Ok(exit)
}

//! Replay: retained events to one client, as fast as they come.

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::connection::Connection;
use crate::intake::fill;
use crate::server::{Server, configure, folder};
use crate::table::{Table, median};

/// No byte for this long means that the replay is over; heartbeats are rarer.
pub(crate) const QUIET: Duration = Duration::from_millis(700);
const ROUNDS: usize = 5;
pub(crate) const PATH: &str = "/v2/stream/bench.page_change?since=1970-01-01T00:00:00Z";

/// Fills `total` bytes of events of `bytes` bytes and reads them back.
pub async fn run(table: &mut Table, bytes: usize, total: u64) -> Result<()> {
    let folder = folder()?;
    configure(folder.path(), "os")?;
    let server = Server::start(folder.path())?;
    let events = fill(&server, bytes, total).await?;
    let mut rates = Vec::new();
    let mut costs = Vec::new();
    for _ in 0..ROUNDS {
        let cpu = server.cpu()?;
        let (received, seconds) = read_all(&server, "", PATH).await?;
        ensure!(
            received > events * bytes as u64,
            "{received} bytes came, fewer than were stored"
        );
        rates.push(received as f64 / seconds / 1e9);
        costs.push((server.cpu()? - cpu).as_secs_f64() / (received as f64 / 1e9));
    }
    let goal = if bytes > 4096 {
        "≥ 2.5 GB/s"
    } else {
        "≥ 1 GB/s"
    };
    table.row(
        &format!("replay to one client, unfiltered, {} KB events", bytes / 1024),
        goal,
        format!("{:.2} GB/s", median(rates)),
        format!("{events} events, server CPU {:.2} s/GB", median(costs)),
    );
    Ok(())
}

/// Bytes of the response to a GET of `path`, and the seconds until the last of them. A thread of its own
/// reads them, as the plainest of clients does: what the client costs is taken from the server, which shares the
/// processors with it.
pub(crate) async fn read_all(server: &Server, headers: &str, path: &str) -> Result<(u64, f64)> {
    let socket = Connection::get(server.address, path, headers).await?;
    let mut socket = socket.into_std()?;
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(QUIET))?;
    let reading = tokio::task::spawn_blocking(move || {
        let begin = Instant::now();
        let mut buffer = vec![0; 512 * 1024];
        let (mut received, mut last) = (0, begin);
        loop {
            match socket.read(&mut buffer) {
                Ok(0) => bail!("the server ended the stream"),
                Ok(read) => {
                    received += read as u64;
                    last = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The time is up.
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok((received, (last - begin).as_secs_f64()))
    });
    reading.await?
}

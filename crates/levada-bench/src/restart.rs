//! Restart with much retained: from the start of the process to serving, after a kill.

use anyhow::Result;

use crate::intake::fill;
use crate::server::{Server, configure, folder};
use crate::table::{Table, median};

const BYTES: u64 = 10 << 30;

/// Fills 10 GB, kills the server and starts it again, three times.
pub async fn run(table: &mut Table) -> Result<()> {
    let folder = folder()?;
    configure(folder.path(), "os")?;
    let server = Server::start(folder.path())?;
    let events = fill(&server, 20 * 1024, BYTES).await?;
    server.kill()?;
    let mut seconds = Vec::new();
    for _ in 0..3 {
        let server = Server::start(folder.path())?;
        seconds.push(server.ready_after.as_secs_f64());
        server.kill()?;
    }
    table.row(
        "restart with 10 GB retained, after kill -9",
        "< 1 s",
        format!("{:.3} s", median(seconds)),
        format!("{events} events"),
    );
    Ok(())
}

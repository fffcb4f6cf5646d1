//! Measures a release build of Levada from outside: a real server process, real sockets on loopback,
//! client and server sharing the machine's cores. Prints one table. Run by `cargo xtask bench`.

use anyhow::{Result, bail};

mod connection;
mod events;
mod fanout;
mod feeds;
mod intake;
mod kafka;
mod realtime;
mod replay;
mod restart;
mod server;
mod table;
mod yardstick;

use table::Table;

/// The benchmarks by name, in the order in which they run.
const NAMES: [&str; 15] = [
    "yardstick",
    "intake-batch",
    "intake-single",
    "replay-1k",
    "replay-20k",
    "fanout",
    "idle",
    "realtime-20k",
    "realtime-1k",
    "realtime-live",
    "restart",
    "feeds-cold",
    "feeds-warm",
    "feeds-memory",
    "kafka",
];

fn main() -> Result<()> {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    if let [command, folder] = &chosen[..]
        && command == yardstick::SERVE
    {
        return runtime.block_on(yardstick::serve(folder.as_ref()));
    }
    if let Some(unknown) = chosen.iter().find(|name| !NAMES.contains(&name.as_str())) {
        bail!(
            "there is no benchmark {unknown:?}; there are {}",
            NAMES.join(", ")
        );
    }
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|c| c == name);
    let mut table = Table::default();
    runtime.block_on(async {
        if wanted("yardstick") {
            yardstick::run(&mut table).await?;
        }
        if wanted("intake-batch") {
            intake::batches(&mut table).await?;
        }
        if wanted("intake-single") {
            intake::singles(&mut table).await?;
        }
        if wanted("replay-1k") {
            replay::run(&mut table, 1024, 1 << 30).await?;
        }
        if wanted("replay-20k") {
            replay::run(&mut table, 20 * 1024, 2 << 30).await?;
        }
        if wanted("fanout") {
            fanout::run(&mut table).await?;
        }
        if wanted("idle") {
            fanout::idle(&mut table).await?;
        }
        if wanted("realtime-20k") {
            realtime::catch_up(&mut table, 20 * 1024, 5 << 30).await?;
        }
        if wanted("realtime-1k") {
            realtime::catch_up(&mut table, 1024, 1 << 30).await?;
        }
        if wanted("realtime-live") {
            realtime::live(&mut table).await?;
        }
        if wanted("restart") {
            restart::run(&mut table).await?;
        }
        if wanted("feeds-cold") {
            feeds::cold(&mut table).await?;
        }
        if wanted("feeds-warm") {
            feeds::warm(&mut table).await?;
        }
        if wanted("feeds-memory") {
            feeds::memory(&mut table).await?;
        }
        if wanted("kafka") {
            kafka::run(&mut table).await?;
        }
        anyhow::Ok(())
    })?;
    println!("\n{table}");
    Ok(())
}

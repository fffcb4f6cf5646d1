//! Levada: an event platform in one binary. This file is the table of contents; each command is a
//! file of its own.

mod canary;
mod cli;
mod completions;
mod config;
mod dev;
mod exit;
mod feeds;
mod log;
mod logging;
mod pretty;
mod produce;
mod serve;
mod signal;
mod streams;
mod tail;
mod topics;
mod units;
mod user;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use exit::{Exit, Failure};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Faults of usage end here with clap's own message and code 2.
    let cli = Cli::parse();
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("levada: {failure}");
            failure.exit.into()
        }
    }
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    match cli.command {
        Command::Dev(args) => server(|stop| dev::run(args, stop)),
        Command::Serve(args) => server(|stop| serve::run(args, stop)),
        Command::Feeds(args) => server(|stop| feeds::run(args, stop)),
        Command::Config(args) => client(|_| config::run(args)),
        Command::Produce(args) => client(|stop| produce::run(args, stop)),
        Command::Tail(args) => client(|stop| tail::run(args, stop)),
        Command::Streams(args) => client(|_| streams::run(args)),
        Command::Topics(args) => client(|_| topics::run(args)),
        Command::Canary(args) => client(|_| canary::run(args)),
        Command::User(args) => client(|_| user::run(args)),
        Command::Log(args) => log::run(&args),
        Command::Completions(args) => completions::run(&args),
    }
}

/// Runs a command that talks to a server: few threads, and only warnings.
fn client<F: Future<Output = Result<Exit, Failure>>>(
    command: impl FnOnce(signal::Stop) -> F,
) -> Result<Exit, Failure> {
    logging::for_clients();
    run_on(
        tokio::runtime::Builder::new_multi_thread().worker_threads(2),
        command,
    )
}

/// Runs a command that serves: all cores, and a log for operators.
fn server<F: Future<Output = Result<Exit, Failure>>>(
    command: impl FnOnce(signal::Stop) -> F,
) -> Result<Exit, Failure> {
    logging::for_servers();
    use_small_pages();
    run_on(&mut tokio::runtime::Builder::new_multi_thread(), command)
}

/// Keeps the kernel from backing the heap with huge pages. A silent subscriber touches a few hundred
/// bytes of the buffers that its connection reserves; with huge pages all that is reserved is resident:
/// 35 KiB instead of 21 each, and nothing else was faster for it.
fn use_small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay as the system has them");
    }
}

fn run_on<F: Future<Output = Result<Exit, Failure>>>(
    runtime: &mut tokio::runtime::Builder,
    command: impl FnOnce(signal::Stop) -> F,
) -> Result<Exit, Failure> {
    let runtime = runtime
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Io, format!("cannot start: {error}")))?;
    runtime.block_on(async { command(signal::Stop::listen()).await })
}

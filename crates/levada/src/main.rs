//! Levada: an event platform in one binary. This file is the table of contents; each command is a
//! file of its own.

mod cli;
mod completions;
mod config;
mod exit;
mod logging;
mod pretty;
mod produce;
mod serve;
mod signal;
mod streams;
mod tail;
mod units;

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
        Command::Completions(args) => completions::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Serve(args) => server(|stop| serve::run(args, stop)),
        command => {
            logging::for_clients();
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .map_err(|error| Failure::new(Exit::Io, format!("cannot start: {error}")))?;
            runtime.block_on(async {
                let stop = signal::Stop::listen();
                match command {
                    Command::Produce(args) => produce::run(args, stop).await,
                    Command::Tail(args) => tail::run(args, stop).await,
                    Command::Streams(args) => streams::run(args).await,
                    Command::Completions(_) | Command::Config(_) | Command::Serve(_) => Ok(Exit::Ok),
                }
            })
        }
    }
}

/// Runs a command that serves: all cores, and a log for operators.
fn server<F: Future<Output = Result<Exit, Failure>>>(
    command: impl FnOnce(signal::Stop) -> F,
) -> Result<Exit, Failure> {
    logging::for_servers();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Io, format!("cannot start: {error}")))?;
    runtime.block_on(async { command(signal::Stop::listen()).await })
}

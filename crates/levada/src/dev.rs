//! `levada dev`: a server on this machine with demo streams that are never quiet.

mod generator;
mod traffic;

use std::time::SystemTime;

use levada_accounts::{NewUser, Secret};
use levada_client::Server;
use levada_event::Timestamp;
use levada_server::config::{AuthMode, Origin};
use levada_server::{DEMO_PASSWORD, DEMO_USER, StartOptions};

use crate::exit::{Exit, Failure};
use crate::serve::{Settings, boot_failure};
use crate::signal::Stop;

/// Where everything is kept if nothing else is said: not where `levada serve` does, because the demo login
/// is kept there too.
const DATA: &str = "levada-dev-data";

/// Enough connections for one person, and fit the limits of open files that people have.
const CONNECTIONS_MAX: usize = 500;

/// Arguments of `levada dev`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: Settings,
    /// Synthetic edits per second; 0 for none
    #[arg(long, value_name = "N", default_value_t = 4.0, value_parser = rate)]
    rate: f64,
    /// Number from which the synthetic edits are derived
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.0..=100_000.0).contains(&rate) => Ok(rate),
        _ => Err("write a number from 0 to 100000".to_owned()),
    }
}

/// Serves until a signal comes, then ends in order.
pub(crate) async fn run(args: Args, stop: Stop) -> Result<Exit, Failure> {
    let mut loaded = args.settings.load()?;
    let is_set = |wanted: &str| {
        let mut values = loaded.values.iter();
        values.any(|(key, _, origin)| key == wanted && *origin != Origin::Default)
    };
    let (auth_is_set, data_is_set) = (is_set("auth.mode"), is_set("data"));
    let connections_are_set = is_set("http.connections_max");
    if !auth_is_set {
        loaded.config.auth.mode = AuthMode::Optional;
    }
    if !data_is_set {
        loaded.config.data = DATA.into();
    }
    if !connections_are_set {
        loaded.config.http.connections_max = CONNECTIONS_MAX;
    }
    let config = loaded.config;
    let data = config.data.display().to_string();
    let options = StartOptions {
        demo: true,
        users: vec![demo_user()],
        ..StartOptions::default()
    };
    let running = levada_server::start(config, options)
        .await
        .map_err(boot_failure)?;
    let url = format!("http://{}", running.address);
    let backend = running.log.facts().backend;
    let login = match &running.accounts {
        Some(_) => demo_login(&url),
        None => String::new(),
    };
    println!("{}{login}{}", welcome(&url, backend, &data), farewell());
    let edits = match args.rate {
        0.0 => None,
        rate => {
            let server = Server::new(&url, None).map_err(|error| Failure::usage(error.to_string()))?;
            Some(tokio::spawn(traffic::run(server, rate, args.seed, stop.clone())))
        }
    };
    stop.asked().await;
    if let Some(edits) = edits {
        // It ends at the same signal; were it to panic, the server would still end in order.
        let _ = edits.await;
    }
    running.stop().await;
    Ok(Exit::Ok)
}

/// The demo user, who may do everything.
fn demo_user() -> NewUser {
    NewUser {
        name: DEMO_USER.to_owned(),
        password: Some(Secret::new(DEMO_PASSWORD)),
        groups: ["group_3", "publishers", "admins"].map(str::to_owned).to_vec(),
        ..NewUser::default()
    }
}

/// How to log in.
fn demo_login(url: &str) -> String {
    format!(
        "

Log in as the demo user (or do without: only a wrong token is refused here):

    curl -H 'content-type: application/json' {url}/v1/login -d '{{\"username\": \"{DEMO_USER}\", \"password\": \"{DEMO_PASSWORD}\"}}'"
    )
}

fn welcome(url: &str, backend: &str, data: &str) -> String {
    let program = program();
    let stream = generator::STREAM;
    let now = Timestamp::from_system(SystemTime::now());
    let place = if backend == "embedded" {
        format!("events are kept in {data}")
    } else {
        "events are kept in memory".to_owned()
    };
    format!(
        "Levada runs at {url} ({place}).

Watch synthetic edits as they happen:

    curl -N {url}/v2/stream/{stream}

Read what has passed, only one wiki, only two fields:

    {program} tail {stream} --url {url} --since 10m --filter meta.domain:pt.demo.example --fields dt,page_title,user.user_text

Publish an event of your own (201 means that it is stored):

    curl -i -H 'content-type: application/json' {url}/v1/events -d '{{\"$schema\": \"/demo/edit/1.0.0\", \"meta\": {{\"stream\": \"{stream}\", \"domain\": \"en.demo.example\"}}, \"dt\": \"{now}\", \"wiki_id\": \"endemo\", \"page_id\": 1, \"page_title\": \"Hello\", \"rev_id\": 1, \"user\": {{\"user_text\": \"me\", \"is_bot\": false}}}}'"
    )
}

fn farewell() -> String {
    let program = program();
    format!(
        "

Next: declare your own streams in levada.toml and run {program} serve --config levada.toml; docs/guide/quickstart.md shows how.
Ctrl-C ends the server; events stay."
    )
}

/// The program as it was called.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "levada".to_owned())
}

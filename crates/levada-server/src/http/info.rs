//! What the service says of itself: name, health, metrics.

use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode};
use levada_event::json::write_string;

use super::respond::{Body, JSON, empty, plain};
use super::route::Direction;
use super::{App, Call};

const NAME: &str = "levada";
const DESCRIPTION: &str =
    "An event platform in one binary: event intake, stream configuration, event streams";
const HOME: &str = env!("CARGO_PKG_REPOSITORY");

/// The version of this build.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn info(app: &App, part: Option<&str>, call: &Call) -> Response<Body> {
    let fields: &[(&str, &str)] = match part {
        None => &[
            ("name", NAME),
            ("version", VERSION),
            ("description", DESCRIPTION),
            ("home", HOME),
        ],
        Some("name") => &[("name", NAME)],
        Some("version") => &[("version", VERSION)],
        Some("home") => return redirect(app, StatusCode::MOVED_PERMANENTLY, HOME),
        Some(_) => return app.not_found(call),
    };
    json(app, StatusCode::OK, &object(fields))
}

pub(super) fn redirect(app: &App, status: StatusCode, to: &'static str) -> Response<Body> {
    let mut response = empty(status);
    response
        .headers_mut()
        .insert(LOCATION, HeaderValue::from_static(to));
    app.stream_headers(response.headers_mut());
    response
}

pub(super) fn robots(app: &App) -> Response<Body> {
    let mut response = plain(
        StatusCode::OK,
        "text/plain; charset=utf-8",
        "User-agent: *\nDisallow: /\n",
    );
    app.stream_headers(response.headers_mut());
    response
}

pub(super) fn livez(app: &App) -> Response<Body> {
    json(app, StatusCode::OK, &object(&[("status", "ok")]))
}

/// `GET /v2/status`: 200 with nothing (contract realtime §1.1).
pub(super) fn status(app: &App) -> Response<Body> {
    let mut response = empty(StatusCode::OK);
    app.stream_headers(response.headers_mut());
    response
}

/// A component that cannot serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unready {
    /// Its name.
    pub component: &'static str,
    /// What is wrong, for people.
    pub reason: String,
    /// What cannot be done because of it.
    pub hinders: Hinders,
}

/// What a component that is not ready keeps a server from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hinders {
    /// Taking events; what is stored can be read.
    Intake,
    /// Both taking events and giving them out.
    Everything,
}

/// 200 when every component that the direction needs (both directions, when none is named) can serve,
/// else 503 with what is wrong. Never produces an event.
pub(super) async fn readyz(app: &App, direction: Option<Direction>) -> Response<Body> {
    let unready = app.unready.clone();
    let mut unready = match tokio::task::spawn_blocking(move || unready()).await {
        Ok(unready) => unready,
        Err(error) => vec![everything("server", error.to_string())],
    };
    if app.shutdown.has_begun() {
        unready.push(everything("server", "shutting down".into()));
    }
    unready.retain(|u| direction != Some(Direction::Streams) || u.hinders == Hinders::Everything);
    if unready.is_empty() {
        return json(app, StatusCode::OK, &object(&[("status", "ok")]));
    }
    let mut fields = vec![("status", "unready")];
    fields.extend(unready.iter().map(|u| (u.component, u.reason.as_str())));
    json(app, StatusCode::SERVICE_UNAVAILABLE, &object(&fields))
}

fn everything(component: &'static str, reason: String) -> Unready {
    Unready {
        component,
        reason,
        hinders: Hinders::Everything,
    }
}

pub(super) fn metrics(app: &App) -> Response<Body> {
    plain(
        StatusCode::OK,
        "text/plain; version=0.0.4; charset=utf-8",
        (app.metrics)(),
    )
}

fn object(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (i, (name, value)) in fields.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_string(&mut out, name);
        out.push(b':');
        write_string(&mut out, value);
    }
    out.push(b'}');
    out
}

fn json(app: &App, status: StatusCode, body: &[u8]) -> Response<Body> {
    let mut response = plain(status, JSON, body.to_vec());
    app.stream_headers(response.headers_mut());
    response
}

//! `/?spec` and `/?doc`: the API's own description, made from what is declared
//! (contract eventstreams §3).

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderValue, Response, StatusCode};
use levada_catalog::Stream;
use levada_wire::ErrorCode;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::info::VERSION;
use super::respond::{Body, JSON, plain};
use super::{App, Call};

const BASE: &str = include_str!("openapi.json");
const DOC: &str = include_str!("doc.html");
const DOC_CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self' 'unsafe-inline'; connect-src *; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self';",
);

/// The description of the catalog's present version.
#[derive(Debug, Default)]
pub(crate) struct SpecCache {
    made: Mutex<Option<(String, Bytes)>>,
}

pub(super) async fn spec(app: &App) -> Response<Body> {
    let snapshot = app.catalog.snapshot();
    let known = app
        .spec
        .made
        .lock()
        .clone()
        .filter(|(version, _)| version == snapshot.version());
    let body = match known {
        Some((_, body)) => body,
        None => {
            let body = Bytes::from(build(app).await.to_string());
            *app.spec.made.lock() = Some((snapshot.version().to_owned(), body.clone()));
            body
        }
    };
    let mut response = plain(StatusCode::OK, JSON, body);
    app.stream_headers(response.headers_mut());
    response
}

/// The page. It is one file: any other that is asked for (`path=`) is not there (§1.1).
pub(super) fn doc(app: &App, call: &Call) -> Response<Body> {
    let query = call.request.uri().query().unwrap_or_default();
    if let Some(path) = query.split('&').find_map(|pair| pair.strip_prefix("path=")) {
        let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
        let detail = format!("{path} could not be found.");
        return app.problem(ErrorCode::NotFound, "not_found", "File not found", &detail, call);
    }
    let mut response = plain(StatusCode::OK, "text/html; charset=utf-8", DOC);
    app.stream_headers(response.headers_mut());
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, DOC_CSP);
    response
}

async fn build(app: &App) -> Value {
    let mut spec: Value = serde_json::from_str(BASE).unwrap_or_else(|e| json!({ "error": e.to_string() }));
    spec["info"]["version"] = VERSION.into();
    let snapshot = app.catalog.snapshot();
    let mut named: Vec<(String, Arc<Stream>)> = snapshot
        .streams()
        .iter()
        .filter(|stream| app.readable(&stream.name, stream))
        .map(|stream| (stream.name.clone(), stream.clone()))
        .collect();
    for alias in snapshot.aliases().keys() {
        if let Some(stream) = snapshot
            .resolve(alias)
            .filter(|stream| app.readable(alias, stream))
        {
            named.push((alias.clone(), stream));
        }
    }
    named.sort_by(|a, b| a.0.cmp(&b.0));
    let names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    let generic = spec["paths"]["/v2/stream/{streams}"]["get"].clone();
    spec["paths"]["/v2/stream/{streams}"]["get"]["parameters"][0]["schema"]["items"]["enum"] = json!(names);
    for (name, stream) in &named {
        let path = format!("/v2/stream/{name}");
        spec["paths"][&path] = json!({ "get": operation(app, &generic, name, stream).await });
    }
    spec
}

async fn operation(app: &App, generic: &Value, name: &str, stream: &Stream) -> Value {
    let mut operation = generic.clone();
    if let Some(parameters) = operation["parameters"].as_array_mut() {
        parameters.remove(0);
    }
    operation["summary"] = format!("{name} events").into();
    let mut description = stream
        .description
        .clone()
        .unwrap_or_else(|| format!("{name} events."));
    if name != stream.name {
        description.push_str(&format!("\n\n(NOTE: This stream is an alias of {})", stream.name));
    }
    if let Some(title) = &stream.schema_title {
        description.push_str(&format!("\n\nSchema title: {title}"));
    }
    operation["description"] = description.into();
    let schema = match (&stream.schema_uri, &stream.schema_title) {
        (Some(uri), _) => app.schemas.schema(uri).await,
        (None, Some(title)) => app.schemas.latest(title).await,
        (None, None) => return operation,
    };
    match schema {
        Ok(schema) => {
            let mut media = Map::new();
            media.insert("schema".into(), schema.for_openapi());
            if let Some(example) = schema.examples().first() {
                media.insert("example".into(), example.clone());
            }
            let media = Value::Object(media);
            operation["responses"]["200"]["content"] =
                json!({ "application/json": media.clone(), "text/event-stream": media });
        }
        Err(error) => tracing::debug!(stream = name, %error, "the description has no schema for a stream"),
    }
    operation
}

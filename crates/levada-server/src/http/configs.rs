//! Stream configuration over HTTP: the Action API's `streamconfigs` and EventGate's own view.

use http::header::IF_NONE_MATCH;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use levada_catalog::api::{self, ApiAnswer, Query};

use super::body::FORM_TIMEOUT;
use super::respond::Body;
use super::{App, Call};

/// Largest form body of a `streamconfigs` request.
const FORM_BYTES_MAX: usize = 1024 * 1024;

pub(super) async fn api(app: &App, call: Call) -> Response<Body> {
    let method = call.request.method().clone();
    let query = Query::parse(call.request.uri().query().unwrap_or_default());
    let known = call
        .request
        .headers()
        .get(IF_NONE_MATCH)
        .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
    let query = if method == Method::POST {
        let form = Limited::new(call.request.into_body(), FORM_BYTES_MAX).collect();
        let Ok(form) = tokio::time::timeout(FORM_TIMEOUT, form).await else {
            let info = "The form did not arrive in time.".to_owned();
            return response(app, api::unreadable_form(408, info));
        };
        match form {
            Ok(form) => query.with_form(&String::from_utf8_lossy(&form.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => {
                let info = format!(
                    "The form has more than {FORM_BYTES_MAX} bytes. Ask for fewer streams at a time."
                );
                return response(app, api::unreadable_form(413, info));
            }
            Err(error) => {
                let info = format!("The form could not be read to its end: {error}");
                return response(app, api::unreadable_form(400, info));
            }
        }
    } else {
        query
    };
    let snapshot = app.catalog.snapshot();
    let now = std::time::SystemTime::now();
    let answer = api::stream_configs(&snapshot, &query, known.as_deref(), now, &app.catalog_compat);
    App::headless(&method, response(app, answer))
}

pub(super) fn eventgate(app: &App, names: Option<&str>) -> Response<Body> {
    response(
        app,
        api::eventgate_stream_configs(&app.catalog.snapshot(), names, service(app)),
    )
}

/// The service whose streams the intake shows; all when it has no name.
fn service(app: &App) -> Option<&str> {
    Some(app.config.intake.service.as_str()).filter(|name| !name.is_empty())
}

fn response(app: &App, answer: ApiAnswer) -> Response<Body> {
    let mut response = Response::new(Body::Ready(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    app.stream_headers(response.headers_mut());
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

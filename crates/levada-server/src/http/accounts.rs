//! The account routes (`/v1/login` and the rest of contract realtime §3.1), handed over whole.

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use levada_accounts::Request;
use levada_accounts::limits::BODY_BYTES_MAX;

use super::access::credentials;
use super::body::FORM_TIMEOUT;
use super::respond::Body;
use super::{App, Call};

pub(super) async fn answer(app: &App, call: Call) -> Response<Body> {
    let Some(auth) = &app.auth else {
        let detail = "this server has no accounts: set auth.mode to \"optional\" or \"required\"";
        return app.message(StatusCode::NOT_FOUND, "Not Found", detail);
    };
    let sender = call.sender(app);
    let (parts, body) = call.request.into_parts();
    let body = match tokio::time::timeout(FORM_TIMEOUT, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            let detail = format!("a form of these routes has at most {BODY_BYTES_MAX} bytes");
            return app.message(StatusCode::PAYLOAD_TOO_LARGE, "Payload Too Large", &detail);
        }
        Err(_) => return app.message(StatusCode::REQUEST_TIMEOUT, "Request Timeout", ""),
    };
    // As routed: one slash between segments and none at the end, and fixed segments in lower case.
    let path: String = parts
        .uri
        .path()
        .split('/')
        .filter(|segment| !segment.is_empty())
        .flat_map(|segment| ["/".to_owned(), segment.to_ascii_lowercase()])
        .collect();
    let method = if parts.method == Method::HEAD {
        "GET"
    } else {
        parts.method.as_str()
    };
    let request = Request {
        method,
        path: &path,
        content_type: parts
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok()),
        credentials: credentials(&parts.headers, Some(sender)),
        body: &body,
    };
    let answer = auth.accounts.handle(&request).await;
    let mut response = Response::new(Body::Ready(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    app.stream_headers(response.headers_mut());
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    }
    App::headless(&parts.method, response)
}

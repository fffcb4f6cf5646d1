//! The account routes: cases 119 to 130 of the contract (realtime §8.10) and what §3.1 says beside.

use levada_accounts::limits::{REFRESH_LIFETIME, REFRESHES_MAX};
use levada_accounts::{Credentials, Request, Response};
use serde_json::{Value, json};

use crate::fixture::{Fixture, HERE, PASSWORD, assert_error, body, header, wrong};

const INTERNAL: &str = "Internal error, please try again later.";

async fn send(
    fixture: &Fixture,
    method: &str,
    path: &str,
    content_type: Option<&str>,
    body: &str,
) -> Response {
    let credentials = Credentials {
        peer: Some(HERE),
        ..Credentials::default()
    };
    let request = Request {
        method,
        path,
        content_type,
        credentials,
        body: body.as_bytes(),
    };
    fixture.accounts.handle(&request).await
}

#[tokio::test]
async fn case_119_login_gives_tokens() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &["group_3"]).await;
    let response = fixture
        .post("/v1/login", &json!({ "username": "ann", "password": PASSWORD }))
        .await;
    assert_eq!(response.status, 200);
    assert_eq!(header(&response, "cache-control"), Some("no-store"));
    let body = body(&response);
    let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["id_token", "access_token", "refresh_token", "expires_in"]);
    assert_eq!(body["expires_in"], 86_400);
    let principal = fixture
        .bearer(body["access_token"].as_str().unwrap())
        .await
        .unwrap();
    assert_eq!((principal.name(), principal.account()), ("ann", "user:ann"));
}

#[tokio::test]
async fn case_120_login_by_form() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &[]).await;
    let form = Some("application/x-www-form-urlencoded");
    let response = send(
        &fixture,
        "POST",
        "/v1/login",
        form,
        "username=Ann&password=correct+horse",
    )
    .await;
    assert_eq!(response.status, 200, "{}", body(&response));
}

#[tokio::test]
async fn case_121_wrong_passwords() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &[]).await;
    fixture.user("gone", &[]).await;
    fixture.admin.set_disabled("gone", true).await.unwrap();
    for (username, password) in [
        ("ann", "wrong"),
        ("nobody", PASSWORD),
        ("gone", PASSWORD),
        ("*", PASSWORD),
        ("a\0b", PASSWORD),
        (" ", " "),
    ] {
        let response = fixture
            .post(
                "/v1/login",
                &json!({ "username": username, "password": password }),
            )
            .await;
        assert_eq!(
            (response.status, &response.body[..]),
            (
                401,
                &b"{\"status\":401,\"message\":\"Incorrect username or password.\"}\n"[..]
            ),
            "{username}"
        );
    }
}

#[tokio::test]
async fn case_122_what_cannot_be_read() {
    let fixture = Fixture::new().await;
    let json_type = Some("application/json");
    let long = "x".repeat(256);
    for (body_text, detail) in [
        (r#"{"username":"ann"}"#.to_owned(), "password is missing"),
        (r#"{"password":"x"}"#.to_owned(), "username is missing"),
        (
            json!({ "username": long, "password": "x" }).to_string(),
            "username must have 1 to 255 characters",
        ),
        (
            json!({ "username": "ann", "password": "" }).to_string(),
            "password must have 1 to 255 characters",
        ),
        (
            json!({ "username": "ann", "password": 1 }).to_string(),
            "password is not a string",
        ),
        ("{".to_owned(), "the body is not JSON (line 1, column 1)"),
        ("[]".to_owned(), "the body is not a JSON object"),
        (String::new(), "username is missing"),
    ] {
        let response = send(&fixture, "POST", "/v1/login", json_type, &body_text).await;
        assert_error(&response, 422, INTERNAL);
        assert_eq!(body(&response)["detail"], detail, "{body_text}");
    }
    for (path, body_value) in [
        ("/v1/token-refresh", json!({ "username": "ann" })),
        (
            "/v1/token-refresh",
            json!({ "username": "ann", "refresh_token": "" }),
        ),
        ("/v1/token-revoke", json!({})),
        (
            "/v1/change-password",
            json!({ "access_token": "x", "previous_password": "12345", "proposed_password": PASSWORD }),
        ),
        (
            "/v1/change-password",
            json!({ "access_token": "x", "previous_password": PASSWORD, "proposed_password": "x".repeat(256) }),
        ),
        (
            "/v1/new-password-required",
            json!({ "username": "ann", "session": "x", "new_password": "12345" }),
        ),
        ("/v1/forgot-password", json!({})),
        (
            "/v1/forgot-password-confirm",
            json!({ "username": "ann", "password": "x", "confirmation_code": "x".repeat(2049) }),
        ),
    ] {
        assert_error(&fixture.post(path, &body_value).await, 422, INTERNAL);
    }
}

#[tokio::test]
async fn cases_123_and_126_refreshes() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &["group_3"]).await;
    let tokens = fixture.login("ann").await;
    let request = json!({ "username": "ann", "refresh_token": tokens.refresh });
    let response = fixture.post("/v1/token-refresh", &request).await;
    let answer = body(&response);
    assert_eq!(response.status, 200, "{answer}");
    let keys: Vec<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["id_token", "access_token", "expires_in"]);
    let access = answer["access_token"].as_str().unwrap();
    assert_ne!(access, tokens.access);
    assert_eq!(fixture.bearer(access).await.unwrap().name(), "ann");
    assert!(
        fixture.bearer(&tokens.access).await.is_ok(),
        "the old one goes on"
    );
}

#[tokio::test]
async fn case_124_refreshes_that_are_refused() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &[]).await;
    fixture.user("bob", &[]).await;
    let tokens = fixture.login("ann").await;
    for (username, token) in [
        ("bob", tokens.refresh.as_str()),
        ("ann", "unknown"),
        ("ann", "*"),
        ("nobody", &tokens.refresh),
        ("ann", &tokens.access),
    ] {
        let request = json!({ "username": username, "refresh_token": token });
        assert_error(
            &fixture.post("/v1/token-refresh", &request).await,
            401,
            "Unauthorized.",
        );
    }
    let request = json!({ "username": "ann", "refresh_token": tokens.refresh });
    fixture.clock.advance(REFRESH_LIFETIME);
    assert_error(
        &fixture.post("/v1/token-refresh", &request).await,
        401,
        "Unauthorized.",
    );
}

#[tokio::test]
async fn case_125_the_91st_refresh() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &[]).await;
    let request = json!({ "username": "ann", "refresh_token": fixture.login("ann").await.refresh });
    // Two at a time: the count holds also when they race.
    let mut outcomes = Vec::new();
    for _ in 0..=REFRESHES_MAX / 2 {
        let (one, two) = tokio::join!(
            fixture.post("/v1/token-refresh", &request),
            fixture.post("/v1/token-refresh", &request)
        );
        outcomes.extend([one, two]);
    }
    let good = outcomes.iter().filter(|response| response.status == 200).count();
    assert_eq!(good, usize::try_from(REFRESHES_MAX).unwrap());
    assert_error(
        outcomes.last().unwrap(),
        429,
        "Refresh tokens limit has been exceeded.",
    );
}

#[tokio::test]
async fn case_127_revocation_kills_all_tokens_of_the_session() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &["group_3"]).await;
    let (tokens, other) = (fixture.login("ann").await, fixture.login("ann").await);
    let request = json!({ "username": "ann", "refresh_token": tokens.refresh });
    let refreshed = body(&fixture.post("/v1/token-refresh", &request).await);
    let refreshed = refreshed["access_token"].as_str().unwrap();
    assert!(fixture.bearer(&tokens.access).await.is_ok() && fixture.bearer(refreshed).await.is_ok());
    let mut stream = fixture.accounts.watch(fixture.bearer(refreshed).await.unwrap());
    stream.check().await.unwrap();

    let response = fixture
        .post("/v1/token-revoke", &json!({ "refresh_token": tokens.refresh }))
        .await;
    assert_eq!((response.status, response.body.len()), (204, 0));
    for token in [refreshed, &tokens.access] {
        assert_eq!(
            wrong(fixture.bearer(token).await),
            "Access Token has been revoked"
        );
    }
    assert!(stream.check().await.is_err(), "open streams hear of it");
    assert_error(
        &fixture.post("/v1/token-refresh", &request).await,
        401,
        "Unauthorized.",
    );
    assert!(
        fixture.bearer(&other.access).await.is_ok(),
        "another session goes on"
    );
}

#[tokio::test]
async fn case_128_unknown_tokens_cannot_be_revoked() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &[]).await;
    let tokens = fixture.login("ann").await;
    for token in ["unknown", "*", "lvr_*", "lvr_?", "[a-z]*", tokens.access.as_str()] {
        let response = fixture
            .post("/v1/token-revoke", &json!({ "refresh_token": token }))
            .await;
        assert_error(&response, 401, "Unauthorized");
    }
    assert!(
        fixture.bearer(&tokens.access).await.is_ok(),
        "globs revoke nothing"
    );
    assert_error(
        &fixture
            .post("/v1/token-revoke", &json!({ "refresh_token": "" }))
            .await,
        422,
        INTERNAL,
    );
}

#[tokio::test]
async fn case_129_status_and_what_is_not_there() {
    let fixture = Fixture::new().await;
    let response = send(&fixture, "GET", "/v1/status", None, "").await;
    assert_eq!((response.status, response.body.len()), (200, 0));
    for (method, path) in [
        ("GET", "/v1/login"),
        ("DELETE", "/v1/login"),
        ("POST", "/v1/status"),
        ("POST", "/v1/nothing"),
        ("GET", "/"),
    ] {
        assert_error(&send(&fixture, method, path, None, "").await, 404, "Not Found");
    }
    for (method, path) in [
        ("POST", "/v1/create-user"),
        ("POST", "/v1/confirm-user"),
        ("POST", "/v1/resend-confirm"),
        ("GET", "/v1/captcha"),
        ("GET", "/v1/captcha/abc"),
    ] {
        let response = send(&fixture, method, path, None, "").await;
        assert_error(&response, 501, "Not Implemented");
        assert!(
            body(&response)["detail"]
                .as_str()
                .unwrap()
                .contains("levada user add")
        );
    }
}

#[tokio::test]
async fn every_listed_route_is_answered() {
    let fixture = Fixture::new().await;
    for (method, path) in levada_accounts::ROUTES {
        let path = path.replace("{identifier}", "x");
        assert_ne!(
            send(&fixture, method, &path, None, "").await.status,
            404,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn case_130_guessing_is_slowed_down() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &[]).await;
    let guess = |password: &str| json!({ "username": "ann", "password": password });
    for _ in 0..=5 {
        assert_eq!(fixture.post("/v1/login", &guess("wrong")).await.status, 401);
    }
    let response = fixture.post("/v1/login", &guess(PASSWORD)).await;
    assert_error(&response, 429, "Password attempts exceeded");
    assert_eq!(header(&response, "retry-after"), Some("1"));
    fixture.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(fixture.post("/v1/login", &guess(PASSWORD)).await.status, 200);
    let stats = fixture.accounts.stats();
    assert_eq!((stats.logins, stats.wrong_passwords, stats.locked_out), (1, 6, 1));
}

#[tokio::test]
async fn get_user_tells_what_one_may_do() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &["group_1", "group_3"]).await;
    fixture.user("bob", &["group_1"]).await;
    async fn ask(fixture: &Fixture, authorization: Option<String>) -> Response {
        let authorization = authorization.as_deref().map(str::as_bytes);
        let credentials = Credentials {
            authorization,
            ..Credentials::default()
        };
        let request = Request {
            method: "POST",
            path: "/v1/get-user",
            credentials,
            ..Request::default()
        };
        fixture.accounts.handle(&request).await
    }
    let ann = fixture.login("ann").await.access;
    let response = ask(&fixture, Some(format!("Bearer {ann}"))).await;
    let answer = body(&response);
    assert_eq!((response.status, &answer["username"]), (200, &Value::from("ann")));
    assert_eq!(answer["groups"], json!(["group_1", "group_3"]));
    assert_eq!(
        answer["apis"][0],
        json!({ "path": "/v2/articles", "method": "GET" })
    );
    for count in ["ondemand", "snapshot", "chunk"] {
        assert!(
            answer[format!("{count}_requests_count")].is_u64() && answer[format!("{count}_limit")].is_u64()
        );
    }
    let bob = fixture.login("bob").await.access;
    assert_error(
        &ask(&fixture, Some(format!("Bearer {bob}"))).await,
        500,
        "User has no allocated permissions!",
    );
    assert_error(&ask(&fixture, None).await, 401, "Unauthorized");
    assert_error(&ask(&fixture, Some("Bearer x".into())).await, 401, "Unauthorized");
}

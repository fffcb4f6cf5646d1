//! What attackers try: forged tokens, foreign tokens, floods, and reading what is not theirs.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use levada_accounts::limits::{ATTEMPTS_IN_FLIGHT_MAX, BODY_BYTES_MAX, TOKEN_BYTES_MAX};
use levada_accounts::store::Kind;
use levada_accounts::{Accounts, AuthError, Credentials, EmbeddedStore, Request};
use serde_json::{Value, json};

use crate::fixture::{Fixture, PASSWORD, bearer, body, login, post_from, settings, wrong};

/// A token with other claims or another header, and the old signature.
fn altered(token: &str, header: impl FnOnce(&mut Value), claims: impl FnOnce(&mut Value)) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let alter = |part: &mut String, value: &mut dyn FnMut(&mut Value)| {
        let mut json: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(&*part).unwrap()).unwrap();
        value(&mut json);
        *part = URL_SAFE_NO_PAD.encode(json.to_string());
    };
    let (mut header, mut claims) = (Some(header), Some(claims));
    alter(&mut parts[0], &mut |value| header.take().unwrap()(value));
    alter(&mut parts[1], &mut |value| claims.take().unwrap()(value));
    parts.join(".")
}

#[tokio::test]
async fn case_6_tokens_for_another_client() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &["group_3"]).await;
    let other = fixture
        .beside(|settings| settings.client_id = "other".into())
        .await;
    let token = login(&other, "ann").await.access;
    assert!(bearer(&other, &token).await.is_ok());
    assert_eq!(wrong(fixture.bearer(&token).await), "incorrect client id");
}

#[tokio::test]
async fn case_7_algorithms_of_the_attackers_choice() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &["group_3"]).await;
    let token = fixture.login("ann").await.access;
    for alg in ["none", "NONE", "HS256", "RS512", "ES256"] {
        let forged = altered(&token, |header| header["alg"] = alg.into(), |_| {});
        assert_eq!(
            wrong(fixture.bearer(&forged).await),
            format!("unexpected signing method: {alg}")
        );
        let (unsigned, _) = forged.rsplit_once('.').unwrap();
        assert!(fixture.bearer(&format!("{unsigned}.")).await.is_err());
    }
    // The key set that everyone may read, used as the password of an HMAC.
    let public = fixture.accounts.public_keys().await.unwrap()["keys"][0]["n"]
        .as_str()
        .unwrap()
        .to_owned();
    for secret in [public.as_bytes(), &URL_SAFE_NO_PAD.decode(&public).unwrap()] {
        let forged = altered(&token, |header| header["alg"] = "HS256".into(), |_| {});
        let (signed, _) = forged.rsplit_once('.').unwrap();
        let tag = ring::hmac::sign(
            &ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret),
            signed.as_bytes(),
        );
        let forged = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag));
        assert_eq!(
            wrong(fixture.bearer(&forged).await),
            "unexpected signing method: HS256"
        );
    }
}

#[tokio::test]
async fn case_8_issuers_of_the_attackers_choice() {
    // A whole foreign installation, with its own key, that issues in its own name and in ours.
    let fixture = Fixture::new().await;
    fixture.user("ann", &["group_3"]).await;
    for issuer in ["https://attacker.example", "levada"] {
        let store = Arc::new(EmbeddedStore::in_memory().unwrap());
        let foreign = settings(&fixture.clock);
        let attacker = Accounts::open(
            store,
            levada_accounts::Settings {
                issuer: issuer.into(),
                ..foreign
            },
        )
        .await
        .unwrap();
        attacker
            .admin()
            .add_user(crate::fixture::new_user("ann", &["group_3"]))
            .await
            .unwrap();
        let token = login(&attacker, "ann").await.access;
        assert!(bearer(&attacker, &token).await.is_ok());
        assert_eq!(wrong(fixture.bearer(&token).await), "key not found");
    }
    // Our key, another issuer: the name is pinned as well.
    let renamed = fixture
        .beside(|settings| settings.issuer = "https://attacker.example".into())
        .await;
    let token = login(&renamed, "ann").await.access;
    assert_eq!(wrong(fixture.bearer(&token).await), "incorrect issuer");
}

#[tokio::test]
async fn changed_claims_are_noticed_also_beside_a_remembered_token() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &["group_1"]).await;
    fixture.user("boss", &["admins"]).await;
    let token = fixture.login("ann").await.access;
    assert!(fixture.bearer(&token).await.is_ok());
    let forged = altered(&token, |_| {}, |claims| claims["username"] = "boss".into());
    assert_eq!(
        wrong(fixture.bearer(&forged).await),
        "crypto/rsa: verification error"
    );
    let forged = altered(
        &token,
        |_| {},
        |claims| claims["cognito:groups"] = json!(["admins"]),
    );
    assert_eq!(
        wrong(fixture.bearer(&forged).await),
        "crypto/rsa: verification error"
    );
}

#[tokio::test]
async fn id_and_refresh_tokens_open_nothing() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &["group_3"]).await;
    let tokens = fixture.login("ann").await;
    assert!(fixture.bearer(&tokens.id).await.is_err());
    assert!(fixture.bearer(&tokens.refresh).await.is_err());
    let change = json!({ "access_token": tokens.id, "previous_password": PASSWORD, "proposed_password": "another one" });
    assert_eq!(fixture.post("/v1/change-password", &change).await.status, 401);
}

#[tokio::test]
async fn patterns_in_credentials_are_plain_text() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &["group_3"]).await;
    fixture.login("ann").await;
    for shown in [
        "*",
        "lvd_*_*",
        "lvd_%_%",
        "lvd_[a-z]*_x",
        "address:0",
        "lvr_*",
        "' OR 1=1 --",
        "lvd_\u{0}_x",
    ] {
        assert!(
            matches!(fixture.bearer(shown).await, Err(AuthError::Wrong(_))),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn oversized_requests_are_refused_early() {
    let fixture = Fixture::new().await;
    assert!(wrong(fixture.bearer(&"a".repeat(TOKEN_BYTES_MAX + 1)).await).contains("too long"));
    let long = vec![b'x'; BODY_BYTES_MAX + 1];
    let request = Request {
        method: "POST",
        path: "/v1/login",
        body: &long,
        ..Request::default()
    };
    assert_eq!(fixture.accounts.handle(&request).await.status, 422);
    let deep = "[".repeat(60_000);
    let request = Request {
        body: deep.as_bytes(),
        content_type: Some("application/json"),
        ..request
    };
    assert_eq!(fixture.accounts.handle(&request).await.status, 422);
}

#[tokio::test]
async fn a_burst_of_guesses_is_counted_before_it_is_checked() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &[]).await;
    let mut burst = tokio::task::JoinSet::new();
    for n in 0..200 {
        let accounts = fixture.accounts.clone();
        burst.spawn(async move {
            let guess = json!({ "username": "ann", "password": format!("guess {n}") });
            let peer = Some(std::net::IpAddr::from([203, 0, 113, n]));
            post_from(&accounts, "/v1/login", &guess, peer).await.status
        });
    }
    let mut checked = 0;
    while let Some(status) = burst.join_next().await {
        checked += u32::from(status.unwrap() == 401);
    }
    assert!(
        checked <= ATTEMPTS_IN_FLIGHT_MAX + 6,
        "{checked} of 200 guesses were checked"
    );
}

#[tokio::test]
async fn a_flood_of_names_from_one_address_stops() {
    let fixture = Fixture::new().await;
    let mut statuses = Vec::new();
    for n in 0..60 {
        let guess = json!({ "username": format!("user{n}"), "password": "guess" });
        statuses.push(fixture.post("/v1/login", &guess).await.status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 51);
    assert_eq!(statuses.last(), Some(&429));
}

#[tokio::test]
async fn secrets_are_in_no_record_and_no_debug_text() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &["group_3"]).await;
    let tokens = fixture.login("ann").await;
    let new = levada_accounts::NewApiKey {
        name: "m".into(),
        scopes: vec![levada_accounts::Scope::Admin],
        ..Default::default()
    };
    let (_, key) = fixture.admin.add_key(new).await.unwrap();
    let code = fixture.admin.reset_code("ann").await.unwrap();
    let secrets = [
        PASSWORD,
        &tokens.access,
        &tokens.id,
        &tokens.refresh,
        key.expose(),
        code.expose(),
    ];
    let mut seen = format!("{:?} {:?} {:?}", fixture.accounts, fixture.admin, key);
    for kind in [
        Kind::User,
        Kind::Session,
        Kind::Refresh,
        Kind::Code,
        Kind::Key,
        Kind::Keyring,
    ] {
        for record in fixture.store.list(kind, None, None, 100).await.unwrap() {
            seen.push_str(&format!("{record:?}"));
            seen.push_str(&record.json);
        }
    }
    for secret in secrets {
        assert!(!seen.contains(secret));
    }
    let credentials = Credentials {
        authorization: Some(tokens.access.as_bytes()),
        ..Credentials::default()
    };
    let request = Request {
        body: PASSWORD.as_bytes(),
        credentials,
        ..Request::default()
    };
    let shown = format!("{request:?} {:?}", fixture.accounts.handle(&request).await);
    assert!(!shown.contains(PASSWORD) && !shown.contains(&tokens.access));
}

#[tokio::test]
async fn answers_about_users_are_alike() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &[]).await;
    let ask = async |path: &str, name: &str| {
        let request = json!({ "username": name, "password": "x", "session": "x", "new_password": "12345678",
                              "refresh_token": "x", "confirmation_code": "x" });
        let response = fixture.post(path, &request).await;
        (response.status, body(&response))
    };
    for path in [
        "/v1/login",
        "/v1/token-refresh",
        "/v1/new-password-required",
        "/v1/forgot-password-confirm",
    ] {
        assert_eq!(ask(path, "ann").await, ask(path, "nobody").await, "{path}");
    }
}

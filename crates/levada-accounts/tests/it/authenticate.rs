//! From credentials to rights: cases 3 to 14 of the contract (realtime §8.1), as far as they are
//! decided here.

use std::sync::Arc;
use std::time::Duration;

use levada_accounts::limits::ACCESS_LIFETIME;
use levada_accounts::store::{Change, Expect, Kind};
use levada_accounts::{
    Action, AddressList, AuthError, Credentials, NewApiKey, Principal, Rotation, Scope, StoreError, Via,
};
use serde_json::json;

use crate::fixture::{Fixture, assert_error, body, new_user, wrong};

fn articles(principal: &Principal, method: &str) -> Result<(), AuthError> {
    principal.require(method, "/v2/articles", Some("articles"), Action::Read)
}

async fn shown(
    fixture: &Fixture,
    authorization: Option<&str>,
    key: Option<&str>,
) -> Result<Arc<Principal>, AuthError> {
    let credentials = Credentials {
        authorization: authorization.map(str::as_bytes),
        api_key: key.map(str::as_bytes),
        peer: None,
    };
    fixture.accounts.authenticate(&credentials).await
}

#[tokio::test]
async fn case_3_no_credentials() {
    let fixture = Fixture::new().await;
    for authorization in [None, Some(""), Some("Bearer"), Some("Bearer "), Some("  ")] {
        assert_eq!(
            shown(&fixture, authorization, None).await,
            Err(AuthError::Missing),
            "{authorization:?}"
        );
    }
    let response = AuthError::Missing.to_response();
    assert_eq!(
        &response.body[..],
        b"{\"status\":401,\"message\":\"Unauthorized\"}\n"
    );
}

#[tokio::test]
async fn case_4_garbage() {
    let fixture = Fixture::new().await;
    for garbage in [
        "Bearer garbage",
        "Bearer a.b.c",
        "Basic YTpi",
        "Bearer \u{fe}\u{ff}",
        "Bearer lvd_",
        "lvd_a_b",
    ] {
        let error = shown(&fixture, Some(garbage), None).await.unwrap_err();
        assert!(matches!(error, AuthError::Wrong(_)), "{garbage} {error:?}");
        assert_error(&error.to_response(), 401, &error.to_string());
    }
    assert_eq!(fixture.accounts.stats().refused, 6);
}

#[tokio::test]
async fn case_5_tokens_expire_also_from_memory() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &["group_3"]).await;
    let token = fixture.login("ann").await.access;
    fixture.clock.advance(ACCESS_LIFETIME - Duration::from_secs(1));
    assert!(fixture.bearer(&token).await.is_ok());
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(wrong(fixture.bearer(&token).await), "token is expired");
}

#[tokio::test]
async fn cases_9_and_10_groups_decide() {
    let fixture = Fixture::new().await;
    for (name, groups, allowed) in [
        ("none", &[][..], false),
        ("one", &["group_1"], false),
        ("two", &["group_1", "group_2"], false),
        ("three", &["group_3"], true),
        ("both", &["group_1", "group_3"], true),
        ("boss", &["admins"], true),
        ("writer", &["publishers"], false),
    ] {
        fixture.user(name, groups).await;
        let principal = fixture.bearer(&fixture.login(name).await.access).await.unwrap();
        assert_eq!(articles(&principal, "GET").is_ok(), allowed, "{name}");
        assert_eq!(articles(&principal, "POST").is_ok(), allowed, "{name}");
        let published = principal.may("POST", "/v1/events", Some("x"), Action::Write);
        assert_eq!(published, matches!(name, "boss" | "writer"), "{name}");
        assert_eq!(
            principal.may("GET", "/v1/users", None, Action::Admin),
            name == "boss",
            "{name}"
        );
    }
    assert_error(&AuthError::Forbidden.to_response(), 403, "Forbidden");
}

#[tokio::test]
async fn case_11_bare_tokens() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &["group_3"]).await;
    let token = fixture.login("ann").await.access;
    for form in [
        token.clone(),
        format!("Bearer {token}"),
        format!("bearer {token}"),
        format!(" Bearer  {token} "),
    ] {
        assert_eq!(shown(&fixture, Some(&form), None).await.unwrap().name(), "ann");
    }
    let stats = fixture.accounts.stats();
    assert_eq!((stats.recognised, stats.recognised_from_memory), (1, 3));
}

#[tokio::test]
async fn cases_13_and_14_other_methods_and_paths() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &["group_3"]).await;
    let principal = fixture.bearer(&fixture.login("ann").await.access).await.unwrap();
    for method in ["PUT", "DELETE", "PATCH"] {
        assert_eq!(articles(&principal, method), Err(AuthError::Forbidden));
    }
    assert!(!principal.may("GET", "/v2/unknown", None, Action::Read));
    assert!(principal.may(
        "GET",
        "/v2/streams/recentchange",
        Some("recentchange"),
        Action::Read
    ));
    assert!(principal.may("GET", "/v2/streams/x/positions", Some("x"), Action::Read));
}

#[tokio::test]
async fn case_105_the_end_of_a_token_cuts_no_open_stream() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &["group_3"]).await;
    let tokens = fixture.login("ann").await;
    let mut stream = fixture
        .accounts
        .watch(fixture.bearer(&tokens.access).await.unwrap());
    fixture.clock.advance(Duration::from_secs(25 * 3600));
    assert!(
        fixture.bearer(&tokens.access).await.is_err(),
        "the token has ended"
    );
    assert!(articles(stream.check().await.unwrap(), "GET").is_ok());
    let revoked = fixture
        .post("/v1/token-revoke", &json!({"refresh_token": tokens.refresh}))
        .await;
    assert_eq!(revoked.status, 204);
    assert!(stream.check().await.is_err(), "the session has");
}

#[tokio::test]
async fn rights_are_those_of_now() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &["group_3"]).await;
    let token = fixture.login("ann").await.access;
    let mut stream = fixture.accounts.watch(fixture.bearer(&token).await.unwrap());
    assert!(articles(stream.check().await.unwrap(), "GET").is_ok());
    fixture
        .admin
        .change_groups("ann", &[], &["group_3".into()])
        .await
        .unwrap();
    assert!(
        articles(&fixture.bearer(&token).await.unwrap(), "GET").is_err(),
        "a group taken away"
    );
    assert!(
        articles(stream.check().await.unwrap(), "GET").is_err(),
        "open streams learn of it"
    );
    fixture
        .admin
        .change_groups("ann", &["group_1".into()], &[])
        .await
        .unwrap();
    let scope: Scope = "stream:articles:read".parse().unwrap();
    fixture
        .admin
        .change_group("group_1", std::slice::from_ref(&scope), &[])
        .await
        .unwrap();
    assert!(
        articles(&fixture.bearer(&token).await.unwrap(), "GET").is_ok(),
        "a scope given to a group"
    );
    fixture.admin.remove_group("group_1").await.unwrap();
    assert!(
        articles(&fixture.bearer(&token).await.unwrap(), "GET").is_err(),
        "a group that is gone"
    );
    fixture.admin.set_disabled("ann", true).await.unwrap();
    assert_eq!(wrong(fixture.bearer(&token).await), "User is disabled.");
    fixture.admin.set_disabled("ann", false).await.unwrap();
    assert_eq!(
        wrong(fixture.bearer(&token).await),
        "Access Token has been revoked"
    );
}

#[tokio::test]
async fn a_new_user_of_an_old_name_inherits_nothing() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &["group_3"]).await;
    let tokens = fixture.login("ann").await;
    let scopes = vec!["stream:*:read".parse().unwrap()];
    let new = NewApiKey {
        name: "k".into(),
        user: Some("ann".into()),
        scopes,
        expires_at: None,
    };
    let (_, key) = fixture.admin.add_key(new).await.unwrap();
    // Only the user goes, as when a removal is cut off before the sessions and keys are gone.
    let change = Change {
        kind: Kind::User,
        id: "ann".into(),
        expect: Expect::Any,
        to: None,
    };
    fixture.store.write(&[change]).await.unwrap();
    assert!(fixture.bearer(&tokens.access).await.is_err() && fixture.bearer(key.expose()).await.is_err());
    fixture.user("ann", &["group_3"]).await;
    assert!(fixture.bearer(&tokens.access).await.is_err());
    assert!(fixture.bearer(key.expose()).await.is_err());
    let refresh = json!({ "username": "ann", "refresh_token": tokens.refresh });
    assert_eq!(fixture.post("/v1/token-refresh", &refresh).await.status, 401);
}

#[tokio::test]
async fn api_keys_are_bounded_by_scopes_time_and_user() {
    let fixture = Fixture::new().await;
    let end = fixture.clock.now().plus_millis(60_000);
    let new = NewApiKey {
        name: "producer".into(),
        user: None,
        scopes: vec!["stream:recentchange:write".parse().unwrap()],
        expires_at: Some(end),
    };
    let (id, key) = fixture.admin.add_key(new.clone()).await.unwrap();
    assert!(key.expose().starts_with(&format!("lvd_{id}_")));
    let principal = shown(&fixture, None, Some(key.expose())).await.unwrap();
    assert_eq!((principal.via(), principal.account()), (Via::Key, "key:producer"));
    assert!(principal.may("POST", "/v1/events", Some("recentchange"), Action::Write));
    assert!(!principal.may("POST", "/v1/events", Some("articles"), Action::Write));
    assert!(!principal.may(
        "GET",
        "/v2/streams/recentchange",
        Some("recentchange"),
        Action::Read
    ));
    assert!(
        fixture.bearer(key.expose()).await.is_ok(),
        "Authorization takes keys too"
    );
    let other_id = key.expose().replace(&id, "aaaaaaaaaaaa");
    assert_eq!(
        wrong(shown(&fixture, None, Some(&other_id)).await),
        "API key not found"
    );
    let mut guess = key.expose().to_owned();
    guess.pop();
    guess.push('!');
    assert_eq!(
        wrong(shown(&fixture, None, Some(&guess)).await),
        "API key not found"
    );

    fixture.accounts.maintain().await.unwrap();
    let info = fixture.admin.keys(None, None).await.unwrap().remove(0);
    assert_eq!(
        (info.id.as_str(), info.last_used_at),
        (id.as_str(), Some(fixture.clock.now()))
    );
    // A key ends by itself, also for a stream that is open and although nothing else changes.
    let mut stream = fixture
        .accounts
        .watch(fixture.bearer(key.expose()).await.unwrap());
    assert!(stream.check().await.is_ok());
    fixture.clock.advance(Duration::from_secs(60));
    assert_eq!(wrong(fixture.bearer(key.expose()).await), "API key is expired");
    assert!(stream.check().await.is_err());

    fixture.user("ann", &["group_1"]).await;
    let of_ann = NewApiKey {
        user: Some("ann".into()),
        expires_at: None,
        scopes: vec![Scope::Admin],
        ..new
    };
    let (_, key) = fixture.admin.add_key(of_ann).await.unwrap();
    let principal = fixture.bearer(key.expose()).await.unwrap();
    assert_eq!(principal.account(), "user:ann");
    assert!(articles(&principal, "GET").is_err(), "no more than ann may");
    fixture
        .admin
        .change_groups("ann", &["group_3".into()], &[])
        .await
        .unwrap();
    let mut stream = fixture.accounts.watch(principal);
    assert!(articles(stream.check().await.unwrap(), "GET").is_ok());
    fixture.admin.set_disabled("ann", true).await.unwrap();
    assert_eq!(wrong(fixture.bearer(key.expose()).await), "User is disabled.");
    assert!(stream.check().await.is_err());
}

#[tokio::test]
async fn api_keys_rotate_with_overlap_and_go_when_told() {
    let fixture = Fixture::new().await;
    let new = NewApiKey {
        name: "m".into(),
        scopes: vec![Scope::Admin],
        ..NewApiKey::default()
    };
    let (old_id, old) = fixture.admin.add_key(new).await.unwrap();
    let (new_id, new) = fixture
        .admin
        .rotate_key(&old_id, Duration::from_secs(60))
        .await
        .unwrap();
    assert!(fixture.bearer(old.expose()).await.is_ok());
    assert_eq!(fixture.bearer(new.expose()).await.unwrap().account(), "key:m");
    assert!(
        fixture.admin.rotate_key(&old_id, Duration::ZERO).await.is_err(),
        "replaced already"
    );
    fixture.clock.advance(Duration::from_secs(60));
    assert!(fixture.bearer(old.expose()).await.is_err());
    assert!(fixture.bearer(new.expose()).await.is_ok());
    fixture.admin.remove_key(&new_id).await.unwrap();
    assert_eq!(wrong(fixture.bearer(new.expose()).await), "API key not found");
}

#[tokio::test]
async fn every_credential_that_is_shown_must_be_good() {
    let list = r#"[{"ip_range":{"start":"198.51.100.0","end":"198.51.100.255"},"user":{"username":"lan","groups":["group_3","no-such-group"]}}]"#;
    let fixture = Fixture::with(|settings| settings.addresses = AddressList::parse_json(list).unwrap()).await;
    fixture.user("ann", &["group_3"]).await;
    let token = fixture.login("ann").await.access;
    let new = NewApiKey {
        name: "m".into(),
        scopes: vec![Scope::Admin],
        ..NewApiKey::default()
    };
    let (_, key) = fixture.admin.add_key(new).await.unwrap();
    let peer = "198.51.100.7".parse().ok();
    let ask = |authorization: Option<&'static str>, api_key: Option<&'static str>, peer| {
        let accounts = fixture.accounts.clone();
        async move {
            let authorization = authorization.map(str::as_bytes);
            accounts
                .authenticate(&Credentials {
                    authorization,
                    api_key: api_key.map(str::as_bytes),
                    peer,
                })
                .await
        }
    };
    let (token, key): (&'static str, &'static str) = (
        Box::leak(token.into_boxed_str()),
        Box::leak(key.into_exposed().into_boxed_str()),
    );
    let lan = ask(None, None, peer).await.unwrap();
    assert_eq!((lan.via(), lan.account()), (Via::Address, "user:lan"));
    assert!(articles(&lan, "GET").is_ok());
    assert_eq!(
        ask(None, None, "198.51.101.7".parse().ok()).await,
        Err(AuthError::Missing)
    );
    assert_eq!(ask(Some(token), None, peer).await.unwrap().name(), "ann");
    assert_eq!(ask(Some(token), Some(key), None).await.unwrap().name(), "ann");
    assert!(matches!(
        ask(Some("x"), None, peer).await,
        Err(AuthError::Wrong(_))
    ));
    assert!(matches!(
        ask(Some(token), Some("lvd_x_y"), None).await,
        Err(AuthError::Wrong(_))
    ));
    assert!(matches!(
        ask(Some("x"), Some(key), None).await,
        Err(AuthError::Wrong(_))
    ));
    assert!(
        matches!(ask(None, Some(token), None).await, Err(AuthError::Wrong(_))),
        "a token is no key"
    );
    fixture.admin.remove_group("group_3").await.unwrap();
    assert!(
        articles(&ask(None, None, peer).await.unwrap(), "GET").is_err(),
        "group changes count here too"
    );
}

#[tokio::test]
async fn signing_keys_rotate_under_running_sessions() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &["group_3"]).await;
    let before = fixture.login("ann").await;
    let first = fixture.admin.signing_keys().await.unwrap().remove(0).kid;
    let second = fixture.admin.rotate_signing_key(Rotation::Overlap).await.unwrap();
    let after = fixture.login("ann").await;
    let kid = |token: &str| {
        let public = base64::Engine::decode(
            &base64::engine::general_purpose::URL_SAFE_NO_PAD,
            token.split('.').next().unwrap(),
        );
        serde_json::from_slice::<serde_json::Value>(&public.unwrap()).unwrap()["kid"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!((kid(&before.access), kid(&after.access)), (first, second.clone()));
    assert!(fixture.bearer(&before.access).await.is_ok() && fixture.bearer(&after.access).await.is_ok());
    let public = fixture.accounts.public_keys().await.unwrap();
    assert_eq!(public["keys"].as_array().unwrap().len(), 2);

    fixture.admin.rotate_signing_key(Rotation::AtOnce).await.unwrap();
    for tokens in [&before, &after] {
        assert_eq!(wrong(fixture.bearer(&tokens.access).await), "key not found");
    }
    // The sessions live on: a refresh gives a token of the new key.
    let refresh = json!({ "username": "ann", "refresh_token": before.refresh });
    let answer = body(&fixture.post("/v1/token-refresh", &refresh).await);
    assert!(
        fixture
            .bearer(answer["access_token"].as_str().unwrap())
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn maintenance_replaces_old_signing_keys_and_removes_what_ended() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &[]).await;
    fixture.login("ann").await;
    assert_eq!(
        fixture.accounts.maintain().await.unwrap(),
        levada_accounts::Maintained::default()
    );
    fixture
        .clock
        .advance(levada_accounts::limits::SIGNING_KEY_LIFETIME);
    let done = fixture.accounts.maintain().await.unwrap();
    assert!(done.rotated);
    assert!(!fixture.accounts.maintain().await.unwrap().rotated);
    fixture.login("ann").await;
    fixture.clock.advance(ACCESS_LIFETIME * 2);
    let purged = fixture.accounts.maintain().await.unwrap().purged + done.purged;
    assert_eq!(purged, 2, "the first session and its refresh token");
    assert_eq!(fixture.admin.sessions("ann").await.unwrap().len(), 1);
}

#[tokio::test]
async fn nobody_is_let_in_while_the_store_is_silent() {
    let Some(url) = crate::postgres::database().await else {
        return;
    };
    let store = Arc::new(levada_accounts::PostgresStore::open(&url).await.unwrap());
    let fixture = Fixture::over(store, |_| {}).await;
    fixture.user("ann", &["group_3"]).await;
    let token = fixture.login("ann").await.access;
    assert!(fixture.bearer(&token).await.is_ok());
    let (client, connection) = tokio_postgres::connect(url.expose(), tokio_postgres::NoTls)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    client
        .batch_execute("ALTER TABLE levada_accounts_state RENAME TO elsewhere")
        .await
        .unwrap();
    assert!(
        fixture.bearer(&token).await.is_ok(),
        "within the bound memory answers"
    );
    fixture.clock.advance(levada_accounts::limits::SHARED_FRESHNESS);
    let error = fixture.bearer(&token).await.unwrap_err();
    assert!(
        matches!(error, AuthError::Unavailable(StoreError::Unavailable(_))),
        "{error:?}"
    );
    assert_eq!(error.status(), 503);
    client
        .batch_execute("ALTER TABLE elsewhere RENAME TO levada_accounts_state")
        .await
        .unwrap();
    fixture.clock.advance(levada_accounts::limits::SHARED_FRESHNESS);
    assert!(fixture.bearer(&token).await.is_ok());
    drop(client);
    connection.await.unwrap().unwrap();
}

/// Not a test: says what a remembered token costs. `cargo test -- --ignored --nocapture cost_of`.
#[tokio::test]
#[ignore = "measures, asserts nothing"]
async fn cost_of_a_remembered_token() {
    let fixture = Fixture::with(|settings| settings.clock = levada_accounts::Clock::system()).await;
    fixture
        .admin
        .ensure_user(new_user("ann", &["group_3"]))
        .await
        .unwrap();
    let value = format!("Bearer {}", fixture.login("ann").await.access);
    let credentials = Credentials {
        authorization: Some(value.as_bytes()),
        ..Credentials::default()
    };
    const ROUNDS: u32 = 200_000;
    let start = std::time::Instant::now();
    for _ in 0..ROUNDS {
        std::hint::black_box(fixture.accounts.authenticate(&credentials).await).unwrap();
    }
    println!("{:?} for each of {ROUNDS}", start.elapsed() / ROUNDS);
}

//! Changing and resetting passwords.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use levada_accounts::limits::{CHALLENGE_LIFETIME, RESET_CODE_LIFETIME};
use levada_accounts::{NewUser, Notice, Notifier, NotifyError, Outbox, PasswordCost};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::fixture::{Fixture, PASSWORD, assert_error, body, new_user, post, wrong};

const NEW: &str = "battery staple";

fn credentials(username: &str, password: &str) -> Value {
    json!({ "username": username, "password": password })
}

#[tokio::test]
async fn a_changed_password_ends_all_other_sessions() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &["group_3"]).await;
    let (own, other) = (fixture.login("ann").await, fixture.login("ann").await);
    let change = |previous: &str, proposed: &str| json!({ "access_token": own.access, "previous_password": previous, "proposed_password": proposed });
    let refused = fixture
        .post("/v1/change-password", &change("not this", NEW))
        .await;
    assert_error(&refused, 401, "Incorrect username or password.");
    let short = fixture
        .post("/v1/change-password", &change(PASSWORD, "seven77"))
        .await;
    assert_error(&short, 401, "Incorrect username or password.");
    assert!(body(&short)["detail"].as_str().unwrap().contains("8 characters"));
    let key = json!({ "access_token": "lvd_x_y", "previous_password": PASSWORD, "proposed_password": NEW });
    assert_error(
        &fixture.post("/v1/change-password", &key).await,
        401,
        "Incorrect username or password.",
    );

    assert_eq!(
        fixture
            .post("/v1/change-password", &change(PASSWORD, NEW))
            .await
            .status,
        204
    );
    assert!(
        fixture.bearer(&own.access).await.is_ok(),
        "the session that changed it goes on"
    );
    let refresh = json!({ "username": "ann", "refresh_token": own.refresh });
    assert_eq!(fixture.post("/v1/token-refresh", &refresh).await.status, 200);
    assert_eq!(
        wrong(fixture.bearer(&other.access).await),
        "Access Token has been revoked"
    );
    let refresh = json!({ "username": "ann", "refresh_token": other.refresh });
    assert_eq!(fixture.post("/v1/token-refresh", &refresh).await.status, 401);
    assert_eq!(
        fixture
            .post("/v1/login", &credentials("ann", PASSWORD))
            .await
            .status,
        401
    );
    assert_eq!(
        fixture.post("/v1/login", &credentials("ann", NEW)).await.status,
        200
    );
}

#[tokio::test]
async fn a_first_login_may_ask_for_a_new_password() {
    let fixture = Fixture::new().await;
    fixture
        .admin
        .add_user(NewUser {
            must_change: true,
            ..new_user("ann", &[])
        })
        .await
        .unwrap();
    let challenge = body(&fixture.post("/v1/login", &credentials("ann", PASSWORD)).await);
    let keys: Vec<&String> = challenge.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["challenge_name", "session"]);
    assert_eq!(challenge["challenge_name"], "NEW_PASSWORD_REQUIRED");
    let answer = |username: &str, session: &Value| json!({ "username": username, "session": session, "new_password": NEW });
    fixture.user("bob", &[]).await;
    for (username, session) in [
        ("bob", &challenge["session"]),
        ("ann", &json!("*")),
        ("ann", &json!("x")),
    ] {
        let refused = fixture
            .post("/v1/new-password-required", &answer(username, session))
            .await;
        assert_error(&refused, 401, "Unauthorized.");
    }
    let response = fixture
        .post("/v1/new-password-required", &answer("ann", &challenge["session"]))
        .await;
    let tokens = body(&response);
    assert_eq!(response.status, 200, "{tokens}");
    assert!(
        fixture
            .bearer(tokens["access_token"].as_str().unwrap())
            .await
            .is_ok()
    );
    assert!(tokens["refresh_token"].is_string() && tokens["expires_in"] == 86_400);
    let again = fixture
        .post("/v1/new-password-required", &answer("ann", &challenge["session"]))
        .await;
    assert_error(&again, 401, "Unauthorized.");
    assert_eq!(
        fixture.post("/v1/login", &credentials("ann", NEW)).await.status,
        200
    );
}

#[tokio::test]
async fn challenges_end() {
    let fixture = Fixture::new().await;
    fixture
        .admin
        .add_user(NewUser {
            must_change: true,
            ..new_user("ann", &[])
        })
        .await
        .unwrap();
    let challenge = body(&fixture.post("/v1/login", &credentials("ann", PASSWORD)).await);
    fixture.clock.advance(CHALLENGE_LIFETIME);
    let answer = json!({ "username": "ann", "session": challenge["session"], "new_password": NEW });
    assert_error(
        &fixture.post("/v1/new-password-required", &answer).await,
        401,
        "Unauthorized.",
    );
}

#[derive(Default)]
struct Letters(Mutex<Vec<Notice>>);

#[async_trait]
impl Notifier for Letters {
    async fn deliver(&self, notice: &Notice) -> Result<(), NotifyError> {
        if notice.username == "unlucky" {
            return Err(NotifyError("the letter was lost".to_owned()));
        }
        self.0.lock().push(notice.clone());
        Ok(())
    }
}

#[tokio::test]
async fn forgotten_passwords_are_set_with_a_code() {
    let letters = Arc::new(Letters::default());
    let notifier = Arc::clone(&letters);
    let fixture = Fixture::with(|settings| settings.notifier = Some(notifier)).await;
    let email = Some("ann@example.org".to_owned());
    fixture
        .admin
        .add_user(NewUser {
            email,
            ..new_user("ann", &[])
        })
        .await
        .unwrap();
    fixture.user("unlucky", &[]).await;
    let session = fixture.login("ann").await;
    let forgot = |name: &str| json!({ "username": name });
    assert_eq!(
        fixture.post("/v1/forgot-password", &forgot("Ann")).await.status,
        204
    );
    assert_error(
        &fixture.post("/v1/forgot-password", &forgot("nobody")).await,
        401,
        "User not found.",
    );
    assert_eq!(
        fixture
            .post("/v1/forgot-password", &forgot("unlucky"))
            .await
            .status,
        500
    );
    let notice = letters.0.lock().pop().unwrap();
    assert_eq!(
        (notice.username.as_str(), notice.email.as_deref()),
        ("ann", Some("ann@example.org"))
    );
    assert!(!format!("{notice:?}").contains(notice.code.expose()));

    let confirm = |name: &str, code: &str, password: &str| json!({ "username": name, "password": password, "confirmation_code": code });
    const REFUSED: &str = "Invalid verification code provided, please try again.";
    for (name, code) in [
        ("ann", "guess"),
        ("ann", "*"),
        ("unlucky", notice.code.expose()),
        ("nobody", "x"),
    ] {
        let response = fixture
            .post("/v1/forgot-password-confirm", &confirm(name, code, NEW))
            .await;
        assert_error(&response, 401, REFUSED);
    }
    let short = fixture
        .post(
            "/v1/forgot-password-confirm",
            &confirm("ann", notice.code.expose(), "short"),
        )
        .await;
    assert_eq!(short.status, 401);
    let code = format!(" {} ", notice.code.expose().to_uppercase());
    let done = fixture
        .post("/v1/forgot-password-confirm", &confirm("ann", &code, NEW))
        .await;
    assert_eq!(done.status, 204, "{}", body(&done));
    assert_eq!(
        fixture.post("/v1/login", &credentials("ann", NEW)).await.status,
        200
    );
    assert!(
        fixture.bearer(&session.access).await.is_err(),
        "older sessions have ended"
    );
    let again = fixture
        .post("/v1/forgot-password-confirm", &confirm("ann", &code, NEW))
        .await;
    assert_error(&again, 401, REFUSED);
}

#[tokio::test]
async fn codes_end_and_die_with_the_password_they_were_for() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &[]).await;
    let confirm = |code: &str| json!({ "username": "ann", "password": NEW, "confirmation_code": code });
    let code = fixture.admin.reset_code("ann").await.unwrap();
    fixture.clock.advance(RESET_CODE_LIFETIME);
    assert_eq!(
        fixture
            .post("/v1/forgot-password-confirm", &confirm(code.expose()))
            .await
            .status,
        401
    );
    let (one, two) = (
        fixture.admin.reset_code("ann").await.unwrap(),
        fixture.admin.reset_code("ann").await.unwrap(),
    );
    assert_eq!(
        fixture
            .post("/v1/forgot-password-confirm", &confirm(one.expose()))
            .await
            .status,
        204
    );
    assert_eq!(
        fixture
            .post("/v1/forgot-password-confirm", &confirm(two.expose()))
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn without_a_notifier_forgot_password_says_so() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &[]).await;
    let response = fixture
        .post("/v1/forgot-password", &json!({ "username": "ann" }))
        .await;
    assert_error(&response, 501, "Not Implemented");
}

#[tokio::test]
async fn asking_for_codes_is_slowed_down() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Arc::new(Outbox::new(folder.path().join("outbox")));
    let fixture = Fixture::with(|settings| settings.notifier = Some(outbox)).await;
    fixture.user("ann", &[]).await;
    let ask = json!({ "username": "ann" });
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(fixture.post("/v1/forgot-password", &ask).await.status);
    }
    assert_eq!(statuses, [204, 204, 204, 204, 429, 429]);
    assert_eq!(
        std::fs::read_dir(folder.path().join("outbox")).unwrap().count(),
        4
    );
    fixture
        .clock
        .advance(RESET_CODE_LIFETIME + Duration::from_secs(1));
    fixture.accounts.maintain().await.unwrap();
    assert_eq!(
        std::fs::read_dir(folder.path().join("outbox")).unwrap().count(),
        0
    );
}

#[tokio::test]
async fn hashes_are_renewed_at_login_when_their_cost_changed() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &[]).await;
    let hash = async || {
        let record = fixture
            .store
            .get(levada_accounts::store::Kind::User, "ann")
            .await
            .unwrap()
            .unwrap();
        serde_json::from_str::<Value>(&record.json).unwrap()["password"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let before = hash().await;
    fixture.login("ann").await;
    assert_eq!(before, hash().await, "the same cost needs no new hash");
    let dearer = PasswordCost {
        memory_kib: 16,
        passes: 1,
    };
    let beside = fixture.beside(|settings| settings.password_cost = dearer).await;
    assert_eq!(
        post(&beside, "/v1/login", &credentials("ann", PASSWORD))
            .await
            .status,
        200
    );
    let after = hash().await;
    assert!(
        before.contains("m=8,") && after.contains("m=16,"),
        "{before} {after}"
    );
    fixture.login("ann").await;
}

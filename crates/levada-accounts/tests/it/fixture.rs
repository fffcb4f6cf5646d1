//! Accounts over a fresh store, with a clock that stands still.

use std::net::IpAddr;
use std::sync::Arc;

use levada_accounts::store::{Change, Content, Expect, Kind};
use levada_accounts::{
    Accounts, Admin, AuthError, Credentials, EmbeddedStore, ManualClock, NewUser, PasswordCost, Principal,
    Request, Response, Secret, Settings, Store,
};
use levada_event::Timestamp;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

pub(crate) const START: Timestamp = Timestamp::from_millis(1_795_000_000_000);
pub(crate) const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
pub(crate) const PASSWORD: &str = "correct horse";

pub(crate) struct Fixture {
    pub(crate) accounts: Accounts,
    pub(crate) admin: Admin,
    pub(crate) clock: ManualClock,
    pub(crate) store: Arc<dyn Store>,
}

pub(crate) fn settings(clock: &ManualClock) -> Settings {
    Settings {
        password_cost: PasswordCost::CHEAP,
        clock: clock.clock(),
        ..Settings::default()
    }
}

/// Gives `store` the signing key that all tests share: making one takes seconds.
pub(crate) async fn share_key(store: &dyn Store) {
    static KEYRING: OnceCell<String> = OnceCell::const_new();
    let keyring = KEYRING
        .get_or_init(|| async {
            let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().unwrap());
            let clock = ManualClock::at(START);
            Accounts::open(Arc::clone(&store), settings(&clock))
                .await
                .unwrap();
            store.get(Kind::Keyring, "signing").await.unwrap().unwrap().json
        })
        .await;
    let content = Content {
        owner: String::new(),
        expires_at: None,
        json: keyring.clone(),
    };
    let change = Change {
        kind: Kind::Keyring,
        id: "signing".into(),
        expect: Expect::Any,
        to: Some(content),
    };
    store.write(&[change]).await.unwrap();
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::over(Arc::new(EmbeddedStore::in_memory().unwrap()), change).await
    }

    pub(crate) async fn over(store: Arc<dyn Store>, change: impl FnOnce(&mut Settings)) -> Self {
        let clock = ManualClock::at(START);
        let mut settings = settings(&clock);
        change(&mut settings);
        share_key(&*store).await;
        let accounts = Accounts::open(Arc::clone(&store), settings).await.unwrap();
        let admin = accounts.admin();
        Self {
            accounts,
            admin,
            clock,
            store,
        }
    }

    /// Another process over the same store.
    pub(crate) async fn beside(&self, change: impl FnOnce(&mut Settings)) -> Accounts {
        let mut settings = settings(&self.clock);
        change(&mut settings);
        Accounts::open(Arc::clone(&self.store), settings).await.unwrap()
    }

    pub(crate) async fn user(&self, name: &str, groups: &[&str]) {
        self.admin.add_user(new_user(name, groups)).await.unwrap();
    }

    pub(crate) async fn login(&self, name: &str) -> Tokens {
        login(&self.accounts, name).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        post(&self.accounts, path, body).await
    }

    pub(crate) async fn bearer(&self, token: &str) -> Result<Arc<Principal>, AuthError> {
        bearer(&self.accounts, token).await
    }
}

pub(crate) fn new_user(name: &str, groups: &[&str]) -> NewUser {
    NewUser {
        name: name.to_owned(),
        password: Some(Secret::new(PASSWORD)),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..NewUser::default()
    }
}

/// What a login gave.
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) id: String,
    pub(crate) refresh: String,
}

pub(crate) async fn login(accounts: &Accounts, name: &str) -> Tokens {
    let response = post(
        accounts,
        "/v1/login",
        &json!({ "username": name, "password": PASSWORD }),
    )
    .await;
    let body = body(&response);
    assert_eq!(response.status, 200, "{body}");
    let text = |key: &str| body[key].as_str().unwrap().to_owned();
    Tokens {
        access: text("access_token"),
        id: text("id_token"),
        refresh: text("refresh_token"),
    }
}

pub(crate) async fn post(accounts: &Accounts, path: &str, body: &Value) -> Response {
    post_from(accounts, path, body, Some(HERE)).await
}

pub(crate) async fn post_from(
    accounts: &Accounts,
    path: &str,
    body: &Value,
    peer: Option<IpAddr>,
) -> Response {
    let body = body.to_string();
    accounts
        .handle(&Request {
            method: "POST",
            path,
            content_type: Some("application/json"),
            credentials: Credentials {
                peer,
                ..Credentials::default()
            },
            body: body.as_bytes(),
        })
        .await
}

pub(crate) async fn bearer(accounts: &Accounts, token: &str) -> Result<Arc<Principal>, AuthError> {
    let value = format!("Bearer {token}");
    let shown = Credentials {
        authorization: Some(value.as_bytes()),
        ..Credentials::default()
    };
    accounts.authenticate(&shown).await
}

pub(crate) fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or(Value::Null)
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response
        .headers
        .iter()
        .find(|(given, _)| *given == name)
        .map(|(_, value)| value.as_str())
}

/// Asserts an error in the shape of the contract.
pub(crate) fn assert_error(response: &Response, status: u16, message: &str) {
    let body = body(response);
    assert_eq!(
        (response.status, body["status"].as_u64()),
        (status, Some(u64::from(status))),
        "{body}"
    );
    assert_eq!(body["message"], message, "{body}");
    assert_eq!(response.body.last(), Some(&b'\n'));
    assert_eq!(
        header(response, "content-type"),
        Some("application/json; charset=utf-8")
    );
}

pub(crate) fn wrong(outcome: Result<Arc<Principal>, AuthError>) -> String {
    match outcome {
        Err(AuthError::Wrong(why)) => why,
        other => panic!("{other:?}"),
    }
}

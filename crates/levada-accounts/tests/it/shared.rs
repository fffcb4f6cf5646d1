//! Several processes over one PostgreSQL: each has its own connections, memory and clock; what one
//! does the others know within the freshness bound.

use std::sync::Arc;
use std::time::Duration;

use levada_accounts::limits::{REFRESHES_MAX, SHARED_FRESHNESS, SIGNING_KEY_LEAD};
use levada_accounts::{Action, PostgresStore, Rotation, Secret};
use serde_json::json;

use crate::fixture::{Fixture, body, wrong};

/// A process of its own over the database.
async fn process(url: &Secret) -> Fixture {
    let store = PostgresStore::open(url).await.unwrap();
    // `Fixture::over` writes the shared key anew; the version changes, the key does not.
    Fixture::over(Arc::new(store), |_| {}).await
}

async fn two() -> Option<(Fixture, Fixture)> {
    let url = crate::postgres::database().await?;
    Some((process(&url).await, process(&url).await))
}

#[tokio::test]
async fn tokens_of_one_process_are_good_in_the_other() {
    let Some((one, two)) = two().await else { return };
    one.user("ann", &["group_3"]).await;
    let tokens = one.login("ann").await;
    let principal = two.bearer(&tokens.access).await.unwrap();
    assert!(principal.may("GET", "/v2/articles", Some("articles"), Action::Read));
    let refresh = json!({ "username": "ann", "refresh_token": tokens.refresh });
    let answer = body(&two.post("/v1/token-refresh", &refresh).await);
    assert!(one.bearer(answer["access_token"].as_str().unwrap()).await.is_ok());
}

#[tokio::test]
async fn a_revocation_is_known_everywhere_within_the_bound() {
    let Some((one, two)) = two().await else { return };
    one.user("ann", &["group_3"]).await;
    let tokens = one.login("ann").await;
    assert!(one.bearer(&tokens.access).await.is_ok() && two.bearer(&tokens.access).await.is_ok());
    let mut stream = two.accounts.watch(two.bearer(&tokens.access).await.unwrap());
    stream.check().await.unwrap();
    let revoke = json!({ "refresh_token": tokens.refresh });
    assert_eq!(one.post("/v1/token-revoke", &revoke).await.status, 204);
    assert_eq!(
        wrong(one.bearer(&tokens.access).await),
        "Access Token has been revoked",
        "at once where it was done"
    );
    two.clock.advance(SHARED_FRESHNESS);
    assert_eq!(
        wrong(two.bearer(&tokens.access).await),
        "Access Token has been revoked"
    );
    assert!(stream.check().await.is_err());
}

#[tokio::test]
async fn rights_change_everywhere_within_the_bound() {
    let Some((one, two)) = two().await else { return };
    one.user("ann", &["group_3"]).await;
    let token = one.login("ann").await.access;
    let may = async || {
        let principal = two.bearer(&token).await.unwrap();
        principal.may("GET", "/v2/articles", None, Action::Read)
    };
    assert!(may().await);
    one.admin
        .change_groups("ann", &[], &["group_3".into()])
        .await
        .unwrap();
    two.clock.advance(SHARED_FRESHNESS);
    assert!(!may().await);
    one.admin.set_disabled("ann", true).await.unwrap();
    two.clock.advance(SHARED_FRESHNESS);
    assert_eq!(wrong(two.bearer(&token).await), "User is disabled.");
}

#[tokio::test]
async fn the_refresh_limit_holds_across_processes() {
    let Some((one, two)) = two().await else { return };
    one.user("ann", &[]).await;
    let request = json!({ "username": "ann", "refresh_token": one.login("ann").await.refresh });
    let mut good = 0;
    for _ in 0..=REFRESHES_MAX / 2 {
        let (a, b) = tokio::join!(
            one.post("/v1/token-refresh", &request),
            two.post("/v1/token-refresh", &request)
        );
        for status in [a.status, b.status] {
            assert!(matches!(status, 200 | 429), "{status}");
            good += u32::from(status == 200);
        }
    }
    assert_eq!(good, REFRESHES_MAX);
}

#[tokio::test]
async fn a_new_signing_key_waits_until_all_know_it() {
    let Some((one, two)) = two().await else { return };
    one.user("ann", &["group_3"]).await;
    assert!(two.bearer(&one.login("ann").await.access).await.is_ok());
    one.admin.rotate_signing_key(Rotation::Overlap).await.unwrap();
    // The other process has not looked again yet: tokens must still be of the key it knows.
    assert!(two.bearer(&one.login("ann").await.access).await.is_ok());
    one.clock.advance(SIGNING_KEY_LEAD);
    two.clock.advance(SIGNING_KEY_LEAD);
    let token = one.login("ann").await.access;
    assert!(
        two.bearer(&token).await.is_ok(),
        "after the lead the new key signs, and all know it"
    );
    let keys = two.admin.signing_keys().await.unwrap();
    assert_eq!(keys.len(), 2);
    assert!(keys[0].verifies_until.is_some() && keys[1].verifies_until.is_none());
}

#[tokio::test]
async fn maintenance_of_two_replaces_a_key_once() {
    let Some((one, two)) = two().await else { return };
    let late = levada_accounts::limits::SIGNING_KEY_LIFETIME + Duration::from_secs(1);
    one.clock.advance(late);
    two.clock.advance(late);
    let (a, b) = tokio::join!(one.accounts.maintain(), two.accounts.maintain());
    assert_eq!(u32::from(a.unwrap().rotated) + u32::from(b.unwrap().rotated), 1);
    assert_eq!(one.admin.signing_keys().await.unwrap().len(), 2);
}

#[tokio::test]
async fn one_of_two_processes_makes_the_user() {
    let Some((one, two)) = two().await else { return };
    let new = crate::fixture::new_user("ann", &[]);
    let (a, b) = tokio::join!(one.admin.add_user(new.clone()), two.admin.add_user(new));
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
}

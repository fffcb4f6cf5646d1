//! What `levada user` does, on a store that no server has open.

use std::time::Duration;

use levada_accounts::limits::SESSIONS_PER_USER_MAX;
use levada_accounts::store::Kind;
use levada_accounts::{
    Accounts, Admin, AdminError, EmbeddedStore, Ensured, NewApiKey, NewUser, PasswordCost, Scope, Secret,
    open_store,
};

use crate::fixture::{Fixture, PASSWORD, login, new_user, settings, share_key};

fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

#[tokio::test]
async fn users_made_offline_log_in_later() {
    let folder = tempfile::tempdir().unwrap();
    let clock = levada_accounts::ManualClock::at(crate::fixture::START);
    {
        let store = open_store(None, folder.path()).await.unwrap();
        let admin = Admin::new(store, clock.clock(), PasswordCost::CHEAP);
        admin.prepare().await.unwrap();
        assert_eq!(admin.add_user(new_user("Ann", &["group_3"])).await.unwrap(), None);
        let made = admin
            .add_user(NewUser {
                name: "bob".into(),
                ..NewUser::default()
            })
            .await
            .unwrap()
            .unwrap();
        assert_eq!(made.expose().len(), 19);
    }
    let store = open_store(None, folder.path()).await.unwrap();
    share_key(&*store).await;
    let accounts = Accounts::open(store, settings(&clock)).await.unwrap();
    login(&accounts, "ann").await;
}

#[tokio::test]
async fn the_first_start_makes_its_own_key() {
    let store = std::sync::Arc::new(EmbeddedStore::in_memory().unwrap());
    let clock = levada_accounts::ManualClock::at(crate::fixture::START);
    let accounts = Accounts::open(store, settings(&clock)).await.unwrap();
    accounts
        .admin()
        .add_user(new_user("ann", &["group_3"]))
        .await
        .unwrap();
    let token = login(&accounts, "ann").await.access;
    assert!(crate::fixture::bearer(&accounts, &token).await.is_ok());
}

#[tokio::test]
async fn wishes_that_make_no_sense_say_why() {
    let fixture = Fixture::new().await;
    let admin = &fixture.admin;
    admin.add_user(new_user("ann", &[])).await.unwrap();
    let text = |error: AdminError| error.to_string();
    assert_eq!(
        text(admin.add_user(new_user("ANN", &[])).await.unwrap_err()),
        "user ann exists already"
    );
    assert_eq!(
        text(admin.add_user(new_user("bob", &["nope"])).await.unwrap_err()),
        "group nope does not exist"
    );
    assert_eq!(
        text(admin.user("bob").await.unwrap_err()),
        "user bob does not exist"
    );
    let short = NewUser {
        password: Some(Secret::new("short")),
        ..new_user("bob", &[])
    };
    assert!(text(admin.add_user(short).await.unwrap_err()).contains("8 characters"));
    for name in ["", " bob", "b\nob"] {
        assert!(
            matches!(
                admin.add_user(new_user(name, &[])).await,
                Err(AdminError::Invalid(_))
            ),
            "{name:?}"
        );
    }
    let email = Some("nowhere".to_owned());
    assert!(
        admin
            .add_user(NewUser {
                email,
                ..new_user("bob", &[])
            })
            .await
            .is_err()
    );
    assert!(matches!(
        admin.add_group("a b", "", vec![]).await,
        Err(AdminError::Invalid(_))
    ));
    assert!(matches!(
        admin.add_group("group_3", "", vec![]).await,
        Err(AdminError::Exists(_))
    ));
    assert!(matches!(
        admin.change_group("nope", &[], &[]).await,
        Err(AdminError::Unknown(_))
    ));
    assert!(matches!(
        admin.remove_group("nope").await,
        Err(AdminError::Unknown(_))
    ));
    let key = |name: &str, scopes| NewApiKey {
        name: name.into(),
        scopes,
        ..NewApiKey::default()
    };
    assert!(matches!(
        admin.add_key(key("k", vec![])).await,
        Err(AdminError::Invalid(_))
    ));
    assert!(matches!(
        admin.add_key(key("k k", vec![Scope::Admin])).await,
        Err(AdminError::Invalid(_))
    ));
    let ended = NewApiKey {
        expires_at: Some(fixture.clock.now()),
        ..key("k", vec![Scope::Admin])
    };
    assert!(matches!(admin.add_key(ended).await, Err(AdminError::Invalid(_))));
    let of_nobody = NewApiKey {
        user: Some("bob".into()),
        ..key("k", vec![Scope::Admin])
    };
    assert!(matches!(
        admin.add_key(of_nobody).await,
        Err(AdminError::Unknown(_))
    ));
    assert!(matches!(
        admin.remove_key("nope").await,
        Err(AdminError::Unknown(_))
    ));
    assert!(matches!(
        admin.rotate_key("nope", Duration::ZERO).await,
        Err(AdminError::Unknown(_))
    ));
    assert!(matches!(
        admin.end_session("nope").await,
        Err(AdminError::Unknown(_))
    ));
    assert!(matches!(
        admin.set_password("nope", None, false).await,
        Err(AdminError::Unknown(_))
    ));
    assert!(matches!(
        admin.remove_user("nope").await,
        Err(AdminError::Unknown(_))
    ));
}

#[tokio::test]
async fn default_groups_come_once() {
    let fixture = Fixture::new().await;
    let names = async |admin: &Admin| -> Vec<String> {
        admin
            .groups()
            .await
            .unwrap()
            .into_iter()
            .map(|group| group.name)
            .collect()
    };
    assert_eq!(
        names(&fixture.admin).await,
        ["admins", "group_1", "group_2", "group_3", "publishers"]
    );
    fixture.admin.remove_group("group_2").await.unwrap();
    fixture
        .admin
        .add_group("readers", "They read", vec![scope("stream:a:read")])
        .await
        .unwrap();
    let beside = fixture.beside(|_| {}).await;
    assert_eq!(
        names(&beside.admin()).await,
        ["admins", "group_1", "group_3", "publishers", "readers"]
    );
    fixture
        .admin
        .change_group("readers", &[scope("stream:b:read"), scope("stream:b:read")], &[])
        .await
        .unwrap();
    fixture
        .admin
        .change_group("readers", &[], &[scope("stream:a:read")])
        .await
        .unwrap();
    let readers = fixture.admin.groups().await.unwrap().pop().unwrap();
    assert_eq!(
        (readers.description.as_str(), readers.scopes),
        ("They read", vec![scope("stream:b:read")])
    );
}

#[tokio::test]
async fn users_are_listed_changed_and_removed() {
    let fixture = Fixture::new().await;
    let admin = &fixture.admin;
    for name in ["carl", "ann", "bob"] {
        fixture.user(name, &["group_1"]).await;
    }
    let names = async |after: Option<&str>| -> Vec<String> {
        admin
            .users(after)
            .await
            .unwrap()
            .into_iter()
            .map(|user| user.name)
            .collect()
    };
    assert_eq!(names(None).await, ["ann", "bob", "carl"]);
    assert_eq!(names(Some("ann")).await, ["bob", "carl"]);
    admin
        .change_groups("Ann", &["group_3".into(), "group_3".into()], &["group_1".into()])
        .await
        .unwrap();
    assert_eq!(admin.user("ann").await.unwrap().groups, ["group_3"]);
    let tokens = fixture.login("ann").await;
    let made = admin.set_password("ann", None, true).await.unwrap().unwrap();
    assert!(admin.user("ann").await.unwrap().must_change);
    assert!(fixture.bearer(&tokens.access).await.is_err());
    assert_ne!(made.expose(), PASSWORD);
    let new = NewApiKey {
        name: "k".into(),
        user: Some("ann".into()),
        scopes: vec![Scope::Admin],
        expires_at: None,
    };
    admin.add_key(new).await.unwrap();
    assert_eq!(admin.keys(Some("ann"), None).await.unwrap().len(), 1);
    admin.remove_user("ann").await.unwrap();
    assert_eq!(names(None).await, ["bob", "carl"]);
    for kind in [Kind::Session, Kind::Refresh, Kind::Key] {
        assert_eq!(fixture.store.count(kind, "ann").await.unwrap(), 0, "{kind:?}");
    }
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &[]).await;
    let one = fixture.login("ann").await;
    fixture.clock.advance(Duration::from_secs(1));
    let two = fixture.login("ann").await;
    let sessions = fixture.admin.sessions("ann").await.unwrap();
    assert!(sessions.len() == 2 && sessions[0].created_at < sessions[1].created_at);
    assert_eq!(
        fixture.bearer(&one.access).await.unwrap().session(),
        Some(sessions[0].id.as_str())
    );
    fixture.admin.end_session(&sessions[0].id).await.unwrap();
    assert!(fixture.bearer(&one.access).await.is_err() && fixture.bearer(&two.access).await.is_ok());
    fixture.admin.end_sessions("ann").await.unwrap();
    assert!(fixture.bearer(&two.access).await.is_err());
    assert!(fixture.admin.sessions("ann").await.unwrap().is_empty());
}

#[tokio::test]
async fn the_oldest_of_too_many_sessions_ends() {
    let fixture = Fixture::new().await;
    fixture.user("ann", &[]).await;
    let first = fixture.login("ann").await;
    // The rest are put there directly: a thousand logins would take a minute.
    let record = fixture
        .store
        .list(Kind::Session, Some("ann"), None, 1)
        .await
        .unwrap()
        .remove(0);
    for n in 1..SESSIONS_PER_USER_MAX {
        let id = format!("ffffffff-{n:04}");
        let content = levada_accounts::store::Content {
            owner: record.owner.clone(),
            expires_at: record.expires_at,
            json: record.json.replace(&record.id, &id),
        };
        let expect = levada_accounts::store::Expect::Absent;
        let change = levada_accounts::store::Change {
            kind: Kind::Session,
            id,
            expect,
            to: Some(content),
        };
        fixture.store.write(&[change]).await.unwrap();
    }
    assert!(fixture.bearer(&first.access).await.is_ok());
    let last = fixture.login("ann").await;
    assert_eq!(
        fixture.store.count(Kind::Session, "ann").await.unwrap(),
        SESSIONS_PER_USER_MAX
    );
    assert!(fixture.bearer(&first.access).await.is_err() && fixture.bearer(&last.access).await.is_ok());
}

#[tokio::test]
async fn a_demo_user_can_be_made_again_and_again() {
    let fixture = Fixture::new().await;
    assert_eq!(
        fixture
            .admin
            .ensure_user(new_user("demo", &["group_3"]))
            .await
            .unwrap(),
        Ensured::Created
    );
    let before = fixture.login("demo").await;
    assert_eq!(
        fixture
            .admin
            .ensure_user(new_user("demo", &["group_1"]))
            .await
            .unwrap(),
        Ensured::Updated
    );
    assert!(fixture.bearer(&before.access).await.is_err());
    fixture.login("demo").await;
    assert_eq!(fixture.admin.user("demo").await.unwrap().groups, ["group_1"]);
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    let store = std::sync::Arc::new(EmbeddedStore::in_memory().unwrap());
    let clock = levada_accounts::ManualClock::at(crate::fixture::START);
    let bad = levada_accounts::Settings {
        issuer: String::new(),
        ..settings(&clock)
    };
    assert!(Accounts::open(store, bad).await.is_err());
}

//! Groups and their scopes.

use levada_event::Timestamp;

use super::{Admin, AdminError, check_scopes, merge};
use crate::limits::GROUPS_MAX;
use crate::model::{Group, Mark};
use crate::name::is_plain_name;
use crate::records::{Read, Records, create, remove_read, replace};
use crate::scope::Scope;
use crate::store::{Kind, StoreError};

/// A group, for people to read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupInfo {
    /// Name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What its members may do.
    pub scopes: Vec<Scope>,
}

/// The groups of a new store: the three of the reference (contract realtime §1.11, §3.5), and two
/// for those who publish and administer.
const DEFAULTS: [(&str, &str, &[&str]); 5] = [
    ("group_1", "No streams (the free tier of the reference)", &[]),
    ("group_2", "No streams", &[]),
    (
        "group_3",
        "Realtime: reads all streams",
        &["route:GET,POST:/v2/articles", "route:GET,POST:/v2/streams/*"],
    ),
    ("publishers", "Publishes to all streams", &["stream:*:write"]),
    ("admins", "Everything", &["admin"]),
];

/// Makes the groups of a new store, once in its life.
pub(crate) async fn seed(records: &Records, now: Timestamp) -> Result<(), StoreError> {
    if records.get::<Mark>(Mark::GROUPS).await?.is_some() {
        return Ok(());
    }
    let mut changes = vec![create(&Mark {
        name: Mark::GROUPS.to_owned(),
        at: now,
    })?];
    for (name, description, scopes) in DEFAULTS {
        let scopes = scopes.iter().map(|text| text.parse()).collect::<Result<_, _>>();
        let scopes = scopes.map_err(|e: crate::scope::ScopeError| StoreError::Damaged(e.to_string()))?;
        changes.push(create(&Group {
            name: name.to_owned(),
            description: description.to_owned(),
            scopes,
        })?);
    }
    match records.write(&changes).await {
        // Another process was faster.
        Ok(()) | Err(StoreError::Conflict) => Ok(()),
        Err(error) => Err(error),
    }
}

impl Admin {
    /// Makes a group.
    ///
    /// # Errors
    /// [`AdminError::Exists`], [`AdminError::Invalid`].
    pub async fn add_group(
        &self,
        name: &str,
        description: &str,
        scopes: Vec<Scope>,
    ) -> Result<(), AdminError> {
        if !is_plain_name(name) {
            return Err(AdminError::Invalid(
                "a group's name has 1 to 64 letters, digits, hyphens, dots and underscores".to_owned(),
            ));
        }
        if description.chars().count() > 255 || description.chars().any(char::is_control) {
            return Err(AdminError::Invalid(
                "a description has at most 255 printable characters".to_owned(),
            ));
        }
        check_scopes(&scopes)?;
        if self.records.all::<Group>(None, GROUPS_MAX).await?.len() >= GROUPS_MAX {
            return Err(AdminError::Invalid(format!("at most {GROUPS_MAX} groups")));
        }
        let group = Group {
            name: name.to_owned(),
            description: description.to_owned(),
            scopes,
        };
        match self.records.write(&[create(&group)?]).await {
            Ok(()) => {
                tracing::info!(group = name, "group added");
                Ok(())
            }
            Err(StoreError::Conflict) => Err(AdminError::Exists(format!("group {name}"))),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds and removes scopes of a group.
    ///
    /// # Errors
    /// [`AdminError::Unknown`], [`AdminError::Invalid`].
    pub async fn change_group(&self, name: &str, allow: &[Scope], deny: &[Scope]) -> Result<(), AdminError> {
        self.records
            .update(name, |read: Option<Read<Group>>| {
                let mut read = read.ok_or_else(|| AdminError::Unknown(format!("group {name}")))?;
                merge(&mut read.value.scopes, allow, deny);
                check_scopes(&read.value.scopes)?;
                Ok::<_, AdminError>((vec![replace(read.version, &read.value)?], ()))
            })
            .await?;
        tracing::info!(group = name, "group changed");
        Ok(())
    }

    /// Removes a group. Users keep its name, which gives them nothing, until it is taken from them.
    ///
    /// # Errors
    /// [`AdminError::Unknown`].
    pub async fn remove_group(&self, name: &str) -> Result<(), AdminError> {
        self.records
            .update(name, |read: Option<Read<Group>>| {
                let read = read.ok_or_else(|| AdminError::Unknown(format!("group {name}")))?;
                Ok::<_, AdminError>((vec![remove_read(Kind::Group, name, read.version)], ()))
            })
            .await?;
        tracing::info!(group = name, "group removed");
        Ok(())
    }

    /// All groups, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn groups(&self) -> Result<Vec<GroupInfo>, AdminError> {
        let all = self.records.all::<Group>(None, GROUPS_MAX).await?;
        let info = |Group {
                        name,
                        description,
                        scopes,
                    }| GroupInfo {
            name,
            description,
            scopes,
        };
        Ok(all.into_iter().map(|read| info(read.value)).collect())
    }
}

//! Passwords: argon2id on threads that may block, a bounded number at a time.
//!
//! A check costs tens of milliseconds and 19 MiB by design, so the number in work and the number
//! waiting are bounded: a flood of logins gets 503 and leaves the rest of the server its cores. A
//! user who does not exist is checked against a hash nobody knows a password for, so that the time
//! of an answer tells nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::limits::{HASHES_AT_ONCE_MAX, HASHES_WAITING_MAX};
use crate::secret::{Secret, random_token};

/// What a password hash costs. The default is what OWASP recommends for argon2id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
}

impl Default for PasswordCost {
    fn default() -> Self {
        Self {
            memory_kib: 19 * 1024,
            passes: 2,
        }
    }
}

impl PasswordCost {
    /// So cheap that it protects nothing: for tests.
    pub const CHEAP: Self = Self {
        memory_kib: 8,
        passes: 1,
    };

    fn params(self) -> Result<Params, PasswordError> {
        Params::new(self.memory_kib, self.passes, 1, None).map_err(|e| PasswordError::Failed(e.to_string()))
    }
}

/// Why there is no answer about a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordError {
    /// Too many wait already.
    #[error("too many logins at once")]
    Overloaded,
    /// The hash cannot be computed or read.
    #[error("password hashing failed: {0}")]
    Failed(String),
}

/// Computes and checks password hashes. Clones share the bounds.
#[derive(Clone)]
pub(crate) struct Passwords {
    cost: PasswordCost,
    at_once: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    nobody: Arc<Mutex<Option<Secret>>>,
}

/// The answer about a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Wrong,
    Right,
    /// Right, and the hash was made with another cost than the present one.
    RightOutdated,
}

impl Passwords {
    pub(crate) fn new(cost: PasswordCost) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            cost,
            at_once: Arc::new(Semaphore::new(cores.min(HASHES_AT_ONCE_MAX))),
            waiting: Arc::new(AtomicUsize::new(0)),
            nobody: Arc::new(Mutex::new(None)),
        }
    }

    /// The hash of `password` in PHC form, with a salt of its own.
    pub(crate) async fn hash(&self, password: &Secret) -> Result<Secret, PasswordError> {
        let (cost, password) = (self.cost, password.clone());
        self.work(move || hash(cost, &password)).await
    }

    /// Whether `password` is the one that `hash` was made of. Without a hash it takes as long and is
    /// wrong.
    pub(crate) async fn verify(
        &self,
        password: &Secret,
        hash: Option<&Secret>,
    ) -> Result<Verdict, PasswordError> {
        let (this, password, hash) = (self.clone(), password.clone(), hash.cloned());
        self.work(move || match hash {
            Some(hash) => verify(this.cost, &password, &hash),
            None => {
                verify(this.cost, &password, &this.nobodys_hash()?)?;
                Ok(Verdict::Wrong)
            }
        })
        .await
    }

    fn nobodys_hash(&self) -> Result<Secret, PasswordError> {
        let mut nobody = self.nobody.lock();
        if let Some(hash) = &*nobody {
            return Ok(hash.clone());
        }
        let password = random_token("").map_err(|e| PasswordError::Failed(e.to_string()))?;
        let made = hash(self.cost, &password)?;
        *nobody = Some(made.clone());
        Ok(made)
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = {
            let _waiting = Waiting::enter(&self.waiting)?;
            Arc::clone(&self.at_once)
                .acquire_owned()
                .await
                .map_err(|_| PasswordError::Failed("closed".to_owned()))?
        };
        // The place goes with the work: a caller that goes away does not free it early.
        tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        })
        .await
        .map_err(|e| PasswordError::Failed(e.to_string()))?
    }
}

/// One of those who wait for a place.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize) -> Result<Self, PasswordError> {
        let entered = Self(waiting);
        if waiting.fetch_add(1, Ordering::AcqRel) >= HASHES_WAITING_MAX {
            return Err(PasswordError::Overloaded);
        }
        Ok(entered)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn hash(cost: PasswordCost, password: &Secret) -> Result<Secret, PasswordError> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, cost.params()?)
        .hash_password(password.expose().as_bytes())
        .map(|hash| Secret::new(hash.to_string()))
        .map_err(|e| PasswordError::Failed(e.to_string()))
}

fn verify(cost: PasswordCost, password: &Secret, hash: &Secret) -> Result<Verdict, PasswordError> {
    let parsed = PasswordHash::new(hash.expose()).map_err(|e| PasswordError::Failed(e.to_string()))?;
    if Argon2::default()
        .verify_password(password.expose().as_bytes(), &parsed)
        .is_err()
    {
        return Ok(Verdict::Wrong);
    }
    let present = Params::try_from(&parsed).is_ok_and(|params| {
        (params.m_cost(), params.t_cost(), params.p_cost()) == (cost.memory_kib, cost.passes, 1)
    });
    let argon2id = parsed.algorithm == Algorithm::Argon2id.ident();
    Ok(if present && argon2id {
        Verdict::Right
    } else {
        Verdict::RightOutdated
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hashes_are_argon2id_salted_and_verify() {
        let passwords = Passwords::new(PasswordCost::CHEAP);
        let (one, two) = (Secret::new("hunter2!"), Secret::new("hunter3!"));
        let hash = passwords.hash(&one).await.unwrap();
        assert!(
            hash.expose().starts_with("$argon2id$v=19$m=8,t=1,p=1$"),
            "{}",
            hash.expose()
        );
        assert_ne!(hash, passwords.hash(&one).await.unwrap());
        assert_eq!(passwords.verify(&one, Some(&hash)).await, Ok(Verdict::Right));
        assert_eq!(passwords.verify(&two, Some(&hash)).await, Ok(Verdict::Wrong));
        assert_eq!(passwords.verify(&one, None).await, Ok(Verdict::Wrong));
    }

    #[tokio::test]
    async fn hashes_of_another_cost_are_right_and_outdated() {
        let old = Passwords::new(PasswordCost {
            memory_kib: 16,
            passes: 1,
        });
        let password = Secret::new("hunter2!");
        let hash = old.hash(&password).await.unwrap();
        let new = Passwords::new(PasswordCost::CHEAP);
        assert_eq!(
            new.verify(&password, Some(&hash)).await,
            Ok(Verdict::RightOutdated)
        );
    }

    #[tokio::test]
    async fn too_many_waiting_are_turned_away() {
        let passwords = Passwords::new(PasswordCost::CHEAP);
        let all = u32::try_from(passwords.at_once.available_permits()).unwrap();
        let held = Arc::clone(&passwords.at_once)
            .acquire_many_owned(all)
            .await
            .unwrap();
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..HASHES_WAITING_MAX {
            let passwords = passwords.clone();
            waiting.spawn(async move { passwords.hash(&Secret::new("p")).await });
        }
        while passwords.waiting.load(Ordering::Acquire) < HASHES_WAITING_MAX {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            passwords.hash(&Secret::new("p")).await,
            Err(PasswordError::Overloaded)
        );
        drop(held);
        while let Some(done) = waiting.join_next().await {
            done.unwrap().unwrap();
        }
        assert!(passwords.hash(&Secret::new("p")).await.is_ok());
    }
}

//! The signing keys, ready for use: one signs, several verify.
//!
//! A key signs from `signs_from` until a later one does, and verifies until the last token it signed
//! has ended. Private parts come from the store and go back there; they are printed nowhere.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use levada_event::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use rsa::RsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey as _;
use serde_json::json;

use crate::clock::later;
use crate::limits::{ACCESS_LIFETIME, CLOCK_SKEW, SIGNING_KEY_BITS, SIGNING_KEYS_MAX};
use crate::model::{Keyring, SigningKeyRecord};
use crate::secret::{Secret, hex};

/// Where new signing keys come from: the default makes RSA keys of [`SIGNING_KEY_BITS`] bits, which
/// takes up to some seconds of one core. Replaceable for tests alone.
pub(crate) type KeyMaker = Arc<dyn Fn() -> Result<NewKey, KeyError> + Send + Sync>;

/// A new key that is in no store yet.
#[derive(Debug, Clone)]
pub(crate) struct NewKey {
    kid: String,
    private: Secret,
}

/// Why a signing key cannot be made or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("signing key: {0}")]
pub(crate) struct KeyError(String);

/// A key that may sign.
pub(crate) struct Signer {
    kid: String,
    pair: RsaKeyPair,
    signs_from: Timestamp,
    verifies_until: Option<Timestamp>,
}

/// All keys that are good for something.
pub(crate) struct KeySet {
    keys: Vec<Signer>,
}

impl NewKey {
    /// Makes a key. Blocks for up to some seconds.
    pub(crate) fn make() -> Result<Self, KeyError> {
        let fault = |e: &dyn std::fmt::Display| KeyError(e.to_string());
        let private =
            RsaPrivateKey::new(&mut rsa::rand_core::OsRng, SIGNING_KEY_BITS).map_err(|e| fault(&e))?;
        let der = private.to_pkcs8_der().map_err(|e| fault(&e))?;
        let pair = RsaKeyPair::from_pkcs8(der.as_bytes()).map_err(|e| fault(&e))?;
        let kid = hex(&ring::digest::digest(&ring::digest::SHA256, pair.public_key().as_ref()).as_ref()[..8]);
        Ok(Self {
            kid,
            private: Secret::new(STANDARD.encode(der.as_bytes())),
        })
    }

    fn record(self, now: Timestamp, signs_from: Timestamp) -> SigningKeyRecord {
        SigningKeyRecord {
            kid: self.kid,
            private: self.private,
            created_at: now,
            signs_from,
            verifies_until: None,
        }
    }
}

impl Keyring {
    /// Adds `new`, which signs after `lead`; the keys before it go on verifying until their last
    /// tokens have ended, and those that no longer do are dropped.
    pub(crate) fn rotate(&mut self, new: NewKey, now: Timestamp, lead: Duration) -> Result<(), KeyError> {
        self.drop_ended(now);
        if self.keys.len() >= SIGNING_KEYS_MAX {
            return Err(KeyError(format!(
                "{SIGNING_KEYS_MAX} keys are still in use; wait for one to end"
            )));
        }
        // The first key has nobody to wait for.
        let signs_from = if self.keys.is_empty() {
            now
        } else {
            later(now, lead)
        };
        let until = later(signs_from, ACCESS_LIFETIME + CLOCK_SKEW);
        for key in &mut self.keys {
            key.verifies_until.get_or_insert(until);
        }
        self.keys.push(new.record(now, signs_from));
        Ok(())
    }

    /// Puts `new` in the place of all keys at once: every token out there dies.
    pub(crate) fn replace(&mut self, new: NewKey, now: Timestamp) {
        self.keys = vec![new.record(now, now)];
    }

    /// Drops the keys whose last tokens have ended, and says how many.
    pub(crate) fn drop_ended(&mut self, now: Timestamp) -> usize {
        let before = self.keys.len();
        self.keys
            .retain(|key| key.verifies_until.is_none_or(|until| until > now));
        before - self.keys.len()
    }

    /// The key that takes over last.
    pub(crate) fn newest(&self) -> Option<&SigningKeyRecord> {
        self.keys.iter().max_by_key(|key| key.signs_from)
    }
}

impl KeySet {
    /// Reads what the store has.
    pub(crate) fn read(ring: &Keyring) -> Result<Self, KeyError> {
        let keys = ring.keys.iter().map(|record| {
            let fault = |what: &str| KeyError(format!("{} {what}", record.kid));
            let der = STANDARD
                .decode(record.private.expose())
                .map_err(|_| fault("is not base 64"))?;
            let pair = RsaKeyPair::from_pkcs8(&der).map_err(|_| fault("is no RSA key"))?;
            Ok(Signer {
                kid: record.kid.clone(),
                pair,
                signs_from: record.signs_from,
                verifies_until: record.verifies_until,
            })
        });
        Ok(Self {
            keys: keys.collect::<Result<_, KeyError>>()?,
        })
    }

    /// The key that signs at `now`: the newest that has begun to.
    pub(crate) fn signer(&self, now: Timestamp) -> Option<&Signer> {
        let begun = self
            .keys
            .iter()
            .filter(|key| key.signs_from <= now)
            .max_by_key(|key| key.signs_from);
        // A clock that was set back must not leave the server without a key.
        begun.or_else(|| self.keys.iter().min_by_key(|key| key.signs_from))
    }

    /// The key of this name, if it still verifies at `now`.
    pub(crate) fn verifier(&self, kid: &str, now: Timestamp) -> Option<&Signer> {
        self.keys
            .iter()
            .find(|key| key.kid == kid && key.verifies_until.is_none_or(|until| until > now))
    }

    /// The public parts as a JSON Web Key Set (RFC 7517).
    pub(crate) fn public(&self) -> serde_json::Value {
        let keys: Vec<_> = self
            .keys
            .iter()
            .map(|key| {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(key.pair.public());
                json!({
                    "kty": "RSA", "use": "sig", "alg": "RS256", "kid": key.kid,
                    "n": URL_SAFE_NO_PAD.encode(&public.n), "e": URL_SAFE_NO_PAD.encode(&public.e),
                })
            })
            .collect();
        json!({ "keys": keys })
    }
}

impl Signer {
    /// The key's name in tokens.
    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    /// The RS256 signature of `message`.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .ok()?;
        Some(signature)
    }

    /// Whether `signature` is this key's RS256 signature of `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.public())
            .verify(message, signature)
            .is_ok()
    }

    /// The public key in DER.
    pub(crate) fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.kid)
    }
}

/// Keys that tests share, because making one takes long. The same number gives the same key.
#[cfg(test)]
pub(crate) fn test_new_key(which: usize) -> NewKey {
    static KEYS: [std::sync::OnceLock<NewKey>; 3] = [const { std::sync::OnceLock::new() }; 3];
    KEYS[which % 3].get_or_init(|| NewKey::make().unwrap()).clone()
}

/// One of [`test_new_key`]'s keys as a record that signs from `now` on.
#[cfg(test)]
pub(crate) fn test_key(which: usize, now: Timestamp) -> SigningKeyRecord {
    test_new_key(which).record(now, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);
    const LEAD: Duration = Duration::from_secs(5);

    #[test]
    fn rotation_overlaps() {
        let mut ring = Keyring::default();
        ring.rotate(test_new_key(0), NOW, LEAD).unwrap();
        let first = ring.keys[0].kid.clone();
        assert_eq!(ring.keys[0].signs_from, NOW, "the first key signs at once");
        ring.rotate(test_new_key(1), NOW, LEAD).unwrap();
        let second = ring.keys[1].kid.clone();
        let keys = KeySet::read(&ring).unwrap();
        assert_eq!(
            keys.signer(NOW).unwrap().kid(),
            first,
            "the second waits until all know it"
        );
        let takeover = later(NOW, LEAD);
        assert_eq!(keys.signer(takeover).unwrap().kid(), second);
        assert!(keys.verifier(&second, NOW).is_some());
        let last = later(takeover, ACCESS_LIFETIME);
        assert!(
            keys.verifier(&first, last).is_some(),
            "its last token is still good"
        );
        assert!(keys.verifier(&first, later(last, CLOCK_SKEW)).is_none());
        assert_eq!(ring.drop_ended(later(last, CLOCK_SKEW)), 1);
        assert_eq!(ring.newest().unwrap().kid, second);
    }

    #[test]
    fn replacing_kills_the_others() {
        let mut ring = Keyring {
            keys: vec![test_key(0, NOW)],
        };
        ring.replace(test_new_key(1), NOW);
        assert_eq!((ring.keys.len(), &ring.keys[0].kid), (1, &test_new_key(1).kid));
    }

    #[test]
    fn rotation_in_a_loop_is_stopped() {
        let mut ring = Keyring::default();
        let tries = (0..=SIGNING_KEYS_MAX).map(|_| ring.rotate(test_new_key(0), NOW, LEAD).is_ok());
        assert_eq!(tries.filter(|ok| *ok).count(), SIGNING_KEYS_MAX);
    }

    #[test]
    fn public_keys_have_no_private_parts() {
        let keys = KeySet::read(&Keyring {
            keys: vec![test_key(0, NOW)],
        })
        .unwrap();
        let public = keys.public();
        let names: Vec<&String> = public["keys"][0].as_object().unwrap().keys().collect();
        assert_eq!(names, ["kty", "use", "alg", "kid", "n", "e"]);
        assert_eq!(public["keys"][0]["e"], "AQAB");
        let printed = format!("{:?} {:?}", keys.signer(NOW), test_key(0, NOW));
        assert!(!printed.contains(test_key(0, NOW).private.expose()));
    }
}

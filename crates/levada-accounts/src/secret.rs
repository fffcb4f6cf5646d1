//! Texts that must never reach a log, and random texts.
//!
//! A [`Secret`] prints as `***` wherever `Debug` is used; the one way to the text is
//! [`Secret::expose`], which makes each use findable. Nothing here implements `Display`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

/// A text that `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text itself, taken out.
    pub fn into_exposed(self) -> String {
        self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// The operating system gave no random bytes: no secret can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

/// `N` random bytes of the operating system.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// `prefix` and 32 random bytes as 43 characters of URL-safe base 64.
pub(crate) fn random_token(prefix: &str) -> Result<Secret, NoRandomness> {
    Ok(Secret(format!(
        "{prefix}{}",
        URL_SAFE_NO_PAD.encode(random_bytes::<32>()?)
    )))
}

/// Letters and digits that are not taken for one another when read aloud or copied by hand.
const PLAIN: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// `groups` times four random characters of [`PLAIN`] (20 bits each), joined by hyphens.
pub(crate) fn random_words(groups: usize) -> Result<Secret, NoRandomness> {
    let mut text = String::with_capacity(groups * 5);
    for group in 0..groups {
        if group > 0 {
            text.push('-');
        }
        for byte in random_bytes::<4>()? {
            text.push(char::from(PLAIN[usize::from(byte % 32)]));
        }
    }
    Ok(Secret(text))
}

/// A random password of 80 bits, such as `k3vm-…`, for people to copy.
///
/// # Errors
/// [`NoRandomness`] when the operating system gives none.
pub fn random_password() -> Result<Secret, NoRandomness> {
    random_words(4)
}

/// SHA-256 of `parts`, each preceded by its length, in hexadecimal. Good for secrets of 100 random
/// bits and more, which cannot be guessed; passwords take [`password`](crate::password) instead.
pub(crate) fn fingerprint(parts: &[&str]) -> String {
    let mut input = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        input.extend_from_slice(&(part.len() as u64).to_be_bytes());
        input.extend_from_slice(part.as_bytes());
    }
    hex(digest(&SHA256, &input).as_ref())
}

/// `bytes` in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// Compares in a time that depends on the lengths alone.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.len() == b.len()
        && a.bytes()
            .zip(b.bytes())
            .fold(0, |differs, (a, b)| differs | (a ^ b))
            == 0
}

/// Secrets in stored records: as their text.
pub(crate) mod stored {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Secret;

    pub(crate) fn serialize<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        String::deserialize(from).map(Secret)
    }

    /// The same for secrets that may be absent.
    pub(crate) mod option {
        use super::{Deserialize, Deserializer, Secret, Serializer};

        pub(crate) fn serialize<S: Serializer>(secret: &Option<Secret>, to: S) -> Result<S::Ok, S::Error> {
            match secret {
                Some(secret) => to.serialize_some(secret.expose()),
                None => to.serialize_none(),
            }
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
            Ok(Option::<String>::deserialize(from)?.map(Secret))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn random_texts_have_their_shape_and_differ() {
        let token = random_token("x_").unwrap();
        assert_eq!(token.expose().len(), 2 + 43);
        assert_ne!(token, random_token("x_").unwrap());
        let words = random_words(4).unwrap();
        assert_eq!(words.expose().len(), 19);
        assert!(words.expose().bytes().all(|b| b == b'-' || PLAIN.contains(&b)));
    }

    #[test]
    fn fingerprints_keep_parts_apart() {
        assert_ne!(fingerprint(&["ab", "c"]), fingerprint(&["a", "bc"]));
        assert_eq!(fingerprint(&["a"]).len(), 64);
        assert_eq!(hex(&[0, 0xab, 0xff]), "00abff");
        assert!(same("abc", "abc") && !same("abc", "abd") && !same("abc", "ab"));
    }
}

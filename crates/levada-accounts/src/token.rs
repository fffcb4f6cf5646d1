//! Signed tokens: JSON Web Tokens of exactly one kind.
//!
//! One algorithm (RS256), one place where keys come from (our own store), one issuer and one client
//! (the configured ones): a token can choose none of them. What it says about algorithm and key is
//! compared, never followed, and nothing outside the process is asked. The signature is checked
//! before a claim is believed. Signing and checking are *ring*'s, whose RSA takes the same time for
//! every key; a general JWT library would bring the choice of algorithms that this one must not have.
//!
//! Claims are those of the contract (realtime §3.3) and `sid`, the session, by which a token can be
//! taken back. Error texts follow the reference where the contract knows them (§1.9).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use levada_event::Timestamp;
use serde::{Deserialize, Serialize};

use self::keyset::{KeySet, Signer};
use crate::clock::millis;
use crate::limits::{CLOCK_SKEW, TOKEN_BYTES_MAX};
use crate::secret::Secret;

pub(crate) mod keyset;

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) sub: String,
    pub(crate) iss: String,
    #[serde(default)]
    pub(crate) client_id: Option<String>,
    #[serde(rename = "cognito:groups", default)]
    pub(crate) groups: Vec<String>,
    pub(crate) token_use: String,
    pub(crate) sid: String,
    pub(crate) jti: String,
    pub(crate) auth_time: i64,
    pub(crate) iat: i64,
    pub(crate) exp: i64,
    pub(crate) username: String,
}

/// What an id token says: who the user is. It has no `client_id` and opens nothing.
#[derive(Debug, Serialize)]
pub(crate) struct IdClaims<'a> {
    pub(crate) sub: &'a str,
    pub(crate) iss: &'a str,
    pub(crate) aud: &'a str,
    #[serde(rename = "cognito:groups")]
    pub(crate) groups: &'a [String],
    #[serde(rename = "cognito:username")]
    pub(crate) username: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) email: Option<&'a str>,
    pub(crate) token_use: &'static str,
    pub(crate) sid: &'a str,
    pub(crate) jti: &'a str,
    pub(crate) auth_time: i64,
    pub(crate) iat: i64,
    pub(crate) exp: i64,
}

/// What must be so in every token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pinned {
    pub(crate) issuer: String,
    pub(crate) client_id: String,
}

/// Why a token is refused. The texts go to the client and tell nothing that the token does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("token is malformed: token contains an invalid number of segments")]
    Segments,
    #[error("token is malformed: it is too long")]
    TooLong,
    #[error("token is malformed: could not decode its {0}")]
    Encoding(&'static str),
    #[error("unexpected signing method: {0}")]
    Algorithm(String),
    #[error("token is malformed: it has critical extensions")]
    Critical,
    #[error("kid header not found")]
    NoKid,
    #[error("key not found")]
    UnknownKid,
    #[error("crypto/rsa: verification error")]
    Signature,
    #[error("incorrect issuer")]
    Issuer,
    #[error("incorrect client id")]
    Client,
    #[error("incorrect token use")]
    Use,
    #[error("token is expired")]
    Expired,
    #[error("token used before issued")]
    Early,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

/// Signs `claims` with `signer`. Takes about a millisecond of one core.
pub(crate) fn sign(signer: &Signer, claims: &impl Serialize) -> Result<Secret, SignError> {
    let header = format!(r#"{{"kid":"{}","alg":"RS256","typ":"JWT"}}"#, signer.kid());
    let claims = serde_json::to_vec(claims).map_err(|_| SignError)?;
    let mut token = URL_SAFE_NO_PAD.encode(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let signature = signer.sign(token.as_bytes()).ok_or(SignError)?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(Secret::new(token))
}

/// A token could not be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token could not be signed")]
pub(crate) struct SignError;

/// The claims of an access token that one of `keys` signed, that is for us, and that is good at
/// `now`. Whether its session goes on is for the caller to ask.
pub(crate) fn verify(
    token: &str,
    keys: &KeySet,
    pinned: &Pinned,
    now: Timestamp,
) -> Result<Claims, TokenError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::TooLong);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Segments)?;
    let (header, claims) = signed.split_once('.').ok_or(TokenError::Segments)?;
    if claims.contains('.') {
        return Err(TokenError::Segments);
    }
    let header: Header = part(header, "header")?;
    if header.alg != "RS256" {
        return Err(TokenError::Algorithm(
            header.alg.chars().filter(|c| !c.is_control()).take(16).collect(),
        ));
    }
    if header.crit.is_some() {
        return Err(TokenError::Critical);
    }
    let kid = header
        .kid
        .filter(|kid| !kid.is_empty())
        .ok_or(TokenError::NoKid)?;
    let key = keys.verifier(&kid, now).ok_or(TokenError::UnknownKid)?;
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| TokenError::Encoding("signature"))?;
    if !key.verifies(signed.as_bytes(), &signature) {
        return Err(TokenError::Signature);
    }
    let claims: Claims = part(claims, "claims")?;
    check(&claims, pinned, now)?;
    Ok(claims)
}

fn check(claims: &Claims, pinned: &Pinned, now: Timestamp) -> Result<(), TokenError> {
    let seconds = now.as_millis().div_euclid(1000);
    if claims.exp <= seconds {
        return Err(TokenError::Expired);
    }
    if claims.iat.saturating_sub(millis(CLOCK_SKEW) / 1000) > seconds {
        return Err(TokenError::Early);
    }
    if claims.iss != pinned.issuer {
        return Err(TokenError::Issuer);
    }
    if claims.client_id.as_ref() != Some(&pinned.client_id) {
        return Err(TokenError::Client);
    }
    if claims.token_use != "access" {
        return Err(TokenError::Use);
    }
    Ok(())
}

fn part<T: serde::de::DeserializeOwned>(text: &str, name: &'static str) -> Result<T, TokenError> {
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| TokenError::Encoding(name))?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Encoding(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Keyring;
    use crate::token::keyset::test_key;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn pinned() -> Pinned {
        Pinned {
            issuer: "levada".into(),
            client_id: "client".into(),
        }
    }

    fn claims() -> Claims {
        let now = NOW.as_millis() / 1000;
        Claims {
            sub: "sub".into(),
            iss: "levada".into(),
            client_id: Some("client".into()),
            groups: vec!["group_3".into()],
            token_use: "access".into(),
            sid: "sid".into(),
            jti: "jti".into(),
            auth_time: now,
            iat: now,
            exp: now + 86_400,
            username: "ann".into(),
        }
    }

    fn keys(which: usize) -> KeySet {
        KeySet::read(&Keyring {
            keys: vec![test_key(which, NOW)],
        })
        .unwrap()
    }

    fn token(keys: &KeySet, claims: &impl Serialize) -> String {
        sign(keys.signer(NOW).unwrap(), claims).unwrap().into_exposed()
    }

    fn outcome(token: &str) -> Result<Claims, String> {
        verify(token, &keys(0), &pinned(), NOW).map_err(|e| e.to_string())
    }

    fn forged(header: &str, claims: &impl Serialize, signature: &[u8]) -> String {
        let claims = serde_json::to_vec(claims).unwrap();
        format!(
            "{}.{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims),
            URL_SAFE_NO_PAD.encode(signature)
        )
    }

    #[test]
    fn what_was_signed_verifies() {
        assert_eq!(outcome(&token(&keys(0), &claims())), Ok(claims()));
    }

    #[test]
    fn claims_carry_the_names_of_the_contract() {
        let json = serde_json::to_value(claims()).unwrap();
        for name in [
            "client_id",
            "iss",
            "cognito:groups",
            "sub",
            "exp",
            "iat",
            "username",
            "sid",
        ] {
            assert!(json.get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn each_wrong_claim_is_refused_with_its_text() {
        type Spoil = fn(&mut Claims);
        let wrong: [(&str, Spoil); 7] = [
            ("token is expired", |c| c.exp = NOW.as_millis() / 1000),
            ("token used before issued", |c| c.iat += 61),
            ("incorrect issuer", |c| c.iss = "https://attacker.example".into()),
            ("incorrect client id", |c| c.client_id = Some("foreign".into())),
            ("incorrect client id", |c| c.client_id = None),
            ("incorrect token use", |c| c.token_use = "id".into()),
            ("token is expired", |c| c.exp = i64::MIN),
        ];
        for (text, spoil) in wrong {
            let mut claims = claims();
            spoil(&mut claims);
            assert_eq!(outcome(&token(&keys(0), &claims)), Err(text.to_owned()));
        }
    }

    #[test]
    fn algorithms_cannot_be_chosen() {
        let kid = keys(0).signer(NOW).unwrap().kid().to_owned();
        for alg in ["none", "None", "HS256", "RS384", "PS256", "ES256", "rs256"] {
            let token = forged(&format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#), &claims(), b"");
            assert_eq!(outcome(&token), Err(format!("unexpected signing method: {alg}")));
        }
    }

    #[test]
    fn the_public_key_is_no_password() {
        // HS256 keyed with what everyone knows: the classic confusion of algorithms.
        let keys = keys(0);
        let signer = keys.signer(NOW).unwrap();
        let header = format!(r#"{{"alg":"HS256","kid":"{}"}}"#, signer.kid());
        let unsigned = forged(&header, &claims(), b"");
        let signed = unsigned.trim_end_matches('.');
        let public = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, signer.public());
        let tag = ring::hmac::sign(&public, signed.as_bytes());
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag));
        assert_eq!(
            outcome(&token),
            Err("unexpected signing method: HS256".to_owned())
        );
        let token = token.replacen(
            &URL_SAFE_NO_PAD.encode(&header),
            &URL_SAFE_NO_PAD.encode(header.replace("HS256", "RS256")),
            1,
        );
        assert_eq!(outcome(&token), Err("crypto/rsa: verification error".to_owned()));
    }

    #[test]
    fn keys_are_ours_or_nobodys() {
        assert_eq!(
            outcome(&token(&keys(1), &claims())),
            Err("key not found".to_owned())
        );
        let ours = keys(0).signer(NOW).unwrap().kid().to_owned();
        // Signed by a stranger under the name of our key.
        let theirs = token(&keys(1), &claims());
        let (_, rest) = theirs.split_once('.').unwrap();
        let renamed = format!(
            "{}.{rest}",
            URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"RS256","kid":"{ours}"}}"#))
        );
        assert_eq!(
            outcome(&renamed),
            Err("crypto/rsa: verification error".to_owned())
        );
        for header in [
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"RS256","kid":""}"#,
            r#"{"alg":"RS256","kid":null}"#,
        ] {
            assert_eq!(
                outcome(&forged(header, &claims(), b"x")),
                Err("kid header not found".to_owned())
            );
        }
        let jku = format!(r#"{{"alg":"RS256","kid":"{ours}","jku":"https://attacker.example/jwks.json"}}"#);
        assert_eq!(
            outcome(&forged(&jku, &claims(), b"x")),
            Err("crypto/rsa: verification error".to_owned())
        );
        let critical = format!(r#"{{"alg":"RS256","kid":"{ours}","crit":["b64"],"b64":false}}"#);
        assert!(
            outcome(&forged(&critical, &claims(), b"x"))
                .unwrap_err()
                .contains("critical")
        );
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let good = token(&keys(0), &claims());
        let long = format!("{good}{}", "A".repeat(TOKEN_BYTES_MAX));
        let cut = &good[..good.len() - 1];
        let extra = format!("{good}.x");
        let padded = format!("{good}=");
        for token in [
            "", ".", "..", "...", "garbage", "a.b.c", "*.*.*", "[a-z]*", &long, cut, &extra, &padded,
        ] {
            assert!(outcome(token).is_err(), "{token}");
        }
        // Every single changed character counts, also in the last bits of the base 64.
        for at in [0, 10, good.len() / 2, good.len() - 1] {
            let mut changed = good.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(outcome(&String::from_utf8(changed).unwrap()).is_err(), "{at}");
        }
    }
}

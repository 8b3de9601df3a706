//! Credentials: what a request carries, how secrets are kept, and whether the two agree.
//!
//! A secret that was generated here is 256 random bits and is kept as its SHA-256: it cannot be guessed, so a slow hash
//! would protect nothing. A password that somebody chose is kept as argon2id. Both in the form of PHC strings,
//! `$sha256$…` and `$argon2id$v=19$…`. Whatever fails has cost two argon2id hashes, so that the time an answer takes
//! does not tell an unknown connector or username from a wrong password: one username may have two passwords while one
//! takes the place of the other.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use crate::error::ScimError;

/// argon2id as OWASP's minimum has it: 19 MiB, two passes, one lane.
const ARGON2_MEMORY_KIB: u32 = 19 * 1024;
const ARGON2_PASSES: u32 = 2;
const ARGON2_LANES: u32 = 1;
/// The hashes that a failure costs.
const HASHES_TO_FAIL: usize = 2;

const SHA256_PREFIX: &str = "$sha256$";

/// What one request may carry, as a connector keeps it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Credential {
    /// What people and the audit trail call it.
    pub id: String,
    /// Basic, with its username, or Bearer.
    pub kind: CredentialKind,
    /// The hash of the password or token.
    pub secret: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends, if it does.
    pub expires: Option<Timestamp>,
}

impl Credential {
    /// One with a generated secret, and the secret.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate(kind: CredentialKind, now: Timestamp) -> Result<(Self, String), ScimError> {
        let secret = generate_secret()?;
        Ok((Self::keep(kind, &secret, now)?, secret))
    }

    /// One with a secret that was generated before.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn keep(kind: CredentialKind, secret: &str, now: Timestamp) -> Result<Self, ScimError> {
        Self::new(kind, hash_generated(secret), now)
    }

    /// One with a secret that somebody chose.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn choose(kind: CredentialKind, secret: &str, now: Timestamp) -> Result<Self, ScimError> {
        Self::new(kind, hash_chosen(secret)?, now)
    }

    fn new(kind: CredentialKind, secret: String, now: Timestamp) -> Result<Self, ScimError> {
        let mut id = [0; 4];
        getrandom::fill(&mut id).map_err(ScimError::internal)?;
        let id = id.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { id, kind, secret, created: now, expires: None })
    }

    /// Whether it is good at this time.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// The two schemes.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CredentialKind {
    /// RFC 7617.
    Basic {
        /// The username.
        username: String,
    },
    /// RFC 6750.
    Bearer,
}

/// What a request carries in its Authorization header.
#[derive(PartialEq, Eq)]
pub enum Presented {
    /// RFC 7617.
    Basic {
        /// The username.
        username: String,
        /// The password.
        password: String,
    },
    /// RFC 6750.
    Bearer {
        /// The token.
        token: String,
    },
}

impl Presented {
    /// What agrees with no credential.
    pub fn nothing() -> Self {
        Self::Basic { username: String::new(), password: String::new() }
    }

    /// Reads the value of an Authorization header; `None` when it is neither Basic nor Bearer.
    pub fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ')?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self::Bearer { token: rest.to_owned() });
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = STANDARD.decode(rest).or_else(|_| STANDARD_NO_PAD.decode(rest)).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (username, password) = decoded.split_once(':')?;
        Some(Self::Basic { username: username.to_owned(), password: password.to_owned() })
    }

    /// The first of these credentials that is live and agrees with what is presented. If there is none, that took two
    /// argon2id hashes, whatever was presented.
    pub fn find<'c>(&self, credentials: &'c [Credential], now: Timestamp) -> Option<&'c Credential> {
        self.find_counting(credentials, now).0
    }

    /// The same, and how many argon2id hashes it took.
    fn find_counting<'c>(
        &self,
        credentials: &'c [Credential],
        now: Timestamp,
    ) -> (Option<&'c Credential>, usize) {
        let mut hashes = 0;
        for credential in credentials.iter().filter(|credential| credential.is_live(now)) {
            let (agrees, presented) = match (self, &credential.kind) {
                (Self::Basic { username, password }, CredentialKind::Basic { username: expected }) => {
                    (bool::from(username.as_bytes().ct_eq(expected.as_bytes())), password)
                }
                (Self::Bearer { token }, CredentialKind::Bearer) => (true, token),
                _ => continue,
            };
            if !agrees {
                continue;
            }
            if let Some(hash) = credential.secret.strip_prefix(SHA256_PREFIX) {
                if bool::from(sha256(presented).as_bytes().ct_eq(hash.as_bytes())) {
                    return (Some(credential), hashes);
                }
            } else {
                hashes += 1;
                let hash = PasswordHash::new(&credential.secret);
                if hash.is_ok_and(|hash| argon2().verify_password(presented.as_bytes(), &hash).is_ok()) {
                    return (Some(credential), hashes);
                }
            }
        }
        while hashes < HASHES_TO_FAIL {
            hashes += 1;
            pay();
        }
        (None, hashes)
    }
}

/// Spends the time of one argon2id hash, for an answer that must not come sooner than another.
fn pay() {
    let mut out = [0; 32];
    // The result is of no use, and neither is an error: the parameters are constants that argon2 takes.
    let _ = argon2().hash_password_into(b"nobody's password", b"nobody's salt", &mut out);
    std::hint::black_box(out);
}

/// Makes a secret of 256 random bits, in characters that need no escaping anywhere.
///
/// # Errors
/// When the system has no randomness.
pub fn generate_secret() -> Result<String, ScimError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(ScimError::internal)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// How a generated secret is kept.
pub fn hash_generated(secret: &str) -> String {
    format!("{SHA256_PREFIX}{}", sha256(secret))
}

/// How a password that somebody chose is kept.
///
/// # Errors
/// When the system has no randomness for the salt.
pub fn hash_chosen(password: &str) -> Result<String, ScimError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(ScimError::internal)?;
    let hash = argon2().hash_password_with_salt(password.as_bytes(), &salt);
    Ok(hash.map_err(|error| ScimError::internal(error.to_string()))?.to_string())
}

fn sha256(secret: &str) -> String {
    STANDARD_NO_PAD.encode(Sha256::digest(secret))
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(ARGON2_MEMORY_KIB, ARGON2_PASSES, ARGON2_LANES, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn basic(username: &str, secret: String) -> Credential {
        Credential::new(CredentialKind::Basic { username: username.to_owned() }, secret, NOW).unwrap()
    }

    #[test]
    fn an_authorization_header_is_read_as_rfc_7617_and_6750_have_it() {
        let basic = |username: &str, password: &str| {
            Some(Presented::Basic { username: username.to_owned(), password: password.to_owned() })
        };
        let bearer = |token: &str| Some(Presented::Bearer { token: token.to_owned() });
        for (header, expected) in [
            ("Basic b2t0YTpzOmVjcmV0", basic("okta", "s:ecret")),
            ("basic b2t0YTpzOmVjcmV0", basic("okta", "s:ecret")),
            ("Basic w6k6w6k=", basic("é", "é")),
            ("Basic w6k6w6k", basic("é", "é")),
            ("Bearer abc.def", bearer("abc.def")),
            ("BEARER  abc ", bearer("abc")),
            ("Basic b2t0YQ==", None),
            ("Basic !", None),
            ("Digest x", None),
            ("non-token", None),
            ("", None),
        ] {
            assert!(Presented::parse(header) == expected, "{header}");
        }
    }

    #[test]
    fn chosen_and_generated_secrets_agree_with_themselves_only() {
        let generated = generate_secret().unwrap();
        let credentials = [
            basic("okta", hash_generated(&generated)),
            basic("chosen", hash_chosen("correct horse").unwrap()),
            Credential::new(CredentialKind::Bearer, hash_generated("token"), NOW).unwrap(),
        ];
        let present = |username: &str, password: &str| {
            let presented = Presented::Basic { username: username.to_owned(), password: password.to_owned() };
            presented
                .find(&credentials, NOW)
                .map(|found| credentials.iter().position(|one| one == found).unwrap())
        };
        assert_eq!(present("okta", &generated), Some(0));
        assert_eq!(present("chosen", "correct horse"), Some(1));
        assert_eq!(present("chosen", "correct horsf"), None);
        assert_eq!(present("okta", "correct horse"), None);
        assert_eq!(present("nobody", &generated), None);
        assert!(Presented::Bearer { token: "token".into() }.find(&credentials, NOW).is_some());
        assert!(Presented::Bearer { token: generated }.find(&credentials, NOW).is_none());
    }

    #[test]
    fn whatever_fails_costs_two_hashes() {
        let chosen = |password: &str| basic("okta", hash_chosen(password).unwrap());
        let two = [chosen("correct horse"), chosen("battery staple")];
        let generated = [basic("okta", hash_generated("secret"))];
        let basic = |username: &str| Presented::Basic { username: username.into(), password: "wrong".into() };
        let bearer = Presented::Bearer { token: "wrong".into() };
        for (presented, credentials) in [
            (&basic("okta"), &two[..]),
            (&basic("okta"), &two[..1]),
            (&basic("okta"), &generated),
            (&basic("nobody"), &two),
            (&bearer, &two),
            (&Presented::nothing(), &[]),
        ] {
            assert_eq!(presented.find_counting(credentials, NOW), (None, 2));
        }
    }

    #[test]
    fn a_kept_password_holds_owasp_parameters_and_not_the_password() {
        let kept = hash_chosen("correct horse").unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(!kept.contains("correct"));
        assert_ne!(kept, hash_chosen("correct horse").unwrap());
    }

    #[test]
    fn an_expired_credential_agrees_with_nothing() {
        let (credential, token) = Credential::generate(CredentialKind::Bearer, NOW).unwrap();
        let expires = NOW + jiff::SignedDuration::from_secs(60);
        let credentials = [Credential { expires: Some(expires), ..credential }];
        let presented = Presented::Bearer { token };
        assert!(presented.find(&credentials, expires - jiff::SignedDuration::from_secs(1)).is_some());
        assert!(presented.find(&credentials, expires).is_none());
    }
}

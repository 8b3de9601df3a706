//! Credentials: those that a connector accepts, those that a request presents, and whether they match.
//!
//! A generated secret has 256 random bits. It is stored as its SHA-256: guessing it is impossible, so a slow
//! hash would add no protection. A password that a person chose is stored as argon2id. Both are stored as PHC
//! strings: `$sha256$…` and `$argon2id$v=19$…`.
//!
//! Every check that fails computes two argon2id hashes. So an unknown connector, an unknown username and
//! a wrong password take the same time. The number is two because one username can have two passwords during a rotation.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use crate::error::ScimError;

/// The argon2id parameters that OWASP recommends as a minimum: 19 MiB, two passes, one lane.
const ARGON2_MEMORY_KIB: u32 = 19 * 1024;
const ARGON2_PASSES: u32 = 2;
const ARGON2_LANES: u32 = 1;
/// The number of argon2id hashes that every failed check computes.
const HASHES_PER_FAILURE: usize = 2;

const SHA256_PREFIX: &str = "$sha256$";

/// A credential that a connector accepts.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Credential {
    /// The id, which operators and the audit trail use.
    pub id: String,
    /// The scheme: Basic, with a username, or Bearer.
    pub kind: CredentialKind,
    /// The hash of the password or token, as a PHC string.
    pub secret: String,
    /// When it was created.
    pub created: Timestamp,
    /// When it expires; `None` if it never does.
    pub expires: Option<Timestamp>,
}

impl Credential {
    /// Makes a credential from a generated secret.
    pub fn of_generated(id: String, kind: CredentialKind, secret: &str, now: Timestamp) -> Self {
        Self { id, kind, secret: hash_generated(secret), created: now, expires: None }
    }

    /// Makes a credential from a password that a person chose.
    ///
    /// # Errors
    /// Fails when argon2 refuses the salt.
    pub fn of_chosen(
        id: String,
        kind: CredentialKind,
        password: &str,
        salt: &[u8; 16],
        now: Timestamp,
    ) -> Result<Self, ScimError> {
        Ok(Self { id, kind, secret: hash_chosen(password, salt)?, created: now, expires: None })
    }

    /// Whether the credential is valid at this time.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// The authentication scheme of a credential.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CredentialKind {
    /// Basic (RFC 7617).
    Basic {
        /// The username.
        username: String,
    },
    /// Bearer (RFC 6750).
    Bearer,
}

/// The credentials in a request's Authorization header.
#[derive(PartialEq, Eq)]
pub enum PresentedCredentials {
    /// Basic (RFC 7617).
    Basic {
        /// The username.
        username: String,
        /// The password.
        password: String,
    },
    /// Bearer (RFC 6750).
    Bearer {
        /// The token.
        token: String,
    },
}

impl PresentedCredentials {
    /// Makes credentials that do not match any credential of a connector.
    pub fn none() -> Self {
        Self::Basic { username: String::new(), password: String::new() }
    }

    /// Reads the value of an Authorization header. Returns `None` if it is neither valid Basic nor Bearer.
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

    /// Finds the first valid credential that matches. If none matches, the check computes two argon2id
    /// hashes.
    pub fn find<'c>(&self, credentials: &'c [Credential], now: Timestamp) -> Option<&'c Credential> {
        self.find_counting_hashes(credentials, now).0
    }

    /// Does the work of [`Self::find`], and also returns the number of argon2id hashes that it computed.
    fn find_counting_hashes<'c>(
        &self,
        credentials: &'c [Credential],
        now: Timestamp,
    ) -> (Option<&'c Credential>, usize) {
        let mut hashes = 0;
        for credential in credentials.iter().filter(|credential| credential.is_live(now)) {
            let (is_same_user, presented) = match (self, &credential.kind) {
                (Self::Basic { username, password }, CredentialKind::Basic { username: expected }) => {
                    (bool::from(username.as_bytes().ct_eq(expected.as_bytes())), password)
                }
                (Self::Bearer { token }, CredentialKind::Bearer) => (true, token),
                _ => continue,
            };
            if !is_same_user {
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
        while hashes < HASHES_PER_FAILURE {
            hashes += 1;
            compute_unused_hash();
        }
        (None, hashes)
    }
}

/// Takes as long as one argon2id hash, so that all failed checks take the same time.
fn compute_unused_hash() {
    let mut out = [0; 32];
    // The result is not used. An error is impossible: the parameters are constants that argon2 accepts.
    let _ = argon2().hash_password_into(b"unused password", b"unused salt 16 b", &mut out);
    std::hint::black_box(out);
}

fn hash_generated(secret: &str) -> String {
    format!("{SHA256_PREFIX}{}", sha256(secret))
}

fn hash_chosen(password: &str, salt: &[u8; 16]) -> Result<String, ScimError> {
    let hash = argon2().hash_password_with_salt(password.as_bytes(), salt);
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
    const SALT: [u8; 16] = [7; 16];

    fn basic(username: &str) -> CredentialKind {
        CredentialKind::Basic { username: username.to_owned() }
    }

    fn generated(kind: CredentialKind, secret: &str) -> Credential {
        Credential::of_generated("1".to_owned(), kind, secret, NOW)
    }

    fn chosen(kind: CredentialKind, password: &str) -> Credential {
        Credential::of_chosen("2".to_owned(), kind, password, &SALT, NOW).unwrap()
    }

    fn present(username: &str, password: &str) -> PresentedCredentials {
        PresentedCredentials::Basic { username: username.to_owned(), password: password.to_owned() }
    }

    #[test]
    fn authorization_header_is_parsed_as_basic_or_bearer() {
        let bearer = |token: &str| Some(PresentedCredentials::Bearer { token: token.to_owned() });
        for (header, expected) in [
            ("Basic b2t0YTpzOmVjcmV0", Some(present("okta", "s:ecret"))),
            ("basic b2t0YTpzOmVjcmV0", Some(present("okta", "s:ecret"))),
            ("Basic w6k6w6k=", Some(present("é", "é"))),
            ("Basic w6k6w6k", Some(present("é", "é"))),
            ("Bearer abc.def", bearer("abc.def")),
            ("BEARER  abc ", bearer("abc")),
            ("Basic b2t0YQ==", None),
            ("Basic !", None),
            ("Digest x", None),
            ("non-token", None),
            ("", None),
        ] {
            assert!(PresentedCredentials::parse(header) == expected, "{header}");
        }
    }

    #[test]
    fn credential_matches_only_its_own_username_and_secret() {
        let credentials = [
            generated(basic("okta"), "generated"),
            chosen(basic("chosen"), "correct horse"),
            generated(CredentialKind::Bearer, "token"),
        ];
        let bearer = |token: &str| PresentedCredentials::Bearer { token: token.to_owned() };
        for (presented, expected) in [
            (present("okta", "generated"), Some(0)),
            (present("chosen", "correct horse"), Some(1)),
            (present("chosen", "correct horsf"), None),
            (present("okta", "correct horse"), None),
            (present("other", "generated"), None),
            (bearer("token"), Some(2)),
            (bearer("generated"), None),
        ] {
            let expected = expected.and_then(|position: usize| credentials.get(position));
            assert_eq!(presented.find(&credentials, NOW), expected);
        }
    }

    #[test]
    fn failed_check_always_computes_two_hashes() {
        let two = [chosen(basic("okta"), "correct horse"), chosen(basic("okta"), "battery staple")];
        let generated = [generated(basic("okta"), "secret")];
        let bearer = PresentedCredentials::Bearer { token: "wrong".into() };
        for (presented, credentials) in [
            (&present("okta", "wrong"), &two[..]),
            (&present("okta", "wrong"), &two[..1]),
            (&present("okta", "wrong"), &generated),
            (&present("other", "wrong"), &two),
            (&bearer, &two),
            (&PresentedCredentials::none(), &[]),
        ] {
            assert_eq!(presented.find_counting_hashes(credentials, NOW), (None, 2));
        }
    }

    #[test]
    fn chosen_password_is_stored_as_argon2id_with_owasp_parameters() {
        let stored = hash_chosen("correct horse", &SALT).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(!stored.contains("correct"));
        assert_ne!(stored, hash_chosen("correct horse", &[8; 16]).unwrap());
    }

    #[test]
    fn expired_credential_does_not_match() {
        let expires = NOW + jiff::SignedDuration::from_secs(60);
        let credential = generated(CredentialKind::Bearer, "token");
        let credentials = [Credential { expires: Some(expires), ..credential }];
        let presented = PresentedCredentials::Bearer { token: "token".to_owned() };
        assert!(presented.find(&credentials, expires - jiff::SignedDuration::from_secs(1)).is_some());
        assert!(presented.find(&credentials, expires).is_none());
    }
}

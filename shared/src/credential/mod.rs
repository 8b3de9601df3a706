//! Credentials: those that a connector accepts, those that a request presents, and whether they match.
//!
//! A generated secret has 256 random bits. It is stored as its SHA-256: guessing it is impossible, so a slow
//! hash would add no protection. A password that a person chose is stored as argon2id. Both are stored as PHC
//! strings: `$sha256$…` and `$argon2id$v=19$…`.

mod chosen;
mod oauth;
mod presented;

use argon2::password_hash::PasswordHasher as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

pub use chosen::PasswordVerifier;
pub use oauth::{ClientKey, Federation, find_client_secret};
pub use presented::PresentedCredentials;

use crate::error::ScimError;

const SHA256_PREFIX: &str = "$sha256$";

/// A credential that a connector accepts.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Credential {
    /// The id, which operators and the audit trail use.
    pub id: String,
    /// How a client proves who it is.
    pub kind: CredentialKind,
    /// The API that it is for.
    #[serde(default, skip_serializing_if = "CredentialScope::is_default")]
    pub scope: CredentialScope,
    /// The hash of the password, token or client secret, as a PHC string. Empty if the kind has no secret.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub secret: String,
    /// When it was created.
    pub created: Timestamp,
    /// When it expires; `None` if it never does.
    pub expires: Option<Timestamp>,
}

/// The path of the SCIM API, below the URL of a connector.
pub const SCIM_PATH: &str = "/scim/v2";
/// The path of the directory API, below the URL of a connector.
pub const DIRECTORY_PATH: &str = "/directory/v1";
/// The path of the feeds, below the URL of a connector.
pub const EVENTS_PATH: &str = "/events/v1";

/// The path of the token endpoint, below the URL of a connector.
pub const TOKEN_PATH: &str = "/oauth2/token";

/// The API that a credential is for.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CredentialScope {
    /// The SCIM API, which writes the directory. A stored credential without a scope has this one.
    #[default]
    Scim,
    /// The directory API, which only reads.
    Directory,
}

impl CredentialScope {
    /// The name: `scim` or `directory`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scim => "scim",
            Self::Directory => "directory",
        }
    }

    /// The paths of the APIs that need this scope, below the URL of a connector.
    pub const fn paths(self) -> &'static [&'static str] {
        match self {
            Self::Scim => &[SCIM_PATH],
            Self::Directory => &[DIRECTORY_PATH, EVENTS_PATH],
        }
    }

    /// The scope with this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Scim, Self::Directory].into_iter().find(|scope| scope.name() == name)
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How a client proves who it is: to an API (Basic and Bearer), or to the token endpoint (the others).
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialKind {
    /// Basic (RFC 7617).
    Basic {
        /// The username.
        username: String,
    },
    /// Bearer (RFC 6750).
    Bearer,
    /// The secret of an OAuth client (RFC 6749 §2.3.1).
    ClientSecret {
        /// The id of the client.
        client_id: String,
    },
    /// The key of an OAuth client.
    ClientKey(ClientKey),
    /// The trust in tokens of another issuer.
    Federation(Federation),
}

impl Credential {
    /// Makes a credential for the SCIM API from a generated secret.
    pub fn of_generated(id: String, kind: CredentialKind, secret: &str, now: Timestamp) -> Self {
        let secret = format!("{SHA256_PREFIX}{}", sha256(secret));
        Self { id, kind, scope: CredentialScope::Scim, secret, created: now, expires: None }
    }

    /// Makes a credential for the SCIM API from a password that a person chose.
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
        let hash = chosen::argon2().hash_password_with_salt(password.as_bytes(), salt);
        let secret = hash.map_err(|error| ScimError::internal(error.to_string()))?.to_string();
        Ok(Self { id, kind, scope: CredentialScope::Scim, secret, created: now, expires: None })
    }

    /// The same credential for another API. A new credential is for the SCIM API.
    #[must_use]
    pub fn with_scope(self, scope: CredentialScope) -> Self {
        Self { scope, ..self }
    }

    /// Whether the credential is valid at this time.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    fn is_generated(&self) -> bool {
        self.secret.starts_with(SHA256_PREFIX)
    }

    /// Whether the secret was generated and is this one.
    fn has_generated(&self, secret: &str) -> bool {
        let hash = self.secret.strip_prefix(SHA256_PREFIX);
        hash.is_some_and(|hash| sha256(secret).as_bytes().ct_eq(hash.as_bytes()).into())
    }
}

fn sha256(secret: &str) -> String {
    STANDARD_NO_PAD.encode(Sha256::digest(secret))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

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
    fn credential_matches_only_its_own_username_and_secret() {
        let credentials = [
            generated(basic("okta"), "generated"),
            chosen(basic("chosen"), "correct horse"),
            generated(CredentialKind::Bearer, "token"),
            chosen(basic("chosen"), "battery staple"),
        ];
        let bearer = |token: &str| PresentedCredentials::Bearer { token: token.to_owned() };
        let mut verifier = PasswordVerifier::default();
        // The position of the credential with this generated secret, and of the one with this chosen password.
        for (presented, expected) in [
            (present("okta", "generated"), (Some(0), None)),
            (present("chosen", "correct horse"), (None, Some(1))),
            (present("chosen", "battery staple"), (None, Some(3))),
            (present("chosen", "correct horsf"), (None, None)),
            (present("okta", "correct horse"), (None, None)),
            (present("other", "generated"), (None, None)),
            (bearer("token"), (Some(2), None)),
            (bearer("generated"), (None, None)),
            (bearer("correct horse"), (None, None)),
        ] {
            let at = |position: Option<usize>| position.and_then(|position| credentials.get(position));
            let found = (
                presented.find_generated(&credentials, NOW),
                verifier.find(&presented, presented.chosen_candidates(&credentials, NOW)),
            );
            assert_eq!(found, (at(expected.0), at(expected.1)));
        }
    }

    #[test]
    fn only_chosen_passwords_of_the_username_are_candidates() {
        let credentials = [
            generated(basic("okta"), "secret"),
            chosen(basic("okta"), "correct horse"),
            chosen(basic("other"), "correct horse"),
            generated(CredentialKind::Bearer, "token"),
        ];
        let candidates = |presented: &PresentedCredentials, now| {
            presented.chosen_candidates(&credentials, now).cloned().collect::<Vec<_>>()
        };
        assert_eq!(candidates(&present("okta", "wrong"), NOW), [credentials[1].clone()]);
        assert_eq!(candidates(&present("ann", "wrong"), NOW), []);
        assert_eq!(candidates(&PresentedCredentials::Bearer { token: "wrong".into() }, NOW), []);
    }

    #[test]
    fn chosen_password_is_stored_as_argon2id_with_owasp_parameters() {
        let stored = chosen(basic("okta"), "correct horse").secret;
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(!stored.contains("correct"));
        let salt = [8; 16];
        let other = Credential::of_chosen("3".to_owned(), basic("okta"), "correct horse", &salt, NOW);
        assert_ne!(stored, other.unwrap().secret);
    }

    #[test]
    fn expired_credential_does_not_match() {
        let expires = NOW + SignedDuration::from_secs(60);
        let before = expires - SignedDuration::from_secs(1);
        for credential in [generated(basic("okta"), "secret"), chosen(basic("okta"), "secret")] {
            let credentials = [Credential { expires: Some(expires), ..credential }];
            let presented = present("okta", "secret");
            let is_found = |now| {
                presented.find_generated(&credentials, now).is_some()
                    || presented.chosen_candidates(&credentials, now).next().is_some()
            };
            assert_eq!((is_found(before), is_found(expires)), (true, false));
        }
    }
}

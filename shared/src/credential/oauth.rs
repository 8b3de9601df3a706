//! How OAuth clients authenticate at the token endpoint.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use super::{Credential, CredentialKind};

/// A public key of a client, which signs assertions with it (`private_key_jwt`, RFC 7523 §2.2).
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct ClientKey {
    /// The id of the client, which the assertion has as `iss` and `sub`.
    pub client_id: String,
    /// The public key (RFC 7517 §4). It has a `kid`.
    pub key: Value,
}

/// The trust in tokens of another issuer (RFC 7523 §2.2): workload identity federation.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Federation {
    /// The id that the client has here.
    pub client_id: String,
    /// The values of `iss`, one of which an assertion must have.
    pub issuers: Vec<String>,
    /// The value of `sub`.
    pub subject: String,
    /// The values of `aud`, one of which an assertion must have.
    pub audiences: Vec<String>,
    /// The value of `tid`, Entra's tenant; `None` accepts each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The URL of the issuer's keys (RFC 7517 §5).
    pub jwks: String,
}

impl CredentialKind {
    /// The id of the OAuth client; `None` if the credential is not for the token endpoint.
    pub fn client_id(&self) -> Option<&str> {
        match self {
            Self::Basic { .. } | Self::Bearer => None,
            Self::ClientSecret { client_id } => Some(client_id),
            Self::ClientKey(key) => Some(&key.client_id),
            Self::Federation(federation) => Some(&federation.client_id),
        }
    }
}

impl Credential {
    /// Makes a credential for the SCIM API that has no secret: a key of a client, or a federation.
    pub fn without_secret(id: String, kind: CredentialKind, now: Timestamp) -> Self {
        let secret = String::new();
        Self { id, kind, scope: super::CredentialScope::Scim, secret, created: now, expires: None }
    }

    /// Whether the credential is for the token endpoint.
    pub fn is_oauth(&self) -> bool {
        self.kind.client_id().is_some()
    }
}

/// Finds the valid credential of a client with this secret. It takes one SHA-256 for each live secret, also those of other clients:
/// the time does not tell whether there is a client with this id.
pub fn find_client_secret<'c>(
    credentials: &'c [Credential],
    client_id: &str,
    secret: &str,
    now: Timestamp,
) -> Option<&'c Credential> {
    credentials.iter().find(|credential| match &credential.kind {
        CredentialKind::ClientSecret { client_id: expected } => {
            credential.is_live(now)
                && (credential.has_generated(secret)
                    & bool::from(client_id.as_bytes().ct_eq(expected.as_bytes())))
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn only_a_live_secret_of_the_client_is_found() {
        let now = Timestamp::UNIX_EPOCH;
        let kind = |client_id: &str| CredentialKind::ClientSecret { client_id: client_id.to_owned() };
        let secret = |id: &str, client_id: &str, secret: &str| {
            Credential::of_generated(id.to_owned(), kind(client_id), secret, now)
        };
        let expired = Credential { expires: Some(now), ..secret("4", "client", "expired") };
        let later = now + SignedDuration::from_secs(1);
        let credentials = [
            secret("1", "client", "old"),
            Credential { expires: Some(later), ..secret("2", "client", "new") },
            secret("3", "other", "foreign"),
            expired,
            Credential::of_generated("5".to_owned(), CredentialKind::Bearer, "token", now),
        ];
        for (client_id, secret, expected) in [
            ("client", "old", Some("1")),
            ("client", "new", Some("2")),
            ("other", "foreign", Some("3")),
            ("client", "foreign", None),
            ("client", "expired", None),
            ("client", "token", None),
            ("client", "", None),
            ("", "old", None),
        ] {
            let found = find_client_secret(&credentials, client_id, secret, now);
            assert_eq!(found.map(|one| one.id.as_str()), expected, "{client_id} {secret}");
        }
        assert_eq!(find_client_secret(&credentials, "client", "new", later), None);
    }

    #[test]
    fn credential_without_a_secret_is_stored_without_one() {
        let key = ClientKey { client_id: "c".to_owned(), key: serde_json::json!({ "kid": "1" }) };
        let kind = CredentialKind::ClientKey(key);
        let credential = Credential::without_secret("1".to_owned(), kind, Timestamp::UNIX_EPOCH);
        let stored = serde_json::to_value(&credential).unwrap();
        assert_eq!(stored.get("secret"), None);
        assert_eq!(serde_json::from_value::<Credential>(stored).unwrap(), credential);
    }
}

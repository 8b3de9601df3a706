//! Access tokens (RFC 9068). They are signed with a key of the connector that signs nothing else.
//!
//! A token names the credential that bought it. So it ends with that: every check looks for the credential in the connector, as
//! the process has read it at most a minute before.

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::json;
use shared::credential::Credential;
use shared::error::ScimError;

use super::check::{Check, one_of, shown, shown_time};
use super::jwt::Jwt;
use crate::connectors::Connector;
use crate::secrets::generate_secret;
use crate::signing::{PublicKey, Signer};

/// The value of `typ` (RFC 9068 §2.1).
const KIND: &str = "at+jwt";
/// The claim with the id of the credential that bought the token.
const CREDENTIAL: &str = "credential";

/// A new access token.
#[derive(Debug)]
pub struct AccessToken {
    /// The token.
    pub token: String,
    /// When it ends.
    pub expires: Timestamp,
}

/// An access token that was verified.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedToken {
    /// The credential that bought it.
    pub credential: Credential,
    /// When it ends.
    pub expires: Timestamp,
    /// The id of the key that signed it.
    pub kid: String,
}

/// Makes an access token for the APIs of the credential's scope. `issuer` is `https://HOST/{connector}`. It ends with the
/// credential, if that expires before the token would.
///
/// # Errors
/// Fails when the operating system cannot provide randomness.
pub fn issue(
    connector: &Connector,
    credential: &Credential,
    issuer: &str,
    signer: &Signer,
    now: Timestamp,
) -> Result<AccessToken, ScimError> {
    let lifetime = SignedDuration::from_mins(connector.record.settings.token_minutes.into());
    let end = now + lifetime;
    let expires = credential.expires.map_or(end, |expires| expires.min(end));
    let client = credential.kind.client_id();
    let claims = json!({
        "iss": issuer,
        "aud": audiences(issuer, credential),
        "sub": client,
        "client_id": client,
        "scope": credential.scope.name(),
        "iat": now.as_second(),
        "exp": expires.as_second(),
        "jti": generate_secret()?,
        CREDENTIAL: credential.id,
    });
    Ok(AccessToken { token: signer.sign(KIND, &claims)?, expires })
}

/// The URLs of the APIs for which a credential is.
fn audiences(issuer: &str, credential: &Credential) -> Vec<String> {
    credential.scope.paths().iter().map(|path| format!("{issuer}{path}")).collect()
}

/// Verifies an access token of a connector. `None` if it is not valid now.
pub fn verify(token: &str, connector: &Connector, issuer: &str, now: Timestamp) -> Option<VerifiedToken> {
    // A token of another kind is not parsed as a whole, and one of an unknown key is not verified.
    let jwt = Jwt::parse(token).filter(is_access_token)?;
    let kid = find_key(&jwt, connector)?.kid.clone();
    let checks = check(&jwt, connector, issuer, now);
    if checks.iter().any(|check| !check.is_passed) {
        return None;
    }
    let expires = Timestamp::from_second(jwt.seconds("exp")?).ok()?;
    Some(VerifiedToken { credential: find_credential(&jwt, connector)?.clone(), expires, kid })
}

/// Whether the token says that it is an access token.
pub fn is_access_token(jwt: &Jwt<'_>) -> bool {
    jwt.kind() == Some(KIND)
}

/// Checks an access token (RFC 9068 §4). It is right if all checks passed.
pub fn check(jwt: &Jwt<'_>, connector: &Connector, issuer: &str, now: Timestamp) -> Vec<Check> {
    let keys: Vec<String> = connector.record.token_keys.iter().map(|key| key.kid.clone()).collect();
    let key = find_key(jwt, connector);
    let is_signed = key.and_then(decoding_key).is_some_and(|key| jwt.is_signed_by(&key, Algorithm::ES256));
    let credential = find_credential(jwt, connector);
    let expected = credential.map(|credential| audiences(issuer, credential)).unwrap_or_default();
    let received = jwt.audiences();
    let is_for_us =
        credential.is_some() && expected.iter().all(|audience| received.contains(&audience.as_str()));
    let exp = jwt.seconds("exp");
    vec![
        Check::new("typ", KIND, jwt.kind().unwrap_or("nothing"), is_access_token(jwt)),
        Check::new("alg", "ES256", format!("{:?}", jwt.algorithm()), jwt.algorithm() == Algorithm::ES256),
        Check::new("kid", one_of(&keys), jwt.kid().unwrap_or("nothing"), key.is_some()),
        Check::new(
            "signature",
            "one of this key",
            if is_signed { "one of this key" } else { "another one" },
            is_signed,
        ),
        Check::new("iss", issuer, shown(jwt.claim("iss")), jwt.text("iss") == Some(issuer)),
        Check::new(
            CREDENTIAL,
            "a credential of the connector",
            shown(jwt.claim(CREDENTIAL)),
            credential.is_some(),
        ),
        Check::new(
            "credential expires",
            format!("never, or after {now}"),
            credential
                .and_then(|one| one.expires)
                .map_or_else(|| "never".to_owned(), |time| time.to_string()),
            credential.is_some_and(|credential| credential.is_live(now)),
        ),
        Check::new("aud", expected.join(" and "), shown(jwt.claim("aud")), is_for_us),
        Check::new(
            "exp",
            format!("after {now}"),
            exp.map_or_else(|| shown(jwt.claim("exp")), shown_time),
            exp.is_some_and(|exp| now.as_second() < exp),
        ),
    ]
}

fn find_key<'c>(jwt: &Jwt<'_>, connector: &'c Connector) -> Option<&'c PublicKey> {
    connector.record.token_keys.iter().find(|key| Some(key.kid.as_str()) == jwt.kid())
}

fn decoding_key(key: &PublicKey) -> Option<DecodingKey> {
    let (x, y) = key.coordinates();
    DecodingKey::from_ec_components(x, y).ok()
}

/// The credential that bought the token. It is one for the token endpoint, and of the client that the token names.
fn find_credential<'c>(jwt: &Jwt<'_>, connector: &'c Connector) -> Option<&'c Credential> {
    let id = jwt.text(CREDENTIAL)?;
    let client = jwt.text("client_id")?;
    let is_buyer = |one: &&Credential| one.id == id && one.kind.client_id() == Some(client);
    connector.credentials.iter().find(is_buyer)
}

//! Ids, secrets and credentials with randomness from the operating system.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use shared::credential::{Credential, CredentialKind};
use shared::error::ScimError;
use shared::resource::ResourceId;
use uuid::Uuid;

use crate::hex::hex;

/// Generates a resource id.
pub fn new_resource_id() -> ResourceId {
    ResourceId::from_random_bytes(Uuid::new_v4().into_bytes())
}

/// Generates a secret of 256 bits, in base64url without padding.
///
/// # Errors
/// Fails when the operating system cannot provide randomness.
pub fn generate_secret() -> Result<String, ScimError> {
    Ok(URL_SAFE_NO_PAD.encode(random_bytes::<32>()?))
}

/// Makes a credential with a new secret, and returns both.
///
/// # Errors
/// Fails when the operating system cannot provide randomness.
pub fn generate_credential(kind: CredentialKind, now: Timestamp) -> Result<(Credential, String), ScimError> {
    let secret = generate_secret()?;
    Ok((credential_of_generated(kind, &secret, now)?, secret))
}

/// Makes a credential from a secret of [`generate_secret`].
///
/// # Errors
/// Fails when the operating system cannot provide randomness.
pub fn credential_of_generated(
    kind: CredentialKind,
    secret: &str,
    now: Timestamp,
) -> Result<Credential, ScimError> {
    Ok(Credential::of_generated(credential_id()?, kind, secret, now))
}

/// Makes a credential from a password that a person chose.
///
/// # Errors
/// Fails when the operating system cannot provide randomness.
pub fn credential_of_chosen(
    kind: CredentialKind,
    password: &str,
    now: Timestamp,
) -> Result<Credential, ScimError> {
    Credential::of_chosen(credential_id()?, kind, password, &random_bytes::<16>()?, now)
}

/// Makes a credential that has no secret: a key of a client, or a federation.
///
/// # Errors
/// Fails when the operating system cannot provide randomness.
pub fn credential_without_secret(kind: CredentialKind, now: Timestamp) -> Result<Credential, ScimError> {
    Ok(Credential::without_secret(credential_id()?, kind, now))
}

fn credential_id() -> Result<String, ScimError> {
    Ok(hex(&random_bytes::<4>()?))
}

pub(crate) fn random_bytes<const LENGTH: usize>() -> Result<[u8; LENGTH], ScimError> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(ScimError::internal)?;
    Ok(bytes)
}

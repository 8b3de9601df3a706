//! Keys that sign JWTs (ES256, RFC 7518 §3.4): those of feeds and those of access tokens. Public keys are in the connector's record;
//! each private key is an item of its own in a partition that only the functions that sign may read.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use shared::error::ScimError;

use crate::dynamodb::attributes::{Item, get_text, text};
use crate::dynamodb::keys::Key;
use crate::hex::hex;

/// The number of bytes of a coordinate of P-256.
const COORDINATE_BYTES: usize = 32;
/// The number of bytes of a hash in the id of a key.
const KID_BYTES: usize = 8;

/// The public part of a key.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct PublicKey {
    /// The id.
    pub kid: String,
    /// When it was made.
    pub created: Timestamp,
    x: String,
    y: String,
}

impl PublicKey {
    /// The key as JSON (RFC 7517 §4).
    pub fn to_jwk(&self) -> Value {
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid, "x": self.x, "y": self.y
        })
    }

    /// The coordinates of the point, in base64url.
    pub(crate) fn coordinates(&self) -> (&str, &str) {
        (&self.x, &self.y)
    }
}

/// A new key: its public part, and the item with the private part.
pub(crate) struct NewKey {
    pub public: PublicKey,
    pub item: Item,
}

/// Makes a key. `item_key` makes the key of its item from its id.
///
/// # Errors
/// Fails when the operating system cannot provide randomness.
pub(crate) fn generate(item_key: impl Fn(&str) -> Key, now: Timestamp) -> Result<NewKey, ScimError> {
    let failed = |_| ScimError::internal("the operating system cannot make a key");
    let random = SystemRandom::new();
    let private = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(failed)?;
    let pair = read_private(private.as_ref())?;
    // The point without compression: 4, x, y (SEC 1 §2.3.3).
    let coordinates = pair.public_key().as_ref().get(1..).unwrap_or_default();
    let (x, y) = coordinates.split_at_checked(COORDINATE_BYTES).unwrap_or_default();
    let hash = Sha256::digest(coordinates);
    let public = PublicKey {
        kid: hex(hash.iter().take(KID_BYTES)),
        created: now,
        x: URL_SAFE_NO_PAD.encode(x),
        y: URL_SAFE_NO_PAD.encode(y),
    };
    let mut item = item_key(&public.kid).attributes();
    item.insert("pkcs8".to_owned(), text(STANDARD.encode(private)));
    Ok(NewKey { public, item })
}

fn read_private(pkcs8: &[u8]) -> Result<EcdsaKeyPair, ScimError> {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &SystemRandom::new())
        .map_err(|error| ScimError::internal(format!("a signing key cannot be read: {error}")))
}

/// Signs tokens.
#[derive(Debug)]
pub struct Signer {
    kid: String,
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signer {
    /// Reads a private key from its item.
    pub(crate) fn of_item(kid: &str, item: Option<&Item>) -> Result<Self, ScimError> {
        let private = item.and_then(|item| STANDARD.decode(get_text(item, "pkcs8")?).ok());
        let private = private.ok_or_else(|| ScimError::internal("a signing key is missing"))?;
        Ok(Self { kid: kid.to_owned(), pair: read_private(&private)?, random: SystemRandom::new() })
    }

    /// Makes a JWT (RFC 7519) of these claims, in the compact form of RFC 7515 §7.1. `kind` is the value of `typ`.
    ///
    /// # Errors
    /// Fails when the operating system cannot provide randomness.
    pub fn sign(&self, kind: &str, claims: &Value) -> Result<String, ScimError> {
        let header = json!({ "alg": "ES256", "kid": self.kid, "typ": kind });
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let signature = self.pair.sign(&self.random, signed.as_bytes());
        let signature = signature.map_err(|_| ScimError::internal("a token cannot be signed"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

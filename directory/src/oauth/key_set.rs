//! Public keys of clients and issuers (RFC 7517), as far as assertions may use them: RS256 and ES256.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::jwt::Jwt;

/// The smallest modulus of an RSA key, in bytes of base64url: 2,048 bits (RFC 7518 §3.3).
const MIN_MODULUS_TEXT: usize = 342;

/// The keys of one client or issuer.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<VerificationKey>);

/// A public key that can verify assertions.
#[derive(Clone, Debug)]
struct VerificationKey {
    kid: String,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl KeySet {
    /// Reads a JWK set. Keys that cannot verify assertions are left out.
    ///
    /// # Errors
    /// A sentence if the text is no JWK set.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let document: Document =
            serde_json::from_slice(text).map_err(|error| format!("the answer is no JWK set: {error}"))?;
        Ok(Self(document.keys.iter().filter_map(|key| VerificationKey::parse(key).ok()).collect()))
    }

    /// The set of one key.
    ///
    /// # Errors
    /// A sentence that says why the key cannot verify assertions.
    pub fn of_key(key: &Value) -> Result<Self, String> {
        Ok(Self(vec![VerificationKey::parse(key)?]))
    }

    /// Whether it has a key with this id.
    pub fn contains(&self, kid: &str) -> bool {
        self.0.iter().any(|key| key.kid == kid)
    }

    /// The ids of the keys.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.kid.as_str())
    }

    /// Whether the key that the token names made its signature. The key decides the algorithm, and not the token.
    pub(super) fn has_signed(&self, jwt: &Jwt<'_>) -> bool {
        let named =
            |key: &&VerificationKey| Some(key.kid.as_str()) == jwt.kid() && key.algorithm == jwt.algorithm();
        self.0.iter().filter(named).any(|key| jwt.is_signed_by(&key.key, key.algorithm))
    }
}

impl VerificationKey {
    fn parse(key: &Value) -> Result<Self, String> {
        if ["d", "k", "p"].iter().any(|secret| key.get(secret).is_some()) {
            return Err("the key is a private or secret key; enter the public key".to_owned());
        }
        let jwk = Jwk::deserialize(key).map_err(|error| format!("the key is no JWK: {error}"))?;
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(rsa) if rsa.n.len() < MIN_MODULUS_TEXT => {
                return Err("the RSA key has less than 2048 bits".to_owned());
            }
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
            _ => return Err("the key is neither an RSA key nor one of the curve P-256".to_owned()),
        };
        let is_other = |named: &KeyAlgorithm| *named != KeyAlgorithm::from(algorithm);
        if let Some(named) = jwk.common.key_algorithm.filter(is_other) {
            return Err(format!("the key is for {named}; the algorithms are RS256 and ES256"));
        }
        if jwk.common.public_key_use.as_ref().is_some_and(|of| *of != PublicKeyUse::Signature) {
            return Err("the key is not for signatures: its \"use\" is not \"sig\"".to_owned());
        }
        let kid = jwk.common.key_id.clone().filter(|kid| !kid.is_empty());
        let kid = kid.ok_or("the key has no \"kid\"")?;
        let key = DecodingKey::from_jwk(&jwk).map_err(|error| format!("the key cannot be read: {error}"))?;
        Ok(Self { kid, algorithm, key })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_public_keys_for_rs256_and_es256_are_used() {
        let rsa = json!({ "kty": "RSA", "kid": "1", "use": "sig", "n": "A".repeat(342), "e": "AQAB" });
        let ec = json!({ "kty": "EC", "kid": "2", "crv": "P-256", "x": "A".repeat(43), "y": "A".repeat(43) });
        let with = |key: &Value, name: &str, value: &str| {
            let mut key = key.clone();
            key[name] = value.into();
            key
        };
        for (key, error) in [
            (rsa.clone(), None),
            (with(&rsa, "alg", "RS256"), None),
            (ec.clone(), None),
            (with(&ec, "d", "secret"), Some("the key is a private or secret key; enter the public key")),
            (with(&rsa, "n", "AQAB"), Some("the RSA key has less than 2048 bits")),
            (with(&rsa, "alg", "RS512"), Some("the key is for RS512; the algorithms are RS256 and ES256")),
            (with(&rsa, "use", "enc"), Some("the key is not for signatures: its \"use\" is not \"sig\"")),
            (with(&ec, "crv", "P-384"), Some("the key is neither an RSA key nor one of the curve P-256")),
            (with(&ec, "kid", ""), Some("the key has no \"kid\"")),
            (
                json!({ "kty": "oct", "kid": "3", "k": "c2VjcmV0" }),
                Some("the key is a private or secret key; enter the public key"),
            ),
            (
                json!({ "kty": "unknown", "kid": "4" }),
                Some("the key is neither an RSA key nor one of the curve P-256"),
            ),
        ] {
            let found = KeySet::of_key(&key);
            assert_eq!(found.as_ref().err().map(String::as_str), error, "{key}");
            let set = KeySet::parse(json!({ "keys": [key] }).to_string().as_bytes()).unwrap();
            assert_eq!(set.kids().count(), usize::from(error.is_none()));
        }
        for text in ["", "[]", "{}", "{\"keys\":{}}"] {
            assert!(
                KeySet::parse(text.as_bytes()).unwrap_err().starts_with("the answer is no JWK set"),
                "{text}"
            );
        }
    }
}

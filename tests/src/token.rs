//! Reads and verifies the tokens of feeds (RFC 7515).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::Value;

/// The header and the claims of a token.
///
/// # Panics
/// When it is no token.
pub fn parts(token: &str) -> (Value, Value) {
    let part = |number: usize| {
        let part = URL_SAFE_NO_PAD.decode(token.split('.').nth(number).unwrap()).unwrap();
        serde_json::from_slice(&part).unwrap()
    };
    (part(0), part(1))
}

/// Verifies the signature of a token with the public keys of its connector.
///
/// # Panics
/// When the signature is wrong, or its key is not published.
pub fn verify(token: &str, keys: &Value) {
    let kid = parts(token).0["kid"].clone();
    let key =
        keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid).expect("the key is published");
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &signature).unwrap();
}

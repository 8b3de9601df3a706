//! OAuth clients: requests for tokens, and tokens that a test signs itself.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use directory::connectors::ConnectorId;
use directory::secrets::generate_credential;
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use serde_json::{Value, json};
use shared::credential::{Credential, CredentialKind, CredentialScope};

use crate::client::{Client, Reply};
use crate::service::Service;

/// The id of the client of [`create_client`].
pub const CLIENT_ID: &str = "client-1";
/// The value of `client_assertion_type`.
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

const FORM: &str = "application/x-www-form-urlencoded";

/// Adds an OAuth client with a secret to a connector. Returns its credential and the secret.
///
/// # Panics
/// When two such credentials are live.
pub async fn create_client(
    service: &Service,
    connector: &ConnectorId,
    scope: CredentialScope,
) -> (Credential, String) {
    let kind = CredentialKind::ClientSecret { client_id: CLIENT_ID.to_owned() };
    let (credential, secret) = generate_credential(kind, Timestamp::now()).expect("randomness is available");
    let credential = credential.with_scope(scope);
    let added = service.connectors().add_credential(connector, &credential).await;
    added.expect("the connector has less than two such credentials");
    (credential, secret)
}

/// The URL of the connector of a client.
pub fn connector_url(client: &Client) -> &str {
    client.base_url.strip_suffix("/scim/v2").unwrap_or(&client.base_url)
}

/// Asks for a token with these parameters in a form. `query` is empty or begins with a question mark.
pub async fn request_token(
    client: &Client,
    query: &str,
    form: &[(&str, &str)],
    authorization: &str,
) -> Reply {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs = form.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    let body = pairs.collect::<Vec<_>>().join("&");
    let headers = [("content-type", FORM), ("authorization", authorization)];
    client.at(connector_url(client)).send("POST", &format!("/oauth2/token{query}"), &headers, body).await
}

/// Asks for a token with a secret.
pub async fn request_token_by_secret(client: &Client, client_id: &str, secret: &str) -> Reply {
    let form = [("grant_type", "client_credentials"), ("client_id", client_id), ("client_secret", secret)];
    request_token(client, "", &form, "").await
}

/// Asks for a token with an assertion.
pub async fn request_token_by_assertion(client: &Client, assertion: &str) -> Reply {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion),
    ];
    request_token(client, "", &form, "").await
}

/// The token in an answer.
///
/// # Panics
/// When the answer has none.
pub fn token_of(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.json());
    reply.json()["access_token"].as_str().expect("a token is text").to_owned()
}

/// Sends GET with this token to a URL below that of the client.
pub async fn get_with_token(client: &Client, target: &str, token: &str) -> Reply {
    client.send("GET", target, &[("authorization", &format!("Bearer {token}"))], "").await
}

/// A private key of a client or an issuer.
pub enum SigningKey {
    /// For ES256.
    Ec(Box<EcdsaKeyPair>),
    /// For RS256.
    Rsa(Box<RsaKeyPair>),
}

impl SigningKey {
    /// A new key for ES256.
    ///
    /// # Panics
    /// When there is no randomness.
    pub fn new_ec() -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key can be made");
        Self::Ec(Box::new(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).expect("it is a key")))
    }

    /// A key for RS256, which is only for tests.
    ///
    /// # Panics
    /// When the fixture is no key.
    pub fn rsa() -> Self {
        let pkcs8 = include_bytes!("../fixtures/keys/rsa-2048.pk8");
        Self::Rsa(Box::new(RsaKeyPair::from_pkcs8(pkcs8).expect("the fixture is a key")))
    }

    /// The name of the algorithm.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Ec(_) => "ES256",
            Self::Rsa(_) => "RS256",
        }
    }

    /// The public key with this id (RFC 7517).
    pub fn jwk(&self, kid: &str) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Ec(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "x": encode(x), "y": encode(y) })
            }
            Self::Rsa(key) => {
                let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(key.public());
                let (n, e) = (encode(&n), encode(&e));
                json!({ "kty": "RSA", "use": "sig", "kid": kid, "n": n, "e": e })
            }
        }
    }

    /// Signs a token with this header and these claims.
    ///
    /// # Panics
    /// When there is no randomness.
    pub fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let random = SystemRandom::new();
        let signature = match self {
            Self::Ec(key) => key.sign(&random, signed.as_bytes()).expect("it can sign").as_ref().to_vec(),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).expect("it can sign");
                signature
            }
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Signs a JWT with these claims and the id of this key.
    pub fn sign(&self, kid: &str, claims: &Value) -> String {
        self.sign_with(&json!({ "typ": "JWT", "alg": self.algorithm(), "kid": kid }), claims)
    }
}

/// A token with this header and these claims, and no signature.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}.", encode(header), encode(claims))
}

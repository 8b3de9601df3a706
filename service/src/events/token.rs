//! Security event tokens (RFC 8417) with the events of RFC 9967.

use directory::feeds::{Event, Signer};
use serde_json::{Map, Value, json};
use shared::error::ScimError;

/// The value of `typ` (RFC 8417 §2.3).
const KIND: &str = "secevent+jwt";

/// Signs the token of an event. `issuer` is `https://HOST/{connector}`.
///
/// # Errors
/// If the operating system cannot provide randomness.
pub fn sign(
    event: &Event,
    issuer: &str,
    audience: Option<&str>,
    signer: &Signer,
) -> Result<String, ScimError> {
    signer.sign(KIND, &claims(event, issuer, audience))
}

/// The claims. They depend on the event only, so a token that is sent again has the same.
fn claims(event: &Event, issuer: &str, audience: Option<&str>) -> Value {
    let mut subject = Map::new();
    subject.insert("format".to_owned(), json!("scim"));
    subject.insert("uri".to_owned(), json!(event.uri));
    subject.extend(event.external_id.as_ref().map(|id| ("externalId".to_owned(), json!(id))));
    let mut claims = Map::new();
    let mut insert = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    insert("iss", json!(issuer));
    insert("iat", json!(event.time.as_second()));
    insert("jti", json!(event.jti));
    insert("txn", json!(event.txn));
    if let Some(audience) = audience {
        insert("aud", json!([audience]));
    }
    insert("sub_id", Value::Object(subject));
    insert("events", Value::Object(event.events.clone()));
    Value::Object(claims)
}

//! Security event tokens (RFC 8417) with the events of RFC 9967.

use directory::feeds::{Event, Signer};
use serde_json::{Value, json};
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
    let mut subject = json!({ "format": "scim", "uri": event.uri });
    if let Some(external_id) = &event.external_id {
        subject["externalId"] = json!(external_id);
    }
    let mut claims = json!({
        "iss": issuer,
        "iat": event.time.as_second(),
        "jti": event.jti,
        "txn": event.txn,
        "sub_id": subject,
        "events": event.events,
    });
    if let Some(audience) = audience {
        claims["aud"] = json!([audience]);
    }
    claims
}

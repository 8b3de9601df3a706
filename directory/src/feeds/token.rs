//! Security event tokens (RFC 8417) with the events of RFC 9967.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use shared::error::ScimError;
use uuid::Uuid;

use super::{Event, FeedId};
use crate::signing::Signer;

/// The value of `typ` (RFC 8417 §2.3).
const KIND: &str = "secevent+jwt";
/// The event that tests a delivery. RFC 8935 defines none, so it is that of the OpenID Shared Signals Framework 1.0, §8.1.4.1.
const VERIFICATION: &str = "https://schemas.openid.net/secevent/ssf/event-type/verification";

impl Event {
    /// The claims of the event's token. They depend on the event only, so a token that is sent again has the same. `issuer` is
    /// `https://HOST/{connector}`.
    pub fn claims(&self, issuer: &str, audience: Option<&str>) -> Value {
        let mut subject = Map::new();
        subject.insert("format".to_owned(), json!("scim"));
        subject.insert("uri".to_owned(), json!(self.uri));
        subject.extend(self.external_id.as_ref().map(|id| ("externalId".to_owned(), json!(id))));
        let mut claims = Map::new();
        let mut insert = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        insert("iss", json!(issuer));
        insert("iat", json!(self.time.as_second()));
        insert("jti", json!(self.jti));
        insert("txn", json!(self.txn));
        if let Some(audience) = audience {
            insert("aud", json!([audience]));
        }
        insert("sub_id", Value::Object(subject));
        insert("events", Value::Object(self.events.clone()));
        Value::Object(claims)
    }
}

/// The claims of an event that tells of no change, and only tests the delivery.
pub fn verification_claims(feed: &FeedId, issuer: &str, audience: Option<&str>, now: Timestamp) -> Value {
    let mut claims = json!({
        "iss": issuer,
        "iat": now.as_second(),
        "jti": Uuid::new_v4().to_string(),
        "sub_id": { "format": "opaque", "id": feed.to_string() },
        "events": { VERIFICATION: {} },
    });
    if let (Some(claims), Some(audience)) = (claims.as_object_mut(), audience) {
        claims.insert("aud".to_owned(), json!([audience]));
    }
    claims
}

impl Signer {
    /// Signs a security event token with these claims.
    ///
    /// # Errors
    /// Fails when the operating system cannot provide randomness.
    pub fn sign_event(&self, claims: &Value) -> Result<String, ScimError> {
        self.sign(KIND, claims)
    }
}

//! The requests that carry events: tokens (RFC 8935 §2.1) and webhooks (Standard Webhooks).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use directory::feeds::{Delivery, decode_webhook_secret};
use directory::signing::Signer;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Request, Uri};
use http_body_util::Full;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;
use shared::error::ScimError;

/// The prefix of the URIs of events.
pub(crate) const PREFIX: &str = "urn:ietf:params:scim:event:";

/// Makes the requests of one feed.
pub enum Writer {
    /// Tokens, and the value of the header Authorization.
    Push { signer: Box<Signer>, authorization: Option<HeaderValue> },
    /// Webhooks, and the keys that sign them.
    Webhook { keys: Vec<Vec<u8>> },
}

impl Writer {
    /// Makes the writer for a delivery. `signer` is the connector's.
    ///
    /// # Errors
    /// If the connector has no key, or a secret cannot be used.
    pub fn new(delivery: &Delivery, secrets: &[String], signer: Option<Signer>) -> Result<Self, ScimError> {
        if matches!(delivery, Delivery::Webhook(_)) {
            let keys: Option<_> = secrets.iter().rev().map(|secret| decode_webhook_secret(secret)).collect();
            return match keys {
                Some(keys) => Ok(Self::Webhook { keys }),
                None => Err(ScimError::internal("the secret of a webhook cannot be read")),
            };
        }
        let signer =
            signer.ok_or_else(|| ScimError::internal("a connector with a feed has no signing key"))?;
        let authorization = secrets.last().map(|token| HeaderValue::try_from(format!("Bearer {token}")));
        let mut authorization = authorization.transpose().map_err(ScimError::internal)?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        Ok(Self::Push { signer: Box::new(signer), authorization })
    }

    /// Makes the request for an event with these claims.
    ///
    /// # Errors
    /// If the operating system cannot provide randomness.
    pub fn request(
        &self,
        uri: &Uri,
        claims: &Value,
        now: Timestamp,
    ) -> Result<Request<Full<Bytes>>, ScimError> {
        let request =
            Request::post(uri.clone()).header(USER_AGENT, "rollcall").header(ACCEPT, "application/json");
        let request = match self {
            Self::Push { signer, authorization } => {
                let mut request = request.header(CONTENT_TYPE, "application/secevent+jwt");
                if let Some(authorization) = authorization {
                    request = request.header(AUTHORIZATION, authorization);
                }
                request.body(signer.sign_event(claims)?.into())
            }
            Self::Webhook { keys } => {
                let body = webhook_body(claims);
                let id = webhook_id(claims);
                let time = now.as_second();
                let signatures: Vec<String> = keys.iter().map(|key| sign(key, &id, time, &body)).collect();
                request
                    .header(CONTENT_TYPE, "application/json")
                    .header("webhook-id", &id)
                    .header("webhook-timestamp", time)
                    .header("webhook-signature", signatures.join(" "))
                    .body(body.into())
            }
        };
        request.map_err(ScimError::internal)
    }
}

/// The id of the message, which is the same each time the event is sent. A full stop separates the parts of the signed text, so
/// the id has none.
fn webhook_id(claims: &Value) -> String {
    claims.get("jti").and_then(Value::as_str).unwrap_or_default().replace('.', "-")
}

fn webhook_body(claims: &Value) -> String {
    let time =
        claims.get("iat").and_then(Value::as_i64).and_then(|second| Timestamp::from_second(second).ok());
    json!({ "type": type_of(claims), "timestamp": time, "data": claims }).to_string()
}

/// The type of a message: the kind of resource, and what happened to it.
pub fn type_of(claims: &Value) -> String {
    let kind =
        match claims.pointer("/sub_id/uri").and_then(Value::as_str).and_then(|uri| uri.split('/').nth(1)) {
            Some("Users") => "user",
            Some("Groups") => "group",
            Some("Roles") => "role",
            _ => return "feed.test".to_owned(),
        };
    let has = |name: &str| {
        claims.get("events").is_some_and(|events| events.get(format!("{PREFIX}{name}")).is_some())
    };
    let what = if has("prov:delete") {
        "deleted"
    } else if has("feed:remove") {
        "hidden"
    } else if has("feed:add") {
        "marked"
    } else if has("prov:create:notice") {
        "created"
    } else if has("prov:deactivate") {
        "deactivated"
    } else if has("prov:activate") {
        "reactivated"
    } else if has("prov:patch:full") && !has("prov:patch:notice") {
        "members"
    } else {
        "updated"
    };
    format!("{kind}.{what}")
}

/// A signature (Standard Webhooks, "Signature scheme").
fn sign(key: &[u8], id: &str, time: i64, body: &str) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(format!("{id}.{time}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's libraries.
    #[test]
    fn signature_is_that_of_the_standard() {
        let key = decode_webhook_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let found = sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(found, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn type_names_the_resource_and_what_happened() {
        for (uri, events, expected) in [
            ("/Users/1", &["prov:create:notice", "prov:deactivate"][..], "user.created"),
            ("/Users/1", &["prov:patch:notice", "prov:deactivate"], "user.deactivated"),
            ("/Users/1", &["prov:patch:notice", "prov:activate"], "user.reactivated"),
            ("/Users/1", &["prov:patch:notice"], "user.updated"),
            ("/Groups/1", &["prov:patch:full"], "group.members"),
            ("/Groups/1", &["prov:patch:full", "prov:patch:notice"], "group.updated"),
            ("/Roles/1", &["prov:delete"], "role.deleted"),
            ("/Users/1", &["feed:add"], "user.marked"),
            ("/Users/1", &["feed:remove"], "user.hidden"),
        ] {
            let events: serde_json::Map<String, Value> =
                events.iter().map(|name| (format!("{PREFIX}{name}"), json!({}))).collect();
            assert_eq!(type_of(&json!({ "sub_id": { "uri": uri }, "events": events })), expected);
        }
        assert_eq!(type_of(&json!({ "sub_id": { "format": "opaque" } })), "feed.test");
    }
}

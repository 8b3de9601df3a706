//! The public keys of a connector (RFC 7517 §5).

use std::sync::Arc;

use directory::connectors::Connector;
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use serde_json::{Value, json};

use crate::call::ResponseFuture;
use crate::response::json_of;

/// GET /jwks.json
pub fn get(connector: Arc<Connector>) -> ResponseFuture {
    Box::pin(async move {
        let keys: Vec<Value> = connector.record.signing_keys.iter().map(|key| key.to_jwk()).collect();
        let mut response = json_of("application/jwk-set+json", StatusCode::OK, &json!({ "keys": keys }))?;
        // A new key signs only after this time, so a consumer with an older response has the key of each token.
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
        Ok(response)
    })
}

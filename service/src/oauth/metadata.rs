//! The metadata of the token endpoint (RFC 8414). It is the same for every connector, so it does not tell
//! whether one exists.

use http::StatusCode;
use serde_json::json;
use shared::credential::TOKEN_PATH;

use crate::call::{PublicCall, ResponseFuture};
use crate::response::json_of;

/// GET /.well-known/oauth-authorization-server/{connector}
pub fn get(call: PublicCall) -> ResponseFuture {
    Box::pin(async move {
        let PublicCall { issuer, .. } = call;
        let metadata = json!({
            "issuer": issuer,
            "token_endpoint": format!("{issuer}{TOKEN_PATH}"),
            "grant_types_supported": ["client_credentials"],
            "scopes_supported": ["scim", "directory"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS256", "ES256"],
            // RFC 8414 §2 requires this member. There is no authorization endpoint, so the list is empty.
            "response_types_supported": [],
        });
        json_of("application/json", StatusCode::OK, &metadata)
    })
}

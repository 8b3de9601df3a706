//! Assertions with a `jti` can be used once (RFC 7523 §3). Each used one is an item until it has expired.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use shared::error::ScimError;

use super::jwt::Jwt;
use crate::connectors::ConnectorId;
use crate::dynamodb::attributes::number;
use crate::dynamodb::expressions::Expression;
use crate::dynamodb::keys;
use crate::dynamodb::table::Table;
use crate::hex::hex;

/// How long after the end of an assertion its item is kept, in seconds: longer than the clock skew that the checks allow.
const KEPT_AFTER_END: i64 = 600;

impl Table {
    /// Records that an assertion is used. Returns `false` if it was used before. An assertion without `jti` can be used again.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn use_assertion(
        &self,
        connector: &ConnectorId,
        jwt: &Jwt<'_>,
        now: Timestamp,
    ) -> Result<bool, ScimError> {
        let Some(jti) = jwt.claim("jti") else { return Ok(true) };
        let mut hash = Sha256::new();
        hash.update(jwt.text("iss").unwrap_or_default());
        hash.update([0]);
        hash.update(jti.to_string());
        let hash = hex(&hash.finalize());
        let end = jwt.seconds("exp").unwrap_or_else(|| now.as_second()).saturating_add(KEPT_AFTER_END);
        let update = Expression::new("SET expires = :end").with(":end", number(end));
        let is_new = Expression::new("attribute_not_exists(pk)");
        Ok(self.update(&keys::used_assertion(connector, &hash), update, is_new).await?.is_some())
    }
}

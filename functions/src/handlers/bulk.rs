//! POST /Bulk (RFC 7644 §3.7).

use std::sync::Arc;

use futures_util::future::BoxFuture;
use shared::error::ScimError;

use crate::response::Response;
use crate::service::Call;

/// POST /Bulk
pub fn process(call: Arc<Call>) -> BoxFuture<'static, Result<Response, ScimError>> {
    let _ = call;
    Box::pin(async { Err(ScimError::internal("to be written")) })
}

/// The most operations in one request.
pub const MOST_BULK_OPERATIONS: usize = 1_000;
/// The longest body of one request, in bytes.
pub const LONGEST_BULK: usize = 1_048_576;

//! Why calls fail, as the SDK's errors.

use std::error::Error;

use aws_sdk_dynamodb::error::{ErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::CancellationReason;
use aws_sdk_dynamodb::types::error::TransactionCanceledException;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::operation::BuildError;
use dynoxide::DynoxideError;
use dynoxide::errors::CancellationReason as EngineReason;

use super::values::{UnknownType, item_from_engine};

/// Why a call failed.
pub enum Failure {
    /// The request cannot be made.
    Request(Box<dyn Error + Send + Sync>),
    /// The engine refused it.
    Refusal(DynoxideError),
    /// The engine's answer cannot be read.
    Answer(serde_json::Error),
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        Self::Request(error.into())
    }
}

impl From<UnknownType> for Failure {
    fn from(error: UnknownType) -> Self {
        Self::Request(error.into())
    }
}

impl From<DynoxideError> for Failure {
    fn from(error: DynoxideError) -> Self {
        Self::Refusal(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Answer(error)
    }
}

impl Failure {
    /// Makes the SDK's error. `refused` makes the error of the call from the engine's, whose code and message are given.
    pub fn into_error<E>(self, refused: impl FnOnce(DynoxideError, ErrorMetadata) -> E) -> SdkError<E> {
        match self {
            Self::Request(error) => SdkError::construction_failure(error),
            Self::Answer(error) => SdkError::response_error(error, response(200)),
            Self::Refusal(error) => {
                let response = response(error.status_code());
                let code = error.error_type().rsplit('#').next().unwrap_or_default();
                let meta = ErrorMetadata::builder().code(code).message(error.to_string()).build();
                SdkError::service_error(refused(error, meta), response)
            }
        }
    }
}

fn response(status: u16) -> HttpResponse {
    let status = StatusCode::try_from(status)
        .unwrap_or_else(|_| StatusCode::from(http::StatusCode::INTERNAL_SERVER_ERROR));
    HttpResponse::new(status, SdkBody::empty())
}

/// Makes the error of a cancelled transaction.
pub fn cancelled(reasons: Vec<EngineReason>, meta: ErrorMetadata) -> TransactionCanceledException {
    let reasons = reasons.into_iter().map(|reason| {
        CancellationReason::builder()
            .code(reason.code)
            .set_message(reason.message)
            .set_item(reason.item.map(item_from_engine))
            .build()
    });
    TransactionCanceledException::builder()
        .set_message(meta.message().map(str::to_owned))
        .set_cancellation_reasons(Some(reasons.collect()))
        .meta(meta)
        .build()
}

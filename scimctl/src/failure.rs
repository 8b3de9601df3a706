//! The error that a command ends with.

use std::fmt;

use shared::error::{ErrorKind, ScimError, chain};

use crate::refusal::{self, Refusal};

/// A message that explains to the operator why a command failed, and what to do.
#[derive(Debug)]
pub struct Failure(pub String);

/// Returns a failure with this sentence.
pub fn fail<T>(sentence: impl fmt::Display) -> Result<T, Failure> {
    Err(Failure(sentence.to_string()))
}

impl From<ScimError> for Failure {
    fn from(error: ScimError) -> Self {
        if let Some(Refusal(sentence)) = error.cause.as_deref().and_then(|cause| refusal::find(cause)) {
            return Self(sentence.clone());
        }
        // A client never reads the cause of an internal error, but an operator needs it.
        match (error.kind, &error.cause) {
            (ErrorKind::TooManyRequests(_), None) => {
                Self("DynamoDB did not respond in time; run the same command again to continue".to_owned())
            }
            (ErrorKind::Internal | ErrorKind::TooManyRequests(_), Some(cause)) => Self(chain(cause.as_ref())),
            _ => Self(error.detail.into_owned()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

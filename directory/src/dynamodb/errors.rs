//! What each error of DynamoDB means: whether the same request may succeed when it is sent again.
//!
//! [`ERROR_CODES`] lists every code that AWS documents for the calls of this crate: GetItem, BatchGetItem, Query, Scan,
//! TransactGetItems, TransactWriteItems, UpdateItem and BatchWriteItem (the errors of each call in the DynamoDB API reference,
//! "Common error types" there, and "Error handling with DynamoDB" in the developer guide). [`CANCELLATION_REASONS`] lists the
//! reasons of a cancelled transaction. Keys and items that a batch leaves unprocessed are not errors; the loops in
//! [`table`](super::table) send them again.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::CancellationReason;

/// What to do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    /// Send the same request again until the deadline. The client gets 429 after it.
    Retry,
    /// Answer 500: only an operator can remove the cause, or it is a bug. The log has the code and the message.
    GiveUp,
    /// Answer 500 too. DynamoDB does not send this code for a request of this crate; the comment says why.
    Impossible,
}

use Reaction::{GiveUp, Impossible, Retry};

/// Every documented error code of the calls of this crate.
const ERROR_CODES: [(&str, Reaction); 40] = [
    // Too many requests or too little capacity: of all calls.
    ("ProvisionedThroughputExceededException", Retry),
    ("RequestLimitExceeded", Retry),
    ("ThrottlingException", Retry),
    // The quota of operations on tables. The calls of this crate change no table, but AWS says that a retry is right.
    ("LimitExceededException", Retry),
    // Faults of AWS: of all calls. Their statuses are 500 and 503. The result is unknown.
    ("InternalFailure", Retry),
    ("InternalServerError", Retry),
    ("ServiceUnavailable", Retry),
    ("ServiceUnavailableException", Retry),
    // The request did not arrive completely, or its connection ended before the answer. The result is unknown.
    ("RequestAbortedException", Retry),
    ("RequestTimeoutException", Retry),
    // Another writer: of UpdateItem and BatchWriteItem.
    // Another transaction holds the item.
    ("TransactionConflictException", Retry),
    // A replica of a global table wrote the item at the same time.
    ("ReplicatedWriteConflictException", Retry),
    // Of TransactWriteItems.
    // The same transaction was sent before, and its result is not known yet.
    ("TransactionInProgressException", Retry),
    // Not a verdict: the reasons say what to do (see CANCELLATION_REASONS).
    ("TransactionCanceledException", GiveUp),
    // Each transaction has a random token, and all its attempts have the same content.
    ("IdempotentParameterMismatchException", Impossible),
    // Only UpdateItem has a condition, and `Table::update` handles this code.
    ("ConditionalCheckFailedException", Impossible),
    // Only tables with a local secondary index have a limit for item collections.
    ("ItemCollectionSizeLimitExceededException", Impossible),
    // Only PartiQL's INSERT reports a duplicate.
    ("DuplicateItemException", Impossible),
    // Only operations on tables find a table in use.
    ("ResourceInUseException", Impossible),
    // Only clients that discover endpoints can use a wrong one.
    ("InvalidEndpointException", Impossible),
    // The table does not exist, or its name is wrong.
    ("ResourceNotFoundException", GiveUp),
    // A bug: the request breaks a limit or has an invalid expression.
    ("ValidationException", GiveUp),
    ("ValidationError", GiveUp),
    ("SerializationException", GiveUp),
    ("MalformedHttpRequestException", GiveUp),
    ("RequestEntityTooLargeException", GiveUp),
    ("UnknownOperationException", GiveUp),
    // Rights and credentials. AWS says that UnrecognizedClientException may be retried, but a wrong key stays wrong.
    ("AccessDeniedException", GiveUp),
    ("NotAuthorized", GiveUp),
    ("OptInRequired", GiveUp),
    ("MissingAuthenticationTokenException", GiveUp),
    ("IncompleteSignature", GiveUp),
    ("IncompleteSignatureException", GiveUp),
    ("InvalidSignatureException", GiveUp),
    ("InvalidClientTokenId", GiveUp),
    ("UnrecognizedClientException", GiveUp),
    // Lambda gives a function new credentials only when it starts a new process.
    ("ExpiredTokenException", GiveUp),
    // The clock of this machine is wrong by 15 minutes.
    ("RequestExpired", GiveUp),
    ("RequestTimeTooSkewed", GiveUp),
    // DynamoDB cannot use the key that encrypts the table.
    ("InaccessibleEncryptionCredentialsException", GiveUp),
];

/// Every documented reason of a cancelled transaction. A transaction is sent again if any of its reasons says so.
const CANCELLATION_REASONS: [(&str, Reaction); 8] = [
    // The item did not cause the cancellation.
    ("None", GiveUp),
    // The caller decides what a failed condition means.
    ("ConditionalCheckFailed", GiveUp),
    ("TransactionConflict", Retry),
    ("ProvisionedThroughputExceeded", Retry),
    ("ThrottlingError", Retry),
    // A bug, or an item that would be larger than 400 KB.
    ("ValidationError", GiveUp),
    // As for the exceptions with these names.
    ("ItemCollectionSizeLimitExceeded", Impossible),
    ("DuplicateItem", Impossible),
];

/// Whether the same request may succeed later: it was throttled, or its result is unknown.
pub fn is_retryable<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => true,
        SdkError::ServiceError(service) => {
            is_retryable_answer(service.raw().status().as_u16(), service.err().code())
        }
        _ => false,
    }
}

fn is_retryable_answer(status: u16, code: Option<&str>) -> bool {
    match code.and_then(|code| reaction(&ERROR_CODES, code)) {
        Some(reaction) => reaction == Retry,
        // The code is new, or a proxy answered: 408 is a timeout and 429 a rate limit.
        None => matches!(status, 408 | 429 | 500..),
    }
}

/// The codes and reasons that say that there were too many requests.
const THROTTLES: [&str; 5] = [
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    // The reasons of a cancelled transaction.
    "ProvisionedThroughputExceeded",
    "ThrottlingError",
];

/// Whether DynamoDB refused the request because there were too many. For transactions, also see [`is_throttled_write`] and
/// [`is_throttled_read`].
pub fn is_throttle<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::ServiceError(service) => {
            service.err().code().is_some_and(|code| THROTTLES.contains(&code))
                || service.raw().status().as_u16() == 429
        }
        _ => false,
    }
}

/// Whether a transaction was cancelled because there were too many requests.
pub fn is_throttled_write(error: &SdkError<TransactWriteItemsError>) -> bool {
    has_throttled_reason(cancellation_reasons(error))
}

/// Whether a read of several items was cancelled because there were too many requests.
pub fn is_throttled_read(error: &SdkError<TransactGetItemsError>) -> bool {
    match error.as_service_error() {
        Some(TransactGetItemsError::TransactionCanceledException(cancelled)) => {
            has_throttled_reason(cancelled.cancellation_reasons())
        }
        _ => false,
    }
}

fn has_throttled_reason(reasons: &[CancellationReason]) -> bool {
    reasons.iter().filter_map(CancellationReason::code).any(|code| THROTTLES.contains(&code))
}

/// Whether a transaction may have been committed although it got this error: DynamoDB did not answer, had a fault, or is still
/// working on it.
pub fn is_result_unknown<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::ServiceError(service) => {
            service.raw().status().as_u16() >= 500
                || service.err().code() == Some("TransactionInProgressException")
        }
        _ => true,
    }
}

/// Whether a transaction was cancelled because of a conflict or a lack of capacity. A condition that failed in the same
/// attempt is ignored: it may have met what the other transaction was about to write.
pub fn is_retryable_cancellation(error: &SdkError<TransactWriteItemsError>) -> bool {
    has_retryable_reason(cancellation_reasons(error))
}

/// Whether a read of several items was cancelled because of a conflict or a lack of capacity.
pub fn is_retryable_read(error: &SdkError<TransactGetItemsError>) -> bool {
    match error.as_service_error() {
        Some(TransactGetItemsError::TransactionCanceledException(cancelled)) => {
            has_retryable_reason(cancelled.cancellation_reasons())
        }
        _ => false,
    }
}

/// The positions of the items of a cancelled transaction whose conditions failed.
pub fn positions_of_failed_conditions(error: &SdkError<TransactWriteItemsError>) -> Vec<usize> {
    let refused = |reason: &CancellationReason| reason.code() == Some("ConditionalCheckFailed");
    let reasons = cancellation_reasons(error).iter().enumerate();
    reasons.filter(|(_, reason)| refused(reason)).map(|(position, _)| position).collect()
}

fn cancellation_reasons(error: &SdkError<TransactWriteItemsError>) -> &[CancellationReason] {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons()
        }
        _ => &[],
    }
}

fn has_retryable_reason(reasons: &[CancellationReason]) -> bool {
    let mut codes = reasons.iter().filter_map(CancellationReason::code);
    codes.any(|code| reaction(&CANCELLATION_REASONS, code) == Some(Retry))
}

fn reaction(table: &[(&str, Reaction)], code: &str) -> Option<Reaction> {
    table.iter().find(|(known, _)| *known == code).map(|(_, reaction)| *reaction)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_code_is_listed_once() {
        for table in [&ERROR_CODES[..], &CANCELLATION_REASONS] {
            let codes: BTreeSet<&str> = table.iter().map(|(code, _)| *code).collect();
            assert_eq!(codes.len(), table.len());
        }
    }

    #[test]
    fn unknown_code_is_retried_after_a_server_error_a_timeout_or_a_rate_limit() {
        for (status, expected) in
            [(400, false), (403, false), (408, true), (429, true), (500, true), (503, true)]
        {
            assert_eq!(is_retryable_answer(status, Some("NewException")), expected, "{status}");
            assert_eq!(is_retryable_answer(status, None), expected, "{status} without a code");
        }
    }

    #[test]
    fn every_throttle_is_retried() {
        let codes = ERROR_CODES.iter().chain(&CANCELLATION_REASONS);
        let retried: BTreeSet<&str> =
            codes.filter(|(_, reaction)| *reaction == Retry).map(|(code, _)| *code).collect();
        for throttle in THROTTLES {
            assert!(retried.contains(throttle), "{throttle}");
        }
    }

    #[test]
    fn known_code_decides_with_every_status() {
        assert!(is_retryable_answer(400, Some("ThrottlingException")));
        assert!(!is_retryable_answer(500, Some("AccessDeniedException")));
    }
}

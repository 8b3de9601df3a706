//! Stops a command when DynamoDB has not responded for a minute. A command that reads a whole directory has no deadline, so
//! without this it would retry forever.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::config::interceptors::{
    BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;

/// How long DynamoDB can be unresponsive until no more requests are sent.
const MAX_OUTAGE: Duration = Duration::from_secs(60);

/// Refuses to send more requests after DynamoDB has not responded for a minute.
#[derive(Debug, Default)]
pub struct OutageDetector {
    /// When the first request failed, of those since the last response.
    failing_since: Mutex<Option<Instant>>,
}

/// DynamoDB has been unresponsive for too long.
#[derive(Debug)]
pub struct Outage;

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = MAX_OUTAGE.as_secs();
        write!(
            f,
            "DynamoDB has not responded for {seconds} seconds; run the same command again when it responds"
        )
    }
}

impl std::error::Error for Outage {}

impl OutageDetector {
    /// Returns an error when no more requests are to be sent.
    fn check(&self, now: Instant) -> Result<(), Outage> {
        let since = *self.failing_since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.is_some_and(|since| now.duration_since(since) >= MAX_OUTAGE) { Err(Outage) } else { Ok(()) }
    }

    /// Records whether a request got a response.
    fn record(&self, has_response: bool, now: Instant) {
        let mut since = self.failing_since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = if has_response { None } else { since.or(Some(now)) };
    }
}

impl Intercept for OutageDetector {
    fn name(&self) -> &'static str {
        "OutageDetector"
    }

    // A request that this refuses is not retried, because it fails before it is sent.
    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        Ok(self.check(Instant::now())?)
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let has_response = context.response().is_some_and(|response| response.status().as_u16() < 500);
        self.record(has_response, Instant::now());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_refused_after_a_minute_without_a_response() {
        let (detector, start) = (OutageDetector::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        detector.record(false, at(0));
        detector.record(false, at(50));
        assert!(detector.check(at(59)).is_ok());
        assert!(detector.check(at(60)).is_err());
        detector.record(true, at(61));
        assert!(detector.check(at(500)).is_ok(), "one response ends the outage");
        detector.record(false, at(500));
        assert!(detector.check(at(559)).is_ok());
    }
}

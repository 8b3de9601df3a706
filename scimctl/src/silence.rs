//! How long commands wait for a DynamoDB that does not answer. A command that goes through a whole directory has no
//! deadline; but once nothing was answered for a while, no other request is sent.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::config::interceptors::{
    BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;

/// For how long nothing may be answered.
const LONGEST: Duration = Duration::from_secs(60);

/// Knows since when DynamoDB is silent.
#[derive(Debug, Default)]
pub struct Watch {
    since: Mutex<Option<Instant>>,
}

/// DynamoDB was silent for too long.
#[derive(Debug)]
pub struct Silence;

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = LONGEST.as_secs();
        write!(f, "DynamoDB has not answered for {seconds} seconds; give the same command again when it does")
    }
}

impl std::error::Error for Silence {}

impl Watch {
    /// Whether another request is worth sending.
    fn begin(&self, now: Instant) -> Result<(), Silence> {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.is_some_and(|since| now.duration_since(since) >= LONGEST) { Err(Silence) } else { Ok(()) }
    }

    /// Notes whether a request was answered.
    fn end(&self, is_answered: bool, now: Instant) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = if is_answered { None } else { since.or(Some(now)) };
    }
}

impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "Watch"
    }

    // What is refused here is not tried again: it was never sent.
    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        Ok(self.begin(Instant::now())?)
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let is_answered = context.response().is_some_and(|response| response.status().as_u16() < 500);
        self.end(is_answered, Instant::now());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_any_more_after_a_minute_without_an_answer() {
        let (watch, start) = (Watch::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        watch.end(false, at(0));
        watch.end(false, at(50));
        assert!(watch.begin(at(59)).is_ok());
        assert!(watch.begin(at(60)).is_err());
        watch.end(true, at(61));
        assert!(watch.begin(at(500)).is_ok(), "one answer is enough to go on");
        watch.end(false, at(500));
        assert!(watch.begin(at(559)).is_ok());
    }
}

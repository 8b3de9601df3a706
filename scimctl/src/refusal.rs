//! Ends a command that cannot succeed by repeating its requests: the table or the credentials are wrong, DynamoDB cannot be
//! reached, or it has not responded for a minute. `directory` retries only what may pass, such as throttling, but it retries
//! connections too, and a command that reads a whole directory has no deadline.

use std::error::Error;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::config::interceptors::{
    BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use serde::Deserialize;
use shared::error::chain;

use crate::place::Place;

/// How long DynamoDB can be unresponsive until no more requests are sent.
const MAX_OUTAGE: Duration = Duration::from_secs(60);

/// Why no more requests are sent, and what the operator can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Refusal {}

/// Finds the refusal among the causes of an error.
pub fn find<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Refusal> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref() {
            return Some(refusal);
        }
        cause = error.source();
    }
    None
}

/// Watches the responses of DynamoDB, and refuses to send more requests when they cannot succeed.
#[derive(Debug)]
pub struct Watch {
    place: Place,
    state: Mutex<State>,
}

/// What is known from the requests so far.
#[derive(Debug, Default)]
struct State {
    /// Whether DynamoDB has ever responded.
    has_responded: bool,
    /// When the first request failed, of those since the last response.
    failing_since: Option<Instant>,
    /// Why no more requests are sent.
    refusal: Option<Refusal>,
}

impl Watch {
    /// Watches the requests to this table.
    pub fn new(place: Place) -> Self {
        Self { place, state: Mutex::default() }
    }
}

impl State {
    /// Returns an error when no more requests are to be sent.
    fn check(&self, now: Instant) -> Result<(), Refusal> {
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        if self.failing_since.is_some_and(|since| now.duration_since(since) >= MAX_OUTAGE) {
            let seconds = MAX_OUTAGE.as_secs();
            return Err(Refusal(format!(
                "DynamoDB has not responded for {seconds} seconds; run the same command again when it responds"
            )));
        }
        Ok(())
    }

    /// Records whether a request got a response.
    fn record(&mut self, has_response: bool, now: Instant) {
        self.has_responded |= has_response;
        self.failing_since = if has_response { None } else { self.failing_since.or(Some(now)) };
    }
}

impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "Watch"
    }

    // A request that this refuses is not retried, because it fails before it is sent.
    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        Ok(self.state.lock().unwrap_or_else(PoisonError::into_inner).check(Instant::now())?)
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let refusal = match (context.response(), context.output_or_error()) {
            (Some(response), _) => {
                state.record(response.status().as_u16() < 500, Instant::now());
                AwsError::of(response).and_then(|error| self.place.explain(&error.code(), &error.message))
            }
            (None, Some(Err(error))) => {
                state.record(false, Instant::now());
                let is_sent = error.is_connector_error() || error.is_timeout_error();
                match error.as_connector_error() {
                    // A connection that was never possible does not become possible in some seconds.
                    Some(error) if !state.has_responded => {
                        Some(self.place.explain_unreachable(&innermost(error)))
                    }
                    // The credentials expired during the command, and there are no new ones.
                    _ if !is_sent && !error.is_interceptor_error() => {
                        Some(self.place.explain_login(&chain(error)))
                    }
                    _ => None,
                }
            }
            _ => None,
        };
        match refusal {
            Some(sentence) => {
                let refusal = Refusal(sentence);
                state.refusal = Some(refusal.clone());
                Err(refusal.into())
            }
            None => Ok(()),
        }
    }
}

/// The body of an error response of DynamoDB.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AwsError {
    #[serde(rename = "__type")]
    kind: String,
    #[serde(alias = "Message")]
    message: String,
}

impl AwsError {
    fn of(response: &HttpResponse) -> Option<Self> {
        if response.status().is_success() {
            return None;
        }
        serde_json::from_slice(response.body().bytes()?).ok()
    }

    /// The code without its namespace.
    fn code(&self) -> String {
        self.kind.rsplit('#').next().unwrap_or_default().to_owned()
    }
}

/// The text of the first cause: `Connection refused (os error 111)`.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_refused_after_a_minute_without_a_response() {
        let (mut state, start) = (State::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        state.record(false, at(0));
        state.record(false, at(50));
        assert!(state.check(at(59)).is_ok());
        assert!(state.check(at(60)).is_err());
        state.record(true, at(61));
        assert!(state.check(at(500)).is_ok(), "one response ends the outage");
        state.record(false, at(500));
        assert!(state.check(at(559)).is_ok());
    }
}

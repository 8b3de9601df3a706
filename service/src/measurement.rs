//! What one request took: the process prints it as metrics, or keeps counts of it.

use std::fmt::Debug;
use std::time::Duration;

use directory::Usage;
use directory::connectors::ConnectorId;

use crate::trace::TraceId;

/// The measurement of one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// The id of the request in the log.
    pub request: String,
    /// The trace that it belongs to.
    pub trace: Option<TraceId>,
    /// The function of its route, such as `users-list`; `fallback` if it has no route.
    pub function: &'static str,
    /// The connector. `None` if this process has read no connector with this id, so strangers cannot invent values.
    pub connector: Option<ConnectorId>,
    /// The status of the response.
    pub status: u16,
    /// How long the response took.
    pub latency: Duration,
    /// What its requests to DynamoDB cost.
    pub usage: Usage,
}

impl Measurement {
    /// Whether the client made an error (4xx).
    pub const fn is_client_error(&self) -> bool {
        matches!(self.status, 400..=499)
    }

    /// Whether the service failed (5xx).
    pub const fn is_server_error(&self) -> bool {
        self.status >= 500
    }

    /// Whether the credentials were wrong or missing.
    pub const fn is_authentication_failure(&self) -> bool {
        self.status == 401
    }
}

/// Gets the measurement of every request.
pub trait Observer: Debug + Send + Sync {
    /// Called after the response is known and before it is sent.
    fn observe(&self, measurement: &Measurement);
}

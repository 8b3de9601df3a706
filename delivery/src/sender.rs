//! Sends some events to where the events of a feed go.

use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::Value;
use shared::error::ScimError;

use crate::event_bus::EventBus;
use crate::message::Writer;
use crate::send::{Http, Refusal};
use crate::target::Target;

/// Where the events of a feed go.
pub enum Sender {
    /// To a URL, each in a request of its own.
    Url { http: Box<Http>, target: Box<Target>, writer: Writer },
    /// To an event bus, together.
    EventBus(EventBus),
}

impl Sender {
    /// Sends events with these claims at the same time. Returns for each, in order, what the consumer answered.
    ///
    /// # Errors
    /// Fails when the operating system cannot provide randomness.
    pub async fn send(
        &self,
        claims: &[Value],
        now: Timestamp,
    ) -> Result<Vec<Result<String, Refusal>>, ScimError> {
        match self {
            Self::EventBus(bus) => bus.send(claims).await,
            Self::Url { http, target, writer } => {
                let requests = claims.iter().map(|claims| writer.request(target.uri(), claims, now));
                let requests = requests.collect::<Result<Vec<_>, _>>()?;
                let answers = join_all(requests.into_iter().map(|request| http.send(request, now))).await;
                Ok(answers.into_iter().map(|answer| answer.map(|status| status.to_string())).collect())
            }
        }
    }
}

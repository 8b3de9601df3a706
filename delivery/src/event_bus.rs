//! Sends events to an event bus of Amazon EventBridge.
//!
//! EventBridge delivers in no order. So an event says only which attributes changed, and a group's members count as one: a consumer
//! reads the present state from the directory API.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};
use directory::connectors::ConnectorId;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use shared::error::{ScimError, chain};
use tokio::sync::OnceCell;

use crate::message::{PREFIX, type_of};
use crate::send::Refusal;

/// The field `Source` of every entry.
const SOURCE: &str = "rollcall";
/// The errors of an entry that have nothing to do with the entry.
const BUSY: [&str; 3] = ["InternalException", "InternalFailure", "ThrottlingException"];

/// Sends to event buses. Credentials, region and endpoint are looked for when a first event is sent, so that a process without such
/// a feed needs none.
#[derive(Clone)]
pub struct EventBuses {
    load: Arc<dyn Fn() -> BoxFuture<'static, SdkConfig> + Send + Sync>,
    client: Arc<OnceCell<Client>>,
}

/// One event bus.
pub(crate) struct EventBus {
    client: Client,
    /// Its name or ARN.
    name: String,
    connector: ConnectorId,
}

impl EventBuses {
    /// `load` finds the configuration of the AWS SDK.
    pub fn new<F: Future<Output = SdkConfig> + Send + 'static>(
        load: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        Self { load: Arc::new(move || load().boxed()), client: Arc::default() }
    }

    /// The bus with this name or ARN, for the events of a connector.
    pub(crate) async fn bus(&self, name: &str, connector: &ConnectorId) -> EventBus {
        let client = self.client.get_or_init(|| async { Client::new(&(self.load)().await) }).await;
        EventBus { client: client.clone(), name: name.to_owned(), connector: connector.clone() }
    }
}

impl fmt::Debug for EventBuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventBuses")
    }
}

impl EventBus {
    /// Sends at most 10 events in one request. Each is accepted or refused for itself. An accepted one has an id.
    ///
    /// # Errors
    /// Fails if the claims are none of an event.
    pub async fn send(&self, claims: &[Value]) -> Result<Vec<Result<String, Refusal>>, ScimError> {
        let entries = claims.iter().map(|claims| self.entry(claims)).collect::<Result<Vec<_>, _>>()?;
        let failed = |error: String| Refusal::Consumer { error, retry_after: None };
        let answer = match self.client.put_events().set_entries(Some(entries)).send().await {
            Ok(answer) => answer,
            Err(error) => return Ok(vec![Err(failed(chain(&error))); claims.len()]),
        };
        // The answer has the entries in the order of the request.
        let mut results: Vec<Result<String, Refusal>> = answer.entries().iter().map(accepted).collect();
        results.resize(
            claims.len(),
            Err(failed("EventBridge does not say whether it has the event".to_owned())),
        );
        Ok(results)
    }

    fn entry(&self, claims: &Value) -> Result<PutEventsRequestEntry, ScimError> {
        let time = claims.get("iat").and_then(Value::as_i64);
        let time = time.ok_or_else(|| ScimError::internal("the claims of an event have no time"))?;
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .detail_type(type_of(claims))
            .time(DateTime::from_secs(time))
            .detail(detail(claims, &self.connector).to_string());
        Ok(entry.build())
    }
}

/// The claims, with the connector, and with a notice instead of the members that joined and left.
fn detail(claims: &Value, connector: &ConnectorId) -> Value {
    let mut detail = claims.clone();
    let Some(members) = detail.as_object_mut() else { return detail };
    members.insert("connector".to_owned(), json!(connector.to_string()));
    let Some(events) = members.get_mut("events").and_then(Value::as_object_mut) else { return detail };
    if events.remove(&format!("{PREFIX}prov:patch:full")).is_some() {
        let notice = format!("{PREFIX}prov:patch:notice");
        let noticed = events.get(&notice).and_then(|notice| notice.get("attributes")?.as_array());
        let noticed = noticed.into_iter().flatten().filter_map(Value::as_str);
        let attributes: BTreeSet<String> = noticed.chain(["members"]).map(str::to_owned).collect();
        events.insert(notice, json!({ "attributes": attributes }));
    }
    detail
}

fn accepted(entry: &PutEventsResultEntry) -> Result<String, Refusal> {
    let Some(code) = entry.error_code() else {
        return Ok(format!("event {}", entry.event_id().unwrap_or_default()));
    };
    let error = format!("{code}: {}", entry.error_message().unwrap_or_default());
    Err(if BUSY.contains(&code) {
        Refusal::Consumer { error, retry_after: None }
    } else {
        Refusal::Event(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_a_group_become_a_notice() {
        let connector = ConnectorId::parse("okta").unwrap();
        let event = |name: &str| format!("{PREFIX}prov:patch:{name}");
        for (attributes, expected) in [
            (None, json!(["members"])),
            (Some(json!(["displayName", "members"])), json!(["displayName", "members"])),
        ] {
            let mut claims =
                json!({ "jti": "1", "events": { event("full"): { "data": { "Operations": [] } } } });
            if let Some(attributes) = attributes {
                claims["events"][event("notice")] = json!({ "attributes": attributes });
            }
            let events = json!({ event("notice"): { "attributes": expected } });
            assert_eq!(
                detail(&claims, &connector),
                json!({ "jti": "1", "connector": "okta", "events": events })
            );
        }
    }

    #[test]
    fn error_of_an_entry_says_whether_the_bus_or_the_event_is_the_problem() {
        let entry = |code: &str| {
            accepted(&PutEventsResultEntry::builder().error_code(code).error_message("why").build())
        };
        let busy = "ThrottlingException: why".to_owned();
        assert_eq!(entry("ThrottlingException"), Err(Refusal::Consumer { error: busy, retry_after: None }));
        assert_eq!(entry("MalformedDetail"), Err(Refusal::Event("MalformedDetail: why".to_owned())));
        let accepted = accepted(&PutEventsResultEntry::builder().event_id("e1").build());
        assert_eq!(accepted, Ok("event e1".to_owned()));
    }
}

//! Sends the events of feeds to their URLs and event buses, as the function `feeds-deliver` does in a deployment.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use delivery::target::Reach;
use delivery::{Delivered, Deliverer, EventBuses, When};
use directory::Table;
use directory::connectors::ConnectorId;
use directory::feeds::{DeliveryResult, FeedId};
use jiff::Timestamp;
use runtime::environment;
use shared::schema::Schemas;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::metrics::Counters;

/// How often to look for events.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long one delivery may take. The next one continues it.
const DELIVERY_TIME: Duration = Duration::from_secs(60);

/// Delivers until it is dropped. Each feed is delivered by a task of its own, so a slow consumer does not delay others.
pub async fn deliver(table: Table, counters: Arc<Counters>) {
    let reach = Reach::new(environment::allows_private_targets());
    let buses = EventBuses::new(|| runtime::dynamodb::aws_loader().load());
    let deliverer = match Deliverer::new(table.clone(), Schemas::built_in(), reach, buses) {
        Ok(deliverer) => deliverer,
        Err(error) => {
            tracing::warn!(error, "feeds are not delivered");
            return std::future::pending().await;
        }
    };
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tasks = JoinSet::new();
    let mut running: HashMap<(ConnectorId, FeedId), AbortHandle> = HashMap::new();
    loop {
        ticks.tick().await;
        while tasks.try_join_next().is_some() {}
        running.retain(|_, task| !task.is_finished());
        let table = table.until(Instant::now() + DELIVERY_TIME);
        let due = match table.feeds_to_deliver(Timestamp::now()).await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "cannot look for feeds to deliver");
                continue;
            }
        };
        for (connector, feed) in due {
            running.entry((connector, feed.id)).or_insert_with_key(|(connector, feed)| {
                let (deliverer, connector, feed) = (deliverer.clone(), connector.clone(), feed.clone());
                let counters = Arc::clone(&counters);
                tasks.spawn(async move {
                    let (now, end) = (Timestamp::now(), Instant::now() + DELIVERY_TIME);
                    match deliverer.deliver(&connector, &feed, When::Due, now, end).await {
                        Ok(Delivered::Sent { events, result }) => {
                            counters.count_delivery(events, result != DeliveryResult::Delivered);
                        }
                        Ok(Delivered::Nothing | Delivered::Busy) => {}
                        Err(error) => {
                            counters.count_delivery(0, true);
                            tracing::warn!(%error, %connector, %feed, "a feed could not be delivered");
                        }
                    }
                })
            });
        }
    }
}

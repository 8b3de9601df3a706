//! `scimctl ranger sync --watch`: a run after each change of the directory, by a feed.
//!
//! An event only says that something changed; each run reads both sides as they are. So an old event never undoes newer state, and
//! events that are acknowledged late or twice do no harm.

use std::time::Duration;

use directory::feeds::{FeedId, Outbox};
use jiff::Timestamp;

use super::client::RangerClient;
use super::sync::{Options, sync};
use crate::context::Context;
use crate::failure::{Failure, fail};
use crate::open_directory::OpenDirectory;

/// How often the feed is read. Each run reads the whole directory, so changes of some seconds share one.
const WATCH_INTERVAL: Duration = Duration::from_secs(5);
/// The events that are read at once.
const EVENTS_AT_ONCE: usize = 1_000;

/// Follows a feed: acknowledges its events after Ranger has what they tell of. The first run is made even if no event waits.
///
/// # Errors
/// Fails if a run does. Then its events stay in the feed.
pub async fn watch(
    context: &Context,
    connector: &str,
    feed: &str,
    client: &RangerClient,
    options: &Options,
    is_once: bool,
) -> Result<(), Failure> {
    let Some(feed) = FeedId::parse(feed) else {
        return fail(format!("{feed:?} cannot be the id of a feed: use 1 to 63 of a–z, 0–9 and -"));
    };
    let mut is_first = true;
    loop {
        // The connector is read each time, because its rules decide what the directory shows.
        let open = OpenDirectory::open(context, connector).await?;
        let Some(found) = open.directory.feed(&feed).await? else {
            return fail(format!(
                "connector {connector} has no feed {feed}; `scimctl feed create` creates it"
            ));
        };
        if found.settings.paused.is_none() {
            let outbox = open.directory.outbox(&feed);
            let events = waiting(&outbox).await?;
            if is_first || !events.is_empty() {
                if let Err(Failure(reason)) = sync(&open, client, options).await {
                    let now = context.directory_at(context.connector(connector).await?, Timestamp::now());
                    now.record_feed_error(&feed, &reason).await?;
                    return fail(reason);
                }
                outbox.acknowledge(&events).await?;
            }
            is_first = false;
        }
        if is_once {
            return Ok(());
        }
        tokio::time::sleep(WATCH_INTERVAL).await;
    }
}

/// The ids of all events that wait. Reading an event waits until its transaction is visible as a whole, so a run after that sees it.
async fn waiting(outbox: &Outbox) -> Result<Vec<String>, Failure> {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let batch = outbox.read_onwards(ids.last().map(String::as_str), EVENTS_AT_ONCE).await?;
        let has_more = batch.has_more && !batch.events.is_empty();
        ids.extend(batch.events.into_iter().map(|event| event.jti));
        if !has_more {
            return Ok(ids);
        }
    }
}

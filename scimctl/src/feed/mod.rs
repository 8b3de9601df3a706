//! `scimctl feed`: the feeds of a connector, by which the platform learns of changes.

mod shown;
mod to_url;

use std::collections::HashSet;
use std::time::Duration;

use clap::Subcommand;
use directory::connectors::{ConnectorId, Connectors};
use directory::feeds::{Event, Feed, FeedId, NewFeed};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::context::{Context, parse_connector_id};
use crate::failure::{Failure, fail};
use crate::output::{count, format_facts, format_number, format_time, print, print_json, print_lines};
use crate::prompt::confirm;
use crate::table::{Table, print_total};

use shown::destination;
use to_url::{Chosen, DeliveryOptions};

pub use shown::ShownFeed;
pub use to_url::send_test;

/// The events that `tail` reads at once.
const EVENTS_AT_ONCE: usize = 1_000;
/// How often `tail` looks for new events.
const TAIL_INTERVAL: Duration = Duration::from_secs(1);

/// The commands on feeds.
#[derive(Subcommand)]
pub enum Command {
    /// List the feeds of a connector, and how many changes wait for their consumers
    #[command(after_help = "EXAMPLE:\n  scimctl feed list okta")]
    List {
        /// Id of the connector
        connector: String,
        /// Print one JSON object on each line
        #[arg(long)]
        json: bool,
    },
    /// Show one feed
    #[command(after_help = "EXAMPLE:\n  scimctl feed show okta platform")]
    Show {
        /// Id of the connector
        connector: String,
        /// Id of the feed
        feed: String,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Create a feed of the changes of users, groups and roles. Its consumer polls it, or the events are sent to a URL or an event bus
    #[command(after_help = "\
Every process has to know the feed before it has every change. So after about two and a half minutes, all users, groups and \
roles are marked as changed once.\n\nEXAMPLE:\n  scimctl feed create okta platform --audience https://platform.example.com\n  \
scimctl feed create okta platform --webhook https://platform.example.com/events --url https://scim.example.com")]
    Create {
        /// Id of the connector
        connector: String,
        /// Id of the new feed: a–z, 0–9 and -
        feed: String,
        /// Who the events are for: the claim `aud` of each token
        #[arg(long)]
        audience: Option<String>,
        #[command(flatten)]
        delivery: DeliveryOptions,
    },
    /// Stop delivering a feed's events. They are kept
    #[command(after_help = "EXAMPLE:\n  scimctl feed pause okta platform")]
    Pause {
        /// Id of the connector
        connector: String,
        /// Id of the feed
        feed: String,
    },
    /// Deliver the events of a paused feed again
    #[command(after_help = "EXAMPLE:\n  scimctl feed resume okta platform")]
    Resume {
        /// Id of the connector
        connector: String,
        /// Id of the feed
        feed: String,
    },
    /// Mark all users, groups and roles as changed, for a consumer that begins anew
    #[command(after_help = "EXAMPLE:\n  scimctl feed replay okta platform")]
    Replay {
        /// Id of the connector
        connector: String,
        /// Id of the feed
        feed: String,
    },
    /// Show the waiting events of a feed, and then new ones as they come. They stay in the feed
    #[command(after_help = "EXAMPLE:\n  scimctl feed tail okta platform")]
    Tail {
        /// Id of the connector
        connector: String,
        /// Id of the feed
        feed: String,
        /// Show only the events that wait now
        #[arg(long)]
        once: bool,
    },
    /// Make a new key that signs the events of all feeds of a connector. It signs after about two and a half minutes
    #[command(after_help = "EXAMPLE:\n  scimctl feed rotate-key okta")]
    RotateKey {
        /// Id of the connector
        connector: String,
    },
    /// Replace the secret of a feed that sends events to a URL. A webhook gets a new secret, which is printed once
    #[command(after_help = "\
The secret before the new one also signs webhooks, until the next rotation.\n\nEXAMPLE:\n  scimctl feed rotate-secret okta platform")]
    RotateSecret {
        /// Id of the connector
        connector: String,
        /// Id of the feed
        feed: String,
        /// Enter `-` for the new bearer token of the consumer: it is asked for, or read from a pipe
        #[arg(long, value_name = "-", value_parser = ["-"])]
        token: Option<String>,
    },
    /// Send a test event to the URL or event bus of a feed, and say what its consumer answered
    #[command(after_help = "\
The event is the verification event of the OpenID Shared Signals Framework. This command reads private keys, which \
OperatorPolicy and AuditorPolicy deny: use a role that has DelivererPolicy and neither of these two.\n\nEXAMPLE:\n  scimctl feed test okta platform")]
    Test {
        /// Id of the connector
        connector: String,
        /// Id of the feed
        feed: String,
    },
    /// Send what waits in a feed to its URL now, also before the next attempt after a failure is due
    #[command(after_help = "\
The function feeds-deliver does the same when something changes, and every minute. This command reads private keys, which \
OperatorPolicy and AuditorPolicy deny: use a role that has DelivererPolicy and neither of these two.\n\nEXAMPLE:\n  scimctl feed deliver okta platform")]
    Deliver {
        /// Id of the connector
        connector: String,
        /// Id of the feed
        feed: String,
    },
    /// Delete a feed and what waits in it. To confirm, enter its id on standard input
    #[command(after_help = "EXAMPLE:\n  scimctl feed delete okta platform")]
    Delete {
        /// Id of the connector
        connector: String,
        /// Id of the feed
        feed: String,
        /// Do not ask for a confirmation
        #[arg(long)]
        yes: bool,
    },
}

impl Command {
    /// Whether the command changes what the table holds.
    pub fn is_change(&self) -> bool {
        !matches!(
            self,
            Self::List { .. }
                | Self::Show { .. }
                | Self::Tail { .. }
                | Self::Test { .. }
                | Self::Deliver { .. }
        )
    }
}

/// Runs a command.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::List { connector, json } => list(context, &connector, json).await,
        Command::Show { connector, feed, json } => show(context, &connector, &feed, json).await,
        Command::Create { connector, feed, audience, delivery } => {
            let (connector, feed) = parse(&connector, &feed)?;
            let Chosen { delivery, secret } = delivery.choose(&connector)?;
            let new = NewFeed { id: feed, audience, delivery };
            let created = context.connectors().create_feed(&connector, &new).await?;
            let due = created.marking.map(|marking| format_time(marking.due)).unwrap_or_default();
            print(&format!(
                "Feed {} of connector {connector} is created. All users, groups and roles are marked as changed at {due}",
                new.id
            ))?;
            match destination(&created.settings.delivery) {
                None => print(&format!("Its consumer polls POST /{connector}/events/v1/{}/poll", new.id))?,
                Some(destination) => print(&format!("Its events are sent to {destination}"))?,
            }
            match secret {
                Some(secret) => print(&format!("Secret:        {secret}")),
                None => Ok(()),
            }
        }
        Command::Pause { connector, feed } => {
            let (connector, feed) = parse(&connector, &feed)?;
            context.connectors().pause_feed(&connector, &feed).await?;
            print(&format!("Feed {feed} is paused; `scimctl feed resume {connector} {feed}` delivers again"))
        }
        Command::Resume { connector, feed } => {
            let (connector, feed) = parse(&connector, &feed)?;
            context.connectors().resume_feed(&connector, &feed).await?;
            print(&format!("Feed {feed} is delivered again"))
        }
        Command::Replay { connector, feed } => {
            let (connector, feed) = parse(&connector, &feed)?;
            context.connectors().replay_feed(&connector, &feed).await?;
            print(&format!(
                "All users, groups and roles will be marked as changed for feed {feed}, within a minute"
            ))
        }
        Command::Tail { connector, feed, once } => tail(context, &connector, &feed, once).await,
        Command::RotateKey { connector } => {
            let connector = parse_connector_id(&connector)?;
            let key = context.connectors().rotate_signing_key(&connector).await?;
            print(&format!(
                "Key {} of connector {connector} is published, and signs in about 150 seconds",
                key.kid
            ))
        }
        Command::RotateSecret { connector, feed, token } => {
            let (connector, feed) = parse(&connector, &feed)?;
            to_url::rotate_secret(context, &connector, &feed, token.is_some()).await
        }
        Command::Test { connector, feed } => {
            let (connector, feed) = parse(&connector, &feed)?;
            to_url::test(context, &connector, &feed).await
        }
        Command::Deliver { connector, feed } => {
            let (connector, feed) = parse(&connector, &feed)?;
            to_url::deliver(context, &connector, &feed).await
        }
        Command::Delete { connector, feed, yes } => delete(context, &connector, &feed, yes).await,
    }
}

fn parse(connector: &str, feed: &str) -> Result<(ConnectorId, FeedId), Failure> {
    let connector = parse_connector_id(connector)?;
    match FeedId::parse(feed) {
        Some(feed) => Ok((connector, feed)),
        None => fail(format!("{feed:?} cannot be the id of a feed: use 1 to 63 of a–z, 0–9 and -")),
    }
}

async fn list(context: &Context, connector: &str, is_json: bool) -> Result<(), Failure> {
    let connector = context.connector(connector).await?.id;
    let mut feeds = Vec::new();
    for feed in context.table().feeds(&connector).await? {
        feeds.push(ShownFeed::read(context, &connector, feed).await?);
    }
    if is_json {
        return feeds.iter().try_for_each(print_json);
    }
    let row = |feed: &ShownFeed| {
        vec![
            feed.id.clone(),
            feed.delivery.to_owned(),
            feed.state.to_owned(),
            format_number(feed.waiting),
            feed.oldest(),
            feed.delivered(),
            feed.error(),
        ]
    };
    Table::new(["FEED", "DELIVERY", "STATE", "WAITING", "OLDEST", "LAST DELIVERED", "LAST ERROR"])
        .print(feeds.iter().map(row).collect())?;
    print_total(feeds.len(), 0, "feed", "feeds")
}

async fn find(context: &Context, connector: &str, feed: &str) -> Result<(ConnectorId, Feed), Failure> {
    let connector = context.connector(connector).await?.id;
    let (connector, id) = parse(&connector.to_string(), feed)?;
    match context.table().feed(&connector, &id).await? {
        Some(feed) => Ok((connector, feed)),
        None => fail(format!(
            "connector {connector} has no feed {id}; `scimctl feed list {connector}` lists its feeds"
        )),
    }
}

async fn show(context: &Context, connector: &str, feed: &str, is_json: bool) -> Result<(), Failure> {
    let (connector, feed) = find(context, connector, feed).await?;
    let feed = ShownFeed::read(context, &connector, feed).await?;
    if is_json {
        return print_json(&feed);
    }
    print_lines(&format_facts([
        ("Id:", feed.id.clone()),
        ("State:", feed.state.to_owned()),
        ("Created:", format_time(feed.created)),
        ("Audience:", feed.audience.clone().unwrap_or_default()),
        ("Waiting:", count(feed.waiting, "change", "changes")),
        ("Oldest:", feed.oldest()),
        ("Marks everything at:", feed.marked_at.map(format_time).unwrap_or_default()),
        (
            "Delivery:",
            match &feed.destination {
                Some(destination) => format!("{} to {destination}", feed.delivery),
                None => format!("POST /{connector}/events/v1/{}/poll", feed.id),
            },
        ),
        ("Last delivered:", feed.delivered()),
        ("Failed deliveries:", format_number(usize::try_from(feed.failed_deliveries).unwrap_or(usize::MAX))),
        ("Next delivery:", feed.next_delivery.map(format_time).unwrap_or_default()),
        ("Last error:", feed.error()),
    ]))
}

async fn delete(context: &Context, connector: &str, feed: &str, is_confirmed: bool) -> Result<(), Failure> {
    let (connector, feed) = find(context, connector, feed).await?;
    let shown = ShownFeed::read(context, &connector, feed.clone()).await?;
    let question = format!(
        "This deletes feed {} of connector {connector}, in which {}. To continue, enter its id:",
        feed.id,
        count(shown.waiting, "change waits", "changes wait")
    );
    confirm(&question, &feed.id.to_string(), is_confirmed)?;
    // The time counts from now, not from before the question.
    let now = Timestamp::now();
    let connectors = Connectors::new(context.table(), context.actor().clone(), now);
    connectors.delete_feed(&connector, &feed.id).await?;
    print(&format!("Feed {} of connector {connector} is deleted", feed.id))
}

async fn tail(context: &Context, connector: &str, feed: &str, is_once: bool) -> Result<(), Failure> {
    let (id, feed) = find(context, connector, feed).await?;
    let mut seen: HashSet<String> = HashSet::new();
    loop {
        // The connector is read each time, because its rules decide what an event says.
        let outbox = context.directory(context.connector(&id.to_string()).await?).outbox(&feed.id);
        let mut present = HashSet::new();
        let mut after: Option<String> = None;
        loop {
            let batch = outbox.look_onwards(after.as_deref(), EVENTS_AT_ONCE).await?;
            for event in &batch.events {
                if !seen.contains(&event.jti) {
                    print_json(&to_json(event))?;
                }
                present.insert(event.jti.clone());
            }
            match batch.events.last() {
                Some(last) if batch.has_more => after = Some(last.jti.clone()),
                _ => break,
            }
        }
        if is_once {
            return Ok(());
        }
        seen = present;
        tokio::time::sleep(TAIL_INTERVAL).await;
    }
}

fn to_json(event: &Event) -> Value {
    json!({
        "time": event.time,
        "jti": event.jti,
        "txn": event.txn,
        "uri": event.uri,
        "externalId": event.external_id,
        "events": event.events,
    })
}

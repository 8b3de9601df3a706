//! `scimctl feed create --push`, `--webhook` and `--event-bus`, `rotate-secret`, `test` and `deliver`: feeds whose events are sent.

use std::future::ready;
use std::time::Duration;

use clap::Args;
use delivery::target::{Reach, Target};
use delivery::{Delivered, Deliverer, EventBuses, When};
use directory::connectors::ConnectorId;
use directory::feeds::{Bus, Delivery, DeliveryResult, Feed, FeedId, NewDelivery, generate_webhook_secret};
use jiff::Timestamp;
use runtime::{dynamodb, environment};
use shared::schema::Schemas;
use tokio::time::Instant;

use crate::context::Context;
use crate::failure::{Failure, fail};
use crate::login::log_in;
use crate::output::{count, format_time, print};
use crate::prompt::read_secret;
use crate::service_url::ServiceUrl;

/// How long `deliver` sends events.
const DELIVERY_TIME: Duration = Duration::from_secs(10 * 60);

/// What to do if events are to be sent to a private address.
const PRIVATE_TARGETS: &str = "If the service may send there (the stack's parameter AllowPrivateTargets, or ALLOW_PRIVATE_TARGETS of \
                               `make run`), set ALLOW_PRIVATE_TARGETS=true for this command too";

/// How the events of a new feed reach its consumer. Without an option, the consumer polls.
#[derive(Args)]
pub struct DeliveryOptions {
    /// Send each event to this https:// URL as a signed token (RFC 8935)
    #[arg(long, value_name = "URL", requires = "url", conflicts_with_all = ["webhook", "event_bus"])]
    push: Option<String>,
    /// Send each event to this https:// URL as a webhook (Standard Webhooks). The secret is printed once
    #[arg(long, value_name = "URL", requires = "url", conflicts_with = "event_bus")]
    webhook: Option<String>,
    /// Send the events to this event bus of Amazon EventBridge
    #[arg(long, value_name = "NAME|ARN", requires = "url", value_parser = parse_bus)]
    event_bus: Option<String>,
    /// URL of the service, for the claim `iss` of each event
    #[arg(long)]
    url: Option<String>,
    /// Enter `-` if the consumer of --push requires a bearer token: it is asked for, or read from a pipe
    #[arg(long, value_name = "-", value_parser = ["-"], requires = "push")]
    token: Option<String>,
}

/// A delivery that an operator chose, and the secret to print.
pub struct Chosen {
    /// The delivery.
    pub delivery: NewDelivery,
    /// The secret of a webhook.
    pub secret: Option<String>,
}

impl DeliveryOptions {
    /// Checks the options, and reads or generates the secret.
    pub fn choose(self, connector: &ConnectorId) -> Result<Chosen, Failure> {
        let Self { push, webhook, event_bus, url, token } = self;
        let issuer = match url {
            Some(url) => ServiceUrl::parse(&url)?.issuer(&connector.to_string()),
            None => String::new(),
        };
        let chosen = |delivery, secret| Ok(Chosen { delivery, secret });
        match (push, webhook, event_bus) {
            (Some(url), ..) => {
                check_url(&url)?;
                let token = token.map(|_| read_token()).transpose()?;
                chosen(NewDelivery::Push { url, issuer, token }, None)
            }
            (None, Some(url), _) => {
                check_url(&url)?;
                let secret = generate_webhook_secret()?;
                chosen(NewDelivery::Webhook { url, issuer, secret: secret.clone() }, Some(secret))
            }
            (None, None, Some(name)) => chosen(NewDelivery::EventBus(Bus { name, issuer }), None),
            (None, None, None) => chosen(NewDelivery::Poll, None),
        }
    }
}

/// Checks a URL, and that events may be sent to its address. If it has a name instead of an address, the name is resolved when events
/// are sent.
fn check_url(url: &str) -> Result<(), Failure> {
    let target = Target::parse(url).map_err(Failure)?;
    let Err(refusal) = target.check(reach()) else { return Ok(()) };
    fail(match target.check(Reach::Private) {
        Ok(()) => format!("{refusal}. {PRIVATE_TARGETS}"),
        Err(_) => refusal,
    })
}

/// Where this process may send requests. It has the same setting as the service.
fn reach() -> Reach {
    Reach::new(environment::allows_private_targets())
}

/// Checks the name or ARN of an event bus, as the API reference of EventBridge describes `EventBusName`.
fn parse_bus(bus: &str) -> Result<String, String> {
    let name = match bus.split_once(":event-bus/") {
        Some((arn, name)) if arn.starts_with("arn:aws") => name,
        _ => bus,
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"/.-_".contains(&byte);
    if name.is_empty() || name.len() > 256 || !name.bytes().all(is_name) {
        return Err("it is neither the name nor the ARN of an event bus".to_owned());
    }
    Ok(bus.to_owned())
}

fn read_token() -> Result<String, Failure> {
    let token = read_secret("Enter the token of the consumer:")?;
    // RFC 6750 §2.1: a token has only these characters.
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || !token.bytes().all(is_token) {
        return fail("the token is empty or has a character other than A–Z, a–z, 0–9 and -._~+/=");
    }
    Ok(token)
}

/// Replaces the secret of a feed. A webhook gets a new one, which is printed.
pub async fn rotate_secret(
    context: &Context,
    connector: &ConnectorId,
    feed: &FeedId,
    has_token: bool,
) -> Result<(), Failure> {
    let present = context.connectors().feed(connector, feed).await?;
    let secret = match (&present.settings.delivery, has_token) {
        (Delivery::Webhook(_), false) => generate_webhook_secret()?,
        (Delivery::Push(_), true) => read_token()?,
        (Delivery::Push(_), false) => {
            return fail(format!(
                "feed {feed} sends the token of its consumer; enter the new one with --token -"
            ));
        }
        (Delivery::Webhook(_), true) => {
            return fail(format!("the secret of feed {feed} is generated; leave out --token"));
        }
        (Delivery::Poll | Delivery::EventBus(_), _) => {
            return fail(format!("feed {feed} sends its events to no URL, so it has no secret"));
        }
    };
    context.connectors().replace_delivery_secret(connector, feed, &secret).await?;
    if has_token {
        return print(&format!("Feed {feed} sends the new token"));
    }
    print(&format!("Secret:        {secret}"))?;
    print(
        "The secret before it also signs, until the next rotation. Enter the new one in the consumer before that",
    )
}

/// Sends an event that only tests the delivery. Returns the consumer's status, or else why it did not accept the event.
pub async fn send_test(
    context: &Context,
    connector: &ConnectorId,
    feed: &FeedId,
) -> Result<Result<String, String>, Failure> {
    let present = context.connectors().feed(connector, feed).await?;
    let deliverer = deliverer(context, &present).await?;
    Ok(deliverer.test(connector, &present, Timestamp::now()).await?)
}

/// Sends such an event, and prints what the consumer answered.
pub async fn test(context: &Context, connector: &ConnectorId, feed: &FeedId) -> Result<(), Failure> {
    match send_test(context, connector, feed).await? {
        Ok(status) => print(&format!("The consumer of feed {feed} accepted the test event: {status}")),
        Err(error) => fail(format!("the test event of feed {feed} was not accepted: {error}")),
    }
}

/// Sends what waits in a feed now.
pub async fn deliver(context: &Context, connector: &ConnectorId, feed: &FeedId) -> Result<(), Failure> {
    let present = context.connectors().feed(connector, feed).await?;
    if present.settings.delivery.is_poll() {
        return fail(format!("the consumer of feed {feed} polls, so nothing is sent to it"));
    }
    if present.is_paused() {
        return fail(format!(
            "feed {feed} is paused; `scimctl feed resume {connector} {feed}` delivers again"
        ));
    }
    let deliverer = deliverer(context, &present).await?;
    let (now, end) = (Timestamp::now(), Instant::now() + DELIVERY_TIME);
    match deliverer.deliver(connector, feed, When::Now, now, end).await? {
        Delivered::Nothing => print(&format!("No event waits in feed {feed}")),
        Delivered::Busy => {
            fail(format!("another process delivers feed {feed} now; its lease ends after a minute"))
        }
        Delivered::Sent { events, result } => {
            print(&format!("{} of feed {feed} delivered", count(events, "event", "events")))?;
            match result {
                DeliveryResult::Delivered => Ok(()),
                DeliveryResult::Failed { error, retry_at, .. } => fail(format!(
                    "the consumer did not accept the next event: {error}; the next attempt is at {}",
                    format_time(retry_at)
                )),
                DeliveryResult::Gone { error } => fail(format!(
                    "the consumer wants no more events: {error}; the feed is paused, and `scimctl feed resume {connector} {feed}` \
                     delivers again"
                )),
            }
        }
    }
}

async fn deliverer(context: &Context, feed: &Feed) -> Result<Deliverer, Failure> {
    let buses = match feed.settings.delivery {
        Delivery::EventBus(_) => {
            let config = log_in().await?.config;
            EventBuses::new(move || ready(config.clone()))
        }
        _ => EventBuses::new(|| dynamodb::aws_loader().load()),
    };
    Deliverer::new(context.table_without_deadline(), Schemas::built_in(), reach(), buses).map_err(Failure)
}

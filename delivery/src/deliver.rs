//! Delivers the waiting events of a feed.

use std::sync::Arc;
use std::time::Duration;

use directory::connectors::{Connector, ConnectorId};
use directory::feeds::{
    Delivery, DeliveryResult, Feed, FeedId, LEASE_TIME, Lease, Outbox, verification_claims,
};
use directory::{Actor, By, Directory, Table};
use jiff::Timestamp;
use shared::error::ScimError;
use shared::schema::Schemas;
use tokio::time::Instant;

use crate::backoff;
use crate::event_bus::EventBuses;
use crate::message::Writer;
use crate::send::{Connections, Http, Refusal, TIMEOUT};
use crate::sender::Sender;
use crate::target::{Reach, Target};

/// The events that are sent at the same time, and then acknowledged together. EventBridge takes at most 10.
const EVENTS_AT_ONCE: usize = 8;
/// The most events of one delivery that the consumer may refuse, before the delivery ends.
const MAX_REFUSED: usize = 16;
/// The time between the start of a request and the end of the lease: the request, and its acknowledgement.
const TIME_TO_SEND: Duration = Duration::from_secs(25);

/// Delivers the events of feeds to URLs and event buses.
#[derive(Clone, Debug)]
pub struct Deliverer {
    table: Table,
    schemas: Arc<Schemas>,
    connections: Connections,
    reach: Reach,
    buses: EventBuses,
}

/// Whether a delivery waits for the time of its next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// After a failure, only when the next attempt is due.
    Due,
    /// At once.
    Now,
}

/// What one delivery did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// Nothing: the feed does not exist, is paused, is polled, is not due, or no event waits.
    Nothing,
    /// Nothing: another process is delivering the feed.
    Busy,
    /// It sent events.
    Sent {
        /// The number of events that the consumer accepted.
        events: usize,
        /// How the delivery ended.
        result: DeliveryResult,
    },
}

/// What a delivery has done so far.
#[derive(Debug, Default)]
struct Progress {
    /// The number of events that the consumer accepted.
    sent: usize,
    /// The number of events that the consumer refused, and the last error.
    refused: usize,
    error: String,
    /// The last event of this walk through the outbox.
    after: Option<String>,
    /// The number of events that the consumer accepted in this walk.
    sent_in_walk: usize,
}

impl Deliverer {
    /// Makes a deliverer of a table's feeds, which sends to addresses within this reach, and to event buses.
    ///
    /// # Errors
    /// A sentence if the system has no certificate authorities.
    pub fn new(
        table: Table,
        schemas: &Arc<Schemas>,
        reach: Reach,
        buses: EventBuses,
    ) -> Result<Self, String> {
        let connections = Connections::new(reach)?;
        Ok(Self { table, schemas: Arc::clone(schemas), connections, reach, buses })
    }

    /// Delivers what waits in a feed, one process at a time. `now` is the present time. No request begins when less than 25 seconds are
    /// left until `end`. A failure of the consumer is stored in the feed.
    ///
    /// # Errors
    /// Fails when DynamoDB does. Then a delivered event can come again, with the same id.
    pub async fn deliver(
        &self,
        connector: &ConnectorId,
        feed: &FeedId,
        when: When,
        now: Timestamp,
        end: Instant,
    ) -> Result<Delivered, ScimError> {
        let table = self.table.until(end);
        let Some(present) = table.feed(connector, feed).await?.filter(|feed| may_send(feed, when, now))
        else {
            return Ok(Delivered::Nothing);
        };
        if present.settings.delivery.is_poll() || Outbox::is_empty(&table, connector, feed).await? {
            return Ok(Delivered::Nothing);
        }
        if Instant::now() + TIME_TO_SEND > end {
            return Ok(Delivered::Nothing);
        }
        let run = self.begin(table.clone(), connector, now, end);
        let lease_end = Instant::now() + LEASE_TIME;
        let Some((lease, present)) = table.lease_feed(connector, feed, run.time()).await? else {
            return Ok(Delivered::Busy);
        };
        match run.deliver_all(&lease, when, (present, lease_end)).await {
            Ok((events, result)) => {
                lease.release(&result, events, run.time()).await?;
                Ok(Delivered::Sent { events, result })
            }
            Err(error) => {
                // The lease ends by itself if this fails too.
                let _ = lease.give_up().await;
                Err(error)
            }
        }
    }

    fn begin<'r>(
        &'r self,
        table: Table,
        connector: &'r ConnectorId,
        now: Timestamp,
        end: Instant,
    ) -> Run<'r> {
        let http = self.connections.open();
        Run { deliverer: self, table, connector, http, now, started: Instant::now(), end }
    }

    /// Sends an event that only tests the delivery of a feed, also of a paused one. Returns the consumer's status, or why it did not
    /// accept the event.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn test(
        &self,
        connector: &ConnectorId,
        feed: &Feed,
        now: Timestamp,
    ) -> Result<Result<String, String>, ScimError> {
        let end = Instant::now() + TIMEOUT * 2;
        let run = self.begin(self.table.until(end), connector, now, end);
        let Some(issuer) = feed.settings.delivery.issuer() else {
            return Ok(Err("the consumer of the feed polls".to_owned()));
        };
        let Some(known) = run.table.connector(connector).await? else {
            return Ok(Err("the connector does not exist".to_owned()));
        };
        let sender = match run.sender(&known, feed).await? {
            Ok(sender) => sender,
            Err(error) => return Ok(Err(error)),
        };
        let claims = verification_claims(&feed.id, issuer, feed.settings.audience.as_deref(), now);
        Ok(match sender.send(&[claims], now).await?.pop() {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(Refusal::Event(error) | Refusal::Gone(error) | Refusal::Consumer { error, .. })) => {
                Err(error)
            }
            None => Err("the consumer did not answer".to_owned()),
        })
    }
}

fn may_send(feed: &Feed, when: When, now: Timestamp) -> bool {
    feed.is_due(now) || when == When::Now && !feed.is_paused() && feed.settings.deleted.is_none()
}

/// One delivery.
struct Run<'r> {
    deliverer: &'r Deliverer,
    table: Table,
    connector: &'r ConnectorId,
    http: Http,
    /// The time at which it began, by the calendar and by the clock of the process.
    now: Timestamp,
    started: Instant,
    end: Instant,
}

impl Run<'_> {
    /// The present time.
    fn time(&self) -> Timestamp {
        self.now + self.started.elapsed()
    }

    /// Sends what waits, some events at a time. Each time, the feed and the connector are read again, so that a change by an operator
    /// counts at once. Returns the number of events that the consumer accepted, and how the delivery ended.
    async fn deliver_all(
        &self,
        lease: &Lease,
        when: When,
        (leased, mut lease_end): (Feed, Instant),
    ) -> Result<(usize, DeliveryResult), ScimError> {
        let failures = leased.failures;
        let mut feed = Some(leased);
        let mut progress = Progress::default();
        loop {
            feed = feed.filter(|feed| may_send(feed, when, self.time()));
            let has_time = Instant::now() + TIME_TO_SEND <= self.end;
            let step = match &feed {
                Some(feed) if has_time => {
                    self.deliver_some(feed, lease_end.min(self.end), &mut progress).await?
                }
                _ => Step::End,
            };
            // If the consumer accepts some events, it is not failing.
            let failures = if progress.sent > 0 { 0 } else { failures };
            let failed = |error: String, retry_after: Option<Duration>| {
                let pause = backoff::pause(failures, retry_after, backoff::random());
                DeliveryResult::Failed { error, failures: failures + 1, retry_at: self.time() + pause }
            };
            let result = match step {
                Step::More => {
                    lease_end = Instant::now() + LEASE_TIME;
                    feed = lease.renew(self.time()).await?;
                    continue;
                }
                Step::Stopped(Refusal::Gone(error)) => DeliveryResult::Gone { error },
                Step::Stopped(Refusal::Event(error)) => failed(error, None),
                Step::Stopped(Refusal::Consumer { error, retry_after }) => failed(error, retry_after),
                Step::End if progress.refused > 0 => failed(progress.error.clone(), None),
                Step::End => DeliveryResult::Delivered,
            };
            return Ok((progress.sent, result));
        }
    }

    /// Sends some events at the same time, and acknowledges those that the consumer accepted.
    async fn deliver_some(
        &self,
        feed: &Feed,
        end: Instant,
        progress: &mut Progress,
    ) -> Result<Step, ScimError> {
        let connector = self.table.connector(self.connector).await?;
        let connector = connector.filter(|connector| connector.record.disabled.is_none());
        let (Some(connector), Some(issuer)) = (connector, feed.settings.delivery.issuer()) else {
            return Ok(Step::End);
        };
        let sender = match self.sender(&connector, feed).await? {
            Ok(sender) => sender,
            Err(error) => return Ok(Step::Stopped(Refusal::Consumer { error, retry_after: None })),
        };
        let reader = Actor { by: By::Reader, request: "delivery".to_owned() };
        let (connector, schemas) = (Arc::new(connector), &self.deliverer.schemas);
        let directory = Directory::new(self.table.clone(), connector, schemas, self.time(), reader);
        let outbox = directory.outbox(&feed.id);
        let batch = outbox.read_onwards(progress.after.as_deref(), EVENTS_AT_ONCE).await?;
        if batch.events.is_empty() {
            return Ok(progress.end_walk());
        }
        if Instant::now() + TIME_TO_SEND > end {
            // The reads took long. The lease is renewed first.
            return Ok(Step::More);
        }
        let audience = feed.settings.audience.as_deref();
        let claims: Vec<_> = batch.events.iter().map(|event| event.claims(issuer, audience)).collect();
        let answers = sender.send(&claims, self.time()).await?;
        let answers: Vec<_> = batch.events.into_iter().map(|event| event.jti).zip(answers).collect();
        let accepted = answers.iter().filter(|(_, sent)| sent.is_ok());
        let accepted: Vec<String> = accepted.map(|(jti, _)| jti.clone()).collect();
        outbox.acknowledge(&accepted).await?;
        Ok(progress.add(answers, accepted.len(), batch.has_more))
    }

    /// Reads where the events of a feed go, and what signs them. The inner error is the operator's to correct.
    async fn sender(&self, connector: &Connector, feed: &Feed) -> Result<Result<Sender, String>, ScimError> {
        let delivery = &feed.settings.delivery;
        let url = match delivery {
            Delivery::Poll => return Ok(Err("the consumer of the feed polls".to_owned())),
            Delivery::EventBus(bus) => {
                let bus = self.deliverer.buses.bus(&bus.name, &connector.id).await;
                return Ok(Ok(Sender::EventBus(bus)));
            }
            Delivery::Push(endpoint) | Delivery::Webhook(endpoint) => &endpoint.url,
        };
        let target = match Target::parse(url) {
            Ok(target) => target,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = target.check(self.deliverer.reach) {
            return Ok(Err(error));
        }
        let secrets = self.table.delivery_secrets(&connector.id, &feed.id, delivery).await?;
        let signer = match delivery {
            Delivery::Push(_) => self.table.signer(connector, self.time()).await?,
            _ => None,
        };
        let writer = Writer::new(delivery, &secrets, signer)?;
        Ok(Ok(Sender::Url { http: Box::new(self.http.clone()), target: Box::new(target), writer }))
    }
}

/// What follows after some events.
enum Step {
    /// More events can be sent.
    More,
    /// Nothing that can be sent now waits.
    End,
    /// The consumer does not accept events now.
    Stopped(Refusal),
}

impl Progress {
    /// Ends a walk through the outbox. An event that came after its place was passed is for the next walk. Refused events are for
    /// the next delivery, so they end this one.
    fn end_walk(&mut self) -> Step {
        self.after = None;
        if std::mem::take(&mut self.sent_in_walk) > 0 && self.refused == 0 { Step::More } else { Step::End }
    }

    fn add(
        &mut self,
        answers: Vec<(String, Result<String, Refusal>)>,
        accepted: usize,
        has_more: bool,
    ) -> Step {
        self.sent += accepted;
        self.sent_in_walk += accepted;
        self.after = answers.last().map(|(jti, _)| jti.clone());
        let mut stopped = None;
        for (jti, answer) in answers {
            match answer {
                Ok(_) => {}
                Err(Refusal::Event(error)) => {
                    self.refused += 1;
                    self.error = format!("event {jti}: {error}");
                }
                Err(Refusal::Gone(error)) => stopped = Some(Refusal::Gone(error)),
                Err(refusal) => stopped = stopped.or(Some(refusal)),
            }
        }
        match stopped {
            Some(refusal) => Step::Stopped(refusal),
            None if self.refused >= MAX_REFUSED => Step::End,
            None if has_more => Step::More,
            None => self.end_walk(),
        }
    }
}

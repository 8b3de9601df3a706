//! What operators do to feeds. Every operation writes its audit record in its own transaction.

use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use shared::error::{ErrorKind, ScimError};
use shared::resource::{ResourceId, ResourceKind};

use super::delivery::{Delivery, NewDelivery, NewSecret};
use super::outbox::{Change, parse_order};
use super::{
    DELIVERED, FAILURES, Feed, FeedId, FeedSettings, GONE, LAST_ERROR, MARK_AFTER, MARK_DUE, RETRY_AT,
    signing,
};
use crate::audit::{Changes, Operation};
use crate::connectors::{Connector, ConnectorId, Connectors, FORMAT, format_of, time_until_known};
use crate::dynamodb::attributes::{number, text};
use crate::dynamodb::conditions::{Condition, Requirement};
use crate::dynamodb::expressions::{Expression, Update};
use crate::dynamodb::keys;
use crate::dynamodb::table::{Outcome, Range, Table, concurrently};
use crate::signing::{PublicKey, generate};

/// The most feeds of one connector: each adds an item to every transaction, which holds 100.
pub const MAX_FEEDS: usize = 3;
/// How often it is stored that a consumer acknowledges what it polls. A write for each poll would cost more than the poll.
const ACKNOWLEDGEMENT_RECORDED_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// The attribute that audit records name.
const FEEDS: &str = "feeds";
/// The items of an outbox that are counted at once.
const ITEMS_AT_ONCE: i32 = 1_000;
/// The most items of an outbox that are counted.
const MAX_COUNTED: usize = 100_000;

/// A feed that an operator creates.
#[derive(Clone, Debug)]
pub struct NewFeed {
    /// The id.
    pub id: FeedId,
    /// Who the events are for: the claim `aud` of the tokens.
    pub audience: Option<String>,
    /// How the events reach the consumer.
    pub delivery: NewDelivery,
}

/// A feed, and what waits in its outbox.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedInfo {
    /// The feed.
    pub feed: Feed,
    /// The number of changes that wait, up to 100,000.
    pub waiting: usize,
    /// When the oldest of them was made.
    pub oldest: Option<Timestamp>,
}

impl Table {
    /// Reads the feeds of a connector, also those that are being deleted.
    ///
    /// # Errors
    /// Fails when DynamoDB does, or when a feed cannot be read.
    pub async fn feeds(&self, connector: &ConnectorId) -> Result<Vec<Feed>, ScimError> {
        let items = self.query(&keys::feeds(connector), &Range::All).await?;
        items.iter().map(Feed::from_item).collect()
    }

    /// Reads a feed; `None` when the connector has none with this id.
    ///
    /// # Errors
    /// Fails when DynamoDB does, or when the feed cannot be read.
    pub async fn feed(&self, connector: &ConnectorId, id: &FeedId) -> Result<Option<Feed>, ScimError> {
        let feed =
            self.get(&keys::feed(connector, id)).await?.map(|item| Feed::from_item(&item)).transpose()?;
        Ok(feed.filter(|feed| feed.settings.deleted.is_none()))
    }

    pub(crate) async fn record_feed_error(
        &self,
        connector: &ConnectorId,
        feed: &FeedId,
        error: &str,
        now: Timestamp,
    ) -> Result<(), ScimError> {
        let update = Update::new().set(LAST_ERROR, text(format!("{now} {error}")));
        let exists = Expression::new("attribute_exists(pk)");
        self.update(&keys::feed(connector, feed), update.into(), exists).await.map(drop)
    }

    /// Stores that the consumer of a feed that was just read has acknowledged events, at most once in
    /// [`ACKNOWLEDGEMENT_RECORDED_EVERY`].
    pub(crate) async fn record_acknowledgement(
        &self,
        connector: &ConnectorId,
        feed: &Feed,
        now: Timestamp,
    ) -> Result<(), ScimError> {
        if feed.delivered.is_some_and(|last| now.duration_since(last) < ACKNOWLEDGEMENT_RECORDED_EVERY) {
            return Ok(());
        }
        let update = Update::new().set(DELIVERED, number(now.as_millisecond()));
        let exists = Expression::new("attribute_exists(pk)");
        self.update(&keys::feed(connector, &feed.id), update.into(), exists).await.map(drop)
    }

    /// Counts what waits in the outbox of a feed.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn feed_info(&self, connector: &ConnectorId, feed: Feed) -> Result<FeedInfo, ScimError> {
        self.feed_info_up_to(connector, feed, MAX_COUNTED).await
    }

    /// The same, but counts only about `most` changes, and stops at the end of a page of 1,000.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn feed_info_up_to(
        &self,
        connector: &ConnectorId,
        feed: Feed,
        most: usize,
    ) -> Result<FeedInfo, ScimError> {
        let pk = keys::outbox(connector, &feed.id);
        let mut info = FeedInfo { feed, waiting: 0, oldest: None };
        let mut after = None;
        loop {
            let (items, next) =
                self.query_page(&pk, &Range::All, after.as_deref(), Some(ITEMS_AT_ONCE)).await?;
            for (_, order) in items.iter().filter_map(Change::from_item) {
                info.waiting += 1;
                let time = parse_order(&order).map(|(time, _)| time);
                info.oldest = [info.oldest, time].into_iter().flatten().min();
            }
            match next {
                Some(next) if info.waiting < most => after = Some(next),
                _ => return Ok(info),
            }
        }
    }
}

/// What waits in a feed about one user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WaitingForUser {
    /// The number of changes of the user, and of groups that name the user as a member. The last are looked for in the groups given.
    pub waiting: usize,
    /// When the oldest of them was made.
    pub oldest: Option<Timestamp>,
}

impl Table {
    /// Counts what waits in a feed about a user, and about its memberships in these groups and roles.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn waiting_for_user(
        &self,
        connector: &ConnectorId,
        feed: &FeedId,
        user: ResourceId,
        groups: &[(ResourceKind, ResourceId)],
    ) -> Result<WaitingForUser, ScimError> {
        let pk = keys::outbox(connector, feed);
        let resources = [(ResourceKind::User, user)].into_iter().chain(groups.iter().copied());
        let reads = resources.map(|(kind, id)| {
            let range = Range::Prefix(keys::outbox_prefix(kind, id));
            let pk = &pk;
            async move { self.query_page(pk, &range, None, Some(ITEMS_AT_ONCE)).await }.boxed()
        });
        let mut found = WaitingForUser::default();
        for (items, _) in concurrently(reads.collect()).await? {
            for (change, order) in items.iter().filter_map(Change::from_item) {
                if change.id == user || change.members.iter().any(|(_, member)| *member == user) {
                    found.waiting += 1;
                    let time = parse_order(&order).map(|(time, _)| time);
                    found.oldest = [found.oldest, time].into_iter().flatten().min();
                }
            }
        }
        Ok(found)
    }
}

impl Connectors {
    /// Creates a feed. When every process knows it, all users, groups and roles are marked as changed.
    ///
    /// # Errors
    /// 404; `uniqueness` when the connector has a feed with this id, also one that is being deleted; `invalidValue` when it has
    /// the most feeds already, is being deleted, or is stored in an older format.
    pub async fn create_feed(&self, id: &ConnectorId, new: &NewFeed) -> Result<Feed, ScimError> {
        let (delivery, secret) = Delivery::of_new(&new.delivery);
        let settings = FeedSettings {
            created: self.now,
            paused: None,
            deleted: None,
            audience: new.audience.clone(),
            delivery,
        };
        let due = self.now + time_until_known(self.now, self.now);
        let mut backoff = self.table.backoff();
        loop {
            let present = self.read_usable(id).await?;
            if present.format < FORMAT {
                return Err(ScimError::invalid_value(format!(
                    "connector {id} is stored in format {}, and feeds need format {FORMAT}; run `scimctl migrate` first",
                    present.format
                )));
            }
            if present.record.feeds.len() >= MAX_FEEDS {
                return Err(ScimError::invalid_value(format!(
                    "connector {id} has {MAX_FEEDS} feeds, which is the maximum; delete one first"
                )));
            }
            let mut next = present.clone();
            next.record.feeds.push(new.id.clone());
            next.format = format_of(&next.record);
            let key = next
                .record
                .signing_keys
                .is_empty()
                .then(|| generate(|kid| keys::signing_key(id, kid), self.now))
                .transpose()?;
            next.record.signing_keys.extend(key.as_ref().map(|key| key.public.clone()));
            let mut transaction =
                self.transaction_of(&present, &next, Operation::Update, vec![FEEDS.to_owned()])?;
            let mut item = keys::feed(id, &new.id).attributes();
            item.insert("doc".to_owned(), text(to_json(&settings)?));
            item.insert("revision".to_owned(), number(1));
            item.insert(MARK_DUE.to_owned(), number(due.as_millisecond()));
            transaction.put_new(item, Condition::IsNew)?;
            if let Some(key) = key {
                transaction.put(key.item)?;
            }
            if let Some(secret) = &secret {
                secret.put(&mut transaction, id, &new.id)?;
            }
            match self.table.commit(&transaction).await? {
                Outcome::Committed => {
                    return Ok(Feed {
                        id: new.id.clone(),
                        settings,
                        revision: 1,
                        marking: Some(super::Marking { due, after: None }),
                        last_error: None,
                        failures: 0,
                        retry_at: None,
                        gone: None,
                        delivered: None,
                    });
                }
                Outcome::Refused(failed) if failed.contains(&Condition::IsNew) => {
                    return Err(ScimError::new(
                        ErrorKind::Uniqueness,
                        format!("connector {id} has a feed {}, or its deletion has not ended", new.id),
                    ));
                }
                Outcome::Refused(_) => backoff.wait().await?,
            }
        }
    }

    /// Reads a feed.
    ///
    /// # Errors
    /// 404.
    pub async fn feed(&self, id: &ConnectorId, feed: &FeedId) -> Result<Feed, ScimError> {
        self.read_feed(id, feed).await.map(|(_, feed)| feed)
    }

    /// Stops the delivery of a feed's events; they are kept.
    ///
    /// # Errors
    /// 404.
    pub async fn pause_feed(&self, id: &ConnectorId, feed: &FeedId) -> Result<Feed, ScimError> {
        let pause = |settings: &mut FeedSettings| settings.paused = settings.paused.or(Some(self.now));
        self.change_feed(id, feed, Update::new(), None, pause).await
    }

    /// Delivers a feed's events again, and at once if a delivery failed.
    ///
    /// # Errors
    /// 404.
    pub async fn resume_feed(&self, id: &ConnectorId, feed: &FeedId) -> Result<Feed, ScimError> {
        let anew = Update::new().remove(&[GONE, FAILURES, RETRY_AT]);
        self.change_feed(id, feed, anew, None, |settings| settings.paused = None).await
    }

    /// Deletes a feed. Its outbox is cleared when every process knows that.
    ///
    /// # Errors
    /// 404.
    pub async fn delete_feed(&self, id: &ConnectorId, feed: &FeedId) -> Result<Feed, ScimError> {
        let delete = |settings: &mut FeedSettings| settings.deleted = Some(self.now);
        self.change_feed(id, feed, Update::new(), None, delete).await
    }

    /// Marks all users, groups and roles as changed, for a consumer that begins anew.
    ///
    /// # Errors
    /// 404.
    pub async fn replay_feed(&self, id: &ConnectorId, feed: &FeedId) -> Result<(), ScimError> {
        let mut backoff = self.table.backoff();
        loop {
            let (connector, present) = self.read_feed(id, feed).await?;
            // A marking that has to wait for other processes still has to.
            let due = present.marking.map_or(self.now, |marking| marking.due.max(self.now));
            let mut transaction = self.table.transaction();
            let update = Update::new()
                .set(MARK_DUE, number(due.as_millisecond()))
                .remove(&[MARK_AFTER])
                .add("revision", number(1));
            let is_unchanged = Requirement::record_is_unchanged(present.revision);
            transaction.update(&keys::feed(id, feed), update, Some(is_unchanged))?;
            self.record(&mut transaction, &connector, Operation::Update, &Changes::of_attribute(FEEDS))?;
            if self.table.commit(&transaction).await? == Outcome::Committed {
                return Ok(());
            }
            backoff.wait().await?;
        }
    }

    /// Makes a new key for the tokens of a connector's feeds. It signs when every process knows it. Returns its public part.
    ///
    /// # Errors
    /// 404; `invalidValue` when the connector has no key yet, because it has had no feed, or when the last keys do not sign
    /// yet.
    pub async fn rotate_signing_key(&self, id: &ConnectorId) -> Result<PublicKey, ScimError> {
        let mut backoff = self.table.backoff();
        loop {
            let present = self.read_usable(id).await?;
            let keys = &present.record.signing_keys;
            if keys.is_empty() {
                let detail = format!("connector {id} has no signing key; its first feed makes one");
                return Err(ScimError::invalid_value(detail));
            }
            let key = generate(|kid| keys::signing_key(id, kid), self.now)?;
            let mut next = present.clone();
            next.record.signing_keys = signing::with_new(&present, key.public.clone(), self.now)?;
            let attributes = vec!["signing_keys".to_owned()];
            let mut transaction = self.transaction_of(&present, &next, Operation::Update, attributes)?;
            for dropped in keys.iter().filter(|key| !next.record.signing_keys.contains(key)) {
                transaction.delete(&keys::signing_key(id, &dropped.kid))?;
            }
            transaction.put(key.item)?;
            if self.table.commit(&transaction).await? == Outcome::Committed {
                return Ok(key.public);
            }
            backoff.wait().await?;
        }
    }

    /// Replaces the secret of a feed's delivery, and delivers at once if a delivery failed. The present secret of a webhook also
    /// signs until the next one is added.
    ///
    /// # Errors
    /// 404; `invalidValue` if its events are sent to no URL.
    pub async fn replace_delivery_secret(
        &self,
        id: &ConnectorId,
        feed: &FeedId,
        secret: &str,
    ) -> Result<Feed, ScimError> {
        let (_, present) = self.read_feed(id, feed).await?;
        if present.settings.delivery.endpoint().is_none() {
            let detail = format!("feed {feed} sends its events to no URL, so it has no secret");
            return Err(ScimError::invalid_value(detail));
        }
        let new = NewSecret::new(secret);
        let anew = Update::new().remove(&[FAILURES, RETRY_AT]);
        let add = |settings: &mut FeedSettings| settings.delivery = settings.delivery.with_secret(&new);
        self.change_feed(id, feed, anew, Some(&new), add).await
    }

    /// Changes the settings of a feed, and other attributes of its item. Secrets that the settings do not name any more are deleted.
    async fn change_feed(
        &self,
        id: &ConnectorId,
        feed: &FeedId,
        attributes: Update,
        secret: Option<&NewSecret>,
        change: impl Fn(&mut FeedSettings),
    ) -> Result<Feed, ScimError> {
        let mut backoff = self.table.backoff();
        loop {
            let (connector, present) = self.read_feed(id, feed).await?;
            let mut settings = present.settings.clone();
            change(&mut settings);
            let mut transaction = if settings.deleted.is_some() {
                let mut next = connector.clone();
                next.record.feeds.retain(|one| one != feed);
                next.format = format_of(&next.record);
                self.transaction_of(&connector, &next, Operation::Update, vec![FEEDS.to_owned()])?
            } else {
                let mut transaction = self.table.transaction();
                self.record(&mut transaction, &connector, Operation::Update, &Changes::of_attribute(FEEDS))?;
                transaction
            };
            let kept = match settings.deleted {
                Some(_) => Vec::new(),
                None => settings.delivery.secret_keys(id, feed),
            };
            for key in present.settings.delivery.secret_keys(id, feed) {
                if !kept.contains(&key) {
                    transaction.delete(&key)?;
                }
            }
            if let Some(secret) = secret {
                secret.put(&mut transaction, id, feed)?;
            }
            let update = Update::new().set("doc", text(to_json(&settings)?)).add("revision", number(1));
            let is_unchanged = Requirement::record_is_unchanged(present.revision);
            transaction.update(&keys::feed(id, feed), update.and(attributes.clone()), Some(is_unchanged))?;
            if self.table.commit(&transaction).await? == Outcome::Committed {
                return Ok(Feed { settings, revision: present.revision + 1, ..present });
            }
            backoff.wait().await?;
        }
    }

    async fn read_feed(&self, id: &ConnectorId, feed: &FeedId) -> Result<(Connector, Feed), ScimError> {
        let connector = self.read(id).await?;
        let found = self.table.feed(id, feed).await?.ok_or_else(|| {
            let detail =
                format!("connector {id} has no feed {feed}; `scimctl feed list {id}` lists its feeds");
            ScimError::new(ErrorKind::NotFound, detail)
        })?;
        Ok((connector, found))
    }
}

fn to_json(settings: &FeedSettings) -> Result<String, ScimError> {
    serde_json::to_string(settings).map_err(ScimError::internal)
}

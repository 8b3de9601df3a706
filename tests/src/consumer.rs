//! A consumer of a feed: it keeps a copy of the directory that it makes only from events, and from what it reads when an event
//! tells it to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use directory::connectors::{Connector, ConnectorId, Connectors};
use directory::feeds::{Event, FeedId, NewDelivery, NewFeed, Outbox};
use directory::settings::Settings;
use directory::view::{EntryMaker, Groups, MembershipNames, ShownNames, for_each_user};
use directory::{Directory, StoredUser, Table};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use shared::error::{ErrorKind, ScimError};
use shared::resource::{Resource, ResourceId, ResourceKind};
use shared::schema::Schemas;
use tokio::time::Instant;

use crate::service::{TIME_LIMIT, actor};

/// The prefix of the URIs of events.
const PREFIX: &str = "urn:ietf:params:scim:event:";

/// The users and groups that a platform shows, by their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copy {
    /// The username of each user.
    pub users: BTreeMap<String, String>,
    /// The name and the ids of the members of each group and role.
    pub groups: BTreeMap<String, (String, BTreeSet<String>)>,
}

/// A consumer of one feed.
pub struct Consumer {
    table: Table,
    connector: ConnectorId,
    feed: FeedId,
    /// What it knows.
    pub copy: Copy,
}

impl Copy {
    /// What the directory shows now.
    ///
    /// # Errors
    /// When DynamoDB fails.
    ///
    /// # Panics
    /// When the mapping is invalid.
    pub async fn of(directory: &Directory, settings: &Settings) -> Result<Self, ScimError> {
        let maker = maker(settings);
        let mut copy = Self::default();
        let names = ShownNames::read(directory, &maker).await?;
        for_each_user(directory, |user: &StoredUser| {
            let taken_by = names.taken_by(&user.stored, &maker);
            let entry = maker.entry(&user.stored, MembershipNames::default(), taken_by);
            if entry.hidden.is_none() {
                copy.users.insert(format!("/Users/{}", entry.id), entry.username);
            }
            Ok::<_, ScimError>(())
        })
        .await?;
        let groups = Groups::read(directory).await?;
        for group in groups.groups().chain(groups.roles()).filter(|group| maker.hidden_group(group).is_none())
        {
            let endpoint = if group.kind == ResourceKind::Role { "Roles" } else { "Groups" };
            let shown = (maker.group_name(group), members(directory, group.id).await?);
            copy.groups.insert(format!("/{endpoint}/{}", group.id), shown);
        }
        Ok(copy.shown())
    }

    /// The copy without the members that it does not know, because they are hidden.
    fn shown(&self) -> Self {
        let id = |path: &String| path.rsplit_once('/').map(|(_, id)| id.to_owned());
        let known: BTreeSet<String> = self.users.keys().chain(self.groups.keys()).filter_map(id).collect();
        let mut copy = self.clone();
        for (_, members) in copy.groups.values_mut() {
            members.retain(|member| known.contains(member));
        }
        copy
    }

    /// Makes a member a direct member of these groups and of no others.
    fn set_groups(&mut self, member: ResourceId, groups: &BTreeSet<String>) {
        for (path, (_, members)) in &mut self.groups {
            if path.rsplit_once('/').is_some_and(|(_, group)| groups.contains(group)) {
                members.insert(member.to_string());
            } else {
                members.remove(&member.to_string());
            }
        }
    }
}

fn maker(settings: &Settings) -> EntryMaker<'_> {
    EntryMaker::new("", settings, Schemas::built_in()).expect("the mapping is valid")
}

async fn members(directory: &Directory, group: ResourceId) -> Result<BTreeSet<String>, ScimError> {
    let (members, _) = directory.memberships().members(group, usize::MAX).await?;
    Ok(members.into_iter().map(|member| member.id.to_string()).collect())
}

/// `None` for a resource that does not exist.
fn found<T>(result: Result<T, ScimError>) -> Result<Option<T>, ScimError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Consumer {
    /// Creates a feed and its consumer, which knows nothing yet. The feed is known to processes that read the connector from now on.
    ///
    /// # Panics
    /// When the feed cannot be created.
    pub async fn create(table: Table, connector: &ConnectorId, feed: &str) -> Self {
        let id = FeedId::parse(feed).expect("the id is valid");
        let new = NewFeed { id: id.clone(), audience: None, delivery: NewDelivery::Poll };
        let connectors = Connectors::new(table.clone(), actor(), Timestamp::now());
        connectors.create_feed(connector, &new).await.expect("the feed is new");
        Self { table, connector: connector.clone(), feed: id, copy: Copy::default() }
    }

    fn table(&self) -> Table {
        self.table.until(Instant::now() + TIME_LIMIT)
    }

    async fn connector(&self) -> Result<Arc<Connector>, ScimError> {
        let connector = self.table().connector(&self.connector).await?;
        Ok(Arc::new(connector.expect("the connector exists")))
    }

    /// Marks all resources as changed, if that is due at this time after now.
    ///
    /// # Panics
    /// When DynamoDB fails.
    pub async fn tend(&self, later: SignedDuration) {
        let tended = self.table().tend_feeds(Some(&self.connector), Timestamp::now() + later).await;
        assert_eq!(tended.expect("DynamoDB answers").failures, [""; 0]);
    }

    /// The outbox, with the connector as it is now.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn outbox(&self) -> Result<Outbox, ScimError> {
        Ok(self.directory(&self.connector().await?).outbox(&self.feed))
    }

    /// Reads the waiting events, and leaves them in the feed.
    ///
    /// # Panics
    /// When DynamoDB fails.
    pub async fn events(&self) -> Vec<Event> {
        let outbox = self.outbox().await.expect("DynamoDB answers");
        outbox.read(None, 10_000).await.expect("DynamoDB answers").events
    }

    /// Acknowledges events.
    ///
    /// # Panics
    /// When DynamoDB fails.
    pub async fn acknowledge(&self, events: &[Event]) {
        let jtis: Vec<String> = events.iter().map(|event| event.jti.clone()).collect();
        let outbox = self.outbox().await.expect("DynamoDB answers");
        outbox.acknowledge(&jtis).await.expect("DynamoDB answers");
    }

    /// Reads the waiting events, applies and acknowledges them, until there are none.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn drain(&mut self) -> Result<(), ScimError> {
        let mut last: Option<String> = None;
        while let Some(jti) = self.step(last.as_deref(), 1_000, 1).await? {
            last = Some(jti);
        }
        Ok(())
    }

    /// Reads at most `most` events, applies them, and acknowledges them so many times. Returns the id of the last event.
    ///
    /// # Errors
    /// When DynamoDB fails. Some events may be applied, and some acknowledged.
    pub async fn step(
        &mut self,
        after: Option<&str>,
        most: usize,
        acknowledgements: usize,
    ) -> Result<Option<String>, ScimError> {
        let events = self.outbox().await?.read(after, most).await?.events;
        for event in &events {
            self.apply(event).await?;
        }
        let jtis: Vec<String> = events.into_iter().map(|event| event.jti).collect();
        for _ in 0..acknowledgements {
            self.outbox().await?.acknowledge(&jtis).await?;
        }
        Ok(jtis.last().cloned())
    }

    /// Compares the copy with the directory.
    ///
    /// # Panics
    /// When they differ.
    pub async fn assert_equals_directory(&self) {
        assert_eq!(self.shown(), self.expected().await.expect("DynamoDB answers"));
    }

    /// What it shows.
    pub fn shown(&self) -> Copy {
        self.copy.shown()
    }

    /// What it has to show.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn expected(&self) -> Result<Copy, ScimError> {
        let connector = self.connector().await?;
        Copy::of(&self.directory(&connector), &connector.record.settings).await
    }

    fn directory(&self, connector: &Arc<Connector>) -> Directory {
        let schemas = Schemas::built_in();
        Directory::new(self.table(), Arc::clone(connector), schemas, Timestamp::now(), actor())
    }

    /// Applies an event to the copy.
    ///
    /// # Errors
    /// When DynamoDB fails.
    ///
    /// # Panics
    /// When the event is none that feeds send.
    pub async fn apply(&mut self, event: &Event) -> Result<(), ScimError> {
        let id = event.uri.rsplit_once('/').and_then(|(_, id)| ResourceId::parse(id));
        let id = id.expect("the URI ends with an id");
        let connector = self.connector().await?;
        let directory = self.directory(&connector);
        let maker = maker(&connector.record.settings);
        if event.uri.starts_with("/Users/") {
            let user = found(directory.user(id).await)?;
            let shown = found(directory.view(false)?.user(id).await)?;
            let Some((user, shown)) = user.zip(shown) else {
                self.copy.users.remove(&event.uri);
                return Ok(());
            };
            self.copy.set_groups(id, &user.groups.iter().map(ToString::to_string).collect());
            self.copy.users.insert(event.uri.clone(), shown.username);
            return Ok(());
        }
        let group = group(&directory, id).await?;
        let Some(group) = group.filter(|group| maker.hidden_group(group).is_none()) else {
            self.copy.groups.remove(&event.uri);
            return Ok(());
        };
        let name = maker.group_name(&group);
        match (self.copy.groups.get_mut(&event.uri), event.events.get(&format!("{PREFIX}prov:patch:full"))) {
            (Some(known), Some(patch)) => {
                known.0 = name;
                apply_patch(&mut known.1, patch);
            }
            _ => {
                let members = members(&directory, id).await?;
                self.copy.groups.insert(event.uri.clone(), (name, members));
            }
        }
        Ok(())
    }
}

async fn group(directory: &Directory, id: ResourceId) -> Result<Option<Resource>, ScimError> {
    for kind in ResourceKind::WITH_MEMBERS {
        if let Some(found) = found(directory.group(kind, id).await)? {
            return Ok(Some(found.resource));
        }
    }
    Ok(None)
}

fn apply_patch(members: &mut BTreeSet<String>, patch: &Value) {
    for operation in patch["data"]["Operations"].as_array().expect("a patch has operations") {
        match operation["op"].as_str() {
            Some("add") => {
                let values = operation["value"].as_array().expect("add has values");
                members.extend(values.iter().filter_map(|value| value["value"].as_str().map(str::to_owned)));
            }
            _ => {
                let path = operation["path"].as_str().expect("remove has a path");
                members.remove(path.split('"').nth(1).expect("the path names a member"));
            }
        }
    }
}

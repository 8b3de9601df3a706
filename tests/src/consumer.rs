//! A consumer of a feed: it keeps a copy of the directory that it makes only from events, and from what it reads when an event
//! tells it to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use directory::connectors::ConnectorId;
use directory::feeds::{Event, FeedId, NewFeed, Outbox};
use directory::view::{EntryMaker, Groups, MembershipNames, for_each_user};
use directory::{Directory, StoredUser};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use shared::error::{ErrorKind, ScimError};
use shared::resource::{Resource, ResourceId, ResourceKind};
use shared::schema::Schemas;

use crate::service::Service;

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
pub struct Consumer<'s> {
    service: &'s Service,
    connector: ConnectorId,
    feed: FeedId,
    /// What it knows.
    pub copy: Copy,
}

impl Copy {
    /// What the directory shows now.
    ///
    /// # Panics
    /// When DynamoDB does not answer.
    pub async fn of(directory: &Directory, settings: &directory::settings::Settings) -> Self {
        let maker = EntryMaker::new("", settings, Schemas::built_in()).expect("the mapping is valid");
        let mut copy = Self::default();
        let read = for_each_user(directory, |user: &StoredUser| {
            let entry = maker.entry(&user.stored, MembershipNames::default());
            if entry.hidden.is_none() {
                copy.users.insert(format!("/Users/{}", entry.id), entry.username);
            }
            Ok::<_, ScimError>(())
        });
        read.await.expect("DynamoDB answers");
        let groups = Groups::read(directory).await.expect("DynamoDB answers");
        for group in groups.groups().chain(groups.roles()).filter(|group| maker.hidden_group(group).is_none())
        {
            let endpoint = if group.kind == ResourceKind::Role { "Roles" } else { "Groups" };
            let shown = (maker.group_name(group), members(directory, group.id).await);
            copy.groups.insert(format!("/{endpoint}/{}", group.id), shown);
        }
        copy
    }
}

async fn members(directory: &Directory, group: ResourceId) -> BTreeSet<String> {
    let (members, _) = directory.memberships().members(group, usize::MAX).await.expect("DynamoDB answers");
    members.into_iter().map(|member| member.id.to_string()).collect()
}

fn found<T>(result: Result<T, ScimError>) -> Option<T> {
    match result {
        Ok(found) => Some(found),
        Err(error) if error.kind == ErrorKind::NotFound => None,
        Err(error) => panic!("{error}"),
    }
}

impl<'s> Consumer<'s> {
    /// Creates a feed and its consumer, which knows nothing yet. The feed is known to processes that read the connector from now on.
    ///
    /// # Panics
    /// When the feed cannot be created.
    pub async fn create(service: &'s Service, connector: &ConnectorId, feed: &str) -> Self {
        let id = FeedId::parse(feed).expect("the id is valid");
        let new = NewFeed { id: id.clone(), audience: None };
        service.connectors().create_feed(connector, &new).await.expect("the feed is new");
        Self { service, connector: connector.clone(), feed: id, copy: Copy::default() }
    }

    /// Marks all resources as changed, if that is due at this time after now.
    ///
    /// # Panics
    /// When DynamoDB does not answer.
    pub async fn tend(&self, later: SignedDuration) {
        let table = self.service.table();
        let tended = table.tend_feeds(Some(&self.connector), Timestamp::now() + later).await;
        assert_eq!(tended.expect("DynamoDB answers").failures, [""; 0]);
    }

    /// The outbox, with the connector as it is now.
    ///
    /// # Panics
    /// When there is no such connector.
    pub async fn outbox(&self) -> Outbox {
        let table = self.service.table();
        let connector = table.connector(&self.connector).await.expect("DynamoDB answers");
        let connector = Arc::new(connector.expect("the connector exists"));
        let schemas = connector.schemas(Schemas::built_in());
        Outbox::new(table, connector, schemas, self.feed.clone())
    }

    /// Reads the waiting events, and leaves them in the feed.
    ///
    /// # Panics
    /// When DynamoDB does not answer.
    pub async fn events(&self) -> Vec<Event> {
        self.outbox().await.read(None, 10_000).await.expect("DynamoDB answers").events
    }

    /// Acknowledges events.
    ///
    /// # Panics
    /// When DynamoDB does not answer.
    pub async fn acknowledge(&self, events: &[Event]) {
        let jtis: Vec<String> = events.iter().map(|event| event.jti.clone()).collect();
        self.outbox().await.acknowledge(&jtis).await.expect("DynamoDB answers");
    }

    /// Reads the waiting events, applies and acknowledges them, until there are none.
    pub async fn drain(&mut self) {
        loop {
            let events = self.events().await;
            if events.is_empty() {
                return;
            }
            for event in &events {
                self.apply(event).await;
            }
            self.acknowledge(&events).await;
        }
    }

    /// Compares the copy with the directory.
    ///
    /// # Panics
    /// When they differ.
    pub async fn assert_equals_directory(&self) {
        let (directory, settings) = self.read().await;
        assert_eq!(self.copy, Copy::of(&directory, &settings).await);
    }

    async fn read(&self) -> (Directory, directory::settings::Settings) {
        let connector = self.service.table().connector(&self.connector).await.expect("DynamoDB answers");
        let settings = connector.expect("the connector exists").record.settings;
        (self.service.directory(&self.connector).await, settings)
    }

    /// Applies an event to the copy.
    ///
    /// # Panics
    /// When the event is none that feeds send.
    pub async fn apply(&mut self, event: &Event) {
        let has = |name: &str| event.events.contains_key(&format!("{PREFIX}{name}"));
        let id = event
            .uri
            .rsplit_once('/')
            .and_then(|(_, id)| ResourceId::parse(id))
            .expect("the URI ends with an id");
        let (directory, settings) = self.read().await;
        let maker = EntryMaker::new("", &settings, Schemas::built_in()).expect("the mapping is valid");
        if has("prov:delete") || has("feed:remove") {
            self.copy.users.remove(&event.uri);
            self.copy.groups.remove(&event.uri);
            if has("prov:delete") {
                self.set_groups(id, &BTreeSet::new());
            }
            return;
        }
        if event.uri.starts_with("/Users/") {
            let user = found(directory.user(id).await);
            let groups = user.as_ref().map(|user| user.groups.iter().map(ToString::to_string).collect());
            let entry = user.map(|user| maker.entry(&user.stored, MembershipNames::default()));
            match entry.filter(|entry| entry.hidden.is_none()) {
                Some(entry) => drop(self.copy.users.insert(event.uri.clone(), entry.username)),
                None => drop(self.copy.users.remove(&event.uri)),
            }
            if attributes(event).contains("groups") {
                self.set_groups(id, &groups.unwrap_or_default());
            }
            return;
        }
        let Some(group) =
            self.group(&directory, id).await.filter(|group| maker.hidden_group(group).is_none())
        else {
            self.copy.groups.remove(&event.uri);
            return;
        };
        let name = maker.group_name(&group);
        let is_known = self.copy.groups.contains_key(&event.uri);
        if !is_known || has("feed:add") || has("prov:create:notice") {
            let members = members(&directory, id).await;
            self.copy.groups.insert(event.uri.clone(), (name, members));
            return;
        }
        let known = self.copy.groups.entry(event.uri.clone()).or_default();
        known.0 = name;
        if let Some(patch) = event.events.get(&format!("{PREFIX}prov:patch:full")) {
            apply_patch(&mut known.1, patch);
        }
    }

    /// Makes a member a direct member of these groups and of no others.
    fn set_groups(&mut self, member: ResourceId, groups: &BTreeSet<String>) {
        for (path, (_, members)) in &mut self.copy.groups {
            if path.rsplit_once('/').is_some_and(|(_, group)| groups.contains(group)) {
                members.insert(member.to_string());
            } else {
                members.remove(&member.to_string());
            }
        }
    }

    async fn group(&self, directory: &Directory, id: ResourceId) -> Option<Resource> {
        for kind in ResourceKind::WITH_MEMBERS {
            if let Some(found) = found(directory.group(kind, id).await) {
                return Some(found.resource);
            }
        }
        None
    }
}

/// The names of the attributes in the notices of an event.
pub fn attributes(event: &Event) -> BTreeSet<&str> {
    let notices = ["prov:create:notice", "prov:patch:notice"].map(|name| format!("{PREFIX}{name}"));
    let notices = notices.iter().filter_map(|uri| event.events.get(uri)?.get("attributes")?.as_array());
    notices.flatten().filter_map(Value::as_str).collect()
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

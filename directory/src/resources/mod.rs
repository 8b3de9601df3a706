//! Creating, reading, changing and deleting users and groups.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::audit::{self, Operation};
use crate::dynamodb::item::{self, Stored, number};
use crate::dynamodb::keys::{self, Key};
use crate::dynamodb::table::{Outcome, Range};
use crate::dynamodb::transaction::{Expression, Transaction};
use crate::index::{self, Entry};
use crate::memberships::MemberOperation;
use crate::settings::{OnDeactivate, OnDelete};
use crate::view::is_built_in;
use crate::{Directory, StoredUser};
use shared::entity_tags::EntityTags;
use shared::error::{ErrorKind, ScimError};
use shared::filter::fold;
use shared::resource::{
    self, Document, GroupReference, Origin, Resource, ResourceId, ResourceKind, is_active,
};

/// What a creation that failed half-way may take beyond the deadline.
/// Less than a function keeps back for its answer.
const TIME_TO_TAKE_BACK: Duration = Duration::from_secs(1);

/// How a write changes the counts: resources, and active ones among them.
struct CountChange {
    resources: i8,
    active: i8,
}

impl Directory {
    /// Makes a user (RFC 7644 §3.3). A client that makes a user of a name that an operator's user has takes that user
    /// over, as the client's from then on.
    ///
    /// # Errors
    /// `uniqueness` when the userName is taken; 403 when the client makes no users; `invalidValue` or 413 when the
    /// document is too large to keep.
    pub async fn create_user(&self, document: Document) -> Result<Resource, ScimError> {
        let user = self.new_resource(ResourceKind::User, document);
        if self.makes_no_users() {
            return match self.adopt(&user).await? {
                Some(adopted) => Ok(adopted),
                None => Err(ScimError::new(
                    ErrorKind::Forbidden,
                    format!(
                        "Connector {} updates users who are there already, and makes none; its operators make this one \
                         first, or turn attribute-only off",
                        self.connector.id
                    ),
                )),
            };
        }
        let (transaction, added) = self.creation(&user)?;
        match self.table.commit(&transaction).await? {
            Outcome::Committed => Ok(user),
            Outcome::Refused(refused) => {
                let error = added.why_refused(&user, &refused);
                match self.adopt(&user).await? {
                    Some(adopted) => Ok(adopted),
                    None => Err(error),
                }
            }
        }
    }

    fn makes_no_users(&self) -> bool {
        self.origin() == Origin::Scim && self.settings().attribute_only
    }

    /// Gives the client the user of this name, with this document, if it is an operator's.
    ///
    /// # Errors
    /// `uniqueness` when it is the client's already.
    async fn adopt(&self, user: &Resource) -> Result<Option<Resource>, ScimError> {
        let schema = self.schemas.of(ResourceKind::User);
        let attribute = item::unique_name(ResourceKind::User);
        let name = user.document.get(attribute).and_then(|name| name.as_str());
        let (Origin::Scim, Some(name)) = (self.origin(), name) else { return Ok(None) };
        let Some(id) = self.named(ResourceKind::User, name).await? else { return Ok(None) };
        let change = |present: &Resource| match present.origin {
            Origin::Local => resource::replace(&present.document, user.document.clone(), schema),
            Origin::Scim => Err(name_taken(attribute, name, user)),
        };
        match self.change(id, None, change).await {
            Ok((adopted, _)) => Ok(Some(adopted)),
            // It went since the look-up.
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a group with members (RFC 7644 §3.3).
    ///
    /// # Errors
    /// `uniqueness` when the displayName is taken; `invalidValue` when a member is nobody here.
    pub async fn create_group(
        &self,
        document: Document,
        members: Vec<MemberOperation>,
    ) -> Result<Resource, ScimError> {
        self.create_group_of(ResourceKind::Group, document, members).await
    }

    /// The same for any kind that has members.
    ///
    /// # Errors
    /// As for a group.
    pub async fn create_group_of(
        &self,
        kind: ResourceKind,
        document: Document,
        members: Vec<MemberOperation>,
    ) -> Result<Resource, ScimError> {
        let group = self.new_resource(kind, document);
        self.check_members(&members).await?;
        let (transaction, added) = self.creation(&group)?;
        if let Outcome::Refused(refused) = self.table.commit(&transaction).await? {
            return Err(added.why_refused(&group, &refused));
        }
        if members.is_empty() {
            return Ok(group);
        }
        let unchanged = |document: &Document| Ok(document.clone());
        match self.change_group_of(kind, group.id, None, unchanged, &members).await {
            Ok(group) => Ok(group),
            // A group that lacks members is not what the client asked for, and its name would refuse the next try.
            Err(error) => {
                let table = self.table.with_extra_time(TIME_TO_TAKE_BACK);
                let directory = Self { table, ..self.clone() };
                if let Err(cause) = directory.remove(kind, group.id).await {
                    tracing::error!(%cause, group = %group.id, "a half-made group could not be taken back");
                }
                Err(error)
            }
        }
    }

    fn new_resource(&self, kind: ResourceKind, document: Document) -> Resource {
        Resource {
            kind,
            id: crate::secrets::new_resource_id(),
            version: 1,
            created: self.now,
            last_modified: self.now,
            origin: self.origin(),
            document,
        }
    }

    /// The transaction that makes a resource: itself, its index entries behind it in order, its count.
    fn creation(&self, resource: &Resource) -> Result<(Transaction, Added), ScimError> {
        let kind = resource.kind;
        let entries = index::entries(&resource.document, self.schemas.of(kind))?;
        let mut transaction = self.table.transaction();
        let key = keys::resource(&self.connector.id, kind, resource.id);
        transaction.put_new(item::from_resource(&key, resource)?)?;
        let added = self.add_entries(&mut transaction, resource, entries)?;
        let active = i8::from(kind == ResourceKind::User && resource.is_active());
        self.count(&mut transaction, kind, resource.id, &CountChange { resources: 1, active })?;
        let attributes = audit::changed(&Document::new(), &resource.document);
        self.record(&mut transaction, Operation::Create, kind, resource.id, attributes)?;
        Ok((transaction, added))
    }

    /// Adds index entries to a transaction. The name of a group may not be that of a group of the other side either: one
    /// is the client's, the other an operator's, and the directory shows both.
    fn add_entries(
        &self,
        transaction: &mut Transaction,
        resource: &Resource,
        entries: BTreeSet<Entry>,
    ) -> Result<Added, ScimError> {
        let (kind, id) = (resource.kind, resource.id);
        let first = transaction.len();
        for entry in &entries {
            let item = entry.item(&self.connector.id, kind, id);
            if entry.is_unique { transaction.put_new(item)? } else { transaction.put(item)? }
        }
        let other = match kind {
            ResourceKind::Group => ResourceKind::LocalGroup,
            ResourceKind::LocalGroup => ResourceKind::Group,
            ResourceKind::User | ResourceKind::Role => return Ok(Added { entries, first }),
        };
        for name in entries.iter().filter(|entry| entry.is_unique) {
            if is_built_in(&name.value) {
                return Err(taken_elsewhere(resource));
            }
            let is_free = Expression::new("attribute_not_exists(pk)");
            transaction.check(&name.key(&self.connector.id, other, id), is_free)?;
        }
        Ok(Added { entries, first })
    }

    fn count(
        &self,
        transaction: &mut Transaction,
        kind: ResourceKind,
        id: ResourceId,
        change: &CountChange,
    ) -> Result<(), ScimError> {
        let update = match kind {
            ResourceKind::User => {
                Expression::new("ADD n :n, active :active").with(":active", number(change.active))
            }
            _ => Expression::new("ADD n :n"),
        };
        let key = keys::count(&self.connector.id, kind, id.bucket());
        transaction.update(&key, update.with(":n", number(change.resources)), None)
    }

    /// The id of the resource of this unique name.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn named(&self, kind: ResourceKind, name: &str) -> Result<Option<ResourceId>, ScimError> {
        let attribute = item::unique_name(kind);
        let Some(index) = self.schemas.of(kind).indexes.iter().find(|index| index.name == attribute) else {
            return Ok(None);
        };
        let value = fold(name, index.case_exact);
        let pk = keys::index(&self.connector.id, kind, attribute);
        let entry = self.table.get(&Key { pk, sk: keys::index_value(&value) }).await?;
        Ok(entry.and_then(|entry| item::indexed_id(&entry)))
    }

    /// Reads a user and the ids of its groups.
    ///
    /// # Errors
    /// 404 when there is no such user, or its deletion has begun.
    pub async fn user(&self, id: ResourceId) -> Result<StoredUser, ScimError> {
        let user = self.read(ResourceKind::User, id).await?;
        user.filter(|user| !user.stored.is_going).ok_or_else(|| ScimError::not_found(id))
    }

    /// The userNames of these users, in no order; those who are gone are left out.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn user_names(&self, ids: &[ResourceId]) -> Result<Vec<String>, ScimError> {
        let users = self.load(ResourceKind::User, ids, false).await?;
        let name =
            |user: &StoredUser| user.stored.resource.document.get("userName")?.as_str().map(str::to_owned);
        Ok(users.iter().filter_map(name).collect())
    }

    /// Reads a user whom the client may have deleted, if the connector keeps such users.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn kept_user(&self, id: ResourceId) -> Result<Option<StoredUser>, ScimError> {
        let user = self.read(ResourceKind::User, id).await?;
        Ok(user.filter(|user| !user.stored.is_going || user.stored.is_kept))
    }

    /// Reads a resource and the ids of the groups it is in, deletion begun or not.
    pub(crate) async fn read(
        &self,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Option<StoredUser>, ScimError> {
        let range = Range::Prefix(id.to_string());
        let items = self.table.query(&keys::resources(&self.connector.id, kind), &range).await?;
        let Some((first, memberships)) = items.split_first() else { return Ok(None) };
        // A membership whose member is gone is no resource.
        let Some((_, None)) = item::name_of(first) else { return Ok(None) };
        let groups = memberships.iter().filter_map(|item| item::name_of(item)?.1).collect();
        Ok(Some(StoredUser { stored: item::to_stored(kind, first)?, groups, has_groups: true }))
    }

    /// Reads a group without its members.
    ///
    /// # Errors
    /// 404 when there is no such group, or its deletion has begun.
    pub async fn group(&self, id: ResourceId) -> Result<Stored, ScimError> {
        self.group_of(ResourceKind::Group, id).await
    }

    /// The same for any kind that has members.
    ///
    /// # Errors
    /// As for a group.
    pub async fn group_of(&self, kind: ResourceKind, id: ResourceId) -> Result<Stored, ScimError> {
        let key = keys::resource(&self.connector.id, kind, id);
        let item = self.table.get(&key).await?;
        let stored = item.map(|item| item::to_stored(kind, &item)).transpose()?;
        stored.filter(|stored| !stored.is_going).ok_or_else(|| ScimError::not_found(id))
    }

    /// Changes a user (RFC 7644 §3.5): `change` makes the new document from the present one, and may be called again
    /// when another writer came between. A user who is inactive in the end is in no group, unless the connector keeps
    /// memberships. A client that changes an operator's user takes it over.
    ///
    /// # Errors
    /// 404; 412 when the version is none of `if_match`; `uniqueness`; 403 for an operator where the user is the
    /// client's; and whatever `change` refuses.
    pub async fn change_user(
        &self,
        id: ResourceId,
        if_match: Option<&EntityTags>,
        change: impl Fn(&Document) -> Result<Document, ScimError>,
    ) -> Result<(Resource, Vec<GroupReference>), ScimError> {
        self.change(id, if_match, |present| change(&present.document)).await
    }

    async fn change(
        &self,
        id: ResourceId,
        if_match: Option<&EntityTags>,
        change: impl Fn(&Resource) -> Result<Document, ScimError>,
    ) -> Result<(Resource, Vec<GroupReference>), ScimError> {
        let mut pause = self.table.pause();
        loop {
            let StoredUser { stored, groups, .. } = self.user(id).await?;
            let present = stored.resource;
            if if_match.is_some() {
                check_version(if_match, &present, &self.group_references(&groups).await?)?;
            }
            let document = change(&present)?;
            self.check_owner(&present)?;
            let is_changed = document != present.document || present.origin != self.origin();
            let leaves = !is_active(&document) && self.settings().on_deactivate == OnDeactivate::LeaveGroups;
            let user = if is_changed { self.next_version(&present, document) } else { present.clone() };
            let names = async { if leaves { Ok(Vec::new()) } else { self.group_references(&groups).await } };
            if !is_changed {
                let references = names.await?;
                // A deactivation that was cut off is completed by the request that repeats it.
                if leaves && !groups.is_empty() {
                    self.leave_all_groups(ResourceKind::User, id, groups).await?;
                }
                return Ok((user, references));
            }
            let (outcome, references) = tokio::join!(self.write(&present, &user), names);
            if outcome? {
                if leaves && (present.is_active() || !groups.is_empty()) {
                    self.leave_all_groups(ResourceKind::User, id, groups).await?;
                }
                return Ok((user, references?));
            }
            pause.wait().await?;
        }
    }

    /// What came from a client is not an operator's to change.
    pub(crate) fn check_owner(&self, resource: &Resource) -> Result<(), ScimError> {
        if resource.origin == self.origin() || self.origin() == Origin::Scim {
            return Ok(());
        }
        let detail = format!(
            "{} {} belongs to the identity provider of connector {}, and is changed there",
            resource.kind.name(),
            resource.id,
            self.connector.id
        );
        Err(ScimError::new(ErrorKind::Forbidden, detail))
    }

    /// What a resource is after this write.
    pub(crate) fn next_version(&self, present: &Resource, document: Document) -> Resource {
        let version = present.version + 1;
        Resource { version, last_modified: self.now, origin: self.origin(), document, ..present.clone() }
    }

    /// Writes the new version of a resource; `false` when the present one is not that any more.
    async fn write(&self, present: &Resource, next: &Resource) -> Result<bool, ScimError> {
        let mut transaction = self.table.transaction();
        let added = self.write_in(&mut transaction, present, next)?;
        let operation = if present.origin == next.origin { Operation::Update } else { Operation::Adopt };
        let attributes = audit::changed(&present.document, &next.document);
        self.record(&mut transaction, operation, next.kind, next.id, attributes)?;
        match self.table.commit(&transaction).await? {
            Outcome::Committed => Ok(true),
            Outcome::Refused(refused) if refused.contains(&0) => Ok(false),
            Outcome::Refused(refused) => Err(added.why_refused(next, &refused)),
        }
    }

    /// Puts the new version of a resource at the head of a transaction, the index entries that it adds behind it, and
    /// what else changes with it. Returns the entries that it adds.
    pub(crate) fn write_in(
        &self,
        transaction: &mut Transaction,
        present: &Resource,
        next: &Resource,
    ) -> Result<Added, ScimError> {
        let (kind, id) = (present.kind, present.id);
        let schema = self.schemas.of(kind);
        let before = index::entries(&present.document, schema)?;
        let after = index::entries(&next.document, schema)?;
        let key = keys::resource(&self.connector.id, kind, id);
        transaction.update(&key, item::update_to(next)?, Some(is_version(present.version)))?;
        let added = self.add_entries(transaction, next, after.difference(&before).cloned().collect())?;
        for entry in before.difference(&after) {
            transaction.delete(&entry.key(&self.connector.id, kind, id))?;
        }
        let active = i8::from(next.is_active()) - i8::from(present.is_active());
        if kind == ResourceKind::User && active != 0 {
            self.count(transaction, kind, id, &CountChange { resources: 0, active })?;
        }
        Ok(added)
    }

    /// Deletes a resource (RFC 7644 §3.6): first it is gone for everybody and its name is free, then its memberships
    /// go, then the item, unless the connector keeps users whom the client deletes. A request that was cut off is
    /// completed by the next.
    ///
    /// # Errors
    /// 404; 412 when the version is none of `if_match`; 405 where the connector refuses a client's DELETE; 403 for an
    /// operator where the resource is the client's, and no user whom the client deactivated or deleted.
    pub async fn delete(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        if_match: Option<&EntityTags>,
    ) -> Result<(), ScimError> {
        let is_client = self.origin() == Origin::Scim;
        if is_client && self.settings().on_delete == OnDelete::Refuse {
            return Err(ScimError::new(
                ErrorKind::MethodNotAllowed,
                format!("Connector {} refuses DELETE; deactivate a user instead", self.connector.id),
            ));
        }
        let keeps =
            is_client && kind == ResourceKind::User && self.settings().on_delete == OnDelete::Deactivate;
        let mut pause = self.table.pause();
        let groups = loop {
            let found = self.read(kind, id).await?.ok_or_else(|| ScimError::not_found(id))?;
            if found.stored.is_going {
                // Whom a client deleted is gone for it, but for what a request that was cut off left.
                if is_client && found.stored.is_kept && found.groups.is_empty() {
                    return Err(ScimError::not_found(id));
                }
                break found.groups;
            }
            let resource = found.stored.resource;
            if !self.is_left_behind(&resource).await? {
                self.check_owner(&resource)?;
            }
            if if_match.is_some() {
                let references = match kind {
                    ResourceKind::User => self.group_references(&found.groups).await?,
                    _ => Vec::new(),
                };
                check_version(if_match, &resource, &references)?;
            }
            if self.begin_deletion(&resource, keeps).await? {
                break found.groups;
            }
            pause.wait().await?;
        };
        self.finish_deletion(kind, id, groups, keeps).await
    }

    /// Whether the client has done with it: a user whom it deactivated, a group that it emptied.
    async fn is_left_behind(&self, resource: &Resource) -> Result<bool, ScimError> {
        match resource.kind {
            ResourceKind::User => Ok(!resource.is_active()),
            _ if self.origin() == resource.origin => Ok(true),
            _ => Ok(self.members(resource.id, 0).await? == (Vec::new(), false)),
        }
    }

    /// Takes back what this request made.
    async fn remove(&self, kind: ResourceKind, id: ResourceId) -> Result<(), ScimError> {
        let mut pause = self.table.pause();
        while let Some(found) = self.read(kind, id).await? {
            if found.stored.is_going || self.begin_deletion(&found.stored.resource, false).await? {
                return self.finish_deletion(kind, id, found.groups, false).await;
            }
            pause.wait().await?;
        }
        Ok(())
    }

    pub(crate) async fn finish_deletion(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        groups: Vec<ResourceId>,
        keeps: bool,
    ) -> Result<(), ScimError> {
        self.leave_all_groups(kind, id, groups).await?;
        if keeps {
            return Ok(());
        }
        if kind != ResourceKind::User {
            self.remove_all_members(id).await?;
        }
        self.table.delete_all(&[keys::resource(&self.connector.id, kind, id)]).await
    }

    async fn begin_deletion(&self, resource: &Resource, keeps: bool) -> Result<bool, ScimError> {
        let (kind, id) = (resource.kind, resource.id);
        let mut transaction = self.table.transaction();
        let going = if keeps { "SET going = :true, kept = :true" } else { "SET going = :true" };
        let going = Expression::new(going).with(":true", true_value());
        let key = keys::resource(&self.connector.id, kind, id);
        transaction.update(&key, going, Some(is_version(resource.version)))?;
        for entry in index::entries(&resource.document, self.schemas.of(kind))? {
            transaction.delete(&entry.key(&self.connector.id, kind, id))?;
        }
        let active = -i8::from(kind == ResourceKind::User && resource.is_active());
        self.count(&mut transaction, kind, id, &CountChange { resources: -1, active })?;
        self.record(&mut transaction, Operation::Delete, kind, id, Vec::new())?;
        Ok(self.table.commit(&transaction).await? == Outcome::Committed)
    }
}

/// The index entries that a transaction adds, one behind the other, and the check of a group's name behind them.
pub(crate) struct Added {
    entries: BTreeSet<Entry>,
    first: usize,
}

impl Added {
    /// The error of a transaction that was refused, when it was for one of these.
    pub fn refusal(&self, resource: &Resource, refused: &[usize]) -> Option<ScimError> {
        let mut entries = self.entries.iter().zip(self.first..);
        if let Some((entry, _)) = entries.find(|(_, position)| refused.contains(position)) {
            let value = resource.document.get(&entry.index).and_then(|value| value.as_str());
            return Some(name_taken(&entry.index, value.unwrap_or(&entry.value), resource));
        }
        let has_check = matches!(resource.kind, ResourceKind::Group | ResourceKind::LocalGroup)
            && self.entries.iter().any(|entry| entry.is_unique);
        (has_check && refused.contains(&(self.first + self.entries.len()))).then(|| taken_elsewhere(resource))
    }

    fn why_refused(&self, resource: &Resource, refused: &[usize]) -> ScimError {
        self.refusal(resource, refused)
            .unwrap_or_else(|| ScimError::internal(format!("transaction refused at {refused:?}")))
    }
}

fn name_taken(attribute: &str, value: &str, resource: &Resource) -> ScimError {
    let kind = resource.kind.name().to_lowercase();
    ScimError::new(ErrorKind::Uniqueness, format!("{attribute} {value:?} is taken by another {kind}"))
}

/// A client's group of an operator's group's name, or of the built-in one's; or the reverse.
fn taken_elsewhere(resource: &Resource) -> ScimError {
    let name = resource.document.get("displayName").and_then(|name| name.as_str()).unwrap_or_default();
    let detail = match (is_built_in(name), resource.kind) {
        (true, _) => format!("displayName {name:?} is that of a built-in group"),
        (false, ResourceKind::Group) => {
            format!("displayName {name:?} is that of a group that an operator made")
        }
        (false, _) => format!("displayName {name:?} is that of a group of the identity provider"),
    };
    let advice =
        if resource.kind == ResourceKind::Group { "; rename the group in the identity provider" } else { "" };
    ScimError::new(ErrorKind::Uniqueness, format!("{detail}{advice}"))
}

/// 412 unless the version is one that the client named (RFC 7644 §3.14).
pub(crate) fn check_version(
    if_match: Option<&EntityTags>,
    resource: &Resource,
    groups: &[GroupReference],
) -> Result<(), ScimError> {
    let version = resource.etag(groups);
    match if_match {
        Some(versions) if !versions.matches(&version) => Err(ScimError::new(
            ErrorKind::PreconditionFailed,
            format!("Resource {} is at version {version} by now", resource.id),
        )),
        _ => Ok(()),
    }
}

/// The condition that a resource is there, stays, and is still at this version.
pub(crate) fn is_version(version: u64) -> Expression {
    Expression::new("version = :expected AND attribute_not_exists(going)").with(":expected", number(version))
}

/// The condition that a resource is there and stays.
pub(crate) fn is_staying() -> Expression {
    Expression::new("attribute_exists(pk) AND attribute_not_exists(going)")
}

pub(crate) fn true_value() -> aws_sdk_dynamodb::types::AttributeValue {
    aws_sdk_dynamodb::types::AttributeValue::Bool(true)
}

//! Creating, reading, changing and deleting users and groups.

use std::collections::BTreeSet;
use std::time::Duration;

use super::index::{self, Entry};
use super::item::{self, Stored, number};
use super::keys;
use super::memberships::MemberOperation;
use super::table::{Outcome, Range};
use super::transaction::{Expression, Transaction};
use super::{Directory, StoredUser};
use crate::error::{ErrorKind, ScimError};
use crate::resource::{Document, GroupReference, Origin, Resource, ResourceId, ResourceKind, is_active};
use crate::version::Versions;

/// What a creation that failed half-way may take beyond the deadline.
const TIME_TO_TAKE_BACK: Duration = Duration::from_secs(2);

/// How a write changes the counts: resources, and active ones among them.
struct CountChange {
    resources: i8,
    active: i8,
}

impl Directory {
    /// Makes a user (RFC 7644 §3.3).
    ///
    /// # Errors
    /// `uniqueness` when the userName is taken; `invalidValue` or 413 when the document is too large to keep.
    pub async fn create_user(&self, document: Document) -> Result<Resource, ScimError> {
        let user = self.new_resource(ResourceKind::User, document);
        let (transaction, entries) = self.creation(&user)?;
        match self.table.commit(&transaction).await? {
            Outcome::Committed => Ok(user),
            Outcome::Refused(refused) => Err(self.why_refused(&user, &entries, 1, &refused)),
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
        let group = self.new_resource(ResourceKind::Group, document);
        self.check_members(&members).await?;
        let (transaction, entries) = self.creation(&group)?;
        if let Outcome::Refused(refused) = self.table.commit(&transaction).await? {
            return Err(self.why_refused(&group, &entries, 1, &refused));
        }
        if members.is_empty() {
            return Ok(group);
        }
        let unchanged = |document: &Document| Ok(document.clone());
        match self.change_group(group.id, None, unchanged, &members).await {
            Ok(group) => Ok(group),
            // A group that lacks members is not what the client asked for, and its name would refuse the next try.
            Err(error) => {
                let table = self.table.with_extra_time(TIME_TO_TAKE_BACK);
                let directory = Self { table, ..self.clone() };
                if let Err(cause) = directory.delete(ResourceKind::Group, group.id, None).await {
                    tracing::error!(%cause, group = %group.id, "a half-made group could not be taken back");
                }
                Err(error)
            }
        }
    }

    fn new_resource(&self, kind: ResourceKind, document: Document) -> Resource {
        Resource {
            kind,
            id: ResourceId::random(),
            version: 1,
            created: self.now,
            last_modified: self.now,
            origin: Origin::Scim,
            document,
        }
    }

    /// The transaction that makes a resource: itself, its index entries behind it in order, its count.
    fn creation(&self, resource: &Resource) -> Result<(Transaction, BTreeSet<Entry>), ScimError> {
        let kind = resource.kind;
        let entries = index::entries(&resource.document, self.schemas.of(kind))?;
        let mut transaction = self.table.transaction();
        let key = keys::resource(&self.connector, kind, resource.id);
        transaction.put_new(item::from_resource(&key, resource)?)?;
        for entry in &entries {
            self.put_entry(&mut transaction, entry, kind, resource.id)?;
        }
        let active = i8::from(kind == ResourceKind::User && resource.is_active());
        self.count(&mut transaction, kind, resource.id, &CountChange { resources: 1, active })?;
        Ok((transaction, entries))
    }

    fn put_entry(
        &self,
        transaction: &mut Transaction,
        entry: &Entry,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<(), ScimError> {
        let item = entry.item(&self.connector, kind, id);
        if entry.is_unique { transaction.put_new(item) } else { transaction.put(item) }
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
            ResourceKind::Group => Expression::new("ADD n :n"),
        };
        let key = keys::count(&self.connector, kind, id.bucket());
        transaction.update(&key, update.with(":n", number(change.resources)), None)
    }

    /// Why a transaction whose index entries stand from position `first` on was refused, when it was for one of them.
    pub(super) fn why_refused(
        &self,
        resource: &Resource,
        entries: &BTreeSet<Entry>,
        first: usize,
        refused: &[usize],
    ) -> ScimError {
        let taken = entries.iter().enumerate().find(|(position, _)| refused.contains(&(first + position)));
        match taken {
            Some((_, entry)) => {
                let value = resource.document.get(&entry.index).and_then(|value| value.as_str());
                ScimError::new(
                    ErrorKind::Uniqueness,
                    format!(
                        "{} {:?} is taken by another {}",
                        entry.index,
                        value.unwrap_or(&entry.value),
                        resource.kind.name().to_lowercase()
                    ),
                )
            }
            None => ScimError::internal(format!("transaction refused at {refused:?}")),
        }
    }

    /// Reads a user and the ids of its groups.
    ///
    /// # Errors
    /// 404 when there is no such user, or its deletion has begun.
    pub async fn user(&self, id: ResourceId) -> Result<StoredUser, ScimError> {
        let user = self.read(ResourceKind::User, id).await?;
        user.filter(|user| !user.stored.is_going).ok_or_else(|| ScimError::not_found(id))
    }

    /// Reads a resource and the ids of the groups it is in, deletion begun or not.
    pub(super) async fn read(
        &self,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Option<StoredUser>, ScimError> {
        let range = Range::Prefix(id.to_string());
        let items = self.table.query(&keys::resources(&self.connector, kind), &range).await?;
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
        let key = keys::resource(&self.connector, ResourceKind::Group, id);
        let item = self.table.get(&key).await?;
        let stored = item.map(|item| item::to_stored(ResourceKind::Group, &item)).transpose()?;
        stored.filter(|stored| !stored.is_going).ok_or_else(|| ScimError::not_found(id))
    }

    /// Changes a user (RFC 7644 §3.5): `change` makes the new document from the present one, and may be called again
    /// when another writer came between. A user who is inactive in the end is in no group.
    ///
    /// # Errors
    /// 404; 412 when the version is none of `if_match`; `uniqueness`; and whatever `change` refuses.
    pub async fn change_user(
        &self,
        id: ResourceId,
        if_match: Option<&Versions>,
        change: impl Fn(&Document) -> Result<Document, ScimError>,
    ) -> Result<(Resource, Vec<GroupReference>), ScimError> {
        let mut pause = self.table.pause();
        loop {
            let StoredUser { stored, groups, .. } = self.user(id).await?;
            let present = stored.resource;
            if if_match.is_some() {
                check_version(if_match, &present, &self.group_references(&groups).await?)?;
            }
            let document = change(&present.document)?;
            let is_changed = document != present.document;
            let was_active = present.is_active();
            let stays_active = is_active(&document);
            let user = if is_changed { self.next_version(&present, document) } else { present.clone() };
            let names =
                async { if stays_active { self.group_references(&groups).await } else { Ok(Vec::new()) } };
            if !is_changed {
                let references = names.await?;
                // A deactivation that was cut off is completed by the request that repeats it.
                if !stays_active && !groups.is_empty() {
                    self.leave_all_groups(ResourceKind::User, id, groups).await?;
                }
                return Ok((user, references));
            }
            let (outcome, references) = tokio::join!(self.write(&present, &user), names);
            if outcome? {
                if !stays_active && (was_active || !groups.is_empty()) {
                    self.leave_all_groups(ResourceKind::User, id, groups).await?;
                }
                return Ok((user, references?));
            }
            pause.wait().await?;
        }
    }

    /// What a resource is after this write.
    pub(super) fn next_version(&self, present: &Resource, document: Document) -> Resource {
        Resource { version: present.version + 1, last_modified: self.now, document, ..present.clone() }
    }

    /// Writes the new version of a resource; `false` when the present one is not that any more.
    async fn write(&self, present: &Resource, next: &Resource) -> Result<bool, ScimError> {
        let mut transaction = self.table.transaction();
        let added = self.write_in(&mut transaction, present, next)?;
        match self.table.commit(&transaction).await? {
            Outcome::Committed => Ok(true),
            Outcome::Refused(refused) if refused.contains(&0) => Ok(false),
            Outcome::Refused(refused) => Err(self.why_refused(next, &added, 1, &refused)),
        }
    }

    /// Puts the new version of a resource at the head of a transaction, the index entries that it adds behind it, and
    /// what else changes with it. Returns the entries that it adds.
    pub(super) fn write_in(
        &self,
        transaction: &mut Transaction,
        present: &Resource,
        next: &Resource,
    ) -> Result<BTreeSet<Entry>, ScimError> {
        let (kind, id) = (present.kind, present.id);
        let schema = self.schemas.of(kind);
        let before = index::entries(&present.document, schema)?;
        let after = index::entries(&next.document, schema)?;
        let key = keys::resource(&self.connector, kind, id);
        transaction.update(&key, item::update_to(next)?, Some(is_version(present.version)))?;
        let added: BTreeSet<Entry> = after.difference(&before).cloned().collect();
        for entry in &added {
            self.put_entry(transaction, entry, kind, id)?;
        }
        for entry in before.difference(&after) {
            transaction.delete(&entry.key(&self.connector, kind, id))?;
        }
        let active = i8::from(next.is_active()) - i8::from(present.is_active());
        if kind == ResourceKind::User && active != 0 {
            self.count(transaction, kind, id, &CountChange { resources: 0, active })?;
        }
        Ok(added)
    }

    /// Deletes a resource (RFC 7644 §3.6): first it is gone for everybody and its name is free, then its memberships
    /// go, then the item. A request that was cut off is completed by the next.
    ///
    /// # Errors
    /// 404; 412 when the version is none of `if_match`.
    pub async fn delete(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        if_match: Option<&Versions>,
    ) -> Result<(), ScimError> {
        let mut pause = self.table.pause();
        let groups = loop {
            let found = self.read(kind, id).await?.ok_or_else(|| ScimError::not_found(id))?;
            if found.stored.is_going {
                break found.groups;
            }
            let resource = found.stored.resource;
            if if_match.is_some() {
                let references = match kind {
                    ResourceKind::User => self.group_references(&found.groups).await?,
                    ResourceKind::Group => Vec::new(),
                };
                check_version(if_match, &resource, &references)?;
            }
            if self.begin_deletion(&resource).await? {
                break found.groups;
            }
            pause.wait().await?;
        };
        self.leave_all_groups(kind, id, groups).await?;
        if kind == ResourceKind::Group {
            self.remove_all_members(id).await?;
        }
        self.table.delete_all(&[keys::resource(&self.connector, kind, id)]).await
    }

    async fn begin_deletion(&self, resource: &Resource) -> Result<bool, ScimError> {
        let (kind, id) = (resource.kind, resource.id);
        let mut transaction = self.table.transaction();
        let going = Expression::new("SET going = :true").with(":true", true_value());
        let key = keys::resource(&self.connector, kind, id);
        transaction.update(&key, going, Some(is_version(resource.version)))?;
        for entry in index::entries(&resource.document, self.schemas.of(kind))? {
            transaction.delete(&entry.key(&self.connector, kind, id))?;
        }
        let active = -i8::from(kind == ResourceKind::User && resource.is_active());
        self.count(&mut transaction, kind, id, &CountChange { resources: -1, active })?;
        Ok(self.table.commit(&transaction).await? == Outcome::Committed)
    }
}

/// 412 unless the version is one that the client named (RFC 7644 §3.14).
pub(super) fn check_version(
    if_match: Option<&Versions>,
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
pub(super) fn is_version(version: u64) -> Expression {
    Expression::new("version = :expected AND attribute_not_exists(going)").with(":expected", number(version))
}

/// The condition that a resource is there and stays.
pub(super) fn is_staying() -> Expression {
    Expression::new("attribute_exists(pk) AND attribute_not_exists(going)")
}

pub(super) fn true_value() -> aws_sdk_dynamodb::types::AttributeValue {
    aws_sdk_dynamodb::types::AttributeValue::Bool(true)
}

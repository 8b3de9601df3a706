//! Conflicts of names and other unique values: another resource has the value, or a group with it is being created.

use std::collections::BTreeSet;

use shared::error::{ErrorKind, ScimError};
use shared::resource::{Resource, ResourceKind};

use crate::Directory;
use crate::dynamodb::conditions::Condition;
use crate::dynamodb::items;
use crate::dynamodb::keys;
use crate::view::is_built_in;

impl Directory {
    /// Returns the error if one of the failed conditions is about a unique value. If a group that is being created has the value,
    /// the error is 429 while its creator lives; otherwise the creation is rolled back, and there is no error: the value is free.
    pub(super) async fn settle_name_conflict(
        &self,
        resource: &Resource,
        failed: &[Condition],
    ) -> Result<Option<ScimError>, ScimError> {
        let Some(error) = name_conflict(resource, failed) else { return Ok(None) };
        if resource.kind == ResourceKind::User {
            return Ok(Some(error));
        }
        let taken = failed.iter().find_map(|condition| match condition {
            Condition::IsUnique { index, value } => Some((index, value)),
            _ => None,
        });
        let (kind, owner) = if let Some((index, value)) = taken {
            (resource.kind, self.find_by_unique_value(resource.kind, index, value).await?)
        } else {
            let kind = match resource.kind {
                ResourceKind::Group => ResourceKind::LocalGroup,
                _ => ResourceKind::Group,
            };
            let name = resource.document.get(items::unique_attribute(kind)).and_then(|name| name.as_str());
            (kind, self.find_by_name(kind, name.unwrap_or_default()).await?)
        };
        // If the value is free by now, the caller tries again.
        let Some(owner) = owner else { return Ok(None) };
        let key = keys::resource(&self.connector.id, kind, owner);
        // The creation may just have begun, and be visible in part. This read waits until it is visible as a whole.
        let Some(item) = self.table.get_at_once(&BTreeSet::from([key])).await?.pop() else {
            return Ok(Some(error));
        };
        let stored = items::to_stored(kind, &item)?;
        let Some(progress) = stored.intent.clone().filter(|progress| progress.is_creation) else {
            return Ok(Some(error));
        };
        let left = progress.due.duration_since(self.time()).as_secs();
        if left < 0 {
            self.roll_back(&stored, &progress).await?;
            return Ok(None);
        }
        let name = stored.resource.document.get(items::unique_attribute(kind)).and_then(|name| name.as_str());
        let name = name.unwrap_or_default();
        Ok(Some(ScimError::new(
            ErrorKind::TooManyRequests(u32::try_from(left).unwrap_or_default() + 1),
            format!("Another request is creating the group {name:?}. Repeat the request as it is"),
        )))
    }
}

/// The error for a name that another resource has, if one of the failed conditions is about a name.
pub(super) fn name_conflict(resource: &Resource, failed: &[Condition]) -> Option<ScimError> {
    failed.iter().find_map(|condition| match condition {
        Condition::IsUnique { index, value } => {
            let sent = resource.document.get(index).and_then(|value| value.as_str());
            Some(name_taken(index, sent.unwrap_or(value), resource))
        }
        Condition::IsFreeInOtherOrigin => Some(name_taken_elsewhere(resource)),
        _ => None,
    })
}

pub(super) fn name_taken(attribute: &str, value: &str, resource: &Resource) -> ScimError {
    let kind = resource.kind.name().to_lowercase();
    ScimError::new(ErrorKind::Uniqueness, format!("{attribute} {value:?} is taken by another {kind}"))
}

/// The error for a group name that the built-in group or a group of the other origin has.
pub(super) fn name_taken_elsewhere(resource: &Resource) -> ScimError {
    let name = resource.document.get("displayName").and_then(|name| name.as_str()).unwrap_or_default();
    let owner = match (is_built_in(name), resource.kind) {
        (true, _) => "a built-in group",
        (false, ResourceKind::Group) => "a group that an operator created",
        (false, _) => "a group of the identity provider",
    };
    let advice =
        if resource.kind == ResourceKind::Group { "; rename the group in the identity provider" } else { "" };
    ScimError::new(ErrorKind::Uniqueness, format!("displayName {name:?} is taken by {owner}{advice}"))
}

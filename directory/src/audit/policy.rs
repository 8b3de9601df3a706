//! The records of names that an operator takes out of policies elsewhere.

use shared::error::ScimError;
use shared::resource::ResourceId;

use super::{Changes, NamedIds, Operation};
use crate::Directory;
use crate::dynamodb::table::Outcome;
use crate::resources::unexpected_refusal;

/// A name that was taken out of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedName {
    /// The place in the policy, such as `policyItems[0]`.
    pub place: String,
    /// The user or group as the policy named it, such as `user ann`.
    pub name: String,
    /// The id of the user or group, if the directory or its audit trail knows it.
    pub id: Option<ResourceId>,
}

impl Directory {
    /// Records that names were taken out of a policy. `policy` says which: its engine, service, id and name. The record is about the
    /// connector, and is also found by the ids of the users and groups.
    ///
    /// # Errors
    /// Fails when DynamoDB does, and if the actor is a reader.
    pub async fn record_cleaned_policy(
        &self,
        policy: &str,
        removed: &[RemovedName],
    ) -> Result<(), ScimError> {
        let mut changes = Changes { name: Some(policy.to_owned()), ..Changes::default() };
        for RemovedName { place, name, .. } in removed {
            changes = changes.with_value(place, Some(name), None);
        }
        changes.removed = NamedIds::of(removed.iter().filter_map(|removed| removed.id));
        let mut transaction = self.transaction();
        self.record_of_connector(&mut transaction, Operation::CleanPolicy, &changes)?;
        match self.commit(&transaction).await? {
            Outcome::Committed => Ok(()),
            Outcome::Refused(failed) => Err(unexpected_refusal(&failed)),
        }
    }
}

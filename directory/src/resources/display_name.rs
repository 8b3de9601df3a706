//! The display name that an operator enters for a user of the client. It is stored beside the document, so that the client
//! neither sees nor overwrites it.

use serde_json::json;
use shared::error::ScimError;
use shared::resource::{Document, Origin, Resource, ResourceId, ResourceKind, normalise};

use crate::Directory;
use crate::audit::{Changes, Operation};
use crate::dynamodb::conditions::Requirement;
use crate::dynamodb::expressions::Update;
use crate::dynamodb::items;
use crate::dynamodb::keys;
use crate::dynamodb::table::Outcome;

/// The attribute of a local user's document that holds this name.
const DISPLAY_NAME: &str = "displayName";
/// The attribute that audit records name.
const SHOWN_DISPLAY_NAME: &str = "shown_display_name";
/// The maximum length of this name, in bytes.
const MAX_BYTES: usize = 1_024;

impl Directory {
    /// Sets the display name that the directory shows for a user, or clears it (`None`). It wins over the names that the
    /// client sends. A local user has it in its document. For a user of the client, the resource and its version stay as
    /// they are.
    ///
    /// # Errors
    /// 404; `invalidValue` when the name is too long.
    pub async fn set_display_name(&self, id: ResourceId, name: Option<&str>) -> Result<(), ScimError> {
        if let Some(name) = name.filter(|name| name.len() > MAX_BYTES) {
            let detail = format!("The display name is {} bytes; the maximum is {MAX_BYTES}", name.len());
            return Err(ScimError::invalid_value(detail));
        }
        if self.user(id).await?.stored.resource.origin == Origin::Local {
            let schema = self.schemas.of(ResourceKind::User);
            let change = |present: &Document| {
                let mut document = present.clone();
                match name {
                    Some(name) => document.insert(DISPLAY_NAME.to_owned(), json!(name)),
                    None => document.shift_remove(DISPLAY_NAME),
                };
                normalise(&document, schema)
            };
            return self.change_user(id, None, change).await.map(drop);
        }
        let mut transaction = self.transaction();
        let key = keys::resource(&self.connector.id, ResourceKind::User, id);
        transaction.update(&key, items::set_shown_name(name), Some(Requirement::stays(id)))?;
        let changes = Changes::of_attribute(SHOWN_DISPLAY_NAME);
        self.record(&mut transaction, Operation::Update, ResourceKind::User, id, &changes)?;
        match self.commit(&transaction).await? {
            Outcome::Committed => Ok(()),
            Outcome::Refused(_) => Err(ScimError::not_found(id)),
        }
    }
}

/// Makes the update that keeps the display name of a local user that becomes the client's.
pub(super) fn keep_display_name(local: &Resource) -> Update {
    let name = local.document.get(DISPLAY_NAME).and_then(|name| name.as_str());
    items::set_shown_name(name.filter(|name| name.len() <= MAX_BYTES))
}

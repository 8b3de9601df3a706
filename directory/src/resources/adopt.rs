//! Adoption: a user that an operator created becomes the client's, with the same id.

use shared::error::{ErrorKind, ScimError};
use shared::resource::{self, Origin, Resource, ResourceKind};

use super::name_taken;
use crate::Directory;
use crate::dynamodb::items;

impl Directory {
    /// Gives an operator's user to the client that creates a user with its name. The document becomes the client's.
    /// Returns `None` when no user has the name.
    ///
    /// # Errors
    /// `uniqueness` when the user with this name is the client's already.
    pub(super) async fn adopt(&self, user: &Resource) -> Result<Option<Resource>, ScimError> {
        let schema = self.schemas.of(ResourceKind::User);
        let attribute = items::unique_attribute(ResourceKind::User);
        let name = user.document.get(attribute).and_then(|name| name.as_str());
        let (Origin::Scim, Some(name)) = (self.origin(), name) else { return Ok(None) };
        let Some(id) = self.find_by_name(ResourceKind::User, name).await? else { return Ok(None) };
        let change = |present: &Resource| match present.origin {
            Origin::Local => resource::replace(&present.document, user.document.clone(), schema),
            Origin::Scim => Err(name_taken(attribute, name, user)),
        };
        match self.change_resource(id, None, change).await {
            Ok((adopted, _)) => Ok(Some(adopted)),
            // It was deleted after the look-up.
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

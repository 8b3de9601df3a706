//! Adoption: a user that an operator created becomes the client's, with the same id. The client links it by its userName or, if
//! the connector allows that, by its email address.

use std::collections::BTreeSet;

use serde_json::Value;
use shared::error::{ErrorKind, ScimError};
use shared::filter::fold;
use shared::resource::{self, Document, Origin, Resource, ResourceId, ResourceKind};

use super::name_taken;
use crate::Directory;
use crate::dynamodb::items;
use crate::dynamodb::keys;
use crate::dynamodb::table::Range;

/// The index of email addresses.
const EMAILS: &str = "emails.value";
/// The most users with one email address among whom a local user is searched. A client can give one address to any number.
const MAX_WITH_EMAIL: i32 = 1_000;

impl Directory {
    /// Gives an operator's user to the client that creates a user with its name. The document becomes the client's.
    /// Returns `None` when no user has the name.
    ///
    /// # Errors
    /// `uniqueness` when the user with this name is the client's already.
    pub(super) async fn adopt(&self, user: &Resource) -> Result<Option<Resource>, ScimError> {
        let Some(name) = self.client_name(user) else { return Ok(None) };
        match self.find_by_name(ResourceKind::User, name).await? {
            Some(id) => self.adopt_user(id, user, || name_taken("userName", name, user)).await,
            None => Ok(None),
        }
    }

    /// Gives the operator's user with a work or primary email address of this user to the client, if the connector links users by
    /// email and no user has the userName. Returns `None` if there is no such user.
    ///
    /// # Errors
    /// `uniqueness` if several local users have such an address.
    pub(super) async fn adopt_by_email(&self, user: &Resource) -> Result<Option<Resource>, ScimError> {
        let Some(name) = self.client_name(user).filter(|_| self.settings().link_by_email) else {
            return Ok(None);
        };
        let emails = linking_emails(&user.document);
        if emails.is_empty() || self.find_by_name(ResourceKind::User, name).await?.is_some() {
            return Ok(None);
        }
        let mut ids = BTreeSet::new();
        for email in &emails {
            let pk = keys::index(&self.connector.id, ResourceKind::User, EMAILS);
            let range = Range::Prefix(keys::index_entry_prefix(email));
            let (entries, _) = self.table.query_page(&pk, &range, None, Some(MAX_WITH_EMAIL)).await?;
            ids.extend(entries.iter().filter_map(items::indexed_id));
        }
        let ids: Vec<ResourceId> = ids.into_iter().collect();
        let found = self.load(ResourceKind::User, &ids, false).await?;
        let local = found.iter().map(|found| &found.stored.resource);
        let local: Vec<&Resource> = local.filter(|found| found.origin == Origin::Local).collect();
        match local[..] {
            [] => Ok(None),
            [one] => {
                let linked = || {
                    ScimError::new(
                        ErrorKind::Uniqueness,
                        "Another request has just linked the local user with this email address",
                    )
                };
                self.adopt_user(one.id, user, linked).await
            }
            _ => Err(ambiguous(&local)),
        }
    }

    /// The userName of a user that a client creates.
    fn client_name<'u>(&self, user: &'u Resource) -> Option<&'u str> {
        let name = user.document.get(items::unique_attribute(user.kind))?.as_str()?;
        (self.origin() == Origin::Scim).then_some(name)
    }

    async fn adopt_user(
        &self,
        id: ResourceId,
        user: &Resource,
        not_local: impl Fn() -> ScimError,
    ) -> Result<Option<Resource>, ScimError> {
        let schema = self.schemas.of(ResourceKind::User);
        let change = |present: &Resource| match present.origin {
            Origin::Local => resource::replace(&present.document, user.document.clone(), schema),
            Origin::Scim => Err(not_local()),
        };
        match self.change_resource(id, None, change).await {
            Ok((adopted, _)) => Ok(Some(adopted)),
            // It was deleted after the look-up.
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The work and primary email addresses of a user, folded.
fn linking_emails(document: &Document) -> BTreeSet<String> {
    let emails = document.get("emails").and_then(Value::as_array).into_iter().flatten();
    let linking = emails.filter(|email| {
        let is_work =
            email.get("type").and_then(Value::as_str).is_some_and(|kind| fold(kind, false) == "work");
        is_work || email.get("primary") == Some(&Value::Bool(true))
    });
    let value = |email: &Value| Some(fold(email.get("value")?.as_str()?, false).into_owned());
    linking.filter_map(value).filter(|email| !email.is_empty()).collect()
}

fn ambiguous(local: &[&Resource]) -> ScimError {
    let name = |user: &&Resource| {
        user.document.get("userName").and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let names: Vec<String> = local.iter().take(5).map(name).collect();
    let detail = format!(
        "{} local users have an email address of this user ({}), so it cannot be linked to one of them. An operator must change the \
         address of the others or delete them, or create this userName",
        local.len(),
        names.join(", ")
    );
    ScimError::new(ErrorKind::Uniqueness, detail)
}

//! The attributes of a user that an operator can set.

use clap::Args;
use serde_json::{Map, Value, json};
use shared::error::ScimError;
use shared::resource::{Document, ResourceKind, normalise};
use shared::schema::Schemas;

const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// The attributes that an operator can set. `None` leaves an attribute unchanged, and an empty text clears it.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct UserAttributes {
    /// First name
    #[arg(long)]
    pub first_name: Option<String>,
    /// Last name
    #[arg(long)]
    pub last_name: Option<String>,
    /// Display name; by default the first and last name
    #[arg(long)]
    pub display_name: Option<String>,
    /// Email address
    #[arg(long)]
    pub email: Option<String>,
}

impl UserAttributes {
    /// Reads the attributes of a stored user, before the connector's mapping.
    pub fn of(document: &Document) -> Self {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let name = |part: &str| text(document.get("name").and_then(|name| name.get(part)));
        let emails = document.get("emails").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let primary = emails.iter().find(|email| email.get("primary") == Some(&Value::Bool(true)));
        Self {
            first_name: name("givenName"),
            last_name: name("familyName"),
            display_name: text(document.get("displayName")),
            email: text(primary.or(emails.first()).and_then(|email| email.get("value"))),
        }
    }

    /// Keeps the attributes that differ from the present ones. Spaces around a value make no difference.
    pub fn changes_from(self, present: Self) -> Self {
        let change = |new: Option<String>, present: Option<String>| {
            let new = new?.trim().to_owned();
            (new != present.unwrap_or_default().trim()).then_some(new)
        };
        Self {
            first_name: change(self.first_name, present.first_name),
            last_name: change(self.last_name, present.last_name),
            display_name: change(self.display_name, present.display_name),
            email: change(self.email, present.email),
        }
    }

    /// Returns the document of a user with these attributes, and all others unchanged.
    pub fn apply_to(&self, present: &Document) -> Result<Document, ScimError> {
        let mut document = present.clone();
        set_text(&mut document, "displayName", self.display_name.as_deref());
        match self.email.as_deref() {
            None => {}
            Some("") => drop(document.shift_remove("emails")),
            Some(email) => {
                let emails = json!([{ "value": email, "type": "work", "primary": true }]);
                document.insert("emails".to_owned(), emails);
            }
        }
        let mut name = document.get("name").and_then(Value::as_object).cloned().unwrap_or_default();
        set_text(&mut name, "givenName", self.first_name.as_deref());
        set_text(&mut name, "familyName", self.last_name.as_deref());
        if name.is_empty() {
            document.shift_remove("name");
        } else {
            document.insert("name".to_owned(), Value::Object(name));
        }
        normalise(&document, Schemas::built_in().of(ResourceKind::User))
    }
}

fn set_text(object: &mut Map<String, Value>, attribute: &str, value: Option<&str>) {
    match value {
        None => {}
        Some("") => drop(object.shift_remove(attribute)),
        Some(text) => drop(object.insert(attribute.to_owned(), json!(text))),
    }
}

/// Makes the document of an active user that has only a userName.
pub fn new_document(user_name: &str) -> Document {
    Map::from_iter([
        ("schemas".to_owned(), json!([USER_SCHEMA])),
        ("userName".to_owned(), json!(user_name)),
        ("active".to_owned(), json!(true)),
    ])
}

/// The userName in the document of a user.
pub fn user_name(document: &Document) -> &str {
    document.get("userName").and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(first_name: Option<&str>, email: Option<&str>) -> UserAttributes {
        let text = |value: Option<&str>| value.map(str::to_owned);
        UserAttributes { first_name: text(first_name), email: text(email), ..UserAttributes::default() }
    }

    #[test]
    fn empty_values_clear_attributes_and_missing_ones_keep_them() {
        let ann = attributes(Some("Ann"), Some("ann@example.com")).apply_to(&new_document("ann")).unwrap();
        assert_eq!(ann["name"], json!({ "givenName": "Ann" }));
        assert_eq!(ann["emails"][0]["value"], "ann@example.com");
        let cleared = attributes(Some(""), None).apply_to(&ann).unwrap();
        assert_eq!((cleared.get("name"), &cleared["emails"]), (None, &ann["emails"]));
        let cleared = attributes(None, Some("")).apply_to(&ann).unwrap();
        assert_eq!((&cleared["name"], cleared.get("emails")), (&ann["name"], None));
    }

    #[test]
    fn only_values_that_differ_are_changes() {
        let present = attributes(Some(" Ann"), None);
        for (new, changes) in [
            (attributes(Some("Ann "), Some("")), attributes(None, None)),
            (attributes(Some("Anna"), Some("a@b.c")), attributes(Some("Anna"), Some("a@b.c"))),
            (attributes(Some(" "), None), attributes(Some(""), None)),
        ] {
            assert_eq!(new.changes_from(present.clone()), changes);
        }
    }
}

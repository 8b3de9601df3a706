//! Users who share a value that should belong to one user: the username or the email address that the directory shows, or the
//! externalId. Hidden users are left out.

use std::collections::BTreeMap;

use directory::view::{Entry, EntryMaker, MembershipNames, for_each_user};
use directory::{Directory, StoredUser};
use shared::filter::fold;

use crate::failure::Failure;
use crate::user::user_name;

/// The maximum number of lines, and of users in a line.
const MAX_LISTED: usize = 20;

/// The userNames of the users who have a value, by the name of the attribute and the value.
#[derive(Default)]
pub struct Duplicates(BTreeMap<(&'static str, String), Vec<String>>);

impl Duplicates {
    /// Reads all users of a directory.
    pub async fn read(directory: &Directory, maker: &EntryMaker<'_>) -> Result<Self, Failure> {
        let mut duplicates = Self::default();
        for_each_user(directory, |user| {
            duplicates.add(user, &maker.entry(&user.stored, MembershipNames::default(), None));
            Ok::<_, Failure>(())
        })
        .await?;
        Ok(duplicates)
    }

    /// Adds a user with the entry that the directory shows.
    pub fn add(&mut self, user: &StoredUser, entry: &Entry) {
        if entry.hidden.is_some() {
            return;
        }
        let document = &user.stored.resource.document;
        let external_id = document.get("externalId").and_then(|id| id.as_str());
        for (attribute, value, is_case_exact) in [
            ("username", Some(entry.username.as_str()), false),
            ("email address", entry.email.as_deref(), false),
            ("externalId", external_id, true),
        ] {
            let value = fold(value.unwrap_or_default(), is_case_exact).into_owned();
            if !value.is_empty() {
                self.0.entry((attribute, value)).or_default().push(user_name(document).to_owned());
            }
        }
    }

    /// Returns a line for each value that several users share. After the maximum, one line has the number of the others.
    pub fn lines(&self) -> Vec<String> {
        let shared = || self.0.iter().filter(|(_, users)| users.len() > 1);
        let mut lines: Vec<String> = shared().take(MAX_LISTED).map(line).collect();
        let more = shared().count() - lines.len();
        lines.extend((more > 0).then(|| format!("{more} more values are shared")));
        lines
    }
}

fn line(((attribute, value), users): (&(&'static str, String), &Vec<String>)) -> String {
    let named: Vec<&str> = users.iter().take(MAX_LISTED).map(String::as_str).collect();
    let more = match users.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{} users share the {attribute} {value}: {}{more}", users.len(), named.join(", "))
}

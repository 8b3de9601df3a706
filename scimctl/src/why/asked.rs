//! Finds the user whom an operator asks about.

use directory::view::{FoundUsers, ListedUser};
use jiff::Timestamp;
use serde::Serialize;
use shared::filter::fold;
use shared::resource::{ResourceId, ResourceKind};

use super::find::MAX_AUDIT_RECORDS;
use crate::context::Context;
use crate::failure::{Failure, fail};
use crate::open_directory::OpenDirectory;
use crate::output::{count, print_exactly, print_json};
use crate::table::Table;
use crate::user::find_deleted;

/// The most users that are listed if several match.
const MAX_CANDIDATES: usize = 20;

/// Whom an operator asks about.
pub enum Asked {
    /// One user, or a name that no user has or had.
    One(Person),
    /// Several users, of whom the operator has to choose one.
    Several(Candidates),
}

/// A user who may be in the directory, and the text that named it.
pub struct Person {
    /// What was asked for.
    pub text: String,
    /// The id; `None` if no user has or had this name.
    pub id: Option<ResourceId>,
    /// The ids of other users who had the name and are deleted.
    pub others: Vec<ResourceId>,
    /// Whether the text is not the userName or id of the user, but only the beginning of a name.
    pub is_by_search: bool,
}

/// The users whom a text can mean.
#[derive(Serialize)]
pub struct Candidates {
    /// The connector.
    connector: String,
    /// What was asked for.
    asked: String,
    /// The users.
    candidates: Vec<Candidate>,
    /// Whether more users match.
    has_more: bool,
}

/// A user whom a text can mean.
#[derive(Serialize)]
struct Candidate {
    id: String,
    user_name: String,
    username: String,
    display_name: String,
    email: Option<String>,
    /// The reason why the user is hidden.
    hidden: Option<String>,
}

impl Person {
    /// The user with this id.
    pub fn of_id(id: ResourceId) -> Self {
        Self { text: id.to_string(), id: Some(id), others: Vec::new(), is_by_search: false }
    }

    fn of_name(text: &str, id: Option<ResourceId>) -> Self {
        Self { text: text.to_owned(), id, others: Vec::new(), is_by_search: false }
    }
}

/// Finds out whom a text means: the user with this userName or id; or else the only user one of whose names begins with it, or is it;
/// or else a deleted user who had this userName. Only the last step reads all users and the whole audit trail.
///
/// # Errors
/// Fails when DynamoDB does.
pub async fn resolve(context: &Context, open: &OpenDirectory, text: &str) -> Result<Asked, Failure> {
    let text = text.trim();
    if let Some(id) = open.directory.find_by_name(ResourceKind::User, text).await? {
        return Ok(Asked::One(Person::of_name(text, Some(id))));
    }
    if let Some(id) = ResourceId::parse(text) {
        return Ok(Asked::One(Person::of_id(id)));
    }
    let FoundUsers { users, is_cut } = open.directory.view(true)?.search_users(text, MAX_CANDIDATES).await?;
    let whole: Vec<&ListedUser> = users.iter().filter(|user| has_name(user, text)).collect();
    match (users.as_slice(), whole.as_slice()) {
        ([user], _) if !is_cut => Ok(Asked::One(by_search(text, user))),
        (_, [user]) if !is_cut => Ok(Asked::One(by_search(text, user))),
        ([], _) if !is_cut => deleted(context, open, text).await.map(Asked::One),
        _ => Ok(Asked::Several(Candidates {
            connector: open.connector.clone(),
            asked: text.to_owned(),
            candidates: users.into_iter().map(Candidate::from).collect(),
            has_more: is_cut,
        })),
    }
}

fn by_search(text: &str, user: &ListedUser) -> Person {
    Person { is_by_search: true, ..Person::of_name(text, Some(user.id)) }
}

/// Whether a whole name of the user is this text, not only the beginning of one.
fn has_name(user: &ListedUser, text: &str) -> bool {
    let names = [&user.username, &user.display_name].into_iter().chain(&user.email);
    names.into_iter().any(|name| fold(name, false) == fold(text, false))
}

/// Finds a user who was deleted, in the audit trail. If several had the name, the one who was changed last.
async fn deleted(context: &Context, open: &OpenDirectory, text: &str) -> Result<Person, Failure> {
    if let Some(id) = find_deleted(&open.directory, text).await?.pop() {
        return Ok(Person::of_name(text, Some(id)));
    }
    let connector = context.connector(&open.connector).await?;
    let (table, created) = (context.table_without_deadline(), connector.record.created);
    let audit = table.audit_trail(&connector.id);
    let named = audit.named(text, created, context.now).await?.into_iter();
    let mut users: Vec<(Option<Timestamp>, ResourceId)> = Vec::new();
    for (id, _) in named.filter(|(_, kind)| kind == ResourceKind::User.name()) {
        let (records, _) = audit.own(id, created, context.now, MAX_AUDIT_RECORDS).await?;
        users.push((records.first().and_then(|record| record.time.parse().ok()), id));
    }
    users.sort();
    let id = users.pop().map(|(_, id)| id);
    Ok(Person { others: users.into_iter().map(|(_, id)| id).collect(), ..Person::of_name(text, id) })
}

impl From<ListedUser> for Candidate {
    fn from(user: ListedUser) -> Self {
        Self {
            id: user.id.to_string(),
            user_name: user.user_name,
            username: user.username,
            display_name: user.display_name,
            email: user.email,
            hidden: user.hidden.map(|hidden| hidden.to_string()),
        }
    }
}

impl Candidates {
    /// Prints the users, and fails with what to do.
    ///
    /// # Errors
    /// Always, because the operator has to choose.
    pub fn print(&self, is_json: bool) -> Result<(), Failure> {
        let Self { asked, candidates, has_more, .. } = self;
        if is_json {
            print_json(self)?;
        } else {
            let row = |user: &Candidate| {
                let state = user.hidden.as_ref().map(|hidden| format!("hidden: {hidden}"));
                vec![
                    user.user_name.clone(),
                    user.display_name.clone(),
                    user.email.clone().unwrap_or_default(),
                    state.unwrap_or_else(|| "shown".to_owned()),
                    user.id.clone(),
                ]
            };
            let mut table = Table::new(["USERNAME", "DISPLAY NAME", "EMAIL", "STATE", "ID"]);
            print_exactly(&table.format(candidates.iter().map(row).collect()))?;
        }
        let number = match has_more {
            true => format!("more than {}", count(candidates.len().max(1), "user", "users")),
            false => count(candidates.len(), "user", "users"),
        };
        fail(format!("{asked:?} matches {number}; enter the whole userName, or the id"))
    }
}

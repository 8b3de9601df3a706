//! `scimctl user`: the users of a directory, as it shows them; and those that an operator makes by hand.

use clap::{Args, Subcommand};
use directory::view::{Entry, EntryMaker, owner};
use directory::{Directory, StoredUser};
use serde_json::{Map, Value, json};
use shared::filter::{Filter, fold};
use shared::resource::{Document, Origin, ResourceId, ResourceKind, normalise, represent_to_match};
use shared::schema::Schemas;

use crate::context::{Context, Failure, columns, columns_below, fail, say, say_hidden};
use directory::view::{Groups, for_each_user};

const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// Rows of a table that are printed together.
const ROWS_AT_ONCE: usize = 500;

/// What can be done with users.
#[derive(Subcommand)]
pub enum Command {
    /// List the users that the directory shows
    #[command(after_help = "EXAMPLE:\n  scimctl user list okta --hidden --filter 'userName sw \"ann\"'")]
    List {
        /// The connector's id
        connector: String,
        /// Also those that it hides, and why
        #[arg(long)]
        hidden: bool,
        /// Only those that match a SCIM filter: `--filter 'userName sw "a" and active eq true'`
        #[arg(long)]
        filter: Option<String>,
        /// An object of JSON a line
        #[arg(long)]
        json: bool,
    },
    /// Show one user
    #[command(after_help = "EXAMPLE:\n  scimctl user show okta ann@example.com")]
    Show {
        /// The connector's id
        connector: String,
        /// The user's userName or id
        user: String,
        /// An object of JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a user by hand
    #[command(
        after_help = "EXAMPLE:\n  scimctl user create okta ann@example.com --first-name Ann --last-name Ash"
    )]
    Create {
        /// The connector's id
        connector: String,
        /// The userName
        user: String,
        #[command(flatten)]
        names: Names,
    },
    /// Change a user that was made by hand
    #[command(after_help = "EXAMPLE:\n  scimctl user set okta ann@example.com --email ann@example.org")]
    Set {
        /// The connector's id
        connector: String,
        /// The user's userName or id
        user: String,
        #[command(flatten)]
        names: Names,
    },
    /// Delete a user that was made by hand, or that the identity provider deactivated or deleted
    #[command(after_help = "EXAMPLE:\n  scimctl user delete okta ann@example.com")]
    Delete {
        /// The connector's id
        connector: String,
        /// The user's userName or id
        user: String,
    },
}

/// What an operator says of a user; an empty text takes it away.
#[derive(Args, Clone, Default, PartialEq)]
pub struct Names {
    /// The first name
    #[arg(long)]
    pub first_name: Option<String>,
    /// The last name
    #[arg(long)]
    pub last_name: Option<String>,
    /// The display name, where it is not the first and last name together
    #[arg(long)]
    pub display_name: Option<String>,
    /// The email address
    #[arg(long)]
    pub email: Option<String>,
}

impl Names {
    /// What a user is called, whatever the directory shows of it.
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

    /// What of these is another than what is there, but for spaces around it.
    pub fn unlike(self, there: Self) -> Self {
        let unlike = |said: Option<String>, there: Option<String>| {
            let said = said?.trim().to_owned();
            (said != there.unwrap_or_default().trim()).then_some(said)
        };
        Self {
            first_name: unlike(self.first_name, there.first_name),
            last_name: unlike(self.last_name, there.last_name),
            display_name: unlike(self.display_name, there.display_name),
            email: unlike(self.email, there.email),
        }
    }

    /// A document with these names in it, and all else as it was.
    pub fn put_into(&self, present: &Document) -> Result<Document, Failure> {
        let mut document = present.clone();
        let value = |text: &Option<String>| text.as_ref().map(|text| (!text.is_empty()).then(|| json!(text)));
        let mut put = |name: &str, value: Option<Option<Value>>| match value {
            Some(Some(value)) => drop(document.insert(name.to_owned(), value)),
            Some(None) => drop(document.shift_remove(name)),
            None => {}
        };
        put("displayName", value(&self.display_name));
        let email = self.email.as_ref().map(|email| {
            (!email.is_empty()).then(|| json!([{ "value": email, "type": "work", "primary": true }]))
        });
        put("emails", email);
        let mut name = document.get("name").and_then(Value::as_object).cloned().unwrap_or_default();
        for (part, value) in [("givenName", value(&self.first_name)), ("familyName", value(&self.last_name))]
        {
            match value {
                Some(Some(value)) => drop(name.insert(part.to_owned(), value)),
                Some(None) => drop(name.shift_remove(part)),
                None => {}
            }
        }
        if name.is_empty() {
            document.shift_remove("name");
        } else {
            document.insert("name".to_owned(), Value::Object(name));
        }
        Ok(normalise(&document, Schemas::built_in().of(ResourceKind::User))?)
    }
}

/// The document of a user of this name and nothing else.
pub fn document(user_name: &str) -> Document {
    Map::from_iter([
        ("schemas".to_owned(), json!([USER_SCHEMA])),
        ("userName".to_owned(), json!(user_name)),
        ("active".to_owned(), json!(true)),
    ])
}

/// The userName.
pub fn user_name(document: &Document) -> &str {
    document.get("userName").and_then(Value::as_str).unwrap_or_default()
}

/// Carries out a command.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::List { connector, hidden, filter, json } => {
            list(context, &connector, hidden, filter.as_deref(), json).await
        }
        Command::Show { connector, user, json } => show(context, &connector, &user, json).await,
        Command::Create { connector, user, names } => {
            let directory = context.directory(context.connector(&connector).await?);
            let document = names.put_into(&document(&user))?;
            let made = directory.create_user(document).await?;
            say(&format!("{user} is made: {}", made.id))
        }
        Command::Set { connector, user, names } => {
            let directory = context.directory(context.connector(&connector).await?);
            let id = find(&directory, &connector, &user).await?;
            let present = directory.user(id).await?.stored.resource.document;
            let wanted = names.put_into(&present)?;
            directory
                .change_user(id, None, |document| {
                    names
                        .put_into(document)
                        .map_err(|Failure(error)| shared::error::ScimError::invalid_value(error))
                })
                .await?;
            say(if wanted == present { "nothing changes" } else { "it is changed" })
        }
        Command::Delete { connector, user } => {
            let directory = context.directory(context.connector(&connector).await?);
            let id = find(&directory, &connector, &user).await?;
            directory.delete(ResourceKind::User, id, None).await?;
            say(&format!("{user} is deleted"))
        }
    }
}

/// The id of a user by its userName, or its id.
async fn find(directory: &Directory, connector: &str, user: &str) -> Result<ResourceId, Failure> {
    if let Some(id) = directory.find_by_name(ResourceKind::User, user).await? {
        return Ok(id);
    }
    match ResourceId::parse(user) {
        Some(id) => Ok(id),
        None => nobody(directory, connector, user).await,
    }
}

/// Says that nobody has this name; and who had it, whom the client deleted and the directory keeps, as the name is free.
async fn nobody<T>(directory: &Directory, connector: &str, user: &str) -> Result<T, Failure> {
    let mut kept = Vec::new();
    for_each_user(directory, |one| {
        let resource = &one.stored.resource;
        if one.stored.is_retained && fold(user_name(&resource.document), false) == fold(user, false) {
            kept.push(resource.id.to_string());
        }
        Ok::<_, Failure>(())
    })
    .await?;
    if kept.is_empty() {
        return fail(format!("connector {connector} has no user {user}"));
    }
    fail(format!(
        "connector {connector} has no user {user}; the client deleted one who is kept, by the id {}",
        kept.join(", ")
    ))
}

/// Whether a SCIM filter matches a user; all do if there is none.
fn matcher(filter: Option<&str>) -> Result<impl Fn(&StoredUser, &Groups) -> bool, Failure> {
    let schema = Schemas::built_in().of(ResourceKind::User);
    let filter = filter.map(|text| Filter::parse(text)?.resolve(schema)).transpose()?;
    Ok(move |user: &StoredUser, groups: &Groups| {
        filter.as_ref().is_none_or(|filter| {
            let references = groups.references(&user.groups);
            filter.matches(&represent_to_match(&user.stored.resource, &references, None, ""))
        })
    })
}

async fn list(
    context: &Context,
    id: &str,
    with_hidden: bool,
    filter: Option<&str>,
    is_json: bool,
) -> Result<(), Failure> {
    let matches = matcher(filter)?;
    let connector = context.connector(id).await?;
    let settings = connector.record.settings.clone();
    let maker = EntryMaker::new(id, &settings, Schemas::built_in())?;
    let directory = context.directory(connector);
    let groups = Groups::read(&directory).await?;
    let heading = ["USERNAME", "NAME", "EMAIL", "GROUPS", "ORIGIN"].into_iter();
    // Who is hidden may have a name that is somebody else's by now.
    let heading = heading.chain(with_hidden.then_some("ID"));
    let mut rows: Vec<Vec<String>> = vec![heading.map(str::to_owned).collect()];
    let mut widths = Vec::new();
    let (mut shown, mut hidden) = (0, 0);
    for_each_user(&directory, |user| {
        let entry = groups.entry(user, &maker);
        if !matches(user, &groups) {
            return Ok(());
        }
        if entry.hidden.is_some() && !with_hidden {
            hidden += 1;
            return Ok(());
        }
        shown += 1;
        if is_json {
            return say(&to_json(&entry)?);
        }
        rows.push(row(entry, with_hidden));
        if rows.len() > ROWS_AT_ONCE {
            say(&columns_below(&mut widths, &std::mem::take(&mut rows)))?;
        }
        Ok(())
    })
    .await?;
    if is_json {
        return Ok(());
    }
    // If all users are hidden, the number says more than a heading.
    if !rows.is_empty() && (shown > 0 || hidden == 0) {
        say(&columns_below(&mut widths, &rows))?;
    }
    say_hidden(shown, hidden)
}

/// An entry as a line of JSON.
pub fn to_json(entry: &Entry) -> Result<String, Failure> {
    serde_json::to_string(entry).map_err(|error| Failure(error.to_string()))
}

fn row(entry: Entry, with_id: bool) -> Vec<String> {
    let email = entry.email.unwrap_or_else(|| "-".to_owned());
    let groups = if entry.groups.is_empty() { "-".to_owned() } else { entry.groups.join(", ") };
    let origin = match entry.hidden {
        Some(why) => format!("{}; hidden: {why}", entry.origin),
        None => entry.origin.to_owned(),
    };
    let mut row = vec![entry.username, entry.display_name, email, groups, origin];
    row.extend(with_id.then_some(entry.id));
    row
}

async fn show(context: &Context, id: &str, user: &str, is_json: bool) -> Result<(), Failure> {
    let connector = context.connector(id).await?;
    let settings = connector.record.settings.clone();
    let maker = EntryMaker::new(id, &settings, Schemas::built_in())?;
    let directory = context.directory(connector);
    let found = find(&directory, id, user).await?;
    let kept_or_there = directory.user_or_retained(found).await?;
    let Some(found) = kept_or_there else { return fail(format!("connector {id} has no user {user}")) };
    let groups = Groups::read(&directory).await?;
    let entry = groups.entry(&found, &maker);
    if is_json {
        return say(&to_json(&entry)?);
    }
    let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let list = |names: &[String]| if names.is_empty() { "-".to_owned() } else { names.join(", ") };
    let facts = [
        ("Id:", entry.id.clone()),
        ("userName:", user_name(&found.stored.resource.document).to_owned()),
        ("Username:", entry.username.clone()),
        ("First name:", text(entry.first_name.clone())),
        ("Last name:", text(entry.last_name.clone())),
        ("Display name:", entry.display_name.clone()),
        ("Email:", text(entry.email.clone())),
        ("Groups:", list(&entry.groups)),
        ("Effective groups:", list(&entry.effective_groups)),
        ("Roles:", list(&entry.roles)),
        ("Hidden:", entry.hidden.as_ref().map_or_else(|| "no".to_owned(), ToString::to_string)),
        ("Owner:", owner(if entry.origin == Origin::Scim.name() { Origin::Scim } else { Origin::Local }, id)),
    ];
    let facts: Vec<Vec<String>> =
        facts.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    say(&columns(&facts))
}

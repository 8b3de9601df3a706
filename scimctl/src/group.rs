//! `scimctl group` and `scimctl role`: what users are in, as the directory shows it; and what an operator makes by hand.

use clap::Subcommand;
use directory::Directory;
use directory::view::{EntryMaker, PUBLIC, is_built_in, owner};
use serde::Serialize;
use serde_json::{Map, json};
use shared::filter::Filter;
use shared::patch::{MemberOperation, MemberValue};
use shared::resource::{Document, Resource, ResourceId, ResourceKind, normalise, represent_to_match};
use shared::schema::Schemas;

use crate::context::{Context, Failure, columns, fail, printable, say, say_hidden};
use crate::user;
use directory::view::{Groups, for_each_user};

const GROUP_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// Who made the group that nobody made.
const BUILT_IN: &str = "built-in";

/// What can be done with groups.
#[derive(Subcommand)]
pub enum Command {
    /// List the groups that the directory shows
    #[command(after_help = "EXAMPLE:\n  scimctl group list okta --hidden --filter 'displayName sw \"data\"'")]
    List {
        /// The connector's id
        connector: String,
        /// Also those that it hides, and why
        #[arg(long)]
        hidden: bool,
        /// Only those that match a SCIM filter: `--filter 'displayName sw "a"'`
        #[arg(long)]
        filter: Option<String>,
        /// An object of JSON a line
        #[arg(long)]
        json: bool,
    },
    /// Show one group
    #[command(after_help = "EXAMPLE:\n  scimctl group show okta 'Data Stewards'")]
    Show {
        /// The connector's id
        connector: String,
        /// The group's name or id
        group: String,
        /// An object of JSON
        #[arg(long)]
        json: bool,
    },
    /// List the users of a group, those who are in it by way of another group with them
    #[command(after_help = "EXAMPLE:\n  scimctl group members okta 'Data Stewards' --direct")]
    Members {
        /// The connector's id
        connector: String,
        /// The group's name or id
        group: String,
        /// Only those who are in it directly
        #[arg(long)]
        direct: bool,
        /// Also those whom the directory hides
        #[arg(long)]
        hidden: bool,
        /// An entry, as an object of JSON, a line
        #[arg(long)]
        json: bool,
    },
    /// Make a group by hand
    #[command(after_help = "EXAMPLE:\n  scimctl group create okta 'Data Stewards'")]
    Create {
        /// The connector's id
        connector: String,
        /// The name
        group: String,
    },
    /// Give a group that was made by hand another name
    #[command(after_help = "EXAMPLE:\n  scimctl group rename okta 'Data Stewards' Stewards")]
    Rename {
        /// The connector's id
        connector: String,
        /// The group's name or id
        group: String,
        /// The new name
        name: String,
    },
    /// Put users, and groups of the identity provider, into a group that was made by hand
    #[command(after_help = "EXAMPLE:\n  scimctl group add okta 'Data Stewards' ann@example.com Sales")]
    Add {
        /// The connector's id
        connector: String,
        /// The group's name or id
        group: String,
        /// userNames, names of groups, or ids
        #[arg(required = true)]
        members: Vec<String>,
    },
    /// Take members out of a group that was made by hand
    #[command(after_help = "EXAMPLE:\n  scimctl group remove okta 'Data Stewards' ann@example.com")]
    Remove {
        /// The connector's id
        connector: String,
        /// The group's name or id
        group: String,
        /// userNames, names of groups, or ids
        #[arg(required = true)]
        members: Vec<String>,
    },
    /// Delete a group that was made by hand, or an empty one that the identity provider left behind
    #[command(after_help = "EXAMPLE:\n  scimctl group delete okta 'Data Stewards'")]
    Delete {
        /// The connector's id
        connector: String,
        /// The group's name or id
        group: String,
    },
}

/// What can be done with roles.
#[derive(Subcommand)]
pub enum RoleCommand {
    /// List the roles
    #[command(after_help = "EXAMPLE:\n  scimctl role list okta")]
    List {
        /// The connector's id
        connector: String,
    },
    /// Make a role
    #[command(after_help = "EXAMPLE:\n  scimctl role create okta approver")]
    Create {
        /// The connector's id
        connector: String,
        /// The name
        role: String,
    },
    /// Give a role to users, or to groups of the identity provider
    #[command(after_help = "EXAMPLE:\n  scimctl role assign okta approver ann@example.com Sales")]
    Assign {
        /// The connector's id
        connector: String,
        /// The role
        role: String,
        /// userNames, names of groups, or ids
        #[arg(required = true)]
        members: Vec<String>,
    },
    /// Take a role away
    #[command(after_help = "EXAMPLE:\n  scimctl role withdraw okta approver ann@example.com")]
    Withdraw {
        /// The connector's id
        connector: String,
        /// The role
        role: String,
        /// userNames, names of groups, or ids
        #[arg(required = true)]
        members: Vec<String>,
    },
    /// Delete a role
    #[command(after_help = "EXAMPLE:\n  scimctl role delete okta approver")]
    Delete {
        /// The connector's id
        connector: String,
        /// The role
        role: String,
    },
}

/// A group, as `--json` shows it.
#[derive(Serialize)]
struct Line<'a> {
    id: String,
    name: &'a str,
    origin: &'a str,
    hidden: Option<String>,
}

/// Carries out a command on groups.
pub async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::List { connector, hidden, filter, json } => {
            list(context, &connector, hidden, filter.as_deref(), json).await
        }
        Command::Show { connector, group, json } => show(context, &connector, &group, json).await,
        Command::Members { connector, group, direct, hidden, json } => {
            members(context, &connector, &group, direct, hidden, json).await
        }
        Command::Create { connector, group } => {
            let directory = open(context, &connector).await?;
            create(&directory, ResourceKind::LocalGroup, &group).await
        }
        Command::Rename { connector, group, name } => {
            let directory = open(context, &connector).await?;
            let (kind, id) = find(&directory, &connector, &group).await?;
            let renamed = |present: &Document| {
                let mut document = present.clone();
                document.insert("displayName".to_owned(), json!(name));
                normalise(&document, Schemas::built_in().of(kind))
            };
            directory.change_group(kind, id, None, renamed, &[]).await?;
            say(&format!("{group} is called {name}"))
        }
        Command::Add { connector, group, members } => {
            let directory = open(context, &connector).await?;
            let of = find(&directory, &connector, &group).await?;
            change(&directory, &connector, of, &members, true).await
        }
        Command::Remove { connector, group, members } => {
            let directory = open(context, &connector).await?;
            let of = find(&directory, &connector, &group).await?;
            change(&directory, &connector, of, &members, false).await
        }
        Command::Delete { connector, group } => {
            let directory = open(context, &connector).await?;
            let (kind, id) = find(&directory, &connector, &group).await?;
            directory.delete(kind, id, None).await?;
            say(&format!("{group} is deleted"))
        }
    }
}

/// Carries out a command on roles.
pub async fn run_role(command: RoleCommand, context: &Context) -> Result<(), Failure> {
    match command {
        RoleCommand::List { connector } => {
            let directory = open(context, &connector).await?;
            let mut rows = vec![["ROLE", "ID"].map(str::to_owned).to_vec()];
            let groups = Groups::read(&directory).await?;
            rows.extend(groups.roles().map(|role| vec![name_of(role), role.id.to_string()]));
            say(&columns(&rows))
        }
        RoleCommand::Create { connector, role } => {
            let directory = open(context, &connector).await?;
            create(&directory, ResourceKind::Role, &role).await
        }
        RoleCommand::Assign { connector, role, members } => {
            let directory = open(context, &connector).await?;
            let of = find_role(&directory, &connector, &role).await?;
            change(&directory, &connector, of, &members, true).await
        }
        RoleCommand::Withdraw { connector, role, members } => {
            let directory = open(context, &connector).await?;
            let of = find_role(&directory, &connector, &role).await?;
            change(&directory, &connector, of, &members, false).await
        }
        RoleCommand::Delete { connector, role } => {
            let directory = open(context, &connector).await?;
            let (kind, id) = find_role(&directory, &connector, &role).await?;
            directory.delete(kind, id, None).await?;
            say(&format!("{role} is deleted"))
        }
    }
}

async fn open(context: &Context, connector: &str) -> Result<Directory, Failure> {
    Ok(context.directory(context.connector(connector).await?))
}

/// The document of a group of this name.
pub fn document(name: &str) -> Document {
    Map::from_iter([("schemas".to_owned(), json!([GROUP_SCHEMA])), ("displayName".to_owned(), json!(name))])
}

async fn create(directory: &Directory, kind: ResourceKind, name: &str) -> Result<(), Failure> {
    let document = normalise(&document(name), Schemas::built_in().of(kind))?;
    let made = directory.create_group(kind, document, Vec::new()).await?;
    say(&format!("{name} is made: {}", made.id))
}

/// A group by its name, or its id, whoever made it.
pub async fn find(
    directory: &Directory,
    connector: &str,
    group: &str,
) -> Result<(ResourceKind, ResourceId), Failure> {
    if is_built_in(group) {
        return fail(format!("{PUBLIC} is built in: everybody is in it, and nobody changes it"));
    }
    for kind in [ResourceKind::LocalGroup, ResourceKind::Group] {
        if let Some(id) = directory.find_by_name(kind, group).await? {
            return Ok((kind, id));
        }
        if let Some(id) = ResourceId::parse(group)
            && directory.group(kind, id).await.is_ok()
        {
            return Ok((kind, id));
        }
    }
    fail(format!("connector {connector} has no group {group}"))
}

async fn find_role(
    directory: &Directory,
    connector: &str,
    role: &str,
) -> Result<(ResourceKind, ResourceId), Failure> {
    match directory.find_by_name(ResourceKind::Role, role).await? {
        Some(id) => Ok((ResourceKind::Role, id)),
        None => fail(format!("connector {connector} has no role {role}")),
    }
}

async fn change(
    directory: &Directory,
    connector: &str,
    (kind, id): (ResourceKind, ResourceId),
    members: &[String],
    joins: bool,
) -> Result<(), Failure> {
    let mut ids = Vec::new();
    for member in members {
        ids.push(find_member(directory, connector, member).await?);
    }
    let operation = if joins {
        let value = |id: &ResourceId| MemberValue { id: *id, kind: None, display: None };
        MemberOperation::Add(ids.iter().map(value).collect())
    } else {
        MemberOperation::Remove(ids.clone())
    };
    let unchanged = |document: &Document| Ok(document.clone());
    directory.change_group(kind, id, None, unchanged, &[operation]).await?;
    if !joins {
        return say(&format!("not in it: {}", members.join(", ")));
    }
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for (member, id_of_member) in members.iter().zip(ids) {
        // Who is no user is a group, and a group is never passed over.
        let is_passed_over = directory
            .user_or_retained(id_of_member)
            .await?
            .is_some_and(|user| !user.stored.resource.is_active() && !user.groups.contains(&id));
        if is_passed_over { outside.push(member.as_str()) } else { inside.push(member.as_str()) }
    }
    if !inside.is_empty() {
        say(&format!("in it: {}", inside.join(", ")))?;
    }
    if outside.is_empty() {
        return Ok(());
    }
    fail(format!("not in it, as whoever is deactivated joins no group: {}", outside.join(", ")))
}

/// A user, or a group of the identity provider. Groups that operators make are in no other, so none contains itself.
async fn find_member(directory: &Directory, connector: &str, member: &str) -> Result<ResourceId, Failure> {
    for kind in [ResourceKind::User, ResourceKind::Group] {
        if let Some(id) = directory.find_by_name(kind, member).await? {
            return Ok(id);
        }
    }
    match ResourceId::parse(member) {
        Some(id) => Ok(id),
        None => {
            fail(format!("connector {connector} has no user {member}, and no group of the identity provider"))
        }
    }
}

/// The displayName of a group or role.
pub fn name_of(group: &Resource) -> String {
    group.document.get("displayName").and_then(|name| name.as_str()).unwrap_or_default().to_owned()
}

async fn list(
    context: &Context,
    id: &str,
    with_hidden: bool,
    filter: Option<&str>,
    is_json: bool,
) -> Result<(), Failure> {
    let schema = Schemas::built_in().of(ResourceKind::Group);
    let filter = filter.map(|text| Filter::parse(text)?.resolve(schema)).transpose()?;
    let connector = context.connector(id).await?;
    let settings = connector.record.settings.clone();
    let maker = EntryMaker::new(id, &settings, Schemas::built_in())?;
    let directory = context.directory(connector);
    let groups = Groups::read(&directory).await?;
    let mut named: Vec<(String, &'static str, String)> = Vec::new();
    for group in groups.groups() {
        if let Some(filter) = &filter {
            let (members, _) = directory.memberships().members(group.id, usize::MAX).await?;
            if !filter.matches(&represent_to_match(group, &[], Some(&members), "")) {
                continue;
            }
        }
        named.push((maker.group_name(group), group.origin.name(), group.id.to_string()));
    }
    if filter.is_none() {
        named.push((PUBLIC.to_owned(), BUILT_IN, "-".to_owned()));
    }
    named.sort();
    let mut rows = vec![["GROUP", "ORIGIN", "ID"].map(str::to_owned).to_vec()];
    let (mut shown, mut not_shown) = (0, 0);
    for (name, origin, id) in named {
        let hidden = maker.hidden_group(&name).map(|why| why.to_string());
        if hidden.is_some() && !with_hidden {
            not_shown += 1;
            continue;
        }
        shown += 1;
        if is_json {
            let line = Line { id, name: &name, origin, hidden };
            say(&serde_json::to_string(&line).map_err(|error| Failure(error.to_string()))?)?;
            continue;
        }
        let origin = hidden.map_or_else(|| origin.to_owned(), |why| format!("{origin}; hidden: {why}"));
        rows.push(vec![name, origin, id]);
    }
    if is_json {
        return Ok(());
    }
    if shown > 0 || not_shown == 0 {
        say(&columns(&rows))?;
    }
    say_hidden(shown, not_shown)
}

async fn show(context: &Context, id: &str, group: &str, is_json: bool) -> Result<(), Failure> {
    let connector = context.connector(id).await?;
    let settings = connector.record.settings.clone();
    let maker = EntryMaker::new(id, &settings, Schemas::built_in())?;
    let directory = context.directory(connector);
    if is_built_in(group) {
        let hidden = maker.hidden_group(PUBLIC).map(|why| why.to_string());
        let line = Line { id: "-".to_owned(), name: PUBLIC, origin: BUILT_IN, hidden };
        return tell(line, "everybody", "nobody: it is built in", is_json);
    }
    let (kind, found) = find(&directory, id, group).await?;
    let resource = directory.group(kind, found).await?.resource;
    let (members, _) = directory.memberships().members(found, usize::MAX).await?;
    let users = members.iter().filter(|member| member.kind == ResourceKind::User).count();
    let name = maker.group_name(&resource);
    let hidden = maker.hidden_group(&name).map(|why| why.to_string());
    let members = format!("{users} users, {} groups", members.len() - users);
    let line = Line { id: resource.id.to_string(), name: &name, origin: resource.origin.name(), hidden };
    tell(line, &members, &owner(resource.origin, id), is_json)
}

fn tell(line: Line<'_>, members: &str, owner: &str, is_json: bool) -> Result<(), Failure> {
    if is_json {
        return say(&serde_json::to_string(&line).map_err(|error| Failure(error.to_string()))?);
    }
    let facts = [
        ["Id:", &line.id],
        ["Name:", line.name],
        ["Members:", members],
        ["Hidden:", line.hidden.as_deref().unwrap_or("no")],
        ["Owner:", owner],
    ];
    say(&columns(&facts.map(|fact| fact.map(str::to_owned).to_vec())))
}

async fn members(
    context: &Context,
    id: &str,
    group: &str,
    is_direct: bool,
    with_hidden: bool,
    is_json: bool,
) -> Result<(), Failure> {
    let connector = context.connector(id).await?;
    let settings = connector.record.settings.clone();
    let maker = EntryMaker::new(id, &settings, Schemas::built_in())?;
    let directory = context.directory(connector);
    let wanted = match is_built_in(group) {
        true => None,
        false => Some(find(&directory, id, group).await?.1),
    };
    let groups = Groups::read(&directory).await?;
    for_each_user(&directory, |user| {
        let is_member = match wanted {
            None => true,
            Some(group) if is_direct => user.groups.contains(&group),
            Some(group) => groups.is_in(&user.groups, group),
        };
        let entry = groups.entry(user, &maker);
        if !is_member || (entry.hidden.is_some() && !with_hidden) {
            return Ok(());
        }
        say(&if is_json { user::to_json(&entry)? } else { printable(&entry.username) })
    })
    .await
}

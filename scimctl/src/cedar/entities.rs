//! The entities of a directory: users, groups and roles as Cedar sees them.
//!
//! Users and groups that the directory hides are no entities, so no policy that asks for a group, a role or an attribute applies to
//! them. Entities are named by SCIM ids. A name would let a new user inherit what policies grant to an earlier user of that name.

use cedar_policy::{Entities, Schema};
use directory::view::{EntryMaker, Groups, Hidden, MembershipNames, PUBLIC, ShownNames, for_each_user};
use directory::{Counted, Directory, StoredUser};
use serde::Serialize;
use shared::error::chain;
use shared::filter::fold_name;
use shared::resource::{Resource, ResourceId, ResourceKind};

use crate::failure::{Failure, fail};
use crate::open_directory::OpenDirectory;
use crate::progress::progress_bar;
use crate::user::user_name;

/// The namespace of the types of a directory.
pub const NAMESPACE: &str = "Rollcall";
/// The type of users in Cedar.
pub const USER: &str = "Rollcall::User";
/// The type of groups in Cedar.
pub const GROUP: &str = "Rollcall::Group";
/// The type of roles in Cedar.
pub const ROLE: &str = "Rollcall::Role";

/// The schema of the entities, in Cedar's own syntax.
pub const SCHEMA: &str = include_str!("rollcall.cedarschema");

/// An entity in Cedar's JSON format.
#[derive(Debug, Serialize)]
pub struct Entity {
    uid: Uid,
    attrs: Attributes,
    parents: Vec<Uid>,
}

/// The type and the id of an entity.
#[derive(Clone, Debug, Serialize)]
struct Uid {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Attributes {
    User(UserAttributes),
    Group { name: String },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct UserAttributes {
    user_name: String,
    display_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    given_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    active: bool,
}

/// A user of the directory.
#[derive(Clone, Debug)]
pub struct User {
    /// The id.
    pub id: String,
    /// The username, after the mapping.
    pub username: String,
    /// The userName that the identity provider or an operator gave.
    stored_name: String,
    /// Why the directory hides the user, who is then no entity; `None` if it shows the user.
    pub hidden: Option<Hidden>,
}

/// A directory as Cedar sees it.
pub struct DirectoryEntities {
    connector: String,
    /// All users, also those that are no entities.
    pub users: Vec<User>,
    /// The shown users, the groups and the roles.
    pub entities: Vec<Entity>,
    /// The number of groups among the entities, without the built-in group.
    pub groups: usize,
    /// The number of groups that the directory hides.
    pub hidden_groups: usize,
    /// The number of roles.
    pub roles: usize,
}

impl DirectoryEntities {
    /// Reads a directory.
    ///
    /// # Errors
    /// Fails when DynamoDB does.
    pub async fn read(open: &OpenDirectory) -> Result<Self, Failure> {
        let (directory, maker) = (&open.directory, open.entry_maker()?);
        let total = directory.histogram(ResourceKind::User, Counted::All).await?.total();
        let groups = Groups::read(directory).await?;
        let names = ShownNames::read(directory, &maker).await?;
        let mut read = Self {
            connector: open.connector.clone(),
            users: Vec::with_capacity(total),
            entities: Vec::with_capacity(total),
            groups: 0,
            hidden_groups: 0,
            roles: groups.roles().count(),
        };
        read.add_users(directory, &groups, &maker, &names, total).await?;
        for group in groups.groups() {
            if maker.hidden_group(group).is_some() {
                read.hidden_groups += 1;
            } else {
                read.groups += 1;
                read.entities.push(group_entity(&groups, group, &maker));
            }
        }
        read.entities.push(public());
        read.entities.extend(groups.roles().map(|role| group_entity(&groups, role, &maker)));
        Ok(read)
    }

    async fn add_users(
        &mut self,
        directory: &Directory,
        groups: &Groups,
        maker: &EntryMaker<'_>,
        names: &ShownNames,
        total: usize,
    ) -> Result<(), Failure> {
        let bar = progress_bar("reading users", total);
        for_each_user::<Failure>(directory, |user| {
            bar.inc(1);
            let (user, entity) = user_entity(groups, user, maker, names);
            self.entities.extend(user.hidden.is_none().then_some(entity));
            self.users.push(user);
            Ok(())
        })
        .await?;
        bar.finish_and_clear();
        Ok(())
    }

    /// The users who are entities.
    pub fn shown_users(&self) -> impl Iterator<Item = &User> {
        self.users.iter().filter(|user| user.hidden.is_none())
    }

    /// Makes Cedar's form of the entities, which checks them against [`SCHEMA`].
    pub fn to_cedar(&self) -> Result<Entities, Failure> {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|error| Failure(chain(&error)))?;
        let json = serde_json::to_string(&self.entities)?;
        Entities::from_json_str(&json, Some(&schema)).map_err(|error| Failure(chain(&error)))
    }

    /// Finds the user with this id, username or userName. A user whom the directory shows is preferred to hidden ones.
    ///
    /// # Errors
    /// Fails if there is none, or if there are several.
    pub fn find_user(&self, name: &str) -> Result<&User, Failure> {
        if let Some(user) = self.users.iter().find(|user| user.id == name) {
            return Ok(user);
        }
        let folded = fold_name(name, false);
        let has_name = |user: &&User| {
            [&user.username, &user.stored_name].iter().any(|name| fold_name(name, false) == folded)
        };
        let (shown, hidden): (Vec<&User>, Vec<&User>) =
            self.users.iter().filter(has_name).partition(|user| user.hidden.is_none());
        match if shown.is_empty() { &hidden[..] } else { &shown[..] } {
            [] => fail(format!("connector {} has no user {name}", self.connector)),
            [user] => Ok(user),
            several => {
                let ids: Vec<&str> = several.iter().map(|user| user.id.as_str()).collect();
                fail(format!(
                    "connector {} has {} users of the name {name}; use an id: {}",
                    self.connector,
                    ids.len(),
                    ids.join(", ")
                ))
            }
        }
    }
}

/// Makes the entity of a user.
fn user_entity(
    groups: &Groups,
    user: &StoredUser,
    maker: &EntryMaker<'_>,
    names: &ShownNames,
) -> (User, Entity) {
    let taken_by = names.taken_by(&user.stored, maker);
    let entry = maker.entry(&user.stored, MembershipNames::default(), taken_by);
    let mut parents = parents(groups, &user.groups, maker);
    parents.push(uid_of_public());
    let entity = Entity {
        uid: Uid { kind: USER, id: entry.id.clone() },
        attrs: Attributes::User(UserAttributes {
            user_name: entry.username.clone(),
            display_name: entry.display_name,
            given_name: entry.first_name,
            family_name: entry.last_name,
            email: entry.email,
            active: true,
        }),
        parents,
    };
    let stored_name = user_name(&user.stored.resource.document).to_owned();
    (User { id: entry.id, username: entry.username, stored_name, hidden: entry.hidden }, entity)
}

/// Makes the entity of a group or role.
fn group_entity(groups: &Groups, group: &Resource, maker: &EntryMaker<'_>) -> Entity {
    Entity {
        uid: uid_of_group(group),
        attrs: Attributes::Group { name: maker.group_name(group) },
        parents: parents(groups, groups.parents(group.id), maker),
    }
}

/// The built-in group. A hidden user is not in it, unlike `principal is Rollcall::User`, which is true of every id.
fn public() -> Entity {
    Entity { uid: uid_of_public(), attrs: Attributes::Group { name: PUBLIC.to_owned() }, parents: Vec::new() }
}

fn uid_of_public() -> Uid {
    Uid { kind: GROUP, id: PUBLIC.to_owned() }
}

fn uid_of_group(group: &Resource) -> Uid {
    let kind = if group.kind == ResourceKind::Role { ROLE } else { GROUP };
    Uid { kind, id: group.id.to_string() }
}

/// The parents of a direct member of these groups and roles.
fn parents(groups: &Groups, direct: &[ResourceId], maker: &EntryMaker<'_>) -> Vec<Uid> {
    let parents = groups.shown_parents(direct, maker);
    parents.into_iter().filter_map(|id| groups.get(id)).map(uid_of_group).collect()
}

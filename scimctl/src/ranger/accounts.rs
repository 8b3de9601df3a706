//! The users, groups and memberships that Ranger has, and to whom they belong.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::client::{PAGE_SIZE, RangerClient};
use crate::failure::{Failure, fail};

/// The sync source of what this command sends.
pub const SYNC_SOURCE: &str = "SCIM";
/// The attribute that names the connector of a user or group.
pub const CONNECTOR: &str = "connector";

/// A user or group of Ranger.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// The name, which is its key.
    pub name: String,
    /// Whether Ranger shows it. Hiding changes no access.
    pub is_visible: bool,
    /// Whether it is Ranger's own: Ranger made it, or an administrator did.
    pub is_internal: bool,
    /// What sent it: `SCIM`, or `LDAP/AD` and the like of usersync.
    pub sync_source: Option<String>,
    /// What its source told of it.
    pub attributes: Map<String, Value>,
    /// What a user can do in Ranger Admin, such as `ROLE_USER`.
    pub roles: Vec<String>,
}

/// To whom a user or group of Ranger belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This connector.
    ThisConnector,
    /// No source: a policy named it before a source sent it. usersync takes these too.
    Unowned,
    /// Another: the text says whom.
    Other(String),
}

/// Everything that Ranger has.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    /// The users.
    pub users: Vec<Account>,
    /// The groups.
    pub groups: Vec<Account>,
    /// The names of the users in each group.
    pub members: BTreeMap<String, BTreeSet<String>>,
}

/// A user (`VXUser`) or a group (`VXGroup`), as Ranger sends it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    name: String,
    user_source: Option<i64>,
    group_source: Option<i64>,
    is_visible: Option<i64>,
    sync_source: Option<String>,
    /// JSON in a text.
    other_attributes: Option<String>,
    user_role_list: Option<Vec<String>>,
}

/// A page of users or groups.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    total_count: usize,
    #[serde(default, alias = "vXUsers", alias = "vXGroups")]
    entries: Vec<Sent>,
}

impl Accounts {
    /// Reads all users, groups and memberships.
    ///
    /// # Errors
    /// Fails if Ranger does, and if it answers with fewer entries than it counts.
    pub async fn read(client: &RangerClient) -> Result<Self, Failure> {
        let users = read_all(client, "users").await?;
        let groups = read_all(client, "groups").await?;
        let members = client.get("xusers/ugsync/groupusers").await?;
        Ok(Self { users, groups, members })
    }
}

async fn read_all(client: &RangerClient, kind: &str) -> Result<Vec<Account>, Failure> {
    let mut all: BTreeMap<String, Account> = BTreeMap::new();
    let mut start = 0;
    loop {
        let path = format!("xusers/{kind}/?startIndex={start}&pageSize={PAGE_SIZE}");
        let page: Page = client.get(&path).await?;
        let (total, received) = (page.total_count, page.entries.len());
        start += received;
        all.extend(page.entries.into_iter().map(|sent| (sent.name.clone(), Account::from(sent))));
        if start < total && received > 0 {
            continue;
        }
        // An entry that is missing here could belong to another source.
        if all.len() < total {
            return fail(format!(
                "Ranger counts {total} {kind}, and answered with {} of them; run the command again",
                all.len()
            ));
        }
        return Ok(all.into_values().collect());
    }
}

impl From<Sent> for Account {
    fn from(sent: Sent) -> Self {
        let attributes = sent.other_attributes.and_then(|text| serde_json::from_str(&text).ok());
        Self {
            name: sent.name,
            is_visible: sent.is_visible != Some(0),
            is_internal: sent.user_source.or(sent.group_source) == Some(0),
            sync_source: sent.sync_source.filter(|source| !source.is_empty()),
            attributes: attributes.unwrap_or_default(),
            roles: sent.user_role_list.unwrap_or_default(),
        }
    }
}

impl Account {
    /// Finds out to whom it belongs.
    pub fn owner(&self, connector: &str) -> Owner {
        let of_connector = self.attributes.get(CONNECTOR).and_then(Value::as_str);
        match (self.is_internal, self.sync_source.as_deref(), of_connector) {
            (true, ..) => Owner::Other("Ranger itself".to_owned()),
            (false, None, _) => Owner::Unowned,
            (false, Some(SYNC_SOURCE), Some(of_connector)) if of_connector == connector => {
                Owner::ThisConnector
            }
            (false, Some(SYNC_SOURCE), Some(other)) => Owner::Other(format!("connector {other}")),
            (false, Some(source), _) => Owner::Other(format!("the source {source}")),
        }
    }
}

//! What to send to Ranger: the difference between what it has and what the directory shows. A pure function of both.
//!
//! Ranger has no ids and no renames: a new name is a new user, and the old one is hidden. Users and groups of others are left as
//! they are. Names that differ only in case count as one name, because some of Ranger's databases cannot tell them apart.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use shared::filter::fold_name;

use super::accounts::{Account, Accounts, CONNECTOR, Owner, SYNC_SOURCE};
use super::roles;
use super::wanted::{Wanted, WantedGroup, WantedUser};

/// Something that is not sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// What, such as `user ann`.
    pub what: String,
    /// Why.
    pub why: String,
}

/// The members that a group of Ranger gets and loses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberChange {
    /// The name of the group.
    pub group: String,
    /// The names of the users to add.
    pub add: Vec<String>,
    /// The names of the users to remove.
    pub remove: Vec<String>,
    /// The number of this connector's users that are in the group now.
    pub present: usize,
}

/// What to send.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// The users to create or update, as `VXUser`.
    pub users: Vec<Value>,
    /// The groups to create or update, as `VXGroup`.
    pub groups: Vec<Value>,
    /// The memberships to change.
    pub members: Vec<MemberChange>,
    /// The users to hide.
    pub hidden_users: Vec<String>,
    /// The groups to hide.
    pub hidden_groups: Vec<String>,
    /// The users whose role in Ranger Admin changes, with the new role.
    pub roles: BTreeMap<String, String>,
    /// What is not sent, and why.
    pub skipped: Vec<Skipped>,
    /// The number of this connector's users that Ranger shows now.
    pub present_users: usize,
}

/// What a difference is computed for.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'s> {
    /// The id of the connector.
    pub connector: &'s str,
    /// The account that the command uses in Ranger. It is never changed.
    pub account: &'s str,
    /// Whether the roles in Ranger Admin are changed too.
    pub with_roles: bool,
}

impl Difference {
    /// Computes the difference.
    pub fn between(wanted: &Wanted, present: &Accounts, scope: Scope<'_>) -> Self {
        let mut difference = Self { skipped: wanted.skipped.clone(), ..Self::default() };
        let users = Names::new(&present.users, scope);
        let groups = Names::new(&present.groups, scope);
        let mut sent_users = Sent::default();
        for user in &wanted.users {
            match users.find(&user.username) {
                Err(why) => difference.skip("user", sent_users.leave(&user.username), why),
                Ok(account) => {
                    sent_users.names.insert(&user.username);
                    difference.add_user(user, account, scope);
                }
            }
        }
        let mut sent_groups = Sent { untouched: wanted.repeated_groups.clone(), ..Sent::default() };
        for group in &wanted.groups {
            match groups.find(&group.name) {
                Err(why) => difference.skip("group", sent_groups.leave(&group.name), why),
                Ok(account) => {
                    sent_groups.names.insert(&group.name);
                    difference.add_group(group, account, scope);
                }
            }
        }
        let is_visible = |account: &&Account| account.is_visible;
        let name = |account: &Account| account.name.clone();
        difference.present_users = users.ours().filter(is_visible).count();
        difference.hidden_users = users.gone(&sent_users).filter(is_visible).map(name).collect();
        difference.hidden_groups = groups.gone(&sent_groups).filter(is_visible).map(name).collect();

        let mut members: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for user in wanted.users.iter().filter(|user| sent_users.names.contains(user.username.as_str())) {
            for group in user.groups.iter().filter(|group| sent_groups.names.contains(group.as_str())) {
                members.entry(group).or_default().insert(&user.username);
            }
        }
        let mut ours = sent_users.names.clone();
        ours.extend(users.ours().map(|account| account.name.as_str()));
        // A hidden group still gives its members what policies grant it, so they leave it.
        let gone_groups = groups.gone(&sent_groups).map(|group| group.name.as_str());
        for group in sent_groups.names.iter().copied().chain(gone_groups) {
            let now = present.members.get(group).into_iter().flatten().map(String::as_str);
            let now = now.filter(|name| !sent_users.untouched.contains(&fold(name)));
            let (mine, others): (BTreeSet<&str>, BTreeSet<&str>) = now.partition(|name| ours.contains(name));
            for name in others {
                let why = format!("stays in group {group}, because the user is not this connector's");
                difference.skip("user", name, why);
            }
            difference.change_members(group, &mine, &members.remove(group).unwrap_or_default());
        }
        difference
    }

    /// Whether nothing is to be sent.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
            && self.groups.is_empty()
            && self.members.is_empty()
            && self.hidden_users.is_empty()
            && self.hidden_groups.is_empty()
            && self.roles.is_empty()
    }

    fn skip(&mut self, kind: &str, name: &str, why: String) {
        self.skipped.push(Skipped { what: format!("{kind} {name}"), why });
    }

    fn add_user(&mut self, user: &WantedUser, account: Option<&Account>, scope: Scope<'_>) {
        let attributes = user.attributes(scope.connector);
        if account.is_none_or(|account| !account.has(scope.connector, &attributes)) {
            self.users.push(user.entry(scope.connector, account, &attributes));
        }
        if !scope.with_roles {
            return;
        }
        match roles::change(&user.roles, account) {
            Ok(Some(role)) => {
                self.roles.insert(user.username.clone(), role.to_owned());
            }
            Ok(None) => {}
            Err(why) => self.skip("the role of user", &user.username, why),
        }
    }

    fn add_group(&mut self, group: &WantedGroup, account: Option<&Account>, scope: Scope<'_>) {
        let attributes = group.attributes(scope.connector);
        if account.is_none_or(|account| !account.has(scope.connector, &attributes)) {
            self.groups.push(group.entry(scope.connector, &attributes));
        }
    }

    fn change_members(&mut self, group: &str, now: &BTreeSet<&str>, then: &BTreeSet<&str>) {
        let names =
            |names: Vec<&&str>| -> Vec<String> { names.into_iter().map(|name| (*name).to_owned()).collect() };
        let add = names(then.difference(now).collect());
        let remove = names(now.difference(then).collect());
        if !add.is_empty() || !remove.is_empty() {
            self.members.push(MemberChange { group: group.to_owned(), add, remove, present: now.len() });
        }
    }
}

/// The users or groups of the directory, by whether they are sent.
#[derive(Default)]
struct Sent<'w> {
    /// The names of those that are sent.
    names: BTreeSet<&'w str>,
    /// The folded names of those that are not. What Ranger has with these names is left as it is.
    untouched: BTreeSet<String>,
}

impl<'w> Sent<'w> {
    /// Notes that a name is not sent.
    fn leave(&mut self, name: &'w str) -> &'w str {
        self.untouched.insert(fold(name));
        name
    }
}

/// The users or groups of Ranger by their names.
struct Names<'a> {
    by_fold: BTreeMap<String, Vec<&'a Account>>,
    scope: Scope<'a>,
}

impl<'a> Names<'a> {
    fn new(accounts: &'a [Account], scope: Scope<'a>) -> Self {
        let mut by_fold: BTreeMap<String, Vec<&Account>> = BTreeMap::new();
        for account in accounts {
            by_fold.entry(fold(&account.name)).or_default().push(account);
        }
        Self { by_fold, scope }
    }

    /// Finds the account with a name, which can be changed; `None` if it can be created. The error says why neither is possible.
    fn find(&self, name: &str) -> Result<Option<&'a Account>, String> {
        if let Some(why) = self.protection(name) {
            return Err(why);
        }
        let folded = fold(name);
        if folded.is_empty() || folded == "null" {
            return Err("Ranger ignores this name".to_owned());
        }
        let same = self.by_fold.get(&folded).map_or(&[][..], Vec::as_slice);
        for account in same {
            if let Owner::Other(whose) = account.owner(self.scope.connector) {
                return Err(format!("Ranger has {} of {whose}", account.name));
            }
        }
        let exact = same.iter().find(|account| account.name == name);
        match (exact, same.first()) {
            (None, Some(other)) => Err(format!("Ranger has {}, which differs only in case", other.name)),
            _ => Ok(exact.copied()),
        }
    }

    /// Why an account is never changed.
    fn protection(&self, name: &str) -> Option<String> {
        if name.eq_ignore_ascii_case("admin") {
            return Some("it is Ranger's administrator".to_owned());
        }
        name.eq_ignore_ascii_case(self.scope.account)
            .then(|| "it is the account that this command uses".to_owned())
    }

    /// The accounts of this connector.
    fn ours(&self) -> impl Iterator<Item = &'a Account> {
        let is_ours = |account: &&Account| {
            account.owner(self.scope.connector) == Owner::ThisConnector
                && self.protection(&account.name).is_none()
        };
        self.by_fold.values().flatten().copied().filter(is_ours)
    }

    /// The accounts of this connector that the directory does not show any more.
    fn gone(&self, sent: &Sent<'_>) -> impl Iterator<Item = &'a Account> {
        let is_kept = |name: &str| sent.names.contains(name) || sent.untouched.contains(&fold(name));
        self.ours().filter(move |account| !is_kept(&account.name))
    }
}

/// A name as names are compared.
pub fn fold(name: &str) -> String {
    fold_name(name, false).into_owned()
}

impl Account {
    /// Whether Ranger shows it with these attributes as this connector's.
    fn has(&self, connector: &str, attributes: &Map<String, Value>) -> bool {
        self.is_visible && self.owner(connector) == Owner::ThisConnector && self.attributes == *attributes
    }
}

/// The attributes that Ranger stores of what this command sends. They are compared, so they have everything that is sent.
fn attributes<const N: usize>(connector: &str, values: [(&str, Option<&str>); N]) -> Map<String, Value> {
    let values = values.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?))));
    let fixed = [("sync_source", SYNC_SOURCE), (CONNECTOR, connector)];
    fixed.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).chain(values).collect()
}

impl WantedUser {
    fn attributes(&self, connector: &str) -> Map<String, Value> {
        let values = [
            ("full_name", Some(self.id.as_str())),
            ("original_name", Some(self.user_name.as_str())),
            ("email", self.email.as_deref()),
            ("first_name", self.first_name.as_deref()),
            ("last_name", self.last_name.as_deref()),
        ];
        attributes(connector, values)
    }

    /// The user as `VXUser`. `emailAddress` is never sent: it must be unique in Ranger, and one that is not fails the whole call. A
    /// user without a first name would be passed over.
    fn entry(&self, connector: &str, account: Option<&Account>, attributes: &Map<String, Value>) -> Value {
        let is_name = |name: &&str| !name.trim().is_empty() && !name.eq_ignore_ascii_case("null");
        let first_name = self.first_name.as_deref().filter(is_name).unwrap_or(&self.username);
        let roles = account.map(|account| account.roles.clone()).filter(|roles| !roles.is_empty());
        json!({
            "name": self.username,
            "firstName": first_name,
            "lastName": self.last_name.as_deref().filter(is_name).unwrap_or_default(),
            "description": format!("{SYNC_SOURCE} {connector}"),
            "status": 1,
            "userSource": 1,
            "isVisible": 1,
            "userRoleList": roles.unwrap_or_else(|| vec![roles::DEFAULT.to_owned()]),
            "groupNameList": [],
            "syncSource": SYNC_SOURCE,
            "otherAttributes": Value::Object(attributes.clone()).to_string(),
        })
    }
}

impl WantedGroup {
    fn attributes(&self, connector: &str) -> Map<String, Value> {
        attributes(
            connector,
            [("full_name", Some(self.id.as_str())), ("original_name", Some(self.name.as_str()))],
        )
    }

    /// The group as `VXGroup`.
    fn entry(&self, connector: &str, attributes: &Map<String, Value>) -> Value {
        json!({
            "name": self.name,
            "description": format!("{SYNC_SOURCE} {connector}"),
            "groupType": 1,
            "groupSource": 1,
            "isVisible": 1,
            "syncSource": SYNC_SOURCE,
            "otherAttributes": Value::Object(attributes.clone()).to_string(),
        })
    }
}

//! Users, groups, memberships, visibility, and the roles that users have in Ranger itself.

use std::collections::{BTreeMap, BTreeSet};

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::{ACCOUNT, Answer, Call, FakeRanger, Ranger};

/// The fields of a user or group that a call can set.
const FIELDS: [&str; 12] = [
    "firstName",
    "lastName",
    "emailAddress",
    "description",
    "status",
    "userSource",
    "groupSource",
    "groupType",
    "userRoleList",
    "isVisible",
    "syncSource",
    "otherAttributes",
];

impl FakeRanger {
    /// A user as Ranger has it; null if there is none.
    pub fn user(&self, name: &str) -> Value {
        self.state().users.get(name).cloned().unwrap_or_default()
    }

    /// A group as Ranger has it; null if there is none.
    pub fn group(&self, name: &str) -> Value {
        self.state().groups.get(name).cloned().unwrap_or_default()
    }

    /// The names of the users that are visible, without Ranger's internal ones.
    pub fn visible_users(&self) -> Vec<String> {
        visible(&self.state().users, "userSource")
    }

    /// The names of the groups that are visible, without the internal ones.
    pub fn visible_groups(&self) -> Vec<String> {
        visible(&self.state().groups, "groupSource")
    }

    /// The names of the users in a group.
    pub fn members(&self, group: &str) -> Vec<String> {
        self.state().members.get(group).into_iter().flatten().cloned().collect()
    }

    /// The number of memberships.
    pub fn memberships(&self) -> usize {
        self.state().members.values().map(BTreeSet::len).sum()
    }

    /// Adds a user of another source, or changes one: usersync, an administrator or Ranger itself does this.
    pub fn put_user(&self, name: &str, fields: &Value) {
        let mut state = self.state();
        let id = state.next_id();
        put(&mut state.users, id, name, fields);
    }

    /// Adds a group of another source, or changes one, and gives it these users.
    pub fn put_group(&self, name: &str, fields: &Value, users: &[&str]) {
        let mut state = self.state();
        let id = state.next_id();
        put(&mut state.groups, id, name, fields);
        state.members.entry(name.to_owned()).or_default().extend(users.iter().map(|user| (*user).to_owned()));
    }

    /// Makes Ranger pass over a user without an error, as it does with users whose names or first names it does not accept.
    pub fn pass_over(&self, name: &str) {
        self.state().passed_over = Some(name.to_owned());
    }

    /// Removes a user without a trace, as another administrator can.
    pub fn remove_user(&self, name: &str) {
        self.state().remove_user(name);
    }
}

impl Ranger {
    pub(super) fn add_internal(&mut self) {
        for (name, role) in [
            ("admin", "ROLE_SYS_ADMIN"),
            (ACCOUNT, "ROLE_SYS_ADMIN"),
            ("keyadmin", "ROLE_KEY_ADMIN"),
            ("hive", "ROLE_USER"),
        ] {
            let id = self.next_id();
            let fields = json!({ "firstName": name, "status": 1, "userSource": 0, "isVisible": 1, "userRoleList": [role] });
            put(&mut self.users, id, name, &fields);
        }
        let id = self.next_id();
        put(&mut self.groups, id, "public", &json!({ "groupSource": 0, "groupType": 0, "isVisible": 1 }));
    }

    pub(super) fn handle_users(&mut self, call: &Call<'_>, path: &str) -> Answer {
        match (call.method, path.trim_end_matches('/')) {
            (&Method::GET, "users") => Ok(list(call, &self.users, "vXUsers")),
            (&Method::GET, "groups") => Ok(list(call, &self.groups, "vXGroups")),
            (&Method::GET, "ugsync/groupusers") => Ok(json!(self.members)),
            (&Method::POST, "ugsync/users") => self.put_users(&call.json()?),
            (&Method::POST, "ugsync/groups") => self.put_groups(&call.json()?),
            (&Method::POST, "ugsync/groupusers") => self.change_members(&call.json()?),
            (&Method::POST, "ugsync/users/visibility") => Ok(hide(&mut self.users, &call.json()?)),
            (&Method::POST, "ugsync/groups/visibility") => Ok(hide(&mut self.groups, &call.json()?)),
            (&Method::POST, "users/roleassignments") => self.assign_roles(&call.json()?),
            (&Method::DELETE, path) => match path.strip_prefix("secure/users/") {
                Some(name) if call.first("forceDelete") == Some("true") => self.delete_user(name),
                _ => Err((StatusCode::NOT_FOUND, path.to_owned())),
            },
            (_, path) => Err((StatusCode::NOT_FOUND, path.to_owned())),
        }
    }

    /// `XUserMgr.createOrUpdateXUsers`: each user is committed alone, so those before an error stay.
    fn put_users(&mut self, body: &Value) -> Answer {
        let mut count = 0;
        for user in body["vXUsers"].as_array().into_iter().flatten() {
            let text = |field: &str| user[field].as_str().unwrap_or_default().trim().to_owned();
            let is_blank = |text: &str| text.is_empty() || text.eq_ignore_ascii_case("null");
            let (name, first_name, email) = (text("name"), text("firstName"), text("emailAddress"));
            let is_passed_over = self.passed_over.as_ref() == Some(&name);
            if is_blank(&name) || is_blank(&first_name) || is_passed_over {
                continue;
            }
            let has_email = |other: &(&String, &Value)| *other.0 != name && other.1["emailAddress"] == *email;
            if !email.is_empty() && (!email.contains('@') || self.users.iter().any(|other| has_email(&other)))
            {
                return Err((StatusCode::BAD_REQUEST, "Failed to create or update users ".to_owned()));
            }
            let id = self.next_id();
            put(&mut self.users, id, user["name"].as_str().unwrap_or_default(), user);
            count += 1;
        }
        // This call answers with the count as text.
        Ok(json!(count.to_string()))
    }

    /// `XUserMgr.createOrUpdateXGroups`: the answer counts the groups that it passed over too.
    fn put_groups(&mut self, body: &Value) -> Answer {
        let groups = body["vXGroups"].as_array().cloned().unwrap_or_default();
        for group in &groups {
            let name = group["name"].as_str().unwrap_or_default();
            if !name.trim().is_empty() && !name.eq_ignore_ascii_case("null") {
                let id = self.next_id();
                put(&mut self.groups, id, name, group);
            }
        }
        Ok(json!(groups.len()))
    }

    /// `XGroupUserService.createOrDeleteXGroupUsers`: unknown users and groups are passed over.
    fn change_members(&mut self, body: &Value) -> Answer {
        let mut changed = 0;
        for change in body.as_array().into_iter().flatten() {
            let names = |field: &str| -> Vec<String> {
                let names = change[field].as_array().into_iter().flatten();
                names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
            };
            let group = change["groupName"].as_str().unwrap_or_default();
            let (added, removed) = (names("addUsers"), names("delUsers"));
            if (added.is_empty() && removed.is_empty()) || !self.groups.contains_key(group) {
                continue;
            }
            let members = self.members.entry(group.to_owned()).or_default();
            members.extend(added.into_iter().filter(|name| self.users.contains_key(name)));
            members.retain(|name| !removed.contains(name));
            changed += 1;
        }
        self.members.retain(|_, members| !members.is_empty());
        Ok(json!(changed))
    }

    /// `XUserMgr.updateUserRoleAssignments`, without reset. It changes administrators too.
    fn assign_roles(&mut self, body: &Value) -> Answer {
        let mut changed = Vec::new();
        for name in body["users"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let role = body["userRoleAssignments"][name].as_str().unwrap_or("ROLE_USER").to_owned();
            let Some(user) = self.users.get_mut(name).filter(|user| user["userSource"] == 1) else {
                continue;
            };
            if user["userRoleList"] != json!([role]) {
                user["userRoleList"] = json!([role]);
                changed.push(name.to_owned());
            }
        }
        Ok(json!(changed))
    }

    /// Deletes a user from all policy items. It is refused while a role or a zone names the user.
    fn delete_user(&mut self, name: &str) -> Answer {
        let names = |value: &Value| value.to_string().contains(&format!("\"{name}\""));
        if self.roles.values().chain(self.zones.values()).any(names) {
            let text = format!("Can Not Delete User '{name}' as its present in Role or Security Zone");
            return Err((StatusCode::BAD_REQUEST, text));
        }
        self.remove_user(name);
        Ok(Value::Null)
    }

    fn remove_user(&mut self, name: &str) {
        self.users.remove(name);
        self.members.values_mut().for_each(|members| {
            members.remove(name);
        });
        self.remove_from_policies(name);
    }
}

fn visible(all: &BTreeMap<String, Value>, source: &str) -> Vec<String> {
    let shown = all.iter().filter(|(_, one)| one["isVisible"] == 1 && one[source] == 1);
    shown.map(|(name, _)| name.clone()).collect()
}

/// Creates or changes an entry. What the call does not set has Java's default in a new entry: 0, visible.
fn put(all: &mut BTreeMap<String, Value>, id: u64, name: &str, fields: &Value) {
    let new =
        || json!({ "id": id, "name": name, "status": 0, "isVisible": 1, "userRoleList": ["ROLE_USER"] });
    let entry = all.entry(name.to_owned()).or_insert_with(new);
    for field in FIELDS {
        if let Some(value) = fields.get(field) {
            entry[field] = value.clone();
        }
    }
}

/// Hides entries. The answer is the number of names, whether or not they exist.
fn hide(all: &mut BTreeMap<String, Value>, names: &Value) -> Value {
    let names: Vec<&str> = names.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for name in &names {
        if let Some(entry) = all.get_mut(*name) {
            entry["isVisible"] = json!(0);
        }
    }
    json!(names.len())
}

/// A page in the order of ids, as `VXUserList` or `VXGroupList`.
fn list(call: &Call<'_>, all: &BTreeMap<String, Value>, field: &str) -> Value {
    let mut entries: Vec<&Value> = all.values().collect();
    entries.sort_by_key(|entry| entry["id"].as_u64());
    let page = call.page(entries.into_iter().cloned());
    let mut list = Map::new();
    list.insert("startIndex".to_owned(), json!(call.number("startIndex", 0)));
    list.insert("pageSize".to_owned(), json!(call.number("pageSize", 200)));
    list.insert("totalCount".to_owned(), json!(all.len()));
    list.insert("resultSize".to_owned(), json!(page.len()));
    list.insert("sortType".to_owned(), json!("asc"));
    list.insert("sortBy".to_owned(), json!("id"));
    list.insert("queryTimeMS".to_owned(), json!(1_795_564_800_000_u64));
    list.insert(field.to_owned(), json!(page));
    Value::Object(list)
}

//! Services, policies, roles and zones, and the decisions that policies make.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Answer, Call, FakeRanger, Ranger};

/// The lists of a policy whose items name users, groups and roles.
const LISTS: [&str; 6] = [
    "policyItems",
    "denyPolicyItems",
    "allowExceptions",
    "denyExceptions",
    "dataMaskPolicyItems",
    "rowFilterPolicyItems",
];

impl FakeRanger {
    /// Adds a policy to a service, which is created if it does not exist, and returns the policy's id. The fields replace those of
    /// an enabled policy without items.
    pub fn add_policy(&self, service: &str, name: &str, fields: &Value) -> u64 {
        let mut state = self.state();
        if !state.services.iter().any(|one| one["name"] == service) {
            let id = state.next_id();
            state.services.push(json!({ "id": id, "name": service, "type": "hive", "isEnabled": true }));
        }
        let id = state.next_id();
        let mut policy = json!({
            "id": id, "guid": format!("guid-{id}"), "isEnabled": true, "version": 1, "service": service, "name": name,
            "policyType": 0, "policyPriority": 0, "isAuditEnabled": true, "zoneName": "",
            "resources": { "database": { "values": ["hr"], "isExcludes": false, "isRecursive": false } }
        });
        for list in LISTS {
            policy[list] = json!([]);
        }
        for (field, value) in fields.as_object().into_iter().flatten() {
            policy[field] = value.clone();
        }
        state.policies.insert(id, policy);
        id
    }

    /// A policy; null if there is none.
    pub fn policy(&self, id: u64) -> Value {
        self.state().policies.get(&id).cloned().unwrap_or_default()
    }

    /// Changes a policy, as another administrator does.
    ///
    /// # Panics
    /// When there is no such policy.
    pub fn change_policy(&self, id: u64, change: impl FnOnce(&mut Value)) {
        let mut state = self.state();
        let policy = state.policies.get_mut(&id).expect("the policy exists");
        change(policy);
        policy["version"] = json!(policy["version"].as_u64().unwrap_or_default() + 1);
    }

    /// All policies, as Ranger exports them to a file (`exportJson`).
    pub fn export(&self) -> String {
        let policies: Vec<Value> = self.state().policies.values().cloned().collect();
        let meta = json!({ "Host name": "ranger", "Exported by": "Admin", "Ranger apache version": "2.9.0" });
        json!({ "metaDataInfo": meta, "policies": policies }).to_string()
    }

    /// Adds a role, and returns its id. The fields replace those of a role without members.
    pub fn add_role(&self, name: &str, fields: &Value) -> u64 {
        let mut state = self.state();
        let id = state.next_id();
        let mut role =
            json!({ "id": id, "name": name, "isEnabled": true, "users": [], "groups": [], "roles": [] });
        for (field, value) in fields.as_object().into_iter().flatten() {
            role[field] = value.clone();
        }
        state.roles.insert(id, role);
        id
    }

    /// A role; null if there is none.
    pub fn role(&self, id: u64) -> Value {
        self.state().roles.get(&id).cloned().unwrap_or_default()
    }

    /// Adds a security zone, and returns its id. Ranger leaves out empty lists.
    pub fn add_zone(&self, name: &str, fields: &Value) -> u64 {
        let mut state = self.state();
        let id = state.next_id();
        let mut zone = json!({ "id": id, "name": name, "isEnabled": true, "services": {} });
        for (field, value) in fields.as_object().into_iter().flatten() {
            zone[field] = value.clone();
        }
        state.zones.insert(id, zone);
        id
    }

    /// A zone; null if there is none.
    pub fn zone(&self, id: u64) -> Value {
        self.state().zones.get(&id).cloned().unwrap_or_default()
    }

    /// Whether the policies of a service allow a user an access, as Ranger's plugins decide: by the names of the user, its groups and
    /// the roles. Whether Ranger shows the user plays no part.
    pub fn allows(&self, service: &str, user: &str, access: &str) -> bool {
        let state = self.state();
        let groups = state.groups_of(user);
        let roles = state.roles_of(user, &groups);
        let is_in = |policy: &Value, list: &str| {
            policy[list].as_array().into_iter().flatten().any(|item| {
                let mut accesses = item["accesses"].as_array().into_iter().flatten();
                let has = |field: &str, names: &BTreeSet<String>| {
                    let mut listed = item[field].as_array().into_iter().flatten().filter_map(Value::as_str);
                    listed.any(|name| names.contains(name))
                };
                accesses.any(|one| one["type"] == access)
                    && (has("users", &BTreeSet::from([user.to_owned()]))
                        || has("groups", &groups)
                        || has("roles", &roles))
            })
        };
        let policies: Vec<&Value> = state
            .policies
            .values()
            .filter(|one| one["service"] == service && one["isEnabled"] == true)
            .collect();
        let denied = |policy: &&&Value| is_in(policy, "denyPolicyItems") && !is_in(policy, "denyExceptions");
        let allowed = |policy: &&&Value| is_in(policy, "policyItems") && !is_in(policy, "allowExceptions");
        policies.iter().find(denied).is_none() && policies.iter().any(|policy| allowed(&policy))
    }
}

impl Ranger {
    pub(super) fn handle_policies(&mut self, call: &Call<'_>, path: &str) -> Answer {
        let path = path.trim_end_matches('/');
        let parts: Vec<&str> = path.split('/').collect();
        match (call.method, parts.as_slice()) {
            (&Method::GET, ["service"]) => Ok(json!(call.page(self.services.iter().cloned()))),
            (&Method::GET, ["service", name, "policy"]) => {
                let of_service = self.policies.values().filter(|policy| policy["service"] == *name);
                Ok(json!(call.page(of_service.cloned())))
            }
            (&Method::GET, ["policy"]) => {
                Ok(json!(call.page(self.policies_for(call.first("user")).into_iter())))
            }
            (&Method::GET, ["policy", id]) => found(self.policies.get(&number(id)), path),
            (&Method::PUT, ["policy", id]) => self.put_policy(number(id), &call.json()?),
            (&Method::GET, ["roles"]) => Ok(json!(call.page(self.roles.values().cloned()))),
            (&Method::GET, ["roles", id]) => found(self.roles.get(&number(id)), path),
            (&Method::PUT, ["roles", id, "removeUsersAndGroups"]) => {
                let Some(role) = self.roles.get_mut(&number(id)) else { return not_found(path) };
                for field in ["users", "groups"] {
                    if let Some(members) = role[field].as_array_mut() {
                        let gone = call.all(field);
                        members.retain(|member| !gone.iter().any(|name| member["name"] == **name));
                    }
                }
                Ok(role.clone())
            }
            // Zones are not in pages.
            (&Method::GET, ["zones"]) => Ok(json!(self.zones.values().collect::<Vec<_>>())),
            (&Method::GET, ["zones", id]) => found(self.zones.get(&number(id)), path),
            (&Method::PUT, ["zones", id]) => self.put_zone(number(id), &call.json()?),
            _ => not_found(path),
        }
    }

    /// `ServiceREST.updatePolicy`: the last writer wins; the version in the body plays no part. An item without principals is
    /// refused, and so is a name that Ranger does not know.
    fn put_policy(&mut self, id: u64, policy: &Value) -> Answer {
        let Some(existing) = self.policies.get(&id) else { return not_found(&format!("policy/{id}")) };
        let version = existing["version"].as_u64().unwrap_or_default() + 1;
        for item in LISTS.iter().flat_map(|list| policy[list].as_array().into_iter().flatten()) {
            let names = |field: &str| -> Vec<&str> {
                item[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
            };
            if ["users", "groups", "roles"].iter().all(|field| names(field).is_empty()) {
                let text = "(0) Validation failure: error code[3020], reason[All of users, user-groups and roles collections on the policy item were null/empty]";
                return Err((StatusCode::BAD_REQUEST, text.to_owned()));
            }
            let is_macro = |name: &str| name.starts_with('{');
            if let Some(name) =
                names("users").iter().find(|name| !is_macro(name) && !self.users.contains_key(**name))
            {
                return Err((
                    StatusCode::BAD_REQUEST,
                    format!(
                        "Operation denied. User name: {name} specified in policy does not exist in ranger admin."
                    ),
                ));
            }
        }
        let mut policy = policy.clone();
        policy["version"] = json!(version);
        self.policies.insert(id, policy.clone());
        Ok(policy)
    }

    fn put_zone(&mut self, id: u64, zone: &Value) -> Answer {
        if !self.zones.contains_key(&id) {
            return not_found(&format!("zones/{id}"));
        }
        let is_empty = |field: &str| zone[field].as_array().is_none_or(Vec::is_empty);
        for fields in [["adminUsers", "adminUserGroups"], ["auditUsers", "auditUserGroups"]] {
            if fields.into_iter().all(is_empty) {
                let text = format!(
                    "(0) Validation failure: error code[3038], reason[both {} and {} are empty]",
                    fields[0], fields[1]
                );
                return Err((StatusCode::BAD_REQUEST, text));
            }
        }
        self.zones.insert(id, zone.clone());
        Ok(zone.clone())
    }

    /// Policies "of a user": those that name it, and those of its groups and roles, of `public` and of `{USER}`.
    fn policies_for(&self, user: Option<&str>) -> Vec<Value> {
        let Some(user) = user else { return self.policies.values().cloned().collect() };
        let groups = self.groups_of(user);
        let roles = self.roles_of(user, &groups);
        let names = |policy: &&Value| {
            LISTS.iter().flat_map(|list| policy[list].as_array().into_iter().flatten()).any(|item| {
                let has = |field: &str, is_wanted: &dyn Fn(&str) -> bool| {
                    item[field].as_array().into_iter().flatten().filter_map(Value::as_str).any(is_wanted)
                };
                has("users", &|name| name == user || name == "{USER}")
                    || has("groups", &|name| groups.contains(name))
                    || has("roles", &|name| roles.contains(name))
            })
        };
        self.policies.values().filter(names).cloned().collect()
    }

    fn groups_of(&self, user: &str) -> BTreeSet<String> {
        let of_user = self.members.iter().filter(|(_, members)| members.contains(user));
        of_user.map(|(group, _)| group.clone()).chain(["public".to_owned()]).collect()
    }

    fn roles_of(&self, user: &str, groups: &BTreeSet<String>) -> BTreeSet<String> {
        let has = |role: &Value, field: &str, is_wanted: &dyn Fn(&str) -> bool| {
            let members = role[field].as_array().into_iter().flatten();
            members.filter_map(|member| member["name"].as_str()).any(is_wanted)
        };
        let of_user = self.roles.values().filter(|role| {
            has(role, "users", &|name| name == user) || has(role, "groups", &|name| groups.contains(name))
        });
        of_user.filter_map(|role| role["name"].as_str().map(str::to_owned)).collect()
    }

    pub(super) fn remove_from_policies(&mut self, name: &str) {
        for policy in self.policies.values_mut() {
            for list in LISTS {
                for item in policy[list].as_array_mut().into_iter().flatten() {
                    if let Some(users) = item["users"].as_array_mut() {
                        users.retain(|user| *user != name);
                    }
                }
            }
        }
    }
}

fn number(id: &str) -> u64 {
    id.parse().unwrap_or_default()
}

fn found(value: Option<&Value>, path: &str) -> Answer {
    value.cloned().map_or_else(|| not_found(path), Ok)
}

fn not_found(path: &str) -> Answer {
    Err((StatusCode::NOT_FOUND, format!("Not found: {path}")))
}

//! Where Ranger's policies, roles and zones name users and groups.

use std::collections::BTreeSet;

use serde_json::Value;

use super::accounts::{Account, Accounts, Owner};
use super::client::{RangerClient, encode};
use super::difference::fold;
use crate::failure::{Failure, fail};
use crate::policies::{Effect, Gone, Principal, Principals, Stale, Why};

/// The lists of a policy, and what an item of each does.
const LISTS: [(&str, Effect); 6] = [
    ("policyItems", Effect::Allow),
    ("denyPolicyItems", Effect::Deny),
    ("allowExceptions", Effect::AllowException),
    ("denyExceptions", Effect::DenyException),
    ("dataMaskPolicyItems", Effect::Mask),
    ("rowFilterPolicyItems", Effect::RowFilter),
];

/// The kind of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// A policy of a service.
    Policy,
    /// A role, which policies name.
    Role,
    /// A security zone.
    Zone,
}

/// A policy, role or zone as Ranger has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its kind.
    pub kind: RuleKind,
    /// Its JSON.
    pub json: Value,
}

/// A place in a rule that names principals: a policy item, the members of a role, or the administrators or auditors of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The list that has the item, and its position; `None` for roles and zones.
    pub item: Option<(&'static str, usize)>,
    /// What it does.
    pub effect: Effect,
    /// The fields that name users, groups and roles.
    pub fields: [&'static str; 3],
}

impl RuleKind {
    /// The part of the API with the rules of this kind.
    pub fn path(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Role => "roles",
            Self::Zone => "zones",
        }
    }
}

/// Reads all policies, roles and zones.
///
/// # Errors
/// Fails if Ranger does.
pub async fn read_rules(client: &RangerClient) -> Result<Vec<Rule>, Failure> {
    let mut rules = Vec::new();
    for service in client.get_pages("public/v2/api/service").await? {
        let name = encode(text(&service, "name"));
        let policies = client.get_pages(&format!("public/v2/api/service/{name}/policy")).await?;
        rules.extend(policies.into_iter().map(|json| Rule { kind: RuleKind::Policy, json }));
    }
    for kind in [RuleKind::Role, RuleKind::Zone] {
        let found = client.get_pages(&format!("public/v2/api/{}", kind.path())).await?;
        rules.extend(found.into_iter().map(|json| Rule { kind, json }));
    }
    Ok(rules)
}

/// Reads the rules of a file that Ranger exported: of policies or of roles.
///
/// # Errors
/// Fails if the text is not such a file.
pub fn read_export(export: &str) -> Result<Vec<Rule>, Failure> {
    let json: Value = serde_json::from_str(export)?;
    let mut rules = Vec::new();
    let mut is_export = false;
    for (field, kind) in [("policies", RuleKind::Policy), ("roles", RuleKind::Role)] {
        if let Some(list) = json.get(field).and_then(Value::as_array) {
            is_export = true;
            rules.extend(list.iter().map(|json| Rule { kind, json: json.clone() }));
        }
    }
    if is_export {
        return Ok(rules);
    }
    fail("it has no list `policies` or `roles`; export it in Ranger Admin as JSON")
}

/// Finds the places that name users and groups whom the directory does not show. `accounts` are Ranger's, if they are known: names
/// that the directory never had and that belong to Ranger or to another source are left out. Also returns how many names were left out.
pub fn find_stale(
    rules: &[Rule],
    principals: &Principals,
    accounts: Option<&Accounts>,
    connector: &str,
) -> (Vec<Stale>, usize) {
    let others = accounts.map(|accounts| Others::of(accounts, connector)).unwrap_or_default();
    let mut lines = Vec::new();
    let mut left_out = BTreeSet::new();
    for rule in rules {
        let gone = |principal: &Principal| {
            missing(principal, principals).filter(|gone| !others.has(principal, gone))
        };
        for place in rule.places() {
            let named = rule.principals(&place);
            let has_others = named.iter().any(|principal| gone(principal).is_none());
            let is_last = !has_others && !rule.has_roles(&place);
            for principal in named {
                match gone(&principal) {
                    Some(gone) => lines.push(rule.line(&place, principal, gone, is_last)),
                    None if missing(&principal, principals).is_some() => {
                        left_out.insert(principal);
                    }
                    None => {}
                }
            }
        }
    }
    (lines, left_out.len())
}

/// Why the directory does not show a principal. Ranger's macros, such as `{USER}`, are no names.
fn missing(principal: &Principal, principals: &Principals) -> Option<Gone> {
    match principal {
        Principal::User(name) if name.starts_with('{') => None,
        Principal::User(name) => principals.missing_user(name),
        Principal::Group(name) => principals.missing_group(name),
    }
}

/// The names of users and groups that belong to Ranger or to another source, folded.
#[derive(Default)]
struct Others {
    users: BTreeSet<String>,
    groups: BTreeSet<String>,
}

impl Others {
    fn of(accounts: &Accounts, connector: &str) -> Self {
        let names = |accounts: &[Account]| {
            let others =
                accounts.iter().filter(|account| matches!(account.owner(connector), Owner::Other(_)));
            others.map(|account| fold(&account.name)).collect()
        };
        Self { users: names(&accounts.users), groups: names(&accounts.groups) }
    }

    /// Whether the name is another's. A name that the directory knows is always reported.
    fn has(&self, principal: &Principal, gone: &Gone) -> bool {
        let names = match principal {
            Principal::User(name) => self.users.contains(&fold(name)),
            Principal::Group(name) => self.groups.contains(&fold(name)),
        };
        gone.why == Why::NotInDirectory && names
    }
}

impl Rule {
    /// The id.
    pub fn id(&self) -> String {
        self.json.get("id").map(Value::to_string).unwrap_or_default()
    }

    /// The name.
    pub fn name(&self) -> &str {
        text(&self.json, "name")
    }

    /// The service of a policy, or `roles` or `zones`.
    pub fn service(&self) -> &str {
        match self.kind {
            RuleKind::Policy => text(&self.json, "service"),
            RuleKind::Role => "roles",
            RuleKind::Zone => "zones",
        }
    }

    /// Whether it is in effect.
    pub fn is_enabled(&self) -> bool {
        self.json.get("isEnabled") != Some(&Value::Bool(false))
    }

    /// The places that can name principals.
    pub fn places(&self) -> Vec<Place> {
        let whole = |effect, fields| Place { item: None, effect, fields };
        match self.kind {
            RuleKind::Policy => {
                let items = |(list, effect)| {
                    let count = self.json.get(list).and_then(Value::as_array).map_or(0, Vec::len);
                    let fields = ["users", "groups", "roles"];
                    (0..count).map(move |position| Place { item: Some((list, position)), effect, fields })
                };
                LISTS.into_iter().flat_map(items).collect()
            }
            RuleKind::Role => vec![whole(Effect::Member, ["users", "groups", "roles"])],
            RuleKind::Zone => vec![
                whole(Effect::Administer, ["adminUsers", "adminUserGroups", "adminRoles"]),
                whole(Effect::Audit, ["auditUsers", "auditUserGroups", "auditRoles"]),
            ],
        }
    }

    /// The users and groups that a place names.
    pub fn principals(&self, place: &Place) -> Vec<Principal> {
        let [users, groups, _] = place.fields;
        let users = self.names(place, users).into_iter().map(Principal::User);
        users.chain(self.names(place, groups).into_iter().map(Principal::Group)).collect()
    }

    /// Whether a place names roles too.
    pub fn has_roles(&self, place: &Place) -> bool {
        let [.., roles] = place.fields;
        !self.names(place, roles).is_empty()
    }

    fn names(&self, place: &Place, field: &str) -> Vec<String> {
        let item = match place.item {
            Some((list, position)) => self.json.get(list).and_then(|list| list.get(position)),
            None => Some(&self.json),
        };
        let names = item.and_then(|item| item.get(field)).and_then(Value::as_array);
        names.into_iter().flatten().filter_map(name_of).map(str::to_owned).collect()
    }

    fn line(&self, place: &Place, principal: Principal, gone: Gone, last_principal: bool) -> Stale {
        Stale {
            place: place.describe(&principal),
            principal,
            gone,
            engine: "ranger",
            service: self.service().to_owned(),
            policy: self.id(),
            name: self.name().to_owned(),
            effect: place.effect,
            enabled: self.is_enabled(),
            last_principal,
        }
    }
}

impl Place {
    /// The place, as reports name it.
    pub fn describe(&self, principal: &Principal) -> String {
        match (self.item, principal) {
            (Some((list, position)), _) => format!("{list}[{position}]"),
            (None, Principal::User(_)) => self.fields[0].to_owned(),
            (None, Principal::Group(_)) => self.fields[1].to_owned(),
        }
    }
}

/// The name in an element: policies and zones have bare names, roles have objects.
pub fn name_of(element: &Value) -> Option<&str> {
    element.as_str().or_else(|| element.get("name")?.as_str())
}

fn text<'j>(json: &'j Value, field: &str) -> &'j str {
    json.get(field).and_then(Value::as_str).unwrap_or_default()
}

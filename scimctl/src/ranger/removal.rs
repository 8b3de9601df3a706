//! `scimctl policies check --remove`: takes the names of users and groups who are gone out of Ranger's policies, roles and zones.

use std::collections::{BTreeMap, BTreeSet};

use directory::audit::RemovedName;
use http::Method;
use serde_json::Value;
use shared::resource::ResourceId;

use super::client::{RangerClient, encode};
use super::policies::{Rule, RuleKind, name_of};
use crate::failure::Failure;
use crate::open_directory::OpenDirectory;
use crate::output::{count, print, print_note};
use crate::policies::{Gone, Principal, Stale};
use crate::prompt::confirm;

/// How often the change of a rule is sent.
const ATTEMPTS: usize = 3;

/// How names are removed.
pub struct Options {
    /// Whether places that would name no principal any more are removed too.
    pub even_last: bool,
    /// Whether the removal is confirmed.
    pub is_confirmed: bool,
}

/// What is taken out of one rule.
#[derive(Clone, Debug, Default, PartialEq)]
struct Change {
    /// The rule after the change.
    json: Value,
    /// The places and the principals that they lose.
    removed: Vec<(String, Principal)>,
    /// The places that keep their principals, because they would be empty.
    kept: Vec<(String, Principal)>,
}

/// Shows what would change, asks, and changes it. Returns whether nothing of the report remains.
///
/// # Errors
/// Fails if the operator does not confirm, and if an audit record cannot be written.
pub async fn remove(
    open: &OpenDirectory,
    client: &RangerClient,
    rules: &[Rule],
    lines: &[Stale],
    options: &Options,
) -> Result<bool, Failure> {
    let mut names = 0;
    let mut changed = Vec::new();
    let mut is_complete = true;
    for rule in rules {
        let gone = gone_of(rule, lines);
        let change = rule.without(&gone.keys().copied().collect(), options.even_last);
        let title = title(rule);
        for (place, principal) in &change.kept {
            is_complete = false;
            print(&format!("keep {principal} in {place} of {title}: {}", why_kept(rule.kind, place)))?;
        }
        for (place, principal) in &change.removed {
            print(&format!("remove {principal} from {place} of {title}"))?;
        }
        if !change.removed.is_empty() {
            names += change.removed.len();
            changed.push((rule, gone));
        }
    }
    if changed.is_empty() {
        return Ok(is_complete);
    }
    let question = format!(
        "This removes {} from {} in Ranger. To continue, enter the id of the connector:",
        count(names, "name", "names"),
        count(changed.len(), "policy, role or zone", "policies, roles and zones")
    );
    confirm(&question, &open.connector, options.is_confirmed)?;
    for (rule, gone) in changed {
        match remove_from(open, client, rule, &gone, options.even_last).await? {
            Ok(removed) => {
                print(&format!("{} removed from {}", count(removed, "name", "names"), title(rule)))?
            }
            Err(Failure(reason)) => {
                is_complete = false;
                print_note(&format!("{} is not changed: {reason}", title(rule)));
            }
        }
    }
    Ok(is_complete)
}

/// Why a place keeps its last principals.
fn why_kept(kind: RuleKind, place: &str) -> String {
    match kind {
        RuleKind::Zone => {
            let missing = if place.starts_with("admin") { "administrators" } else { "auditors" };
            format!("Ranger refuses a zone without {missing}; give it another one first")
        }
        RuleKind::Policy | RuleKind::Role => {
            format!("without it, {place} would have no user, group or role (--even-last)")
        }
    }
}

/// The principals of a rule that the report names.
fn gone_of<'l>(rule: &Rule, lines: &'l [Stale]) -> BTreeMap<&'l Principal, &'l Gone> {
    let of_rule = lines.iter().filter(|line| {
        line.policy == rule.id() && line.service == rule.service() && line.name == rule.name()
    });
    of_rule.map(|line| (&line.principal, &line.gone)).collect()
}

/// Changes one rule as it is now, which may differ from what was shown: only principals that were shown are removed. The inner
/// result is Ranger's, the outer one that of the audit record.
async fn remove_from(
    open: &OpenDirectory,
    client: &RangerClient,
    shown: &Rule,
    gone: &BTreeMap<&Principal, &Gone>,
    even_last: bool,
) -> Result<Result<usize, Failure>, Failure> {
    let path = format!("public/v2/api/{}/{}", shown.kind.path(), shown.id());
    let names = gone.keys().copied().collect();
    let mut failure = None;
    let mut attempted: Option<Change> = None;
    for attempt in 0..=ATTEMPTS {
        // Ranger takes the last writer's policy without a comparison, so it is read right before.
        let json = match client.get(&path).await {
            Ok(json) => json,
            Err(failure) => return Ok(Err(failure)),
        };
        let now = Rule { kind: shown.kind, json };
        let change = now.without(&names, even_last);
        if change.removed.is_empty() {
            // The answer to the last attempt was lost, or another program removed the names.
            let removed = attempted.map(|change| change.removed).unwrap_or_default();
            if !removed.is_empty() {
                record(open, &now, &removed, gone).await?;
            }
            return Ok(Ok(removed.len()));
        }
        // After the last attempt, the rule is only read: its answer may have been lost.
        if attempt == ATTEMPTS {
            break;
        }
        match now.send(client, &path, &change).await {
            Ok(answer) => {
                record(open, &now, &change.removed, gone).await?;
                note_overwritten(&now, &answer);
                return Ok(Ok(change.removed.len()));
            }
            Err(error) => (failure, attempted) = (Some(error), Some(change)),
        }
    }
    Ok(Err(failure.unwrap_or_else(|| Failure("Ranger does not answer".to_owned()))))
}

/// Writes the audit record of one rule.
async fn record(
    open: &OpenDirectory,
    rule: &Rule,
    removed: &[(String, Principal)],
    gone: &BTreeMap<&Principal, &Gone>,
) -> Result<(), Failure> {
    let names: Vec<RemovedName> = removed
        .iter()
        .map(|(place, principal)| RemovedName {
            place: place.clone(),
            name: principal.to_string(),
            id: gone.get(principal).and_then(|gone| ResourceId::parse(gone.id.as_deref()?)),
        })
        .collect();
    Ok(open.directory.record_cleaned_policy(&format!("ranger {}", title(rule)), &names).await?)
}

/// Tells the operator if another administrator changed a policy between reading and writing it: each change counts one version.
fn note_overwritten(before: &Rule, answer: &Value) {
    let version = |json: &Value| json.get("version").and_then(Value::as_u64);
    if let (Some(read), Some(written)) = (version(&before.json), version(answer))
        && before.kind == RuleKind::Policy
        && written > read + 1
    {
        print_note(&format!(
            "{} was changed at the same time; compare its versions {read} to {written} in Ranger Admin",
            title(before)
        ));
    }
}

fn title(rule: &Rule) -> String {
    let (id, name) = (rule.id(), rule.name());
    match rule.kind {
        RuleKind::Policy => format!("policy {id} {name} of {}", rule.service()),
        RuleKind::Role => format!("role {id} {name}"),
        RuleKind::Zone => format!("zone {id} {name}"),
    }
}

impl Rule {
    /// Takes principals out of all places. A place that would name no principal keeps them, or is removed if `even_last`; Ranger
    /// refuses an item without principals, and a deny item without principals would deny no user. A zone always keeps its last
    /// administrators and auditors: Ranger would refuse the whole change, and so the other places of the zone would keep theirs.
    fn without(&self, gone: &BTreeSet<&Principal>, even_last: bool) -> Change {
        let mut change = Change { json: self.json.clone(), ..Change::default() };
        let mut emptied = Vec::new();
        for place in self.places() {
            let named = self.principals(&place);
            let (leaving, staying): (Vec<Principal>, Vec<Principal>) =
                named.into_iter().partition(|principal| gone.contains(principal));
            if leaving.is_empty() {
                continue;
            }
            let is_emptied = staying.is_empty() && !self.has_roles(&place);
            let described = leaving.iter().map(|principal| (place.describe(principal), principal.clone()));
            if is_emptied && (!even_last || self.kind == RuleKind::Zone) {
                change.kept.extend(described);
                continue;
            }
            change.removed.extend(described);
            match place.item {
                Some(item) if is_emptied => emptied.push(item),
                item => {
                    let object = match item {
                        Some((list, position)) => {
                            change.json.get_mut(list).and_then(|list| list.get_mut(position))
                        }
                        None => Some(&mut change.json),
                    };
                    let [users, groups, _] = place.fields;
                    if let Some(object) = object {
                        retain(object, users, |name| !gone.contains(&Principal::User(name.to_owned())));
                        retain(object, groups, |name| !gone.contains(&Principal::Group(name.to_owned())));
                    }
                }
            }
        }
        // From the last to the first, so that positions stay right.
        for (list, position) in emptied.into_iter().rev() {
            if let Some(items) = change.json.get_mut(list).and_then(Value::as_array_mut) {
                items.remove(position);
            }
        }
        change
    }

    /// Sends a change of this rule, and returns the rule as Ranger has it then.
    async fn send(&self, client: &RangerClient, path: &str, change: &Change) -> Result<Value, Failure> {
        if self.kind != RuleKind::Role {
            return client.send_once(Method::PUT, path, &change.json).await;
        }
        // Ranger has a call for the members of a role, which leaves the rest of the role as it is.
        let names = change.removed.iter().map(|(_, principal)| match principal {
            Principal::User(name) => format!("users={}", encode(name)),
            Principal::Group(name) => format!("groups={}", encode(name)),
        });
        let query = names.collect::<Vec<_>>().join("&");
        client.send_once(Method::PUT, &format!("{path}/removeUsersAndGroups?{query}"), &Value::Null).await
    }
}

fn retain(object: &mut Value, field: &str, is_kept: impl Fn(&str) -> bool) {
    if let Some(list) = object.get_mut(field).and_then(Value::as_array_mut) {
        list.retain(|element| name_of(element).is_none_or(&is_kept));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(lists: Value) -> Rule {
        Rule { kind: RuleKind::Policy, json: lists }
    }

    fn item(users: &[&str], groups: &[&str], roles: &[&str]) -> Value {
        json!({ "users": users, "groups": groups, "roles": roles })
    }

    #[test]
    fn places_that_would_be_empty_are_kept_or_removed_as_a_whole() {
        let (ann, sales) = (Principal::User("ann".to_owned()), Principal::Group("Sales".to_owned()));
        let gone = BTreeSet::from([&ann, &sales]);
        let rule = policy(json!({
            "policyItems": [item(&["ann"], &["Sales"], &[]), item(&["ann", "bob"], &[], &[]), item(&["ann"], &[], &["r"])],
            "denyPolicyItems": [item(&["ann"], &[], &[])],
            "isEnabled": true
        }));
        let change = rule.without(&gone, false);
        let expected = json!({
            "policyItems": [item(&["ann"], &["Sales"], &[]), item(&["bob"], &[], &[]), item(&[], &[], &["r"])],
            "denyPolicyItems": [item(&["ann"], &[], &[])],
            "isEnabled": true
        });
        assert_eq!(change.json, expected);
        let at = |place: &str, principal: &Principal| (place.to_owned(), principal.clone());
        assert_eq!(change.removed, [at("policyItems[1]", &ann), at("policyItems[2]", &ann)]);
        let kept = [at("policyItems[0]", &ann), at("policyItems[0]", &sales), at("denyPolicyItems[0]", &ann)];
        assert_eq!(change.kept, kept);
        let change = rule.without(&gone, true);
        let expected = json!({
            "policyItems": [item(&["bob"], &[], &[]), item(&[], &[], &["r"])],
            "denyPolicyItems": [],
            "isEnabled": true
        });
        assert_eq!((change.json, change.removed.len(), change.kept.len()), (expected, 5, 0));
    }

    #[test]
    fn members_of_roles_and_administrators_of_zones_are_removed() {
        let ann = Principal::User("ann".to_owned());
        let gone = BTreeSet::from([&ann]);
        let role = json!({ "users": [{ "name": "ann", "isAdmin": true }, { "name": "bob", "isAdmin": false }], "groups": [] });
        let change = Rule { kind: RuleKind::Role, json: role }.without(&gone, false);
        assert_eq!(change.json, json!({ "users": [{ "name": "bob", "isAdmin": false }], "groups": [] }));
        let zone = json!({ "adminUsers": ["ann"], "adminUserGroups": ["ops"], "auditUsers": ["ann"] });
        let change = Rule { kind: RuleKind::Zone, json: zone.clone() }.without(&gone, false);
        let expected = json!({ "adminUsers": [], "adminUserGroups": ["ops"], "auditUsers": ["ann"] });
        assert_eq!((&change.json, &change.kept), (&expected, &vec![("auditUsers".to_owned(), ann.clone())]));
        assert_eq!(Rule { kind: RuleKind::Zone, json: zone }.without(&gone, true), change);
    }
}

//! The places in Cedar policies and entities that name users and groups who are gone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use cedar_policy::{
    Effect as CedarEffect, EntityUid, Policy, PolicyId, PolicySet, PrincipalConstraint, ResourceConstraint,
    Template,
};
use directory::view::is_built_in;
use serde_json::Value;
use shared::error::chain;

use super::entities::{GROUP, USER};
use super::file::{self, Content, in_file};
use super::policies::{Origin, origins};
use crate::failure::Failure;
use crate::policies::{Effect, Gone, Principal, Principals, Stale};

/// Places in one policy or entity, each with the types and ids of the entities that it names.
type Places = BTreeMap<String, BTreeSet<(String, String)>>;

/// Finds the places in these files and folders that name users and groups whom the directory does not show.
///
/// # Errors
/// Fails with the file, the line and Cedar's message if Cedar cannot parse one of them.
pub fn find_stale(paths: &[PathBuf], principals: &Principals) -> Result<Vec<Stale>, Failure> {
    for_each_named(paths, |origin, effect, places| stale(origin, effect, places, principals))
}

/// Calls a function with the places of each policy and entity in these files and folders.
fn for_each_named<T>(
    paths: &[PathBuf],
    mut find: impl FnMut(&Origin, Effect, &Places) -> Vec<T>,
) -> Result<Vec<T>, Failure> {
    let mut found = Vec::new();
    for path in file::list(paths)? {
        match file::read(&path)? {
            Content::Policies(set, text) => {
                let origins = origins(&path, &set, text.as_deref());
                let mut policies = Vec::new();
                for (id, effect, places) in places_of_policies(&path, &set)? {
                    policies.extend(origins.get(&id).map(|origin| (origin, effect, places)));
                }
                policies.sort_by_key(|(origin, ..)| (origin.line, &origin.id));
                for (origin, effect, places) in policies {
                    found.extend(find(origin, effect, &places));
                }
            }
            Content::Entities(_, entities) => {
                for entity in &entities {
                    let origin = origin_of_entity(&path, entity)?;
                    found.extend(find(&origin, Effect::Data, &places_of_entity(entity)));
                }
            }
        }
    }
    Ok(found)
}

/// A place in a policy or entity that names a user.
pub struct NamedPlace {
    /// The file.
    pub service: String,
    /// The id of the policy or entity.
    pub policy: String,
    /// The name of the policy.
    pub name: String,
    /// The line and the place.
    pub place: String,
    /// What the policy does.
    pub effect: Effect,
    /// Whether it is in effect, which every policy of Cedar is.
    pub enabled: bool,
}

/// Finds the places in these files and folders that name the user with this id.
///
/// # Errors
/// As for [`find_stale`].
pub fn find_mentions(paths: &[PathBuf], id: &str) -> Result<Vec<NamedPlace>, Failure> {
    let user = (USER.to_owned(), id.to_owned());
    for_each_named(paths, |origin, effect, places| {
        let named = places.iter().filter(|(_, named)| named.contains(&user));
        let place = |(place, _): (&String, _)| NamedPlace {
            service: origin.file.clone(),
            policy: origin.id.clone(),
            name: origin.name.clone().unwrap_or_default(),
            place: place_of(origin, place),
            effect,
            enabled: true,
        };
        named.map(place).collect()
    })
}

/// The line and the place in a policy.
fn place_of(origin: &Origin, place: &str) -> String {
    let line = origin.line.map(|line| format!("line {line}, ")).unwrap_or_default();
    format!("{line}{place}")
}

/// The lines of the report about one policy or entity.
fn stale(origin: &Origin, effect: Effect, places: &Places, principals: &Principals) -> Vec<Stale> {
    let mut found = Vec::new();
    for (place, named) in places {
        let named: Vec<&(String, String)> = named.iter().filter(|(kind, _)| is_reported(kind)).collect();
        for (kind, id) in &named {
            let Some((principal, gone)) = find_gone(kind, id, principals) else { continue };
            found.push(Stale {
                principal,
                gone,
                engine: "cedar",
                service: origin.file.clone(),
                policy: origin.id.clone(),
                name: origin.name.clone().unwrap_or_default(),
                place: place_of(origin, place),
                effect,
                enabled: true,
                last_principal: named.len() == 1,
            });
        }
    }
    found
}

fn is_reported(kind: &str) -> bool {
    kind == USER || kind == GROUP
}

/// Returns the user or group, and why the directory does not show it; `None` if it shows it.
fn find_gone(kind: &str, id: &str, principals: &Principals) -> Option<(Principal, Gone)> {
    if kind == USER {
        let name = principals.user_name(id).unwrap_or(id).to_owned();
        return Some((Principal::User(name), principals.missing_user_id(id)?));
    }
    if is_built_in(id) {
        return None;
    }
    let name = principals.group_name(id).unwrap_or(id).to_owned();
    Some((Principal::Group(name), principals.missing_group_id(id)?))
}

/// The places in the policies and templates of a file.
fn places_of_policies(file: &Path, set: &PolicySet) -> Result<Vec<(PolicyId, Effect, Places)>, Failure> {
    let mut all = Vec::new();
    for policy in set.policies() {
        // What a template names is reported once, not for each of its links.
        let places = match policy.template_links() {
            Some(links) => {
                let places = links.into_iter().map(|(slot, uid)| (slot.to_string(), [named(&uid)].into()));
                places.collect()
            }
            None => places_of_policy(policy),
        };
        all.push((policy.id().clone(), effect(policy.effect()), places));
    }
    for template in set.templates() {
        let linked = link(template).map_err(|error| in_file(file, error))?;
        all.push((template.id().clone(), effect(template.effect()), places_of_policy(&linked)));
    }
    Ok(all)
}

fn effect(effect: CedarEffect) -> Effect {
    match effect {
        CedarEffect::Permit => Effect::Allow,
        CedarEffect::Forbid => Effect::Deny,
    }
}

/// Links a template to entities that do not exist, because only policies list their literals.
fn link(template: &Template) -> Result<Policy, String> {
    let entity: EntityUid = "Slot::\"\"".parse().map_err(|error| chain(&error))?;
    let values: HashMap<_, _> = template.slots().map(|slot| (slot.clone(), entity.clone())).collect();
    let id = PolicyId::new("linked");
    let mut set = PolicySet::new();
    set.add_template(template.clone()).map_err(|error| chain(&error))?;
    set.link(template.id().clone(), id.clone(), values).map_err(|error| chain(&error))?;
    set.policy(&id).cloned().ok_or_else(|| "the template cannot be linked".to_owned())
}

/// The entities that the scope and the conditions of a policy name. What a template's link was given is not among them.
fn places_of_policy(policy: &Policy) -> Places {
    let principal = match policy.principal_constraint() {
        PrincipalConstraint::In(uid) | PrincipalConstraint::Eq(uid) | PrincipalConstraint::IsIn(_, uid) => {
            Some(uid)
        }
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => None,
    };
    let resource = match policy.resource_constraint() {
        ResourceConstraint::In(uid) | ResourceConstraint::Eq(uid) | ResourceConstraint::IsIn(_, uid) => {
            Some(uid)
        }
        ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
    };
    let mut literals = policy.entity_literals();
    let mut places = Places::new();
    for (place, uid) in [("principal", principal), ("resource", resource)] {
        // The scope is among the literals, once. What remains is in the conditions.
        if let Some(position) = literals.iter().position(|literal| Some(literal) == uid.as_ref()) {
            places.insert(place.to_owned(), [named(&literals.swap_remove(position))].into());
        }
    }
    places.insert("condition".to_owned(), literals.iter().map(named).collect());
    places
}

fn named(uid: &EntityUid) -> (String, String) {
    (uid.type_name().to_string(), uid.id().unescaped().to_owned())
}

/// The file of an entity, and the entity in the place of a policy.
fn origin_of_entity(file: &Path, entity: &Value) -> Result<Origin, Failure> {
    let uid = EntityUid::from_json(entity.get("uid").cloned().unwrap_or_default());
    let uid = uid.map_err(|error| in_file(file, chain(&error)))?;
    Ok(Origin { file: file.display().to_string(), line: None, id: uid.to_string(), name: None })
}

/// The entities that an entity names: itself, its parents, and those in its attributes and tags.
fn places_of_entity(entity: &Value) -> Places {
    let mut places = Places::new();
    add_places(entity, "", &mut places);
    places
}

/// Adds the references in a JSON value. Cedar writes one as `{"type": …, "id": …}`, or as that in `{"__entity": …}`.
fn add_places(value: &Value, place: &str, places: &mut Places) {
    match value {
        Value::Object(fields) => {
            if let (Some(Value::String(kind)), Some(Value::String(id))) =
                (fields.get("type"), fields.get("id"))
            {
                places.entry(place.to_owned()).or_default().insert((kind.clone(), id.clone()));
            }
            for (name, value) in fields {
                match name.as_str() {
                    "__entity" => add_places(value, place, places),
                    name if place.is_empty() => add_places(value, name, places),
                    name => add_places(value, &format!("{place}.{name}"), places),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| add_places(element, place, places)),
        _ => {}
    }
}

//! The places in policies that name a user.

use std::path::PathBuf;

use serde::Serialize;
use shared::filter::fold_name;

use crate::cedar;
use crate::failure::Failure;
use crate::policies::{Effect, Principal, read_ranger_export};
use crate::ranger;

/// A place in a policy that names the user.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Mention {
    /// The service that the policy belongs to, or the file.
    pub service: String,
    /// The id of the policy.
    pub policy: String,
    /// The name of the policy.
    pub name: String,
    /// The place in the policy, such as `policyItems[0]`.
    #[serde(rename = "where")]
    pub place: String,
    /// What the place does.
    pub effect: Effect,
    /// Whether the policy is in effect.
    pub enabled: bool,
}

/// Finds the places in files and folders that name a user: by one of these names in an export of Ranger, and by its id in Cedar's files.
///
/// # Errors
/// Fails with the file if one cannot be read.
pub fn mentions(paths: &[PathBuf], names: &[&str], id: Option<&str>) -> Result<Vec<Mention>, Failure> {
    let mut found = Vec::new();
    let mut of_cedar = Vec::new();
    for path in paths {
        match read_ranger_export(path)? {
            Some(rules) => found.extend(mentions_of_ranger(&rules, names)),
            None => of_cedar.push(path.clone()),
        }
    }
    if !of_cedar.is_empty() {
        let stale = cedar::find_mentions(&of_cedar, id.unwrap_or_default())?;
        found.extend(stale.into_iter().map(|place| Mention {
            service: place.service,
            policy: place.policy,
            name: place.name,
            place: place.place,
            effect: place.effect,
            enabled: place.enabled,
        }));
    }
    Ok(found)
}

fn mentions_of_ranger(rules: &[ranger::Rule], names: &[&str]) -> Vec<Mention> {
    let folded: Vec<_> = names.iter().map(|name| fold_name(name, false)).collect();
    let mut found = Vec::new();
    for rule in rules {
        for place in rule.places() {
            let is_user = |principal: &Principal| match principal {
                Principal::User(name) => folded.contains(&fold_name(name, false)),
                Principal::Group(_) => false,
            };
            if let Some(principal) = rule.principals(&place).iter().find(|principal| is_user(principal)) {
                found.push(Mention {
                    service: rule.service().to_owned(),
                    policy: rule.id(),
                    name: rule.name().to_owned(),
                    place: place.describe(principal),
                    effect: place.effect,
                    enabled: rule.is_enabled(),
                });
            }
        }
    }
    found
}

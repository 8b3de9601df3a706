//! The policies of several files, and where each is from.
//!
//! In Cedar's own syntax, policies have no ids. Cedar numbers them in each file: `policy0`, `policy1`. So a policy is shown with its
//! file, its line, and its annotation `@id` if it has one.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use cedar_policy::{ActionConstraint, Entities, EntityUid, Policy, PolicyId, PolicySet, ResourceConstraint};
use shared::error::chain;

use super::file::{self, Content};
use crate::failure::{Failure, fail};

/// Where a policy is from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The file.
    pub file: String,
    /// The line on which the policy begins; `None` in a JSON policy set.
    pub line: Option<usize>,
    /// The id in the file.
    pub id: String,
    /// The annotation `@id`.
    pub name: Option<String>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, " {}", self.name.as_ref().unwrap_or(&self.id))
    }
}

/// The policies of several files.
pub struct Policies {
    /// The policies, with ids that differ between files.
    pub set: PolicySet,
    origins: HashMap<PolicyId, String>,
}

impl Policies {
    /// Reads the policies of these files and folders.
    ///
    /// # Errors
    /// Fails with the file, the line and Cedar's message if Cedar cannot parse one of them.
    pub fn read(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut policies = Self { set: PolicySet::new(), origins: HashMap::new() };
        for path in file::list(paths)? {
            let Content::Policies(set, text) = file::read(&path)? else {
                return fail(format!("{}: the file holds entities; use --entities for it", path.display()));
            };
            let renamed = policies.set.merge(&set, true);
            let renamed = renamed.map_err(|error| file::in_file(&path, chain(&error)))?;
            for (id, origin) in origins(&path, &set, text.as_deref()) {
                let id = renamed.get(&id).cloned().unwrap_or(id);
                let origin = origin.to_string();
                // Cedar makes one policy of two that are equal and have the same id in their files.
                let origins = policies.origins.entry(id).or_default();
                *origins = if origins.is_empty() { origin } else { format!("{origins}, {origin}") };
            }
        }
        Ok(policies)
    }

    /// Removes the policies whose scope excludes this action or resource. They cannot decide about a user, and a scope has no errors.
    ///
    /// # Errors
    /// Fails if Cedar refuses to remove a policy.
    pub fn retain(
        &mut self,
        action: &EntityUid,
        resource: &EntityUid,
        entities: &Entities,
    ) -> Result<(), Failure> {
        let is_in = |uid: &EntityUid, group: &EntityUid| uid == group || entities.is_ancestor_of(group, uid);
        let applies = |policy: &&Policy| {
            let to_action = match policy.action_constraint() {
                ActionConstraint::Any => true,
                ActionConstraint::Eq(uid) => uid == *action,
                ActionConstraint::In(groups) => groups.iter().any(|group| is_in(action, group)),
            };
            let to_resource = match policy.resource_constraint() {
                ResourceConstraint::Any => true,
                ResourceConstraint::Eq(uid) => uid == *resource,
                ResourceConstraint::In(group) => is_in(resource, &group),
                ResourceConstraint::Is(kind) => kind == *resource.type_name(),
                ResourceConstraint::IsIn(kind, group) => {
                    kind == *resource.type_name() && is_in(resource, &group)
                }
            };
            to_action && to_resource
        };
        let others: Vec<Policy> = self.set.policies().filter(|policy| !applies(policy)).cloned().collect();
        for policy in others {
            let id = policy.id().clone();
            let removed = if policy.is_static() { self.set.remove_static(id) } else { self.set.unlink(id) };
            removed.map_err(|error| Failure(chain(&error)))?;
        }
        Ok(())
    }

    /// Where a policy is from, for people.
    pub fn origin(&self, id: &PolicyId) -> String {
        self.origins.get(id).cloned().unwrap_or_else(|| id.to_string())
    }
}

/// Where the policies and templates of a file are from. `text` is the file if it is in Cedar's own syntax.
pub fn origins(file: &Path, set: &PolicySet, text: Option<&str>) -> HashMap<PolicyId, Origin> {
    let lines = text.map(|text| lines(set, text)).unwrap_or_default();
    let policies = set.policies().map(|policy| (policy.id(), policy.annotation("id")));
    let templates = set.templates().map(|template| (template.id(), template.annotation("id")));
    let origin = |(id, name): (&PolicyId, Option<&str>)| {
        let origin = Origin {
            file: file.display().to_string(),
            line: lines.get(id).copied(),
            id: id.to_string(),
            name: name.map(str::to_owned),
        };
        (id.clone(), origin)
    };
    policies.chain(templates).map(origin).collect()
}

/// The lines on which the policies and templates of a text begin. Cedar numbers them in their order.
fn lines(set: &PolicySet, text: &str) -> HashMap<PolicyId, usize> {
    let mut lines = HashMap::new();
    let mut end = 0;
    for number in 0..set.num_of_policies() + set.num_of_templates() {
        let id = PolicyId::new(format!("policy{number}"));
        let policy = set.policy(&id).and_then(|policy| policy.to_cedar());
        let Some(source) = policy.or_else(|| set.template(&id).map(|template| template.to_cedar())) else {
            continue;
        };
        let Some(start) = text.get(end..).and_then(|rest| rest.find(&source)).map(|start| end + start) else {
            continue;
        };
        lines.insert(id, file::line_at(text, start));
        end = start + source.len();
    }
    lines
}

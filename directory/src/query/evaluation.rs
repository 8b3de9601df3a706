//! Evaluates a filter on resources. A filter can also name attributes that are not in the document: groups,
//! members and metadata.

use std::collections::{BTreeMap, BTreeSet};

use shared::error::ScimError;
use shared::filter::{Node, Operand, Operator};
use shared::resource::{Member, ResourceId, ResourceKind, represent_to_match};
use shared::sort::SortBy;

use super::{KindQuery, Match};
use crate::{Directory, StoredUser};

/// A filter and a sort attribute, with the data that their evaluation needs.
pub(super) struct Evaluation<'q> {
    directory: &'q Directory,
    part: &'q KindQuery,
    sort_by: Option<SortBy<'q>>,
    base_url: &'q str,
    members: NamedMembers,
}

/// The members that the evaluation of a filter on groups needs.
enum NamedMembers {
    /// The filter names members by id only. The map has the groups of these members, each with those of them
    /// that it has.
    Some(BTreeMap<ResourceId, Vec<Member>>),
    /// The filter names members in another way, so all members of each group must be read.
    All,
}

impl<'q> Evaluation<'q> {
    /// Prepares the evaluation. Reads the groups of the members that the filter names.
    pub async fn prepare(
        directory: &'q Directory,
        part: &'q KindQuery,
        sort_by: Option<SortBy<'q>>,
        base_url: &'q str,
    ) -> Result<Self, ScimError> {
        let members = NamedMembers::read(directory, part).await?;
        Ok(Self { directory, part, sort_by, base_url, members })
    }

    /// Whether the evaluation needs the groups of each user.
    pub fn needs_groups(&self) -> bool {
        let is_in_filter =
            |name| self.part.filter.as_ref().is_some_and(|filter| names_attribute(&filter.root, name));
        // An entity tag depends on the groups.
        let is_in_sort =
            |sort_by: &SortBy<'_>| sort_by.is_by_part_of("groups") || sort_by.is_by("meta.version");
        self.part.kind == ResourceKind::User
            && (is_in_filter("groups")
                || is_in_filter("meta")
                || self.sort_by.as_ref().is_some_and(is_in_sort))
    }

    /// Returns the resources that match.
    pub async fn keep_matching(&self, found: Vec<StoredUser>) -> Result<Vec<Match>, ScimError> {
        let mut groups = BTreeSet::new();
        if self.needs_groups() {
            groups.extend(found.iter().flat_map(|found| &found.groups));
        }
        let ancestry = self.directory.nesting().ancestry(groups).await?;
        let mut matches = Vec::new();
        for found in found {
            let resource = &found.stored.resource;
            let references = ancestry.references(&found.groups);
            let all;
            let members = match &self.members {
                NamedMembers::Some(members) => members.get(&resource.id).map(Vec::as_slice),
                NamedMembers::All => {
                    all = self.directory.memberships().members(resource.id, usize::MAX).await?.0;
                    Some(all.as_slice())
                }
            };
            let full = represent_to_match(resource, &references, members, self.base_url);
            if self.part.filter.as_ref().is_none_or(|filter| filter.matches(&full)) {
                let key = self.sort_by.as_ref().and_then(|sort_by| sort_by.key(&full));
                matches.push(Match { kind: self.part.kind, id: resource.id, key, found: Some(found) });
            }
        }
        Ok(matches)
    }
}

impl NamedMembers {
    async fn read(directory: &Directory, part: &KindQuery) -> Result<Self, ScimError> {
        let Some(filter) = part.filter.as_ref().filter(|_| part.kind == ResourceKind::Group) else {
            return Ok(Self::Some(BTreeMap::new()));
        };
        let mut ids = BTreeSet::new();
        if !collect_member_ids(&filter.root, &mut ids) {
            return Ok(Self::All);
        }
        let mut groups: BTreeMap<ResourceId, Vec<Member>> = BTreeMap::new();
        for id in ids {
            for kind in [ResourceKind::User, ResourceKind::Group] {
                for group in directory.memberships().groups_of(kind, id).await? {
                    groups.entry(group).or_default().push(Member { id, kind, display: None });
                }
            }
        }
        Ok(Self::Some(groups))
    }
}

/// Collects the ids that a filter compares members with. Returns `false` if the filter names members in
/// another way.
fn collect_member_ids(node: &Node, ids: &mut BTreeSet<ResourceId>) -> bool {
    match node {
        Node::And(nodes) | Node::Or(nodes) => nodes.iter().all(|node| collect_member_ids(node, ids)),
        Node::Not(node) => collect_member_ids(node, ids),
        Node::Compare(field, operator, operand) if field.attribute == "members" => {
            match (field.path().as_str(), operator, operand) {
                ("members.value", Operator::Equal, Operand::Text(id)) => {
                    ids.extend(ResourceId::parse(id));
                    true
                }
                _ => false,
            }
        }
        Node::Present(field) | Node::ValueFilter(field, _) => field.attribute != "members",
        Node::Compare(..) | Node::Never => true,
    }
}

/// Whether a filter names an attribute.
fn names_attribute(node: &Node, attribute: &str) -> bool {
    match node {
        Node::And(nodes) | Node::Or(nodes) => nodes.iter().any(|node| names_attribute(node, attribute)),
        Node::Not(node) => names_attribute(node, attribute),
        Node::Compare(field, ..) | Node::Present(field) | Node::ValueFilter(field, _) => {
            field.attribute == attribute
        }
        Node::Never => false,
    }
}

//! The graph of groups: which groups are members of which.

use std::collections::{BTreeMap, BTreeSet};

use shared::resource::ResourceId;

/// Some groups, each with the groups that it is a direct member of.
#[derive(Debug, Default)]
pub(crate) struct GroupGraph {
    parents: BTreeMap<ResourceId, Vec<ResourceId>>,
}

/// A group that a user or group belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Belonging {
    /// The group.
    pub group: ResourceId,
    /// Whether the membership is direct.
    pub is_direct: bool,
}

impl GroupGraph {
    /// Adds a group and the groups that it is a direct member of.
    pub fn insert(&mut self, group: ResourceId, parents: Vec<ResourceId>) {
        self.parents.insert(group, parents);
    }

    /// Whether the graph has this group.
    pub fn contains(&self, group: ResourceId) -> bool {
        self.parents.contains_key(&group)
    }

    /// Lists the groups that a group is a direct member of.
    pub fn parents(&self, group: ResourceId) -> &[ResourceId] {
        self.parents.get(&group).map(Vec::as_slice).unwrap_or_default()
    }

    /// Lists the groups that a direct member of the groups `direct` belongs to: the direct ones first, then the indirect ones,
    /// level by level. A group that the graph does not have was deleted, and is left out.
    pub fn groups_of_member(&self, direct: &[ResourceId]) -> Vec<Belonging> {
        let mut seen = BTreeSet::new();
        let mut groups = Vec::new();
        let mut level = direct.to_vec();
        let mut is_direct = true;
        while !level.is_empty() {
            let mut above = Vec::new();
            for group in level {
                if let Some(parents) = self.parents.get(&group)
                    && seen.insert(group)
                {
                    groups.push(Belonging { group, is_direct });
                    above.extend(parents);
                }
            }
            level = above;
            is_direct = false;
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_belongs_to_direct_groups_first_and_to_each_group_once() {
        let id = |byte| ResourceId::from_random_bytes([byte; 16]);
        let mut graph = GroupGraph::default();
        // 1 is in 2 and 3, which are both in 4. 9 was deleted. A cycle, which no transaction can write, ends.
        for (group, parents) in [(1, vec![2, 3, 9]), (2, vec![4]), (3, vec![4]), (4, vec![1])] {
            graph.insert(id(group), parents.into_iter().map(id).collect());
        }
        let groups = |direct: &[u8]| -> Vec<(ResourceId, bool)> {
            let direct: Vec<ResourceId> = direct.iter().copied().map(id).collect();
            let groups = graph.groups_of_member(&direct);
            groups.into_iter().map(|belonging| (belonging.group, belonging.is_direct)).collect()
        };
        assert_eq!(groups(&[1]), [(id(1), true), (id(2), false), (id(3), false), (id(4), false)]);
        assert_eq!(groups(&[4, 1, 4]), [(id(4), true), (id(1), true), (id(2), false), (id(3), false)]);
        assert_eq!(groups(&[9]), []);
    }
}

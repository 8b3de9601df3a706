//! Plans: chooses the cheapest way to find the resources that a filter can match. The filter is evaluated on
//! every resource that a plan finds. So a plan can find too many resources, but must not miss one.

use crate::index;
use shared::filter::{Field, Node, Operand, Operator};
use shared::resource::{ResourceId, ResourceKind};
use shared::schema::{Index, ResourceSchema};

/// How to find the resources that a filter can match.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// No resource can match.
    Nothing,
    /// Reads the resource with this id.
    Id(ResourceId),
    /// Finds the resource with this folded value in the unique index of this name.
    Unique(String, String),
    /// Finds the groups that have this user or group as a direct member.
    GroupsOf(ResourceId),
    /// Finds the resources with this folded value in the index of this name.
    Equal(String, String),
    /// Finds the direct and indirect members of this group.
    MembersOf(ResourceId),
    /// Finds the resources whose values are in a range of the index of this name.
    Range(String, Bounds),
    /// Finds the resources that at least one of these plans finds.
    Union(Vec<Plan>),
    /// Finds the resources that all of these plans find. The plan with the fewest expected resources is
    /// first.
    Intersection(Vec<Plan>),
    /// Reads all resources.
    Scan,
}

/// A range of folded values. It can include its end even if the filter does not.
#[derive(Clone, Debug, PartialEq)]
pub enum Bounds {
    /// Values that begin with this.
    StartingWith(String),
    /// This value and all greater ones.
    From(String),
    /// This value and all smaller ones.
    UpTo(String),
}

impl Plan {
    /// Chooses a plan for a filter on resources with this schema. The plan uses only the given indexes.
    pub fn new(node: &Node, schema: &ResourceSchema, indexes: &[&Index]) -> Self {
        match node {
            Node::Never => Self::Nothing,
            Node::Compare(field, operator, operand) => {
                Self::compare(field, *operator, operand, schema, indexes)
            }
            Node::And(nodes) => Self::intersection(nodes.iter().map(|node| Self::new(node, schema, indexes))),
            Node::Or(nodes) => Self::union(nodes.iter().map(|node| Self::new(node, schema, indexes))),
            Node::ValueFilter(field, node) => Self::value_filter(field, node, schema, indexes),
            Node::Not(_) | Node::Present(_) => Self::Scan,
        }
    }

    /// Makes a plan for the parts of an `and`. The plan of each part finds every resource that matches the whole
    /// filter. So one part is enough, and parts that need a scan are left out.
    fn intersection(plans: impl Iterator<Item = Self>) -> Self {
        let mut parts = Vec::new();
        for plan in plans {
            match plan {
                Self::Scan => {}
                Self::Intersection(plans) => parts.extend(plans),
                plan => parts.push(plan),
            }
        }
        parts.sort_by_key(Self::rank);
        match parts.first() {
            None => Self::Scan,
            // A plan that finds at most one resource needs no other plan.
            Some(first) if parts.len() == 1 || first.rank() <= Self::RANK_OF_UNIQUE => first.clone(),
            Some(_) => Self::Intersection(parts),
        }
    }

    /// Makes a plan for the parts of an `or`. A resource can match because of any part, so each part needs a
    /// plan. If one part needs a scan, the whole filter does.
    fn union(plans: impl Iterator<Item = Self>) -> Self {
        let mut union = Vec::new();
        for plan in plans {
            match plan {
                Self::Scan => return Self::Scan,
                Self::Union(plans) => union.extend(plans),
                plan => union.push(plan),
            }
        }
        Self::Union(union)
    }

    /// Makes a plan for a comparison.
    fn compare(
        field: &Field,
        operator: Operator,
        operand: &Operand,
        schema: &ResourceSchema,
        indexes: &[&Index],
    ) -> Self {
        let path = field.path();
        let Operand::Text(text) = operand else {
            let is_inactive =
                path == index::ACTIVE && operator == Operator::Equal && *operand == Operand::Boolean(false);
            return if is_inactive {
                Self::Equal(index::ACTIVE.into(), index::INACTIVE.into())
            } else {
                Self::Scan
            };
        };
        let by_id = |plan: fn(ResourceId) -> Self| ResourceId::parse(text).map_or(Self::Nothing, plan);
        match (schema.kind, path.as_str(), operator) {
            (_, "id", Operator::Equal) => return by_id(Self::Id),
            (ResourceKind::Group, "members.value", Operator::Equal) => return by_id(Self::GroupsOf),
            (ResourceKind::User, "groups.value", Operator::Equal) => return by_id(Self::MembersOf),
            _ => {}
        }
        let Some(index) = indexes.iter().find(|index| index.name == path) else { return Self::Scan };
        // Empty values have no entry in an index.
        if text.is_empty() {
            return Self::Scan;
        }
        let folded = text.clone();
        let range = |bounds| Self::Range(path.clone(), bounds);
        match operator {
            Operator::Equal if index.unique => Self::Unique(path, folded),
            Operator::Equal => Self::Equal(path, folded),
            Operator::StartsWith => range(Bounds::StartingWith(folded)),
            Operator::Greater | Operator::GreaterOrEqual => range(Bounds::From(folded)),
            // A resource without a value also matches lt and le, but has no entry. So the index is used only if
            // every resource has a value.
            Operator::Less | Operator::LessOrEqual if index.required => range(Bounds::UpTo(folded)),
            _ => Self::Scan,
        }
    }

    /// Makes a plan for a value filter. `emails[type eq "work" and value eq "x"]` has the plan of
    /// `emails.value eq "x"`.
    fn value_filter(field: &Field, node: &Node, schema: &ResourceSchema, indexes: &[&Index]) -> Self {
        match node {
            Node::Compare(inner, operator, operand) => {
                Self::compare(&field.with_sub_attribute(inner), *operator, operand, schema, indexes)
            }
            Node::And(nodes) => {
                Self::intersection(nodes.iter().map(|node| Self::value_filter(field, node, schema, indexes)))
            }
            Node::Or(nodes) => {
                Self::union(nodes.iter().map(|node| Self::value_filter(field, node, schema, indexes)))
            }
            _ => Self::Scan,
        }
    }

    /// The rank of a plan that finds at most one resource.
    const RANK_OF_UNIQUE: usize = 2;

    /// Ranks the plan by the number of resources that it is likely to find: the lowest rank finds the fewest.
    fn rank(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Id(_) => 1,
            Self::Unique(..) => Self::RANK_OF_UNIQUE,
            Self::Equal(name, _) if name != index::ACTIVE => 3,
            Self::GroupsOf(_) => 4,
            Self::MembersOf(_) => 5,
            Self::Range(_, Bounds::StartingWith(_)) => 6,
            Self::Equal(..) => 7,
            Self::Range(..) => 8,
            Self::Union(plans) => plans.iter().map(Self::rank).max().unwrap_or(0) + plans.len(),
            Self::Intersection(plans) => plans.first().map_or(usize::MAX, Self::rank),
            Self::Scan => usize::MAX,
        }
    }

    /// Whether the filter names each resource that it can match, by its id or by its value in a unique index.
    pub fn names_resources(&self) -> bool {
        match self {
            Self::Nothing | Self::Id(_) | Self::Unique(..) => true,
            Self::Union(plans) => plans.iter().all(Self::names_resources),
            // A match fulfils all parts.
            Self::Intersection(plans) => plans.iter().any(Self::names_resources),
            _ => false,
        }
    }

    /// Returns the name of the plan, for the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Id(_) => "id",
            Self::Unique(..) => "unique",
            Self::GroupsOf(_) => "groups-of",
            Self::Equal(..) => "equal",
            Self::MembersOf(_) => "members-of",
            Self::Range(..) => "range",
            Self::Union(_) => "union",
            Self::Intersection(_) => "intersection",
            Self::Scan => "scan",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::filter::Filter;
    use shared::schema::Schemas;

    const ID: &str = "11111111-1111-4111-8111-111111111111";

    #[track_caller]
    fn plan(kind: ResourceKind, filter: &str) -> Plan {
        let schema = Schemas::built_in().of(kind);
        let indexes: Vec<&Index> = schema.indexes.iter().collect();
        Plan::new(&Filter::parse(filter).unwrap().resolve(schema).unwrap().root, schema, &indexes)
    }

    fn equal(name: &str, value: &str) -> Plan {
        Plan::Equal(name.to_owned(), value.to_owned())
    }

    #[test]
    fn filter_on_users_uses_the_most_selective_index() {
        let id = ResourceId::parse(ID).unwrap();
        let unique = |value: &str| Plan::Unique("userName".to_owned(), value.to_owned());
        let range = |name: &str, bounds| Plan::Range(name.to_owned(), bounds);
        for (filter, expected) in [
            (r#"userName eq "Ann""#, unique("ann")),
            (r#"externalId eq "00U""#, equal("externalId", "00U")),
            (r#"emails eq "A@x""#, equal("emails.value", "a@x")),
            (r#"emails[type eq "work" and value eq "A@x"]"#, equal("emails.value", "a@x")),
            (r#"emails[type eq "work"].value eq "A@x""#, equal("emails.value", "a@x")),
            (r#"firstName eq "Ann""#, equal("name.givenName", "ann")),
            (r#"familyName eq "Ash""#, equal("name.familyName", "ash")),
            (&format!(r#"id eq "{ID}""#), Plan::Id(id)),
            (r#"id eq "not an id""#, Plan::Nothing),
            (&format!(r#"groups eq "{ID}""#), Plan::MembersOf(id)),
            ("active eq false", equal(index::ACTIVE, index::INACTIVE)),
            ("active eq true", Plan::Scan),
            (r#"userName sw "An""#, range("userName", Bounds::StartingWith("an".to_owned()))),
            (r#"userName gt "An""#, range("userName", Bounds::From("an".to_owned()))),
            (r#"userName ge "An""#, range("userName", Bounds::From("an".to_owned()))),
            (r#"userName lt "An""#, range("userName", Bounds::UpTo("an".to_owned()))),
            (r#"userName le "An""#, range("userName", Bounds::UpTo("an".to_owned()))),
            // Users with an empty or missing value have no entry in the index. So the index cannot answer
            // these filters.
            (r#"displayName lt "An""#, Plan::Scan),
            (r#"displayName eq """#, Plan::Scan),
            (r#"userName co "nn""#, Plan::Scan),
            (r#"userName ew "nn""#, Plan::Scan),
            (r#"userName ne "ann""#, Plan::Scan),
            ("userName pr", Plan::Scan),
            (r#"title eq "x""#, Plan::Scan),
            (r#"not (userName eq "ann")"#, Plan::Scan),
            (r#"userName eq "ann" and active eq true"#, unique("ann")),
            (
                r#"displayName sw "A" and externalId eq "x" and title pr"#,
                Plan::Intersection(vec![
                    equal("externalId", "x"),
                    range("displayName", Bounds::StartingWith("a".to_owned())),
                ]),
            ),
            (
                r#"displayName sw "A" and title pr"#,
                range("displayName", Bounds::StartingWith("a".to_owned())),
            ),
            (r#"userName eq "ann" or title eq "x""#, Plan::Scan),
            (
                r#"userName eq "ann" or externalId eq "x" or emails eq "a@x""#,
                Plan::Union(vec![unique("ann"), equal("externalId", "x"), equal("emails.value", "a@x")]),
            ),
            (
                r#"(userName eq "ann" or userName eq "bob") and title eq "x""#,
                Plan::Union(vec![unique("ann"), unique("bob")]),
            ),
        ] {
            assert_eq!(plan(ResourceKind::User, filter), expected, "{filter}");
        }
    }

    #[test]
    fn filter_on_groups_uses_the_most_selective_index() {
        let id = ResourceId::parse(ID).unwrap();
        let unique = Plan::Unique("displayName".to_owned(), "tour guides".to_owned());
        for (filter, expected) in [
            (r#"displayName eq "Tour Guides""#, unique.clone()),
            (&format!(r#"members eq "{ID}""#), Plan::GroupsOf(id)),
            (&format!(r#"members[value eq "{ID}"]"#), Plan::GroupsOf(id)),
            (&format!(r#"id eq "{ID}" and members eq "{ID}""#), Plan::Id(id)),
            (&format!(r#"members eq "{ID}" and displayName eq "Tour Guides""#), unique),
            ("members pr", Plan::Scan),
        ] {
            assert_eq!(plan(ResourceKind::Group, filter), expected, "{filter}");
        }
    }
}

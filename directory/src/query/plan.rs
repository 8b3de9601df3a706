//! Plans: the cheapest way to find the resources that a filter can match. The filter is evaluated on every resource that a
//! plan finds, so a plan may find too many resources and must never miss one.

use crate::index;
use shared::filter::{Field, Node, Operand, Operator};
use shared::resource::{ResourceId, ResourceKind};
use shared::schema::{Index, ResourceSchema};

/// How to find the resources that a filter may match.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// There can be none.
    Nothing,
    /// The one with this id.
    Id(ResourceId),
    /// Whoever has a value of a unique index.
    Unique(String, String),
    /// The groups that somebody is in.
    GroupsOf(ResourceId),
    /// All with a value of an index.
    Equal(String, String),
    /// The members of a group, and of the groups in it.
    MembersOf(ResourceId),
    /// All whose values lie in a range of an index.
    Between(String, Bounds),
    /// Whatever any of these finds.
    Union(Vec<Plan>),
    /// Whatever all of these find, the narrowest first.
    Intersection(Vec<Plan>),
    /// Everything.
    Scan,
}

/// A range of folded values.
#[derive(Clone, Debug, PartialEq)]
pub enum Bounds {
    /// Values that begin with this.
    StartingWith(String),
    /// Values from this on.
    From(String),
    /// Values up to this one.
    UpTo(String),
}

impl Plan {
    /// Chooses a plan for a filter on resources with this schema. Of the indexes, it uses only these.
    pub fn new(node: &Node, schema: &ResourceSchema, indexes: &[&Index]) -> Self {
        match node {
            Node::Never => Self::Nothing,
            Node::Compare(field, operator, operand) => {
                Self::compare(field, *operator, operand, schema, indexes)
            }
            Node::And(nodes) => Self::intersection(nodes.iter().map(|node| Self::new(node, schema, indexes))),
            // One of them holds, so it takes a plan for each.
            Node::Or(nodes) => Self::union(nodes.iter().map(|node| Self::new(node, schema, indexes))),
            Node::ValueFilter(field, node) => Self::value_filter(field, node, schema, indexes),
            Node::Not(_) | Node::Present(_) => Self::Scan,
        }
    }

    /// All of them hold, so any plan finds whoever matches, and those that all find are fewer.
    fn intersection(plans: impl Iterator<Item = Self>) -> Self {
        let mut parts = Vec::new();
        for plan in plans {
            match plan {
                Self::Scan => {}
                Self::Intersection(plans) => parts.extend(plans),
                plan => parts.push(plan),
            }
        }
        parts.sort_by_key(Self::breadth);
        match parts.first() {
            None => Self::Scan,
            // What finds one at most needs no help.
            Some(first) if parts.len() == 1 || first.breadth() <= Self::BREADTH_OF_ONE => first.clone(),
            Some(_) => Self::Intersection(parts),
        }
    }

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

    fn compare(
        field: &Field,
        operator: Operator,
        operand: &Operand,
        schema: &ResourceSchema,
        indexes: &[&Index],
    ) -> Self {
        let path = field.path();
        let Operand::Text(text) = operand else {
            let is_hidden =
                path == index::ACTIVE && operator == Operator::Equal && *operand == Operand::Boolean(false);
            return if is_hidden {
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
        // The empty value has no entry.
        if text.is_empty() {
            return Self::Scan;
        }
        let folded = text.clone();
        let range = |bounds| Self::Between(path.clone(), bounds);
        match operator {
            Operator::Equal if index.unique => Self::Unique(path, folded),
            Operator::Equal => Self::Equal(path, folded),
            Operator::StartsWith => range(Bounds::StartingWith(folded)),
            Operator::Greater | Operator::GreaterOrEqual => range(Bounds::From(folded)),
            // An index holds no empty values, and they are less than any other.
            Operator::Less | Operator::LessOrEqual if index.required => range(Bounds::UpTo(folded)),
            _ => Self::Scan,
        }
    }

    /// `emails[type eq "work" and value eq "x"]`: as the comparison of `emails.value` finds it.
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

    const BREADTH_OF_ONE: usize = 2;

    /// How much it may find, as far as can be told without looking.
    fn breadth(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Id(_) => 1,
            Self::Unique(..) => Self::BREADTH_OF_ONE,
            Self::Equal(name, _) if name != index::ACTIVE => 3,
            Self::GroupsOf(_) => 4,
            Self::MembersOf(_) => 5,
            Self::Between(_, Bounds::StartingWith(_)) => 6,
            Self::Equal(..) => 7,
            Self::Between(..) => 8,
            Self::Union(plans) => plans.iter().map(Self::breadth).max().unwrap_or(0) + plans.len(),
            Self::Intersection(plans) => plans.first().map_or(usize::MAX, Self::breadth),
            Self::Scan => usize::MAX,
        }
    }

    /// Its name in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Id(_) => "id",
            Self::Unique(..) => "unique",
            Self::GroupsOf(_) => "groups-of",
            Self::Equal(..) => "equal",
            Self::MembersOf(_) => "members-of",
            Self::Between(..) => "range",
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
    fn a_filter_on_users_is_planned_to_the_narrowest_index() {
        let id = ResourceId::parse(ID).unwrap();
        let unique = |value: &str| Plan::Unique("userName".to_owned(), value.to_owned());
        let range = |name: &str, bounds| Plan::Between(name.to_owned(), bounds);
        for (filter, expected) in [
            (r#"userName eq "Ann""#, unique("ann")),
            (r#"externalId eq "00U""#, equal("externalId", "00U")),
            (r#"emails eq "A@x""#, equal("emails.value", "a@x")),
            (r#"emails[type eq "work" and value eq "A@x"]"#, equal("emails.value", "a@x")),
            (r#"emails[type eq "work"].value eq "A@x""#, equal("emails.value", "a@x")),
            (r#"firstName eq "Ann""#, equal("name.givenName", "ann")),
            (r#"familyName eq "Ash""#, equal("name.familyName", "ash")),
            (&format!(r#"id eq "{ID}""#), Plan::Id(id)),
            (r#"id eq "nobody's""#, Plan::Nothing),
            (&format!(r#"groups eq "{ID}""#), Plan::MembersOf(id)),
            ("active eq false", equal(index::ACTIVE, index::INACTIVE)),
            ("active eq true", Plan::Scan),
            (r#"userName sw "An""#, range("userName", Bounds::StartingWith("an".to_owned()))),
            (r#"userName gt "An""#, range("userName", Bounds::From("an".to_owned()))),
            (r#"userName ge "An""#, range("userName", Bounds::From("an".to_owned()))),
            (r#"userName lt "An""#, range("userName", Bounds::UpTo("an".to_owned()))),
            (r#"userName le "An""#, range("userName", Bounds::UpTo("an".to_owned()))),
            // Whoever has no value, or an empty one, is in no index, and may be less than anything.
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
    fn a_filter_on_groups_is_planned_to_the_narrowest_index() {
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

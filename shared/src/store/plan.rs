//! From a filter to the cheapest way of reading what it may match. The filter is evaluated on what was read, so a plan
//! may find too much and must never find too little.

use super::Directory;
use super::index;
use super::item;
use super::keys;
use super::table::Range;
use crate::error::ScimError;
use crate::filter::{Field, Node, Operand, Operator};
use crate::resource::{ResourceId, ResourceKind};
use crate::schema::ResourceSchema;

/// A plan that finds more than this is not worth following: the whole partition is read instead.
const MOST_CANDIDATES: usize = 10_000;

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
    /// Chooses a plan for a filter.
    pub fn new(node: &Node, schema: &ResourceSchema) -> Self {
        match node {
            Node::Never => Self::Nothing,
            Node::Compare(field, operator, operand) => Self::compare(field, *operator, operand, schema),
            // All of them hold, so the narrowest finds them.
            Node::And(nodes) => {
                let plans = nodes.iter().map(|node| Self::new(node, schema));
                plans.min_by_key(Self::breadth).unwrap_or(Self::Scan)
            }
            // One of them holds, so it takes a plan for each.
            Node::Or(nodes) => Self::union(nodes.iter().map(|node| Self::new(node, schema))),
            Node::ValueFilter(field, node) => Self::value_filter(field, node, schema),
            Node::Not(_) | Node::Present(_) => Self::Scan,
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

    fn compare(field: &Field, operator: Operator, operand: &Operand, schema: &ResourceSchema) -> Self {
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
        let Some(index) = schema.indexes.iter().find(|index| index.name == path) else { return Self::Scan };
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
            Operator::Less | Operator::LessOrEqual if index.unique => range(Bounds::UpTo(folded)),
            _ => Self::Scan,
        }
    }

    /// `emails[type eq "work" and value eq "x"]`: as the comparison of `emails.value` finds it.
    fn value_filter(field: &Field, node: &Node, schema: &ResourceSchema) -> Self {
        match node {
            Node::Compare(inner, operator, operand) => {
                Self::compare(&field.with_sub_attribute(inner), *operator, operand, schema)
            }
            Node::And(nodes) => {
                let plans = nodes.iter().map(|node| Self::value_filter(field, node, schema));
                plans.min_by_key(Self::breadth).unwrap_or(Self::Scan)
            }
            Node::Or(nodes) => Self::union(nodes.iter().map(|node| Self::value_filter(field, node, schema))),
            _ => Self::Scan,
        }
    }

    /// How much it may find, as far as can be told without looking.
    fn breadth(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Id(_) => 1,
            Self::Unique(..) => 2,
            Self::Equal(name, _) if name != index::ACTIVE => 3,
            Self::GroupsOf(_) => 4,
            Self::MembersOf(_) => 5,
            Self::Between(_, Bounds::StartingWith(_)) => 6,
            Self::Equal(..) => 7,
            Self::Between(..) => 8,
            Self::Union(plans) => plans.iter().map(Self::breadth).max().unwrap_or(0) + plans.len(),
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
            Self::Scan => "scan",
        }
    }
}

impl Directory {
    /// The ids that a plan finds, in their order; `None` when there are so many that a scan is cheaper.
    pub(super) async fn candidates(
        &self,
        kind: ResourceKind,
        plan: &Plan,
    ) -> Result<Option<Vec<ResourceId>>, ScimError> {
        let parts = match plan {
            Plan::Union(parts) => parts.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut found = std::collections::BTreeSet::new();
        for part in parts {
            let ids = match part {
                Plan::Nothing => Some(Vec::new()),
                Plan::Id(id) => Some(vec![*id]),
                Plan::Unique(name, value) => {
                    let sk = keys::index_value(value);
                    let item = self
                        .table
                        .get(&keys::Key { pk: keys::index(&self.connector.id, kind, name), sk })
                        .await?;
                    Some(item.as_ref().and_then(item::indexed_id).into_iter().collect())
                }
                Plan::Equal(name, value) => {
                    self.indexed(kind, name, &Range::Prefix(keys::index_entry_prefix(value))).await?
                }
                Plan::Between(name, bounds) => self.indexed(kind, name, &bounds.range()).await?,
                Plan::GroupsOf(member) => {
                    let mut groups = self.groups_of(ResourceKind::User, *member).await?;
                    groups.extend(self.groups_of(ResourceKind::Group, *member).await?);
                    Some(groups)
                }
                Plan::MembersOf(group) => self.users_below(*group).await?,
                // Unions hold no unions.
                Plan::Union(_) | Plan::Scan => None,
            };
            let Some(ids) = ids else { return Ok(None) };
            found.extend(ids);
            if found.len() > MOST_CANDIDATES {
                return Ok(None);
            }
        }
        Ok(Some(found.into_iter().collect()))
    }

    async fn indexed(
        &self,
        kind: ResourceKind,
        name: &str,
        range: &Range,
    ) -> Result<Option<Vec<ResourceId>>, ScimError> {
        let pk = keys::index(&self.connector.id, kind, name);
        let mut ids = Vec::new();
        let mut after = None;
        loop {
            let (page, next) = self.table.query_page(&pk, range, after.as_deref(), None).await?;
            ids.extend(page.iter().filter_map(item::indexed_id));
            match next {
                _ if ids.len() > MOST_CANDIDATES => return Ok(None),
                Some(next) => after = Some(next),
                None => return Ok(Some(ids)),
            }
        }
    }

    /// The users who are in a group, directly or by way of the groups in it.
    async fn users_below(&self, group: ResourceId) -> Result<Option<Vec<ResourceId>>, ScimError> {
        let mut users = Vec::new();
        let mut seen = std::collections::BTreeSet::from([group]);
        let mut rest = vec![group];
        while let Some(group) = rest.pop() {
            let (members, has_more) = self.members(group, MOST_CANDIDATES).await?;
            for member in members {
                match member.kind {
                    ResourceKind::User => users.push(member.id),
                    ResourceKind::Group if seen.insert(member.id) => rest.push(member.id),
                    _ => {}
                }
            }
            if has_more || users.len() > MOST_CANDIDATES {
                return Ok(None);
            }
        }
        Ok(Some(users))
    }
}

impl Bounds {
    /// The range of sort keys. A long value is cut in its key, so a bound is cut too, and finds a little more.
    fn range(&self) -> Range {
        match self {
            Self::StartingWith(value) => Range::Prefix(keys::index_prefix(value).to_owned()),
            Self::From(value) => Range::From(keys::index_prefix(value).to_owned()),
            Self::UpTo(value) => Range::UpTo(format!("{}\u{10ffff}", keys::index_prefix(value))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Filter;
    use crate::schema::Schemas;

    const ID: &str = "11111111-1111-4111-8111-111111111111";

    #[track_caller]
    fn plan(kind: ResourceKind, filter: &str) -> Plan {
        let schema = Schemas::built_in().of(kind);
        Plan::new(&Filter::parse(filter).unwrap().resolve(schema).unwrap().root, schema)
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
            (r#"displayName sw "A" and externalId eq "x""#, equal("externalId", "x")),
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

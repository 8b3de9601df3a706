//! From a filter to the cheapest way of reading what it may match. The filter is evaluated on what was read, so a plan
//! may find too much and must never find too little.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;

use crate::Directory;
use crate::dynamodb::items;
use crate::dynamodb::keys;
use crate::dynamodb::table::Range;
use crate::index;
use shared::error::ScimError;
use shared::filter::{Field, Node, Operand, Operator};
use shared::resource::{ResourceId, ResourceKind};
use shared::schema::ResourceSchema;

/// A plan that finds more than this is not worth following: the whole partition is read instead.
const MOST_CANDIDATES: usize = 10_000;
/// So many candidates are sooner read than another index that might leave fewer.
const FEW_CANDIDATES: usize = 100;

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
    /// Chooses a plan for a filter.
    pub fn new(node: &Node, schema: &ResourceSchema) -> Self {
        match node {
            Node::Never => Self::Nothing,
            Node::Compare(field, operator, operand) => Self::compare(field, *operator, operand, schema),
            Node::And(nodes) => Self::intersection(nodes.iter().map(|node| Self::new(node, schema))),
            // One of them holds, so it takes a plan for each.
            Node::Or(nodes) => Self::union(nodes.iter().map(|node| Self::new(node, schema))),
            Node::ValueFilter(field, node) => Self::value_filter(field, node, schema),
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
            Operator::Less | Operator::LessOrEqual if index.required => range(Bounds::UpTo(folded)),
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
                Self::intersection(nodes.iter().map(|node| Self::value_filter(field, node, schema)))
            }
            Node::Or(nodes) => Self::union(nodes.iter().map(|node| Self::value_filter(field, node, schema))),
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

impl Directory {
    /// The ids that a plan finds; `None` when there are so many that a scan is cheaper.
    pub(crate) fn candidates<'a>(
        &'a self,
        kind: ResourceKind,
        plan: &'a Plan,
    ) -> BoxFuture<'a, Result<Option<BTreeSet<ResourceId>>, ScimError>> {
        Box::pin(async move {
            let found = match plan {
                Plan::Nothing => BTreeSet::new(),
                Plan::Id(id) => BTreeSet::from([*id]),
                Plan::Unique(name, value) => {
                    let pk = keys::index(&self.connector.id, kind, name);
                    let item = self.table.get(&keys::Key { pk, sk: keys::index_value(value) }).await?;
                    item.as_ref().and_then(items::indexed_id).into_iter().collect()
                }
                Plan::Equal(name, value) => {
                    let range = Range::Prefix(keys::index_entry_prefix(value));
                    return self.indexed(kind, name, &range).await;
                }
                Plan::Between(name, bounds) => return self.indexed(kind, name, &bounds.range()).await,
                Plan::GroupsOf(member) => {
                    let mut groups = self.groups_of(ResourceKind::User, *member).await?;
                    groups.extend(self.groups_of(ResourceKind::Group, *member).await?);
                    groups.into_iter().collect()
                }
                Plan::MembersOf(group) => return self.users_below(*group).await,
                Plan::Union(parts) => {
                    let mut found = BTreeSet::new();
                    for part in parts {
                        let Some(ids) = self.candidates(kind, part).await? else { return Ok(None) };
                        found.extend(ids);
                        if found.len() > MOST_CANDIDATES {
                            return Ok(None);
                        }
                    }
                    found
                }
                Plan::Intersection(parts) => return self.candidates_of_all(kind, parts).await,
                Plan::Scan => return Ok(None),
            };
            Ok(Some(found))
        })
    }

    /// The ids that all of some plans find, or more. A part that finds too many to tell is passed over.
    async fn candidates_of_all(
        &self,
        kind: ResourceKind,
        parts: &[Plan],
    ) -> Result<Option<BTreeSet<ResourceId>>, ScimError> {
        let mut found: Option<BTreeSet<ResourceId>> = None;
        for part in parts {
            if found.as_ref().is_some_and(|found| found.len() <= FEW_CANDIDATES) {
                break;
            }
            if let Some(ids) = self.candidates(kind, part).await? {
                found = Some(match found {
                    Some(found) => found.intersection(&ids).copied().collect(),
                    None => ids,
                });
            }
        }
        Ok(found)
    }

    async fn indexed(
        &self,
        kind: ResourceKind,
        name: &str,
        range: &Range,
    ) -> Result<Option<BTreeSet<ResourceId>>, ScimError> {
        let pk = keys::index(&self.connector.id, kind, name);
        let mut ids = BTreeSet::new();
        let mut after = None;
        loop {
            let (page, next) = self.table.query_page(&pk, range, after.as_deref(), None).await?;
            ids.extend(page.iter().filter_map(items::indexed_id));
            match next {
                _ if ids.len() > MOST_CANDIDATES => return Ok(None),
                Some(next) => after = Some(next),
                None => return Ok(Some(ids)),
            }
        }
    }

    /// The users who are in a group, directly or by way of the groups in it.
    async fn users_below(&self, group: ResourceId) -> Result<Option<BTreeSet<ResourceId>>, ScimError> {
        let mut users = BTreeSet::new();
        let mut seen = BTreeSet::from([group]);
        let mut rest = vec![group];
        while let Some(group) = rest.pop() {
            let (members, has_more) = self.members(group, MOST_CANDIDATES).await?;
            for member in members {
                match member.kind {
                    ResourceKind::User => {
                        users.insert(member.id);
                    }
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
            Self::From(value) => Range::From(keys::index_bound(value).to_owned()),
            Self::UpTo(value) => Range::UpTo(format!("{}\u{10ffff}", keys::index_prefix(value))),
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

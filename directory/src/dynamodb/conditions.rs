//! The conditions of transactions. Each has a name, so that the error of a refused transaction names the conditions that failed.

use shared::resource::ResourceId;

use super::attributes::{boolean, number, text};
use super::transaction::Expression;

/// The stored attribute that marks a resource whose deletion has begun.
pub const DELETING: &str = "going";

/// The name of a condition: what must be true for the transaction to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The item does not exist yet. Its key holds a random id, so this fails for a reused id only.
    IsNew,
    /// The resource has the expected version, and its deletion has not begun.
    IsUnchanged,
    /// This resource exists, and its deletion has not begun.
    Stays(ResourceId),
    /// This member exists and may be in groups: its deletion has not begun, and it is active.
    MayBeMember(ResourceId),
    /// The member may be in no group: it does not exist, its deletion has begun, or it is inactive.
    MustLeaveGroups,
    /// This group exists.
    GroupExists(ResourceId),
    /// No other resource has this value in a unique index.
    IsUnique {
        /// The name of the index, which is the attribute's.
        index: String,
        /// The folded value.
        value: String,
    },
    /// The index entry points at the same resource as before.
    EntryIsUnchanged,
    /// No group of the other origin has the name: a client's group and an operator's group never share one.
    IsFreeInOtherOrigin,
    /// The nesting of groups did not change since the search for cycles.
    NestingIsUnchanged,
    /// The counter has the values that were read.
    CountIsUnchanged,
    /// The connector's record has the revision that was read.
    RecordIsUnchanged,
}

/// A condition's name and expression.
#[derive(Clone, Debug)]
pub struct Requirement {
    /// The name.
    pub condition: Condition,
    /// The expression that DynamoDB evaluates.
    pub expression: Expression,
}

impl Requirement {
    fn new(condition: Condition, expression: Expression) -> Self {
        Self { condition, expression }
    }

    /// Requires that no item has this key yet.
    pub fn is_absent(condition: Condition) -> Self {
        Self::new(condition, Expression::new("attribute_not_exists(pk)"))
    }

    /// Requires [`Condition::IsUnchanged`].
    pub fn is_unchanged(version: u64) -> Self {
        let expression = format!("version = :expected AND attribute_not_exists({DELETING})");
        Self::new(Condition::IsUnchanged, Expression::new(expression).with(":expected", number(version)))
    }

    /// Requires that a resource has this version, also while it is being deleted; `None` requires that it does not exist.
    pub fn has_version(version: Option<u64>) -> Self {
        let expression = match version {
            Some(version) => Expression::new("version = :expected").with(":expected", number(version)),
            None => Expression::new("attribute_not_exists(pk)"),
        };
        Self::new(Condition::IsUnchanged, expression)
    }

    /// Requires [`Condition::EntryIsUnchanged`].
    pub fn entry_is_unchanged(resource: Option<ResourceId>) -> Self {
        let expression = match resource {
            Some(id) => Expression::new("id = :id").with(":id", text(id.to_string())),
            None => Expression::new("attribute_exists(pk)"),
        };
        Self::new(Condition::EntryIsUnchanged, expression)
    }

    /// Requires [`Condition::Stays`].
    pub fn stays(id: ResourceId) -> Self {
        Self::new(Condition::Stays(id), stays())
    }

    /// Requires [`Condition::MayBeMember`]. Where the connector keeps the memberships of inactive users, these may be
    /// members too.
    pub fn may_be_member(id: ResourceId, is_inactive_allowed: bool) -> Self {
        let expression = if is_inactive_allowed {
            stays()
        } else {
            stays().and(Expression::new("active = :true").with(":true", boolean(true)))
        };
        Self::new(Condition::MayBeMember(id), expression)
    }

    /// Requires [`Condition::MustLeaveGroups`].
    pub fn must_leave_groups() -> Self {
        let expression =
            format!("attribute_not_exists(pk) OR attribute_exists({DELETING}) OR active = :false");
        Self::new(Condition::MustLeaveGroups, Expression::new(expression).with(":false", boolean(false)))
    }

    /// Requires [`Condition::GroupExists`].
    pub fn group_exists(id: ResourceId) -> Self {
        Self::new(Condition::GroupExists(id), Expression::new("attribute_exists(pk)"))
    }

    /// Requires [`Condition::NestingIsUnchanged`]; `seen` is 0 where the guard item does not exist.
    pub fn nesting_is_unchanged(seen: u64) -> Self {
        let expression = if seen == 0 {
            Expression::new("attribute_not_exists(n)")
        } else {
            Expression::new("n = :seen").with(":seen", number(seen))
        };
        Self::new(Condition::NestingIsUnchanged, expression)
    }

    /// Requires [`Condition::CountIsUnchanged`].
    pub fn count_is_unchanged((resources, active): (i64, i64)) -> Self {
        let expression = Expression::new(
            "(attribute_not_exists(n) OR n = :counted) AND (attribute_not_exists(active) OR active = :counted_active)",
        );
        let expression =
            expression.with(":counted", number(resources)).with(":counted_active", number(active));
        Self::new(Condition::CountIsUnchanged, expression)
    }

    /// Requires [`Condition::RecordIsUnchanged`].
    pub fn record_is_unchanged(revision: u64) -> Self {
        let expression = Expression::new("revision = :revision").with(":revision", number(revision));
        Self::new(Condition::RecordIsUnchanged, expression)
    }
}

fn stays() -> Expression {
    Expression::new(format!("attribute_exists(pk) AND attribute_not_exists({DELETING})"))
}
